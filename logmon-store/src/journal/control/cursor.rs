//! What the journal notes about a holding cursor.

use std::ops::Range;

use logmon_core::{CursorTally, Position, Timestamp};

use crate::journal::format::{MAX_SEQ, epoch, put_epoch};
use crate::wire::{Fields, Put as _};

/// The longest name of a cursor.
pub(in crate::journal) const MAX_NAME_BYTES: usize = 80;
/// The most ranges in flight: more than any window.
pub(in crate::journal) const MAX_IN_FLIGHT: usize = 4096;

/// A holding cursor as it was saved last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::journal) struct CursorRecord {
    pub(in crate::journal) name: String,
    pub(in crate::journal) position: Position,
    pub(in crate::journal) in_flight: Vec<Range<u64>>,
    /// The number it began at: everything from there up to the position is in the tally. Lower
    /// than any event's where events it had passed were lost with their numbers.
    pub(in crate::journal) start: i64,
    pub(in crate::journal) tally: CursorTally,
    /// Since when nobody has opened it.
    pub(in crate::journal) unopened: Option<Timestamp>,
}

/// Whether a cursor may have this name.
pub(in crate::journal) fn is_name(name: &str) -> bool {
    let is_plain = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain)
}

impl CursorRecord {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.put_text(&self.name);
        put_epoch(out, self.position.epoch);
        out.put_u64(self.position.seq);
        out.put_count(self.in_flight.len());
        for range in &self.in_flight {
            out.put_u64(range.start);
            out.put_u64(range.end);
        }
        out.put_i64(self.start);
        let CursorTally { delivered, quarantined, unrouted, expired, damaged, .. } = self.tally;
        for count in [delivered, quarantined, unrouted, expired, damaged] {
            out.put_u64(count);
        }
        out.push(u8::from(self.unopened.is_some()));
        out.put_i64(self.unopened.unwrap_or(Timestamp::EPOCH).as_nanos());
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.text().filter(|name| is_name(name))?;
        let position = Position { epoch: epoch(fields)?, seq: fields.u64()? };
        let in_flight = fields.list(|fields| Some(fields.u64()?..fields.u64()?))?;
        let start = fields.i64()?;
        let mut tally = CursorTally::default();
        for count in [
            &mut tally.delivered,
            &mut tally.quarantined,
            &mut tally.unrouted,
            &mut tally.expired,
            &mut tally.damaged,
        ] {
            *count = fields.u64()?;
        }
        let is_unopened = fields.u8()? != 0;
        let since = Timestamp::from_nanos(fields.i64()?);
        let unopened = is_unopened.then_some(since);
        let record = Self { name, position, in_flight, start, tally, unopened };
        Some(record).filter(Self::is_sound)
    }

    /// Whether it is small enough to be reckoned with.
    pub(in crate::journal) fn is_sound(&self) -> bool {
        let CursorTally { delivered, quarantined, unrouted, expired, damaged, .. } = self.tally;
        let counts = [delivered, quarantined, unrouted, expired, damaged];
        self.position.seq <= MAX_SEQ
            && self.start.unsigned_abs() <= MAX_SEQ
            && counts.into_iter().all(|count| count <= MAX_SEQ / 8)
            && self.in_flight.len() <= MAX_IN_FLIGHT
            && self.in_flight.iter().all(|range| range.start <= range.end)
    }
}
