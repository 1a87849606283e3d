//! Finds where a msgpack value ends, in as many pieces as it arrives.

use super::Reason;
use logmon_core::msgpack::MAX_SCAN_DEPTH;

/// How many elements of the outermost array are located: tag, entries or time, record or option,
/// option.
pub(super) const ELEMENTS: usize = 4;

/// The whole sizes of the values whose first byte tells it: numbers, nil, booleans, short strings
/// and the `fixext` family. Zero for all others.
const FIXED: [u8; 256] = fixed();

const fn fixed() -> [u8; 256] {
    let mut sizes = [0; 256];
    let mut first = 0u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
        let slot = &mut sizes[first as usize];
        *slot = match first {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 1,
            0xa0..=0xbf => 1 + (first & 0x1f),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb | 0xcf | 0xd3 => 9,
            0xd4..=0xd8 => 2 + (1 << (first - 0xd4)),
            _ => 0,
        };
        if first == u8::MAX {
            return sizes;
        }
        first += 1;
    }
}

/// A msgpack value on its way in.
///
/// Keeps a count of the values to come for each open container, so nesting costs memory of its
/// own and no stack, and remembers where it stopped, so no byte is looked at twice.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Offset of the next header from the start of the value; behind what has arrived where a
    /// payload is being jumped over.
    next: u64,
    /// Values still to come in the innermost open container.
    remaining: u64,
    /// The same for the containers around it.
    outer: Vec<u64>,
    shape: Shape,
}

/// Where the elements of the outermost array are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many elements the array has; zero if the value is no array.
    pub(super) elements: u32,
    /// The offsets of those of the first [`ELEMENTS`] that the scan has reached.
    pub(super) starts: [u64; ELEMENTS],
    /// How many of `starts` are known.
    pub(super) known: u8,
    /// The first byte of the second element.
    pub(super) second: u8,
}

impl Shape {
    /// Where element `at` begins, if it was reached.
    pub(super) fn start(&self, at: usize) -> Option<u64> {
        self.starts.get(at).copied().filter(|_| at < usize::from(self.known))
    }
}

impl Scanner {
    /// Scans on.
    ///
    /// `data` are bytes of the value from its offset `base` on, which the scan has not passed yet.
    /// Gives the length of the value, or `None` where it does not end in `data`.
    ///
    /// # Errors
    /// [`Reason::ReservedByte`] or [`Reason::NestingTooDeep`].
    pub(super) fn scan(&mut self, data: &[u8], base: u64) -> Result<Option<u64>, Reason> {
        if self.next == 0 {
            self.remaining = 1;
        } else if self.remaining == 0 {
            // Only the payload of the last value was missing.
            return Ok((self.next - base <= data.len() as u64).then_some(self.next));
        }
        let mut at = self.next - base;
        let end = loop {
            let Some(&first) = usize::try_from(at).ok().and_then(|at| data.get(at)) else {
                break None;
            };
            if self.outer.len() == 1 {
                self.note_element(base + at, first);
            }
            let size = FIXED.get(usize::from(first)).copied().unwrap_or(0);
            if size == 0 {
                let rest = usize::try_from(at).ok().and_then(|at| data.get(at..));
                let Some(head) = head(rest.unwrap_or_default())? else { break None };
                self.remaining -= 1;
                match head {
                    WideHead::Payload(len) => at += len,
                    WideHead::Items(items, len) => {
                        at += len;
                        self.open(items, first)?;
                    }
                }
            } else {
                self.remaining -= 1;
                at += u64::from(size);
            }
            if self.remaining == 0 && self.close() {
                break Some(base + at);
            }
        };
        self.next = base + at;
        Ok(end.filter(|end| end - base <= data.len() as u64))
    }

    /// How far the value is known to reach.
    pub(super) fn reach(&self) -> u64 {
        self.next
    }

    /// Where the elements are; final once the scan gave an end.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Prepares for the next value.
    pub(super) fn reset(&mut self) {
        self.next = 0;
        self.remaining = 0;
        self.outer.clear();
        self.outer.shrink_to(256);
        self.shape = Shape::default();
    }

    fn note_element(&mut self, at: u64, first: u8) {
        // A value that is no array has no elements.
        let element = u64::from(self.shape.elements).checked_sub(self.remaining);
        let Some(Ok(element)) = element.map(usize::try_from) else { return };
        let Some(slot) = self.shape.starts.get_mut(element) else { return };
        *slot = at;
        self.shape.known = u8::try_from(element + 1).unwrap_or(u8::MAX);
        if element == 1 {
            self.shape.second = first;
        }
    }

    fn open(&mut self, items: u64, first: u8) -> Result<(), Reason> {
        if self.outer.is_empty() && matches!(first, 0x90..=0x9f | 0xdc | 0xdd) {
            self.shape.elements = u32::try_from(items).unwrap_or(u32::MAX);
        }
        if self.outer.len() >= MAX_SCAN_DEPTH {
            return Err(Reason::NestingTooDeep);
        }
        self.outer.push(self.remaining);
        self.remaining = items;
        Ok(())
    }

    /// Leaves the containers that are complete; tells whether the outermost value is.
    fn close(&mut self) -> bool {
        while self.remaining == 0 {
            match self.outer.pop() {
                Some(remaining) => self.remaining = remaining,
                None => return true,
            }
        }
        false
    }
}

/// A header of more than one byte, or of a container.
enum WideHead {
    /// Length of header and payload.
    Payload(u64),
    /// Number of items, length of the header.
    Items(u64, u64),
}

/// Reads the header at the start of `data`; `None` where it is cut off.
fn head(data: &[u8]) -> Result<Option<WideHead>, Reason> {
    let Some((&first, rest)) = data.split_first() else { return Ok(None) };
    let be = |width: usize| {
        rest.get(..width).map(|bytes| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)))
    };
    let payload = |width: usize, extra: u64| {
        Ok(be(width).map(|len| WideHead::Payload(1 + width as u64 + extra + len)))
    };
    let items = |width: usize, each: u64| {
        Ok(be(width).map(|count| WideHead::Items(count * each, 1 + width as u64)))
    };
    match first {
        0x80..=0x8f => Ok(Some(WideHead::Items(u64::from(first & 0xf) * 2, 1))),
        0x90..=0x9f => Ok(Some(WideHead::Items(u64::from(first & 0xf), 1))),
        0xc4 | 0xd9 => payload(1, 0),
        0xc5 | 0xda => payload(2, 0),
        0xc6 | 0xdb => payload(4, 0),
        0xc7 => payload(1, 1),
        0xc8 => payload(2, 1),
        0xc9 => payload(4, 1),
        0xdc => items(2, 1),
        0xdd => items(4, 1),
        0xde => items(2, 2),
        0xdf => items(4, 2),
        _ => Err(Reason::ReservedByte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(bytes: &[u8], cuts: &[usize]) -> Result<Option<u64>, Reason> {
        let mut scanner = Scanner::default();
        for cut in cuts {
            if let Some(end) = scanner.scan(&bytes[..*cut], 0)? {
                return Ok(Some(end));
            }
        }
        scanner.scan(bytes, 0)
    }

    #[test]
    fn locates_the_elements() {
        let bytes = [0x93, 0xa1, b't', 0xc4, 2, 7, 7, 0x81, 0xa1, b'k', 0xc0];
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(&bytes, 0), Ok(Some(11)));
        let shape = *scanner.shape();
        assert_eq!((shape.elements, shape.known, shape.second), (3, 3, 0xc4));
        assert_eq!(shape.starts, [1, 3, 7, 0]);
    }

    #[test]
    fn waits_for_a_payload_at_the_very_end() {
        let bytes = [0x92, 0xa1, b't', 0xa3, 1, 2, 3];
        for cut in 0..bytes.len() {
            assert_eq!(ends(&bytes[..cut], &[]), Ok(None));
            assert_eq!(ends(&bytes, &[cut]), Ok(Some(7)));
        }
    }

    /// F-126, R-005, R-007: what a header declares costs nothing.
    #[test]
    fn declared_lengths_are_only_numbers() {
        for bytes in [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &[0xdf, 0xff, 0xff, 0xff, 0xff]] {
            let mut scanner = Scanner::default();
            assert_eq!(scanner.scan(bytes, 0), Ok(None));
            assert!(scanner.outer.capacity() < 16);
        }
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(&[0xc6, 0xff, 0xff, 0xff, 0xff], 0), Ok(None));
        assert_eq!(scanner.reach(), 5 + 0xffff_ffff);
    }

    /// F-127, R-008: a million arrays, one in the other.
    #[test]
    fn bounds_the_depth_without_recursion() {
        let bytes = vec![0x91; 1_000_000];
        assert_eq!(Scanner::default().scan(&bytes, 0), Err(Reason::NestingTooDeep));
        let mut deep = vec![0x91; 99_999];
        deep.push(0xc0);
        assert_eq!(Scanner::default().scan(&deep, 0), Ok(Some(100_000)));
    }

    ///
    #[test]
    fn refuses_the_reserved_byte() {
        assert_eq!(ends(&[0x92, 0xa1, b't', 0xc1], &[]), Err(Reason::ReservedByte));
    }

    proptest! {
        /// The end is the one that the cursor of the core finds, wherever the bytes are cut and
        /// also where scanned bytes are thrown away.
        #[test]
        fn agrees_with_the_cursor(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            cuts in prop::collection::vec(0usize..200, 0..5),
        ) {
            let mut cursor = logmon_core::msgpack::Cursor::new(&bytes);
            let expected = cursor.skip_deep().map(|()| cursor.position() as u64);
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
            cuts.sort_unstable();
            let found = ends(&bytes, &cuts);
            match expected {
                Ok(end) => prop_assert_eq!(found, Ok(Some(end))),
                Err(error) if error.kind == logmon_core::msgpack::MsgpackErrorKind::Truncated => {
                    prop_assert_eq!(found, Ok(None));
                }
                Err(_) => prop_assert!(found.is_err()),
            }
            let (mut scanner, mut base) = (Scanner::default(), 0u64);
            let mut forgetful = Ok(None);
            cuts.push(bytes.len());
            for cut in cuts {
                let from = usize::try_from(base).unwrap().min(cut);
                forgetful = scanner.scan(&bytes[from..cut], from as u64);
                if forgetful != Ok(None) {
                    break;
                }
                base = scanner.reach().min(cut as u64);
            }
            prop_assert_eq!(forgetful, found);
        }
    }
}
