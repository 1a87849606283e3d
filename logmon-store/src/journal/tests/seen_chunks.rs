//! Chunks are known after a restart. The journal part of F-078.

use logmon_core::{Entries, Fingerprint, Reading, SeenChunk};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds, 0).unwrap()
}

fn seen(n: u8, seconds: i64) -> SeenChunk {
    SeenChunk { digest: [n; 16], received: at(seconds) }
}

/// A batch with the chunk `n`, received at an instant.
fn chunk(n: u8, seconds: i64) -> NewBatch {
    let payload = Log::new("c".repeat(300)).to_batch().unwrap().entries.payload().clone();
    let reading = Reading::new(Arc::default(), at(seconds));
    let mut batch = NewBatch::new("app".into(), Entries::read(payload, &reading).unwrap());
    batch.fingerprints = vec![Fingerprint { first: 0, digest: [n; 16] }];
    batch
}

async fn digests(journal: &DiskJournal, seconds: i64) -> Vec<u8> {
    let chunks = journal.chunks_since(at(seconds)).await.unwrap();
    chunks.iter().map(|chunk| chunk.digest[0]).collect()
}

fn chunk_files(vfs: &MemoryVfs) -> Vec<String> {
    vfs.names().into_iter().filter(|name| chunks::number_of(name).is_some()).collect()
}

/// Ten chunks, one each second, in several segments.
async fn ten_chunks(vfs: &MemoryVfs, config: JournalConfig) -> DiskJournal {
    let (journal, _) = open(vfs, config);
    for n in 0..10 {
        vfs.set_now(at(n.into()));
        journal.append(chunk(n, n.into())).await.unwrap();
    }
    journal
}

#[tokio::test]
async fn chunks_are_known_in_the_order_they_came() {
    let vfs = MemoryVfs::new();
    let journal = ten_chunks(&vfs, small()).await;
    let all: Vec<SeenChunk> = (0..10).map(|n| seen(n, n.into())).collect();
    assert_eq!(journal.chunks_since(at(-5)).await.unwrap(), all);
    assert_eq!(digests(&journal, 7).await, [7, 8, 9]);
    let killed = vfs.snapshot();
    drop(journal);
    // After a kill the newest segment has no file yet; after a good end it has.
    assert_eq!(chunk_files(&killed).len() + 1, chunk_files(&vfs).len());
    for after in [killed.clone(), killed.power_cut(0), vfs.snapshot(), vfs.power_cut(3)] {
        let (journal, _) = open(&after, small());
        assert_eq!(journal.chunks_since(at(-5)).await.unwrap(), all);
        assert_eq!(digests(&journal, 7).await, [7, 8, 9]);
        journal.append(chunk(10, 9)).await.unwrap();
        assert_eq!(digests(&journal, 8).await, [8, 9, 10]);
    }
}

#[tokio::test]
async fn a_missing_or_damaged_file_is_made_up_for_by_its_segment() {
    let vfs = MemoryVfs::new();
    drop(ten_chunks(&vfs, small()).await);
    let files = chunk_files(&vfs);
    assert!(files.len() > 3, "{files:?}");
    for name in &files {
        for change in 0..4 {
            let after = vfs.snapshot();
            let mut bytes = after.take(name).unwrap();
            match change {
                0 => {}
                1 => after.put(name, Vec::new()),
                2 => {
                    bytes.truncate(bytes.len() - 10);
                    after.put(name, bytes);
                }
                _ => {
                    bytes[20] ^= 1;
                    after.put(name, bytes);
                }
            }
            let (journal, report) = open(&after, small());
            assert_eq!(report.damages, []);
            assert_eq!(digests(&journal, 0).await, (0..10).collect::<Vec<u8>>(), "{name}");
        }
    }
}

// A file of another journal, or of another time, says nothing.
#[tokio::test]
async fn a_file_of_another_epoch_is_not_believed() {
    let vfs = MemoryVfs::new();
    drop(ten_chunks(&vfs, small()).await);
    let forged = chunks::encode(1, Epoch::from_bytes([9; 7]), &[seen(77, 5)]);
    vfs.put(&chunks::file_name(1), forged);
    let gone = chunks::encode(999, Epoch::from_bytes([9; 7]), &[seen(78, 5)]);
    vfs.put(&chunks::file_name(999), gone);
    let (journal, _) = open(&vfs, small());
    assert_eq!(digests(&journal, 0).await, (0..10).collect::<Vec<u8>>());
}

#[tokio::test]
async fn chunks_outlive_their_segment_until_they_are_old() {
    let vfs = MemoryVfs::new();
    let retention = Retention { max_bytes: 1, max_age: None };
    let few = JournalConfig { retention, ..small() };
    let journal = ten_chunks(&vfs, small()).await;
    let killed = vfs.snapshot();
    drop(journal);
    // The newest segment of the killed one goes before it ever had a file.
    killed.take(&chunk_files(&killed)[1]);
    for after in [killed, vfs.snapshot()] {
        let (journal, _) = open(&after, few.clone());
        assert_eq!(segments(&after).len(), 1);
        assert_eq!(digests(&journal, 0).await, (0..10).collect::<Vec<u8>>());
        // A restart later everything is as it was.
        drop(journal);
        let (journal, _) = open(&after, few.clone());
        assert_eq!(digests(&journal, 0).await, (0..10).collect::<Vec<u8>>());
        after.set_now(at(14 * 60));
        journal.append(chunk(50, 14 * 60)).await.unwrap();
        journal.append(chunk(51, 14 * 60)).await.unwrap();
        assert_eq!(digests(&journal, 0).await.len(), 12);
        // Written at the restart, so 15 minutes from then, and a segment that begins.
        after.set_now(at(31 * 60));
        journal.append(chunk(60, 31 * 60)).await.unwrap();
        journal.append(chunk(61, 31 * 60)).await.unwrap();
        assert_eq!(digests(&journal, 0).await, [60, 61]);
        assert!(chunk_files(&after).len() <= 3, "{:?}", chunk_files(&after));
    }
}

// A full or failing disk costs the file, not the journal.
#[tokio::test]
async fn chunks_are_never_a_reason_to_stop() {
    let vfs = MemoryVfs::new();
    let journal = ten_chunks(&vfs, small()).await;
    // The next create is that of a segment, the one behind it that of the file.
    vfs.fail(Call::Create, 2, Fault::Io);
    journal.append(chunk(10, 10)).await.unwrap();
    vfs.fail(Call::Create, 4, Fault::Full);
    journal.append(chunk(11, 11)).await.unwrap();
    journal.append(chunk(12, 12)).await.unwrap();
    assert_eq!(journal.status().state, JournalState::Ok);
    assert_eq!(digests(&journal, 0).await, (0..13).collect::<Vec<u8>>());
}

#[tokio::test]
async fn the_chunk_of_a_staged_message_is_known() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    journal.append(chunk(1, 1)).await.unwrap();
    let mut staging = journal.stage().await.unwrap();
    for _ in 0..9 {
        staging.push(chunk(0, 2)).await.unwrap();
    }
    let fingerprints =
        [2, 3].map(|n| Fingerprint { first: u32::from(n) - 2, digest: [n; 16] }).to_vec();
    staging.commit(fingerprints).await.unwrap();
    journal.append(chunk(4, 3)).await.unwrap();
    assert_eq!(digests(&journal, 0).await, [1, 2, 3, 4]);
    for after in [vfs.snapshot(), vfs.power_cut(0)] {
        assert_eq!(digests(&open(&after, config()).0, 2).await, [2, 3, 4]);
        for name in chunk_files(&after) {
            after.take(&name);
        }
        assert_eq!(digests(&open(&after, config()).0, 0).await, [1, 2, 3, 4]);
    }
}

/// F-078: a kill between writing and syncing, then a power cut. What an opening says is there, a
/// listener acknowledges when it is sent again; so it has to stay.
#[tokio::test]
async fn what_an_opening_finds_is_durable() {
    let vfs = MemoryVfs::new();
    vfs.set_now(at(0));
    let (journal, _) = open(&vfs, config());
    journal.append(chunk(0, 0)).await.unwrap();
    vfs.hold_syncs();
    let commit = journal.append(chunk(1, 0));
    vfs.wait_for_sync();
    let killed = vfs.killed();
    vfs.release_syncs();
    commit.await.unwrap();
    let (journal, _) = open(&killed, config());
    assert_eq!(digests(&journal, -5).await, [0, 1]);
    for seed in 0..4 {
        let (after, _) = open(&killed.power_cut(seed), config());
        assert_eq!(digests(&after, -5).await, [0, 1], "seed {seed}");
        assert_eq!(messages(&after).await.len(), 2, "seed {seed}");
    }
}

/// F-078: a listener may remember longer than the files of segments that are gone.
#[tokio::test]
async fn a_long_window_is_found_in_the_segments() {
    let vfs = MemoryVfs::new();
    vfs.set_now(at(0));
    let (journal, _) = open(&vfs, JournalConfig { segment_bytes: 1_500, ..small() });
    for (n, seconds) in [(0, 0), (1, 1_200), (2, 1_201), (3, 1_202), (4, 1_203)] {
        vfs.set_now(at(seconds));
        journal.append(chunk(n, seconds)).await.unwrap();
    }
    assert!(!chunk_files(&vfs).is_empty());
    assert_eq!(digests(&journal, -5).await, [0, 1, 2, 3, 4]);
    let (journal, _) = open(&vfs.snapshot(), small());
    assert_eq!(digests(&journal, -5).await, [0, 1, 2, 3, 4]);
    assert_eq!(digests(&journal, 1_000).await, [1, 2, 3, 4]);
}
