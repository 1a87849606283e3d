//! Shapes: records without their values.
//!
//! Records of one program are alike in all but their values. A shape is the bytes of a record with
//! each value taken out, so that a block holds keys once and the values of one key together. A shape
//! says which keys are level, message and source too, since that depends on the keys and on which
//! values are nil, and nil is never taken out.

use std::ops::Range;

use logmon_core::msgpack::{self, Cursor, Head};
use logmon_core::{Level, Parts, Scalar};

/// Maps are taken apart so deep; deeper ones are one value.
const MAX_DEPTH: usize = 4;

/// Begins a place in a pattern where something was taken out; no value of msgpack begins so. The
/// next byte says what it was.
pub(super) const PLACE: u8 = 0xc1;
/// A value that is neither array nor map.
pub(super) const SCALAR: u8 = 0;
/// An array, or a map below [`MAX_DEPTH`].
pub(super) const CONTAINER: u8 = 1;
/// The source, where it is a text in its shortest form: it stands in the dictionary.
pub(super) const SOURCE: u8 = 2;

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    /// Metadata at the path of its column.
    Metadata = 0,
    /// The level, which is metadata too if it says more than its name.
    Level = 1,
    /// The message or the source.
    Field = 2,
}

impl Role {
    pub(super) const fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Metadata,
            1 => Self::Level,
            2 => Self::Field,
            _ => return None,
        })
    }
}

/// Whether the text of a level is just its name.
pub(super) fn is_name(value: Scalar<'_>, level: Level) -> bool {
    matches!(value, Scalar::Str(text) if text.eq_ignore_ascii_case(level.as_str()))
}

/// A value that is neither array nor map, as [`Event::visit_metadata`] shows it.
#[inline]
pub(super) fn scalar_of(value: &[u8]) -> Scalar<'_> {
    let mut cursor = Cursor::new(value);
    match cursor.head() {
        Ok(Head::Bool(value)) => Scalar::Bool(value),
        Ok(Head::UInt(number)) => Scalar::Int(i128::from(number)),
        Ok(Head::Int(number)) => Scalar::Int(i128::from(number)),
        Ok(Head::Float(number)) => Scalar::Float(number),
        Ok(Head::Str(_) | Head::Bin(_)) => {
            let bytes = cursor.rest();
            std::str::from_utf8(bytes).map_or(Scalar::Bytes(bytes), Scalar::Str)
        }
        Ok(Head::Ext(kind, _)) => {
            let data = cursor.rest();
            msgpack::ext_time(kind, data).map_or(Scalar::Bytes(data), Scalar::Time)
        }
        Ok(Head::Nil | Head::Array(_) | Head::Map(_)) | Err(_) => Scalar::Nil,
    }
}

/// A value that was taken out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    /// Where it stands in the record.
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Takes a record apart.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// The record with places instead of values.
    pub(super) pattern: Vec<u8>,
    /// The values, without the message where it was cut.
    pub(super) leaves: Vec<Leaf>,
    /// Whether the message was taken out.
    pub(super) has_message: bool,
}

impl Cutter {
    /// Takes `parts.record` apart; `false` if it does not read, which an index has ruled out.
    #[inline]
    pub(super) fn cut(&mut self, parts: &Parts<'_>) -> bool {
        self.pattern.clear();
        self.leaves.clear();
        self.has_message = false;
        let mut cursor = Cursor::new(parts.record);
        self.value(&mut cursor, parts, 0).is_some() && cursor.is_at_end()
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, parts: &Parts<'_>, depth: usize) -> Option<()> {
        let start = cursor.position();
        let first = *parts.record.get(start)?;
        match first {
            0xc0 => {
                cursor.head().ok()?;
                self.pattern.push(first);
            }
            0x80..=0x8f | 0xde | 0xdf if depth < MAX_DEPTH => self.map(cursor, parts, depth)?,
            0x80..=0x9f | 0xdc..=0xdf => {
                cursor.skip().ok()?;
                self.leaf(start..cursor.position(), CONTAINER);
            }
            _ => {
                cursor.skip().ok()?;
                let end = cursor.position();
                if ends_with(parts.message.as_ref(), start, end) {
                    self.pattern.extend_from_slice(&[PLACE, text_marker(first)]);
                    self.has_message = true;
                } else if depth == 1 && is_source(parts, start, end) {
                    self.pattern.extend_from_slice(&[PLACE, SOURCE]);
                } else {
                    self.leaf(start..end, SCALAR);
                }
            }
        }
        Some(())
    }

    fn map(&mut self, cursor: &mut Cursor<'_>, parts: &Parts<'_>, depth: usize) -> Option<()> {
        let start = cursor.position();
        let Ok(Head::Map(pairs)) = cursor.head() else { return None };
        self.pattern.extend_from_slice(parts.record.get(start..cursor.position())?);
        for _ in 0..pairs {
            let key_at = cursor.position();
            cursor.skip().ok()?;
            self.pattern.extend_from_slice(parts.record.get(key_at..cursor.position())?);
            self.value(cursor, parts, depth + 1)?;
        }
        Some(())
    }

    #[inline]
    fn leaf(&mut self, range: Range<usize>, kind: u8) {
        // Records are bounded far below 4 GiB.
        let at = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.pattern.extend_from_slice(&[PLACE, kind]);
        self.leaves.push(Leaf { start: at(range.start), end: at(range.end) });
    }
}

/// Whether the payload of the text from `start` to `end` is `range`.
fn ends_with(range: Option<&Range<usize>>, start: usize, end: usize) -> bool {
    range.is_some_and(|range| range.end == end && range.start > start && range.start - start <= 5)
}

/// Whether the value from `start` to `end` is the source, written as it would be written anew.
fn is_source(parts: &Parts<'_>, start: usize, end: usize) -> bool {
    ends_with(parts.source.as_ref(), start, end)
        && parts.record.get(start..end).is_some_and(|value| {
            let header = match value.len() {
                0..33 => 1,
                33..258 => 2,
                _ => return false, // such sources are rare
            };
            let first = if header == 1 { 0xa0..=0xbf } else { 0xd9..=0xd9 };
            let text = value.get(header..).unwrap_or_default();
            value.first().is_some_and(|byte| first.contains(byte))
                && (header == 1 || text.len() >= 32)
                && str::from_utf8(text).is_ok()
        })
}

/// The first byte of a text's header, without the length that some have in it.
const fn text_marker(first: u8) -> u8 {
    if first & 0xe0 == 0xa0 { 0xa0 } else { first }
}

/// Appends the header of a text of `len` bytes that begins with `marker`.
pub(super) fn put_text_header(out: &mut Vec<u8>, marker: u8, len: usize) -> Option<()> {
    match marker {
        0xa0 if len < 32 => out.push(0xa0 | u8::try_from(len).ok()?),
        0xc4 | 0xd9 => out.extend_from_slice(&[marker, u8::try_from(len).ok()?]),
        0xc5 | 0xda => {
            out.push(marker);
            out.extend_from_slice(&u16::try_from(len).ok()?.to_be_bytes());
        }
        0xc6 | 0xdb => {
            out.push(marker);
            out.extend_from_slice(&u32::try_from(len).ok()?.to_be_bytes());
        }
        _ => return None,
    }
    Some(())
}

/// Something in a pattern, in the order of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// Bytes of the record as they are.
    Bytes(&'a [u8]),
    /// The message, with a header that begins with this byte.
    Message(u8),
    /// The source, from the dictionary.
    Source,
    /// A value of this kind.
    Value(u8),
    /// A key: bytes as they are, with the depth of its map (1 at the top).
    Key(&'a [u8], usize),
    /// A map has ended.
    End,
}

/// Shows what is in a pattern; `None` where it is none.
pub(super) fn walk<'a>(pattern: &'a [u8], each: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    let rest = walk_value(pattern, 0, each)?;
    rest.is_empty().then_some(())
}

fn walk_value<'a>(
    pattern: &'a [u8],
    depth: usize,
    each: &mut dyn FnMut(Item<'a>),
) -> Option<&'a [u8]> {
    match pattern {
        [PLACE, kind @ (SCALAR | CONTAINER), rest @ ..] => {
            each(Item::Value(*kind));
            Some(rest)
        }
        [PLACE, SOURCE, rest @ ..] => {
            each(Item::Source);
            Some(rest)
        }
        [PLACE, marker, rest @ ..] => {
            each(Item::Message(*marker));
            Some(rest)
        }
        [0xc0, rest @ ..] => {
            each(Item::Bytes(pattern.get(..1)?));
            Some(rest)
        }
        _ if depth >= MAX_DEPTH => None,
        _ => {
            let mut cursor = Cursor::new(pattern);
            let Ok(Head::Map(pairs)) = cursor.head() else { return None };
            let (head, mut rest) = pattern.split_at_checked(cursor.position())?;
            each(Item::Bytes(head));
            for _ in 0..pairs {
                let mut cursor = Cursor::new(rest);
                cursor.skip().ok()?;
                let (key, after) = rest.split_at_checked(cursor.position())?;
                each(Item::Key(key, depth + 1));
                rest = walk_value(after, depth + 1, each)?;
            }
            each(Item::End);
            Some(rest)
        }
    }
}
