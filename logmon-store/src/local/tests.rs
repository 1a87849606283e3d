use std::time::Duration;

use logmon_core::{Cursor, Event as _, Filter, Log, MemoryCursor, Order, PageKey, Timestamp};

use super::seal::Sealer;
use super::*;
use crate::vfs::memory::MemoryVfs;
use crate::{HoldConfig, JournalConfig, Retention};

mod crash;
mod differential;
mod faults;
mod golden;
mod inspect;
mod open;
mod random_faults;
mod retention;
mod sealing;

/// Blocks of 8 events, and no sync but the one at the end of a partition.
fn small() -> StoreConfig {
    StoreConfig {
        block_events: 8,
        full_retry: Duration::from_millis(1),
        sync_interval: Duration::from_secs(3600),
        ..StoreConfig::default()
    }
}

/// A journal that keeps everything, beside a store.
struct World {
    disk: MemoryVfs,
    journal_disk: MemoryVfs,
    journal: Arc<DiskJournal>,
    cursor: Arc<dyn Cursor>,
    config: StoreConfig,
}

impl World {
    fn new(config: StoreConfig) -> Self {
        let (disk, journal_disk) = (MemoryVfs::new(), MemoryVfs::new());
        let journal = open_journal(&journal_disk);
        Self { disk, journal_disk, journal, cursor: Arc::new(MemoryCursor::default()), config }
    }

    /// With these events in blocks, and the store closed.
    async fn sealed(config: StoreConfig, range: std::ops::Range<i64>) -> Self {
        let world = Self::new(config);
        let (_store, mut sealer) = world.open();
        world.append(logs(range)).await;
        sealer.drain();
        sealer.finish();
        world
    }

    fn dir(&self) -> (StoreDir, StoreReport) {
        StoreDir::open_in(Arc::new(self.disk.clone()), self.config.clone()).unwrap()
    }

    /// A store whose thread is the test's.
    fn open(&self) -> (LocalStore, Sealer) {
        self.dir().0.assemble(self.journal.clone(), self.cursor.clone()).unwrap()
    }

    async fn append(&self, logs: impl IntoIterator<Item = Log>) {
        for log in logs {
            self.journal.append(log.to_batch().unwrap()).await.unwrap();
        }
    }

    /// The same world after the journal was closed and opened again.
    fn reopened(self, disk: MemoryVfs) -> Self {
        self.journal.close();
        let journal = open_journal(&self.journal_disk);
        Self { disk, journal, ..self }
    }
}

fn open_journal(disk: &MemoryVfs) -> Arc<DiskJournal> {
    open_journal_from(disk, 0)
}

fn open_journal_from(disk: &MemoryVfs, min_seq: u64) -> Arc<DiskJournal> {
    let config = JournalConfig { tail_bytes: 2000, min_seq, ..JournalConfig::default() };
    Arc::new(DiskJournal::open_in(Arc::new(disk.clone()), config).unwrap().0)
}

/// Events with these numbers as their messages, a second apart from each other.
fn logs(range: std::ops::Range<i64>) -> impl Iterator<Item = Log> {
    range.map(|at| Log::new(format!("event {at}")).timestamp(now(at)))
}

/// Near the time at which the events of a test are received.
fn now(seconds: i64) -> Timestamp {
    let start = Timestamp::now().as_nanos() / 60_000_000_000 * 60_000_000_000;
    Timestamp::from_nanos(start + seconds * 1_000_000_000)
}

/// The messages of all events, oldest first by their numbers.
async fn all(store: &LocalStore) -> Vec<String> {
    let mut search = Search::new(Filter::parse("").unwrap());
    (search.limit, search.order) = (1_000_000, Order::OldestFirst);
    let page = store.search(search).await.unwrap();
    assert_eq!((page.incomplete, page.has_more), (None, false));
    let mut hits: Vec<(u64, String)> =
        page.hits.iter().map(|hit| (hit.log().seq(), hit.log().message().into_owned())).collect();
    hits.sort();
    hits.into_iter().map(|(_, message)| message).collect()
}

fn messages(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|at| format!("event {at}")).collect()
}

/// Delivered events are kept, expired or damaged.
fn assert_books_balance(store: &LocalStore) {
    let status = store.status();
    let sum = status.events + status.expired.total() + status.damaged;
    assert_eq!(status.delivered, sum, "{status:?}");
}

/// Waits until so many events are in blocks.
async fn sealed_to(store: &LocalStore, events: u64) {
    let mut changes = store.shared.changes();
    while store.status().events < events {
        changes.changed().await.unwrap();
    }
}

impl Sealer {
    /// Takes all that the journal has.
    fn drain(&mut self) {
        loop {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(halt) => self.get_over(halt).unwrap(),
            }
        }
    }
}
