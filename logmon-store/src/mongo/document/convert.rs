//! Values that are written as another type, as queries of MongoDB's own want them.

use logmon_core::filter::Instant;
use logmon_core::msgpack::{Cursor, Head};
use logmon_core::{EventId, Timestamp};

use super::key::DotsAndDollars;
use super::split;

const OBJECT_ID: u8 = 0x07;
const DATE: u8 = 0x09;

/// How events are written.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::mongo) struct Style<'s> {
    pub(in crate::mongo) keys: DotsAndDollars,
    /// Paths below the metadata whose values are dates.
    pub(in crate::mongo) dates: &'s [String],
    /// The same of ObjectIds.
    pub(in crate::mongo) object_ids: &'s [String],
}

impl Style<'_> {
    pub(super) const fn converts(&self) -> bool {
        !self.dates.is_empty() || !self.object_ids.is_empty()
    }

    /// Appends a value as what is asked for at its path; gives the type. `None` where nothing is, or
    /// it is no such thing.
    pub(super) fn convert(&self, out: &mut Vec<u8>, path: &str, value: &[u8]) -> Option<u8> {
        let is_among = |paths: &[String]| paths.iter().any(|known| known == path);
        if is_among(self.dates) {
            out.extend_from_slice(&split(instant(value)?).0.to_le_bytes());
            Some(DATE)
        } else if is_among(self.object_ids) {
            let id: EventId = text(value)?.parse().ok()?;
            out.extend_from_slice(&id.to_bytes());
            Some(OBJECT_ID)
        } else {
            None
        }
    }
}

fn text(value: &[u8]) -> Option<&str> {
    let mut cursor = Cursor::new(value);
    match cursor.head().ok()? {
        Head::Str(len) => str::from_utf8(cursor.take(len).ok()?).ok(),
        _ => None,
    }
}

/// A text in RFC 3339, or a Unix time in the unit that its size tells.
fn instant(value: &[u8]) -> Option<Timestamp> {
    let number = match Cursor::new(value).head().ok()? {
        Head::Int(number) => number.to_string(),
        Head::UInt(number) => number.to_string(),
        Head::Float(seconds) => return Timestamp::from_seconds_f64(seconds),
        _ => return Instant::parse(text(value)?)?.fixed(),
    };
    Instant::parse(&number)?.fixed()
}
