//! What is where: epochs, segments, field maps and the ledger.

use std::collections::VecDeque;
use std::sync::Arc;

use logmon_core::{Epoch, FieldMap, Position, ReadError, Timestamp};

use super::config::Retention;
use super::control::{Checkpoint, Ledger, Reason, Removal, SegmentInfo};
use super::segment::Segment;

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

    /// The segment to read on in from a position; `None` at the head.
    pub(super) fn place(&self, from: Position) -> Result<Option<Segment>, ReadError> {
        let at = self.epochs.iter().rposition(|(epoch, _)| *epoch == from.epoch);
        let Some(at) = at else { return Err(ReadError::Foreign) };
        let end = self.epochs.get(at + 1).map_or(self.head, |(_, first_seq)| *first_seq);
        if from.seq > end {
            return Err(ReadError::Diverged { resume: Position { epoch: from.epoch, seq: end } });
        }
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
        }
    }

    /// The segments that retention is to remove now, with `reserved` bytes for the one being
    /// written.
    pub(super) fn expired(
        &self,
        retention: &Retention,
        reserved: u64,
        now: Timestamp,
    ) -> Vec<Removal> {
        let closed = self.segments.len().saturating_sub(1);
        let closed = || self.segments.iter().take(closed).map(|segment| segment.info);
        let mut bytes = closed().map(|info| info.bytes).sum::<u64>().saturating_add(reserved);
        let mut removals = Vec::new();
        for info in closed() {
            let reason = if bytes > retention.max_bytes {
                Reason::Size
            } else if is_old(&info, retention, now) {
                Reason::Age
            } else {
                break;
            };
            bytes -= info.bytes;
            let events = info.events - info.damaged.min(info.events);
            removals.push(Removal { number: info.number, reason, events });
        }
        removals
    }

    /// Forgets segments that are about to be removed.
    pub(super) fn remove(&mut self, removals: &[Removal]) {
        for removal in removals {
            self.segments.retain(|segment| segment.info.number != removal.number);
            self.ledger.expire(removal);
            self.removing.push(removal.number);
        }
    }
}

/// Whether both the closing of a segment and its newest event are too long ago: one clock that was
/// wrong for a while removes nothing.
fn is_old(info: &SegmentInfo, retention: &Retention, now: Timestamp) -> bool {
    let Some(max_age) = retention.max_age else { return false };
    let max_age = i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX);
    let limit = now.as_nanos().saturating_sub(max_age);
    info.closed.as_nanos() < limit && info.received.as_nanos() < limit
}
