//! A partition file: a header, and blocks one behind the other.
//!
//! The header is `LMPART` `01` `0a`; the store's number, the file's number, the number of the first
//! event that is in this file or a later one, the events in all files before, and when it was begun
//! (8 bytes each); and the CRC-32C of all that (4 bytes). Numbers are little-endian.

use logmon_core::Timestamp;

use crate::wire::{Fields, Put as _};

const NAME: &[u8; 6] = b"LMPART";
const VERSION: u8 = 1;
/// The bytes of a header.
pub(super) const HEADER_BYTES: usize = 8 + 5 * 8 + 4;

/// The name of a partition's file.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.blk")
}

/// The name of the index of a partition.
pub(super) fn index_name(number: u64) -> String {
    format!("{number:016x}.idx")
}

/// The number in the name of a partition's file.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(".blk")?, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

/// What a partition file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The same in all files of a store.
    pub(super) store: u64,
    pub(super) number: u64,
    /// Blocks of earlier files with events from here on are void.
    pub(super) first_seq: u64,
    /// Events in all files before, those that have gone included.
    pub(super) events_before: u64,
    pub(super) begun: Timestamp,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged,
    /// Of a later version.
    Version(u8),
}

impl Header {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = [NAME.as_slice(), &[VERSION, b'\n']].concat();
        let Self { store, number, first_seq, events_before, begun } = self;
        [store, number, first_seq, events_before]
            .into_iter()
            .for_each(|number| out.put_u64(number));
        out.put_i64(begun.as_nanos());
        out.put_crc();
        out
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or(HeaderFault::Damaged)?;
        let mut take = Fields::checked(bytes, NAME).ok_or(HeaderFault::Damaged)?;
        match take.bytes(2) {
            Some([VERSION, b'\n']) => {}
            Some([version, _]) => return Err(HeaderFault::Version(*version)),
            _ => return Err(HeaderFault::Damaged),
        }
        let mut fields = || {
            let (store, number) = (take.u64()?, take.u64()?);
            let (first_seq, events_before) = (take.u64()?, take.u64()?);
            let begun = Timestamp::from_nanos(take.i64()?);
            Some(Self { store, number, first_seq, events_before, begun })
        };
        fields().ok_or(HeaderFault::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_one_to_one() {
        assert_eq!(file_name(0x1f), "000000000000001f.blk");
        assert_eq!(number_of("000000000000001f.blk"), Some(0x1f));
        for bad in ["1f.blk", "000000000000001F.blk", "+00000000000001f.blk", "lock", ".blk"] {
            assert_eq!(number_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_header_is_read_back_and_damage_is_noticed() {
        let begun = Timestamp::from_nanos(-5);
        let header = Header { store: 9, number: 3, first_seq: 1 << 41, events_before: 7, begun };
        let bytes = header.to_bytes();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::parse(&bytes), Ok(header));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Header::parse(&damaged), Err(HeaderFault::Damaged), "{at}");
            assert_eq!(Header::parse(&bytes[..at]), Err(HeaderFault::Damaged), "{at}");
        }
        let mut later = bytes[..HEADER_BYTES - 4].to_vec();
        later[6] = 2;
        later.put_crc();
        assert_eq!(Header::parse(&later), Err(HeaderFault::Version(2)));
    }
}
