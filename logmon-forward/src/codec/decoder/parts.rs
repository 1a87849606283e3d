//! Messages that are handed out in parts.

use bytes::Buf as _;

use super::interpret::Facts;
use super::{Decoder, Next};
use crate::codec::options::{Options, Signal};
use crate::codec::stream::{Payload, Stream, option_range};
use crate::codec::{DecodeError, Message, Reason, Warning};

/// How much of the wire is read at a time.
const PIECE: u64 = 64 << 10;

/// What reading on in a message comes to.
enum Progress {
    Next(Next),
    /// The message has ended at this offset.
    End(u64),
    Failed(DecodeError),
}

impl Decoder {
    /// Begins to read the message at the start of the buffer as it arrives.
    pub(super) fn begin_parts(&mut self, payload: Payload) -> Stream {
        let raw = super::read_tag(&self.buffer, self.scanner.shape());
        let tag = raw.and_then(|raw| self.tags.resolve(raw, &self.settings));
        Stream::new(self.offset, tag, payload, &self.settings)
    }

    /// Reads on in the message that is handed out in parts; `None` when it has ended without a word,
    /// or has ended the connection.
    pub(super) fn next_part(&mut self) -> Option<Next> {
        let mut stream = self.stream.take()?;
        match self.read_on(&mut stream) {
            Progress::Next(next) => {
                self.stream = Some(stream);
                Some(next)
            }
            Progress::End(end) => self.end_parts(stream, end),
            Progress::Failed(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn read_on(&mut self, stream: &mut Stream) -> Progress {
        loop {
            if stream.is_void() {
                stream.sorted.batches.clear();
                if std::mem::take(&mut stream.parted) > 0 {
                    return Progress::Next(Next::Void);
                }
            }
            if let Some(batch) = stream.part() {
                return Progress::Next(Next::Part(batch));
            }
            let end = match self.scanner.scan(&self.buffer, stream.base) {
                Ok(end) => end,
                Err(reason) => {
                    stream.start.keep(stream.base, &self.buffer, &self.settings.limits);
                    let start = stream.start.as_slice();
                    let error = DecodeError::new(reason, stream.offset, start);
                    return Progress::Failed(error);
                }
            };
            let arrived = stream.base + self.buffer.len() as u64;
            let length = end.unwrap_or(self.scanner.reach().max(arrived));
            if length > self.settings.limits.max_message_bytes as u64
                && stream.refusal() != Some(Reason::MessageTooBig)
            {
                stream.refuse(Reason::MessageTooBig);
                continue;
            }
            stream.payload.end = stream.payload.end.or(self.scanner.shape().start(2)).or(end);
            if !stream.has_ended() {
                if self.feed(stream, arrived) {
                    continue;
                }
                return Progress::Next(Next::NeedsBytes);
            }
            let Some(end) = end else {
                self.drop_long_option(stream, arrived);
                return Progress::Next(Next::NeedsBytes);
            };
            let options = self.options(stream, end);
            if options.signal == Signal::MetricsOrTraces && !stream.is_signal {
                stream.is_signal = true;
                continue;
            }
            return Progress::End(end);
        }
    }

    /// Reads what has arrived of the payload; `false` if there is nothing.
    fn feed(&mut self, stream: &mut Stream, arrived: u64) -> bool {
        let until = stream.payload.end.unwrap_or(self.scanner.reach()).min(arrived);
        let from = stream.payload.start.max(stream.base);
        if from < until || stream.has_output() {
            let range = from - stream.base..until.clamp(from, from + PIECE) - stream.base;
            let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let piece = range.and_then(|(start, end)| self.buffer.get(start..end));
            let used = stream.step(piece.unwrap_or_default(), &self.reading, &self.settings);
            self.let_go(stream, from + used as u64);
            return true;
        }
        if stream.payload.end != Some(from) {
            return false;
        }
        stream.end(&self.reading, &self.settings);
        true
    }

    /// An option beyond its limit need not be kept.
    fn drop_long_option(&mut self, stream: &mut Stream, arrived: u64) {
        let start = stream.payload.end.unwrap_or(arrived);
        if arrived.saturating_sub(start) > self.settings.limits.max_option_bytes as u64 {
            self.let_go(stream, self.scanner.reach().min(arrived));
        }
    }

    /// Drops the bytes of the message before its offset `until`.
    fn let_go(&mut self, stream: &mut Stream, until: u64) {
        let bytes = usize::try_from(until.saturating_sub(stream.base)).unwrap_or(usize::MAX);
        let bytes = bytes.min(self.buffer.len());
        let gone = self.buffer.get(..bytes).unwrap_or_default();
        stream.start.keep(stream.base, gone, &self.settings.limits);
        self.buffer.advance(bytes);
        self.offset += bytes as u64;
        stream.base += bytes as u64;
    }

    /// The option of a message that ends at `end`.
    fn options(&self, stream: &Stream, end: u64) -> Options {
        let shape = self.scanner.shape();
        let len = usize::try_from(end.saturating_sub(stream.base)).unwrap_or(usize::MAX);
        match option_range(shape, stream.base, len) {
            Some(range) => Options::read(
                &self.buffer,
                range,
                self.wire.unwrap_or_default(),
                &self.settings.limits,
            ),
            None if shape.elements > 2 => {
                Options { warning: Some(Warning::OptionTooBig), ..Options::default() }
            }
            None => Options::default(),
        }
    }

    fn end_parts(&mut self, mut stream: Stream, end: u64) -> Option<Next> {
        let options = self.options(&stream, end);
        let mut message = Message::new(stream.offset, end);
        message.mode = stream.mode;
        message.parted = stream.parted;
        message.oddities.extra_elements += u32::from(self.scanner.shape().elements > 3);
        message.chunks.push(&options, &self.buffer, (0, true));
        message.warnings.extend(options.warning);
        if options.metadata.is_some() && !stream.is_whole && !stream.is_void() {
            message.warn(Warning::MetadataTooLate);
            message.oddities.metadata_too_late += 1;
        }
        if !stream.payload.is_array {
            options.compare(stream.payload.compression, &mut message);
        }
        self.let_go(&mut stream, end);
        self.consume(0);
        let facts = Facts { tag: stream.tag.clone(), options };
        let start = std::mem::take(&mut stream.start);
        let bytes = || (start.into_bytes(), end);
        if stream.is_signal {
            return self.finish_signal(message, &facts, bytes).map(Next::Message);
        }
        if let Some(reason) = stream.refusal() {
            return self.finish_refused(message, reason, &facts, bytes).map(Next::Message);
        }
        message.oddities.add_all(stream.sorted.oddities);
        self.finish(message, stream.sorted.rejects, &facts, bytes).map(Next::Message)
    }
}
