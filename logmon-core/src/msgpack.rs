//! A bounded reader of msgpack bytes, and the few writers logmon needs.
//!
//! The reader never allocates, never recurses and never trusts a declared length: a header that
//! announces more than is there is an error, found before anything is reserved for it. Format:
//! the msgpack specification (types and their first bytes).

mod pairs;
mod read;
mod write;

pub use pairs::pairs;
pub use read::{Cursor, Head, MsgpackError, MsgpackErrorKind};
pub(crate) use write::write_text;
pub use write::{
    write_array_len, write_bin, write_bool, write_event_time, write_ext, write_float, write_int,
    write_map_len, write_nil, write_str, write_uint,
};

use crate::Timestamp;

/// How deep arrays and maps may nest inside one value.
pub const MAX_DEPTH: usize = 128;

/// How deep the end of a refused value is looked for.
pub const MAX_SCAN_DEPTH: usize = 100_000;

/// How many items one value may hold in all its arrays and maps together.
pub const MAX_ITEMS: u64 = 1_000_000;

/// The ext type of Fluentd's `EventTime` (Forward protocol v1, "`EventTime` Ext Format").
pub const EVENT_TIME_EXT: i8 = 0;

/// The ext type of the msgpack specification's own timestamp.
pub const TIMESTAMP_EXT: i8 = -1;

/// The instant an ext value stands for, if it is one of the two time types and well formed.
///
/// `EventTime` is two big-endian `u32`: seconds and nanoseconds (below 10^9). The seconds are
/// unsigned, so they reach to 2106.
pub fn ext_time(kind: i8, data: &[u8]) -> Option<Timestamp> {
    match (kind, data.len()) {
        (EVENT_TIME_EXT, 8) => event_time(data),
        (TIMESTAMP_EXT, 4) => Timestamp::from_seconds(i64::from(be_u32(data)?), 0),
        (TIMESTAMP_EXT, 8) => {
            let word = u64::from_be_bytes(data.try_into().ok()?);
            let nanos = u32::try_from(word >> 34).ok()?;
            let seconds = i64::try_from(word & 0x3_ffff_ffff).ok()?;
            (nanos < 1_000_000_000).then(|| Timestamp::from_seconds(seconds, nanos))?
        }
        (TIMESTAMP_EXT, 12) => {
            let nanos = be_u32(data)?;
            let seconds = i64::from_be_bytes(data.get(4..12)?.try_into().ok()?);
            (nanos < 1_000_000_000).then(|| Timestamp::from_seconds(seconds, nanos))?
        }
        _ => None,
    }
}

fn event_time(data: &[u8]) -> Option<Timestamp> {
    let (seconds, nanos) = (be_u32(data)?, be_u32(data.get(4..)?)?);
    (nanos < 1_000_000_000).then(|| Timestamp::from_seconds(i64::from(seconds), nanos))?
}

fn be_u32(data: &[u8]) -> Option<u32> {
    data.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
pub(crate) mod tests;
