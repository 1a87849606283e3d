//! The decoder of one connection.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use logmon_core::{NewBatch, Reading, Timestamp};

use super::frame::{Body, Parsed, parse, read_tag};
use super::gather::Gather;
use super::json::JsonScanner;
use super::scan::{Scanner, Shape};
use super::skip::Skip;
use super::stream::Stream;
use super::tags::Tags;
use super::{AckWire, DecodeError, Message, Reason, Settings};

mod allocation;
mod interpret;
mod locate;
mod parts;

use allocation::Allocation;
use locate::Step;

/// Of a buffer up to this size only the bytes in it count.
const SMALL_BUFFER: usize = 64 << 10;

/// The least room for a batch of single-event messages; more where the last one had more.
const LEAST_GATHERED: usize = 2048;

/// Turns the bytes of one connection into messages.
///
/// Append bytes to [`Decoder::buffer`], then call [`Decoder::next_message`] until it asks for more. The
/// first byte that is no blank tells whether the connection is msgpack or JSON, once and for all
/// (Forward protocol v1, "Connection"). How the bytes were cut into pieces changes nothing but how
/// many single-event messages are gathered into one.
pub struct Decoder {
    settings: Arc<Settings>,
    reading: Reading,
    buffer: BytesMut,
    allocation: Allocation,
    /// The offset in the connection of the buffer's first byte.
    offset: u64,
    wire: Option<AckWire>,
    scanner: Scanner,
    json: JsonScanner,
    /// The message at the start of the buffer, once its end is known.
    located: Option<Located>,
    skip: Option<Skip>,
    /// The message that is handed out in parts.
    stream: Option<Stream>,
    /// A message that waits because gathered ones come first.
    waiting: Option<Message>,
    failed: Option<DecodeError>,
    tags: Tags,
    /// Whether a message has been seen, so that this is no stranger.
    has_begun: bool,
    garbage: Garbage,
    /// About how many bytes an entry has, by the last payload.
    entry_bytes: usize,
    /// How many bytes the last batch of single-event messages had.
    gathered_bytes: usize,
}

/// A whole message at the start of the buffer.
#[derive(Debug)]
struct Located {
    /// Its bytes in the buffer.
    len: usize,
    shape: Shape,
    /// What a JSON text is in msgpack, which `shape` then belongs to.
    msgpack: Option<Bytes>,
}

/// Refused messages within the window.
#[derive(Debug, Default)]
struct Garbage {
    since: Timestamp,
    count: u32,
}

/// What a decoder has.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a decoder either has a message or says what it needs")]
pub enum Next {
    /// A message. Together with the parts handed out since the last message it is one.
    Message(Message),
    /// Events of a message too big to be held: nothing is to be kept of them before their message
    /// comes, and nothing at all if the stream ends before.
    Part(NewBatch),
    /// The parts handed out are void. Their message is read on, refused, and comes later.
    Void,
    /// More bytes are needed.
    NeedsBytes,
    /// The next message is compressed, or its metadata goes to many entries: call again when it
    /// may take so many bytes.
    NeedsRoom(usize),
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(settings: Arc<Settings>) -> Self {
        let mut reading = Reading::new(settings.fields.clone(), Timestamp::EPOCH);
        reading.time_unit = settings.time_unit;
        Self {
            settings,
            reading,
            buffer: BytesMut::new(),
            allocation: Allocation::default(),
            offset: 0,
            wire: None,
            scanner: Scanner::default(),
            json: JsonScanner::default(),
            located: None,
            skip: None,
            stream: None,
            waiting: None,
            failed: None,
            tags: Tags::default(),
            has_begun: false,
            garbage: Garbage::default(),
            entry_bytes: 128,
            gathered_bytes: 0,
        }
    }

    /// The bytes that were not decoded yet; new ones go to the end.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// How many bytes wait in the buffer.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// How many bytes of memory it holds: the buffer, of a small one what is in it, and what it has
    /// made of bytes before and not handed out.
    pub fn held(&self) -> usize {
        let (len, capacity) = (self.buffer.len(), self.buffer.capacity());
        let buffer = if capacity > SMALL_BUFFER { capacity } else { len };
        let stream = self.stream.as_ref().map_or(0, Stream::memory);
        buffer + stream + self.skip.as_ref().map_or(0, Skip::memory)
    }

    /// How many bytes it holds once the buffer has room for `bytes` more.
    pub fn held_with(&self, bytes: usize) -> usize {
        let (len, capacity) = (self.buffer.len(), self.buffer.capacity());
        let spare = if capacity > SMALL_BUFFER { capacity - len } else { 0 };
        self.held() + bytes.saturating_sub(spare)
    }

    /// Gives the memory of the buffer back where little is left in it. An empty one is kept for what
    /// comes next, if it is nobody else's too and `keeps_empty` says so.
    pub fn shrink(&mut self, keeps_empty: bool) {
        let whole = self.allocation.size(&self.buffer);
        let len = self.buffer.len();
        if whole <= SMALL_BUFFER {
            return;
        }
        if len == 0 {
            // All of it, so that its capacity tells what is held.
            if !(keeps_empty && self.buffer.try_reclaim(whole)) {
                self.buffer = BytesMut::new();
            }
        } else if len < self.buffer.capacity() / 8 {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// Refuses the message that is being handed out in parts: whoever takes them cannot. It is read
    /// on to its end, and comes as one that was refused.
    pub fn refuse_parts(&mut self, reason: Reason) {
        if let Some(stream) = &mut self.stream {
            stream.parted = 0;
            stream.refuse(reason);
        }
    }

    /// How many bytes the message in the buffer is known to miss; zero where it does not tell.
    pub fn missing(&self) -> usize {
        let base = self.base();
        let end = base + self.buffer.len() as u64;
        usize::try_from(self.scanner.reach().saturating_sub(end)).unwrap_or(usize::MAX)
    }

    /// How many bytes of the message at the start of the buffer are gone.
    fn base(&self) -> u64 {
        let stream = self.stream.as_ref().map(|stream| stream.base);
        stream.or(self.skip.as_ref().map(|skip| skip.base)).unwrap_or(0)
    }

    /// Whether the bytes so far end inside a message.
    pub fn is_inside_message(&self) -> bool {
        self.skip.is_some() || self.stream.is_some() || !self.buffer.is_empty()
    }

    /// How many bytes of the connection have been decoded.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The serialization of the connection, in which acknowledgements are due; msgpack until a
    /// byte has come.
    pub fn wire(&self) -> AckWire {
        self.wire.unwrap_or_default()
    }

    /// Decodes the next message, or gathers the next single-event messages of one tag.
    ///
    /// `received` is the receive time of its events. `room` is how many bytes a payload
    /// may grow to (see [`Next::NeedsRoom`]); `usize::MAX` leaves it to the limits.
    ///
    /// # Errors
    /// The connection cannot be read any further; the same error comes again. All messages before
    /// it have been handed out, and their acknowledgements are due.
    pub fn next_message(&mut self, received: Timestamp, room: usize) -> Result<Next, DecodeError> {
        self.reading.received = received;
        self.allocation.size(&self.buffer);
        if let Some(message) = self.waiting.take() {
            return Ok(Next::Message(message));
        }
        if let Some(next) = self.next_part() {
            return Ok(next);
        }
        let mut gather = None;
        let next = loop {
            match self.locate() {
                Ok(Step::Frame(located)) => {
                    if let Some(next) = self.frame(located, &mut gather, room) {
                        break next;
                    }
                }
                Ok(Step::Message(message)) if is_filled(gather.as_ref()) => {
                    self.waiting = Some(message);
                    break Next::NeedsBytes;
                }
                Ok(Step::Message(message)) => break Next::Message(message),
                Ok(Step::Stream(payload)) => {
                    self.stream = Some(self.begin_parts(payload));
                    if is_filled(gather.as_ref()) {
                        break Next::NeedsBytes;
                    }
                    if let Some(next) = self.next_part() {
                        break next;
                    }
                }
                Ok(Step::NeedsBytes) => break Next::NeedsBytes,
                Err(_) if is_filled(gather.as_ref()) => break Next::NeedsBytes,
                Err(error) => return Err(error),
            }
        };
        // Whatever ended the gathering comes again with the next call.
        match gather.filter(|gather| !gather.is_empty()) {
            Some(gather) => {
                self.gathered_bytes = gather.bytes();
                Ok(Next::Message(gather.finish(&self.reading)))
            }
            None => Ok(next),
        }
    }

    /// Takes a frame in; `None` where the next one is to be looked at. Where something has been
    /// gathered that goes first, the frame stays located.
    fn frame(&mut self, at: Located, gather: &mut Option<Gather>, room: usize) -> Option<Next> {
        let frame = at.msgpack.as_deref().or(self.buffer.get(..at.len)).unwrap_or_default();
        let wire = self.wire.unwrap_or_default();
        let parsed = parse((frame, &at.shape), wire, &mut self.tags, &self.settings);
        if let (Body::Message(_), Some(tag)) = (&parsed.body, &parsed.tag) {
            let batch = gather.get_or_insert_with(|| {
                let likely = self.gathered_bytes.saturating_mul(2).max(LEAST_GATHERED);
                let room = self.buffer.len().min(likely);
                Gather::new(tag.clone(), self.offset, room, &self.settings)
            });
            if !batch.takes(tag, frame.len(), &self.settings) {
                self.located = Some(at);
                return Some(Next::NeedsBytes);
            }
            match batch.add((frame, &parsed), self.offset, &self.reading, &self.settings) {
                Ok(()) => self.consume(at.len),
                Err(reason) => self.refuse_connection(reason, &parsed),
            }
            return None;
        }
        if is_filled(gather.as_ref()) {
            self.located = Some(at);
            return Some(Next::NeedsBytes);
        }
        self.interpret(at, parsed, room)
    }

    /// Ends the connection for a message that the settings do not forgive.
    fn refuse_connection(&mut self, reason: Reason, parsed: &Parsed) {
        let mut error = DecodeError::new(reason, self.offset, &self.buffer);
        error.tag.clone_from(&parsed.tag);
        self.failed = Some(error);
    }

    fn consume(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.offset += bytes as u64;
        self.has_begun = true;
        self.scanner.reset();
    }

    /// Counts a message refused as a whole; too many end the connection.
    fn count_garbage(&mut self, message: &Message) {
        let limits = &self.settings.limits;
        let now = self.reading.received;
        let window = i64::try_from(limits.garbage_window.as_nanos()).unwrap_or(i64::MAX);
        if now > self.garbage.since.saturating_add_nanos(window) {
            self.garbage = Garbage { since: now, count: 0 };
        }
        self.garbage.count += 1;
        if self.garbage.count > limits.max_garbage_messages {
            let sample = message.rejected.first().map_or(&[][..], |reject| &reject.sample);
            let error = DecodeError::new(Reason::PersistentGarbage, message.offset, sample);
            let last = message.rejected.first().map(|reject| reject.reason.to_string());
            self.failed = Some(error.with_detail(last.unwrap_or_default()));
        }
    }
}

fn is_filled(gather: Option<&Gather>) -> bool {
    gather.is_some_and(|gather| !gather.is_empty())
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("offset", &self.offset)
            .field("buffered", &self.buffer.len())
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}
