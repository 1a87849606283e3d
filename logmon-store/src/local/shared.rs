//! What the queries, the sealing thread and the handle of a store share.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::catalog::{Catalog, Partition, Reading};
use super::config::{StoreConfig, StoreState, StoreStatus};
use super::ledger::Ledger;
use crate::vfs::Vfs;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) config: StoreConfig,
    /// The number of the store.
    pub(super) store: u64,
    pub(super) reading: Arc<Reading>,
    catalog: Mutex<Arc<Catalog>>,
    ledger: Mutex<Ledger>,
    state: Mutex<StoreState>,
    is_closing: AtomicBool,
    /// There are other blocks, or the disk is full.
    changed: watch::Sender<()>,
    /// Events before this number are durable in blocks.
    pub(super) durable: AtomicU64,
    pub(super) skipped: AtomicU64,
    seals: AtomicU64,
    seal_nanos: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        (vfs, config, store): (Arc<dyn Vfs>, StoreConfig, u64),
        reading: Arc<Reading>,
        catalog: Catalog,
        ledger: Ledger,
    ) -> Self {
        Self {
            vfs,
            config,
            store,
            reading,
            durable: AtomicU64::new(catalog.end_seq),
            catalog: Mutex::new(Arc::new(catalog)),
            ledger: Mutex::new(ledger),
            state: Mutex::new(StoreState::Ok),
            is_closing: AtomicBool::new(false),
            changed: watch::Sender::new(()),
            skipped: AtomicU64::new(0),
            seals: AtomicU64::new(0),
            seal_nanos: AtomicU64::new(0),
        }
    }

    /// All blocks, as they are now.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        // Nothing panics while one of these locks is held, and every state is valid.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets queries that begin from now on see these blocks.
    pub(super) fn publish(&self, catalog: Catalog) {
        *self.catalog.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        self.changed.send_replace(());
    }

    /// Wakes whenever there are other blocks, or the disk is full.
    #[cfg(test)]
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_full(&self, error: &io::Error) {
        let mut state = self.state();
        if *state == StoreState::Ok {
            tracing::error!(%error, "the store's disk is full; events wait in the journal");
            *state = StoreState::Full(error.to_string().into());
            self.changed.send_replace(());
        }
    }

    pub(super) fn set_failing(&self, what: &str) {
        tracing::error!(
            what,
            "the store's disk failed; what was not durable is put into another file"
        );
        *self.state() = StoreState::Failing(what.into());
    }

    /// The disk took what it was given.
    pub(super) fn set_ok(&self) {
        let mut state = self.state();
        if matches!(&*state, StoreState::Full(_) | StoreState::Failing(_)) {
            tracing::info!("the store's disk takes events again");
            *state = StoreState::Ok;
        }
    }

    pub(super) fn set_closed(&self) {
        *self.state() = StoreState::Closed;
    }

    pub(super) fn is_full(&self) -> bool {
        matches!(&*self.state(), StoreState::Full(_))
    }

    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    pub(super) fn count_seal(&self, took: Duration) {
        self.seals.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.seal_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn status(&self, head_seq: u64) -> StoreStatus {
        let catalog = self.catalog();
        let expired = self.ledger().expired;
        let readable = |partition: &Arc<Partition>| {
            partition.events.saturating_sub(self.reading.damaged(partition.number()))
        };
        let events = catalog.partitions().map(readable).sum();
        let oldest = catalog.partitions().filter(|partition| partition.events > 0);
        StoreStatus {
            state: self.state().clone(),
            events,
            block_bytes: catalog.partitions().map(|partition| partition.len).sum(),
            index_bytes: catalog.partitions().map(|partition| partition.index_len).sum(),
            blocks: catalog.partitions().map(|partition| partition.blocks.len()).sum(),
            partitions: catalog.partitions().count(),
            oldest: oldest.map(|partition| partition.times.0).min(),
            sealed_seq: catalog.end_seq,
            durable_seq: self.durable.load(Ordering::Relaxed),
            lag: head_seq.saturating_sub(catalog.end_seq),
            delivered: catalog.delivered,
            expired,
            damaged: catalog.delivered.saturating_sub(expired.total() + events),
            skipped: self.skipped.load(Ordering::Relaxed),
            seals: self.seals.load(Ordering::Relaxed),
            seal_time: Duration::from_nanos(self.seal_nanos.load(Ordering::Relaxed)),
        }
    }
}
