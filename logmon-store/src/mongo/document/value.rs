//! msgpack values as BSON values.

use logmon_core::LogRef;
use logmon_core::msgpack::{self, Cursor, Head};

use super::convert::Style;
use super::key;
use super::write::{end, put_binary, put_index};
use super::{MSGPACK_SUBTYPE, split};

/// Documents nest up to 100 deep; the metadata is in one already, and this leaves some room for
/// what queries put around them.
const MAX_NESTING: usize = 90;

/// Of maps with up to so many keys each is compared with each.
const FEW: usize = 16;

/// The first half of an integer as a decimal number of 128 bits: no exponent.
pub(super) const DECIMAL_INTEGER: u64 = 0x3040_0000_0000_0000;

const NULL: u8 = 0x0a;
const BINARY: u8 = 0x05;
const DOCUMENT: u8 = 0x03;

/// Writes values.
pub(super) struct Values<'s> {
    style: Style<'s>,
    /// Where the value stands, if that matters.
    path: String,
    /// Something is told in a way that queries do not see.
    pub(super) is_opaque: bool,
    /// Something nests deeper than documents do.
    pub(super) is_deep: bool,
}

impl<'s> Values<'s> {
    pub(super) const fn new(style: Style<'s>) -> Self {
        Self { style, path: String::new(), is_opaque: false, is_deep: false }
    }

    /// Appends the metadata of an event; gives the type of what was written.
    pub(super) fn metadata(&mut self, out: &mut Vec<u8>, log: &LogRef<'_>) -> u8 {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut are_keys_text = true;
        log.each_pair(&mut |key, value| match str::from_utf8(key) {
            Ok(key) => self.element(out, key, value, MAX_NESTING),
            Err(_) => are_keys_text = false,
        });
        if are_keys_text {
            end(out, start);
            return DOCUMENT;
        }
        // A key that is not text: all of it in the form that can say it.
        let (mut pairs, mut map) = (0_u32, Vec::new());
        log.each_pair(&mut |key, value| {
            pairs += 1;
            put_msgpack_text(&mut map, key);
            map.extend_from_slice(value);
        });
        let mut whole = Vec::with_capacity(map.len() + 5);
        msgpack::write_map_len(&mut whole, pairs);
        whole.append(&mut map);
        out.truncate(start);
        self.packed(out, &whole)
    }

    fn element(&mut self, out: &mut Vec<u8>, key: &str, value: &[u8], depth: usize) {
        let kind_at = out.len();
        out.push(0);
        key::put(out, key, self.style.keys);
        let kind = if self.style.converts() {
            self.value_at(out, key, (value, depth))
        } else {
            self.value(out, value, depth)
        };
        if let Some(place) = out.get_mut(kind_at) {
            *place = kind;
        }
    }

    /// Appends the value of a key, as another type where that is asked for; gives its type.
    fn value_at(&mut self, out: &mut Vec<u8>, key: &str, (value, depth): (&[u8], usize)) -> u8 {
        let above = self.path.len();
        if above > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let converted = self.style.convert(out, &self.path, value);
        let kind = converted.unwrap_or_else(|| self.value(out, value, depth));
        self.path.truncate(above);
        kind
    }

    /// Appends one value; gives its type.
    fn value(&mut self, out: &mut Vec<u8>, value: &[u8], depth: usize) -> u8 {
        let mut cursor = Cursor::new(value);
        // Checked when the event was taken in.
        let Ok(head) = cursor.head() else { return NULL };
        match head {
            Head::Nil => NULL,
            Head::Bool(value) => {
                out.push(value.into());
                0x08
            }
            Head::Int(number) => put_int(out, number),
            Head::UInt(number) => match i64::try_from(number) {
                Ok(number) => put_int(out, number),
                Err(_) => {
                    out.extend_from_slice(&number.to_le_bytes());
                    out.extend_from_slice(&DECIMAL_INTEGER.to_le_bytes());
                    0x13
                }
            },
            Head::Float(number) => {
                out.extend_from_slice(&number.to_le_bytes());
                0x01
            }
            Head::Str(len) => match cursor.take(len).map(str::from_utf8) {
                Ok(Ok(text)) => {
                    put_text(out, text.as_bytes());
                    0x02
                }
                _ => self.packed(out, value),
            },
            Head::Bin(len) => {
                put_binary(out, 0, cursor.take(len).unwrap_or_default());
                BINARY
            }
            Head::Ext(kind, len) => {
                let data = cursor.take(len).unwrap_or_default();
                match msgpack::ext_time(kind, data).map(split) {
                    Some((millis, 0)) => {
                        out.extend_from_slice(&millis.to_le_bytes());
                        0x09
                    }
                    _ => self.packed(out, value),
                }
            }
            Head::Array(_) | Head::Map(_) if depth == 0 => {
                self.is_deep = true;
                self.packed(out, value)
            }
            Head::Array(len) => self.array(out, (cursor, len), depth - 1),
            Head::Map(len) => self.map(out, (cursor, len), (value, depth - 1)),
        }
    }

    fn array(
        &mut self,
        out: &mut Vec<u8>,
        (mut items, len): (Cursor<'_>, u32),
        depth: usize,
    ) -> u8 {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        for at in 0..len {
            let Ok(item) = items.value() else { break };
            self.is_opaque |= matches!(Cursor::new(item).head(), Ok(Head::Array(_)));
            let kind_at = out.len();
            out.push(0);
            put_index(out, at as usize);
            let kind = self.value(out, item, depth);
            if let Some(place) = out.get_mut(kind_at) {
                *place = kind;
            }
        }
        end(out, start);
        0x04
    }

    fn map(
        &mut self,
        out: &mut Vec<u8>,
        (mut pairs, len): (Cursor<'_>, u32),
        (value, depth): (&[u8], usize),
    ) -> u8 {
        let (start, was_opaque) = (out.len(), self.is_opaque);
        out.extend_from_slice(&[0; 4]);
        let mut known = [""; FEW];
        let mut is_plain = len as usize <= FEW;
        for at in 0..len as usize {
            let Some(key) = plain_key(&mut pairs).filter(|_| is_plain) else {
                is_plain = false;
                break;
            };
            let before = known.get(..at).unwrap_or_default();
            let Ok(item) = pairs.value() else { break };
            if before.contains(&key) {
                is_plain = false;
                break;
            }
            if let Some(place) = known.get_mut(at) {
                *place = key;
            }
            self.element(out, key, item, depth);
        }
        if !is_plain {
            out.truncate(start);
            self.is_opaque = was_opaque;
            return self.odd_map(out, value, depth);
        }
        end(out, start);
        DOCUMENT
    }

    /// A map that is large, or has equal keys or keys that are no text.
    fn odd_map(&mut self, out: &mut Vec<u8>, value: &[u8], depth: usize) -> u8 {
        let Ok(pairs) = msgpack::pairs(value) else { return NULL };
        if pairs.iter().any(|(key, _)| str::from_utf8(key).is_err()) {
            return self.packed(out, value);
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        for (key, item) in pairs {
            self.element(out, str::from_utf8(&key).unwrap_or_default(), item, depth);
        }
        end(out, start);
        DOCUMENT
    }

    /// Appends a value as the bytes it has.
    fn packed(&mut self, out: &mut Vec<u8>, value: &[u8]) -> u8 {
        self.is_opaque = true;
        put_binary(out, MSGPACK_SUBTYPE, value);
        BINARY
    }
}

/// A key that is text, at the cursor.
fn plain_key<'k>(pairs: &mut Cursor<'k>) -> Option<&'k str> {
    match pairs.head() {
        Ok(Head::Str(len) | Head::Bin(len)) => str::from_utf8(pairs.take(len).ok()?).ok(),
        _ => None,
    }
}

fn put_int(out: &mut Vec<u8>, number: i64) -> u8 {
    match i32::try_from(number) {
        Ok(short) => {
            out.extend_from_slice(&short.to_le_bytes());
            0x10
        }
        Err(_) => {
            out.extend_from_slice(&number.to_le_bytes());
            0x12
        }
    }
}

/// Appends text with its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let len = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text);
    out.push(0);
}

/// A key of msgpack: text where it is, else bytes.
fn put_msgpack_text(out: &mut Vec<u8>, key: &[u8]) {
    match str::from_utf8(key) {
        Ok(key) => msgpack::write_str(out, key),
        Err(_) => msgpack::write_bin(out, key),
    }
}
