//! Documents as events.

use bytes::Bytes;
use logmon_core::msgpack::{self, Cursor};
use logmon_core::{
    Entries, EventId, Group, GroupBuilder, Level, NewBatch, Reading, Tag, Timestamp,
};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawArray, RawBinaryRef, RawBsonRef, RawDocument};

use super::key::unescaped;
use super::value::DECIMAL_INTEGER;
use super::{MSGPACK_SUBTYPE, NANOS_PER_MILLI};

/// A document that is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document {id} cannot be read as an event: {what}")]
pub(in crate::mongo) struct Unreadable {
    id: String,
    what: String,
}

/// What is known of an event from its document.
#[derive(Debug)]
pub(in crate::mongo) struct Stored {
    id: EventId,
    seq: u64,
    received: Timestamp,
    tag: Tag,
    entry: Vec<u8>,
}

/// What a document has, key by key.
#[derive(Default)]
struct Parts<'d> {
    id: Option<RawBsonRef<'d>>,
    seq: Option<i64>,
    timestamp: Option<i64>,
    timestamp_rest: i64,
    received: Option<i64>,
    received_rest: i64,
    tag: Option<&'d str>,
    level: Option<RawBsonRef<'d>>,
    message: Option<RawBsonRef<'d>>,
    message_bytes: Option<&'d [u8]>,
    source: Option<RawBsonRef<'d>>,
    source_bytes: Option<&'d [u8]>,
    metadata: Option<RawBsonRef<'d>>,
    /// Those of other writers.
    others: Vec<(&'d str, RawBsonRef<'d>)>,
}

impl Stored {
    /// Reads a document, one of logmon's or one that another writer has put beside them.
    ///
    /// # Errors
    /// It has no date `timestamp`, or is no document.
    pub(in crate::mongo) fn read(document: &RawDocument) -> Result<Self, Unreadable> {
        let parts = Parts::read(document).map_err(|what| Unreadable { id: String::new(), what })?;
        let fault = |what: &str| Unreadable {
            id: parts.id.map_or_else(String::new, |id| format!("{id:?}")),
            what: what.to_owned(),
        };
        let id = match parts.id {
            Some(RawBsonRef::ObjectId(id)) => EventId::from_bytes(id.bytes()),
            _ => return Err(fault("its `_id` is no ObjectId")),
        };
        let instant = |millis: i64, rest: i64| {
            millis.checked_mul(NANOS_PER_MILLI)?.checked_add(rest).map(Timestamp::from_nanos)
        };
        let timestamp = parts.timestamp.and_then(|millis| instant(millis, parts.timestamp_rest));
        let timestamp = timestamp.ok_or_else(|| fault("it has no date `timestamp` in reach"))?;
        let received = parts.received.and_then(|millis| instant(millis, parts.received_rest));
        Ok(Self {
            id,
            seq: parts.seq.map_or(id.seq_low(), i64::cast_unsigned),
            received: received.unwrap_or(timestamp),
            tag: Tag::from(parts.tag.unwrap_or_default()),
            entry: parts.entry(timestamp),
        })
    }

    pub(in crate::mongo) const fn id(&self) -> EventId {
        self.id
    }

    /// Its number in the journal that took it in.
    pub(in crate::mongo) const fn seq(&self) -> u64 {
        self.seq
    }

    pub(in crate::mongo) const fn tag(&self) -> &Tag {
        &self.tag
    }

    pub(in crate::mongo) const fn received(&self) -> Timestamp {
        self.received
    }

    /// The event as a packed entry that the default field map reads.
    pub(in crate::mongo) fn entry(&self) -> &[u8] {
        &self.entry
    }

    pub(in crate::mongo) fn into_entry(self) -> Vec<u8> {
        self.entry
    }

    /// The same, if it is an event that can be read.
    ///
    /// # Errors
    /// It nests too deeply.
    pub(in crate::mongo) fn checked(self) -> Result<Self, Unreadable> {
        self.entries(Bytes::copy_from_slice(&self.entry))?;
        Ok(self)
    }

    /// The event, in a group of its own.
    ///
    /// # Errors
    /// It nests too deeply.
    pub(in crate::mongo) fn into_group(mut self) -> Result<Group, Unreadable> {
        let entry = std::mem::take(&mut self.entry);
        let entries = self.entries(entry.into())?;
        let batch = NewBatch::new(self.tag, entries);
        Ok(GroupBuilder::single(self.id.epoch(), &batch, self.seq))
    }

    fn entries(&self, entry: Bytes) -> Result<Entries, Unreadable> {
        let reading = Reading::new(<_>::default(), self.received);
        Entries::read(entry, &reading)
            .map_err(|error| Unreadable { id: self.id.to_string(), what: error.to_string() })
    }
}

impl<'d> Parts<'d> {
    fn read(document: &'d RawDocument) -> Result<Self, String> {
        let mut parts = Self::default();
        for element in document {
            let (key, value) = element.map_err(|error| error.to_string())?;
            let key = key.as_str();
            match (key, value) {
                ("_id", id) => parts.id = Some(id),
                ("seq", RawBsonRef::Int64(seq)) => parts.seq = Some(seq),
                ("timestamp", RawBsonRef::DateTime(date)) => {
                    parts.timestamp = Some(date.timestamp_millis());
                }
                ("timestampNs", RawBsonRef::Int32(rest)) => parts.timestamp_rest = rest.into(),
                ("createdAt", RawBsonRef::DateTime(date)) => {
                    parts.received = Some(date.timestamp_millis());
                }
                ("createdAtNs", RawBsonRef::Int32(rest)) => parts.received_rest = rest.into(),
                ("tag", RawBsonRef::String(tag)) => parts.tag = Some(tag),
                ("level", level) => parts.level = Some(level),
                ("message", message) => parts.message = Some(message),
                ("messageBytes", RawBsonRef::Binary(binary)) => {
                    parts.message_bytes = Some(binary.bytes);
                }
                ("sourceBytes", RawBsonRef::Binary(binary)) => {
                    parts.source_bytes = Some(binary.bytes);
                }
                ("source", source) => parts.source = Some(source),
                ("metadata", metadata) => parts.metadata = Some(metadata),
                ("opaque", RawBsonRef::Boolean(_)) | ("__v", RawBsonRef::Int32(_)) => {}
                (_, value) => parts.others.push((key, value)),
            }
        }
        Ok(parts)
    }

    /// A packed entry that the default field map reads as this event.
    fn entry(&self, timestamp: Timestamp) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        logmon_core::write_entry(&mut out, timestamp, |out| self.record(out));
        out
    }

    fn record(&self, out: &mut Vec<u8>) {
        let level = self.level.and_then(level_of);
        // What names no level is metadata, as it is anywhere else.
        let odd_level = self.level.filter(|_| level.is_none());
        let metadata = self.metadata.filter(|metadata| !is_empty(*metadata));
        let is_map = matches!(metadata, Some(RawBsonRef::Document(_)));
        let packed = metadata.and_then(packed_map);
        let others = self.others.len()
            + usize::from(odd_level.is_some())
            + usize::from(metadata.is_some() && !is_map && packed.is_none());
        let fields = 1
            + usize::from(level.is_some())
            + usize::from(self.source.is_some())
            + usize::from(is_map || packed.is_some() || others > 0);
        msgpack::write_map_len(out, u32::try_from(fields).unwrap_or(u32::MAX));
        if let Some(level) = level {
            msgpack::write_str(out, "level");
            msgpack::write_str(out, level.as_str());
        }
        msgpack::write_str(out, "message");
        match (self.message_bytes, self.message) {
            (Some(bytes), _) => msgpack::write_bin(out, bytes),
            (None, Some(message)) => put(out, message),
            (None, None) => msgpack::write_str(out, ""),
        }
        if let Some(source) = self.source {
            msgpack::write_str(out, "source");
            match self.source_bytes {
                Some(bytes) => msgpack::write_bin(out, bytes),
                None => put(out, source),
            }
        }
        match (metadata, packed) {
            (_, Some(packed)) if others == 0 => {
                msgpack::write_str(out, "metadata");
                out.extend_from_slice(packed);
            }
            (Some(RawBsonRef::Document(document)), _) if others == 0 => {
                msgpack::write_str(out, "metadata");
                put_map(out, document);
            }
            _ if others > 0 => {
                msgpack::write_str(out, "metadata");
                self.put_others(out, odd_level);
            }
            _ => {}
        }
    }

    /// The metadata of a document of another writer: that under the name, and all unknown keys.
    fn put_others(&self, out: &mut Vec<u8>, odd_level: Option<RawBsonRef<'d>>) {
        let (mut pairs, mut map) = (0_u32, Vec::new());
        let mut add = |key: &str, value: RawBsonRef<'_>| {
            pairs += 1;
            msgpack::write_str(&mut map, &unescaped(key));
            put(&mut map, value);
        };
        match self.metadata {
            Some(RawBsonRef::Document(document)) => {
                for (key, value) in document.iter().flatten() {
                    add(key.as_str(), value);
                }
            }
            Some(value) => add("metadata", value),
            None => {}
        }
        self.others.iter().for_each(|(key, value)| add(key, *value));
        odd_level.into_iter().for_each(|level| add("level", level));
        msgpack::write_map_len(out, pairs);
        out.append(&mut map);
    }
}

/// The level that a document names, in upper or lower case.
fn level_of(value: RawBsonRef<'_>) -> Option<Level> {
    let RawBsonRef::String(name) = value else { return None };
    level_named(name)
}

pub(in crate::mongo) fn level_named(name: &str) -> Option<Level> {
    Level::ALL.into_iter().find(|level| {
        name == level.as_str()
            || name.chars().eq(level.as_str().chars().map(|c| c.to_ascii_lowercase()))
    })
}

fn is_empty(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Document(document) => document.iter().next().is_none(),
        RawBsonRef::Null | RawBsonRef::Undefined => true,
        _ => false,
    }
}

/// The bytes of a map that was written as msgpack.
fn packed_map(value: RawBsonRef<'_>) -> Option<&[u8]> {
    let RawBsonRef::Binary(binary) = value else { return None };
    packed(binary).filter(|bytes| msgpack::pairs(bytes).is_ok())
}

/// The bytes of a value that was written as msgpack, if they are one.
fn packed(binary: RawBinaryRef<'_>) -> Option<&[u8]> {
    if binary.subtype != BinarySubtype::UserDefined(MSGPACK_SUBTYPE) {
        return None;
    }
    let mut cursor = Cursor::new(binary.bytes);
    (cursor.skip().is_ok() && cursor.is_at_end()).then_some(binary.bytes)
}

/// Appends a value. Documents nest as deeply as the server lets them, a few hundred levels.
fn put(out: &mut Vec<u8>, value: RawBsonRef<'_>) {
    match value {
        RawBsonRef::Double(number) => msgpack::write_float(out, number),
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) => msgpack::write_str(out, text),
        RawBsonRef::Document(document) => put_map(out, document),
        RawBsonRef::Array(array) => put_array(out, array),
        RawBsonRef::Boolean(value) => msgpack::write_bool(out, value),
        RawBsonRef::Null | RawBsonRef::Undefined => msgpack::write_nil(out),
        RawBsonRef::Int32(number) => msgpack::write_int(out, number.into()),
        RawBsonRef::Int64(number) => msgpack::write_int(out, number),
        RawBsonRef::Binary(binary) => match packed(binary) {
            Some(bytes) => out.extend_from_slice(bytes),
            None => msgpack::write_bin(out, binary.bytes),
        },
        RawBsonRef::DateTime(date) => match date.timestamp_millis().checked_mul(NANOS_PER_MILLI) {
            Some(nanos) => msgpack::write_event_time(out, Timestamp::from_nanos(nanos)),
            None => msgpack::write_int(out, date.timestamp_millis()),
        },
        RawBsonRef::Decimal128(decimal) => {
            let bytes = decimal.bytes();
            let (low, high) = bytes.split_at(8);
            let number = |half: &[u8]| half.try_into().map(u64::from_le_bytes).unwrap_or_default();
            if number(high) == DECIMAL_INTEGER {
                msgpack::write_uint(out, number(low));
            } else {
                msgpack::write_str(out, &decimal.to_string());
            }
        }
        RawBsonRef::ObjectId(id) => msgpack::write_str(out, &id.to_hex()),
        // Of other writers, and no values of logs.
        other => msgpack::write_str(out, &format!("{other:?}")),
    }
}

fn put_map(out: &mut Vec<u8>, document: &RawDocument) {
    let (mut pairs, mut map) = (0_u32, Vec::new());
    for (key, value) in document.iter().flatten() {
        pairs += 1;
        msgpack::write_str(&mut map, &unescaped(key.as_str()));
        put(&mut map, value);
    }
    msgpack::write_map_len(out, pairs);
    out.append(&mut map);
}

fn put_array(out: &mut Vec<u8>, array: &RawArray) {
    let (mut len, mut items) = (0_u32, Vec::new());
    for item in array.into_iter().flatten() {
        len += 1;
        put(&mut items, item);
    }
    msgpack::write_array_len(out, len);
    out.append(&mut items);
}
