//! From a frame to its events.

use std::ops::Range;

use bytes::Bytes;
use logmon_core::msgpack::Cursor;

use super::{Decoder, Located, Next};
use crate::codec::frame::{Body, Parsed};
use crate::codec::inflate::{Compression, InflateError, inflate, sniff};
use crate::codec::options::{Compressed, Signal};
use crate::codec::reject::Rejects;
use crate::codec::walk::{Found, Walk};
use crate::codec::{DecodeError, InvalidEvent, Message, Mode, Reason, Warning};

/// The first room asked for is this many times the compressed bytes, which most logs fit in, and
/// at least [`LEAST_ROOM`]; where that is too little, [`MORE_ROOM`] times as much is asked for.
const FIRST_ROOM: usize = 12;
const LEAST_ROOM: usize = 64 << 10;
const MORE_ROOM: usize = 4;

/// Deflate cannot make more than this of one byte.
const MAX_DEFLATE_RATIO: usize = 1032;

/// What stands in the place of the payload.
enum Payload {
    Bytes(Bytes, Mode),
    Inflated(Vec<u8>, Mode, bool),
    Refused(Reason, Mode),
}

impl Decoder {
    /// Interprets a frame that is not [`Body::Message`] and lets go of it, unless it needs room.
    /// `None` for a heartbeat.
    pub(super) fn interpret(&mut self, at: Located, parsed: &Parsed, room: usize) -> Option<Next> {
        let frame = at.msgpack.as_deref().or(self.buffer.get(..at.len)).unwrap_or_default();
        let mut message = Message::new(self.offset, at.len as u64);
        let start = frame.get(..64).unwrap_or(frame).to_vec();
        message.chunks.push(&parsed.options, frame, (0, true));
        message.warnings.extend(parsed.options.warning);
        message.oddities.extra_elements += u32::from(parsed.has_extra);
        let metadata = parsed.options.metadata.clone();
        let metadata = metadata.and_then(|range| frame.get(range)).map(<[u8]>::to_vec);
        let payload = match &parsed.body {
            Body::Forward(range) | Body::Packed(range) => {
                let bytes = frame.get(range.clone()).unwrap_or_default();
                let (mode, compression) = match &parsed.body {
                    Body::Packed(_) => (Mode::Packed, compression(bytes, parsed, &mut message)),
                    _ => (Mode::Forward, None),
                };
                match self.try_prepare(bytes, (mode, compression), metadata.as_deref(), room) {
                    Ok(None) => Some(self.cut(at, range.clone(), mode)),
                    Ok(payload) => {
                        self.consume(at.len);
                        payload
                    }
                    Err(needed) => {
                        self.located = Some(at);
                        return Some(Next::NeedsRoom(needed));
                    }
                }
            }
            _ => {
                self.consume(at.len);
                None
            }
        };
        let rejects = match (payload, &parsed.body) {
            (Some(payload), _) => self.read(&mut message, payload, parsed, metadata.as_deref()),
            (None, Body::Rejected(reason)) => refusal(*reason, &message, parsed, &start),
            (None, Body::Signal) => {
                message.oddities.signals += 1;
                Rejects::default()
            }
            (None, _) if message.chunks.is_empty() => return None,
            (None, _) => Rejects::default(),
        };
        self.finish(message, parsed, rejects, &start).map(Next::Message)
    }

    /// Reads the entries of a payload into the message.
    fn read(
        &mut self,
        message: &mut Message,
        payload: Payload,
        parsed: &Parsed,
        metadata: Option<&[u8]>,
    ) -> Rejects {
        let (bytes, has_garbage) = match payload {
            Payload::Refused(reason, mode) => {
                message.mode = mode;
                return refusal(reason, message, parsed, &[]);
            }
            Payload::Bytes(bytes, mode) => {
                message.mode = mode;
                (bytes, false)
            }
            Payload::Inflated(bytes, mode, has_garbage) => {
                message.mode = mode;
                (bytes.into(), has_garbage)
            }
        };
        let Some(tag) = &parsed.tag else { return Rejects::default() };
        let walk = Walk {
            reading: &self.reading,
            tag,
            offset: message.offset,
            entry_bytes: self.entry_bytes,
            metadata,
            is_array: message.mode == Mode::Forward,
            settings: &self.settings,
        };
        let Found { batches, mut rejects, oddities, .. } = match walk.run(&bytes) {
            Ok(found) => found,
            Err(reason) => return refusal(reason, message, parsed, &bytes),
        };
        if has_garbage {
            rejects.add(Reason::TrailingGarbage, (message.offset, bytes.len()), Some(tag), &[]);
        }
        message.batches = batches;
        message.oddities.group_markers += oddities.group_markers;
        message.oddities.nested_batches += oddities.nested_batches;
        message.oddities.extra_elements += oddities.extra_elements;
        message.oddities.times_out_of_range += oddities.times_out_of_range;
        if message.oddities.times_out_of_range > 0 {
            message.warn(Warning::TimeOutOfRange);
        }
        if let Some(bytes) = bytes.len().checked_div(message.events()) {
            self.entry_bytes = bytes;
        }
        rejects
    }

    /// Applies what concerns the message as a whole. `None` if it ends the connection.
    fn finish(
        &mut self,
        mut message: Message,
        parsed: &Parsed,
        mut rejects: Rejects,
        start: &[u8],
    ) -> Option<Message> {
        if message.batches.is_empty() && !rejects.is_empty() && rejects.messages() == 0 {
            // Nothing could be read, and there is a reason to believe nothing could have been.
            let reason = match (message.mode, parsed.options.compressed) {
                _ if parsed.options.signal == Signal::Unknown => Some(Reason::SignalUnknown),
                (Mode::Packed, Compressed::Unknown) => Some(Reason::UnsupportedCompression),
                (Mode::Packed, Compressed::Gzip | Compressed::Zstd) => {
                    Some(Reason::CorruptCompression)
                }
                _ => None,
            };
            if let Some(reason) = reason {
                rejects = refusal(reason, &message, parsed, start);
            }
        }
        let is_refused = rejects.messages() > 0;
        message.rejected = rejects.into_vec();
        if self.settings.invalid_event == InvalidEvent::Close
            && let Some(reject) = message.rejected.first()
        {
            let mut error = DecodeError::new(reject.reason, message.offset, &reject.sample);
            error.tag.clone_from(&reject.tag);
            self.failed = Some(error);
            return None;
        }
        if is_refused {
            self.count_garbage(&message);
        }
        Some(message)
    }

    /// Lets go of a frame and keeps a range of it, without a copy.
    fn cut(&mut self, at: Located, range: Range<usize>, mode: Mode) -> Payload {
        let frame = match at.msgpack {
            Some(msgpack) => {
                self.consume(at.len);
                msgpack
            }
            None => {
                let frame = self.buffer.split_to(at.len).freeze();
                self.consume(0);
                self.offset += at.len as u64;
                frame
            }
        };
        let is_inside = range.start <= range.end && range.end <= frame.len();
        Payload::Bytes(if is_inside { frame.slice(range) } else { Bytes::new() }, mode)
    }

    /// Makes of a payload what is read: `None` if that is the payload itself. Or tells how much
    /// room it takes.
    fn try_prepare(
        &self,
        bytes: &[u8],
        (mode, compression): (Mode, Option<Compression>),
        metadata: Option<&[u8]>,
        room: usize,
    ) -> Result<Option<Payload>, usize> {
        let Some(compression) = compression else {
            return self.try_spread(bytes, mode, metadata, room);
        };
        let payload = self.try_inflate(bytes, compression, room)?;
        let refused = match &payload {
            Payload::Inflated(bytes, mode, _) => self.try_spread(bytes, *mode, metadata, room)?,
            _ => None,
        };
        Ok(Some(refused.unwrap_or(payload)))
    }

    /// Whether each entry may get the metadata of the option: a refusal where that would be
    /// beyond what a payload may become, and otherwise the room it takes where that is not there.
    fn try_spread(
        &self,
        bytes: &[u8],
        mode: Mode,
        metadata: Option<&[u8]>,
        room: usize,
    ) -> Result<Option<Payload>, usize> {
        let Some(metadata) = metadata else { return Ok(None) };
        let added = values(bytes).saturating_mul(metadata.len() + 1);
        let spread = bytes.len().saturating_add(added);
        let limits = &self.settings.limits;
        match spread {
            _ if spread > limits.max_decompressed_bytes.max(limits.max_message_bytes) => {
                Ok(Some(Payload::Refused(Reason::MetadataTooBig, mode)))
            }
            _ if spread > room => Err(spread),
            _ => Ok(None),
        }
    }

    /// Decompresses, or tells how much room that takes.
    fn try_inflate(
        &self,
        bytes: &[u8],
        compression: Compression,
        room: usize,
    ) -> Result<Payload, usize> {
        let (most, mode) = match compression {
            Compression::Gzip => (bytes.len().saturating_mul(MAX_DEFLATE_RATIO), Mode::Gzip),
            Compression::Zstd => (usize::MAX, Mode::Zstd),
        };
        let limits = &self.settings.limits;
        let most = most.min(limits.max_decompressed_bytes);
        let first = bytes.len().saturating_mul(FIRST_ROOM).max(LEAST_ROOM).min(most);
        if room < first {
            return Err(first);
        }
        let cap = room.min(limits.max_decompressed_bytes);
        match inflate(bytes, compression, (cap, limits.max_zstd_window_log)) {
            Ok(inflated) => Ok(Payload::Inflated(inflated.bytes, mode, inflated.has_garbage)),
            Err(InflateError::Corrupt) => Ok(Payload::Refused(Reason::CorruptCompression, mode)),
            Err(InflateError::TooBig) if cap < limits.max_decompressed_bytes => {
                Err(cap.saturating_mul(MORE_ROOM).min(limits.max_decompressed_bytes))
            }
            Err(InflateError::TooBig) => Ok(Payload::Refused(Reason::DecompressedTooBig, mode)),
        }
    }
}

/// How a payload is compressed. Its own first bytes decide: they cannot be mistaken, and senders
/// leave the option out or tell something else.
fn compression(bytes: &[u8], parsed: &Parsed, message: &mut Message) -> Option<Compression> {
    let found = sniff(bytes);
    let told = match parsed.options.compressed {
        Compressed::Gzip => Some(Compression::Gzip),
        Compressed::Zstd => Some(Compression::Zstd),
        Compressed::Text | Compressed::Unknown => None,
    };
    let is_unknown = parsed.options.compressed == Compressed::Unknown;
    if !bytes.is_empty() && (found != told || is_unknown) {
        message.warn(Warning::CompressionMismatch);
    }
    found
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

/// A message refused as a whole.
fn refusal(reason: Reason, message: &Message, parsed: &Parsed, start: &[u8]) -> Rejects {
    let mut rejects = Rejects::default();
    rejects.add(reason, (message.offset, 0), parsed.tag.as_ref(), start);
    rejects
}
