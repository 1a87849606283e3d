//! Stretches of the journal as parts.

use std::ops::Range;
use std::sync::Arc;

use logmon_core::{Event as _, FieldTally, Group, LogRef, Order, PageKey, Tables, Timestamp};

use super::{Best, Bounds, Look, Part, PartError, Seen};
use crate::journal::{Extent, Recent, View};

/// Looking at so many events takes some milliseconds at most.
const EVENTS_BETWEEN_CHECKS: usize = if cfg!(test) { 3 } else { 512 };
/// Events in memory that are looked at together.
const PART_EVENTS: usize = if cfg!(test) { 16 } else { 2048 };

/// A segment of the journal, or a block of one.
#[derive(Debug)]
struct JournalPart {
    view: Arc<View>,
    extent: Extent,
    /// Other events are in other parts.
    seqs: Range<u64>,
    foreign: Foreign,
}

/// Events that are in memory.
#[derive(Debug)]
struct RecentPart {
    /// Ranges of groups, in order.
    pieces: Vec<(Group, Range<usize>)>,
    times: (Timestamp, Timestamp),
    foreign: Foreign,
}

/// What becomes of events that other journals have taken in, and that are shown here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// They are of no concern.
    Skip,
    /// They are events like others.
    Take,
}

/// The events of a view from a number on.
pub(crate) fn parts_of(view: &Arc<View>, first_seq: u64, foreign: Foreign) -> Vec<Arc<dyn Part>> {
    let first_seq = first_seq.max(view.first_seq());
    let end_seq = view.head().seq;
    let recent = view.recent(first_seq);
    let in_memory = match (recent.first(), recent.last()) {
        (Some(first), Some(last)) => first.group.first_seq()..last.group.end_seq(),
        _ => end_seq..end_seq,
    };
    let before = first_seq..in_memory.start.min(end_seq);
    let behind = in_memory.end.max(first_seq)..end_seq;
    let on_disk = [before, behind].into_iter().flat_map(|seqs| {
        view.segments().filter_map(move |extent| JournalPart::boxed(view, extent, &seqs, foreign))
    });
    on_disk.chain(RecentPart::all(recent, first_seq, foreign)).collect()
}

impl Foreign {
    fn concerns(self, log: &LogRef<'_>) -> bool {
        self == Self::Take || !log.is_foreign()
    }
}

impl JournalPart {
    /// The events of an extent with these numbers; `None` if there are none.
    fn boxed(
        view: &Arc<View>,
        extent: Extent,
        seqs: &Range<u64>,
        foreign: Foreign,
    ) -> Option<Arc<dyn Part>> {
        let seqs = seqs.start.max(extent.first_seq)..seqs.end.min(extent.end_seq);
        (!seqs.is_empty())
            .then(|| Arc::new(Self { view: view.clone(), extent, seqs, foreign }) as _)
    }

    /// Shows every event that the query wants.
    fn look_at(&self, look: &Look<'_>, each: &mut Each<'_>) -> Result<Seen, PartError> {
        let Some((group, bytes)) = self.view.read(&self.extent)? else {
            return Ok(Seen::default());
        };
        let mut seen = Seen { bytes, ..Seen::default() };
        for log in group.iter() {
            if log.index().is_multiple_of(EVENTS_BETWEEN_CHECKS) && look.is_over() {
                seen.is_cut = true;
                break;
            }
            if self.seqs.contains(&log.seq()) && self.foreign.concerns(&log) {
                judge(look, (&group, &log), &mut seen, each);
            }
        }
        Ok(seen)
    }
}

/// What is done with an event that the query wants.
type Each<'e> = dyn FnMut(PageKey, &Group, &LogRef<'_>) + 'e;

/// Shows an event if the query wants it.
fn judge(
    look: &Look<'_>,
    (group, log): (&Group, &LogRef<'_>),
    seen: &mut Seen,
    each: &mut Each<'_>,
) {
    let key = look.ties.key_of(log);
    if look.is_in_range(key, log.seq()) {
        seen.events += 1;
        if look.scope.filter.matches(log) {
            seen.matched += 1;
            each(key, group, log);
        }
    }
}

impl Part for JournalPart {
    fn bounds(&self) -> Bounds {
        Bounds { times: self.extent.times, seqs: self.seqs.clone() }
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        if !self.extent.is_segment() {
            return Ok(None);
        }
        let blocks = self.view.split(&self.extent)?.into_iter();
        Ok(Some(
            blocks
                .filter_map(|extent| Self::boxed(&self.view, extent, &self.seqs, self.foreign))
                .collect(),
        ))
    }

    fn find(&self, look: &Look<'_>, best: &mut Best) -> Result<Seen, PartError> {
        self.look_at(look, &mut |key, group, log| best.offer(key, group, log.index()))
    }

    fn tally(&self, look: &Look<'_>, tables: &mut Tables) -> Result<Seen, PartError> {
        self.look_at(look, &mut |_, _, log| tables.observe(log))
    }

    fn fields(&self, look: &Look<'_>, tally: &mut FieldTally) -> Result<Seen, PartError> {
        self.look_at(look, &mut |_, _, log| tally.observe(log))
    }
}

impl RecentPart {
    /// The events of groups that follow each other, from a number on.
    fn all(
        recent: Vec<Recent>,
        first_seq: u64,
        foreign: Foreign,
    ) -> impl Iterator<Item = Arc<dyn Part>> {
        let mut parts: Vec<Self> = Vec::new();
        for Recent { group, times } in recent {
            let mut next = group.index_of(first_seq);
            while next < group.len() {
                let range = next..group.len().min(next + PART_EVENTS);
                next = range.end;
                let times =
                    if range.len() < group.len() { times_of(&group, &range) } else { times };
                match parts.last_mut().filter(|last| last.events() + range.len() <= PART_EVENTS) {
                    Some(last) => last.add(group.clone(), range, times),
                    None => {
                        parts.push(Self { pieces: vec![(group.clone(), range)], times, foreign });
                    }
                }
            }
        }
        parts.into_iter().map(|part| Arc::new(part) as _)
    }

    fn events(&self) -> usize {
        self.pieces.iter().map(|(_, range)| range.len()).sum()
    }

    fn add(&mut self, group: Group, range: Range<usize>, times: (Timestamp, Timestamp)) {
        self.times = (self.times.0.min(times.0), self.times.1.max(times.1));
        self.pieces.push((group, range));
    }

    /// Shows every event that the query wants, those appended last first if asked to.
    fn look_at(&self, look: &Look<'_>, is_reversed: bool, each: &mut Each<'_>) -> Seen {
        let mut seen = Seen::default();
        let mut pieces = self.pieces.iter();
        let mut events = 0_usize;
        while let Some((group, range)) =
            if is_reversed { pieces.next_back() } else { pieces.next() }
        {
            let mut indices = range.clone();
            while let Some(at) = if is_reversed { indices.next_back() } else { indices.next() } {
                if events.is_multiple_of(EVENTS_BETWEEN_CHECKS) && look.is_over() {
                    seen.is_cut = true;
                    return seen;
                }
                events += 1;
                if let Some(log) = group.get(at).filter(|log| self.foreign.concerns(log)) {
                    judge(look, (group, &log), &mut seen, each);
                }
            }
        }
        seen
    }
}

fn times_of(group: &Group, range: &Range<usize>) -> (Timestamp, Timestamp) {
    let times = range.clone().filter_map(|at| group.get(at)).map(|log| log.timestamp());
    times.fold((Timestamp::MAX, Timestamp::MIN), |(least, most), time| {
        (least.min(time), most.max(time))
    })
}

impl Part for RecentPart {
    fn bounds(&self) -> Bounds {
        let seq = |log: Option<LogRef<'_>>| log.map_or(0, |log| log.seq());
        let first = seq(self.pieces.first().and_then(|(group, range)| group.get(range.start)));
        let last = seq(self.pieces.last().and_then(|(group, range)| group.get(range.end - 1)));
        Bounds { times: self.times, seqs: first..last + 1 }
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        Ok(None)
    }

    fn find(&self, look: &Look<'_>, best: &mut Best) -> Result<Seen, PartError> {
        // Mostly the order of time: then the first to be offered stay the best.
        let is_reversed = best.order() == Order::NewestFirst;
        let each = &mut |key, group: &Group, log: &LogRef<'_>| best.offer(key, group, log.index());
        Ok(self.look_at(look, is_reversed, each))
    }

    fn tally(&self, look: &Look<'_>, tables: &mut Tables) -> Result<Seen, PartError> {
        Ok(self.look_at(look, false, &mut |_, _, log| tables.observe(log)))
    }

    fn fields(&self, look: &Look<'_>, tally: &mut FieldTally) -> Result<Seen, PartError> {
        Ok(self.look_at(look, false, &mut |_, _, log| tally.observe(log)))
    }
}
