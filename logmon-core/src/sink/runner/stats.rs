//! What a runner counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Position;

/// The counters of a [`Runner`](super::Runner), from its making on.
#[derive(Debug, Default)]
pub struct RunnerStats(Mutex<RunnerFigures>);

/// The counters at one moment: `routed = delivered + lag + quarantined + expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunnerFigures {
    /// Events that were read for the sink, and those of `expired`.
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

    /// What an earlier run read and left is read once more.
    pub(super) fn begin(&self) {
        let mut figures = self.lock();
        figures.routed -= figures.lag;
        figures.lag = 0;
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
