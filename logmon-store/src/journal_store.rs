//! Searching the journal itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use logmon_core::{BoxFuture, EventId, Hit, Page, QueryError, Search, Store};
use tokio::sync::Semaphore;

use crate::DiskJournal;

mod best;
mod scan;

/// Queries that run at once, by default.
pub const DEFAULT_MAX_QUERIES: usize = 4;

/// A store that is nothing but the journal: it finds events by looking at them, where the bounds of
/// timestamps do not rule them out.
///
/// A search that is not complete within its budget gives the beginning of the right answer, from
/// which paging goes on without a hole.
#[derive(Debug)]
pub struct JournalStore {
    journal: Arc<DiskJournal>,
    max_queries: usize,
    free: Arc<Semaphore>,
}

impl JournalStore {
    /// A store over a journal that runs up to [`DEFAULT_MAX_QUERIES`] queries at once.
    pub fn new(journal: Arc<DiskJournal>) -> Self {
        Self::with_max_queries(journal, DEFAULT_MAX_QUERIES)
    }

    /// The same with another number of queries at once, at least one.
    pub fn with_max_queries(journal: Arc<DiskJournal>, max_queries: usize) -> Self {
        let max_queries = max_queries.clamp(1, Semaphore::MAX_PERMITS);
        Self { journal, max_queries, free: Arc::new(Semaphore::new(max_queries)) }
    }

    /// Runs a query on a blocking thread of the tokio runtime; on the caller's where there is none.
    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&AtomicBool) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let permit = self.free.clone().try_acquire_owned();
        let permit = permit.map_err(|_| QueryError::Busy { running: self.max_queries })?;
        let cancel = CancelOnDrop::default();
        let flag = cancel.0.clone();
        let work = move || {
            // Until the thread is done, not until its caller has lost interest.
            let _permit = permit;
            query(&flag)
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

impl Store for JournalStore {
    /// Searches blocks of about 64 KiB, best first, until nothing that remains can belong on the
    /// page. `stats.matched` counts behind `after`.
    fn search(&self, search: Search) -> BoxFuture<'_, Result<Page, QueryError>> {
        let journal = self.journal.clone();
        Box::pin(self.run(move |cancel| scan::search(journal.view(), &search, cancel)))
    }

    fn get(&self, id: EventId) -> BoxFuture<'_, Result<Option<Hit>, QueryError>> {
        let journal = self.journal.clone();
        Box::pin(self.run(move |_| {
            let found = journal.view().find(id).map_err(|error| scan::failure(&error))?;
            Ok(found.and_then(|(group, at)| Hit::new(group.select(&[at]), 0)))
        }))
    }
}

#[cfg(test)]
mod tests;
