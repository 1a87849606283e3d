//! What every query says, and what every answer says about itself.

use std::time::Duration;

use crate::{Filter, Timestamp};

/// Which events a query is about, and what answering it may cost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scope {
    /// Which events. Relative times are resolved already.
    pub filter: Filter,
    /// The earliest timestamp, inclusive.
    pub from: Timestamp,
    /// The latest timestamp, exclusive.
    pub to: Timestamp,
    /// Only events before this number, so that several queries see one set; the head at the time
    /// of the first of them.
    pub snapshot: Option<u64>,
    /// When to stop with what was found. 10 s by default.
    pub budget: Duration,
    /// About how many bytes of memory the answer may take, with what is gathered for it. A page
    /// ends before it, but has at least one event. 64 MiB by default.
    pub max_bytes: usize,
}

impl Scope {
    /// All events that `filter` accepts.
    pub const fn new(filter: Filter) -> Self {
        Self {
            filter,
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            snapshot: None,
            budget: Duration::from_secs(10),
            max_bytes: 64 << 20,
        }
    }
}

/// Why an answer speaks of a part of its scope only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incomplete {
    /// [`Scope::budget`] was used up.
    Timeout,
}

/// What a query looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStats {
    /// Matching events seen.
    pub matched: u64,
    /// Whether `matched` is their exact number, beyond a page too.
    pub matched_exact: bool,
    /// Events the filter looked at.
    pub scanned_events: u64,
    /// Bytes read for it.
    pub scanned_bytes: u64,
    /// Stretches of the store that could not be read; events in them are not in the answer.
    pub damaged: u64,
}
