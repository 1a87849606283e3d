//! From the bytes of a payload to checked entries.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use logmon_core::msgpack::{Cursor, Head, MsgpackErrorKind};
use logmon_core::{Entries, EntryErrorKind, Index, NewBatch, Reading, Tag};

use super::group_attributes::Attributes;
use super::message::Oddities;
use super::reject::Rejects;
use super::{Reason, Settings, tags};

/// What a payload is read with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) reading: &'a Reading,
    pub(super) tag: &'a Tag,
    /// The offset of the message in the connection.
    pub(super) offset: u64,
    /// About how many bytes an entry has.
    pub(super) entry_bytes: usize,
    /// The option's metadata map, for entries without their own.
    pub(super) metadata: Option<&'a [u8]>,
    /// Whether the payload is the inside of an array, whose items are known to be values.
    pub(super) is_array: bool,
    pub(super) settings: &'a Settings,
}

/// What a whole payload came to.
#[derive(Debug)]
pub(super) enum Walked {
    /// All of it is entries: it may be kept as it is, without a copy.
    Clean(Index),
    /// It had to be copied, because something in it had to go or to be added.
    Sorted(Sorted),
}

/// Why a payload was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The message is beyond a limit and refused as a whole.
    Refused(Reason),
    /// What it comes to is too much to be held at once.
    TooMuch,
}

impl Walk<'_> {
    /// Reads all entries of a payload that is held as a whole.
    ///
    /// # Errors
    /// See [`Stop`].
    pub(super) fn run(&self, payload: &[u8]) -> Result<Walked, Stop> {
        let limits = &self.settings.limits;
        let likely = payload.len() / self.entry_bytes.max(16) + 1;
        let mut index = Index::with_capacity(likely.min(limits.max_buffered_events));
        let mut at = 0;
        if self.metadata.is_none() {
            loop {
                if at >= payload.len() {
                    return Ok(Walked::Clean(index));
                }
                self.may_grow(index.len())?;
                match index.push(payload, at, self.reading) {
                    Ok(next) => at = next,
                    Err(_) => break,
                }
            }
        }
        let clean = payload.get(..at).unwrap_or_default().to_vec();
        let mut sorted = Sorted { index, clean, ..Sorted::default() };
        while at < payload.len() {
            self.may_grow(sorted.events())?;
            if sorted.clean.len() > limits.max_buffered_bytes.max(payload.len()) {
                return Err(Stop::TooMuch);
            }
            match sorted.take_next(self, payload, at, 0).map_err(Stop::Refused)? {
                Some(next) => at = next,
                None => break,
            }
        }
        sorted.flush(self);
        Ok(Walked::Sorted(sorted))
    }

    fn may_grow(&self, events: usize) -> Result<(), Stop> {
        let limits = &self.settings.limits;
        match events {
            _ if events >= limits.max_message_events => Err(Stop::Refused(Reason::TooManyEvents)),
            _ if events >= limits.max_buffered_events => Err(Stop::TooMuch),
            _ => Ok(()),
        }
    }

    /// Joins a payload without a fault and its index.
    pub(super) fn batch(&self, payload: Bytes, index: Index) -> NewBatch {
        NewBatch::new(self.tag.clone(), Entries::new(payload, index, self.reading))
    }
}

/// Entries sorted out of a payload, in their order.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Those that make whole batches.
    pub(super) batches: VecDeque<NewBatch>,
    pub(super) rejects: Rejects,
    pub(super) oddities: Oddities,
    /// The next batch in the making.
    index: Index,
    clean: Vec<u8>,
    /// The events of all batches, those taken away included.
    events: usize,
    /// Their bytes.
    bytes: u64,
    /// What the group of Fluent Bit that is open says.
    group: Option<Attributes>,
}

impl Sorted {
    /// How many events there are, those of batches taken away included.
    pub(super) fn events(&self) -> usize {
        self.events + self.index.len()
    }

    /// The bytes of the batch in the making.
    pub(super) fn pending_bytes(&self) -> usize {
        self.clean.len()
    }

    /// The events of the batch in the making.
    pub(super) fn pending_events(&self) -> usize {
        self.index.len()
    }

    /// How many bytes all entries have.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes + self.clean.len() as u64
    }

    /// What it holds, batches not counted.
    pub(super) fn memory(&self) -> usize {
        self.clean.capacity() + self.index.len() * 29
    }

    /// Reads the value at `at` of `payload`, which begins at `base` of the whole payload; gives the
    /// offset of the next one, or none where what is left is no entries and was refused.
    ///
    /// # Errors
    /// The message is beyond a limit and refused as a whole.
    pub(super) fn take_next(
        &mut self,
        walk: &Walk<'_>,
        payload: &[u8],
        at: usize,
        base: u64,
    ) -> Result<Option<usize>, Reason> {
        let mut cursor = Cursor::at(payload, at);
        let is_framed = cursor.skip_deep().is_ok();
        let value = payload.get(at..cursor.position()).unwrap_or_default();
        if !is_framed || is_garbage(walk, value) {
            let rest = payload.get(at..).unwrap_or_default();
            self.reject(walk, Reason::TrailingGarbage, base + at as u64, rest);
            return Ok(None);
        }
        self.take(walk, value, base + at as u64, true)?;
        Ok(Some(cursor.position()))
    }

    /// Pushes as many entries as stand without a fault at the start of `payload`; gives where they
    /// end. Where metadata is to be added, none are.
    pub(super) fn take_run(&mut self, walk: &Walk<'_>, payload: &[u8], most: usize) -> usize {
        if walk.metadata.is_some() || self.group.is_some() {
            return 0;
        }
        let start = self.clean.len();
        self.clean.extend_from_slice(payload);
        let mut at = start;
        for _ in 0..most {
            if at >= self.clean.len() {
                break;
            }
            match self.index.push(&self.clean, at, walk.reading) {
                Ok(next) => at = next,
                Err(_) => break,
            }
        }
        self.clean.truncate(at);
        at - start
    }

    /// Takes one value: an entry, a group marker, or a batch in the place of an entry.
    pub(super) fn take(
        &mut self,
        walk: &Walk<'_>,
        value: &[u8],
        at: u64,
        may_nest: bool,
    ) -> Result<(), Reason> {
        if self.events() >= walk.settings.limits.max_message_events {
            return Err(Reason::TooManyEvents);
        }
        let start = self.clean.len();
        match &self.group {
            Some(group) => group.append_entry(&mut self.clean, value, walk.metadata),
            None => append_entry(&mut self.clean, value, walk.metadata),
        }
        let Err(error) = self.index.push(&self.clean, start, walk.reading) else {
            return Ok(());
        };
        self.clean.truncate(start);
        match error.kind {
            EntryErrorKind::GroupMarker => self.mark_group(walk, value),
            kind => match may_nest.then(|| nested_batch(value)).flatten() {
                Some((tag, entries)) => self.unnest(walk, value, (tag, entries), at)?,
                None => self.reject(walk, reason(kind), at, value),
            },
        }
        Ok(())
    }

    pub(super) fn reject(&mut self, walk: &Walk<'_>, reason: Reason, at: u64, bytes: &[u8]) {
        let most = walk.settings.limits.max_kept_entry_bytes;
        self.rejects.add(reason, (walk.offset, at), Some(walk.tag), (bytes, most));
    }

    /// Makes a batch of what there is.
    pub(super) fn flush(&mut self, walk: &Walk<'_>) {
        let (index, clean) = (std::mem::take(&mut self.index), std::mem::take(&mut self.clean));
        self.oddities.add(index.oddities());
        self.events += index.len();
        self.bytes += clean.len() as u64;
        if !index.is_empty() {
            self.batches.push_back(walk.batch(clean.into(), index));
        }
    }

    fn mark_group(&mut self, walk: &Walk<'_>, value: &[u8]) {
        self.oddities.group_markers += 1;
        let Some(key) = &walk.settings.group_attributes_key else { return };
        self.group = Attributes::read(key, value);
        if self.group.as_ref().is_some_and(Attributes::is_too_long) {
            self.oddities.groups_too_long += 1;
            self.group = None;
        }
    }

    /// Reads a batch that stood in the place of an entry, as Fluent Bit 5.0.7 on Windows sends
    /// them. One level only: what is nested in it is refused. The outer option is not its own.
    fn unnest(
        &mut self,
        walk: &Walk<'_>,
        value: &[u8],
        (tag, entries): (Range<usize>, Range<usize>),
        at: u64,
    ) -> Result<(), Reason> {
        let limits = &walk.settings.limits;
        if self.oddities.nested_batches as usize >= limits.max_nested_batches {
            return Err(Reason::TooManyBatches);
        }
        self.oddities.nested_batches += 1;
        let raw = value.get(tag).unwrap_or_default();
        let tag = match tags::make(raw, walk.settings) {
            Ok(tag) => tag,
            Err(reason) => {
                // Counted as one of the message's entries, not as the message.
                let (place, most) = ((walk.offset, at), limits.max_kept_entry_bytes);
                self.rejects.add(reason, place, None, (value, most));
                return Ok(());
            }
        };
        self.flush(walk);
        let outer = self.group.take();
        let inner = Walk { tag: &tag, metadata: None, ..*walk };
        let base = at + entries.start as u64;
        let entries = value.get(entries).unwrap_or_default();
        let mut cursor = Cursor::new(entries);
        while !cursor.is_at_end() {
            if self.pending_events() >= limits.max_buffered_events {
                return Err(Reason::TooManyEvents);
            }
            // A group inside may add to each of its entries.
            if self.pending_bytes() > limits.max_buffered_bytes.max(value.len()) {
                return Err(Reason::MetadataTooBig);
            }
            let start = cursor.position();
            if cursor.skip_deep().is_err() {
                break;
            }
            let value = entries.get(start..cursor.position()).unwrap_or_default();
            self.take(&inner, value, base + start as u64, false)?;
        }
        self.flush(&inner);
        self.group = outer;
        Ok(())
    }
}

/// Whether a value of packed entries shows that nothing behind it can be trusted: it is neither
/// array nor map nor nil, as arbitrary bytes are not.
pub(super) fn is_garbage(walk: &Walk<'_>, value: &[u8]) -> bool {
    !walk.is_array && !matches!(value.first(), Some(0x80..=0x9f | 0xc0 | 0xdc..=0xdf))
}

/// Appends an entry; one without a metadata map of its own gets `metadata`.
pub(super) fn append_entry(out: &mut Vec<u8>, entry: &[u8], metadata: Option<&[u8]>) {
    match metadata.and_then(|metadata| Some((metadata, plain_time(entry)?))) {
        Some((metadata, (time, rest))) => {
            out.extend_from_slice(&[0x92, 0x92]);
            out.extend_from_slice(time);
            out.extend_from_slice(metadata);
            out.extend_from_slice(rest);
        }
        None => out.extend_from_slice(entry),
    }
}

/// The time of an entry of two elements that is not the header array of protocol v1.5, and what
/// stands behind it.
fn plain_time(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(entry);
    let Ok(Head::Array(2)) = cursor.head() else { return None };
    if matches!({ cursor }.head(), Ok(Head::Array(_))) {
        return None;
    }
    Some((cursor.value().ok()?, cursor.rest()))
}

/// The tag and the inside of the entries where `value` is `[tag, [entry, ...], ...]`.
fn nested_batch(value: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let mut cursor = Cursor::new(value);
    let Ok(Head::Array(2..)) = cursor.head() else { return None };
    let tag = match cursor.head() {
        Ok(Head::Str(len) | Head::Bin(len)) => {
            cursor.take(len).ok()?;
            cursor.position() - len as usize..cursor.position()
        }
        _ => return None,
    };
    let mut end = cursor;
    end.skip_deep().ok()?;
    matches!(cursor.head(), Ok(Head::Array(_))).then(|| (tag, cursor.position()..end.position()))
}

/// The word for what the index says of an entry.
pub(super) fn reason(kind: EntryErrorKind) -> Reason {
    match kind {
        EntryErrorKind::Framing(MsgpackErrorKind::TooDeep) => Reason::EntryTooDeep,
        EntryErrorKind::Framing(MsgpackErrorKind::TooManyItems) => Reason::EntryTooManyItems,
        EntryErrorKind::Time => Reason::EntryTime,
        EntryErrorKind::Record => Reason::EntryRecord,
        EntryErrorKind::RecordTooLong => Reason::EntryRecordTooLong,
        _ => Reason::EntryShape,
    }
}
