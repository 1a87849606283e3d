//! Packed entries and the index over them.
//!
//! Inside logmon a payload is always a sequence of entries `[time, record]` or
//! `[[time, metadata], record]` (Forward protocol v1, "`PackedForward` Mode", and v1.5's metadata
//! header). One pass checks an entry and notes where its parts are; nothing later parses the bytes
//! again to find them.

use std::sync::Arc;

use bytes::Bytes;

use crate::field_map::{FieldMap, Found, Role};
use crate::msgpack::{self, Cursor, Head, MAX_ITEMS, MsgpackError, MsgpackErrorKind};
use crate::{Level, Timestamp};

/// The longest record, in bytes of msgpack.
pub const MAX_RECORD_BYTES: usize = 32 << 20;

/// How an integer in the place of a time is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeUnit {
    /// Seconds since 1970, as the protocol says.
    #[default]
    Seconds,
    /// By size: from 10^11 milliseconds, from 10^14 microseconds, from 10^17 nanoseconds.
    Auto,
}

/// What is needed to read entries beside their bytes.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which keys are level, message and source.
    pub fields: Arc<FieldMap>,
    /// When the entries were taken in; the time of entries that have none.
    pub received: Timestamp,
    /// How integers are read as times.
    pub time_unit: TimeUnit,
}

impl Reading {
    /// Reads with `fields`, in seconds.
    pub fn new(fields: Arc<FieldMap>, received: Timestamp) -> Self {
        Self { fields, received, time_unit: TimeUnit::Seconds }
    }
}

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct EntryError {
    /// Where the fault is, from the start of the payload.
    pub offset: usize,
    /// Where the next entry begins; `None` where the bytes do not tell.
    pub end: Option<usize>,
    /// What is wrong.
    pub kind: EntryErrorKind,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryErrorKind {
    /// The bytes are no msgpack, or end inside the entry.
    #[error(transparent)]
    Framing(MsgpackErrorKind),
    /// Not an array of a time and a record.
    #[error("an entry is an array of time and record")]
    Shape,
    /// The time is of another type, or an `EventTime` with 10^9 nanoseconds or more.
    #[error("the time is not a number, an EventTime or nil")]
    Time,
    /// The record is not a map.
    #[error("the record is not a map")]
    Record,
    /// The record is beyond [`MAX_RECORD_BYTES`].
    #[error("the record is longer than {MAX_RECORD_BYTES} bytes")]
    RecordTooLong,
    /// A group marker of Fluent Bit, not an event.
    #[error("a group marker is not an event")]
    GroupMarker,
}

/// Things about entries that are worth counting and no reason to refuse them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Times that 64 bits of nanoseconds cannot hold, or NaN; the receive time stands instead.
    pub times_out_of_range: u32,
    /// Entries or entry headers with more elements than two.
    pub extra_elements: u32,
}

/// Checked entries: the payload and its index.
#[derive(Clone, Debug)]
pub struct Entries {
    payload: Bytes,
    /// Shared, so that a batch that has to wait can be kept at no cost.
    index: Arc<Index>,
    fields: Arc<FieldMap>,
    received: Timestamp,
    time_unit: TimeUnit,
}

impl Entries {
    /// Joins a payload and the index built over it by `reading`.
    pub fn new(payload: Bytes, index: Index, reading: &Reading) -> Self {
        debug_assert_eq!(index.end as usize, payload.len(), "the index covers the payload");
        let Reading { fields, received, time_unit } = reading.clone();
        Self { payload, index: Arc::new(index), fields, received, time_unit }
    }

    /// Indexes a whole payload in which every entry is expected to be right.
    ///
    /// # Errors
    /// The first fault. To keep the entries beside a faulty one, push them on an [`Index`] one by
    /// one.
    pub fn read(payload: Bytes, reading: &Reading) -> Result<Self, EntryError> {
        let mut index = Index::default();
        while (index.end as usize) < payload.len() {
            index.push(&payload, index.end as usize, reading)?;
        }
        Ok(Self::new(payload, index, reading))
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// The packed bytes.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// When the entries were taken in.
    pub fn received(&self) -> Timestamp {
        self.received
    }

    /// The field map the index was built with.
    pub fn fields(&self) -> &Arc<FieldMap> {
        &self.fields
    }

    /// How integers in the place of a time were read.
    pub fn time_unit(&self) -> TimeUnit {
        self.time_unit
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The least and the greatest timestamp; `None` without events.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        let times = &self.index.times;
        Some((
            Timestamp::from_nanos(*times.iter().min()?),
            Timestamp::from_nanos(*times.iter().max()?),
        ))
    }
}

/// Where the parts of events are: one array per part, 29 bytes an event. Offsets count from the
/// start of the payload (in a group, of its arena).
#[derive(Clone, Debug, Default)]
pub struct Index {
    pub(crate) times: Vec<i64>,
    pub(crate) flags: Vec<Flags>,
    pub(crate) starts: Vec<u32>,
    pub(crate) messages: Vec<(u32, u32)>,
    pub(crate) sources: Vec<(u32, u32)>,
    /// Where the last entry ends.
    pub(crate) end: u32,
    oddities: Oddities,
}

/// The level of an event in the low three bits, and of which kind its message and source are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

/// What the span of a field covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// The record has no such field.
    Absent,
    /// The bytes of a text (or of bytes).
    Text,
    /// A whole msgpack value of another type, to be shown as its JSON text.
    Value,
}

impl Flags {
    pub(crate) fn level(self) -> Option<Level> {
        Level::from_code(self.0 & 7)
    }

    pub(crate) fn message(self) -> Span {
        Self::span(self.0 >> 3)
    }

    pub(crate) fn source(self) -> Span {
        Self::span(self.0 >> 5)
    }

    fn span(bits: u8) -> Span {
        match bits & 3 {
            0 => Span::Absent,
            1 => Span::Text,
            _ => Span::Value,
        }
    }

    fn new(level: Option<Level>, message: Span, source: Span) -> Self {
        Self(level.map_or(0, |level| level as u8) | (message as u8) << 3 | (source as u8) << 5)
    }
}

impl Index {
    /// An empty index with room for so many events.
    pub fn with_capacity(events: usize) -> Self {
        Self {
            times: Vec::with_capacity(events),
            flags: Vec::with_capacity(events),
            starts: Vec::with_capacity(events),
            messages: Vec::with_capacity(events),
            sources: Vec::with_capacity(events),
            end: 0,
            oddities: Oddities::default(),
        }
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// What was odd about the entries so far.
    pub fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// Checks the entry at `start` of `payload` and adds it; gives the offset of the next one.
    ///
    /// # Errors
    /// The bytes are no entry; the index is as before.
    pub fn push(
        &mut self,
        payload: &[u8],
        start: usize,
        reading: &Reading,
    ) -> Result<usize, EntryError> {
        let mut oddities = self.oddities;
        match read_entry(payload, start, reading, &mut oddities) {
            Ok((row, end)) => {
                let at = |offset: usize| {
                    u32::try_from(offset).map_err(|_| EntryError {
                        offset: start,
                        end: Some(end),
                        kind: EntryErrorKind::RecordTooLong,
                    })
                };
                // A payload beyond 4 GiB cannot be indexed; the codec's limits are far below.
                let (start, end_at) = (at(start)?, at(end)?);
                self.times.push(row.time.as_nanos());
                self.flags.push(row.flags);
                self.starts.push(start);
                self.messages.push(row.message);
                self.sources.push(row.source);
                self.end = end_at;
                self.oddities = oddities;
                Ok(end)
            }
            Err((offset, kind)) => {
                let mut cursor = Cursor::at(payload, start);
                let end = cursor.skip_deep().is_ok().then(|| cursor.position());
                let kind = match (kind, end) {
                    // The bytes are a value, so what is wrong is not the framing.
                    (EntryErrorKind::Framing(MsgpackErrorKind::Type), Some(_)) => {
                        EntryErrorKind::Shape
                    }
                    (kind, _) => kind,
                };
                Err(EntryError { offset, end, kind })
            }
        }
    }

    /// Adds the rows of `other`, whose payload stands at `base` of this index's bytes.
    pub(crate) fn extend(&mut self, other: &Self, base: u32) {
        let moved = |(start, end): &(u32, u32)| (start + base, end + base);
        self.times.extend_from_slice(&other.times);
        self.flags.extend_from_slice(&other.flags);
        self.starts.extend(other.starts.iter().map(|start| start + base));
        self.messages.extend(other.messages.iter().map(moved));
        self.sources.extend(other.sources.iter().map(moved));
        self.end = other.end + base;
    }

    /// Adds the row `at` of `other`, whose entry stands at `base` of this index's bytes.
    pub(crate) fn copy(&mut self, other: &Self, at: usize, base: u32) {
        let start = other.starts[at];
        let moved = |span: (u32, u32), kind| match kind {
            Span::Absent => (0, 0),
            Span::Text | Span::Value => (span.0 - start + base, span.1 - start + base),
        };
        let flags = other.flags[at];
        self.times.push(other.times[at]);
        self.flags.push(flags);
        self.starts.push(base);
        self.messages.push(moved(other.messages[at], flags.message()));
        self.sources.push(moved(other.sources[at], flags.source()));
    }

    /// Drops all events but the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        self.flags.truncate(len);
        self.starts.truncate(len);
        self.messages.truncate(len);
        self.sources.truncate(len);
    }
}

struct Row {
    time: Timestamp,
    flags: Flags,
    message: (u32, u32),
    source: (u32, u32),
}

type Fault = (usize, EntryErrorKind);

fn framing(error: MsgpackError) -> Fault {
    (error.offset, EntryErrorKind::Framing(error.kind))
}

/// Reads one entry; gives its row and its end.
#[inline]
fn read_entry(
    payload: &[u8],
    start: usize,
    reading: &Reading,
    oddities: &mut Oddities,
) -> Result<(Row, usize), Fault> {
    let mut cursor = Cursor::at(payload, start);
    let elements = match cursor.head().map_err(framing)? {
        Head::Array(elements) if elements >= 2 => elements,
        _ => return Err((start, EntryErrorKind::Shape)),
    };
    let time = read_header(&mut cursor, reading, oddities)?;
    let record_at = cursor.position();
    let Head::Map(pairs) = cursor.head().map_err(framing)? else {
        return Err((record_at, EntryErrorKind::Record));
    };
    if u64::from(pairs) > MAX_ITEMS / 2 {
        return Err((record_at, EntryErrorKind::Framing(MsgpackErrorKind::TooManyItems)));
    }
    let roles = reading.fields.find(&mut cursor, pairs, record_at).map_err(framing)?;
    if cursor.position() - record_at > MAX_RECORD_BYTES {
        return Err((record_at, EntryErrorKind::RecordTooLong));
    }
    for _ in 2..elements {
        cursor.skip().map_err(framing)?;
    }
    oddities.extra_elements += u32::from(elements > 2);
    let (message, message_span) = span(payload, record_at, roles.get(Role::Message));
    let (source, source_span) = span(payload, record_at, roles.get(Role::Source));
    let level = roles.get(Role::Level).and_then(|found| {
        read_level(payload.get(record_at + found.value_at..).unwrap_or_default())
    });
    let flags = Flags::new(level, message_span, source_span);
    Ok((Row { time, flags, message, source }, cursor.position()))
}

/// Reads `time`, `[time]` or `[time, metadata]`.
fn read_header(
    cursor: &mut Cursor<'_>,
    reading: &Reading,
    oddities: &mut Oddities,
) -> Result<Timestamp, Fault> {
    let at = cursor.position();
    let head = cursor.head().map_err(framing)?;
    let Head::Array(elements) = head else {
        return read_time(cursor, head, at, (reading, oddities));
    };
    if elements == 0 {
        return Err((at, EntryErrorKind::Shape));
    }
    let time_at = cursor.position();
    let head = cursor.head().map_err(framing)?;
    let time = read_time(cursor, head, time_at, (reading, oddities))?;
    for element in 1..elements {
        let before = *cursor;
        cursor.skip_inside(1).map_err(framing)?;
        let is_metadata = matches!({ before }.head(), Ok(Head::Map(_) | Head::Nil));
        if element == 1 && !is_metadata {
            return Err((before.position(), EntryErrorKind::Shape));
        }
    }
    oddities.extra_elements += u32::from(elements > 2);
    Ok(time)
}

/// Reads a time whose header has been read. Zero, nil and what cannot be held mean the receive
/// time.
fn read_time(
    cursor: &mut Cursor<'_>,
    head: Head,
    at: usize,
    (reading, oddities): (&Reading, &mut Oddities),
) -> Result<Timestamp, Fault> {
    let time = match head {
        Head::Nil => return Ok(reading.received),
        Head::UInt(0) | Head::Int(0) => return Ok(reading.received),
        Head::UInt(number) => i64::try_from(number).ok().and_then(|n| integer_time(n, reading)),
        Head::Int(number) => integer_time(number, reading),
        Head::Float(seconds) if (0.0..1.0).contains(&seconds) => return Ok(reading.received),
        Head::Float(seconds) => Timestamp::from_seconds_f64(seconds),
        Head::Ext(kind, len) => {
            let data = cursor.take(len).map_err(framing)?;
            if kind == msgpack::EVENT_TIME_EXT && len == 8 {
                match data {
                    [0, 0, 0, 0, nanos @ ..] if nanos < &[0x3b, 0x9a, 0xca, 0x00][..] => {
                        return Ok(reading.received);
                    }
                    [0xff, 0xff, 0xff, 0xfe | 0xff, 0, 0, 0, 0] => {
                        return Err((at, EntryErrorKind::GroupMarker));
                    }
                    _ => {}
                }
            }
            let time = msgpack::ext_time(kind, data);
            return time.ok_or((at, EntryErrorKind::Time));
        }
        _ => return Err((at, EntryErrorKind::Time)),
    };
    Ok(time.unwrap_or_else(|| {
        oddities.times_out_of_range += 1;
        reading.received
    }))
}

fn integer_time(number: i64, reading: &Reading) -> Option<Timestamp> {
    let nanos_per_unit = match (reading.time_unit, number.unsigned_abs()) {
        (TimeUnit::Seconds, _) | (_, 0..100_000_000_000) => 1_000_000_000,
        (_, 100_000_000_000..100_000_000_000_000) => 1_000_000,
        (_, 100_000_000_000_000..100_000_000_000_000_000) => 1_000,
        _ => 1,
    };
    number.checked_mul(nanos_per_unit).map(Timestamp::from_nanos)
}

fn span(payload: &[u8], record_at: usize, found: Option<Found>) -> ((u32, u32), Span) {
    let Some(found) = found else { return ((0, 0), Span::Absent) };
    let start = record_at + found.value_at;
    let mut cursor = Cursor::at(payload, start);
    let span = |from: usize, to: usize, kind| match (u32::try_from(from), u32::try_from(to)) {
        (Ok(from), Ok(to)) => ((from, to), kind),
        _ => ((0, 0), Span::Absent),
    };
    match cursor.head() {
        Ok(Head::Str(len) | Head::Bin(len)) => {
            span(cursor.position(), cursor.position() + len as usize, Span::Text)
        }
        _ => {
            let mut cursor = Cursor::at(payload, start);
            let end = cursor.skip().map_or(start, |()| cursor.position());
            span(start, end, Span::Value)
        }
    }
}

/// The level a value names.
pub(crate) fn read_level(value: &[u8]) -> Option<Level> {
    let mut cursor = Cursor::new(value);
    match cursor.head().ok()? {
        Head::Str(len) | Head::Bin(len) => Level::from_bytes(cursor.take(len).ok()?),
        Head::UInt(number) => Level::from_number(i64::try_from(number).ok()?),
        Head::Int(number) => Level::from_number(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
