//! Framing: where the next message ends.

use bytes::{Buf as _, Bytes};
use logmon_core::json::to_msgpack;
use logmon_core::msgpack::MAX_SCAN_DEPTH;

use super::{Decoder, Located};
use crate::codec::frame::read_tag;
use crate::codec::guess::guess;
use crate::codec::json::{JsonScanner, blanks};
use crate::codec::reject::Rejects;
use crate::codec::scan::{Scanner, Shape};
use crate::codec::skip::Skip;
use crate::codec::stream::{Payload, Streamable};
use crate::codec::{AckWire, DecodeError, Message, Reason};

/// The depth of brackets that the JSON parser reads.
const MAX_JSON_DEPTH: u32 = 127;

/// The most blanks before the first message of a JSON connection.
const MAX_BLANKS: usize = 1024;

/// A byte order mark, which may stand before a text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What framing comes to.
pub(super) enum Step {
    /// A whole message at the start of the buffer.
    Frame(Located),
    /// A message that is handed out in parts, as it arrives.
    Stream(Payload),
    /// A message that is refused, and gone.
    Message(Message),
    NeedsBytes,
}

impl Decoder {
    /// Finds the end of the message at the start of the buffer.
    pub(super) fn locate(&mut self) -> Result<Step, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if let Some(located) = self.located.take() {
            return Ok(Step::Frame(located));
        }
        if self.wire.is_none() {
            self.choose_wire();
        }
        let step = match self.wire {
            None => Ok(Step::NeedsBytes),
            Some(AckWire::Msgpack) => self.locate_msgpack(),
            Some(AckWire::Json) => self.locate_json(),
        };
        match step {
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
            Ok(Step::Message(message)) => match (self.judge(message, None), &self.failed) {
                (None, Some(error)) => Err(error.clone()),
                (None, None) => Ok(Step::NeedsBytes),
                (Some(message), _) => Ok(Step::Message(message)),
            },
            Ok(step) => Ok(step),
        }
    }

    /// `[` and `{` are numbers in msgpack and never begin a message, so they tell JSON. Fluentd
    /// takes no blanks before them; here they do no harm.
    fn choose_wire(&mut self) {
        let blanks = blanks(&self.buffer);
        match self.buffer.get(blanks) {
            // Nothing that goes on like this is JSON; as msgpack it is refused.
            _ if blanks > MAX_BLANKS => self.wire = Some(AckWire::Msgpack),
            None => {}
            Some(0xef) if MARK.starts_with(&self.buffer) => {} // a byte order mark, cut
            Some(b'[' | b'{') => {
                self.wire = Some(AckWire::Json);
                self.drop_bytes(blanks);
            }
            Some(_) => self.wire = Some(AckWire::Msgpack),
        }
    }

    fn locate_msgpack(&mut self) -> Result<Step, DecodeError> {
        while self.skip.is_none() && self.scanner.reach() == 0 {
            match self.buffer.first() {
                None => return Ok(Step::NeedsBytes),
                // Nil is a heartbeat without an answer.
                Some(0xc0) => self.drop_bytes(1),
                Some(0x90..=0x9f | 0xdc | 0xdd) => break,
                Some(0xc1) => return Err(self.error(Reason::ReservedByte)),
                Some(b'[' | b'{') => return Err(self.stranger()),
                Some(_) if !self.has_begun => return Err(self.stranger()),
                // Well formed at least: passed over as a refused message.
                Some(_) => break,
            }
        }
        let base = self.skip.as_ref().map_or(0, |skip| skip.base);
        let end = match self.scanner.scan(&self.buffer, base) {
            Ok(end) => end,
            Err(reason) => return Err(self.error(reason)),
        };
        let limits = &self.settings.limits;
        let length = end.unwrap_or(self.scanner.reach().max(self.buffer.len() as u64));
        let mut limit = limits.max_message_bytes as u64;
        if self.skip.is_none() && length > limits.max_buffered_bytes as u64 && length <= limit {
            match Payload::find(&self.buffer, self.scanner.shape()) {
                Streamable::Yes(payload) => return Ok(Step::Stream(payload)),
                Streamable::NotYet => {}
                Streamable::No => limit = limit.min(limits.max_entry_bytes as u64),
            }
        }
        if self.skip.is_none() && length > limit {
            let tag = read_tag(&self.buffer, self.scanner.shape()).ok();
            let tag = tag.and_then(|raw| self.tags.resolve(raw, &self.settings).ok());
            self.skip = Some(Skip::new(self.offset, tag));
        }
        match (self.skip.take(), end.and_then(|end| usize::try_from(end - base).ok())) {
            (Some(skip), Some(len)) => Ok(Step::Message(self.end_skip(skip, len))),
            (Some(skip), None) => {
                self.skip_on(skip);
                Ok(Step::NeedsBytes)
            }
            (None, Some(len)) => {
                let shape = *self.scanner.shape();
                Ok(Step::Frame(Located { len, shape, msgpack: None }))
            }
            (None, None) => Ok(Step::NeedsBytes),
        }
    }

    fn skip_on(&mut self, skip: Skip) {
        let end = skip.base + self.buffer.len() as u64;
        let (shape, reach) = (self.scanner.shape(), self.scanner.reach());
        let until = skip.needless(shape, (reach, end), &self.settings.limits);
        let bytes = usize::try_from(until - skip.base).unwrap_or(0);
        self.skip_over(skip, bytes);
    }

    fn skip_over(&mut self, mut skip: Skip, bytes: usize) {
        skip.keep(self.buffer.get(..bytes).unwrap_or_default(), &self.settings.limits);
        self.drop_bytes(bytes);
        skip.base += bytes as u64;
        self.skip = Some(skip);
    }

    fn end_skip(&mut self, mut skip: Skip, len: usize) -> Message {
        let rest = self.buffer.get(..len).unwrap_or_default();
        let limits = &self.settings.limits;
        skip.keep(rest, limits);
        let option = skip.option(rest, self.scanner.shape());
        let message = skip.finish(len, option, AckWire::Msgpack, limits);
        self.consume(len);
        message
    }

    fn end_json_skip(&mut self, mut skip: Skip, len: usize) -> Message {
        let rest = self.buffer.get(..len).unwrap_or_default();
        let limits = &self.settings.limits;
        skip.keep(rest, limits);
        let text = self.json.option().and_then(|start| rest.get(start..len.checked_sub(1)?));
        let option = text.filter(|text| text.len() <= limits.max_option_bytes);
        let option = option.and_then(|text| to_msgpack(text).ok());
        let message = skip.finish(len, option.as_deref(), AckWire::Json, limits);
        self.consume(len);
        self.json = JsonScanner::default();
        message
    }

    fn locate_json(&mut self) -> Result<Step, DecodeError> {
        if self.skip.is_none() && self.json.is_at_start() {
            while let bytes @ 1.. = blanks(&self.buffer) {
                self.drop_bytes(bytes);
            }
            if !self.buffer.is_empty() && MARK.starts_with(&self.buffer) {
                return Ok(Step::NeedsBytes); // a byte order mark, cut
            }
            match self.buffer.first() {
                None => return Ok(Step::NeedsBytes),
                Some(b'[' | b'{') => {}
                Some(_) => {
                    let error = self.error(Reason::JsonSyntax);
                    return Err(error.with_detail("a message begins with a bracket"));
                }
            }
        }
        let end = self.json.scan(&self.buffer);
        if self.json.deepest() as usize > MAX_SCAN_DEPTH {
            return Err(self.error(Reason::NestingTooDeep));
        }
        let limits = &self.settings.limits;
        let most = limits.max_message_bytes.min(limits.max_entry_bytes);
        if self.skip.is_none() && end.unwrap_or(self.buffer.len()) > most {
            self.skip = Some(Skip::new(self.offset, None));
        }
        match (self.skip.take(), end) {
            (Some(skip), Some(len)) => Ok(Step::Message(self.end_json_skip(skip, len))),
            (Some(skip), None) => {
                // The option comes last, and so does the acknowledgement it asks for.
                let arrived = self.buffer.len();
                let tail =
                    self.json.tail().filter(|tail| arrived - tail <= limits.max_option_bytes);
                let needless = tail.unwrap_or(arrived);
                self.skip_over(skip, needless);
                self.json.forget(needless);
                Ok(Step::NeedsBytes)
            }
            (None, Some(len)) => self.json_frame(len),
            (None, None) => Ok(Step::NeedsBytes),
        }
    }

    /// Turns a whole JSON text into the msgpack of the same message.
    fn json_frame(&mut self, len: usize) -> Result<Step, DecodeError> {
        let depth = std::mem::take(&mut self.json).deepest();
        if depth > MAX_JSON_DEPTH {
            let mut message = Message::new(self.offset, len as u64);
            let at = Located { len, shape: Shape::default(), msgpack: None };
            let original = self.cut(&at);
            message.rejected = Rejects::whole(Reason::JsonTooDeep, message.offset, None, original);
            return Ok(Step::Message(message));
        }
        let text = self.buffer.get(..len).unwrap_or_default();
        match to_msgpack(text) {
            Ok(msgpack) => {
                let shape = scan_whole(&msgpack);
                let msgpack = Some(Bytes::from(msgpack));
                Ok(Step::Frame(Located { len, shape, msgpack }))
            }
            Err(error) => {
                let (line, column) = error.position();
                let place = format!("line {line}, column {column} of the message: {error}");
                Err(self.error(Reason::JsonSyntax).with_detail(place))
            }
        }
    }

    fn drop_bytes(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.offset += bytes as u64;
    }

    fn error(&self, reason: Reason) -> DecodeError {
        let message = self.offset - self.skip.as_ref().map_or(0, |skip| skip.base);
        DecodeError::new(reason, message, &self.buffer)
    }

    fn stranger(&self) -> DecodeError {
        self.error(Reason::NotForward).with_detail(guess(&self.buffer))
    }
}

/// Where the elements of a value are that is known to be whole.
fn scan_whole(msgpack: &[u8]) -> Shape {
    let mut scanner = Scanner::default();
    match scanner.scan(msgpack, 0) {
        Ok(Some(_)) => *scanner.shape(),
        _ => Shape::default(),
    }
}
