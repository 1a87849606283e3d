//! Opening and reading where opening and reading files fails.

use super::*;

/// A journal of several segments, closed by a kill, with what it holds.
async fn killed() -> (MemoryVfs, Vec<String>) {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, small());
    for n in 0..12 {
        journal.append(batch(&format!("{n:0200}"))).await.unwrap();
    }
    let texts = messages(&journal).await;
    assert_eq!(texts.len(), 12);
    let after = vfs.snapshot();
    (after, texts)
}

/// S-018, S-026: each call of an opening that looks at the disk fails in turn. The journal opens or
/// says why not; the next opening, on a disk that is well, has everything or counts what the failed
/// read made it give up.
#[tokio::test]
async fn an_opening_survives_any_failing_read() {
    let (disk, texts) = killed().await;
    for fault in [Fault::Io, Fault::TooManyOpen] {
        let mut refusals = 0;
        for nth in 1.. {
            let vfs = disk.snapshot();
            vfs.fail(Call::AnyRead, nth, fault);
            let opened = DiskJournal::open_in(Arc::new(vfs.clone()), small());
            let context = format!("{fault:?} at call {nth}");
            if vfs.calls(Call::AnyRead) < nth {
                assert!(nth > 5, "{context}");
                break;
            }
            let is_refused = match opened {
                Err(OpenError::Io { .. }) => true,
                Err(error) => panic!("{context}: {error}"),
                Ok((journal, _)) => {
                    drop(journal);
                    false
                }
            };
            refusals += usize::from(is_refused);
            vfs.heal();
            let (journal, _) = open(&vfs, small());
            let found = messages(&journal).await;
            if is_refused || fault == Fault::TooManyOpen {
                assert_eq!(found, texts, "{context}");
            }
            assert!(found.iter().all(|text| texts.contains(text)), "{context}");
            let missing = (texts.len() - found.len()) as u64;
            let gap = texts.iter().zip(&found).take_while(|(one, other)| one == other).count();
            if gap < found.len() {
                assert_eq!(journal.status().damaged, missing, "{context}");
            }
            assert_books_balance(&journal).await;
        }
        assert!(refusals > 0, "{fault:?} was never told");
    }
}

/// S-026: readers without a file descriptor get an error, and everything once there is one.
#[tokio::test]
async fn a_read_without_descriptors_fails_and_loses_nothing() {
    let (disk, texts) = killed().await;
    let (journal, _) = open(&disk, small());
    disk.fail_from(Call::Open, 1, Fault::TooManyOpen);
    match journal.read(journal.oldest(), 1 << 20).await {
        Err(ReadError::Io(why)) => assert!(why.contains("opening"), "{why}"),
        other => panic!("{other:?}"),
    }
    disk.heal();
    assert_eq!(messages(&journal).await, texts);
    assert_eq!(journal.status().damaged, 0);
}

/// S-020: a bit that is wrong in what the medium gives back costs what its checksum covers, and
/// never gives wrong data.
#[tokio::test]
async fn a_bit_flipped_in_any_read_gives_no_wrong_event() {
    let (disk, texts) = killed().await;
    for nth in 1.. {
        let vfs = disk.snapshot();
        vfs.fail(Call::Read, nth, Fault::Flip);
        let (journal, _) = open(&vfs, small());
        let found = messages(&journal).await;
        assert!(found.iter().all(|text| texts.contains(text)), "read {nth}: {found:?}");
        // What was counted may have been read since: the medium has it after all.
        let status = journal.status();
        assert!(found.len() as u64 + status.damaged >= status.appended, "read {nth}: {status:?}");
        if vfs.hits() == 0 {
            assert_eq!(found, texts);
            return;
        }
    }
}
