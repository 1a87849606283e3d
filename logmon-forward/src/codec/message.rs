//! What a decoder hands out.

use logmon_core::{NewBatch, Tag};

use super::options::Options;
use super::{AckWire, Class, Reject, write_ack};

/// One message of a connection, or several single-event messages gathered into one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message {
    /// The byte offset of its start in the connection.
    pub offset: u64,
    /// How many bytes it had on the wire.
    pub wire_bytes: u64,
    /// How the events came.
    pub mode: Mode,
    /// How many messages it stands for.
    pub messages: u32,
    /// How many events of it were handed out before, as [`super::Next::Part`]; they are to be
    /// committed with this message.
    pub parted: u64,
    /// Its tag, where that is to be told: with [`Warning::Long`].
    pub tag: Option<Tag>,
    /// The events, by tag. Nothing but heartbeats, signals and messages refused as a whole have
    /// none; only a message with batches nested in it has more than one.
    pub batches: Vec<NewBatch>,
    /// The acknowledgements it asks for, in order.
    pub chunks: Chunks,
    /// What was refused in it.
    pub rejected: Vec<Reject>,
    /// What a person should be told once.
    pub warnings: Vec<Warning>,
    /// What is counted and nothing else.
    pub oddities: Oddities,
}

/// The carrier mode of a message (Forward protocol v1, "Event Modes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// One event: `[tag, time, record, option?]`.
    Message,
    /// An array of entries: `[tag, [[time, record], ...], option?]`.
    Forward,
    /// Entries one after the other in a str or bin.
    Packed,
    /// The same, gzip.
    Gzip,
    /// The same, zstd.
    Zstd,
    /// It could not be told.
    Unknown,
}

impl Message {
    /// A message of which nothing is known but where it is.
    pub(super) fn new(offset: u64, wire_bytes: u64) -> Self {
        Self {
            offset,
            wire_bytes,
            mode: Mode::Unknown,
            messages: 1,
            parted: 0,
            tag: None,
            batches: Vec::new(),
            chunks: Chunks::default(),
            rejected: Vec::new(),
            warnings: Vec::new(),
            oddities: Oddities::default(),
        }
    }

    /// The number of events it holds, those handed out before not counted.
    pub fn events(&self) -> usize {
        self.batches.iter().map(|batch| batch.entries.len()).sum()
    }

    /// Whether it was refused as a whole.
    pub fn is_refused(&self) -> bool {
        self.rejected.iter().any(|reject| reject.reason.class() == Class::Message)
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

impl Mode {
    /// The word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Forward => "forward",
            Self::Packed => "packed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Unknown => "unknown",
        }
    }
}

/// Something about a message that a person should hear of once, although the events were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The chunk id is longer than [`super::MAX_ACK_BYTES`] can tell.
    #[error("a chunk id is too long for an acknowledgement, which peers read in 512 bytes")]
    ChunkTooLong,
    /// The chunk id is neither str nor bin.
    #[error("a chunk id is neither text nor bytes, so it cannot be acknowledged")]
    ChunkType,
    /// The message is longer than [`super::Settings::warn_message_bytes`].
    #[error("a message is long")]
    Long,
    /// The metadata of the option came behind entries that had been handed out.
    #[error("the metadata of the option stands behind entries too long to wait for it")]
    MetadataTooLate,
    /// The bytes are not what `compressed` says, or compressed without saying so.
    #[error("the option `compressed` does not tell what the bytes are")]
    CompressionMismatch,
    /// The option is no map.
    #[error("the option of a message is not a map, so it was ignored")]
    OptionType,
    /// The option map is beyond its limits.
    #[error("the option map of a message is too big, so it was ignored")]
    OptionTooBig,
    /// Times that cannot be seconds.
    #[error("times are out of range as seconds; if they are milliseconds set `time_unit = auto`")]
    TimeOutOfRange,
}

impl Warning {
    /// The word for logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ChunkTooLong => "chunk_too_long",
            Self::ChunkType => "chunk_type",
            Self::CompressionMismatch => "compression_mismatch",
            Self::Long => "long_message",
            Self::MetadataTooLate => "metadata_too_late",
            Self::OptionType => "option_type",
            Self::OptionTooBig => "option_too_big",
            Self::TimeOutOfRange => "time_out_of_range",
        }
    }
}

/// Counts of what is odd, but no fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Oddities {
    /// Entries, entry headers and messages with more elements than there should be.
    pub extra_elements: u32,
    /// Group markers of Fluent Bit, which are no events.
    pub group_markers: u32,
    /// Batches found inside batches.
    pub nested_batches: u32,
    /// Messages with metrics or traces, dropped and acknowledged.
    pub signals: u32,
    /// Messages whose option had metadata for entries that were handed out before it came.
    pub metadata_too_late: u32,
    /// Groups of Fluent Bit whose attributes are too long to be attached.
    pub groups_too_long: u32,
    /// Times replaced by the receive time because 64 bits of nanoseconds cannot hold them.
    pub times_out_of_range: u32,
}

impl Oddities {
    /// Adds what an index found.
    pub(super) fn add(&mut self, other: logmon_core::Oddities) {
        self.add_all(Self {
            extra_elements: other.extra_elements,
            times_out_of_range: other.times_out_of_range,
            ..Self::default()
        });
    }

    pub(super) fn add_all(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.extra_elements, other.extra_elements),
            (&mut self.group_markers, other.group_markers),
            (&mut self.nested_batches, other.nested_batches),
            (&mut self.signals, other.signals),
            (&mut self.metadata_too_late, other.metadata_too_late),
            (&mut self.groups_too_long, other.groups_too_long),
            (&mut self.times_out_of_range, other.times_out_of_range),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// The chunk ids of a message, in order, in two allocations whatever their number.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    end: usize,
    is_bin: bool,
    has_signal: bool,
    has_event: bool,
    first: u32,
}

/// A chunk id: what a peer wants to see in the acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk<'a> {
    /// Its bytes, 1 to 503.
    pub bytes: &'a [u8],
    /// Whether it came as bin; the acknowledgement has the same family.
    pub is_bin: bool,
    /// Whether `fluent_signal` stands beside it, as Fluent Bit has it: then the id is a hash over
    /// the events, and equal events have equal ids.
    pub has_signal: bool,
    /// Index of its first event in the message's first batch.
    pub first: u32,
    /// In [`Mode::Message`]: whether its event is in the batch, and was not refused.
    pub has_event: bool,
}

#[cfg(test)]
impl<'a> Chunk<'a> {
    /// An id as text, of a message whose first event is there.
    pub(crate) const fn of(bytes: &'a [u8], has_signal: bool) -> Self {
        Self { bytes, is_bin: false, has_signal, first: 0, has_event: true }
    }
}

impl Chunks {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether no acknowledgement is wanted.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The ids, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Chunk<'_>> {
        let mut start = 0;
        self.spans.iter().map(move |span| {
            let bytes = self.bytes.get(start..span.end).unwrap_or_default();
            start = span.end;
            let Span { is_bin, has_signal, has_event, first, .. } = *span;
            Chunk { bytes, is_bin, has_signal, first, has_event }
        })
    }

    /// Appends the acknowledgement of each.
    pub fn write_acks(&self, wire: AckWire, out: &mut Vec<u8>) {
        self.iter().for_each(|chunk| write_ack(out, wire, chunk.bytes, chunk.is_bin));
    }

    /// Adds the chunk id that an option read from `bytes` has, if it has one. Its events begin at
    /// an index of the first batch, and are there or not.
    pub(super) fn push(
        &mut self,
        options: &Options,
        bytes: &[u8],
        (first, has_event): (usize, bool),
    ) {
        let Some((range, is_bin)) = options.chunk.clone() else { return };
        self.bytes.extend_from_slice(bytes.get(range).unwrap_or_default());
        let (end, has_signal) = (self.bytes.len(), options.has_signal);
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        self.spans.push(Span { end, is_bin, has_signal, has_event, first });
    }
}
