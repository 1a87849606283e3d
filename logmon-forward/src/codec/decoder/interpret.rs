//! From a frame to its events.

use std::ops::Range;

use bytes::Bytes;
use logmon_core::msgpack::Cursor;
use logmon_core::{Codec, Tag};

use super::{Decoder, Located, Next};
use crate::codec::frame::{Body, Parsed};
use crate::codec::inflate::{Compression, InflateError, Inflated, inflate, sniff};
use crate::codec::limits::Signals;
use crate::codec::options::{Compressed, Options, Signal};
use crate::codec::reject::Rejects;
use crate::codec::stream::{Payload, Streamable};
use crate::codec::walk::{Sorted, Stop, Walk, Walked};
use crate::codec::{DecodeError, InvalidEvent, Message, Mode, Reason, Warning};

/// The first room asked for is this many times the compressed bytes, which most logs fit in, and
/// at least [`LEAST_ROOM`]; where that is too little, [`MORE_ROOM`] times as much is asked for.
const FIRST_ROOM: usize = 12;
const LEAST_ROOM: usize = 64 << 10;
const MORE_ROOM: usize = 4;

/// Deflate cannot make more than this of one byte.
const MAX_DEFLATE_RATIO: usize = 1032;

/// What is known of a message beside its entries.
pub(super) struct Facts {
    pub(super) tag: Option<Tag>,
    pub(super) options: Options,
}

/// What a payload comes to.
enum Outcome {
    /// All of the range of the frame is entries.
    Whole(logmon_core::Index),
    /// All of the decompressed bytes are; the codec is that of the range, where that may be passed
    /// on as it is.
    Inflated(Vec<u8>, logmon_core::Index, Option<Codec>),
    Sorted(Sorted),
    Refused(Reason),
    NeedsRoom(usize),
    TooMuch,
}

impl Decoder {
    /// Interprets a frame that is not [`Body::Message`] and lets go of it, unless it needs room.
    /// `None` for a heartbeat.
    pub(super) fn interpret(&mut self, at: Located, parsed: Parsed, room: usize) -> Option<Next> {
        let frame = at.msgpack.as_deref().or(self.buffer.get(..at.len)).unwrap_or_default();
        let mut message = Message::new(self.offset, at.len as u64);
        message.chunks.push(&parsed.options, frame, (0, true));
        message.warnings.extend(parsed.options.warning);
        message.oddities.extra_elements += u32::from(parsed.has_extra);
        let Parsed { tag, body, options, .. } = parsed;
        let facts = Facts { tag, options };
        let range = match body {
            Body::Forward(range) => {
                message.mode = Mode::Forward;
                range
            }
            Body::Packed(range) => {
                message.mode = Mode::Packed;
                range
            }
            Body::Rejected(reason) => {
                let original = self.cut(&at);
                let message = self.finish_refused(message, reason, &facts, || original);
                return message.map(Next::Message);
            }
            Body::Signal => {
                let original = self.cut(&at);
                return self.finish_signal(message, &facts, || original).map(Next::Message);
            }
            Body::Heartbeat | Body::Message(_) => {
                self.consume(at.len);
                return (!message.chunks.is_empty()).then_some(Next::Message(message));
            }
        };
        match self.read(frame, range.clone(), (&mut message, &facts), room) {
            Outcome::NeedsRoom(needed) => {
                self.located = Some(at);
                Some(Next::NeedsRoom(needed))
            }
            Outcome::TooMuch => self.begin_whole(&at, &facts, message),
            Outcome::Refused(reason) => {
                let original = self.cut(&at);
                let message = self.finish_refused(message, reason, &facts, || original);
                message.map(Next::Message)
            }
            Outcome::Whole(index) => {
                let payload = self.cut_payload(&at, range);
                self.finish_clean(message, (payload, None), index, &facts)
            }
            Outcome::Inflated(bytes, index, codec) => {
                let compressed = self.cut_compressed(&at, range, codec, bytes.len());
                self.finish_clean(message, (bytes.into(), compressed), index, &facts)
            }
            Outcome::Sorted(sorted) => {
                let original = self.cut(&at);
                message.oddities.add_all(sorted.oddities);
                message.batches = sorted.batches.into();
                self.finish(message, sorted.rejects, &facts, || original).map(Next::Message)
            }
        }
    }

    /// Reads the entries in a range of a frame.
    fn read(
        &self,
        frame: &[u8],
        range: Range<usize>,
        (message, facts): (&mut Message, &Facts),
        room: usize,
    ) -> Outcome {
        let bytes = frame.get(range).unwrap_or_default();
        let compression = match message.mode {
            Mode::Packed => sniff(bytes),
            _ => None,
        };
        if message.mode == Mode::Packed && !bytes.is_empty() {
            facts.options.compare(compression, message);
        }
        let metadata = facts.options.metadata.clone().and_then(|range| frame.get(range));
        let Some(tag) = &facts.tag else { return Outcome::Refused(Reason::TagType) };
        let walk = |mode| Walk {
            reading: &self.reading,
            tag,
            offset: message.offset,
            entry_bytes: self.entry_bytes,
            metadata,
            is_array: mode == Mode::Forward,
            settings: &self.settings,
        };
        let Some(compression) = compression else {
            if let Some(outcome) = self.spread(bytes, metadata, room) {
                return outcome;
            }
            return match walk(message.mode).run(bytes) {
                Ok(Walked::Clean(index)) => Outcome::Whole(index),
                Ok(Walked::Sorted(sorted)) => Outcome::Sorted(sorted),
                Err(stop) => stop.into(),
            };
        };
        message.mode = match compression {
            Compression::Gzip => Mode::Gzip,
            Compression::Zstd => Mode::Zstd,
        };
        let inflated = match self.try_inflate(bytes, compression, room) {
            Ok(inflated) => inflated,
            Err(outcome) => return *outcome,
        };
        let codec = (!inflated.is_unusual).then(|| compression.codec());
        let Inflated { bytes, has_garbage, .. } = inflated;
        if let Some(outcome) = self.spread(&bytes, metadata, room) {
            return outcome;
        }
        let walk = walk(message.mode);
        let mut sorted = match walk.run(&bytes) {
            Ok(Walked::Clean(index)) if !has_garbage => {
                return Outcome::Inflated(bytes, index, codec);
            }
            Ok(Walked::Clean(index)) => {
                return Outcome::Sorted(before_garbage(&walk, bytes, index));
            }
            Ok(Walked::Sorted(sorted)) => sorted,
            Err(stop) => return stop.into(),
        };
        if has_garbage {
            sorted.reject(&walk, Reason::TrailingGarbage, bytes.len() as u64, &[]);
        }
        Outcome::Sorted(sorted)
    }

    /// Begins to hand out in parts a message that is here, but whose entries are too much.
    fn begin_whole(&mut self, at: &Located, facts: &Facts, message: Message) -> Option<Next> {
        let payload = match at.msgpack {
            None => Payload::find(&self.buffer, self.scanner.shape()),
            Some(_) => Streamable::No,
        };
        let Streamable::Yes(payload) = payload else {
            let original = self.cut(at);
            let reason = Reason::TooManyEvents;
            return self.finish_refused(message, reason, facts, || original).map(Next::Message);
        };
        let mut stream = self.begin_parts(payload);
        let metadata = facts.options.metadata.clone().and_then(|range| self.buffer.get(range));
        stream.metadata = metadata.map(<[u8]>::to_vec);
        stream.is_whole = true;
        self.stream = Some(stream);
        self.next_part()
    }

    fn finish_clean(
        &mut self,
        mut message: Message,
        (payload, compressed): (Bytes, Option<logmon_core::Compressed>),
        index: logmon_core::Index,
        facts: &Facts,
    ) -> Option<Next> {
        if let Some(bytes) = payload.len().checked_div(index.len()) {
            self.entry_bytes = bytes;
        }
        message.oddities.add(index.oddities());
        if let (Some(tag), false) = (&facts.tag, index.is_empty()) {
            let entries = logmon_core::Entries::new(payload, index, &self.reading);
            let mut batch = logmon_core::NewBatch::new(tag.clone(), entries);
            batch.compressed = compressed;
            message.batches.push(batch);
        }
        let nothing = || (Bytes::new(), 0);
        self.finish(message, Rejects::default(), facts, nothing).map(Next::Message)
    }

    /// Applies what concerns the message as a whole. `None` if it ends the connection. `original`
    /// gives the bytes of the message, and how many they were.
    pub(super) fn finish(
        &mut self,
        mut message: Message,
        rejects: Rejects,
        facts: &Facts,
        original: impl FnOnce() -> (Bytes, u64),
    ) -> Option<Message> {
        if message.batches.is_empty() && message.parted == 0 && !rejects.is_empty() {
            // Nothing could be read, and there may be a reason to believe nothing could have been.
            let reason = match (message.mode, facts.options.compressed) {
                _ if facts.options.signal == Signal::Unknown => Some(Reason::SignalUnknown),
                (Mode::Packed, Compressed::Unknown) => Some(Reason::UnsupportedCompression),
                (Mode::Packed, Compressed::Gzip | Compressed::Zstd) => {
                    Some(Reason::CorruptCompression)
                }
                _ => None,
            };
            if let Some(reason) = reason {
                return self.finish_refused(message, reason, facts, original);
            }
        }
        message.rejected = rejects.into_vec();
        self.judge(message, facts.tag.as_ref())
    }

    /// Refuses a message as a whole.
    pub(super) fn finish_refused(
        &mut self,
        mut message: Message,
        reason: Reason,
        facts: &Facts,
        original: impl FnOnce() -> (Bytes, u64),
    ) -> Option<Message> {
        message.batches.clear();
        message.parted = 0;
        message.rejected = Rejects::whole(reason, message.offset, facts.tag.as_ref(), original());
        self.judge(message, facts.tag.as_ref())
    }

    /// Applies the settings to metrics and traces.
    pub(super) fn finish_signal(
        &mut self,
        mut message: Message,
        facts: &Facts,
        original: impl FnOnce() -> (Bytes, u64),
    ) -> Option<Message> {
        match self.settings.signals {
            Signals::Drop => {
                message.oddities.signals += 1;
                self.judge(message, None)
            }
            Signals::Reject => {
                self.finish_refused(message, Reason::SignalUnsupported, facts, original)
            }
        }
    }

    /// Ends the connection or counts, where something was refused.
    pub(super) fn judge(&mut self, mut message: Message, tag: Option<&Tag>) -> Option<Message> {
        if self.settings.invalid_event == InvalidEvent::Close
            && let Some(reject) = message.rejected.first()
        {
            let mut error = DecodeError::new(reject.reason, message.offset, &reject.sample);
            error.tag.clone_from(&reject.tag);
            self.failed = Some(error);
            return None;
        }
        if message.oddities.times_out_of_range > 0 {
            message.warn(Warning::TimeOutOfRange);
        }
        let most = self.settings.warn_message_bytes.unwrap_or(u64::MAX);
        if message.wire_bytes > most {
            message.warn(Warning::Long);
            message.tag = tag.cloned();
        }
        if message.is_refused() {
            self.count_garbage(&message);
        }
        Some(message)
    }

    /// Lets go of a frame and gives its bytes as they came, for the quarantine.
    pub(super) fn cut(&mut self, at: &Located) -> (Bytes, u64) {
        let most = at.len.min(self.settings.limits.max_kept_message_bytes);
        let kept = self.cut_range(at.len, 0..most);
        (kept, at.len as u64)
    }

    fn cut_payload(&mut self, at: &Located, range: Range<usize>) -> Bytes {
        match &at.msgpack {
            Some(msgpack) => {
                self.consume(at.len);
                if range.end <= msgpack.len() { msgpack.slice(range) } else { Bytes::new() }
            }
            None => self.cut_range(at.len, range),
        }
    }

    /// Lets go of a frame and keeps the compressed payload in it, where that is less than the `len`
    /// bytes it has become.
    fn cut_compressed(
        &mut self,
        at: &Located,
        range: Range<usize>,
        codec: Option<Codec>,
        len: usize,
    ) -> Option<logmon_core::Compressed> {
        match codec {
            Some(codec) if range.len() < len => {
                Some(logmon_core::Compressed { codec, bytes: self.cut_payload(at, range) })
            }
            _ => {
                self.consume(at.len);
                None
            }
        }
    }

    /// Lets go of a frame and keeps a range of it: without a copy, unless much more memory would be
    /// kept with it.
    fn cut_range(&mut self, len: usize, range: Range<usize>) -> Bytes {
        if range.len() < self.allocation.size(&self.buffer) / 2 {
            let kept = Bytes::copy_from_slice(self.buffer.get(range).unwrap_or_default());
            self.consume(len);
            return kept;
        }
        let frame = self.buffer.split_to(len).freeze();
        self.consume(0);
        self.offset += len as u64;
        if range.start <= range.end && range.end <= len { frame.slice(range) } else { Bytes::new() }
    }

    /// Whether each entry may get the metadata of the option: none if that is no question.
    fn spread(&self, bytes: &[u8], metadata: Option<&[u8]>, room: usize) -> Option<Outcome> {
        let metadata = metadata?;
        let added = values(bytes).saturating_mul(metadata.len() + 1);
        let spread = bytes.len().saturating_add(added);
        let limits = &self.settings.limits;
        match spread {
            _ if spread as u64
                > limits.max_decompressed_bytes.max(limits.max_message_bytes as u64) =>
            {
                Some(Outcome::Refused(Reason::MetadataTooBig))
            }
            _ if spread > limits.max_buffered_bytes => Some(Outcome::TooMuch),
            _ if spread > room => Some(Outcome::NeedsRoom(spread)),
            _ => None,
        }
    }

    /// Decompresses as far as there is room.
    fn try_inflate(
        &self,
        bytes: &[u8],
        compression: Compression,
        room: usize,
    ) -> Result<Inflated, Box<Outcome>> {
        let limits = &self.settings.limits;
        let whole = usize::try_from(limits.max_decompressed_bytes).unwrap_or(usize::MAX);
        let held = whole.min(limits.max_buffered_bytes);
        let most = match compression {
            Compression::Gzip => bytes.len().saturating_mul(MAX_DEFLATE_RATIO).min(held),
            Compression::Zstd => held,
        };
        let first = bytes.len().saturating_mul(FIRST_ROOM).max(LEAST_ROOM).min(most);
        if room < first {
            return Err(Box::new(Outcome::NeedsRoom(first)));
        }
        let cap = room.min(held);
        let outcome = match inflate(bytes, compression, (cap, limits.max_zstd_window_log)) {
            Ok(inflated) => return Ok(inflated),
            Err(InflateError::Corrupt) => Outcome::Refused(Reason::CorruptCompression),
            Err(InflateError::TooBig) if cap < held => {
                Outcome::NeedsRoom(cap.saturating_mul(MORE_ROOM).min(held))
            }
            Err(InflateError::TooBig) if held < whole => Outcome::TooMuch,
            Err(InflateError::TooBig) => Outcome::Refused(Reason::DecompressedTooBig),
        };
        Err(Box::new(outcome))
    }
}

/// Entries behind which something stands that is none.
fn before_garbage(walk: &Walk<'_>, bytes: Vec<u8>, index: logmon_core::Index) -> Sorted {
    let mut sorted = Sorted::default();
    sorted.oddities.add(index.oddities());
    sorted.reject(walk, Reason::TrailingGarbage, bytes.len() as u64, &[]);
    if !index.is_empty() {
        sorted.batches.push_back(walk.batch(bytes.into(), index));
    }
    sorted
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(reason) => Self::Refused(reason),
            Stop::TooMuch => Self::TooMuch,
        }
    }
}

impl Options {
    /// Compares what the option says of the compression with what was found. The first bytes of a
    /// payload decide: they cannot be mistaken, and senders leave the option out or tell something
    /// else.
    pub(super) fn compare(&self, found: Option<Compression>, message: &mut Message) {
        let told = match self.compressed {
            Compressed::Gzip => Some(Compression::Gzip),
            Compressed::Zstd => Some(Compression::Zstd),
            Compressed::Text | Compressed::Unknown => None,
        };
        if found != told || self.compressed == Compressed::Unknown {
            message.warn(Warning::CompressionMismatch);
        }
    }
}

/// How many values stand one after the other.
fn values(bytes: &[u8]) -> usize {
    let mut cursor = Cursor::new(bytes);
    let mut count = 0;
    while !cursor.is_at_end() && cursor.skip_deep().is_ok() {
        count += 1;
    }
    count
}
