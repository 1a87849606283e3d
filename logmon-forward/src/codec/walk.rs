//! From the bytes of a payload to checked entries.

use std::ops::Range;

use bytes::Bytes;
use logmon_core::msgpack::{Cursor, Head, MsgpackErrorKind};
use logmon_core::{Entries, EntryErrorKind, Index, NewBatch, Reading, Tag};

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

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) batches: Vec<NewBatch>,
    pub(super) rejects: Rejects,
    pub(super) oddities: Oddities,
    /// The events of all batches.
    events: usize,
}

impl Walk<'_> {
    /// Reads all entries of a payload.
    ///
    /// The payload is kept as it is, without a copy, unless something in it has to go.
    ///
    /// # Errors
    /// The message is beyond a limit and refused as a whole.
    pub(super) fn run(&self, payload: &Bytes) -> Result<Found, Reason> {
        let mut found = Found::default();
        let most = self.settings.limits.max_message_events;
        let likely = payload.len() / self.entry_bytes.max(16) + 1;
        let mut index = Index::with_capacity(likely.min(most));
        let mut at = 0;
        if self.metadata.is_none() {
            loop {
                if at >= payload.len() {
                    found.keep(self, payload.clone(), index);
                    return Ok(found);
                }
                if index.len() >= most {
                    return Err(Reason::TooManyEvents);
                }
                match index.push(payload, at, self.reading) {
                    Ok(next) => at = next,
                    Err(_) => break,
                }
            }
        }
        let clean = payload.get(..at).unwrap_or_default().to_vec();
        Rewrite { walk: self, index, clean, nested: Vec::new(), may_nest: true }
            .run(payload, at, &mut found)?;
        Ok(found)
    }
}

impl Found {
    fn keep(&mut self, walk: &Walk<'_>, payload: Bytes, index: Index) {
        self.oddities.add(index.oddities());
        self.events += index.len();
        if !index.is_empty() {
            let entries = Entries::new(payload, index, walk.reading);
            self.batches.push(NewBatch::new(walk.tag.clone(), entries));
        }
    }
}

/// A payload on its way to one without what was refused in it.
struct Rewrite<'w> {
    walk: &'w Walk<'w>,
    index: Index,
    clean: Vec<u8>,
    /// Batches inside, which are read last: the ranges of their tags and entries.
    nested: Vec<(Range<usize>, Range<usize>)>,
    may_nest: bool,
}

impl Rewrite<'_> {
    /// Goes on at `at` of `payload`.
    fn run(mut self, payload: &[u8], mut at: usize, found: &mut Found) -> Result<(), Reason> {
        while at < payload.len() {
            let mut cursor = Cursor::at(payload, at);
            let is_framed = cursor.skip_deep().is_ok();
            let value = payload.get(at..cursor.position()).unwrap_or_default();
            if !is_framed || !self.walk.is_array && is_text(value) {
                // Behind bytes that are no value, or text, nothing can be trusted.
                let rest = payload.get(at..).unwrap_or_default();
                let place = (self.walk.offset, at);
                found.rejects.add(Reason::TrailingGarbage, place, Some(self.walk.tag), rest);
                break;
            }
            self.take(value, at, found)?;
            at = cursor.position();
        }
        let Self { walk, index, clean, nested, .. } = self;
        found.keep(walk, clean.into(), index);
        for (tag, entries) in nested {
            unnest(walk, payload, (tag, entries), found)?;
        }
        Ok(())
    }

    /// Copies one value if it is an entry.
    fn take(&mut self, value: &[u8], at: usize, found: &mut Found) -> Result<(), Reason> {
        if found.events + self.index.len() >= self.walk.settings.limits.max_message_events {
            return Err(Reason::TooManyEvents);
        }
        let start = self.clean.len();
        append_entry(&mut self.clean, value, self.walk.metadata);
        let Err(error) = self.index.push(&self.clean, start, self.walk.reading) else {
            return Ok(());
        };
        self.clean.truncate(start);
        match error.kind {
            EntryErrorKind::GroupMarker => found.oddities.group_markers += 1,
            kind => match self.may_nest.then(|| nested_batch(value)).flatten() {
                Some(_) if self.nested.len() >= self.walk.settings.limits.max_nested_batches => {
                    return Err(Reason::TooManyBatches);
                }
                Some((tag, entries)) => {
                    let moved = |range: Range<usize>| range.start + at..range.end + at;
                    self.nested.push((moved(tag), moved(entries)));
                }
                None => {
                    let place = (self.walk.offset, at);
                    found.rejects.add(reason(kind), place, Some(self.walk.tag), value);
                }
            },
        }
        Ok(())
    }
}

/// Whether a value is neither array nor map nor nil: what arbitrary bytes look like.
fn is_text(value: &[u8]) -> bool {
    !matches!(value.first(), Some(0x80..=0x9f | 0xc0 | 0xdc..=0xdf))
}

/// Reads a batch that stood in the place of an entry, as Fluent Bit 5.0.7 on Windows sends them.
/// One level only: what is nested in it is refused. The outer option is not its own.
fn unnest(
    walk: &Walk<'_>,
    payload: &[u8],
    (tag, entries): (Range<usize>, Range<usize>),
    found: &mut Found,
) -> Result<(), Reason> {
    found.oddities.nested_batches += 1;
    let raw = payload.get(tag).unwrap_or_default();
    let tag = match tags::make(raw, walk.settings) {
        Ok(tag) => tag,
        Err(reason) => {
            found.rejects.add(reason, (walk.offset, 0), None, raw);
            return Ok(());
        }
    };
    let walk = Walk { tag: &tag, metadata: None, ..*walk };
    let (index, clean) = (Index::default(), Vec::new());
    let entries = payload.get(entries).unwrap_or_default();
    Rewrite { walk: &walk, index, clean, nested: Vec::new(), may_nest: false }
        .run(entries, 0, found)
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
