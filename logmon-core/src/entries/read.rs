//! One pass over one entry.

use super::index::{Flags, Span};
use super::{EntryErrorKind, MAX_RECORD_BYTES, Oddities, Reading, TimeUnit};
use crate::field_map::{Found, Role};
use crate::msgpack::{self, Cursor, Head, MAX_ITEMS, MsgpackError, MsgpackErrorKind};
use crate::{Level, Timestamp};

/// What an index notes of one entry.
pub(super) struct Row {
    pub(super) time: Timestamp,
    pub(super) flags: Flags,
    pub(super) message: (u32, u32),
    pub(super) source: (u32, u32),
}

type Fault = (usize, EntryErrorKind);

fn framing(error: MsgpackError) -> Fault {
    (error.offset, EntryErrorKind::Framing(error.kind))
}

/// Reads one entry; gives its row and its end.
#[inline]
pub(super) fn read_entry(
    payload: &[u8],
    start: usize,
    reading: &Reading,
    oddities: &mut Oddities,
) -> Result<(Row, usize), Fault> {
    let mut cursor = Cursor::at(payload, start);
    let elements = match cursor.head().map_err(framing)? {
        Head::Array(elements) if elements >= 2 => elements,
        _ => return Err((start, EntryErrorKind::Shape)),
    };
    let time = read_header(&mut cursor, reading, oddities)?;
    let record_at = cursor.position();
    let Head::Map(pairs) = cursor.head().map_err(framing)? else {
        return Err((record_at, EntryErrorKind::Record));
    };
    if u64::from(pairs) > MAX_ITEMS / 2 {
        return Err((record_at, EntryErrorKind::Framing(MsgpackErrorKind::TooManyItems)));
    }
    let roles = reading.fields.find(&mut cursor, pairs, record_at).map_err(framing)?;
    if cursor.position() - record_at > MAX_RECORD_BYTES {
        return Err((record_at, EntryErrorKind::RecordTooLong));
    }
    for _ in 2..elements {
        cursor.skip().map_err(framing)?;
    }
    oddities.extra_elements += u32::from(elements > 2);
    let (message, message_span) = span(payload, record_at, roles.get(Role::Message));
    let (source, source_span) = span(payload, record_at, roles.get(Role::Source));
    let level = roles.get(Role::Level).and_then(|found| {
        read_level(payload.get(record_at + found.value_at..).unwrap_or_default())
    });
    let flags = Flags::new(level, message_span, source_span);
    Ok((Row { time, flags, message, source }, cursor.position()))
}

/// Reads `time`, `[time]` or `[time, metadata]`.
fn read_header(
    cursor: &mut Cursor<'_>,
    reading: &Reading,
    oddities: &mut Oddities,
) -> Result<Timestamp, Fault> {
    let at = cursor.position();
    let head = cursor.head().map_err(framing)?;
    let Head::Array(elements) = head else {
        return read_time(cursor, head, at, (reading, oddities));
    };
    if elements == 0 {
        return Err((at, EntryErrorKind::Shape));
    }
    let time_at = cursor.position();
    let head = cursor.head().map_err(framing)?;
    let time = read_time(cursor, head, time_at, (reading, oddities))?;
    for element in 1..elements {
        let before = *cursor;
        cursor.skip_inside(1).map_err(framing)?;
        let is_metadata = matches!({ before }.head(), Ok(Head::Map(_) | Head::Nil));
        if element == 1 && !is_metadata {
            return Err((before.position(), EntryErrorKind::Shape));
        }
    }
    oddities.extra_elements += u32::from(elements > 2);
    Ok(time)
}

/// Reads a time whose header has been read. Zero, nil and what cannot be held mean the receive
/// time.
fn read_time(
    cursor: &mut Cursor<'_>,
    head: Head,
    at: usize,
    (reading, oddities): (&Reading, &mut Oddities),
) -> Result<Timestamp, Fault> {
    let time = match head {
        Head::Nil => return Ok(reading.received),
        Head::UInt(0) | Head::Int(0) => return Ok(reading.received),
        Head::UInt(number) => i64::try_from(number).ok().and_then(|n| integer_time(n, reading)),
        Head::Int(number) => integer_time(number, reading),
        Head::Float(seconds) if (0.0..1.0).contains(&seconds) => return Ok(reading.received),
        Head::Float(seconds) => Timestamp::from_seconds_f64(seconds),
        Head::Ext(kind, len) => {
            let data = cursor.take(len).map_err(framing)?;
            if kind == msgpack::EVENT_TIME_EXT && len == 8 {
                match data {
                    [0, 0, 0, 0, nanos @ ..] if nanos < &[0x3b, 0x9a, 0xca, 0x00][..] => {
                        return Ok(reading.received);
                    }
                    [0xff, 0xff, 0xff, 0xfe | 0xff, 0, 0, 0, 0] => {
                        return Err((at, EntryErrorKind::GroupMarker));
                    }
                    _ => {}
                }
            }
            let time = msgpack::ext_time(kind, data);
            return time.ok_or((at, EntryErrorKind::Time));
        }
        _ => return Err((at, EntryErrorKind::Time)),
    };
    Ok(time.unwrap_or_else(|| {
        oddities.times_out_of_range += 1;
        reading.received
    }))
}

fn integer_time(number: i64, reading: &Reading) -> Option<Timestamp> {
    let nanos_per_unit = match (reading.time_unit, number.unsigned_abs()) {
        (TimeUnit::Seconds, _) | (_, 0..100_000_000_000) => 1_000_000_000,
        (_, 100_000_000_000..100_000_000_000_000) => 1_000_000,
        (_, 100_000_000_000_000..100_000_000_000_000_000) => 1_000,
        _ => 1,
    };
    number.checked_mul(nanos_per_unit).map(Timestamp::from_nanos)
}

fn span(payload: &[u8], record_at: usize, found: Option<Found>) -> ((u32, u32), Span) {
    let Some(found) = found else { return ((0, 0), Span::Absent) };
    let start = record_at + found.value_at;
    let mut cursor = Cursor::at(payload, start);
    let span = |from: usize, to: usize, kind| match (u32::try_from(from), u32::try_from(to)) {
        (Ok(from), Ok(to)) => ((from, to), kind),
        _ => ((0, 0), Span::Absent),
    };
    match cursor.head() {
        Ok(Head::Str(len) | Head::Bin(len)) => {
            span(cursor.position(), cursor.position() + len as usize, Span::Text)
        }
        _ => {
            let mut cursor = Cursor::at(payload, start);
            let end = cursor.skip().map_or(start, |()| cursor.position());
            span(start, end, Span::Value)
        }
    }
}

/// The level a value names.
pub(crate) fn read_level(value: &[u8]) -> Option<Level> {
    let mut cursor = Cursor::new(value);
    match cursor.head().ok()? {
        Head::Str(len) | Head::Bin(len) => Level::from_bytes(cursor.take(len).ok()?),
        Head::UInt(number) => Level::from_number(i64::try_from(number).ok()?),
        Head::Int(number) => Level::from_number(number),
        _ => None,
    }
}
