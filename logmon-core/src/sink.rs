//! Where events go: the trait of an output, and what drives one.

use std::fmt;
use std::sync::Arc;

use crate::{BoxFuture, Group, LogRef};

mod runner;

pub use runner::{Cursor, CursorError, MemoryCursor, Retry, Runner, RunnerConfig, RunnerError};

/// An output: something that takes events and says of each what became of it.
///
/// A sink knows nothing of cursors, retries or quarantine; the [`Runner`] has them for all sinks.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Writes events. The answer speaks of each of them.
    ///
    /// # Cancel safety
    /// Dropping the future may leave any part written; the events are written again later.
    fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts>;
}

/// Events to be written: some of a group.
#[derive(Clone, Debug)]
pub struct SinkBatch {
    group: Group,
    events: Arc<[u32]>,
}

impl SinkBatch {
    /// The events of `group` with these indices, ascending.
    pub fn new(group: Group, events: impl Into<Arc<[u32]>>) -> Self {
        Self { group, events: events.into() }
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
