//! Packed entries and the index over them.
//!
//! Inside logmon a payload is always a sequence of entries `[time, record]` or
//! `[[time, metadata], record]` (Forward protocol v1, "`PackedForward` Mode", and v1.5's metadata
//! header). One pass checks an entry and notes where its parts are; nothing later parses the bytes
//! again to find them.

use std::sync::Arc;

use bytes::Bytes;

use crate::Timestamp;
use crate::field_map::FieldMap;
use crate::msgpack::MsgpackErrorKind;

mod index;
mod read;

pub use index::Index;
pub(crate) use index::Span;
pub(crate) use read::read_level;

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

/// Consecutive entries of a payload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Piece {
    /// How many.
    pub events: usize,
    /// Their bytes, shared with the payload.
    pub payload: Bytes,
    /// The least and the greatest timestamp.
    pub times: (Timestamp, Timestamp),
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

    /// The entries in order, in pieces of at most `max_bytes` each or one longer entry.
    pub fn pieces(&self, max_bytes: usize) -> impl Iterator<Item = Piece> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let piece = self.piece(from, max_bytes)?;
            from += piece.events;
            Some(piece)
        })
    }

    fn piece(&self, from: usize, max_bytes: usize) -> Option<Piece> {
        let start = *self.index.starts.get(from)? as usize;
        let rest = self.index.starts.get(from + 1..)?;
        let more = rest.partition_point(|next| *next as usize - start <= max_bytes);
        let is_rest = more == rest.len() && self.payload.len() - start <= max_bytes;
        let events = if is_rest { more + 1 } else { more.max(1) };
        let end =
            self.index.starts.get(from + events).map_or(self.payload.len(), |end| *end as usize);
        let times = self.index.times.get(from..from + events)?;
        Some(Piece {
            events,
            payload: self.payload.slice(start..end),
            times: (
                Timestamp::from_nanos(*times.iter().min()?),
                Timestamp::from_nanos(*times.iter().max()?),
            ),
        })
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

#[cfg(test)]
mod tests;
