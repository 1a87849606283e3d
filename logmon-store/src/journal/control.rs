//! Control records: what the journal notes about itself among the events.

use std::sync::Arc;

use logmon_core::{Epoch, FieldMap, Timestamp};

use super::format::{self, MAX_SEQ, NewFrame, end_frame, epoch, put_epoch};
use crate::wire::{Fields, Put as _};

mod cursor;

pub(super) use cursor::{CursorRecord, MAX_IN_FLIGHT, is_name};

/// A note of the journal about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Begins a segment: all there is to know about what came before it.
    Checkpoint(Checkpoint),
    /// A field map that frames behind this one name by its number.
    FieldMap(u16, Arc<FieldMap>),
    /// A segment that retention is about to remove.
    Removed(Removal),
    /// Where a holding cursor stands.
    Cursor(CursorRecord),
    /// The cursor of this name is no more.
    CursorEnded(String),
}

/// The state of the journal when a segment begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Each epoch and the number its first event has or would have had, oldest first. The last is
    /// that of the segment.
    pub(super) epochs: Vec<(Epoch, u64)>,
    /// The segments before this one that are kept, oldest first.
    pub(super) segments: Vec<SegmentInfo>,
    /// Field maps; the place in the list is the number.
    pub(super) field_maps: Vec<Arc<FieldMap>>,
    pub(super) ledger: Ledger,
    /// Segments that are not kept any more and whose files may still be there.
    pub(super) removing: Vec<u64>,
    /// The holding cursors.
    pub(super) cursors: Vec<CursorRecord>,
}

/// What a journal knows about a closed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentInfo {
    pub(super) number: u64,
    pub(super) epoch: Epoch,
    pub(super) first_seq: u64,
    pub(super) end_seq: u64,
    /// Events written, the damaged ones among them.
    pub(super) events: u64,
    /// Events known to be unreadable.
    pub(super) damaged: u64,
    /// The bytes up to the end of the last complete frame.
    pub(super) bytes: u64,
    /// The least and greatest timestamp; the other way round without events.
    pub(super) times: (Timestamp, Timestamp),
    /// The latest instant of receipt.
    pub(super) received: Timestamp,
    pub(super) closed: Timestamp,
    /// The hash over its frames.
    pub(super) chain: u32,
}

/// Totals over the whole life of a journal, in events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) appended: u64,
    pub(super) expired: Expired,
    /// Lost to the medium: unreadable, or in a segment that is missing.
    pub(super) damaged: u64,
}

/// Events that retention removed, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expired {
    /// They were older than `max_age`.
    pub by_age: u64,
    /// The journal was larger than `max_bytes`.
    pub by_size: u64,
}

/// A segment that goes, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) number: u64,
    pub(super) reason: Reason,
    /// Readable events in it.
    pub(super) events: u64,
}

/// Why retention removes a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Age,
    Size,
}

/// Records that cannot be read though their checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordFault {
    Malformed,
    /// Of a kind this version does not know, and must not step over.
    Unknown(u8),
}

const CHECKPOINT: u8 = 1;
const FIELD_MAP: u8 = 2;
const REMOVED: u8 = 3;
const CURSOR: u8 = 4;
const CURSOR_ENDED: u8 = 5;

impl Ledger {
    /// Counts what a segment had. A forged record may say any number.
    pub(super) fn expire(&mut self, removal: &Removal) {
        let count = match removal.reason {
            Reason::Age => &mut self.expired.by_age,
            Reason::Size => &mut self.expired.by_size,
        };
        *count = count.saturating_add(removal.events);
    }
}

impl SegmentInfo {
    /// A segment without events.
    pub(super) const fn empty(
        number: u64,
        epoch: Epoch,
        first_seq: u64,
        created: Timestamp,
    ) -> Self {
        Self {
            number,
            epoch,
            first_seq,
            end_seq: first_seq,
            events: 0,
            damaged: 0,
            bytes: 0,
            times: (Timestamp::MAX, Timestamp::MIN),
            received: Timestamp::MIN,
            closed: created,
            chain: 0,
        }
    }

    /// Takes account of events.
    pub(super) fn add(&mut self, events: u64, times: (Timestamp, Timestamp), received: Timestamp) {
        if events > 0 {
            self.events += events;
            self.times = (self.times.0.min(times.0), self.times.1.max(times.1));
            self.received = self.received.max(received);
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put_u64(self.number);
        put_epoch(out, self.epoch);
        out.put_u64(self.first_seq);
        out.put_u64(self.end_seq);
        out.put_u64(self.events);
        out.put_u64(self.damaged);
        out.put_u64(self.bytes);
        for time in [self.times.0, self.times.1, self.received, self.closed] {
            out.put_i64(time.as_nanos());
        }
        out.put_u32(self.chain);
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let number = fields.u64()?;
        let epoch = epoch(fields)?;
        let (first_seq, end_seq) = (fields.u64()?, fields.u64()?);
        let (events, damaged, bytes) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let mut time = || fields.i64().map(Timestamp::from_nanos);
        let times = (time()?, time()?);
        let (received, closed) = (time()?, time()?);
        let chain = fields.u32()?;
        Some(Self {
            number,
            epoch,
            first_seq,
            end_seq,
            events,
            damaged,
            bytes,
            times,
            received,
            closed,
            chain,
        })
    }
}

impl Checkpoint {
    fn write(&self, out: &mut Vec<u8>) {
        out.put_count(self.epochs.len());
        for (epoch, first_seq) in &self.epochs {
            put_epoch(out, *epoch);
            out.put_u64(*first_seq);
        }
        out.put_count(self.segments.len());
        for segment in &self.segments {
            segment.write(out);
        }
        out.put_count(self.field_maps.len());
        for map in &self.field_maps {
            write_map(out, map);
        }
        // Route sets: one, of the live hub and the store.
        out.put_count(1);
        out.put_u16(logmon_core::RouteSet::ALL.number());
        write_names(out, &["live", "store"]);
        let Ledger { appended, expired, damaged } = self.ledger;
        for count in [appended, expired.by_size, expired.by_age, damaged] {
            out.put_u64(count);
        }
        out.put_count(self.removing.len());
        for number in &self.removing {
            out.put_u64(*number);
        }
        out.put_count(self.cursors.len());
        for cursor in &self.cursors {
            cursor.write(out);
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let epochs = fields.list(|fields| Some((epoch(fields)?, fields.u64()?)))?;
        let segments = fields.list(SegmentInfo::read)?;
        let field_maps = fields.list(read_map)?;
        fields.list(|fields| Some((fields.u16()?, read_names(fields)?)))?;
        let (appended, by_size) = (fields.u64()?, fields.u64()?);
        let (by_age, damaged) = (fields.u64()?, fields.u64()?);
        let ledger = Ledger { appended, expired: Expired { by_age, by_size }, damaged };
        let removing = fields.list(Fields::u64)?;
        let cursors = fields.list(CursorRecord::read)?;
        Some(Self { epochs, segments, field_maps, ledger, removing, cursors })
    }

    /// Whether segments follow each other in number and sequence, as everything that uses the
    /// table relies on.
    fn is_sound(&self) -> bool {
        let follows = |pair: &[SegmentInfo]| match pair {
            [one, next] => one.number < next.number && one.end_seq <= next.first_seq,
            _ => true,
        };
        self.segments
            .iter()
            .all(|segment| segment.first_seq <= segment.end_seq && segment.end_seq <= MAX_SEQ)
            && self.segments.windows(2).all(follows)
            && self.epochs.windows(2).all(|pair| pair[0].1 <= pair[1].1)
            && u16::try_from(self.field_maps.len()).is_ok()
    }
}

fn write_names(out: &mut Vec<u8>, names: &[impl AsRef<str>]) {
    out.put_count(names.len());
    for name in names {
        out.put_text(name.as_ref());
    }
}

fn read_names(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    fields.list(Fields::text)
}

fn write_map(out: &mut Vec<u8>, map: &FieldMap) {
    write_names(out, map.level_keys());
    write_names(out, map.message_keys());
    write_names(out, map.source_keys());
}

fn read_map(fields: &mut Fields<'_>) -> Option<Arc<FieldMap>> {
    let (level, message) = (read_names(fields)?, read_names(fields)?);
    FieldMap::new(&level, &message, &read_names(fields)?).ok().map(Arc::new)
}

impl Record {
    /// Appends kind, length and body.
    fn write(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let kind = match self {
            Self::Checkpoint(checkpoint) => {
                checkpoint.write(&mut body);
                CHECKPOINT
            }
            Self::FieldMap(number, map) => {
                body.put_u16(*number);
                write_map(&mut body, map);
                FIELD_MAP
            }
            Self::Removed(removal) => {
                body.put_u64(removal.number);
                body.push(match removal.reason {
                    Reason::Age => 1,
                    Reason::Size => 2,
                });
                body.put_u64(removal.events);
                REMOVED
            }
            Self::Cursor(cursor) => {
                cursor.write(&mut body);
                CURSOR
            }
            Self::CursorEnded(name) => {
                body.put_text(name);
                CURSOR_ENDED
            }
        };
        out.push(kind);
        out.put_count(body.len());
        out.extend_from_slice(&body);
    }

    /// Reads all records of a control frame's payload.
    pub(super) fn read_all(payload: &[u8]) -> Result<Vec<Self>, RecordFault> {
        let mut fields = Fields(payload);
        let mut records = Vec::new();
        while !fields.0.is_empty() {
            let (kind, body) = Self::split(&mut fields).ok_or(RecordFault::Malformed)?;
            let mut body = Fields(body);
            let record = match kind {
                CHECKPOINT => {
                    Checkpoint::read(&mut body).filter(Checkpoint::is_sound).map(Self::Checkpoint)
                }
                FIELD_MAP => Self::read_field_map(&mut body),
                REMOVED => Self::read_removed(&mut body),
                CURSOR => CursorRecord::read(&mut body).map(Self::Cursor),
                CURSOR_ENDED => body.text().map(Self::CursorEnded),
                kind => return Err(RecordFault::Unknown(kind)),
            };
            records.push(record.ok_or(RecordFault::Malformed)?);
        }
        Ok(records)
    }

    fn split<'a>(fields: &mut Fields<'a>) -> Option<(u8, &'a [u8])> {
        let kind = fields.u8()?;
        let len = fields.u32()? as usize;
        Some((kind, fields.bytes(len)?))
    }

    fn read_field_map(body: &mut Fields<'_>) -> Option<Self> {
        Some(Self::FieldMap(body.u16()?, read_map(body)?))
    }

    fn read_removed(body: &mut Fields<'_>) -> Option<Self> {
        let number = body.u64()?;
        let reason = match body.u8()? {
            1 => Reason::Age,
            2 => Reason::Size,
            _ => return None,
        };
        Some(Self::Removed(Removal { number, reason, events: body.u64()? }))
    }
}

/// Appends a control frame with these records; gives the checksum of its header.
pub(super) fn write_frame(
    out: &mut Vec<u8>,
    records: &[Record],
    epoch: Epoch,
    (seq, now): (u64, Timestamp),
) -> u32 {
    let mut payload = Vec::new();
    for record in records {
        record.write(&mut payload);
    }
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let crc = NewFrame::control(len, seq, now).write(out, format::epoch_seed(epoch));
    out.extend_from_slice(&payload);
    end_frame(out, crc, &payload);
    crc
}

#[cfg(test)]
mod tests {
    use logmon_core::{CursorTally, Position};

    use super::*;

    #[test]
    fn forged_counts_are_held_at_the_greatest_number() {
        let mut ledger = Ledger::default();
        for reason in [Reason::Age, Reason::Size, Reason::Age, Reason::Size] {
            ledger.expire(&Removal { number: 1, reason, events: u64::MAX });
        }
        assert_eq!(ledger.expired, Expired { by_age: u64::MAX, by_size: u64::MAX });
    }

    fn cursor(unopened: Option<Timestamp>) -> CursorRecord {
        let mut tally = CursorTally::default();
        (tally.delivered, tally.damaged) = (9, 2);
        CursorRecord {
            name: "store".to_owned(),
            position: Position { epoch: Epoch::from_bytes([1; 7]), seq: 12 },
            in_flight: vec![12..14, 14..20],
            start: -3,
            tally,
            unopened,
        }
    }

    fn records() -> Vec<Record> {
        let epoch = Epoch::from_bytes([1; 7]);
        let mut segment = SegmentInfo::empty(3, epoch, 10, Timestamp::EPOCH);
        segment.end_seq = 12;
        segment.add(2, (Timestamp::EPOCH, Timestamp::MAX), Timestamp::EPOCH);
        vec![
            Record::Checkpoint(Checkpoint {
                epochs: vec![(epoch, 1)],
                segments: vec![segment],
                field_maps: vec![Arc::default()],
                ledger: Ledger { appended: 5, damaged: 1, ..Ledger::default() },
                removing: vec![2],
                cursors: vec![cursor(None), cursor(Some(Timestamp::MAX))],
            }),
            Record::FieldMap(1, Arc::new(FieldMap::new(&["a.b"], &["m"], &["日本"]).unwrap())),
            Record::Removed(Removal { number: 2, reason: Reason::Age, events: 9 }),
            Record::Cursor(cursor(None)),
            Record::CursorEnded("gone".to_owned()),
        ]
    }

    #[test]
    fn records_read_back() {
        let mut out = Vec::new();
        records().iter().for_each(|record| record.write(&mut out));
        assert_eq!(Record::read_all(&out).unwrap(), records());
        for len in 0..out.len() {
            // Whole records may be left; a torn one is an error.
            drop(Record::read_all(&out[..len]));
        }
    }

    #[test]
    fn an_unknown_kind_is_told_from_a_malformed_one() {
        assert_eq!(Record::read_all(&[99, 0, 0, 0, 0]), Err(RecordFault::Unknown(99)));
        assert_eq!(Record::read_all(&[3, 1, 0, 0, 0, 7]), Err(RecordFault::Malformed));
    }
}
