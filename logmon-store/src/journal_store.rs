//! Searching the journal itself.

use std::sync::Arc;

use logmon_core::{
    Aggregate, Aggregated, BoxFuture, EventId, FieldCatalogue, Hit, Page, QueryError, Scope,
    Search, Store,
};

use crate::DiskJournal;
use crate::query::{self, DEFAULT_MAX_QUERIES, Desk, Snapshot};

/// A store that is nothing but the journal: it finds events by looking at them, where the bounds of
/// timestamps do not rule them out.
///
/// A search that is not complete within its budget gives the beginning of the right answer, from
/// which paging goes on without a hole.
#[derive(Debug)]
pub struct JournalStore {
    journal: Arc<DiskJournal>,
    desk: Desk,
}

impl JournalStore {
    /// A store over a journal that runs up to [`DEFAULT_MAX_QUERIES`] queries at once.
    pub fn new(journal: Arc<DiskJournal>) -> Self {
        Self::with_max_queries(journal, DEFAULT_MAX_QUERIES)
    }

    /// The same with another number of queries at once, at least one.
    pub fn with_max_queries(journal: Arc<DiskJournal>, max_queries: usize) -> Self {
        Self { journal, desk: Desk::new(max_queries) }
    }
}

fn snapshot(journal: &DiskJournal) -> Snapshot {
    let view = Arc::new(journal.view());
    let parts = query::parts_of(&view, 0, query::Foreign::Take);
    Snapshot { head: view.head(), parts, ties: query::Ties::Numbers }
}

impl Store for JournalStore {
    /// Searches blocks of about 64 KiB, best first, until nothing that remains can belong on the
    /// page. `stats.matched` counts behind `after`.
    fn search(&self, search: Search) -> BoxFuture<'_, Result<Page, QueryError>> {
        let journal = self.journal.clone();
        Box::pin(self.desk.run(move |turn| query::search(snapshot(&journal), &search, turn)))
    }

    fn get(&self, id: EventId) -> BoxFuture<'_, Result<Option<Hit>, QueryError>> {
        let journal = self.journal.clone();
        Box::pin(self.desk.run(move |_| {
            let found = journal.view().find(id);
            let found = found.map_err(|error| QueryError::Io(error.to_string()))?;
            Ok(found.and_then(|(group, at)| Hit::new(group.select(&[at]), 0)))
        }))
    }

    fn aggregate(&self, query: Aggregate) -> BoxFuture<'_, Result<Aggregated, QueryError>> {
        let journal = self.journal.clone();
        Box::pin(self.desk.run(move |turn| query::aggregate(snapshot(&journal), &query, turn)))
    }

    fn fields(&self, scope: Scope) -> BoxFuture<'_, Result<FieldCatalogue, QueryError>> {
        let journal = self.journal.clone();
        Box::pin(self.desk.run(move |turn| query::fields(snapshot(&journal), &scope, turn)))
    }
}

#[cfg(test)]
mod tests;
