//! A group of events: what one fsync made durable.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::entries::{Entries, Index};
use crate::msgpack;
use crate::{Epoch, EventId, FieldMap, Position, RouteSet, Tag, Timestamp};

mod builder;
mod compressed;
mod log_ref;
mod record;

pub use builder::GroupBuilder;
use builder::offset;
pub use compressed::{Codec, Compressed};
pub use log_ref::{LogRef, Parts};

/// A group closes when its payload has reached this many bytes.
pub const MAX_GROUP_BYTES: usize = 8 << 20;

/// Events in the order of their numbers, in memory shared by all who read them.
///
/// One arena holds the bytes, one struct-of-arrays index tells where the parts of each event are,
/// and a table of batches gives what many events have in common. Cloning is a reference count.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    epoch: Epoch,
    arena: Vec<u8>,
    index: Index,
    batches: Vec<Row>,
    /// Bytes of the batches' compressed forms.
    compressed_bytes: usize,
    end_seq: u64,
    /// Numbers of events that could not be read, in order.
    unreadable: Box<[Range<u64>]>,
}

/// What the events of one batch share.
struct Row {
    tag: Tag,
    route: RouteSet,
    fields: Arc<FieldMap>,
    received: Timestamp,
    first_seq: u64,
    /// The id of the first event, where another journal has given it.
    origin: Option<EventId>,
    /// Index of the batch's first event in the group.
    first: usize,
    /// Where its payload ends in the arena.
    end: u32,
    compressed: Option<Arc<Compressed>>,
}

/// Events of one tag, one route and one instant of receipt, on their way into a journal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewBatch {
    /// The tag they came under.
    pub tag: Tag,
    /// Who is to get them.
    pub route: RouteSet,
    /// The events.
    pub entries: Entries,
    /// Digests of the chunks the batch came in, each with the index of its first event; for the
    /// recognition of chunks that are sent again.
    pub fingerprints: Vec<Fingerprint>,
    /// The id of the first event, where another journal has given it; those of the others follow it.
    pub origin: Option<EventId>,
    /// The form it came in, if that was compressed: what is stored and passed on where it is the
    /// smaller one. To be left out where events were added or dropped.
    pub compressed: Option<Compressed>,
}

/// The digest of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "part of the journal's format")]
pub struct Fingerprint {
    /// Index of the chunk's first event in its batch.
    pub first: u32,
    /// The digest.
    pub digest: [u8; 16],
}

impl NewBatch {
    /// A batch for every reader there is.
    pub fn new(tag: Tag, entries: Entries) -> Self {
        Self {
            tag,
            route: RouteSet::ALL,
            entries,
            fingerprints: Vec::new(),
            origin: None,
            compressed: None,
        }
    }

    /// A batch that another journal has taken in: it keeps the ids that it has there, `first` and
    /// those that follow, and is for the live hub alone.
    pub fn foreign(tag: Tag, entries: Entries, first: EventId) -> Self {
        Self { route: RouteSet::LIVE, origin: Some(first), ..Self::new(tag, entries) }
    }
}

impl Group {
    /// The epoch the events were written under.
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.0.index.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.0.index.is_empty()
    }

    /// The number of the first event; of an empty group, that of the event that comes next.
    pub fn first_seq(&self) -> u64 {
        self.0.batches.first().map_or(self.0.end_seq, |row| row.first_seq)
    }

    /// One more than the number of the last event.
    pub fn end_seq(&self) -> u64 {
        self.0.end_seq
    }

    /// The numbers of events between those that were asked for and the end of the group that were
    /// there and cannot be read any more, in order. Groups that were [selected](Group::select) or
    /// [joined](Group::join) say nothing of them.
    pub fn unreadable(&self) -> &[Range<u64>] {
        &self.0.unreadable
    }

    /// The position behind the last event.
    pub fn end(&self) -> Position {
        Position { epoch: self.0.epoch, seq: self.0.end_seq }
    }

    /// About how many bytes of memory the group takes.
    pub fn memory(&self) -> usize {
        // The heads of the seven or so allocations weigh in groups of one event.
        let fixed = size_of::<Inner>() + 7 * 16;
        fixed
            + self.0.arena.capacity()
            + self.0.compressed_bytes
            + self.len() * 29
            + self.0.batches.capacity() * size_of::<Row>()
    }

    /// The event at index `at`, if there are so many.
    pub fn get(&self, at: usize) -> Option<LogRef<'_>> {
        (at < self.len()).then(|| LogRef { group: self, at, row: self.0.row_of(at) })
    }

    /// All events.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = LogRef<'_>> {
        let mut rows = self.0.batches.iter().enumerate().peekable();
        let mut row = 0;
        (0..self.len()).map(move |at| {
            while rows.peek().is_some_and(|(_, next)| next.first <= at) {
                row = rows.next().map_or(row, |(index, _)| index);
            }
            LogRef { group: self, at, row }
        })
    }

    /// The index of the first event whose number is at least `seq`; [`Group::len`] if none is.
    pub fn index_of(&self, seq: u64) -> usize {
        let rows = &self.0.batches;
        let after = rows.partition_point(|row| row.first_seq <= seq);
        let Some(row) = after.checked_sub(1).and_then(|at| rows.get(at)) else { return 0 };
        let next = rows.get(after).map_or(self.len(), |row| row.first);
        usize::try_from(seq - row.first_seq).map_or(next, |offset| (row.first + offset).min(next))
    }

    /// A group of its own with the events at these indices, which ascend. Who keeps a few events of
    /// a big group keeps it alive; who keeps such a copy does not.
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut copy = Copying::with_capacity(self.0.epoch, indices.len());
        copy.add(self, indices.iter().copied());
        copy.finish(self.0.end_seq)
    }

    /// One group with these ranges of several groups, which follow each other and are all of one
    /// epoch: that of the first. `None` without any group.
    pub fn join(parts: &[(Self, Range<usize>)]) -> Option<Self> {
        let (last, _) = parts.last()?;
        let events = parts.iter().map(|(_, range)| range.len()).sum();
        let mut copy = Copying::with_capacity(parts.first()?.0.epoch(), events);
        for (group, range) in parts {
            copy.add_range(group, range.clone());
        }
        Some(copy.finish(last.end_seq()))
    }

    /// The batches: runs of events with one tag, one route and one instant of receipt.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = Batch<'_>> {
        (0..self.0.batches.len()).map(|row| Batch { group: self, row })
    }
}

/// A group that is made of copies of events.
struct Copying(Inner);

impl Copying {
    fn with_capacity(epoch: Epoch, events: usize) -> Self {
        let index = Index::with_capacity(events);
        let (arena, batches) = (Vec::new(), Vec::new());
        Self(Inner {
            epoch,
            arena,
            index,
            batches,
            compressed_bytes: 0,
            end_seq: 0,
            unreadable: Box::default(),
        })
    }

    fn add(&mut self, group: &Group, indices: impl Iterator<Item = usize>) {
        let Inner { arena, index, batches, end_seq, .. } = &mut self.0;
        let mut last: Option<LogRef<'_>> = None;
        for log in indices.filter_map(|at| group.get(at)) {
            index.copy(&group.0.index, log.at, offset(arena.len()));
            arena.extend_from_slice(log.entry());
            index.end = offset(arena.len());
            let row = log.row();
            match batches.last_mut() {
                Some(copy) if last.is_some_and(|last| last.is_before(&log)) => copy.end = index.end,
                _ => batches.push(Row {
                    tag: row.tag.clone(),
                    route: row.route,
                    fields: row.fields.clone(),
                    received: row.received,
                    first_seq: log.seq(),
                    origin: row.origin.map(|_| log.id()),
                    first: index.len() - 1,
                    end: index.end,
                    compressed: None,
                }),
            }
            *end_seq = log.seq() + 1;
            last = Some(log);
        }
    }

    /// Adds a range of events. Batches that are whole in it keep their compressed form.
    fn add_range(&mut self, group: &Group, range: Range<usize>) {
        let before = self.0.batches.len();
        self.add(group, range.clone());
        let touched = group.batches().skip_while(|batch| batch.range().end <= range.start);
        for (copy, batch) in self.0.batches.iter_mut().skip(before).zip(touched) {
            let Range { start, end } = batch.range();
            if range.start <= start && end <= range.end {
                copy.compressed.clone_from(&batch.row().compressed);
                self.0.compressed_bytes += batch.compressed().map_or(0, |form| form.bytes.len());
            }
        }
    }

    /// The group; one without events ends at `end_seq`.
    fn finish(self, end_seq: u64) -> Group {
        let mut inner = self.0;
        if inner.index.is_empty() {
            inner.end_seq = end_seq;
        }
        Group(Arc::new(inner))
    }
}

impl Inner {
    fn row_of(&self, at: usize) -> usize {
        self.batches.partition_point(|row| row.first <= at).saturating_sub(1)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("epoch", &self.epoch())
            .field("seqs", &(self.first_seq()..self.end_seq()))
            .field("events", &self.len())
            .finish_non_exhaustive()
    }
}

/// A range of a group: the events of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'g> {
    group: &'g Group,
    row: usize,
}

impl<'g> Batch<'g> {
    fn row(&self) -> &'g Row {
        &self.group.0.batches[self.row]
    }

    /// The tag of all its events.
    pub fn tag(&self) -> &'g Tag {
        &self.row().tag
    }

    /// Who is to get the events.
    pub fn route(&self) -> RouteSet {
        self.row().route
    }

    /// The id of the first event, where another journal has given it.
    pub fn origin(&self) -> Option<EventId> {
        self.row().origin
    }

    /// When the events were taken in.
    pub fn received(&self) -> Timestamp {
        self.row().received
    }

    /// Which keys of its records are level, message and source.
    pub fn fields(&self) -> &'g Arc<FieldMap> {
        &self.row().fields
    }

    /// The epoch the events were written under.
    pub fn epoch(&self) -> Epoch {
        self.group.epoch()
    }

    /// The form in which the whole batch came over the wire, if that was compressed and is kept.
    pub fn compressed(&self) -> Option<&'g Compressed> {
        self.row().compressed.as_deref()
    }

    /// The indices of its events in the group.
    pub fn range(&self) -> Range<usize> {
        let next = self.group.0.batches.get(self.row + 1);
        self.row().first..next.map_or(self.group.len(), |next| next.first)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("tag", &self.tag)
            .field("first_seq", &self.first_seq)
            .finish_non_exhaustive()
    }
}

/// Appends one packed entry `[time, record]`.
pub fn write_entry(out: &mut Vec<u8>, time: Timestamp, write_record: impl FnOnce(&mut Vec<u8>)) {
    msgpack::write_array_len(out, 2);
    msgpack::write_event_time(out, time);
    write_record(out);
}

#[cfg(test)]
mod tests;
