//! A part of a store, and what a query asks of it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use logmon_core::{
    Event as _, FieldTally, LogRef, Order, PageKey, QueryError, Scope, Tables, Timestamp,
};

use super::{Best, Rank};

/// Events of a store that are looked at together. Parts may be looked at by several threads, each
/// part by one at a time.
///
/// What is always split, or is for one kind of query alone, has nothing to show to the others: the
/// provided methods see nothing.
pub(crate) trait Part: fmt::Debug + Send + Sync {
    /// What is known of its events without looking.
    fn bounds(&self) -> Bounds;

    /// Smaller parts to look at in its place; `None` where it is looked at itself.
    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError>;

    /// Offers the events that the query wants to `best`; those that cannot be among the best any
    /// more may be left out, but are counted as matching all the same where they were looked at.
    #[expect(unused_variables, reason = "it sees nothing")]
    fn find(&self, look: &Look<'_>, best: &mut Best) -> Result<Seen, PartError> {
        Ok(Seen::default())
    }

    /// Counts the events that the query wants in `tables`.
    #[expect(unused_variables, reason = "it sees nothing")]
    fn tally(&self, look: &Look<'_>, tables: &mut Tables) -> Result<Seen, PartError> {
        Ok(Seen::default())
    }

    /// Counts the paths of the events that the query wants.
    #[expect(unused_variables, reason = "it sees nothing")]
    fn fields(&self, look: &Look<'_>, tally: &mut FieldTally) -> Result<Seen, PartError> {
        Ok(Seen::default())
    }
}

/// Bounds of the events of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The least and greatest timestamp.
    pub(crate) times: (Timestamp, Timestamp),
    /// Their numbers are in here.
    pub(crate) seqs: Range<u64>,
}

/// What decides between events of one timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ties {
    /// Their numbers: all are of one journal.
    #[default]
    Numbers,
    /// Their ids: they are of several.
    Ids,
}

impl Ties {
    /// The place of an event.
    pub(crate) fn key_of(self, log: &LogRef<'_>) -> PageKey {
        match self {
            Self::Numbers => PageKey::by_number(log.timestamp(), log.seq()),
            Self::Ids => PageKey::by_id(log.timestamp(), log.id()),
        }
    }

    /// No event within the bounds lies outside these places.
    pub(crate) const fn places(self, bounds: &Bounds) -> (PageKey, PageKey) {
        let (earliest, latest) = bounds.times;
        match self {
            Self::Numbers => (
                PageKey::by_number(earliest, bounds.seqs.start),
                PageKey::by_number(latest, bounds.seqs.end.saturating_sub(1)),
            ),
            Self::Ids => (
                PageKey { timestamp: earliest, tie: 0 },
                PageKey { timestamp: latest, tie: u128::MAX },
            ),
        }
    }
}

/// What looking at a part took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Events that the filter decided about, within the scope's times.
    pub(crate) events: u64,
    pub(crate) matched: u64,
    /// Bytes read.
    pub(crate) bytes: u64,
    /// Stretches that could not be read.
    pub(crate) damaged: u64,
    /// Whether looking ended before the end of the part, as [`Look::is_over`] said so.
    pub(crate) is_cut: bool,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.matched += other.matched;
        self.bytes += other.bytes;
        self.damaged += other.damaged;
        self.is_cut |= other.is_cut;
    }
}

/// How long a part may be looked at when the time of the query is over.
const GRACE: Duration = Duration::from_millis(50);

/// Which events a query wants.
#[derive(Debug)]
pub(crate) struct Look<'q> {
    pub(crate) scope: &'q Scope,
    /// Only events before this number.
    pub(crate) end_seq: u64,
    /// Only events behind the end of the last page.
    pub(crate) after: Option<Rank>,
    pub(crate) ties: Ties,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: &'q AtomicBool,
    /// What is left does not matter.
    has_ended: AtomicBool,
}

impl<'q> Look<'q> {
    pub(crate) fn new(scope: &'q Scope, head_seq: u64, cancel: &'q AtomicBool) -> Self {
        let end_seq = scope.snapshot.unwrap_or(u64::MAX).min(head_seq);
        let deadline = Instant::now().checked_add(scope.budget);
        let has_ended = AtomicBool::new(false);
        let ties = Ties::Numbers;
        Self { scope, end_seq, after: None, ties, deadline, cancel, has_ended }
    }

    /// The same, for events behind a place.
    pub(crate) fn behind(self, order: Order, after: Option<PageKey>) -> Self {
        Self { after: after.map(|key| Rank::new(order, key)), ..self }
    }

    /// The same, for events that are told apart so.
    pub(crate) fn with_ties(self, ties: Ties) -> Self {
        Self { ties, ..self }
    }

    /// Whether events within these bounds can be wanted.
    pub(crate) fn is_possible(&self, bounds: &Bounds) -> bool {
        let (earliest, latest) = bounds.times;
        earliest < self.scope.to && latest >= self.scope.from && bounds.seqs.start < self.end_seq
    }

    /// Whether an event of this number at this place is wanted if the filter accepts it.
    pub(crate) fn is_in_range(&self, key: PageKey, seq: u64) -> bool {
        seq < self.end_seq && self.is_within(key)
    }

    /// The same of an event that was there before the query, whatever its number.
    pub(crate) fn is_within(&self, key: PageKey) -> bool {
        (self.scope.from..self.scope.to).contains(&key.timestamp)
            && self.after.is_none_or(|after| after.is_before(key))
    }

    /// Whether the query is to end now. A part asks about every thousand events, or wherever some
    /// milliseconds may have passed, and ends with [`Seen::is_cut`].
    pub(crate) fn is_over(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self.has_ended.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The same for the inside of a part that ends with nothing where it ends early. Time that is
    /// over is seen a little later, so that a query with very little of it gets on as well.
    pub(crate) fn is_over_inside(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self.has_ended.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline + GRACE)
    }

    /// Lets whoever still looks at a part end.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }
}

/// Why a part cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    /// Nobody can read it any more; everything else is served. Whoever finds it says so in the
    /// log, once.
    #[error("{file} is damaged at byte {offset}: {what}")]
    Damaged { file: String, offset: u64, what: String },
    /// The medium fails.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<PartError> for QueryError {
    fn from(error: PartError) -> Self {
        Self::Io(error.to_string())
    }
}
