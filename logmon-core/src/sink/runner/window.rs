//! What is in flight.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::deliver::Outcome;
use crate::{BoxFuture, Position};

/// Units on their way, in the order of the journal.
#[derive(Default)]
pub(super) struct Window(VecDeque<InFlight>);

struct InFlight {
    start: Position,
    range: Range<u64>,
    delivery: BoxFuture<'static, Outcome>,
    outcome: Option<Outcome>,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(
        &mut self,
        start: Position,
        range: Range<u64>,
        delivery: BoxFuture<'static, Outcome>,
    ) {
        self.0.push_back(InFlight { start, range, delivery, outcome: None });
    }

    /// Where the first unit begins.
    pub(super) fn start(&self) -> Option<Position> {
        self.0.front().map(|front| front.start)
    }

    /// The units' event numbers.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().map(|unit| unit.range.clone())
    }

    /// Lets go of the units at the front that are done.
    pub(super) fn pop_done(&mut self) {
        while self.0.front().is_some_and(|front| front.outcome == Some(Outcome::Done)) {
            self.0.pop_front();
        }
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
