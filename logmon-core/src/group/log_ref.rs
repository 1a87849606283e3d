//! One event of a group, read in place.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::record::Record;
use super::{Batch, Group, Row};
use crate::entries::Span;
use crate::event::{Event, Scalar};
use crate::json::{self, Lossy};
use crate::log::Log;
use crate::{EventId, Level, Timestamp};

/// One event of a group: a pair of a group and an index.
#[derive(Clone, Copy)]
pub struct LogRef<'g> {
    pub(super) group: &'g Group,
    pub(super) at: usize,
    pub(super) row: usize,
}

/// What an entry consists of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parts<'g> {
    /// The map of metadata in the entry's header, if it has one.
    pub header: Option<&'g [u8]>,
    /// The record, a map.
    pub record: &'g [u8],
    /// Where in the record the bytes of the message stand, where that is text (or bytes).
    pub message: Option<Range<usize>>,
    /// The same for the source.
    pub source: Option<Range<usize>>,
}

impl<'g> LogRef<'g> {
    pub(super) fn row(&self) -> &'g Row {
        &self.group.0.batches[self.row]
    }

    /// The index in the group.
    pub fn index(&self) -> usize {
        self.at
    }

    /// The batch it is of.
    pub fn batch(&self) -> Batch<'g> {
        Batch { group: self.group, row: self.row }
    }

    /// The number of the event.
    pub fn seq(&self) -> u64 {
        let row = self.row();
        row.first_seq + (self.at - row.first) as u64
    }

    /// The id of the event.
    pub fn id(&self) -> EventId {
        let row = self.row();
        match row.origin {
            Some(first) => first.plus((self.at - row.first) as u64),
            None => EventId::new(self.group.epoch(), self.seq()),
        }
    }

    /// Whether another journal has taken it in, and it is only shown here.
    pub fn is_foreign(&self) -> bool {
        self.row().origin.is_some()
    }

    /// Whether `next` is the next event of the same batch.
    pub(super) fn is_before(&self, next: &LogRef<'_>) -> bool {
        self.row == next.row && self.at + 1 == next.at
    }

    /// The packed entry as it came: `[time, record]` or `[[time, metadata], record]`.
    pub fn entry(&self) -> &'g [u8] {
        let inner = &self.group.0;
        let start = inner.index.starts[self.at] as usize;
        let row = self.row();
        let is_last = inner.batches.get(self.row + 1).map_or(self.group.len(), |next| next.first)
            == self.at + 1;
        let end = if is_last { row.end } else { inner.index.starts[self.at + 1] };
        inner.arena.get(start..end as usize).unwrap_or_default()
    }

    /// The entry taken apart, for a store that keeps the parts in different places.
    ///
    /// `[EventTime, record]`, or `[[EventTime, header], record]` where there is a header, is an
    /// entry with the same event in it: what else an entry may hold is no part of the event.
    pub fn parts(&self) -> Parts<'g> {
        let entry = self.entry();
        let (header, record_at, record_end) = super::record::split(entry).unwrap_or((None, 0, 0));
        let index = &self.group.0.index;
        let record_start = index.starts[self.at] as usize + record_at;
        let range = |(start, end): (u32, u32)| {
            (start as usize).saturating_sub(record_start)
                ..(end as usize).saturating_sub(record_start)
        };
        let flags = index.flags[self.at];
        Parts {
            header,
            record: entry.get(record_at..record_end).unwrap_or_default(),
            message: (flags.message() == Span::Text).then(|| range(index.messages[self.at])),
            source: (flags.source() == Span::Text).then(|| range(index.sources[self.at])),
        }
    }

    /// Where in the record the top-level keys stand whose values are level, message and source and
    /// therefore no metadata (but for a level that says more than one of the six names).
    pub fn field_keys(&self) -> [Option<usize>; 3] {
        self.record().map_or([None; 3], |record| record.field_keys())
    }

    /// Shows the pairs of the metadata in the order of [`Log::metadata`]: merged, each key once, as
    /// bytes of text and whole msgpack values (see [`crate::msgpack::pairs`] for those that are maps).
    pub fn each_pair(&self, show: &mut dyn FnMut(&[u8], &[u8])) {
        let Some(record) = self.record() else { return };
        if !record.each_plain_pair(show)
            && let Ok(metadata) = record.metadata()
        {
            metadata.each_pair(show);
        }
    }

    fn record(&self) -> Option<Record<'g>> {
        // The index has checked the entry, so this reads.
        Record::read(self.entry(), &self.row().fields).ok()
    }

    fn bytes(&self, span: (u32, u32)) -> &'g [u8] {
        self.group.0.arena.get(span.0 as usize..span.1 as usize).unwrap_or_default()
    }

    /// The bytes of the message where the record has a text one.
    pub fn message_bytes(&self) -> Option<&'g [u8]> {
        let index = &self.group.0.index;
        (index.flags[self.at].message() == Span::Text).then(|| self.bytes(index.messages[self.at]))
    }

    /// The bytes of the source where the record has a text one.
    pub fn source_bytes(&self) -> Option<&'g [u8]> {
        let index = &self.group.0.index;
        (index.flags[self.at].source() == Span::Text).then(|| self.bytes(index.sources[self.at]))
    }

    fn json_text(value: &[u8], lossy: &mut Lossy) -> String {
        let mut out = Vec::new();
        // Checked when it was indexed; a value that does not read leaves what was written so far.
        let _checked = json::write_checked(&mut out, value, lossy);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The message where it is a text, or else the JSON text that stands for it.
    fn message_text(&self, lossy: &mut Lossy) -> Cow<'g, str> {
        let index = &self.group.0.index;
        let value = match index.flags[self.at].message() {
            Span::Text => return String::from_utf8_lossy(self.bytes(index.messages[self.at])),
            Span::Value => Some(self.bytes(index.messages[self.at])),
            Span::Absent => self.record().map(|record| record.bytes()),
        };
        value.map_or(Cow::Borrowed(""), |value| Self::json_text(value, lossy).into())
    }

    /// Appends the event as a JSON object, in the form of the HTTP API: `id`, `seq` (a string),
    /// `timestamp`, `received`, `tag`, `level`, `source`, `message`, `metadata`, and
    /// `"encoding":"lossy"` where bytes that are not UTF-8 were replaced.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut lossy = Lossy::default();
        out.extend_from_slice(b"{\"id\":\"");
        self.id().write_hex(out);
        out.extend_from_slice(b"\",\"seq\":\"");
        out.extend_from_slice(self.seq().to_string().as_bytes());
        out.extend_from_slice(b"\",\"timestamp\":\"");
        self.timestamp().write_rfc3339(out);
        out.extend_from_slice(b"\",\"received\":\"");
        self.received().write_rfc3339(out);
        out.extend_from_slice(b"\",\"tag\":");
        json::write_string(out, self.tag());
        out.extend_from_slice(b",\"level\":");
        match self.level() {
            Some(level) => json::write_string(out, level.as_str()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"source\":");
        self.write_source(out, &mut lossy);
        out.extend_from_slice(b",\"message\":");
        match self.message_bytes() {
            Some(text) => json::write_text(out, text, &mut lossy),
            None => json::write_string(out, &self.message_text(&mut lossy)),
        }
        out.extend_from_slice(b",\"metadata\":");
        let start = out.len();
        let metadata = self.record().and_then(|record| record.metadata().ok());
        if metadata.is_none_or(|metadata| metadata.write_json(out, &mut lossy).is_err()) {
            out.truncate(start);
            out.extend_from_slice(b"{}");
        }
        if lossy.0 {
            out.extend_from_slice(b",\"encoding\":\"lossy\"");
        }
        out.push(b'}');
    }

    fn write_source(&self, out: &mut Vec<u8>, lossy: &mut Lossy) {
        let index = &self.group.0.index;
        match index.flags[self.at].source() {
            Span::Absent => out.extend_from_slice(b"null"),
            Span::Text => json::write_text(out, self.bytes(index.sources[self.at]), lossy),
            Span::Value => {
                let text = Self::json_text(self.bytes(index.sources[self.at]), lossy);
                json::write_string(out, &text);
            }
        }
    }

    /// The owned form.
    pub fn to_log(&self) -> Log {
        Log {
            timestamp: self.timestamp(),
            received: self.received(),
            tag: self.row().tag.clone(),
            level: self.level(),
            message: self.message().into_owned(),
            source: self.source().map(Cow::into_owned),
            metadata: self
                .record()
                .and_then(|record| record.metadata().ok()?.to_map().ok())
                .unwrap_or_default(),
        }
    }
}

impl Event for LogRef<'_> {
    fn timestamp(&self) -> Timestamp {
        Timestamp::from_nanos(self.group.0.index.times[self.at])
    }

    fn received(&self) -> Timestamp {
        self.row().received
    }

    fn tag(&self) -> &str {
        &self.row().tag
    }

    fn level(&self) -> Option<Level> {
        self.group.0.index.flags[self.at].level()
    }

    fn message(&self) -> Cow<'_, str> {
        self.message_text(&mut Lossy::default())
    }

    fn source(&self) -> Option<Cow<'_, str>> {
        let index = &self.group.0.index;
        let bytes = self.bytes(index.sources[self.at]);
        match index.flags[self.at].source() {
            Span::Absent => None,
            Span::Text => Some(String::from_utf8_lossy(bytes)),
            Span::Value => Some(Self::json_text(bytes, &mut Lossy::default()).into()),
        }
    }

    fn visit_metadata(&self, path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        let metadata = self.record().and_then(|record| record.metadata().ok());
        metadata.is_some_and(|metadata| metadata.visit(path, visit))
    }

    fn each_metadata(&self, show: &mut dyn FnMut(&[u8], Scalar<'_>)) -> bool {
        if let Some(metadata) = self.record().and_then(|record| record.metadata().ok()) {
            metadata.each(show);
        }
        true
    }
}

impl fmt::Debug for LogRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut json = Vec::new();
        self.write_json(&mut json);
        f.write_str(&String::from_utf8_lossy(&json))
    }
}
