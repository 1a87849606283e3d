//! Answering queries over the parts of a store: blocks, and stretches of the journal.
//!
//! A part is looked at as a whole. The engine decides which ones, and in what order; what it prunes
//! is rechecked by the filter's own evaluator or something that gives the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use logmon_core::{Position, QueryError};
use tokio::sync::Semaphore;

mod aggregate;
mod best;
mod crew;
mod extents;
mod fields;
mod part;
mod search;
mod sweep;
mod work;

pub(crate) use aggregate::aggregate;
pub(crate) use best::{Best, Rank};
pub(crate) use crew::{Crew, Turn};
pub(crate) use extents::{Foreign, parts_of};
pub(crate) use fields::fields;
pub(crate) use part::{Bounds, Look, Part, PartError, Seen, Ties};
pub(crate) use search::search;

/// What there is to query at one instant.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Everything before it is in one of the parts, once.
    pub(crate) head: Position,
    pub(crate) parts: Vec<Arc<dyn Part>>,
    pub(crate) ties: Ties,
}

/// Queries that run at once, by default.
pub const DEFAULT_MAX_QUERIES: usize = 4;

/// Lets so many queries run at once, each on a blocking thread, helped by as many as there are
/// further cores, all together.
#[derive(Debug)]
pub(crate) struct Desk {
    max_queries: usize,
    free: Arc<Semaphore>,
    crew: Arc<Crew>,
}

impl Desk {
    pub(crate) fn new(max_queries: usize) -> Self {
        let max_queries = max_queries.clamp(1, Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(max_queries));
        Self { max_queries, free, crew: Arc::new(Crew::new()) }
    }

    /// Takes the place of a query.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> tokio::sync::OwnedSemaphorePermit {
        self.free.clone().try_acquire_owned().unwrap()
    }

    /// Runs a query on a blocking thread of the tokio runtime; on the caller's where there is none.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(Turn<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let permit = self.free.clone().try_acquire_owned();
        let permit = permit.map_err(|_| QueryError::Busy { running: self.max_queries })?;
        let cancel = CancelOnDrop::default();
        let (flag, crew) = (cancel.0.clone(), self.crew.clone());
        let work = move || {
            // Until the thread is done, not until its caller has lost interest.
            let _permit = permit;
            query(Turn { crew: &crew, cancel: &flag })
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return work() };
        let done = runtime.spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(QueryError::Io(error.to_string())))
    }
}

/// Tells a query that nobody waits for it any more.
#[derive(Debug, Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
