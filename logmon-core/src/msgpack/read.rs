//! The cursor.

use super::{MAX_DEPTH, MAX_ITEMS, MAX_SCAN_DEPTH};

/// A position in msgpack bytes that moves over whole headers, payloads and values.
///
/// On an error the position is unspecified; copy the cursor first to come back.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    data: &'a [u8],
    pos: usize,
}

/// The first part of a value: everything but the payload of strings, bytes and extensions and
/// the items of arrays and maps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the types of msgpack are closed")]
pub enum Head {
    /// `c0`.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer that is not negative.
    UInt(u64),
    /// A negative integer, or one written with a signed header.
    Int(i64),
    /// Either width of float.
    Float(f64),
    /// So many bytes of text follow (not checked to be UTF-8).
    Str(u32),
    /// So many bytes follow.
    Bin(u32),
    /// So many bytes of an extension of this type follow.
    Ext(i8, u32),
    /// So many values follow.
    Array(u32),
    /// So many pairs of values follow.
    Map(u32),
}

/// Where and why bytes are not (yet) a msgpack value within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct MsgpackError {
    /// Offset of the offending header from the start of the bytes.
    pub offset: usize,
    /// What is wrong.
    pub kind: MsgpackErrorKind,
}

/// What is wrong with msgpack bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MsgpackErrorKind {
    /// The bytes end before the value does.
    #[error("the value is cut off")]
    Truncated,
    /// The byte `c1`, which begins no value.
    #[error("reserved byte c1")]
    Reserved,
    /// Another type than the reader asked for.
    #[error("unexpected type")]
    Type,
    /// Deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More than [`MAX_ITEMS`] items in one value.
    #[error("more than {MAX_ITEMS} items in one value")]
    TooManyItems,
}

/// How many bytes a value takes, by its first byte; 0 where that does not tell.
const LENGTHS: [u8; 256] = lengths();

const fn lengths() -> [u8; 256] {
    let mut lengths = [0; 256];
    let mut first = 0u8;
    loop {
        lengths[first as usize] = match first {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => 1,
            0xa0..=0xbf => (first & 0x1f) + 1,
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 | 0xd4 => 3,
            0xd5 => 4,
            0xca | 0xce | 0xd2 => 5,
            0xd6 => 6,
            0xcb | 0xcf | 0xd3 => 9,
            0xd7 => 10,
            0xd8 => 18,
            _ => 0,
        };
        match first.checked_add(1) {
            Some(next) => first = next,
            None => return lengths,
        }
    }
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `data`.
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }

    /// A cursor at byte `pos` of `data`; behind the end it reads nothing.
    pub const fn at(data: &'a [u8], pos: usize) -> Self {
        Self { data, pos }
    }

    /// The offset of the next byte to be read.
    pub const fn position(&self) -> usize {
        self.pos
    }

    /// Whether everything has been read.
    pub const fn is_at_end(&self) -> bool {
        self.pos >= self.data.len()
    }

    /// The bytes not yet read.
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.pos..).unwrap_or_default()
    }

    /// Reads one header.
    #[inline]
    pub fn head(&mut self) -> Result<Head, MsgpackError> {
        let Some(&first) = self.data.get(self.pos) else {
            return Err(self.error(self.pos, MsgpackErrorKind::Truncated));
        };
        let at = self.pos;
        self.pos += 1;
        Ok(match first {
            0x00..=0x7f => Head::UInt(u64::from(first)),
            0x80..=0x8f => Head::Map(u32::from(first & 0x0f)),
            0x90..=0x9f => Head::Array(u32::from(first & 0x0f)),
            0xa0..=0xbf => Head::Str(u32::from(first & 0x1f)),
            0xe0..=0xff => Head::Int(i64::from(first.cast_signed())),
            0xc1 => return Err(self.error(at, MsgpackErrorKind::Reserved)),
            _ => return self.wide_head(first, at),
        })
    }

    /// The headers `c0` to `df`, which carry up to eight more bytes.
    fn wide_head(&mut self, first: u8, at: usize) -> Result<Head, MsgpackError> {
        let u8_ = |c: &mut Self| c.bytes_of::<1>(at).map(|b| u32::from(b[0]));
        let u16_ = |c: &mut Self| c.bytes_of::<2>(at).map(|b| u32::from(u16::from_be_bytes(b)));
        let u32_ = |c: &mut Self| c.bytes_of::<4>(at).map(u32::from_be_bytes);
        let ext = |c: &mut Self, len: u32| {
            c.bytes_of::<1>(at).map(|kind| Head::Ext(kind[0].cast_signed(), len))
        };
        Ok(match first {
            0xc0 => Head::Nil,
            0xc2 | 0xc3 => Head::Bool(first == 0xc3),
            0xc4 => Head::Bin(u8_(self)?),
            0xc5 => Head::Bin(u16_(self)?),
            0xc6 => Head::Bin(u32_(self)?),
            0xc7 => {
                let len = u8_(self)?;
                ext(self, len)?
            }
            0xc8 => {
                let len = u16_(self)?;
                ext(self, len)?
            }
            0xc9 => {
                let len = u32_(self)?;
                ext(self, len)?
            }
            0xca => Head::Float(f64::from(f32::from_be_bytes(self.bytes_of(at)?))),
            0xcb => Head::Float(f64::from_be_bytes(self.bytes_of(at)?)),
            0xcc => Head::UInt(u64::from(u8_(self)?)),
            0xcd => Head::UInt(u64::from(u16_(self)?)),
            0xce => Head::UInt(u64::from(u32_(self)?)),
            0xcf => Head::UInt(u64::from_be_bytes(self.bytes_of(at)?)),
            0xd0 => Head::Int(i64::from(i8::from_be_bytes(self.bytes_of(at)?))),
            0xd1 => Head::Int(i64::from(i16::from_be_bytes(self.bytes_of(at)?))),
            0xd2 => Head::Int(i64::from(i32::from_be_bytes(self.bytes_of(at)?))),
            0xd3 => Head::Int(i64::from_be_bytes(self.bytes_of(at)?)),
            0xd4..=0xd8 => ext(self, 1 << (first - 0xd4))?,
            0xd9 => Head::Str(u8_(self)?),
            0xda => Head::Str(u16_(self)?),
            0xdb => Head::Str(u32_(self)?),
            0xdc => Head::Array(u16_(self)?),
            0xdd => Head::Array(u32_(self)?),
            0xde => Head::Map(u16_(self)?),
            0xdf => Head::Map(u32_(self)?),
            _ => return Err(self.error(at, MsgpackErrorKind::Reserved)),
        })
    }

    /// Takes the `len` bytes of a payload whose header has been read.
    #[inline]
    pub fn take(&mut self, len: u32) -> Result<&'a [u8], MsgpackError> {
        let end = self.pos.checked_add(len as usize);
        let Some(bytes) = end.and_then(|end| self.data.get(self.pos..end)) else {
            return Err(self.error(self.pos, MsgpackErrorKind::Truncated));
        };
        self.pos += len as usize;
        Ok(bytes)
    }

    /// Passes over one whole value whose first byte tells how long it is, or short text; `false`
    /// where the value is of another kind or not whole.
    #[inline]
    fn skip_short(&mut self) -> bool {
        let Some(rest) = self.data.get(self.pos..) else { return false };
        let len = match rest {
            [0xd9, len, ..] => 2 + usize::from(*len),
            [first, ..] => usize::from(LENGTHS[usize::from(*first)]),
            [] => 0,
        };
        let is_whole = len != 0 && len <= rest.len();
        self.pos += if is_whole { len } else { 0 };
        is_whole
    }

    /// Takes the text here if it is shorter than 32 bytes, as nearly all keys are.
    #[inline]
    pub(crate) fn take_short_str(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.data.get(self.pos..)?.split_first()?;
        let text = (first & 0xe0 == 0xa0).then(|| rest.get(..usize::from(first & 0x1f)))??;
        self.pos += 1 + text.len();
        Some(text)
    }

    /// Passes over one whole value.
    #[inline]
    pub fn skip(&mut self) -> Result<(), MsgpackError> {
        self.skip_inside(0)
    }

    /// Passes over one whole value that stands inside `depth` arrays and maps, which count towards
    /// [`MAX_DEPTH`].
    #[inline]
    pub fn skip_inside(&mut self, depth: usize) -> Result<(), MsgpackError> {
        if self.skip_short() {
            return Ok(());
        }
        match self.head()? {
            Head::Str(len) | Head::Bin(len) | Head::Ext(_, len) => self.take(len).map(drop),
            Head::Array(items) => self.skip_items(u64::from(items), depth + 1),
            Head::Map(pairs) => self.skip_items(u64::from(pairs) * 2, depth + 1),
            _ => Ok(()),
        }
    }

    /// Passes over one whole value and gives its bytes.
    #[inline]
    pub fn value(&mut self) -> Result<&'a [u8], MsgpackError> {
        let start = self.pos;
        self.skip()?;
        Ok(self.data.get(start..self.pos).unwrap_or_default())
    }

    /// Passes over the `items` values of a container that is the `level`-th from the outside and
    /// whose header has been read. Iterative: the counts still to come are kept per level.
    fn skip_items(&mut self, items: u64, level: usize) -> Result<(), MsgpackError> {
        if level > MAX_DEPTH {
            return Err(self.error(self.pos, MsgpackErrorKind::TooDeep));
        }
        if items == 0 {
            return Ok(());
        }
        let mut levels = [0u32; MAX_DEPTH];
        let mut depth = 0;
        let mut left = MAX_ITEMS;
        let mut remaining = self.admit(items, &mut left)?;
        loop {
            while remaining == 0 {
                if depth == 0 {
                    return Ok(());
                }
                depth -= 1;
                remaining = levels[depth];
            }
            remaining -= 1;
            if self.skip_short() {
                continue;
            }
            let at = self.pos;
            let inner = match self.head()? {
                Head::Str(len) | Head::Bin(len) | Head::Ext(_, len) => {
                    self.take(len)?;
                    continue;
                }
                Head::Array(items) => u64::from(items),
                Head::Map(pairs) => u64::from(pairs) * 2,
                _ => continue,
            };
            if level + depth == MAX_DEPTH {
                return Err(self.error(at, MsgpackErrorKind::TooDeep));
            }
            levels[depth] = remaining;
            depth += 1;
            remaining = self.admit(inner, &mut left)?;
        }
    }

    /// Passes over one whole value of any depth up to [`MAX_SCAN_DEPTH`], to find the end of one
    /// that is refused.
    pub fn skip_deep(&mut self) -> Result<(), MsgpackError> {
        let mut levels: Vec<u64> = vec![1];
        while let Some(remaining) = levels.last_mut() {
            if *remaining == 0 {
                levels.pop();
                continue;
            }
            *remaining -= 1;
            let at = self.pos;
            match self.head()? {
                Head::Str(len) | Head::Bin(len) | Head::Ext(_, len) => drop(self.take(len)?),
                Head::Array(items) => levels.push(u64::from(items)),
                Head::Map(pairs) => levels.push(u64::from(pairs) * 2),
                _ => {}
            }
            if levels.len() > MAX_SCAN_DEPTH {
                return Err(self.error(at, MsgpackErrorKind::TooDeep));
            }
        }
        Ok(())
    }

    /// Takes `items` from the allowance `left`. A count beyond the bytes that are left is refused
    /// at once, each item being at least a byte.
    fn admit(&self, items: u64, left: &mut u64) -> Result<u32, MsgpackError> {
        if items > self.data.len().saturating_sub(self.pos) as u64 {
            return Err(self.error(self.pos, MsgpackErrorKind::Truncated));
        }
        *left = left
            .checked_sub(items)
            .ok_or_else(|| self.error(self.pos, MsgpackErrorKind::TooManyItems))?;
        u32::try_from(items).map_err(|_| self.error(self.pos, MsgpackErrorKind::TooManyItems))
    }

    #[inline]
    fn bytes_of<const N: usize>(&mut self, at: usize) -> Result<[u8; N], MsgpackError> {
        let rest = self.data.get(self.pos..).unwrap_or_default();
        let Some(bytes) = rest.first_chunk::<N>() else {
            return Err(self.error(at, MsgpackErrorKind::Truncated));
        };
        self.pos += N;
        Ok(*bytes)
    }

    #[cold]
    const fn error(&self, offset: usize, kind: MsgpackErrorKind) -> MsgpackError {
        let _ = self;
        MsgpackError { offset, kind }
    }
}
