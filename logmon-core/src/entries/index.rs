//! Where the parts of events are.

use super::read::read_entry;
use super::{EntryError, EntryErrorKind, Oddities, Reading};
use crate::Level;
use crate::msgpack::{Cursor, MsgpackErrorKind};

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

    pub(super) fn new(level: Option<Level>, message: Span, source: Span) -> Self {
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

    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.times.capacity() * 29
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
