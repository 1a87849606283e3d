//! Answering queries over stored events.

use std::fmt;
use std::time::Duration;

use crate::{BoxFuture, EventId, Filter, Group, LogRef, Position, Timestamp};

/// Whatever can search events: the journal itself, the block store, a database.
///
/// Every store gives the answer that evaluating the filter on each event would give.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Searches events in the order of (timestamp, number).
    ///
    /// # Cancel safety
    /// Dropping the future stops the work soon.
    fn search(&self, search: Search) -> BoxFuture<'_, Result<Page, QueryError>>;

    /// The event with this id.
    fn get(&self, id: EventId) -> BoxFuture<'_, Result<Option<Hit>, QueryError>>;
}

/// What to look for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Search {
    /// Which events. Relative times are resolved already.
    pub filter: Filter,
    /// The earliest timestamp, inclusive.
    pub from: Timestamp,
    /// The latest timestamp, exclusive.
    pub to: Timestamp,
    /// Newest or oldest first.
    pub order: Order,
    /// The greatest number of events to give.
    pub limit: usize,
    /// Where to go on.
    pub after: Option<PageKey>,
    /// Only events before this number, so that pages of one search see one set; the head at the
    /// time of the first page.
    pub snapshot: Option<u64>,
    /// When to stop with what was found.
    pub budget: Duration,
}

impl Search {
    /// The newest 100 of all events `filter` accepts, within ten seconds.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            order: Order::NewestFirst,
            limit: 100,
            after: None,
            snapshot: None,
            budget: Duration::from_secs(10),
        }
    }
}

/// Which end of time comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third direction")]
pub enum Order {
    /// Descending by (timestamp, number).
    #[default]
    NewestFirst,
    /// Ascending by (timestamp, number).
    OldestFirst,
}

/// The place of an event in the order of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a pair")]
pub struct PageKey {
    /// The event's timestamp.
    pub timestamp: Timestamp,
    /// The event's number; decides between equal timestamps.
    pub seq: u64,
}

impl PageKey {
    /// The place just before this one.
    pub const fn before(self, order: Order) -> Self {
        let (nanos, seq) = (self.timestamp.as_nanos(), self.seq);
        let (nanos, seq) = match order {
            Order::NewestFirst if seq == u64::MAX => (nanos.saturating_add(1), 0),
            Order::NewestFirst => (nanos, seq + 1),
            Order::OldestFirst if seq == 0 => (nanos.saturating_sub(1), u64::MAX),
            Order::OldestFirst => (nanos, seq - 1),
        };
        Self { timestamp: Timestamp::from_nanos(nanos), seq }
    }
}

/// One event that was found, kept alive by its group.
#[derive(Clone, Debug)]
pub struct Hit {
    group: Group,
    at: usize,
}

impl Hit {
    /// The event `at` of `group`; `None` if there are fewer.
    pub fn new(group: Group, at: usize) -> Option<Self> {
        (at < group.len()).then_some(Self { group, at })
    }

    /// The event.
    ///
    /// # Panics
    /// Never: the index is checked when a hit is made, and a group does not change.
    #[expect(clippy::expect_used, reason = "checked by `new`, and a group never changes")]
    pub fn log(&self) -> LogRef<'_> {
        self.group.get(self.at).expect("invariant: the index is inside the group")
    }

    /// Its place in the order.
    pub fn key(&self) -> PageKey {
        use crate::Event as _;
        let log = self.log();
        PageKey { timestamp: log.timestamp(), seq: log.seq() }
    }
}

/// A part of an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The events, in the order asked for.
    pub hits: Vec<Hit>,
    /// Whether everything was looked at that could belong on this page.
    pub is_complete: bool,
    /// Whether events follow behind the last one.
    pub has_more: bool,
    /// Where an answer that is not complete goes on, also when it has no events: all up to here,
    /// in the order asked for, has been looked at.
    pub scanned_to: Option<PageKey>,
    /// The journal's head that the answer saw: a tail from here has neither hole nor repeat.
    pub head: Position,
    /// What it took.
    pub stats: SearchStats,
}

impl Page {
    /// An empty page that saw everything up to `head`.
    pub const fn empty(head: Position) -> Self {
        let stats =
            SearchStats { matched: 0, matched_exact: true, scanned_events: 0, scanned_bytes: 0 };
        Self { hits: Vec::new(), is_complete: true, has_more: false, scanned_to: None, head, stats }
    }
}

/// What a search looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchStats {
    /// Matching events seen.
    pub matched: u64,
    /// Whether `matched` is their exact number, beyond this page too.
    pub matched_exact: bool,
    /// Events the filter looked at.
    pub scanned_events: u64,
    /// Bytes read for it.
    pub scanned_bytes: u64,
}

/// Why a query has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Too many queries run.
    #[error("{running} queries run already, the limit")]
    Busy {
        /// How many run.
        running: usize,
    },
    /// The medium failed.
    #[error("reading the store failed: {0}")]
    Io(String),
}
