//! What is in flight.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::deliver::Outcome;
use crate::sink::CursorTally;
use crate::{BoxFuture, Position};

/// Units on their way, in the order of the journal.
#[derive(Default)]
pub(super) struct Window(VecDeque<InFlight>);

struct InFlight {
    start: Position,
    range: Range<u64>,
    delivery: BoxFuture<'static, Outcome>,
    outcome: Option<Outcome>,
    /// What there is to say of its events beside what becomes of those delivered.
    tally: CursorTally,
    is_unit: bool,
}

impl Window {
    /// The number of units.
    pub(super) fn len(&self) -> usize {
        self.0.iter().filter(|unit| unit.is_unit).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(
        &mut self,
        start: Position,
        range: Range<u64>,
        tally: CursorTally,
        delivery: BoxFuture<'static, Outcome>,
    ) {
        let (outcome, is_unit) = (None, true);
        self.0.push_back(InFlight { start, range, delivery, outcome, tally, is_unit });
    }

    /// Adds a range of which there is nothing to deliver.
    pub(super) fn push_passed(&mut self, start: Position, range: Range<u64>, tally: CursorTally) {
        let delivery = Box::pin(std::future::pending());
        let outcome = Some(Outcome::Done(CursorTally::default()));
        self.0.push_back(InFlight { start, range, delivery, outcome, tally, is_unit: false });
    }

    /// Where the first unit begins.
    pub(super) fn start(&self) -> Option<Position> {
        self.0.front().map(|front| front.start)
    }

    /// The units' event numbers.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().filter(|unit| unit.is_unit).map(|unit| unit.range.clone())
    }

    /// Lets go of the units at the front that are done; says what became of their events.
    pub(super) fn pop_done(&mut self) -> CursorTally {
        let mut all = CursorTally::default();
        while let Some(InFlight { outcome: Some(Outcome::Done(tally)), .. }) = self.0.front() {
            all += *tally;
            if let Some(unit) = self.0.pop_front() {
                all += unit.tally;
            }
        }
        all
    }

    /// Waits until the first unit has ended, moving all of them on. Pending for ever without
    /// units.
    pub(super) fn front_ended(&mut self) -> impl Future<Output = ()> {
        std::future::poll_fn(move |cx: &mut Context<'_>| {
            self.poll(cx);
            match self.0.front() {
                Some(front) if front.outcome.is_some() => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
    }

    /// Waits until all have ended.
    pub(super) fn all_ended(&mut self) -> impl Future<Output = ()> {
        std::future::poll_fn(move |cx: &mut Context<'_>| {
            self.poll(cx);
            let has_ended = self.0.iter().all(|unit| unit.outcome.is_some());
            if has_ended { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        for unit in self.0.iter_mut().filter(|unit| unit.outcome.is_none()) {
            if let Poll::Ready(outcome) = Pin::new(&mut unit.delivery).poll(cx) {
                unit.outcome = Some(outcome);
            }
        }
    }
}
