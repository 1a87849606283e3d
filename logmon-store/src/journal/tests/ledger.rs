//! The books, whatever happens to events and readers.

use std::sync::atomic::{AtomicBool, Ordering};

use logmon_core::hub::{Delivery, DropReason, Mode, Start, SubscribeOptions};
use logmon_core::{
    BoxFuture, Filter, Hub, LogRef, Quarantine, QuarantineError, Quarantined, Runner, RunnerConfig,
    Sink, SinkBatch, StartAt, Verdict, Verdicts,
};

use super::*;

/// Takes what it is given, but for some that it never can and some that it cannot yet.
#[derive(Debug, Default)]
struct Picky {
    delivered: Mutex<Vec<String>>,
    is_away: AtomicBool,
}

impl Sink for Picky {
    fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts> {
        let is_away = self.is_away.load(Ordering::Relaxed);
        let verdict = |log: LogRef<'_>| {
            let text = log.message().into_owned();
            if is_away {
                return Verdict::Retry;
            }
            if text.starts_with("bad") {
                return Verdict::Rejected("bad".into());
            }
            self.delivered.lock().unwrap().push(text);
            Verdict::Delivered
        };
        let verdicts = Verdicts::Each(batch.logs().map(verdict).collect());
        Box::pin(std::future::ready(verdicts))
    }
}

#[derive(Debug)]
struct Shelf;

impl Quarantine for Shelf {
    fn put(&self, _: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn runner(journal: &Arc<DiskJournal>, sink: &Arc<Picky>) -> Runner {
    let cursor = journal.cursor("output.a", HoldConfig::new(OnLag::DropOldest)).unwrap();
    let mut config = RunnerConfig::default();
    config.start = StartAt::Oldest;
    config.group_bytes = 1000;
    config.drain = Duration::ZERO;
    Runner::new(journal.clone(), sink.clone(), Arc::new(cursor), Arc::new(Shelf), config)
}

fn assert_residues(journal: &DiskJournal) -> CursorLedger {
    let ledger = journal.ledger();
    assert_eq!(ledger.residue(), 0, "{ledger:?}");
    let [cursor] = &*ledger.cursors else { panic!("{ledger:?}") };
    assert_eq!(cursor.ledger.residue(), 0, "{cursor:?}");
    cursor.ledger
}

/// Delivered, quarantined, lost to retention, lost to damage: over restarts each event is counted
/// once, by the journal and by the runner alike.
#[tokio::test(start_paused = true)]
async fn every_event_is_somewhere_over_restarts_damage_and_loss() {
    let config = JournalConfig { history_bytes: 0, segment_bytes: 1500, ..small() };
    let mut vfs = MemoryVfs::new();
    let sink = Arc::new(Picky::default());
    let (journal, _) = open(&vfs, config.clone());
    // A cursor that is saved before anything comes holds it all.
    {
        let journal = Arc::new(journal);
        runner(&journal, &sink).run(std::future::ready(())).await.unwrap();
        for n in 0..40 {
            let text = if n % 7 == 3 { format!("bad {n:0200}") } else { format!("{n:0200}") };
            journal.append(batch(&text)).await.unwrap();
        }
        assert_eq!(assert_residues(&journal).lag, 40);
    }
    // A frame in the middle of a segment goes bad.
    let vfs_names = segments(&vfs);
    let name = &vfs_names[3];
    let mut bytes = vfs.take(name).unwrap();
    let at = bytes.len() - 300;
    bytes[at] ^= 1;
    vfs.put(name, bytes);
    for round in 0..3 {
        let (journal, _) = open(&vfs, config.clone());
        let journal = Arc::new(journal);
        let runner = runner(&journal, &sink);
        // Only some of it each time.
        let stop = tokio::time::sleep(Duration::from_millis(1));
        let stop = async {
            if round < 2 {
                tokio::task::yield_now().await;
            } else {
                stop.await;
            }
        };
        runner.run(stop).await.unwrap();
        let books = assert_residues(&journal);
        assert_eq!(books.routed, 40);
        let figures = runner.stats().figures();
        assert_eq!(
            figures.routed,
            figures.delivered
                + figures.lag
                + figures.quarantined
                + figures.expired
                + figures.damaged
        );
        drop(runner);
        drop(journal);
        vfs = vfs.snapshot();
    }
    let (journal, _) = open(&vfs, config.clone());
    let books = assert_residues(&journal);
    assert_eq!((books.lag, books.dropped_lag), (0, 0));
    assert!(books.dropped_damaged > 0 && books.quarantined > 3, "{books:?}");
    drop(journal);
    lose_and_go_on(&vfs, config, &sink).await;
}

/// The sink is away until the journal is too large, and comes back.
async fn lose_and_go_on(vfs: &MemoryVfs, mut config: JournalConfig, sink: &Arc<Picky>) {
    sink.is_away.store(true, Ordering::Relaxed);
    config.retention.max_bytes = 6000;
    let (journal, _) = open(vfs, config);
    let journal = Arc::new(journal);
    let away = runner(&journal, sink);
    for n in 40..100 {
        journal.append(batch(&format!("{n:0200}"))).await.unwrap();
    }
    away.run(tokio::time::sleep(Duration::from_secs(1))).await.unwrap();
    assert!(assert_residues(&journal).dropped_lag > 20);
    drop(away);
    sink.is_away.store(false, Ordering::Relaxed);
    let back = runner(&journal, sink);
    back.run(tokio::time::sleep(Duration::from_secs(1))).await.unwrap();
    let books = assert_residues(&journal);
    assert_eq!((books.routed, books.lag), (100, 0));
    assert_eq!(books.delivered, sink.delivered.lock().unwrap().len() as u64);
    let figures = back.stats().figures();
    assert_eq!(figures.delivered, books.delivered);
    assert_eq!((figures.expired, figures.damaged), (books.dropped_lag, books.dropped_damaged));
}

/// A live reader that comes past damage is told which events it did not get, and why.
#[tokio::test]
async fn a_live_reader_is_told_of_damage() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let start = journal.head();
    for n in 0..9 {
        journal.append(batch(&format!("{n:0100}"))).await.unwrap();
    }
    drop(journal);
    let name = segments(&vfs).remove(0);
    let mut bytes = vfs.take(&name).unwrap();
    // The payload of the fifth event.
    let text = format!("{:0100}", 4);
    let at = bytes.windows(100).position(|window| window == text.as_bytes()).unwrap();
    bytes[at] ^= 1;
    vfs.put(&name, bytes);
    let (journal, _) = open(&vfs, JournalConfig { tail_bytes: 0, ..config() });
    let group = journal.read(start, 1 << 20).await.unwrap().unwrap();
    assert_eq!(group.len(), 8);
    assert!(group.unreadable().iter().eq([&(5..6)]));
    assert_eq!(
        journal.read(Position { seq: 7, ..start }, 1).await.unwrap().unwrap().unreadable(),
        []
    );
    let hub = Hub::following(Arc::new(journal), 1 << 20);
    let options = SubscribeOptions::new(Start::At(start), Mode::Lossless);
    let mut live = hub.subscribe_with(&Filter::all(), options).unwrap();
    let (mut seen, mut lost) = (Vec::new(), Vec::new());
    loop {
        match live.next().await {
            Some(Delivery::Batch(batch)) => seen.extend(batch.logs().map(|log| log.seq())),
            Some(Delivery::Dropped(dropped)) => {
                assert_eq!(dropped.reason, DropReason::Damaged);
                lost.push(dropped.range);
            }
            Some(Delivery::CaughtUp { .. }) | None => break,
            Some(Delivery::Progress { range }) => assert!(range.end <= 5 || range.start > 5),
            Some(_) => {}
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 6, 7, 8, 9]);
    assert!(lost.iter().eq([&(5..6)]));
}
