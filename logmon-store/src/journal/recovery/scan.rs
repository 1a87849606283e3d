//! Reading one segment from end to end.

use logmon_core::{Epoch, Timestamp};

use super::is_epoch_of;
use crate::journal::control::{Checkpoint, Record, RecordFault, SegmentInfo};
use crate::journal::format::{self, FRAME_FIXED_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::journal::report::{Damage, DamageKind, OpenError};
use crate::journal::segment::file_name;
use crate::journal::walk::{Step, Walk, is_zero, read_lenient};
use crate::vfs::VfsFile;

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) info: SegmentInfo,
    /// Its first frame, where that is intact.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Other control records, in order.
    pub(super) records: Vec<Record>,
    pub(super) damages: Vec<Damage>,
    /// Damage after which no intact frame has come yet; at the end, it is the torn tail.
    pending: Vec<Damage>,
    /// Events behind the last intact frame, and where it ends.
    pending_events: u64,
}

impl Scan {
    /// Reads all frames, checking everything.
    ///
    /// # Errors
    /// Something in it is intact and of a later version.
    pub(super) fn read(
        header: &SegmentHeader,
        file: &dyn VfsFile,
        len: u64,
    ) -> Result<Self, OpenError> {
        let info =
            SegmentInfo::empty(header.number, header.epoch, header.first_seq, header.created);
        Self::read_on(SegmentInfo { bytes: SEGMENT_HEADER_BYTES as u64, ..info }, file, len)
    }

    /// The same from where a segment ends as far as is known.
    ///
    /// # Errors
    /// Something in it is intact and of a later version.
    pub(super) fn read_on(
        info: SegmentInfo,
        file: &dyn VfsFile,
        len: u64,
    ) -> Result<Self, OpenError> {
        let mut scan = Self {
            info,
            checkpoint: None,
            records: Vec::new(),
            damages: Vec::new(),
            pending: Vec::new(),
            pending_events: 0,
        };
        let range = (info.bytes, len);
        let mut walk = Walk::new(file, info.epoch, range, (info.end_seq, None)).with_payloads();
        while let Some(step) = walk.step() {
            scan.take(step, &mut walk)?;
        }
        if is_zero(file, scan.info.bytes..len) {
            // Room that was never written to.
            scan.pending.clear();
        }
        scan.end();
        Ok(scan)
    }

    /// The segments it says are removed.
    pub(super) fn removed(&self) -> impl Iterator<Item = u64> {
        self.records.iter().filter_map(|record| match record {
            Record::Removed(removal) => Some(removal.number),
            _ => None,
        })
    }

    fn take(&mut self, step: Step, walk: &mut Walk<'_>) -> Result<(), OpenError> {
        match step {
            Step::Unsupported { at } => {
                Err(self.later(format!("unknown kind of frame at byte {at}")))
            }
            Step::Damage { from, to, events } => {
                self.suspend((from, to), events);
                Ok(())
            }
            Step::Frame { at, header } => {
                let control = header.is_control.then(|| walk.payload(at, &header));
                let is_right = control
                    .as_ref()
                    .map_or_else(|| walk.is_payload_right(at, &header), Option::is_some);
                if !is_right {
                    let events = u64::from(header.events);
                    self.suspend((at, at + header.total_len()), Some(events));
                    return Ok(());
                }
                self.confirm();
                self.info.chain = format::chain(self.info.chain, header.crc);
                self.info.bytes = at + header.total_len();
                self.info.end_seq = header.end_seq();
                self.info.add(u64::from(header.events), header.times, header.received);
                self.info.closed = self.info.closed.max(header.received);
                control.flatten().map_or(Ok(()), |payload| self.take_control(at, &payload))
            }
        }
    }

    fn take_control(&mut self, at: u64, payload: &[u8]) -> Result<(), OpenError> {
        match Record::read_all(payload) {
            Ok(records) => {
                for record in records {
                    match record {
                        Record::Checkpoint(checkpoint) if at == SEGMENT_HEADER_BYTES as u64 => {
                            self.checkpoint = Some(checkpoint);
                        }
                        record => self.records.push(record),
                    }
                }
                Ok(())
            }
            Err(RecordFault::Unknown(kind)) => {
                Err(self.later(format!("control record of kind {kind} at byte {at}")))
            }
            Err(RecordFault::Malformed) => {
                let range = (at, self.info.bytes);
                self.damages.push(self.damage(DamageKind::Frames, range, Some(0)));
                Ok(())
            }
        }
    }

    fn later(&self, what: String) -> OpenError {
        OpenError::Later { file: file_name(self.info.number), what }
    }

    fn damage(&self, kind: DamageKind, range: (u64, u64), events: Option<u64>) -> Damage {
        Damage { file: file_name(self.info.number), kind, range, events }
    }

    fn suspend(&mut self, range: (u64, u64), events: Option<u64>) {
        self.pending_events += events.unwrap_or(0);
        self.pending.push(self.damage(DamageKind::Frames, range, events));
    }

    /// An intact frame follows: what is pending was damaged later, not torn.
    fn confirm(&mut self) {
        self.info.events += std::mem::take(&mut self.pending_events);
        self.damages.append(&mut self.pending);
    }

    fn end(&mut self) {
        if let (Some(first), Some(last)) = (self.pending.first(), self.pending.last()) {
            let range = (first.range.0, last.range.1);
            let events = (self.pending_events > 0).then_some(self.pending_events);
            let torn = self.damage(DamageKind::TornTail, range, events);
            self.damages.push(torn);
        }
    }
}

/// Finds out what a damaged segment header said: its epoch proves itself by the first frame, whose
/// checksum begins with it.
pub(super) fn salvage(
    number: u64,
    bytes: &[u8],
    file: &dyn VfsFile,
    len: u64,
) -> Option<SegmentHeader> {
    let room = len.checked_sub(SEGMENT_HEADER_BYTES as u64)?;
    let mut frame = vec![0; FRAME_FIXED_BYTES + 4];
    read_lenient(file, &mut frame, SEGMENT_HEADER_BYTES as u64);
    let first_seq = u64::from_le_bytes(*frame.get(24..)?.first_chunk()?);
    let created = Timestamp::from_nanos(i64::from_le_bytes(*frame.get(32..)?.first_chunk()?));
    let stored = stored_epoch(bytes);
    // The last epoch of the checkpoint's list is the segment's own.
    let listed = listed_epoch(&frame, file);
    let epoch =
        [stored, listed].into_iter().flatten().find(|epoch| is_epoch_of(*epoch, &frame, room))?;
    let (journal, chain) = (epoch, 0);
    Some(SegmentHeader { number, epoch, journal, first_seq, created, chain })
}

fn stored_epoch(header: &[u8]) -> Option<Epoch> {
    header.get(24..31)?.first_chunk().copied().map(Epoch::from_bytes)
}

fn listed_epoch(frame: &[u8], file: &dyn VfsFile) -> Option<Epoch> {
    let start = SEGMENT_HEADER_BYTES as u64 + (FRAME_FIXED_BYTES + 4) as u64;
    let mut count = [0; 9];
    read_lenient(file, &mut count, start);
    let epochs = u32::from_le_bytes(*count.get(5..)?.first_chunk()?);
    let payload_len = u32::from_le_bytes(*frame.get(12..)?.first_chunk()?);
    let last = u64::from(epochs.checked_sub(1)?) * 15;
    if last + 24 > u64::from(payload_len) {
        return None;
    }
    let mut epoch = [0; 7];
    read_lenient(file, &mut epoch, start + 9 + last);
    Some(Epoch::from_bytes(epoch))
}
