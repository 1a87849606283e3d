//! What Fluent Bit says of a group of events, attached to each of them.
//!
//! Fluent Bit encloses the events of one resource of OpenTelemetry in two entries whose times are
//! out of this world: `ffffffff` begins a group and carries its metadata and body, `fffffffe` ends
//! it.

use logmon_core::msgpack::{Cursor, Head, write_map_len, write_str};

/// The longest attributes that are attached; they are copied into every event.
const MAX_BYTES: usize = 16 << 10;

/// The metadata and the body of a group.
#[derive(Debug)]
pub(super) struct Attributes {
    /// The key and the map for it.
    pair: Vec<u8>,
}

impl Attributes {
    /// Reads a marker; none where it ends a group.
    pub(super) fn read(key: &str, marker: &[u8]) -> Option<Self> {
        let (header, body) = parts(marker)?;
        let (time, metadata) = header_parts(header)?;
        if time.ends_with(&[0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0]) {
            return None;
        }
        let mut pair = Vec::new();
        write_str(&mut pair, key);
        write_map_len(&mut pair, 2);
        write_str(&mut pair, "metadata");
        pair.extend_from_slice(metadata.unwrap_or(&[0x80]));
        write_str(&mut pair, "body");
        pair.extend_from_slice(body);
        Some(Self { pair })
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.pair.len() > MAX_BYTES
    }

    /// Appends an entry with the attributes beside its own metadata, or beside `metadata` where it
    /// has none. What is no entry is appended as it is.
    pub(super) fn append_entry(&self, out: &mut Vec<u8>, entry: &[u8], metadata: Option<&[u8]>) {
        if self.try_append(out, entry, metadata).is_none() {
            out.extend_from_slice(entry);
        }
    }

    fn try_append(&self, out: &mut Vec<u8>, entry: &[u8], metadata: Option<&[u8]>) -> Option<()> {
        let (header, rest) = parts(entry)?;
        let (time, own) = header_parts(header)?;
        let metadata = own.or(metadata).unwrap_or(&[0x80]);
        let mut cursor = Cursor::new(metadata);
        let pairs = match cursor.head() {
            Ok(Head::Map(pairs)) => pairs.checked_add(1)?,
            Ok(Head::Nil) => 1,
            _ => return None,
        };
        out.extend_from_slice(&[0x92, 0x92]);
        out.extend_from_slice(time);
        write_map_len(out, pairs);
        out.extend_from_slice(cursor.rest());
        out.extend_from_slice(&self.pair);
        out.extend_from_slice(rest);
        Some(())
    }
}

/// The header of an entry of two elements, and its record.
fn parts(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(entry);
    let Ok(Head::Array(2..)) = cursor.head() else { return None };
    Some((cursor.value().ok()?, cursor.value().ok()?))
}

/// The time in a header, and the metadata where there is some.
fn header_parts(header: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut cursor = Cursor::new(header);
    match cursor.head() {
        Ok(Head::Array(1)) => Some((cursor.value().ok()?, None)),
        Ok(Head::Array(2..)) => Some((cursor.value().ok()?, Some(cursor.value().ok()?))),
        _ => Some((header, None)),
    }
}
