use std::future::Future as _;
use std::sync::Arc;
use std::time::Duration;

use logmon_core::{AppendError, Event as _, Journal as _, Log, NewBatch, Position, ReadError};

use super::*;
use crate::vfs::memory::{Call, Fault, MemoryVfs};

mod clock;
mod compressed;
mod crafted;
mod cursors;
mod damage;
mod directory;
mod faults;
mod format;
mod lasting_faults;
mod ledger;
mod model;
mod power;
mod random_faults;
mod read_faults;
mod retention;
mod seen_chunks;
mod staging;

fn config() -> JournalConfig {
    JournalConfig { full_retry: Duration::from_millis(1), ..JournalConfig::default() }
}

/// So small that nearly every append begins a segment, and that nothing stays in memory.
fn small() -> JournalConfig {
    JournalConfig { segment_bytes: 600, tail_bytes: 0, ..config() }
}

fn open(vfs: &MemoryVfs, config: JournalConfig) -> (DiskJournal, RecoveryReport) {
    DiskJournal::open_in(Arc::new(vfs.clone()), config).unwrap()
}

/// The names of the segments.
fn segments(vfs: &MemoryVfs) -> Vec<String> {
    vfs.names().into_iter().filter(|name| segment::number_of(name).is_some()).collect()
}

fn batch(text: &str) -> NewBatch {
    Log::new(text).to_batch().unwrap()
}

/// All messages from a position to the head, with their numbers, by reads of so many bytes.
async fn numbered(journal: &DiskJournal, mut at: Position, bytes: usize) -> Vec<(u64, String)> {
    let mut found: Vec<(u64, String)> = Vec::new();
    while let Some(group) = journal.read(at, bytes).await.unwrap() {
        assert!(group.end_seq() > at.seq, "a read gets on");
        let from = group.index_of(at.seq);
        found.extend(group.iter().skip(from).map(|log| (log.seq(), log.message().into_owned())));
        at = group.end();
    }
    assert_eq!(at.seq, journal.head().seq);
    assert!(found.is_sorted_by(|one, next| one.0 < next.0), "each number once, in order");
    found
}

async fn messages(journal: &DiskJournal) -> Vec<String> {
    let found = numbered(journal, journal.oldest(), 1 << 20).await;
    found.into_iter().map(|(_, text)| text).collect()
}

/// Appended events are kept, expired or damaged.
async fn assert_books_balance(journal: &DiskJournal) {
    let kept = messages(journal).await.len() as u64;
    let status = journal.status();
    let expired = status.expired.by_age + status.expired.by_size;
    assert_eq!(status.appended, kept + expired + status.damaged, "{status:?}");
    let ledger = journal.ledger();
    assert_eq!((ledger.kept, ledger.residue()), (kept, 0), "{ledger:?}");
}

#[tokio::test]
async fn appends_read_back_before_and_after_opening_again() {
    let vfs = MemoryVfs::new();
    let (journal, report) = open(&vfs, config());
    assert_eq!(report.next_seq, 1);
    let first = journal.append(batch("a")).await.unwrap();
    journal.append(batch("b")).await.unwrap();
    assert_eq!(journal.oldest(), first.first);
    assert_eq!(messages(&journal).await, ["a", "b"]);
    drop(journal);
    let (journal, report) = open(&vfs, config());
    assert_eq!((report.next_seq, report.damages.len()), (3, 0));
    assert_eq!(messages(&journal).await, ["a", "b"]);
    journal.append(batch("c")).await.unwrap();
    assert_eq!(messages(&journal).await, ["a", "b", "c"]);
    assert_eq!(journal.oldest(), first.first);
    assert_books_balance(&journal).await;
}

#[tokio::test]
async fn a_batch_keeps_everything_it_was_appended_with() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, small());
    let fields = logmon_core::FieldMap::new(&["l"], &["m"], &["s"]).unwrap();
    let received = Timestamp::from_seconds(1_700_000_000, 5).unwrap();
    let mut reading = logmon_core::Reading::new(Arc::new(fields), received);
    reading.time_unit = logmon_core::TimeUnit::Auto;
    // [1700000000123 (ms), {"l": "error", "m": "hi", "s": "web", "k": 1}], [0, {}]
    let mut payload = vec![0x92, 0xcf];
    payload.extend_from_slice(&1_700_000_000_123_u64.to_be_bytes());
    payload.extend_from_slice(b"\x84\xa1l\xa5error\xa1m\xa2hi\xa1s\xa3web\xa1k\x01\x92\x00\x80");
    let entries = logmon_core::Entries::read(payload.into(), &reading).unwrap();
    let mut batch = NewBatch::new("app.日本".into(), entries);
    batch.route = logmon_core::RouteSet::from_number(7);
    let at = journal.append(batch).await.unwrap().first;
    let written = journal.read(at, 1).await.unwrap().unwrap();
    drop(journal);
    let (journal, _) = open(&vfs, small());
    let read = journal.read(at, 1).await.unwrap().unwrap();
    assert_eq!((read.epoch(), read.first_seq(), read.end_seq()), (at.epoch, at.seq, at.seq + 2));
    for (one, other) in written.iter().zip(read.iter()) {
        assert_eq!(one.to_log(), other.to_log());
        assert_eq!(one.id(), other.id());
    }
    assert_eq!(read.get(0).unwrap().message(), "hi");
    assert_eq!(read.get(0).unwrap().timestamp().as_nanos(), 1_700_000_000_123_000_000);
    assert_eq!(read.batches().next().unwrap().route().number(), 7);
}

/// Events of another journal keep their ids over a restart, and are not found under ids of this one.
#[tokio::test]
async fn foreign_events_come_back_as_they_were() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, small());
    let first = logmon_core::EventId::new(Epoch::from_bytes([9; 7]), 7);
    let foreign = |text: &str| NewBatch::foreign("app".into(), batch(text).entries, first);
    let at = journal.append(foreign("of another")).await.unwrap().first;
    journal.append(batch("own")).await.unwrap();
    drop(journal);
    let (journal, report) = open(&vfs, small());
    assert_eq!(report.damages.len(), 0);
    let read = journal.read(at, 1).await.unwrap().unwrap();
    let log = read.get(0).unwrap();
    assert_eq!((&*log.message(), log.is_foreign(), log.id()), ("of another", true, first));
    assert_eq!(log.batch().route(), logmon_core::RouteSet::LIVE);
    let view = journal.view();
    assert!(view.find(logmon_core::EventId::new(at.epoch, at.seq)).unwrap().is_none());
    let own = logmon_core::EventId::new(at.epoch, at.seq + 1);
    assert_eq!(
        view.find(own).unwrap().map(|(group, at)| group.get(at).unwrap().is_foreign()),
        Some(false)
    );
}

// Group commit: what arrives during an fsync shares the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_share_one_fsync() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    vfs.hold_syncs();
    let first = journal.append(batch("first"));
    vfs.wait_for_sync();
    let before = vfs.calls(Call::Sync);
    let many: Vec<_> = (0..100).map(|n| journal.append(batch(&n.to_string()))).collect();
    vfs.release_syncs();
    first.await.unwrap();
    for (n, commit) in many.into_iter().enumerate() {
        assert_eq!(commit.await.unwrap().first.seq, 2 + n as u64);
    }
    assert_eq!(vfs.calls(Call::Sync) - before, 1);
    assert_eq!(messages(&journal).await.len(), 101);
}

#[tokio::test]
async fn nothing_is_visible_or_promised_before_its_fsync() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let head = journal.head();
    vfs.hold_syncs();
    let mut commit = tokio::task::unconstrained(journal.append(batch("a")));
    vfs.wait_for_sync();
    let poll = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut commit).poll(cx).is_pending())
    });
    assert!(poll.await);
    assert_eq!(journal.head(), head);
    assert!(journal.read(head, 1).await.unwrap().is_none());
    vfs.release_syncs();
    commit.await.unwrap();
    assert_eq!(journal.head().seq, head.seq + 1);
}

#[tokio::test]
async fn a_full_queue_refuses_and_takes_again() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { queue_bytes: 2000, ..config() });
    vfs.hold_syncs();
    let first = journal.append(batch("first"));
    vfs.wait_for_sync();
    let second = journal.append(batch("second"));
    match journal.append(batch(&"x".repeat(2000))).await {
        Err(AppendError::Busy { queued_bytes }) => assert!(queued_bytes > 0),
        other => panic!("{other:?}"),
    }
    vfs.release_syncs();
    first.await.unwrap();
    second.await.unwrap();
    // Beyond the limit by itself: taken while nothing else waits.
    journal.append(batch(&"x".repeat(4000))).await.unwrap();
    assert_eq!(journal.status().queued_bytes, 0);
}

/// S-019: while something waits for a slow disk for too long, nothing more is taken.
#[tokio::test]
async fn a_slow_disk_refuses_until_what_waits_is_durable() {
    let vfs = MemoryVfs::new();
    let max_commit_delay = Duration::from_millis(5);
    let (journal, _) = open(&vfs, JournalConfig { max_commit_delay, ..config() });
    vfs.hold_syncs();
    let begun = Instant::now();
    let first = journal.append(batch("first"));
    let mut taken = Vec::new();
    loop {
        let mut commit = journal.append(batch("more"));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(&mut commit).poll(&mut cx) {
            std::task::Poll::Pending => taken.push(commit),
            std::task::Poll::Ready(Err(AppendError::Busy { .. })) => break,
            std::task::Poll::Ready(other) => panic!("{other:?}"),
        }
        std::thread::yield_now();
    }
    assert!(begun.elapsed() > max_commit_delay);
    assert!(!taken.is_empty());
    vfs.release_syncs();
    first.await.unwrap();
    for commit in taken {
        commit.await.unwrap();
    }
    journal.append(batch("last")).await.unwrap();
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_wakes_who_waits() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { durability: Durability::None, ..config() });
    let commits: Vec<_> = (0..10).map(|n| journal.append(batch(&n.to_string()))).collect();
    let beyond = journal.head().seq + 100;
    let waiting = journal.advanced(beyond);
    journal.close();
    waiting.await;
    for commit in commits {
        commit.await.unwrap();
    }
    assert!(matches!(journal.append(batch("late")).await, Err(AppendError::Closed)));
    assert_eq!(journal.status().state, JournalState::Closed);
    // Reading goes on, and another may have the directory.
    assert_eq!(messages(&journal).await.len(), 10);
    let (again, _) = open(&vfs.power_cut(0), config());
    assert_eq!(messages(&again).await.len(), 10);
    let (again, _) = open(&vfs, config());
    drop(again);
}

// S-022
#[test]
fn a_second_opening_is_refused_with_the_owner() {
    let vfs = MemoryVfs::new();
    let (_journal, _) = open(&vfs, config());
    let refused = DiskJournal::open_in(Arc::new(vfs.clone()), config()).unwrap_err();
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
}

#[tokio::test]
async fn positions_survive_openings_and_tell_other_journals() {
    let vfs = MemoryVfs::new();
    let mut positions = Vec::new();
    for n in 0..5 {
        let (journal, _) = open(&vfs, small());
        positions.push((journal.head(), n));
        // The third opening appends nothing, and its positions hold all the same.
        if n != 2 {
            positions.push((journal.append(batch(&n.to_string())).await.unwrap().first, n));
        }
        for (position, first) in &positions {
            let found = numbered(&journal, *position, 1).await;
            let expected = (*first..=n).filter(|n| *n != 2).map(|n| n.to_string());
            assert!(found.into_iter().map(|(_, text)| text).eq(expected));
        }
    }
    let (journal, _) = open(&vfs, small());
    let other = Position { epoch: Epoch::from_bytes([9; 7]), seq: 1 };
    assert!(matches!(journal.read(other, 1).await, Err(ReadError::Foreign)));
    let beyond = Position { seq: 99, ..journal.head() };
    assert!(matches!(journal.read(beyond, 1).await, Err(ReadError::Diverged { .. })));
}

// What durability `none` promised and a power cut took is recognised by its epoch.
#[tokio::test]
async fn positions_of_a_lost_tail_diverge() {
    let vfs = MemoryVfs::new();
    let config = JournalConfig { durability: Durability::None, ..config() };
    let (journal, _) = open(&vfs, config.clone());
    let start = journal.head();
    journal.append(batch("lost")).await.unwrap();
    let seen = journal.head();
    let after = vfs.power_cut(0);
    let (journal, _) = open(&after, config);
    journal.append(batch("new")).await.unwrap();
    match journal.read(seen, 1).await {
        Err(ReadError::Diverged { resume }) => {
            assert_eq!(resume, start);
            let found = numbered(&journal, resume, 1).await;
            assert_eq!(found, [(1, "new".to_owned())]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_interval_syncs_by_its_deadline_without_further_appends() {
    let vfs = MemoryVfs::new();
    let durability = Durability::Interval(Duration::from_millis(1));
    let (journal, _) = open(&vfs, JournalConfig { durability, ..config() });
    vfs.hold_syncs();
    journal.append(batch("a")).await.unwrap();
    // Returns when the writer has come round to it by itself.
    vfs.wait_for_sync();
    vfs.release_syncs();
    journal.close();
    let (journal, _) = open(&vfs.power_cut(0), config());
    assert_eq!(messages(&journal).await, ["a"]);
}

#[test]
fn works_in_a_directory_without_a_runtime() {
    let dir = tempfile::tempdir().unwrap();
    let wait = |journal: &DiskJournal, text: &str| {
        // A runtime that is gone again before anything is read.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(journal.append(batch(text))).unwrap();
    };
    let (journal, _) = DiskJournal::open(dir.path(), small()).unwrap();
    (0..20).for_each(|n| wait(&journal, &n.to_string()));
    drop(journal);
    let (journal, report) = DiskJournal::open(dir.path(), small()).unwrap();
    assert!(report.damages.is_empty());
    let mut read = journal.read(journal.oldest(), 1);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match read.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(Ok(Some(group))) => assert_eq!(group.first_seq(), 1),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_no_frame_can_hold_is_refused() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let mut big = batch("x");
    big.tag = "t".repeat(17 << 20).into();
    assert!(matches!(journal.append(big).await, Err(AppendError::TooLarge { .. })));
    let mut none = batch("x");
    none.entries = logmon_core::Entries::read(
        Vec::new().into(),
        &logmon_core::Reading::new(Arc::default(), Timestamp::EPOCH),
    )
    .unwrap();
    assert_eq!(journal.append(none).await.unwrap().end_seq, journal.head().seq);
    journal.append(batch("x")).await.unwrap();
    assert_eq!(messages(&journal).await, ["x"]);
}

// Readers follow the head from memory and from disk while many append.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_follow_see_every_event_once() {
    const WRITERS: usize = 8;
    const EACH: usize = 50;
    let vfs = MemoryVfs::new();
    let tail = JournalConfig { segment_bytes: 5000, tail_bytes: 2000, ..config() };
    let journal = Arc::new(open(&vfs, tail).0);
    let start = journal.head();
    let follow = |journal: Arc<DiskJournal>| async move {
        let (mut at, mut found) = (start, Vec::new());
        while found.len() < WRITERS * EACH {
            journal.advanced(at.seq).await;
            while let Some(group) = journal.read(at, 3000).await.unwrap() {
                let from = group.index_of(at.seq);
                found.extend(group.iter().skip(from).map(|log| log.message().into_owned()));
                at = group.end();
            }
        }
        found
    };
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(follow(journal.clone()))).collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    journal.append(batch(&format!("{writer} {n:03}"))).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let expected: Vec<String> =
        (0..WRITERS).flat_map(|w| (0..EACH).map(move |n| format!("{w} {n:03}"))).collect();
    for reader in readers {
        let mut found = reader.await.unwrap();
        // Of one writer in order; a stable sort by writer shows it.
        found.sort_by(|one, other| one.as_bytes()[0].cmp(&other.as_bytes()[0]));
        assert_eq!(found, expected);
    }
}
