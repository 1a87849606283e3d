//! As much of msgpack as a handshake needs, read from bytes that may not all be there yet.

use logmon_core::msgpack::{Cursor, Head, MsgpackErrorKind};

use super::MAX_MESSAGE;

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not all there yet.
    Incomplete,
    /// It is of another type, claims to be longer than a handshake may be, or is no msgpack.
    Invalid,
}

/// Reads values one after the other. A length beyond [`MAX_MESSAGE`] is refused as soon as it is
/// claimed, so waiting for more bytes always comes to an end.
#[derive(Debug)]
pub(super) struct Reader<'a>(Cursor<'a>);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Cursor::new(bytes.get(..MAX_MESSAGE).unwrap_or(bytes)))
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.0.position()
    }

    fn head(&mut self) -> Result<Head, Fault> {
        let available = self.position() + self.0.rest().len();
        self.0.head().map_err(|error| match error.kind {
            MsgpackErrorKind::Truncated if available < MAX_MESSAGE => Fault::Incomplete,
            _ => Fault::Invalid,
        })
    }

    /// A str or bin; peers disagree about which of them a field is.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Fault> {
        match self.head()? {
            Head::Str(length) | Head::Bin(length) => self.take(length),
            _ => Err(Fault::Invalid),
        }
    }

    /// The same, or nothing: npm's `fluent-logger` sends nil for a user that is not configured.
    pub(super) fn text_or_nil(&mut self) -> Result<&'a [u8], Fault> {
        match self.head()? {
            Head::Str(length) | Head::Bin(length) => self.take(length),
            Head::Nil => Ok(b""),
            _ => Err(Fault::Invalid),
        }
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], Fault> {
        if length as usize > MAX_MESSAGE - self.position().min(MAX_MESSAGE) {
            return Err(Fault::Invalid);
        }
        self.0.take(length).map_err(|_| Fault::Incomplete)
    }

    pub(super) fn bool(&mut self) -> Result<bool, Fault> {
        match self.head()? {
            Head::Bool(value) => Ok(value),
            _ => Err(Fault::Invalid),
        }
    }

    /// The number of elements of an array.
    pub(super) fn array(&mut self) -> Result<u32, Fault> {
        match self.head()? {
            Head::Array(elements) => Ok(elements),
            _ => Err(Fault::Invalid),
        }
    }

    /// The number of pairs of a map.
    pub(super) fn map(&mut self) -> Result<u32, Fault> {
        match self.head()? {
            Head::Map(pairs) => Ok(pairs),
            _ => Err(Fault::Invalid),
        }
    }

    /// Passes over a value that holds no other values.
    pub(super) fn skip_flat(&mut self) -> Result<(), Fault> {
        match self.head()? {
            Head::Str(length) | Head::Bin(length) | Head::Ext(_, length) => {
                self.take(length).map(drop)
            }
            Head::Array(0) | Head::Map(0) => Ok(()),
            Head::Array(_) | Head::Map(_) => Err(Fault::Invalid),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_beyond_the_limit_are_refused_at_once() {
        for claim in [&b"\xc6\xff\xff\xff\xff"[..], b"\xdb\x00\x00\x10\x00", b"\xda\xff\xff"] {
            assert_eq!(Reader::new(claim).text(), Err(Fault::Invalid), "{claim:x?}");
        }
        assert_eq!(Reader::new(b"\xda\x0f\xfd").text(), Err(Fault::Incomplete));
    }

    #[test]
    fn what_is_cut_off_is_awaited() {
        for cut in [&b""[..], b"\xd9", b"\xd9\x02", b"\xd9\x02a"] {
            assert_eq!(Reader::new(cut).text(), Err(Fault::Incomplete), "{cut:x?}");
        }
        assert_eq!(Reader::new(b"\xd9\x02ab").text(), Ok(&b"ab"[..]));
        assert_eq!(Reader::new(b"\xc4\x02ab").text(), Ok(&b"ab"[..]));
        assert_eq!(Reader::new(b"\x07").text(), Err(Fault::Invalid));
    }
}
