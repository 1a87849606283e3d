//! Writing a BSON document (bsonspec.org, version 1.1) into a buffer.

use logmon_core::LogRef;

use super::value::{Values, put_text};

/// A document that is being written at the end of a buffer.
pub(in crate::mongo) struct Document<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> Document<'o> {
    pub(in crate::mongo) fn begin(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        Self { out, start }
    }

    /// Ends it; gives its length.
    pub(in crate::mongo) fn end(self) -> usize {
        end(self.out, self.start)
    }

    fn name(&mut self, kind: u8, name: &str) {
        self.out.push(kind);
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
    }

    pub(in crate::mongo) fn object_id(&mut self, name: &str, id: [u8; 12]) {
        self.name(0x07, name);
        self.out.extend_from_slice(&id);
    }

    pub(in crate::mongo) fn date(&mut self, name: &str, millis: i64) {
        self.name(0x09, name);
        self.out.extend_from_slice(&millis.to_le_bytes());
    }

    pub(in crate::mongo) fn int32(&mut self, name: &str, value: i32) {
        self.name(0x10, name);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(in crate::mongo) fn int64(&mut self, name: &str, value: i64) {
        self.name(0x12, name);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(in crate::mongo) fn boolean(&mut self, name: &str, value: bool) {
        self.name(0x08, name);
        self.out.push(value.into());
    }

    pub(in crate::mongo) fn text(&mut self, name: &str, text: &str) {
        self.name(0x02, name);
        put_text(self.out, text.as_bytes());
    }

    pub(in crate::mongo) fn binary(&mut self, name: &str, bytes: &[u8]) {
        self.name(0x05, name);
        put_binary(self.out, 0, bytes);
    }

    /// A document inside of this one, as bytes of BSON.
    pub(in crate::mongo) fn raw_document(&mut self, name: &str, bytes: &[u8]) {
        self.name(0x03, name);
        self.out.extend_from_slice(bytes);
    }

    /// Begins an array, of which each item is a document that `item` writes.
    pub(in crate::mongo) fn array(&mut self, name: &str) -> Array<'_> {
        self.name(0x04, name);
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        Array { out: self.out, start, len: 0 }
    }

    pub(super) fn metadata(&mut self, values: &mut Values<'_>, log: &LogRef<'_>) {
        self.name(0x03, "metadata");
        let (kind_at, start) = (self.out.len() - "metadata\0".len() - 1, self.out.len());
        let kind = values.metadata(self.out, log);
        debug_assert!(self.out.len() > start);
        if let Some(byte) = self.out.get_mut(kind_at) {
            *byte = kind;
        }
    }
}

/// An array of documents that is being written.
pub(in crate::mongo) struct Array<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    len: usize,
}

impl Array<'_> {
    /// Adds a document: its bytes.
    pub(in crate::mongo) fn push(&mut self, document: &[u8]) {
        self.out.push(0x03);
        put_index(self.out, self.len);
        self.out.extend_from_slice(document);
        self.len += 1;
    }

    pub(in crate::mongo) fn end(self) {
        end(self.out, self.start);
    }
}

/// Ends what began at `start` with room for its length; gives the length.
pub(super) fn end(out: &mut Vec<u8>, start: usize) -> usize {
    out.push(0);
    let len = out.len() - start;
    if let Some(place) = out.get_mut(start..start + 4) {
        // Longer ones are refused by whoever writes them.
        place.copy_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_le_bytes());
    }
    len
}

pub(super) fn put_binary(out: &mut Vec<u8>, subtype: u8, bytes: &[u8]) {
    let len = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.push(subtype);
    out.extend_from_slice(bytes);
}

/// The key of the `at`th item of an array.
pub(super) fn put_index(out: &mut Vec<u8>, at: usize) {
    let mut digits = [0; 20];
    let (mut left, mut start) = (at, digits.len());
    loop {
        start -= 1;
        if let Some(digit) = digits.get_mut(start) {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
    out.push(0);
}
