//! What a runner counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Position;
use crate::sink::CursorTally;

/// The counters of a [`Runner`](super::Runner), from the beginning of its cursor on.
#[derive(Debug, Default)]
pub struct RunnerStats(Mutex<RunnerFigures>);

/// The counters at one moment: `routed = delivered + lag + quarantined + expired + damaged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunnerFigures {
    /// Events that were read for the sink, and those of `expired` and `damaged`.
    pub routed: u64,
    /// Events the sink says are there.
    pub delivered: u64,
    /// Events that were read and of which nothing is known yet.
    pub lag: u64,
    /// Events the sink can never write; the quarantine has them.
    pub quarantined: u64,
    /// Events that retention took before they were read: the numbers that were passed over, so
    /// with holes among them too many.
    pub expired: u64,
    /// Events that could not be read any more.
    pub damaged: u64,
    /// Attempts after which something was left to be written again.
    pub retries: u64,
    /// What the cursor says, once it was loaded or saved.
    pub position: Option<Position>,
}

impl RunnerStats {
    /// The counters now, all of the same moment.
    pub fn figures(&self) -> RunnerFigures {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, RunnerFigures> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier run read and did not save is read once more; counted is what was saved.
    pub(super) fn begin(&self, saved: Option<CursorTally>) {
        let mut figures = self.lock();
        figures.routed -= figures.lag;
        figures.lag = 0;
        if let Some(tally) = saved {
            figures.delivered = tally.delivered;
            figures.quarantined = tally.quarantined;
            figures.expired = tally.expired;
            figures.damaged = tally.damaged;
            figures.routed = tally.total() - tally.unrouted;
        }
    }

    pub(super) fn damaged(&self, events: u64) {
        let mut figures = self.lock();
        figures.routed += events;
        figures.damaged += events;
    }

    pub(super) fn routed(&self, events: usize) {
        let mut figures = self.lock();
        figures.routed += events as u64;
        figures.lag += events as u64;
    }

    pub(super) fn delivered(&self, events: u64) {
        let mut figures = self.lock();
        figures.delivered += events;
        figures.lag -= events;
    }

    pub(super) fn quarantined(&self) {
        let mut figures = self.lock();
        figures.quarantined += 1;
        figures.lag -= 1;
    }

    pub(super) fn expired(&self, events: u64) {
        let mut figures = self.lock();
        figures.routed += events;
        figures.expired += events;
    }

    pub(super) fn retried(&self) {
        self.lock().retries += 1;
    }

    pub(super) fn saved(&self, position: Position) {
        self.lock().position = Some(position);
    }
}
