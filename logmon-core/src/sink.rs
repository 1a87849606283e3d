//! Where events go: the trait of an output, and what drives one.

use std::fmt;
use std::sync::Arc;

use crate::{BoxFuture, Group, LogRef};

mod cursor;
mod runner;

pub use cursor::{Cursor, CursorError, CursorState, CursorTally, MemoryCursor};
pub use runner::{Retry, Runner, RunnerConfig, RunnerError, RunnerFigures, RunnerStats, StartAt};

/// An output: something that takes events and says of each what became of it.
///
/// A sink knows nothing of cursors, retries or quarantine; the [`Runner`] has them for all sinks.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Writes events. The answer speaks of each of them.
    ///
    /// # Cancel safety
    /// Dropping the future may leave any part written; the events are written again later.
    fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts>;

    /// Whether what is written again after a crash must come in the same units as before: a sink
    /// that names what it sends after the events in it, so that the other side recognises what
    /// comes twice, needs that. It costs one durable save of the cursor for each read. Default no.
    fn needs_bounds(&self) -> bool {
        false
    }
}

/// Events to be written: a unit of those that a [`Runner`] read together, or what is left of it.
#[derive(Clone, Debug)]
pub struct SinkBatch {
    group: Group,
    events: Arc<[u32]>,
    unit: Arc<[u32]>,
}

impl SinkBatch {
    /// The events of `group` with these indices, ascending.
    pub fn new(group: Group, events: impl Into<Arc<[u32]>>) -> Self {
        let events = events.into();
        Self { group, unit: events.clone(), events }
    }

    /// The same events, said to be what is left of a unit with these indices.
    pub fn left_of(mut self, unit: Arc<[u32]>) -> Self {
        self.unit = unit;
        self
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events in order.
    pub fn logs(&self) -> impl Iterator<Item = LogRef<'_>> {
        self.events.iter().filter_map(|at| self.group.get(*at as usize))
    }

    /// All events of the unit in order, each with its place among [`SinkBatch::logs`], or `None`
    /// where nothing is left to do for it. A sink that [needs bounds](Sink::needs_bounds) cuts its
    /// chunks from these: they are the same in every attempt, also after a restart.
    pub fn unit(&self) -> impl Iterator<Item = (LogRef<'_>, Option<usize>)> {
        let mut left = self.events.iter().enumerate().peekable();
        self.unit.iter().filter_map(move |at| {
            let place = left.next_if(|(_, event)| *event == at).map(|(place, _)| place);
            self.group.get(*at as usize).map(|log| (log, place))
        })
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a sink has these three answers")]
pub enum Verdict {
    /// It is there.
    Delivered,
    /// It can never be written, for this reason; its neighbours can.
    Rejected(Arc<str>),
    /// It may be written later.
    Retry,
}

/// What became of the events of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one for all or one for each")]
pub enum Verdicts {
    /// The same of all.
    All(Verdict),
    /// One for each event, in order. A missing one counts as [`Verdict::Retry`].
    Each(Vec<Verdict>),
}

impl Verdicts {
    /// What became of the `at`-th event.
    pub fn of(&self, at: usize) -> Verdict {
        match self {
            Self::All(verdict) => verdict.clone(),
            Self::Each(verdicts) => verdicts.get(at).cloned().unwrap_or(Verdict::Retry),
        }
    }
}
