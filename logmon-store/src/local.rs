//! The local store: blocks of events in files, and the journal for what is in none yet.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use logmon_core::{
    Aggregate, Aggregated, BoxFuture, Cursor, EventId, FieldCatalogue, Hit, Journal as _, Page,
    QueryError, Scope, Search, Store,
};

use crate::DiskJournal;
use crate::query::{self, Desk};
use crate::vfs::{Lock, RealVfs, Vfs};

pub(crate) mod block;
mod catalog;
pub(crate) mod check;
mod config;
mod files;
mod format;
mod index;
mod ledger;
mod partition;
mod parts;
mod position;
mod recovery;
mod report;
mod retention;
mod scan;
mod seal;
mod shared;
mod snapshot;
mod wait;

#[cfg(test)]
mod tests;

pub use config::{StoreConfig, StoreRetention, StoreState, StoreStatus};
pub use ledger::Gone;
pub use report::{StoreDamage, StoreError, StoreReport};

use catalog::{Catalog, Reading};
use files::OpenFiles;
use position::Around;
use recovery::Recovered;
use seal::Sealer;
use shared::Shared;

/// The cursor in the journal.
const CURSOR: &str = "store";

/// The directory of a store that has been read and does nothing yet.
///
/// The journal beside it has to be opened in between: it must not give numbers that the store has
/// (see [`StoreDir::end_seq`]).
#[derive(Debug)]
pub struct StoreDir {
    vfs: Arc<dyn Vfs>,
    config: StoreConfig,
    store: u64,
    reading: Arc<Reading>,
    recovered: Recovered,
    lock: Lock,
}

impl StoreDir {
    /// Opens the store in the directory at `dir`, or founds one.
    ///
    /// # Errors
    /// See [`StoreError`]. A damaged store opens; what is damaged is in the report.
    pub fn open(
        dir: impl AsRef<Path>,
        config: StoreConfig,
    ) -> Result<(Self, StoreReport), StoreError> {
        let dir = dir.as_ref();
        let doing = format!("making the directory {}", dir.display());
        let vfs = RealVfs::new(dir).map_err(StoreError::io(doing))?;
        Self::open_in(Arc::new(vfs), config)
    }

    /// The same in any [`Vfs`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open_in(
        vfs: Arc<dyn Vfs>,
        config: StoreConfig,
    ) -> Result<(Self, StoreReport), StoreError> {
        let lock = vfs.lock()?;
        let mut report = StoreReport::default();
        let store = format::check(&*vfs, &mut report)?;
        let reading = Arc::new(Reading::new(OpenFiles::new(vfs.clone(), config.open_files)));
        let recovered = recovery::recover(&*vfs, store, &reading, &mut report)?;
        Ok((Self { vfs, config, store, reading, recovered, lock }, report))
    }

    /// No event in the store has this number or a greater one. The journal is to be opened so that
    /// it gives none below it.
    pub const fn end_seq(&self) -> u64 {
        self.recovered.end_seq
    }

    /// Begins to take events of the journal, from where the blocks end. What is in none, or in one
    /// that is not durable, is kept in the journal by its holding cursor `store`.
    ///
    /// Nothing is sealed before this returns, however much there is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn start(self, journal: Arc<DiskJournal>) -> Result<LocalStore, StoreError> {
        let cursor = journal.cursor(CURSOR, self.config.hold)?;
        let (store, mut sealer) = self.assemble(journal, Arc::new(cursor.clone()))?;
        sealer.heed(cursor);
        let thread = std::thread::Builder::new()
            .name("logmon-store".into())
            .spawn(move || sealer.run())
            .map_err(StoreError::Thread)?;
        store.running().thread = Some(thread);
        Ok(store)
    }

    /// A store and what is to run on its thread.
    fn assemble(
        self,
        journal: Arc<DiskJournal>,
        cursor: Arc<dyn Cursor>,
    ) -> Result<(LocalStore, Sealer), StoreError> {
        let Self { vfs, config, store, reading, mut recovered, lock } = self;
        let saved = wait::block_on(cursor.load())?.map_or(0, |state| state.position.seq);
        let around = Around { oldest: journal.oldest().seq, head: journal.head().seq, saved };
        let end_seq = position::settle(&mut recovered, around)?;
        let Recovered { partitions, ledger, next_number, void, delivered, .. } = recovered;
        let closed = Arc::new(partitions.into_iter().map(Arc::new).collect());
        let catalog = Catalog { closed, open: None, end_seq, delivered };
        let desk = Desk::new(config.max_queries);
        let shared = Arc::new(Shared::new((vfs, config, store), reading, catalog, ledger));
        let place = (next_number, saved, void);
        let sealer = Sealer::new(shared.clone(), journal.clone(), cursor, place);
        let running = Mutex::new(Running { thread: None, lock: Some(lock) });
        Ok((LocalStore { shared, journal, desk, running }, sealer))
    }
}

/// A store of blocks on a local disk, which a thread makes of what the journal has.
///
/// An event that is committed is found at once: a query looks into the blocks and, behind them, into
/// the journal. Every answer is that of evaluating the filter on each event.
///
/// Dropping the store closes it as [`LocalStore::close`] does.
#[derive(Debug)]
pub struct LocalStore {
    shared: Arc<Shared>,
    journal: Arc<DiskJournal>,
    desk: Desk,
    running: Mutex<Running>,
}

/// What ends with the store.
#[derive(Debug)]
struct Running {
    thread: Option<JoinHandle<()>>,
    /// Released last.
    lock: Option<Lock>,
}

impl LocalStore {
    /// Where the store stands: for health and metrics.
    pub fn status(&self) -> StoreStatus {
        self.shared.status(self.journal.head().seq)
    }

    /// Ends the sealing thread, after the blocks it has written were made durable. What is in none
    /// stays in the journal. Queries go on. Blocks, so call it where blocking is fine.
    pub fn close(&self) {
        self.shared.close();
        let mut running = self.running();
        if let Some(thread) = running.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the store's thread panicked");
            }
        }
        drop(running.lock.take());
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for LocalStore {
    /// Looks into partitions and blocks best first, until nothing that remains can belong on the
    /// page. `stats.matched` counts behind `after`.
    fn search(&self, search: Search) -> BoxFuture<'_, Result<Page, QueryError>> {
        let (shared, journal) = (self.shared.clone(), self.journal.clone());
        Box::pin(self.desk.run(move |turn| {
            snapshot::answer(&shared, &journal, |snapshot| query::search(snapshot, &search, turn))
        }))
    }

    fn get(&self, id: EventId) -> BoxFuture<'_, Result<Option<Hit>, QueryError>> {
        let (shared, journal) = (self.shared.clone(), self.journal.clone());
        Box::pin(self.desk.run(move |_| snapshot::find(&shared, &journal, id)))
    }

    fn aggregate(&self, query: Aggregate) -> BoxFuture<'_, Result<Aggregated, QueryError>> {
        let (shared, journal) = (self.shared.clone(), self.journal.clone());
        Box::pin(self.desk.run(move |turn| {
            let count = |snapshot| query::aggregate(snapshot, &query, turn);
            snapshot::answer(&shared, &journal, count)
        }))
    }

    fn fields(&self, scope: Scope) -> BoxFuture<'_, Result<FieldCatalogue, QueryError>> {
        let (shared, journal) = (self.shared.clone(), self.journal.clone());
        Box::pin(self.desk.run(move |turn| {
            snapshot::answer(&shared, &journal, |snapshot| query::fields(snapshot, &scope, turn))
        }))
    }
}
