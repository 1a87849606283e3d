use std::sync::Arc;

use logmon_core::{Event as _, Journal as _, Log, NewBatch};

use super::*;
use crate::vfs::memory::MemoryVfs;

fn open(vfs: &MemoryVfs, config: JournalConfig) -> (DiskJournal, RecoveryReport) {
    DiskJournal::open_in(Arc::new(vfs.clone()), config).unwrap()
}

fn batch(text: &str) -> NewBatch {
    Log::new(text).to_batch().unwrap()
}

/// All messages from the oldest to the head.
async fn messages(journal: &DiskJournal) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = journal.oldest();
    while let Some(group) = journal.read(at, 1 << 20).await.unwrap() {
        let from = group.index_of(at.seq);
        found.extend(group.iter().skip(from).map(|log| log.message().into_owned()));
        at = group.end();
    }
    assert_eq!(at.seq, journal.head().seq);
    found
}

#[tokio::test]
async fn appends_read_back_before_and_after_opening_again() {
    let vfs = MemoryVfs::new();
    let (journal, report) = open(&vfs, JournalConfig::default());
    assert_eq!(report.next_seq, 1);
    let first = journal.append(batch("a")).await.unwrap();
    journal.append(batch("b")).await.unwrap();
    assert_eq!(journal.oldest(), first.first);
    assert_eq!(messages(&journal).await, ["a", "b"]);
    drop(journal);
    let (journal, report) = open(&vfs, JournalConfig::default());
    assert_eq!((report.next_seq, report.damages.len()), (3, 0));
    assert_eq!(messages(&journal).await, ["a", "b"]);
    journal.append(batch("c")).await.unwrap();
    assert_eq!(messages(&journal).await, ["a", "b", "c"]);
    assert_eq!(journal.oldest(), first.first);
}
