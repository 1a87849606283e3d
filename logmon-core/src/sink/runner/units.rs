//! Cuts a journal into units.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::sink::{CursorState, CursorTally};
use crate::{Group, GroupBuilder, Journal, Position, ReadError, RouteSet};

/// Reads on and on, each time a unit.
pub(super) struct Units<'j> {
    journal: &'j dyn Journal,
    position: Position,
    /// Where units before a restart began and ended, ascending and beyond the position. They are
    /// cut there again.
    bounds: VecDeque<u64>,
    group_bytes: usize,
}

/// Events that are written together: those of a range of numbers.
pub(super) struct Unit {
    start: Position,
    end_seq: u64,
    group: Group,
    events: Range<usize>,
    /// Events of the range that cannot be read any more.
    damaged: u64,
}

impl<'j> Units<'j> {
    pub(super) fn new(journal: &'j dyn Journal, state: CursorState, group_bytes: usize) -> Self {
        let CursorState { position, in_flight, .. } = state;
        let mut bounds: Vec<u64> =
            in_flight.into_iter().flat_map(|range| [range.start, range.end]).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let mut units = Self { journal, position, bounds: bounds.into(), group_bytes };
        units.pass_bounds();
        units
    }

    /// The next event to be read.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Goes on elsewhere. What was cut of another past means nothing.
    pub(super) fn jump(&mut self, to: Position) {
        if to.seq <= self.position.seq {
            self.bounds.clear();
        }
        self.position = to;
        self.pass_bounds();
    }

    fn pass_bounds(&mut self) {
        while self.bounds.front().is_some_and(|bound| *bound <= self.position.seq) {
            self.bounds.pop_front();
        }
    }

    /// The next unit: up to the next bound from before a restart, or else about `group_bytes` of
    /// what is there. Of one epoch. `None` at the head.
    pub(super) async fn next(&mut self) -> Result<Option<Unit>, ReadError> {
        let (start, mut at) = (self.position, self.position);
        let bound = self.bounds.front().copied();
        let (mut parts, mut bytes, mut damaged) = (Vec::<(Group, Range<usize>)>::new(), 0, 0);
        while bound.map_or(bytes < self.group_bytes.max(1), |bound| at.seq < bound) {
            let read = match self.journal.read(at, self.group_bytes).await {
                Ok(read) => read,
                // First what is there; the next read says it again.
                Err(_) if at.seq > start.seq => break,
                Err(error) => return Err(error),
            };
            let Some(group) = read else { break };
            let first = group.index_of(at.seq);
            let (last, end) = match bound.filter(|bound| *bound < group.end_seq()) {
                Some(bound) => (group.index_of(bound), Position { seq: bound, ..group.end() }),
                None => (group.len(), group.end()),
            };
            let is_other_epoch = parts.first().is_some_and(|(one, _)| one.epoch() != group.epoch());
            if is_other_epoch && first < last {
                break;
            }
            damaged += missing(&group, at.seq..end.seq);
            at = end;
            bytes += group.memory();
            if first < last {
                parts.push((group, first..last));
            }
        }
        if at.seq == start.seq {
            // A bound beyond the head is of events that are no more.
            self.bounds.clear();
            return Ok(None);
        }
        self.position = at;
        self.pass_bounds();
        let joined = match &mut *parts {
            [] => Some((GroupBuilder::over(at.epoch, Vec::new(), 0).finish(), 0..0)),
            [_] => parts.pop(),
            several => Group::join(several).map(|group| {
                let events = group.len();
                (group, 0..events)
            }),
        };
        Ok(joined.map(|(group, events)| Unit { start, end_seq: at.seq, group, events, damaged }))
    }
}

/// How many events of a range a group says are unreadable.
fn missing(group: &Group, range: Range<u64>) -> u64 {
    let overlap =
        |gap: &Range<u64>| gap.end.min(range.end).saturating_sub(gap.start.max(range.start));
    group.unreadable().iter().map(overlap).sum()
}

impl Unit {
    pub(super) fn start(&self) -> Position {
        self.start
    }

    /// Its event numbers.
    pub(super) fn range(&self) -> Range<u64> {
        self.start.seq..self.end_seq
    }

    /// What is to be said of its events before any is delivered, with `routed` of them.
    pub(super) fn tally(&self, routed: usize) -> CursorTally {
        let unrouted = self.events.len().saturating_sub(routed) as u64;
        CursorTally { unrouted, damaged: self.damaged, ..CursorTally::default() }
    }

    /// The indices of the events in one of these route sets.
    pub(super) fn routed(&self, routes: &[RouteSet]) -> Arc<[u32]> {
        let Range { start, end } = self.events;
        let batches = self.group.batches().filter(|batch| routes.contains(&batch.route()));
        let indices = batches.flat_map(|batch| {
            let range = batch.range();
            range.start.max(start)..range.end.min(end)
        });
        indices.filter_map(|at| u32::try_from(at).ok()).collect()
    }

    pub(super) fn into_group(self) -> Group {
        self.group
    }
}
