//! Checking every byte of a journal, without changing one.
//!
//! What an opening believes of closed segments because the newest checkpoint says so is read here
//! and compared: frames, numbers, hashes, and the checkpoints with each other.

use std::collections::HashMap;
use std::io;

use super::catalog::Catalog;
use super::control::{Checkpoint, Record, SegmentInfo};
use super::format::{self, FrameHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::recovery::{self, Recovered};
use super::report::{DamageKind, OpenError};
use super::segment::{self, Segment, file_name};
use super::walk::{Step, Walk, is_zero};
use super::writer::SPARE_NAME;
use super::{chunks, staging};
use crate::verify::{Finding, Problem};
use crate::vfs::{Vfs, VfsFile};

/// What a check has looked at, and what it found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) findings: Vec<Finding>,
    pub(crate) segments: usize,
    pub(crate) frames: u64,
    /// Events in frames that are whole.
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// The number of the oldest event.
    pub(crate) oldest: u64,
    /// One more than the number of the last event.
    pub(crate) head: u64,
}

/// One more than the number of the last event of the journal in a directory, now.
///
/// # Errors
/// As [`check`].
pub(crate) fn head(vfs: &dyn Vfs) -> Result<u64, OpenError> {
    Ok(recovery::recover(vfs)?.catalog.head)
}

/// Checks the journal in a directory. Nothing is locked or changed; a process may write to it.
///
/// # Errors
/// It is of a later version, or cannot be read at all.
pub(crate) fn check(vfs: &dyn Vfs) -> Result<Checked, OpenError> {
    let Recovered { catalog, report, first_scanned, .. } = recovery::recover(vfs)?;
    let (oldest, head) = (catalog.oldest().seq, catalog.head);
    let mut checked = Checked { oldest, head, ..Checked::default() };
    let is_walked = |file: &str| {
        let number = segment::number_of(file);
        catalog.segments.iter().any(|segment| Some(segment.info.number) == number)
    };
    for damage in report.damages {
        // Frames of these are looked at below.
        if damage.kind == DamageKind::Stray && is_without_events(vfs, &damage.file) {
            // Begun on a disk that failed, and given up.
            let finding = Finding::new(damage.file, Problem::Leftover);
            let finding = finding.because("a segment that was begun and never used");
            checked.findings.push(Finding { range: 0..damage.range.1, ..finding });
        } else if damage.kind != DamageKind::Frames || !is_walked(&damage.file) {
            checked.findings.push(damage.into());
        }
    }
    let mut check = Check { vfs, catalog: &catalog, first_scanned, checked };
    check.segments();
    check.books();
    check.cursors();
    check.other_files();
    Ok(check.checked)
}

/// Whether the segment in a file was begun and never got any events.
fn is_without_events(vfs: &dyn Vfs, file: &str) -> bool {
    let read = || {
        let file = vfs.open(file).ok()?;
        let mut header = vec![0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut header, 0).ok()?;
        let header = header.get(..read)?;
        if header.iter().all(|byte| *byte == 0) {
            // Its first bytes never reached the medium, and no checkpoint knows it.
            return Some(true);
        }
        let header = SegmentHeader::parse(header).ok()?;
        let range = (SEGMENT_HEADER_BYTES as u64, file.len().ok()?);
        let mut walk = Walk::new(&*file, header.epoch, range, (header.first_seq, None));
        let mut is_without = true;
        while let Some(step) = walk.step() {
            is_without &= match step {
                Step::Frame { header, .. } => header.events == 0,
                // A checkpoint that was not written to its end, or the room behind it.
                Step::Damage { to, .. } => to == range.1,
                Step::Unsupported { .. } => false,
            };
        }
        Some(is_without)
    };
    read() == Some(true)
}

struct Check<'a> {
    vfs: &'a dyn Vfs,
    catalog: &'a Catalog,
    first_scanned: u64,
    checked: Checked,
}

impl Check<'_> {
    fn segments(&mut self) {
        let known: HashMap<u64, SegmentInfo> = self
            .catalog
            .segments
            .iter()
            .map(|segment| (segment.info.number, segment.info))
            .collect();
        let mut before: Option<SegmentInfo> = None;
        for Segment { info, .. } in &self.catalog.segments {
            self.checked.segments += 1;
            let gap = before.map_or(0, |before| info.first_seq.saturating_sub(before.end_seq));
            if gap > 0 {
                // The books have them: they were counted when their segment was missed.
                let detail =
                    format!("the {gap} events before its first were lost with their segment");
                self.note(info.number, Problem::Gap, &detail);
            }
            // Behind a gap, the hash is that of what is missing.
            let neighbour = before.as_ref().filter(|_| gap == 0);
            match self.vfs.open(&file_name(info.number)) {
                Ok(file) => self.segment(info, &*file, neighbour, &known),
                Err(error) => self.unreadable(info, &error),
            }
            // Those without events are passed over in the chain.
            before = Some(*info).filter(|info| info.events > 0).or(before);
        }
    }

    fn segment(
        &mut self,
        info: &SegmentInfo,
        file: &dyn VfsFile,
        before: Option<&SegmentInfo>,
        known: &HashMap<u64, SegmentInfo>,
    ) {
        let mut header = vec![0; SEGMENT_HEADER_BYTES];
        let is_read = file.read_at(&mut header, 0).is_ok_and(|read| read == header.len());
        let header = SegmentHeader::parse(&header).ok().filter(|_| is_read);
        // Recovery has compared the hashes of the segments it read.
        if let (Some(header), Some(before)) = (header, before)
            && info.number < self.first_scanned
            && header.chain != before.chain
        {
            let detail = "its header continues another segment than the one before it";
            self.note(info.number, Problem::Chain, detail);
        }
        let walked = self.walk(info, file, known);
        if !walked.is_damaged && walked.chain != info.chain {
            let detail = "its frames are not those the checkpoint knows";
            self.note(info.number, Problem::Chain, detail);
        }
        if let Ok(len) = file.len()
            && info.number < self.first_scanned
            && len > info.bytes
            && !is_zero(file, info.bytes..len)
        {
            let detail = "the rest of a write that was never completed";
            let finding = Finding::new(file_name(info.number), Problem::Leftover).because(detail);
            self.checked.findings.push(Finding { range: info.bytes..len, ..finding });
        }
    }

    /// Reads all frames of a segment.
    fn walk(
        &mut self,
        info: &SegmentInfo,
        file: &dyn VfsFile,
        known: &HashMap<u64, SegmentInfo>,
    ) -> Walked {
        let range = (SEGMENT_HEADER_BYTES as u64, info.bytes);
        let seqs = (info.first_seq, Some(info.end_seq));
        let mut walk = Walk::new(file, info.epoch, range, seqs).with_payloads();
        let mut walked = Walked { next_seq: info.first_seq, ..Walked::default() };
        let mut damages = Vec::new();
        while let Some(step) = walk.step() {
            match step {
                Step::Frame { at, header } => {
                    let gap = header.first_seq.saturating_sub(walked.next_seq);
                    if gap > 0 && !walked.is_behind_damage {
                        damages.push((at..at, gap));
                    }
                    walked.next_seq = header.end_seq();
                    walked.is_behind_damage = false;
                    walked.chain = format::chain(walked.chain, header.crc);
                    if self.frame(info, known, &mut walk, (at, &header)) {
                        self.checked.frames += 1;
                        self.checked.events += u64::from(header.events);
                    } else {
                        damages.push((at..at + header.total_len(), header.events.into()));
                    }
                }
                Step::Damage { from, to, events } => {
                    walked.is_behind_damage = true;
                    damages.push((from..to, events.unwrap_or(0)));
                }
                Step::Unsupported { at } => damages.push((at..info.bytes, 0)),
            }
        }
        self.checked.bytes += info.bytes;
        walked.is_damaged = !damages.is_empty();
        let lost: u64 = damages.iter().map(|(_, events)| events).sum();
        // What a checkpoint counts as lost was found before.
        let is_described = info.number < self.first_scanned;
        let is_known = is_described && (1..=info.damaged).contains(&lost);
        for (range, events) in damages {
            let finding = Finding::new(file_name(info.number), Problem::Frames);
            self.checked.findings.push(Finding {
                range,
                events: Some(events),
                is_known,
                ..finding
            });
        }
        walked
    }

    /// Whether a frame's payload is right.
    fn frame(
        &mut self,
        info: &SegmentInfo,
        known: &HashMap<u64, SegmentInfo>,
        walk: &mut Walk<'_>,
        (at, header): (u64, &FrameHeader),
    ) -> bool {
        if !header.is_control {
            return walk.is_payload_right(at, header);
        }
        let Some(records) =
            walk.payload(at, header).and_then(|payload| Record::read_all(&payload).ok())
        else {
            return false;
        };
        for record in records {
            if let Record::Checkpoint(checkpoint) = record {
                self.checkpoint(info.number, &checkpoint, known);
            }
        }
        true
    }

    /// Holds a checkpoint against the newest one.
    fn checkpoint(
        &mut self,
        number: u64,
        checkpoint: &Checkpoint,
        known: &HashMap<u64, SegmentInfo>,
    ) {
        for info in &checkpoint.segments {
            let differs = known.get(&info.number).is_some_and(|known| {
                let facts = |info: &SegmentInfo| {
                    (info.epoch, info.first_seq, info.end_seq, info.events, info.bytes, info.chain)
                };
                facts(known) != facts(info)
            });
            if differs {
                let detail = format!(
                    "its checkpoint describes {} otherwise than the newest",
                    file_name(info.number)
                );
                self.note(number, Problem::Checkpoint, &detail);
            }
        }
    }

    /// Appended events are kept, expired or counted as lost.
    fn books(&mut self) {
        let ledger = self.catalog.ledger;
        let kept =
            |segment: &Segment| segment.info.events - segment.info.damaged.min(segment.info.events);
        let kept: u64 = self.catalog.segments.iter().map(kept).sum();
        let expired = ledger.expired.by_age + ledger.expired.by_size;
        if ledger.appended != kept + expired + ledger.damaged {
            let detail = format!(
                "{} events appended, but {kept} kept, {expired} expired and {} lost",
                ledger.appended, ledger.damaged
            );
            let newest = self.catalog.segments.back().map_or(0, |segment| segment.info.number);
            self.note(newest, Problem::Books, &detail);
        }
    }

    /// Cursors whose positions are none of this journal.
    fn cursors(&mut self) {
        for record in self.catalog.cursors.records() {
            let position = record.position;
            let is_known = self.catalog.epochs.iter().any(|(epoch, _)| *epoch == position.epoch);
            if !is_known || position.seq > self.catalog.head {
                let newest = self.catalog.segments.back().map_or(0, |segment| segment.info.number);
                let detail = format!("`{}` stands where the journal never was", record.name);
                let finding = Finding::new(file_name(newest), Problem::Cursor).because(&detail);
                self.checked.findings.push(Finding { events: Some(0), ..finding });
            }
        }
    }

    /// Files beside the segments.
    fn other_files(&mut self) {
        let Ok(mut names) = self.vfs.list(&|name| segment::number_of(name).is_none()) else {
            return;
        };
        names.sort();
        for name in names {
            let (problem, detail) = if let Some(number) = chunks::number_of(&name) {
                if chunks::is_whole(self.vfs, number) {
                    continue;
                }
                (Problem::Leftover, "not whole; the segment's frames tell the same")
            } else if staging::is_file_name(&name) {
                (Problem::Leftover, "a message that is being staged, or was not completed")
            } else if name == "lock" || name == SPARE_NAME {
                continue;
            } else {
                (Problem::Unknown, "not a file of the journal; it is ignored")
            };
            self.checked.findings.push(Finding::new(name, problem).because(detail));
        }
    }

    fn unreadable(&mut self, info: &SegmentInfo, error: &io::Error) {
        let finding = Finding::new(file_name(info.number), Problem::Unreadable);
        let finding = finding.because(&error.to_string());
        let lost = info.events - info.damaged.min(info.events);
        self.checked.findings.push(Finding { range: 0..info.bytes, events: Some(lost), ..finding });
    }

    fn note(&mut self, number: u64, problem: Problem, detail: &str) {
        self.checked.findings.push(Finding::new(file_name(number), problem).because(detail));
    }
}

/// What a walk through a segment found out.
#[derive(Debug, Default)]
struct Walked {
    chain: u32,
    next_seq: u64,
    is_behind_damage: bool,
    is_damaged: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::journal::format::{NewFrame, end_frame, epoch_seed};

    /// The segment with an event received one nanosecond later, and every checksum right.
    pub(crate) fn with_other_receipt(segment: &[u8]) -> Vec<u8> {
        let header = SegmentHeader::parse(segment).unwrap();
        let seed = epoch_seed(header.epoch);
        let mut out = segment[..SEGMENT_HEADER_BYTES].to_vec();
        let mut at = SEGMENT_HEADER_BYTES;
        while at < segment.len() {
            let room = (segment.len() - at) as u64;
            let frame = FrameHeader::parse(&segment[at..], seed, room).unwrap();
            let end = at + usize::try_from(frame.total_len()).unwrap();
            if frame.is_control {
                out.extend_from_slice(&segment[at..end]);
            } else {
                let payload = &segment[at + frame.header_len as usize..end - 4];
                let tag = frame.tag(&segment[at..]).unwrap();
                let forged = NewFrame {
                    is_control: false,
                    are_times_auto: frame.are_times_auto,
                    codec: frame.codec,
                    payload_len: frame.payload_len,
                    raw_len: frame.raw_len,
                    events: frame.events,
                    first_seq: frame.first_seq,
                    received: logmon_core::Timestamp::from_nanos(frame.received.as_nanos() + 1),
                    times: frame.times,
                    route: frame.route,
                    fields: frame.fields,
                    origin: frame.origin,
                    tag: tag.as_str(),
                    fingerprints: &[],
                };
                let crc = forged.write(&mut out, seed);
                out.extend_from_slice(payload);
                end_frame(&mut out, crc, payload);
            }
            at = end;
        }
        out
    }
}
