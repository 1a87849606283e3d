//! How far a sink has come, remembered.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{BoxFuture, Position};

/// Remembers how far a sink has come.
pub trait Cursor: fmt::Debug + Send + Sync + 'static {
    /// What was saved last; `None` for a new sink.
    ///
    /// # Errors
    /// What was saved cannot be read.
    fn load(&self) -> BoxFuture<'_, Result<Option<CursorState>, CursorError>>;

    /// Saves where the sink stands.
    ///
    /// # Durability
    /// When the future resolves, a crash no longer takes it back. Events before the position may
    /// then be removed from the journal.
    ///
    /// # Errors
    /// It could not be saved; what was saved before is still there.
    ///
    /// # Cancel safety
    /// Dropped half way, either state may be the one that is found later, whole.
    fn save(&self, state: CursorState) -> BoxFuture<'_, Result<(), CursorError>>;
}

/// Where a sink stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a reader has to say of itself")]
pub struct CursorState {
    /// Every event before it is delivered or quarantined.
    pub position: Position,
    /// The units from there on that were handed to a sink which [needs them to be the same
    /// again](crate::Sink::needs_bounds), as ranges of event numbers, ascending and without
    /// overlap; empty for others.
    pub in_flight: Vec<Range<u64>>,
    /// What became of the events before the position, since the cursor began. `None` of a reader
    /// that does not count: then all it has passed counts as delivered, save what was removed
    /// before it came there.
    pub tally: Option<CursorTally>,
}

/// What became of events that a cursor has passed. Each is counted in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CursorTally {
    /// They are where they were to go.
    pub delivered: u64,
    /// They can never be written; the quarantine has them.
    pub quarantined: u64,
    /// They were for others.
    pub unrouted: u64,
    /// The journal had removed them before they were read.
    pub expired: u64,
    /// They could not be read any more.
    pub damaged: u64,
}

impl CursorTally {
    /// All events that were passed.
    pub const fn total(&self) -> u64 {
        self.delivered + self.quarantined + self.unrouted + self.expired + self.damaged
    }
}

impl std::ops::AddAssign for CursorTally {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.quarantined += other.quarantined;
        self.unrouted += other.unrouted;
        self.expired += other.expired;
        self.damaged += other.damaged;
    }
}

impl CursorState {
    /// At this position with nothing in flight.
    pub const fn at(position: Position) -> Self {
        Self { position, in_flight: Vec::new(), tally: None }
    }
}

/// A cursor could not be read or saved.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the cursor failed: {0}")]
pub struct CursorError(pub Arc<str>);

/// A cursor that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryCursor(Mutex<Option<CursorState>>);

impl Cursor for MemoryCursor {
    fn load(&self) -> BoxFuture<'_, Result<Option<CursorState>, CursorError>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(std::future::ready(Ok(state)))
    }

    fn save(&self, state: CursorState) -> BoxFuture<'_, Result<(), CursorError>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Box::pin(std::future::ready(Ok(())))
    }
}
