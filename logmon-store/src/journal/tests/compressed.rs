//! Batches that are stored as they came compressed. The journal part of F-153.

use logmon_core::{Codec, Compressed, Entries, FieldMap, Group, Reading};

use super::*;
use crate::journal::codec::tests::compress;

/// A batch of events that came compressed.
fn compressed(codec: Codec, texts: &[String]) -> NewBatch {
    let mut batch = plain(texts);
    let bytes = compress(codec, batch.entries.payload()).into();
    batch.compressed = Some(Compressed { codec, bytes });
    batch
}

fn plain(texts: &[String]) -> NewBatch {
    let entries = texts.iter().map(|text| batch(text).entries.payload().to_vec());
    let payload = entries.collect::<Vec<_>>().concat();
    let reading = Reading::new(Arc::default(), Timestamp::EPOCH);
    NewBatch::new("app".into(), Entries::read(payload.into(), &reading).unwrap())
}

fn texts(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}{n}:{}", "c".repeat(200))).collect()
}

/// What each batch of a group came as.
fn forms(group: &Group) -> Vec<Option<Compressed>> {
    group.batches().map(|batch| batch.compressed().cloned()).collect()
}

async fn everything(journal: &DiskJournal) -> (Vec<String>, Vec<Option<Compressed>>) {
    let (mut at, mut found) = (journal.oldest(), Vec::new());
    while let Some(group) = journal.read(at, 1 << 20).await.unwrap() {
        found.extend(forms(&group));
        at = group.end();
    }
    (messages(journal).await, found)
}

#[tokio::test]
async fn a_compressed_batch_is_stored_and_passed_on_as_it_came() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    // All in one group: the write waits for the first.
    vfs.hold_syncs();
    let first = journal.append(batch("first"));
    vfs.wait_for_sync();
    let mut other = compressed(Codec::Gzip, &texts("g", 20));
    let fields = FieldMap::new(&["l"], &["message"], &["s"]).unwrap();
    let reading = Reading::new(Arc::new(fields), Timestamp::EPOCH);
    other.entries = Entries::read(other.entries.payload().clone(), &reading).unwrap();
    let batches = [
        plain(&texts("p", 3)),
        compressed(Codec::Zstd, &texts("z", 30)),
        other,
        plain(&texts("q", 2)),
        compressed(Codec::Zstd, &texts("y", 30)),
    ];
    let commits = batches.clone().map(|batch| journal.append(batch));
    vfs.release_syncs();
    first.await.unwrap();
    for commit in commits {
        commit.await.unwrap();
    }
    let mut expected_forms = vec![None];
    expected_forms.extend(batches.iter().map(|batch| batch.compressed.clone()));
    let names = [("p", 3), ("z", 30), ("g", 20), ("q", 2), ("y", 30)];
    let mut expected = vec!["first".to_owned()];
    expected.extend(names.iter().flat_map(|(name, count)| texts(name, *count)));
    // From memory, and from the disk after a power cut.
    assert_eq!(everything(&journal).await, (expected.clone(), expected_forms.clone()));
    let packed: usize = batches.iter().map(|batch| batch.entries.payload().len()).sum();
    assert!(journal.status().bytes * 4 < packed as u64, "{}", journal.status().bytes);
    let (journal, report) = open(&vfs.power_cut(0), small());
    assert_eq!(report.damages, []);
    assert_eq!(everything(&journal).await, (expected, expected_forms));
    assert_books_balance(&journal).await;
}

#[tokio::test]
async fn what_compression_does_not_shrink_is_stored_plain() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    journal.append(compressed(Codec::Gzip, &["x".to_owned()])).await.unwrap();
    let bytes = journal.status().bytes;
    journal.append(plain(&["x".to_owned()])).await.unwrap();
    let (journal, _) = open(&vfs.power_cut(0), config());
    assert_eq!(everything(&journal).await, (vec!["x".to_owned(); 2], vec![None; 2]));
    assert!(bytes < 600, "{bytes}");
}

// Memory is bounded by what a payload becomes, not by what it takes on the disk.
#[tokio::test]
async fn reads_count_what_payloads_become() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { tail_bytes: 0, ..config() });
    for _ in 0..20 {
        journal.append(compressed(Codec::Zstd, &texts("z", 100))).await.unwrap();
    }
    let (journal, _) = open(&vfs.power_cut(0), config());
    let (mut at, mut groups) = (journal.oldest(), 0);
    while let Some(group) = journal.read(at, 60_000).await.unwrap() {
        assert!(group.memory() < 100_000, "{}", group.memory());
        groups += 1;
        at = group.end();
    }
    assert!(groups >= 7, "{groups}");
}

// a payload that does not become what its header says is damage, and its neighbours live.
#[tokio::test]
async fn a_form_of_other_events_is_damage() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let bomb = compress(codec, &vec![0x80; 1 << 20]);
        let wrong = [bomb, b"no such thing".to_vec(), compress(codec, b""), Vec::new()];
        for bytes in wrong {
            let vfs = MemoryVfs::new();
            let (journal, _) = open(&vfs, small());
            journal.append(batch("before")).await.unwrap();
            let mut lying = plain(&texts("l", 30));
            lying.compressed = Some(Compressed { codec, bytes: bytes.into() });
            journal.append(lying).await.unwrap();
            journal.append(compressed(codec, &texts("z", 3))).await.unwrap();
            drop(journal);
            let (journal, _) = open(&vfs, small());
            let mut expected = vec!["before".to_owned()];
            expected.extend(texts("z", 3));
            assert_eq!(messages(&journal).await, expected);
            assert_eq!(journal.status().damaged, 30);
            assert_books_balance(&journal).await;
        }
    }
}
