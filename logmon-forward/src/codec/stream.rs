//! The payload of a message too big to be held, read as it arrives.

use std::ops::Range;

use logmon_core::msgpack::{Cursor, Head};
use logmon_core::{NewBatch, Reading, Tag};

use super::inflate::{Compression, InflateError, Inflater, sniff};
use super::reject::Start;
use super::scan::{Scanner, Shape};
use super::walk::{Sorted, Walk, is_garbage};
use super::{Limits, Mode, Reason, Settings};

/// How much is decompressed at a time.
const STEP: usize = 128 << 10;

/// A part is handed out when it has so many events, whatever their bytes.
const PART_EVENTS: usize = 1 << 16;

/// Whether the message at the start of the buffer can be read as it arrives.
pub(super) enum Streamable {
    Yes(Payload),
    /// More bytes will tell.
    NotYet,
    No,
}

/// Where a payload is in its message.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) start: u64,
    /// Known from the start only for str and bin.
    pub(super) end: Option<u64>,
    pub(super) is_array: bool,
    pub(super) compression: Option<Compression>,
}

impl Payload {
    /// Finds the payload in the first bytes of a message.
    pub(super) fn find(frame: &[u8], shape: &Shape) -> Streamable {
        let Some(Ok(start)) = shape.start(1).map(usize::try_from) else { return Streamable::No };
        let mut cursor = Cursor::at(frame, start);
        let head = cursor.head();
        let at = cursor.position();
        let array = |end| Self { start: at as u64, end, is_array: true, compression: None };
        match head {
            // A time with metadata begins like two entries; only an array tells the difference.
            Ok(Head::Array(1..=2)) => match frame.get(at) {
                None => Streamable::NotYet,
                Some(0x90..=0x9f | 0xdc | 0xdd) => Streamable::Yes(array(shape.start(2))),
                Some(_) => Streamable::No,
            },
            Ok(Head::Array(3..)) => Streamable::Yes(array(shape.start(2))),
            Ok(Head::Str(len @ 1..) | Head::Bin(len @ 1..)) => {
                let mark = frame.get(at..at + (len as usize).min(4));
                let Some(mark) = mark else { return Streamable::NotYet };
                let (start, compression) = (at as u64, sniff(mark));
                let end = Some(start + u64::from(len));
                Streamable::Yes(Self { start, end, is_array: false, compression })
            }
            Err(_) => Streamable::NotYet,
            Ok(_) => Streamable::No,
        }
    }
}

/// A message of which the entries are handed out in parts.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
pub(super) struct Stream {
    /// The offset of the message in the connection.
    pub(super) offset: u64,
    /// How many bytes of the message are gone from the buffer.
    pub(super) base: u64,
    pub(super) tag: Option<Tag>,
    pub(super) payload: Payload,
    pub(super) mode: Mode,
    /// The first bytes of the message, for the quarantine.
    pub(super) start: Start,
    /// Whether the whole message was there when it began, so that its metadata is known.
    pub(super) is_whole: bool,
    pub(super) metadata: Option<Vec<u8>>,
    /// How many events were handed out.
    pub(super) parted: u64,
    /// Whether the message carries no logs, which its option told.
    pub(super) is_signal: bool,
    pub(super) sorted: Sorted,
    inflater: Option<Inflater>,
    /// Entries that have not been read, from the byte `taken` of the payload on.
    input: Vec<u8>,
    taken: u64,
    /// The scan over the first of them, and how many bytes of that are gone because it is too long.
    scanner: Scanner,
    skipped: u64,
    /// How many bytes the payload was decompressed to.
    inflated: u64,
    /// Whether decompression has more to give without another byte.
    has_output: bool,
    /// Whether entries that are here wait until the part before them is handed out.
    is_full: bool,
    /// Whether bytes came that are no entries, behind which nothing is read.
    is_spoilt: bool,
    /// Why the message is refused whatever else it holds, or because of its entries.
    refused: Option<Reason>,
    refused_entries: Option<Reason>,
    has_ended: bool,
}

impl Stream {
    /// Begins at the start of a payload whose message is refused already if it has no tag.
    pub(super) fn new(
        offset: u64,
        tag: Result<Tag, Reason>,
        payload: Payload,
        settings: &Settings,
    ) -> Self {
        let limits = &settings.limits;
        let mode = match payload.compression {
            Some(Compression::Gzip) => Mode::Gzip,
            Some(Compression::Zstd) => Mode::Zstd,
            None if payload.is_array => Mode::Forward,
            None => Mode::Packed,
        };
        let inflater =
            payload.compression.map(|kind| Inflater::new(kind, limits.max_zstd_window_log));
        let (inflater, failed) = match inflater.transpose() {
            Ok(inflater) => (inflater, None),
            Err(_) => (None, Some(Reason::DecompressedTooBig)),
        };
        Self {
            offset,
            base: 0,
            refused: tag.as_ref().err().copied().or(failed),
            tag: tag.ok(),
            payload,
            mode,
            start: Start::default(),
            is_whole: false,
            metadata: None,
            parted: 0,
            is_signal: false,
            sorted: Sorted::default(),
            inflater,
            input: Vec::new(),
            taken: 0,
            scanner: Scanner::default(),
            skipped: 0,
            inflated: 0,
            has_output: false,
            is_full: false,
            is_spoilt: false,
            refused_entries: None,
            has_ended: false,
        }
    }

    /// Refuses the message as a whole, whatever its entries are.
    pub(super) fn refuse(&mut self, reason: Reason) {
        self.refused = Some(reason);
        self.has_output = false;
        self.is_full = false;
        self.input = Vec::new();
        self.inflater = None;
    }

    /// Why the message is refused as a whole.
    pub(super) fn refusal(&self) -> Option<Reason> {
        self.refused.or(self.refused_entries)
    }

    /// Whether nothing of it will be kept.
    pub(super) fn is_void(&self) -> bool {
        self.is_signal || self.refusal().is_some()
    }

    /// The next part.
    pub(super) fn part(&mut self) -> Option<NewBatch> {
        let batch = self.sorted.batches.pop_front()?;
        self.parted += batch.entries.len() as u64;
        Some(batch)
    }

    /// Whether [`Stream::step`] can do something without another byte.
    pub(super) fn has_output(&self) -> bool {
        self.has_output || self.is_full
    }

    /// Whether the payload has been read to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        let inflater = self.inflater.as_ref().map_or(0, Inflater::memory);
        self.input.capacity() + self.start.as_slice().len() + self.sorted.memory() + inflater
    }

    /// Reads some of the next bytes of the payload; gives how many.
    pub(super) fn step(&mut self, wire: &[u8], reading: &Reading, settings: &Settings) -> usize {
        if self.refused.is_some() {
            return wire.len();
        }
        if self.is_full {
            self.read(reading, settings);
            return 0;
        }
        let Some(inflater) = &mut self.inflater else {
            self.input.extend_from_slice(wire);
            self.read(reading, settings);
            return wire.len();
        };
        let filled = self.input.len();
        let most = settings.limits.max_decompressed_bytes;
        let left = usize::try_from((most - self.inflated).saturating_add(1)).unwrap_or(usize::MAX);
        let cap = filled.saturating_add(STEP.min(left));
        let used = match inflater.run(wire, &mut self.input, cap) {
            Ok(used) => used,
            Err(error) => {
                self.refuse(match error {
                    InflateError::Corrupt => Reason::CorruptCompression,
                    InflateError::TooBig => Reason::DecompressedTooBig,
                });
                return wire.len();
            }
        };
        self.has_output = self.input.len() >= cap;
        self.inflated += (self.input.len() - filled) as u64;
        if self.inflated > most {
            self.refuse(Reason::DecompressedTooBig);
            return wire.len();
        }
        self.read(reading, settings);
        used
    }

    /// The payload is complete.
    pub(super) fn end(&mut self, reading: &Reading, settings: &Settings) {
        self.has_ended = true;
        if self.refused.is_some() {
            return;
        }
        let Ok(has_garbage) = self.inflater.as_ref().map_or(Ok(false), Inflater::finish) else {
            return self.refuse(Reason::CorruptCompression);
        };
        self.inflater = None;
        if self.is_void() {
            return;
        }
        let (tag, metadata) = (self.tag.clone().unwrap_or_default(), self.metadata.take());
        let walk = self.walk((&tag, metadata.as_deref()), reading, settings);
        let input = std::mem::take(&mut self.input);
        if !input.is_empty() && self.skipped == 0 {
            self.sorted.reject(&walk, Reason::TrailingGarbage, self.taken, &input);
        }
        if has_garbage {
            self.sorted.reject(&walk, Reason::TrailingGarbage, self.inflated, &[]);
        }
        self.sorted.flush(&walk);
    }

    fn walk<'a>(
        &self,
        (tag, metadata): (&'a Tag, Option<&'a [u8]>),
        reading: &'a Reading,
        settings: &'a Settings,
    ) -> Walk<'a> {
        let is_array = self.mode == Mode::Forward;
        Walk { reading, tag, offset: self.offset, entry_bytes: 0, metadata, is_array, settings }
    }

    /// Reads the entries that are whole.
    fn read(&mut self, reading: &Reading, settings: &Settings) {
        let (tag, metadata) = (self.tag.clone().unwrap_or_default(), self.metadata.take());
        let walk = self.walk((&tag, metadata.as_deref()), reading, settings);
        let input = std::mem::take(&mut self.input);
        let at = self.read_from(&input, &walk);
        self.input = input;
        self.input.drain(..at);
        self.taken += at as u64;
        if self.input.is_empty() && self.input.capacity() > 4 * STEP {
            self.input = Vec::new();
        }
        if self.is_part(&settings.limits) && !self.is_void() {
            self.sorted.flush(&walk);
        }
        self.metadata = metadata;
    }

    /// Whether what was read is a part.
    fn is_part(&self, limits: &Limits) -> bool {
        self.sorted.pending_bytes() >= limits.part_bytes
            || self.sorted.pending_events() >= PART_EVENTS
    }

    /// Reads `input`, which begins with an entry, as far as that goes; gives how far.
    fn read_from(&mut self, input: &[u8], walk: &Walk<'_>) -> usize {
        let limits = &walk.settings.limits;
        let (mut at, mut may_run) = (0, true);
        self.is_full = false;
        while at < input.len() {
            let rest = input.get(at..).unwrap_or_default();
            if self.is_void() {
                return input.len();
            }
            if self.is_spoilt {
                let most = limits.max_kept_entry_bytes;
                self.sorted.rejects.extend(Reason::TrailingGarbage, rest, most);
                return input.len();
            }
            if may_run && self.scanner.reach() == 0 {
                // What is all right goes fast, once for each time that bytes come.
                may_run = false;
                let most = limits.max_message_events.saturating_sub(self.sorted.events());
                at += self.sorted.take_run(walk, rest, most);
                continue;
            }
            match self.read_value(rest, self.taken + at as u64, walk) {
                Some(read) => at += read,
                None => return at,
            }
            // What is added to entries may make them many times what they were.
            if self.is_part(limits) && !self.is_void() && at < input.len() {
                self.is_full = true;
                return at;
            }
        }
        at
    }

    /// Reads the value at the start of `rest`, or a part of it where it is too long to be an entry;
    /// gives how many bytes that were. `None` where more are needed.
    fn read_value(&mut self, rest: &[u8], place: u64, walk: &Walk<'_>) -> Option<usize> {
        let limits = &walk.settings.limits;
        let end = match self.scanner.scan(rest, self.skipped) {
            _ if self.skipped == 0 && is_garbage(walk, rest) => {
                return Some(self.spoil(rest, place, walk));
            }
            Err(_) => return Some(self.spoil(rest, place, walk)),
            Ok(end) => end,
        };
        let length = end.unwrap_or(self.scanner.reach().max(self.skipped + rest.len() as u64));
        let read = end.unwrap_or(self.scanner.reach()).saturating_sub(self.skipped);
        let read = usize::try_from(read).unwrap_or(usize::MAX).min(rest.len());
        let value = rest.get(..read).unwrap_or_default();
        if self.skipped == 0 && self.is_behind_end(place.saturating_add(length)) {
            return Some(self.spoil(rest, place, walk));
        }
        if length > limits.max_entry_bytes as u64 {
            self.pass_over(value, place, walk);
        } else if end.is_none() {
            return None;
        } else if let Err(reason) = self.sorted.take(walk, value, place, true) {
            self.refused_entries = Some(reason);
        } else if self.is_beyond(limits, walk) {
            self.refused_entries = Some(Reason::MetadataTooBig);
        }
        if end.is_some() {
            self.scanner.reset();
            self.skipped = 0;
        }
        // Nothing can be read of a header that is cut off.
        (read > 0).then_some(read)
    }

    /// Whether a place in the payload is known to be behind its end.
    fn is_behind_end(&self, place: u64) -> bool {
        let is_plain = self.mode == Mode::Packed;
        let len = self.payload.end.map(|end| end.saturating_sub(self.payload.start));
        is_plain && len.is_some_and(|len| place > len)
    }

    /// Refuses an entry that is too long, or goes on with it.
    fn pass_over(&mut self, bytes: &[u8], place: u64, walk: &Walk<'_>) {
        let reason = Reason::EntryRecordTooLong;
        if self.skipped == 0 {
            self.sorted.reject(walk, reason, place, bytes);
        } else {
            self.sorted.rejects.extend(reason, bytes, walk.settings.limits.max_kept_entry_bytes);
        }
        self.skipped += bytes.len() as u64;
    }

    /// Gives up reading behind bytes that are no entries.
    fn spoil(&mut self, rest: &[u8], place: u64, walk: &Walk<'_>) -> usize {
        self.is_spoilt = true;
        self.scanner.reset();
        self.sorted.reject(walk, Reason::TrailingGarbage, place, rest);
        rest.len()
    }

    /// Whether what was added to the entries made them too long.
    fn is_beyond(&self, limits: &Limits, walk: &Walk<'_>) -> bool {
        let is_spread = walk.metadata.is_some() || walk.settings.group_attributes_key.is_some();
        let most = limits.max_decompressed_bytes.max(limits.max_message_bytes as u64);
        is_spread && self.sorted.bytes() > most
    }
}

/// The range of the option in the bytes of a message from `base` on; `None` where there is none, or
/// it is gone.
pub(super) fn option_range(shape: &Shape, base: u64, len: usize) -> Option<Range<usize>> {
    let start = usize::try_from(shape.start(2)?.checked_sub(base)?).ok()?;
    let end = shape.start(3).and_then(|end| usize::try_from(end.checked_sub(base)?).ok());
    Some(start..end.unwrap_or(len))
}
