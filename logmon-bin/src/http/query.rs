//! Asking the store, and what every answer says of itself.

use std::time::{Duration, Instant};

use logmon_core::{
    Aggregate, Aggregated, EventId, FieldCatalogue, FieldTally, Hit, Incomplete, Page, QueryError,
    QueryStats, Scope, Search, Tables, Timestamp,
};
use serde_json::{Map, Value, json};

use super::App;
use super::metrics::{Outcome, Queries};
use super::problem::{Code, Problem};

/// One request to the store, which may take several queries. It is counted when it is dropped:
/// whoever hangs up before has cancelled it.
#[derive(Debug)]
pub(super) struct Query<'a> {
    app: &'a App,
    endpoint: &'static str,
    began: Instant,
    outcome: Outcome,
    stats: QueryStats,
    is_late: bool,
}

impl<'a> Query<'a> {
    /// Begins a request; `endpoint` names it in the metrics.
    pub(super) fn new(app: &'a App, endpoint: &'static str) -> Self {
        app.queries().begin();
        let stats = QueryStats::default();
        let (began, outcome) = (Instant::now(), Outcome::Ok);
        Self { app, endpoint, began, outcome, stats, is_late: false }
    }

    /// Searches.
    pub(super) async fn search(&mut self, mut search: Search) -> Result<Page, Problem> {
        // Nothing is kept, so nothing is found; the head is where watching live begins.
        let Some(store) = &self.app.0.store else {
            return Ok(Page::empty(self.app.0.journal.head()));
        };
        search.scope.budget = self.left(&search.scope);
        self.outcome = Outcome::Cancelled;
        let page = self.settle(store.search(search).await)?;
        self.count(&page.stats, page.incomplete);
        Ok(page)
    }

    /// The event with this id.
    pub(super) async fn get(&mut self, id: EventId) -> Result<Option<Hit>, Problem> {
        let Some(store) = &self.app.0.store else { return Ok(None) };
        self.outcome = Outcome::Cancelled;
        self.settle(store.get(id).await)
    }

    /// Counts.
    pub(super) async fn aggregate(&mut self, mut query: Aggregate) -> Result<Aggregated, Problem> {
        let Some(store) = &self.app.0.store else {
            let tables = Tables::new(query.tables).finish();
            return Ok(Aggregated::new(tables, self.app.0.journal.head(), nothing_seen()));
        };
        query.scope.budget = self.left(&query.scope);
        self.outcome = Outcome::Cancelled;
        let answer = self.settle(store.aggregate(query).await)?;
        self.count(&answer.stats, answer.incomplete);
        Ok(answer)
    }

    /// Lists fields.
    pub(super) async fn fields(&mut self, mut scope: Scope) -> Result<FieldCatalogue, Problem> {
        let Some(store) = &self.app.0.store else {
            let head = self.app.0.journal.head();
            return Ok(FieldCatalogue::new(FieldTally::default(), head, nothing_seen()));
        };
        scope.budget = self.left(&scope);
        self.outcome = Outcome::Cancelled;
        let catalogue = self.settle(store.fields(scope).await)?;
        self.count(&catalogue.stats, catalogue.incomplete);
        Ok(catalogue)
    }

    /// What remains of the time the request may take.
    fn left(&self, scope: &Scope) -> Duration {
        scope.budget.saturating_sub(self.began.elapsed())
    }

    fn settle<T>(&mut self, answer: Result<T, QueryError>) -> Result<T, Problem> {
        self.outcome = match &answer {
            Ok(_) if self.is_partial() => Outcome::Partial,
            Ok(_) => Outcome::Ok,
            Err(QueryError::Busy { .. }) => Outcome::Busy,
            Err(_) => Outcome::Failed,
        };
        answer.map_err(|error| match error {
            QueryError::NeedsRange => Problem::parameter("from", error.to_string()),
            _ => Problem::new(Code::Overloaded, error.to_string()).retry_after(1),
        })
    }

    /// Adds what one query took.
    fn count(&mut self, stats: &QueryStats, incomplete: Option<Incomplete>) {
        self.app.queries().scanned(stats.scanned_bytes);
        self.stats.scanned_events += stats.scanned_events;
        self.stats.scanned_bytes += stats.scanned_bytes;
        // Several queries of a request meet the same places.
        self.stats.damaged = self.stats.damaged.max(stats.damaged);
        self.is_late |= incomplete.is_some();
        if self.is_partial() {
            self.outcome = Outcome::Partial;
        }
    }

    /// Whether events are missing in the answer.
    pub(super) const fn is_partial(&self) -> bool {
        self.is_late || self.stats.damaged > 0
    }

    /// `range`, `complete` with `reason`, and `stats`. `matched` is the number of matching events,
    /// and whether it is exact.
    pub(super) fn closing(
        &self,
        (from, to): (Timestamp, Timestamp),
        matched: (u64, bool),
    ) -> Map<String, Value> {
        let mut closing = Map::new();
        closing.insert("complete".to_owned(), json!(!self.is_partial()));
        if self.is_partial() {
            let reason = if self.is_late { "timeout" } else { "damaged" };
            closing.insert("reason".to_owned(), json!(reason));
        }
        closing.insert("range".to_owned(), json!({"from": from, "to": to}));
        let stats = json!({
            "matched": matched.0,
            "matched_exact": matched.1 && !self.is_partial(),
            "scanned_events": self.stats.scanned_events,
            "scanned_bytes": self.stats.scanned_bytes,
            "damaged": self.stats.damaged,
            "took_ms": u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        closing.insert("stats".to_owned(), stats);
        closing
    }
}

impl Drop for Query<'_> {
    fn drop(&mut self) {
        self.app.queries().end(self.endpoint, self.outcome, self.began.elapsed());
    }
}

impl App {
    fn queries(&self) -> &Queries {
        self.0.metrics.queries()
    }
}

/// The figures of a query that had nothing to look at.
fn nothing_seen() -> QueryStats {
    let mut stats = QueryStats::default();
    stats.matched_exact = true;
    stats
}
