//! What became of the events that came in over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start: `received = appended + refused + lost + unsettled` once nothing is
/// under way.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    received: AtomicU64,
    appended: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    unsettled: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntakeFigures {
    /// Events and what was sent as one.
    pub(crate) received: u64,
    /// Events the journal has made durable.
    pub(crate) appended: u64,
    /// What could not be read, or came with what could not and was not wanted then.
    pub(crate) refused: u64,
    /// Events the journal did not take; the sender was told.
    pub(crate) lost: u64,
    /// Events queued for the journal whose commit nobody waited for.
    pub(crate) unsettled: u64,
}

impl Intake {
    pub(crate) fn figures(&self) -> IntakeFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        IntakeFigures {
            received: read(&self.received),
            appended: read(&self.appended),
            refused: read(&self.refused),
            lost: read(&self.lost),
            unsettled: read(&self.unsettled),
        }
    }

    /// Events have come in.
    pub(super) fn arrive(&self, events: usize) -> Arrival<'_> {
        let left = count(events);
        self.received.fetch_add(left, Ordering::Relaxed);
        Arrival { intake: self, left }
    }
}

/// Events of one request. Those of which nothing is said until it is dropped are not settled.
pub(super) struct Arrival<'i> {
    intake: &'i Intake,
    left: u64,
}

impl Arrival<'_> {
    pub(super) fn appended(&mut self, events: usize) {
        self.settle(events, &self.intake.appended);
    }

    pub(super) fn refused(&mut self, events: usize) {
        self.settle(events, &self.intake.refused);
    }

    pub(super) fn lost(&mut self, events: usize) {
        self.settle(events, &self.intake.lost);
    }

    fn settle(&mut self, events: usize, counter: &AtomicU64) {
        let events = count(events).min(self.left);
        counter.fetch_add(events, Ordering::Relaxed);
        self.left -= events;
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.intake.unsettled.fetch_add(self.left, Ordering::Relaxed);
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_balance_whatever_is_said() {
        let intake = Intake::default();
        let mut arrival = intake.arrive(10);
        arrival.refused(2);
        arrival.appended(5);
        drop(arrival);
        intake.arrive(3).lost(3);
        let figures = intake.figures();
        let expected =
            IntakeFigures { received: 13, appended: 5, refused: 2, lost: 3, unsettled: 3 };
        assert_eq!(figures, expected);
    }
}
