//! A group of events: what one fsync made durable.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::entries::{Entries, EntryError, Index, Reading, Span};
use crate::event::{Event, Scalar};
use crate::json::{self, Lossy};
use crate::log::Log;
use crate::msgpack;
use crate::{Epoch, EventId, FieldMap, Level, Position, RouteSet, Tag, Timestamp};

mod record;

use record::Record;

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
    end_seq: u64,
}

/// What the events of one batch share.
struct Row {
    tag: Tag,
    route: RouteSet,
    fields: Arc<FieldMap>,
    received: Timestamp,
    first_seq: u64,
    /// Index of the batch's first event in the group.
    first: usize,
    /// Where its payload ends in the arena.
    end: u32,
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
        Self { tag, route: RouteSet::ALL, entries, fingerprints: Vec::new() }
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
        let (mut arena, mut index) = (Vec::new(), Index::with_capacity(indices.len()));
        let mut batches: Vec<Row> = Vec::new();
        let mut last: Option<LogRef<'_>> = None;
        for log in indices.iter().filter_map(|at| self.get(*at)) {
            index.copy(&self.0.index, log.at, offset(arena.len()));
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
                    first: index.len() - 1,
                    end: index.end,
                }),
            }
            last = Some(log);
        }
        let end_seq = last.map_or(self.0.end_seq, |last| last.seq() + 1);
        Self(Arc::new(Inner { epoch: self.0.epoch, arena, index, batches, end_seq }))
    }

    /// The least and greatest timestamp; `None` without events.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        let times = &self.0.index.times;
        Some((
            Timestamp::from_nanos(*times.iter().min()?),
            Timestamp::from_nanos(*times.iter().max()?),
        ))
    }

    /// The batches: runs of events with one tag, one route and one instant of receipt.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = Batch<'_>> {
        (0..self.0.batches.len()).map(|row| Batch { group: self, row })
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

    /// When the events were taken in.
    pub fn received(&self) -> Timestamp {
        self.row().received
    }

    /// The indices of its events in the group.
    pub fn range(&self) -> Range<usize> {
        let next = self.group.0.batches.get(self.row + 1);
        self.row().first..next.map_or(self.group.len(), |next| next.first)
    }
}

/// One event of a group: a pair of a group and an index.
#[derive(Clone, Copy)]
pub struct LogRef<'g> {
    group: &'g Group,
    at: usize,
    row: usize,
}

impl<'g> LogRef<'g> {
    fn row(&self) -> &'g Row {
        &self.group.0.batches[self.row]
    }

    /// The index in the group.
    pub fn index(&self) -> usize {
        self.at
    }

    /// The number of the event.
    pub fn seq(&self) -> u64 {
        let row = self.row();
        row.first_seq + (self.at - row.first) as u64
    }

    /// The id of the event.
    pub fn id(&self) -> EventId {
        EventId::new(self.group.epoch(), self.seq())
    }

    /// Whether `next` is the next event of the same batch.
    fn is_before(&self, next: &LogRef<'_>) -> bool {
        self.row == next.row && self.at + 1 == next.at
    }

    /// The packed entry as it came: `[time, record]` or `[[time, metadata], record]`.
    pub fn entry(&self) -> &'g [u8] {
        let inner = &self.group.0;
        let start = inner.index.starts[self.at] as usize;
        let row = self.row();
        let is_last = inner.batches.get(self.row + 1).map_or(self.group.len(), |next| next.first)
            == self.at + 1;
        let end = if is_last { row.end } else { inner.index.starts[self.at + 1] };
        inner.arena.get(start..end as usize).unwrap_or_default()
    }

    fn record(&self) -> Option<Record<'g>> {
        // The index has checked the entry, so this reads.
        Record::read(self.entry(), &self.row().fields).ok()
    }

    fn bytes(&self, span: (u32, u32)) -> &'g [u8] {
        self.group.0.arena.get(span.0 as usize..span.1 as usize).unwrap_or_default()
    }

    /// The bytes of the message where the record has a text one.
    pub fn message_bytes(&self) -> Option<&'g [u8]> {
        let index = &self.group.0.index;
        (index.flags[self.at].message() == Span::Text).then(|| self.bytes(index.messages[self.at]))
    }

    fn json_text(value: &[u8], lossy: &mut Lossy) -> String {
        let mut out = Vec::new();
        // Checked when it was indexed; a value that does not read leaves what was written so far.
        let _checked = json::write_checked(&mut out, value, lossy);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The message where it is a text, or else the JSON text that stands for it.
    fn message_text(&self, lossy: &mut Lossy) -> Cow<'g, str> {
        let index = &self.group.0.index;
        let value = match index.flags[self.at].message() {
            Span::Text => return String::from_utf8_lossy(self.bytes(index.messages[self.at])),
            Span::Value => Some(self.bytes(index.messages[self.at])),
            Span::Absent => self.record().map(|record| record.bytes()),
        };
        value.map_or(Cow::Borrowed(""), |value| Self::json_text(value, lossy).into())
    }

    /// Appends the event as a JSON object, in the form of the HTTP API: `id`, `seq` (a string),
    /// `timestamp`, `received`, `tag`, `level`, `source`, `message`, `metadata`, and
    /// `"encoding":"lossy"` where bytes that are not UTF-8 were replaced.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut lossy = Lossy::default();
        out.extend_from_slice(b"{\"id\":\"");
        self.id().write_hex(out);
        out.extend_from_slice(b"\",\"seq\":\"");
        out.extend_from_slice(self.seq().to_string().as_bytes());
        out.extend_from_slice(b"\",\"timestamp\":\"");
        self.timestamp().write_rfc3339(out);
        out.extend_from_slice(b"\",\"received\":\"");
        self.received().write_rfc3339(out);
        out.extend_from_slice(b"\",\"tag\":");
        json::write_string(out, self.tag());
        out.extend_from_slice(b",\"level\":");
        match self.level() {
            Some(level) => json::write_string(out, level.as_str()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"source\":");
        self.write_source(out, &mut lossy);
        out.extend_from_slice(b",\"message\":");
        match self.message_bytes() {
            Some(text) => json::write_text(out, text, &mut lossy),
            None => json::write_string(out, &self.message_text(&mut lossy)),
        }
        out.extend_from_slice(b",\"metadata\":");
        let start = out.len();
        let metadata = self.record().and_then(|record| record.metadata().ok());
        if metadata.is_none_or(|metadata| metadata.write_json(out, &mut lossy).is_err()) {
            out.truncate(start);
            out.extend_from_slice(b"{}");
        }
        if lossy.0 {
            out.extend_from_slice(b",\"encoding\":\"lossy\"");
        }
        out.push(b'}');
    }

    fn write_source(&self, out: &mut Vec<u8>, lossy: &mut Lossy) {
        let index = &self.group.0.index;
        match index.flags[self.at].source() {
            Span::Absent => out.extend_from_slice(b"null"),
            Span::Text => json::write_text(out, self.bytes(index.sources[self.at]), lossy),
            Span::Value => {
                let text = Self::json_text(self.bytes(index.sources[self.at]), lossy);
                json::write_string(out, &text);
            }
        }
    }

    /// The owned form.
    pub fn to_log(&self) -> Log {
        Log {
            timestamp: self.timestamp(),
            received: self.received(),
            tag: self.row().tag.clone(),
            level: self.level(),
            message: self.message().into_owned(),
            source: self.source().map(Cow::into_owned),
            metadata: self
                .record()
                .and_then(|record| record.metadata().ok()?.to_map().ok())
                .unwrap_or_default(),
        }
    }
}

impl Event for LogRef<'_> {
    fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanos(self.group.0.index.times[self.at])
    }

    fn received(&self) -> Timestamp {
        self.row().received
    }

    fn tag(&self) -> &str {
        &self.row().tag
    }

    fn level(&self) -> Option<Level> {
        self.group.0.index.flags[self.at].level()
    }

    fn message(&self) -> Cow<'_, str> {
        self.message_text(&mut Lossy::default())
    }

    fn source(&self) -> Option<Cow<'_, str>> {
        let index = &self.group.0.index;
        let bytes = self.bytes(index.sources[self.at]);
        match index.flags[self.at].source() {
            Span::Absent => None,
            Span::Text => Some(String::from_utf8_lossy(bytes)),
            Span::Value => Some(Self::json_text(bytes, &mut Lossy::default()).into()),
        }
    }

    fn visit_metadata(&self, path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        let metadata = self.record().and_then(|record| record.metadata().ok());
        metadata.is_some_and(|metadata| metadata.visit(path, visit))
    }
}

impl fmt::Debug for LogRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut json = Vec::new();
        self.write_json(&mut json);
        f.write_str(&String::from_utf8_lossy(&json))
    }
}

/// Puts a group together.
#[derive(Debug)]
pub struct GroupBuilder {
    epoch: Epoch,
    arena: Vec<u8>,
    index: Index,
    batches: Vec<Row>,
    end_seq: u64,
}

impl GroupBuilder {
    /// A builder with room for so many events, batches and bytes, so that building allocates
    /// nothing more.
    pub fn with_capacity(epoch: Epoch, events: usize, batches: usize, bytes: usize) -> Self {
        Self {
            epoch,
            arena: Vec::with_capacity(bytes),
            index: Index::with_capacity(events),
            batches: Vec::with_capacity(batches),
            end_seq: 0,
        }
    }

    /// A builder over bytes read back from a journal, to which batches are added by
    /// [`GroupBuilder::add_stored`].
    pub fn over(epoch: Epoch, arena: Vec<u8>, events: usize) -> Self {
        let index = Index::with_capacity(events);
        Self { epoch, arena, index, batches: Vec::new(), end_seq: 0 }
    }

    /// The bytes so far. A journal appends the headers of its frames here, so that the arena is
    /// what it writes to disk.
    pub fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// The number of events so far.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no events yet.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Copies a batch's payload to the end of the arena; its first event gets the number
    /// `first_seq`, which is not below that of any event before.
    pub fn push(&mut self, batch: &NewBatch, first_seq: u64) {
        let base = offset(self.arena.len());
        let first = self.index.len();
        self.arena.extend_from_slice(batch.entries.payload());
        self.index.extend(batch.entries.index(), base);
        self.end_seq = first_seq + batch.entries.len() as u64;
        self.batches.push(Row {
            tag: batch.tag.clone(),
            route: batch.route,
            fields: batch.entries.fields().clone(),
            received: batch.entries.received(),
            first_seq,
            first,
            end: self.index.end,
        });
    }

    /// Adds a batch whose payload stands in `range` of the arena already.
    ///
    /// # Errors
    /// The bytes there are not packed entries; the builder is as before.
    pub fn add_stored(
        &mut self,
        tag: Tag,
        route: RouteSet,
        first_seq: u64,
        (range, reading): (Range<usize>, &Reading),
    ) -> Result<(), EntryError> {
        let first = self.index.len();
        let payload = self.arena.get(..range.end).unwrap_or_default();
        let mut at = range.start;
        while at < range.end {
            match self.index.push(payload, at, reading) {
                Ok(next) => at = next,
                Err(error) => {
                    self.index.truncate(first);
                    return Err(error);
                }
            }
        }
        self.end_seq = first_seq + (self.index.len() - first) as u64;
        self.batches.push(Row {
            tag,
            route,
            fields: reading.fields.clone(),
            received: reading.received,
            first_seq,
            first,
            end: offset(range.end),
        });
        Ok(())
    }

    /// Lets the group end before the number `seq`, where that is beyond its last event: what lies
    /// between cannot be read.
    pub fn end_at(&mut self, seq: u64) {
        self.end_seq = self.end_seq.max(seq);
    }

    /// The group.
    pub fn finish(self) -> Group {
        let Self { epoch, arena, index, batches, end_seq } = self;
        Group(Arc::new(Inner { epoch, arena, index, batches, end_seq }))
    }

    /// The group of one batch, as a journal in memory makes it.
    pub fn single(epoch: Epoch, batch: &NewBatch, first_seq: u64) -> Group {
        let bytes = batch.entries.payload().len();
        let mut builder = Self::with_capacity(epoch, batch.entries.len(), 1, bytes);
        builder.push(batch, first_seq);
        builder.finish()
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

/// Offsets in an arena have 32 bits; a group is far smaller (see [`MAX_GROUP_BYTES`]; a single
/// batch may be bigger, but the limits of what is read are below 4 GiB).
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Appends one packed entry `[time, record]`.
pub fn write_entry(out: &mut Vec<u8>, time: Timestamp, write_record: impl FnOnce(&mut Vec<u8>)) {
    msgpack::write_array_len(out, 2);
    msgpack::write_event_time(out, time);
    write_record(out);
}

#[cfg(test)]
mod tests;
