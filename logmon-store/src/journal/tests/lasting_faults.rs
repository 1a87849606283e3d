//! Faults that last: from some call on until the disk is well again, or for ever.

use std::io;

use super::*;

fn limits() -> JournalConfig {
    let retention = Retention { max_bytes: 4000, max_age: None };
    JournalConfig { retention, segment_bytes: 1000, ..small() }
}

fn text(n: usize) -> String {
    format!("{n:0200}")
}

/// Everything from some place in `promised` on, without holes, and perhaps more behind it.
fn assert_newest(found: &[String], promised: &[String], context: &str) {
    let Some(newest) = promised.last() else { return };
    let from = found.first().and_then(|first| promised.iter().position(|p| p == first));
    let from = from.unwrap_or_else(|| panic!("{context}: {newest} is gone: {found:?}"));
    assert!(found.starts_with(&promised[from..]), "{context}: {found:?}");
}

/// S-014, S-015, S-016, S-026: from any call on there is no space, or no file descriptor. Nothing
/// is refused, and everything goes on once there is.
#[tokio::test]
async fn what_the_system_runs_out_of_is_waited_for_from_any_call_on() {
    // One group may hold all that waited.
    let config = JournalConfig { segment_bytes: 1000, ..small() };
    for fault in [Fault::Full, Fault::TooManyOpen] {
        let mut waits = 0;
        for nth in 1.. {
            let vfs = MemoryVfs::new();
            vfs.fail_from(Call::Any, nth, fault);
            let context = format!("{fault:?} from call {nth} on");
            let opened = DiskJournal::open_in(Arc::new(vfs.clone()), config.clone());
            let Ok((journal, _)) = opened else {
                vfs.heal();
                continue;
            };
            let commits: Vec<_> = (0..20).map(|n| journal.append(batch(&text(n)))).collect();
            let (is_healed, mut promised) = (vfs.hits() == 0, Vec::new());
            for (n, commit) in commits.into_iter().enumerate() {
                match settled(commit, &journal, &vfs).await {
                    Ok(_) => promised.push(text(n)),
                    // A sync that says the disk is full is final.
                    Err(AppendError::Poisoned(why)) => assert!(why.contains("sync"), "{why}"),
                    Err(error) => panic!("{context}: {error}"),
                }
            }
            waits += usize::from(!is_healed);
            if matches!(journal.status().state, JournalState::Ok) {
                assert_eq!(promised.len(), 20, "{context}");
            }
            assert_newest(&messages(&journal).await, &promised, &context);
            assert_books_balance(&journal).await;
            for after in [vfs.snapshot(), vfs.power_cut(0), vfs.power_cut(nth as u64)] {
                let (journal, _) = open(&after, config.clone());
                assert_newest(&messages(&journal).await, &promised, &context);
            }
            if vfs.hits() == 0 {
                break;
            }
        }
        assert!(waits > 0, "{fault:?} was never waited out");
    }
}

/// The outcome of an append; the disk is well again once the journal waits for it.
async fn settled(
    mut commit: Commit,
    journal: &DiskJournal,
    vfs: &MemoryVfs,
) -> Result<Committed, AppendError> {
    loop {
        tokio::select! {
            biased;
            outcome = &mut commit => return outcome,
            () = tokio::task::yield_now() => {}
        }
        if matches!(journal.status().state, JournalState::Full(_)) {
            vfs.heal();
        }
    }
}

/// S-017: from any call on the file system is read-only. What was promised can be read, nothing
/// more is taken, and the state says why.
#[tokio::test]
async fn a_file_system_that_becomes_read_only_is_read() {
    for nth in 1.. {
        let vfs = MemoryVfs::new();
        vfs.fail_from(Call::Any, nth, Fault::ReadOnly);
        let context = format!("read-only from call {nth} on");
        let (journal, promised) = match DiskJournal::open_in(Arc::new(vfs.clone()), limits()) {
            Err(OpenError::Io { source, .. }) => {
                assert_eq!(source.kind(), io::ErrorKind::ReadOnlyFilesystem, "{context}");
                continue;
            }
            Err(error) => panic!("{error}"),
            Ok((journal, _)) => {
                let mut promised = Vec::new();
                for n in 0..20 {
                    match journal.append(batch(&text(n))).await {
                        Ok(_) => promised.push(text(n)),
                        Err(AppendError::Poisoned(why)) => {
                            assert!(why.contains("read-only"), "{context}: {why}");
                        }
                        Err(error) => panic!("{context}: {error}"),
                    }
                }
                (journal, promised)
            }
        };
        assert_newest(&messages(&journal).await, &promised, &context);
        assert_books_balance(&journal).await;
        if vfs.hits() == 0 {
            assert_eq!(promised.len(), 20);
            return;
        }
        // One that fails only to remove what retention has forgotten may go on.
        if promised.len() < 20 {
            let state = journal.status().state;
            let is_told =
                matches!(&state, JournalState::Poisoned(why) if why.contains("read-only"));
            assert!(is_told, "{context}: {state:?}");
        }
        drop(journal);
        vfs.heal();
        let (journal, _) = open(&vfs, limits());
        assert_newest(&messages(&journal).await, &promised, &context);
        journal.append(batch("on")).await.unwrap();
    }
}

/// S-012: syncs say they saved something and did not. What a power cut takes then is found at the
/// next opening: the missing events have no numbers, or a gap that is reported; none is invented
/// and none is found twice.
#[tokio::test]
async fn what_lying_syncs_lose_is_no_silent_hole() {
    let mut lost = 0;
    for nth in 1..60 {
        for seed in [0, 1, 2, 3] {
            let vfs = MemoryVfs::new();
            let (journal, _) = open(&vfs, limits());
            vfs.fail_from(Call::Sync, nth, Fault::Lie);
            let mut promised = Vec::new();
            for n in 0..15 {
                journal.append(batch(&text(n))).await.unwrap();
                promised.push(text(n));
            }
            let after = vfs.power_cut(seed * 7919);
            drop(journal);
            let (journal, report) = open(&after, limits());
            let found = messages(&journal).await;
            let context = format!("sync {nth}, seed {seed}: {report:?}, {found:?}");
            assert!(found.iter().all(|text| promised.contains(text)), "{context}");
            assert_books_balance(&journal).await;
            let at = |text: &String| promised.iter().position(|p| p == text).unwrap();
            let is_gap = |pair: &[String]| at(&pair[0]) + 1 != at(&pair[1]);
            let has_gap = found.windows(2).any(is_gap);
            if has_gap {
                assert!(journal.status().damaged > 0, "{context}");
                assert!(!report.damages.is_empty(), "{context}");
            }
            lost += usize::from(found.last() != promised.last());
            journal.append(batch("on")).await.unwrap();
            assert_eq!(messages(&journal).await.last().unwrap(), "on", "{context}");
        }
    }
    assert!(lost > 0, "nothing was lost, so nothing was shown");
}
