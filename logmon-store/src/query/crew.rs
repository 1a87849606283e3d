//! The threads that answer queries.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A query that took longer is helped by other threads. Most are over before, and a thread costs
/// about 50 us to start.
const PATIENCE: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_millis(1) };

/// The threads that queries have beside their own, all queries together.
#[derive(Debug)]
pub(crate) struct Crew {
    helpers: Arc<Semaphore>,
    pub(super) patience: Duration,
}

impl Crew {
    /// As many threads at once as there are cores.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // Tests are about several threads on every machine.
        Self::of(if cfg!(test) { cores.max(3) } else { cores })
    }

    /// So many threads for one query, its own included.
    pub(crate) fn of(threads: usize) -> Self {
        let helpers = threads.saturating_sub(1).min(Semaphore::MAX_PERMITS);
        Self { helpers: Arc::new(Semaphore::new(helpers)), patience: PATIENCE }
    }

    /// Takes a helper, if one is free.
    pub(super) fn helper(&self) -> Option<OwnedSemaphorePermit> {
        self.helpers.clone().try_acquire_owned().ok()
    }

    /// How many threads a query may have.
    pub(super) fn threads(&self) -> usize {
        self.helpers.available_permits() + 1
    }
}

/// What a query is given to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'d> {
    pub(crate) crew: &'d Crew,
    /// Set when nobody waits for the answer any more.
    pub(crate) cancel: &'d AtomicBool,
}
