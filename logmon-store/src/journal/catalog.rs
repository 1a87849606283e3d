//! What is where: epochs, segments, field maps and the ledger.

use std::collections::VecDeque;
use std::sync::Arc;

use logmon_core::{Epoch, FieldMap, Position, ReadError, Timestamp};

use super::config::JournalLedger;
use super::control::{Checkpoint, Ledger, Record, SegmentInfo};
use super::cursors::{Bounds, CursorStatus, Cursors};
use super::segment::Segment;

mod retention;

pub(super) use retention::{Rules, before};

/// Epochs that are remembered; positions of earlier ones count as another journal's.
const MAX_EPOCHS: usize = 4096;

/// The state of a journal that its readers and its writer share.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) epochs: Vec<(Epoch, u64)>,
    /// Oldest first; the last is the one being written, if one is.
    pub(super) segments: VecDeque<Segment>,
    pub(super) field_maps: Vec<Arc<FieldMap>>,
    pub(super) ledger: Ledger,
    pub(super) removing: Vec<u64>,
    /// One more than the number of the last event.
    pub(super) head: u64,
    pub(super) cursors: Cursors,
}

impl Catalog {
    /// The epoch that is written.
    pub(super) fn epoch(&self) -> Epoch {
        self.epochs.last().map_or_else(|| Epoch::from_bytes([0; 7]), |(epoch, _)| *epoch)
    }

    pub(super) fn head(&self) -> Position {
        Position { epoch: self.epoch(), seq: self.head }
    }

    pub(super) fn oldest(&self) -> Position {
        let kept = self.segments.iter().find(|segment| segment.info.events > 0);
        kept.map_or_else(
            || self.head(),
            |segment| Position { epoch: segment.info.epoch, seq: segment.info.first_seq },
        )
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.info.bytes).sum()
    }

    /// Begins an epoch at the head.
    pub(super) fn begin_epoch(&mut self, epoch: Epoch) {
        self.epochs.push((epoch, self.head));
        let surplus = self.epochs.len().saturating_sub(MAX_EPOCHS);
        self.epochs.drain(..surplus);
    }

    /// Whether a position lies in what has happened.
    pub(super) fn check(&self, from: Position) -> Result<(), ReadError> {
        let at = self.epochs.iter().rposition(|(epoch, _)| *epoch == from.epoch);
        let Some(at) = at else { return Err(ReadError::Foreign) };
        let end = self.epochs.get(at + 1).map_or(self.head, |(_, first_seq)| *first_seq);
        if from.seq > end {
            return Err(ReadError::Diverged { resume: Position { epoch: from.epoch, seq: end } });
        }
        Ok(())
    }

    /// The segment to read on in from a position; `None` at the head.
    pub(super) fn place(&self, from: Position) -> Result<Option<Segment>, ReadError> {
        self.check(from)?;
        let oldest = self.oldest();
        if from.seq < oldest.seq {
            return Err(ReadError::Expired { oldest });
        }
        Ok(self.segment_at(from.seq).cloned())
    }

    /// The first segment with events from `seq` on.
    pub(super) fn segment_at(&self, seq: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.info.end_seq <= seq);
        self.segments.range(after..).find(|segment| segment.info.events > 0)
    }

    pub(super) fn note_damage(&mut self, number: u64, at: u64, events: u64) {
        let found = self.segments.iter_mut().find(|segment| segment.info.number == number);
        if let Some(segment) = found {
            self.ledger.damaged += segment.note_damage(at, events);
        }
    }

    /// The number of a field map, if it has one.
    pub(super) fn number_of(&self, map: &Arc<FieldMap>) -> Option<u16> {
        let same = |known: &Arc<FieldMap>| Arc::ptr_eq(known, map) || known == map;
        self.field_maps.iter().position(same).and_then(|at| u16::try_from(at).ok())
    }

    /// What a segment that begins now is to say about those before it.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            epochs: self.epochs.clone(),
            segments: self.segments.iter().map(|segment| segment.info).collect(),
            field_maps: self.field_maps.clone(),
            ledger: self.ledger,
            removing: self.removing.clone(),
            cursors: self.cursors.records().cloned().collect(),
        }
    }

    /// Takes over what is noted of a cursor.
    pub(super) fn take_cursor(&mut self, record: Record) {
        match record {
            Record::Cursor(cursor) => self.cursors.set(cursor),
            Record::CursorEnded(name) => self.cursors.end(&name),
            _ => {}
        }
    }

    /// Puts right the cursors that stand where the journal is not: what they passed was lost, or
    /// their epoch is forgotten.
    pub(super) fn settle_cursors(&mut self) {
        let (epochs, head) = (self.epochs.clone(), self.head);
        for cursor in self.cursors.records_mut() {
            let at = &mut cursor.position;
            let known = epochs.iter().rposition(|(epoch, _)| *epoch == at.epoch);
            let end = known.and_then(|known| epochs.get(known + 1)).map_or(head, |(_, seq)| *seq);
            // The events that were passed beyond the end have no numbers any more.
            let beyond = at.seq.saturating_sub(end);
            at.seq -= beyond;
            cursor.start -= i64::try_from(beyond).unwrap_or(i64::MAX);
            if known.is_none() {
                let of = epochs.iter().rfind(|(_, first_seq)| *first_seq <= at.seq);
                at.epoch = of.or(epochs.last()).map_or(at.epoch, |(epoch, _)| *epoch);
            }
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds { oldest: self.oldest().seq, head: self.head }
    }

    pub(super) fn ledger(&self, now: Timestamp) -> JournalLedger {
        let readable = |info: SegmentInfo| info.events - info.damaged.min(info.events);
        let Ledger { appended, expired, damaged } = self.ledger;
        JournalLedger {
            appended,
            kept: self.segments.iter().map(|segment| readable(segment.info)).sum(),
            expired,
            damaged,
            cursors: self.cursor_status(now),
        }
    }

    pub(super) fn cursor_status(&self, now: Timestamp) -> Vec<CursorStatus> {
        let all: Vec<SegmentInfo> = self.segments.iter().map(|segment| segment.info).collect();
        self.cursors.status(self.bounds(), &all, now)
    }
}
