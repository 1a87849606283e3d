//! Finding events, page by page.

use super::{Incomplete, QueryStats, Scope};
use crate::{EventId, Filter, Group, LogRef, Position, Timestamp};

/// What to look for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Search {
    /// Which events, and what finding them may cost.
    pub scope: Scope,
    /// Newest or oldest first.
    pub order: Order,
    /// The greatest number of events to give.
    pub limit: usize,
    /// Where to go on.
    pub after: Option<PageKey>,
}

impl Search {
    /// The newest 100 of all events `filter` accepts, within ten seconds.
    pub const fn new(filter: Filter) -> Self {
        Self::within(Scope::new(filter))
    }

    /// The newest 100 events of a scope.
    pub const fn within(scope: Scope) -> Self {
        Self { scope, order: Order::NewestFirst, limit: 100, after: None }
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
    /// What decides between equal timestamps: the event's number, or the number that its id is where
    /// a store has the events of several journals, which number theirs alike.
    pub tie: u128,
}

impl PageKey {
    /// The place of an event in a store of one journal.
    pub const fn by_number(timestamp: Timestamp, seq: u64) -> Self {
        Self { timestamp, tie: seq as u128 }
    }

    /// The place of an event in a store of several journals.
    pub fn by_id(timestamp: Timestamp, id: EventId) -> Self {
        let mut wide = [0; 16];
        wide[4..].copy_from_slice(&id.to_bytes());
        Self { timestamp, tie: u128::from_be_bytes(wide) }
    }

    /// The place just before this one.
    pub const fn before(self, order: Order) -> Self {
        let (nanos, tie) = (self.timestamp.as_nanos(), self.tie);
        let (nanos, tie) = match order {
            Order::NewestFirst if tie == u128::MAX => (nanos.saturating_add(1), 0),
            Order::NewestFirst => (nanos, tie + 1),
            Order::OldestFirst if tie == 0 => (nanos.saturating_sub(1), u128::MAX),
            Order::OldestFirst => (nanos, tie - 1),
        };
        Self { timestamp: Timestamp::from_nanos(nanos), tie }
    }
}

/// One event that was found, kept alive by its group.
#[derive(Clone, Debug)]
pub struct Hit {
    group: Group,
    at: usize,
    key: PageKey,
}

impl Hit {
    /// The event `at` of `group` in a store of one journal; `None` if there are fewer.
    pub fn new(group: Group, at: usize) -> Option<Self> {
        use crate::Event as _;
        let log = group.get(at)?;
        let key = PageKey::by_number(log.timestamp(), log.seq());
        Some(Self { group, at, key })
    }

    /// The event `at` of `group` at this place; `None` if there are fewer.
    pub fn at(group: Group, at: usize, key: PageKey) -> Option<Self> {
        (at < group.len()).then_some(Self { group, at, key })
    }

    /// The same event at another place.
    pub fn placed(self, key: PageKey) -> Self {
        Self { key, ..self }
    }

    /// The event.
    ///
    /// # Panics
    /// Never: the index is checked when a hit is made, and a group does not change.
    #[expect(clippy::expect_used, reason = "checked by `new`, and a group never changes")]
    pub fn log(&self) -> LogRef<'_> {
        self.group.get(self.at).expect("invariant: the index is inside the group")
    }

    /// The same event in a group of its own, which keeps no others alive.
    pub fn alone(&self) -> Self {
        if self.group.len() == 1 {
            return self.clone();
        }
        Self { group: self.group.select(&[self.at]), at: 0, key: self.key }
    }

    /// About how many bytes of memory its group takes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.group.memory()
    }

    /// Its place in the order.
    pub const fn key(&self) -> PageKey {
        self.key
    }
}

/// A part of an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The events, in the order asked for.
    pub hits: Vec<Hit>,
    /// Why not everything was looked at that could belong on this page; `None` if it was.
    pub incomplete: Option<Incomplete>,
    /// Whether events follow behind the last one: as there are more than asked for, as they did not
    /// fit into [`Scope::max_bytes`], or as not everything was looked at.
    pub has_more: bool,
    /// Where an answer that is not complete goes on, also when it has no events: all up to here,
    /// in the order asked for, has been looked at.
    pub scanned_to: Option<PageKey>,
    /// The journal's head that the answer saw: a tail from here has neither hole nor repeat.
    pub head: Position,
    /// What it took.
    pub stats: QueryStats,
}

impl Page {
    /// An empty page that saw everything up to `head`.
    pub const fn empty(head: Position) -> Self {
        let stats = QueryStats {
            matched: 0,
            matched_exact: true,
            scanned_events: 0,
            scanned_bytes: 0,
            damaged: 0,
        };
        let hits = Vec::new();
        Self { hits, incomplete: None, has_more: false, scanned_to: None, head, stats }
    }
}
