//! Opening: finding out what a directory holds, whatever has happened to it.
//!
//! The newest intact checkpoint describes every segment before it, so that normally one segment is
//! read. Nothing is modified here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use logmon_core::{Epoch, MemoryJournal};

use super::catalog::Catalog;
use super::control::{Checkpoint, Record, SegmentInfo};
use super::cursors::Cursors;
use super::format::{self, HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::report::{Damage, DamageKind, OpenError, RecoveryReport};
use super::segment::{self, Segment, file_name};
use crate::vfs::{Vfs, VfsFile};

mod scan;

use scan::Scan;

/// What a directory holds.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) catalog: Catalog,
    pub(super) report: RecoveryReport,
    /// The epoch the journal was founded in, if there is one.
    pub(super) journal: Option<Epoch>,
    pub(super) next_number: u64,
    /// The first segment whose frames were read; what is before it, a checkpoint tells.
    pub(super) first_scanned: u64,
    /// The hash over the last segment.
    pub(super) chain: u32,
}

/// A file that has the name of a segment.
#[derive(Debug)]
struct Found {
    file: Arc<dyn VfsFile>,
    len: u64,
    header: Result<SegmentHeader, Vec<u8>>,
}

/// Reads the state of the journal in a directory.
pub(super) fn recover(vfs: &dyn Vfs) -> Result<Recovered, OpenError> {
    let mut found = find(vfs)?;
    refuse_foreign(&found)?;
    let next_number = found.keys().next_back().map_or(1, |number| number + 1);
    let mut report = RecoveryReport::default();
    let journal = journal_of(&found);
    set_aside(&mut found, journal, &mut report);
    let mut scans = scan_from_checkpoint(&found, &mut report)?;
    let first_scanned = scans.keys().next().copied().unwrap_or(next_number);
    let checkpoint = scans.values_mut().next().and_then(|scan| scan.checkpoint.take());
    let mut catalog = Catalog { head: MemoryJournal::FIRST_SEQ, ..Catalog::default() };
    let mut more: Option<Scan> = None;
    if let Some(checkpoint) = checkpoint {
        more = scan_behind_table(&checkpoint, &scans, &found)?;
        let read: Vec<&Scan> = scans.values().chain(&more).collect();
        take_checkpoint(&mut catalog, checkpoint, (&found, &read, first_scanned), &mut report);
    }
    let has_more = more.is_some();
    // A segment without events goes sooner or later, and is passed over as if it had gone.
    let last = catalog.segments.iter().rfind(|segment| segment.info.events > 0);
    let mut chain = last.map(|segment| segment.info.chain);
    for (number, scan) in scans {
        let header = found.get(&number).and_then(|found| found.header.as_ref().ok());
        // One without events may have been begun long before its number came to be the last.
        if let (Some(chain), Some(header)) = (chain, header)
            && chain != header.chain
            && (scan.info.events > 0 || !has_more)
        {
            report.note(number, DamageKind::Chain, (0, 0), None);
        }
        if scan.info.events > 0 {
            chain = Some(scan.info.chain);
        }
        take_scan(&mut catalog, scan);
        // Behind the first of them, as that begins with the checkpoint.
        if let Some(more) = more.take() {
            chain = Some(more.info.chain);
            take_more(&mut catalog, more);
        }
    }
    let chain = chain.unwrap_or(0);
    report.next_seq = catalog.head;
    Ok(Recovered { catalog, report, journal, next_number, first_scanned, chain })
}

impl RecoveryReport {
    fn note(&mut self, number: u64, kind: DamageKind, range: (u64, u64), events: Option<u64>) {
        self.damages.push(Damage { file: file_name(number), kind, range, events });
    }
}

fn io_error(number: u64, source: std::io::Error) -> OpenError {
    OpenError::Io { doing: format!("reading {}", file_name(number)), source }
}

/// Opens every file with the name of a segment and reads its header.
fn find(vfs: &dyn Vfs) -> Result<BTreeMap<u64, Found>, OpenError> {
    let names = vfs.list(&|name| segment::number_of(name).is_some()).map_err(|source| {
        OpenError::Io { doing: "listing the journal's directory".into(), source }
    })?;
    let mut found = BTreeMap::new();
    for number in names.iter().filter_map(|name| segment::number_of(name)) {
        let failed = |error| io_error(number, error);
        let file = vfs.open(&file_name(number)).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(failed)?;
        bytes.truncate(read);
        let header = match SegmentHeader::parse(&bytes) {
            Ok(header) => Ok(header),
            Err(HeaderFault::Damaged) => Err(bytes),
            Err(HeaderFault::Version(version)) => {
                let what = format!("format version {version}");
                return Err(OpenError::Later { file: file_name(number), what });
            }
        };
        found.insert(number, Found { file, len, header });
    }
    Ok(found)
}

/// Files that have names of segments and are something else altogether: the directory is not ours.
/// One that was a segment once has some of its magic left, or nothing but zeros.
fn refuse_foreign(found: &BTreeMap<u64, Found>) -> Result<(), OpenError> {
    let mut foreign = None;
    for (number, found) in found.iter().filter(|(_, found)| found.len > 0) {
        let Err(bytes) = &found.header else { return Ok(()) };
        let magic = format::SEGMENT_MAGIC;
        let others = bytes.iter().zip(magic).filter(|(byte, magic)| **byte != *magic).count();
        if others <= magic.len() / 2 || bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        foreign.get_or_insert(*number);
    }
    foreign.map_or(Ok(()), |number| Err(OpenError::NotAJournal { file: file_name(number) }))
}

/// The journal most segments belong to; of several, the one with the oldest segment.
fn journal_of(found: &BTreeMap<u64, Found>) -> Option<Epoch> {
    let mut counts: HashMap<Epoch, usize> = HashMap::new();
    let journals = || found.values().filter_map(|found| Some(found.header.as_ref().ok()?.journal));
    journals().for_each(|journal| *counts.entry(journal).or_default() += 1);
    let most = counts.values().max().copied()?;
    journals().find(|journal| counts.get(journal) == Some(&most))
}

/// Leaves aside the segments of other journals, and those that were renamed.
fn set_aside(
    found: &mut BTreeMap<u64, Found>,
    journal: Option<Epoch>,
    report: &mut RecoveryReport,
) {
    found.retain(|number, found| match &found.header {
        Ok(header) if header.number != *number || Some(header.journal) != journal => {
            report.note(*number, DamageKind::Foreign, (0, 0), None);
            false
        }
        _ => true,
    });
}

/// Scans segments from the newest down to the first that begins with an intact checkpoint.
fn scan_from_checkpoint(
    found: &BTreeMap<u64, Found>,
    report: &mut RecoveryReport,
) -> Result<BTreeMap<u64, Scan>, OpenError> {
    let mut scans = BTreeMap::new();
    for (number, found) in found.iter().rev() {
        let header = match &found.header {
            Ok(header) => Some(*header),
            Err(bytes) => scan::salvage(*number, bytes, &*found.file, found.len),
        };
        let scan = match header {
            Some(header) => Scan::read(&header, &*found.file, found.len)?,
            None => {
                // An empty file is what a crash at the creation of a segment leaves.
                if found.len > 0 {
                    report.note(*number, DamageKind::Header, (0, found.len), None);
                }
                continue;
            }
        };
        if found.header.is_err() {
            report.note(*number, DamageKind::Header, (0, SEGMENT_HEADER_BYTES as u64), Some(0));
        }
        report.scanned_segments += 1;
        report.scanned_bytes += found.len;
        report.damages.extend(scan.damages.iter().cloned());
        let is_described = scan.checkpoint.is_some();
        scans.insert(*number, scan);
        if is_described {
            break;
        }
    }
    Ok(scans)
}

/// Takes over what a checkpoint says, as far as the files of its segments are there.
fn take_checkpoint(
    catalog: &mut Catalog,
    checkpoint: Checkpoint,
    (found, read, first_scanned): (&BTreeMap<u64, Found>, &[&Scan], u64),
    report: &mut RecoveryReport,
) {
    catalog.epochs = checkpoint.epochs;
    catalog.field_maps = checkpoint.field_maps;
    catalog.ledger = checkpoint.ledger;
    catalog.removing = checkpoint.removing;
    catalog.cursors = Cursors::found(checkpoint.cursors);
    // Noted behind the checkpoint: these went, or are about to.
    let removed: HashSet<u64> = read.iter().flat_map(|scan| scan.removed()).collect();
    for info in checkpoint.segments {
        catalog.head = catalog.head.max(info.end_seq);
        if removed.contains(&info.number) || is_there(&info, found.get(&info.number), report) {
            catalog.segments.push_back(Segment::found(info));
        } else if info.events > 0 {
            let lost = info.events - info.damaged.min(info.events);
            report.note(info.number, DamageKind::Missing, (0, info.bytes), Some(lost));
            catalog.ledger.damaged = catalog.ledger.damaged.saturating_add(lost);
        }
    }
    let is_known = |number: &u64| {
        catalog.removing.contains(number)
            || catalog.segments.iter().any(|segment| segment.info.number == *number)
    };
    let before = found.range(..first_scanned);
    let strays = before.filter(|(number, found)| found.len > 0 && !is_known(number));
    for (number, found) in strays {
        report.note(*number, DamageKind::Stray, (0, found.len), None);
    }
}

/// Whether the file of a segment is the one that was written.
fn is_there(info: &SegmentInfo, found: Option<&Found>, report: &mut RecoveryReport) -> bool {
    let Some(found) = found else { return false };
    match &found.header {
        Ok(header) if header.epoch != info.epoch || header.first_seq != info.first_seq => {
            report.note(info.number, DamageKind::Foreign, (0, 0), None);
            return false;
        }
        Ok(_) => {}
        // The table tells all that the header would.
        Err(_) => {
            let header = SEGMENT_HEADER_BYTES as u64;
            report.note(info.number, DamageKind::Header, (0, header), Some(0));
        }
    }
    if found.len < info.bytes {
        report.note(info.number, DamageKind::Frames, (found.len, info.bytes), None);
    }
    true
}

/// Reads what the last segment has behind the end that a checkpoint knows.
///
/// The segment that was begun next has no events: perhaps its beginning failed in the end, as on a
/// full disk, and the one before was written on. Then its file is there all the same, and what its
/// checkpoint says of the one before is not all. `None` where it is.
fn scan_behind_table(
    checkpoint: &Checkpoint,
    scans: &BTreeMap<u64, Scan>,
    found: &BTreeMap<u64, Found>,
) -> Result<Option<Scan>, OpenError> {
    let begun = scans.values().next().map(|scan| scan.info).filter(|begun| begun.events == 0);
    let (Some(begun), Some(last)) = (begun, checkpoint.segments.last().copied()) else {
        return Ok(None);
    };
    let Some(file) = found.get(&last.number) else { return Ok(None) };
    let is_it = matches!(&file.header, Ok(header) if header.first_seq == last.first_seq);
    if !is_it || begun.epoch != last.epoch || file.len <= last.bytes {
        return Ok(None);
    }
    let scan = Scan::read_on(last, &*file.file, file.len)?;
    Ok((scan.info.bytes > last.bytes).then_some(scan))
}

/// Takes over what the last segment has behind the end that was known.
fn take_more(catalog: &mut Catalog, scan: Scan) {
    let is_last = |last: &mut Segment| last.info.number == scan.info.number;
    let Some(last) = catalog.segments.pop_back_if(is_last) else { return };
    let more = scan.info.events.saturating_sub(last.info.events);
    catalog.ledger.appended = catalog.ledger.appended.saturating_add(more);
    catalog.head = catalog.head.max(scan.info.end_seq);
    catalog.segments.push_back(Segment::found(scan.info));
    take_records(catalog, scan.records);
}

/// Adds a segment that no checkpoint describes.
fn take_scan(catalog: &mut Catalog, scan: Scan) {
    let Scan { info, records, damages, .. } = scan;
    if info.first_seq < catalog.head && info.events > 0 {
        // Numbers that are taken already: forged, or a copy from another time.
        return;
    }
    if catalog.epochs.last().is_none_or(|(epoch, _)| *epoch != info.epoch) {
        catalog.epochs.push((info.epoch, info.first_seq));
    }
    // What a forged checkpoint says may be any number.
    catalog.ledger.appended = catalog.ledger.appended.saturating_add(info.events);
    catalog.head = catalog.head.max(info.end_seq);
    if info.events > 0 {
        let mut segment = Segment::found(info);
        for damage in damages.iter().filter(|damage| damage.kind == DamageKind::Frames) {
            let lost = segment.note_damage(damage.range.0, damage.events.unwrap_or(0));
            catalog.ledger.damaged = catalog.ledger.damaged.saturating_add(lost);
        }
        catalog.segments.push_back(segment);
    } else {
        catalog.removing.push(info.number);
    }
    take_records(catalog, records);
}

fn take_records(catalog: &mut Catalog, records: Vec<Record>) {
    for record in records {
        match record {
            Record::Checkpoint(_) => {}
            Record::FieldMap(number, map) => {
                let at = usize::from(number);
                // Numbers whose definition is lost read as the default map.
                if catalog.field_maps.len() <= at {
                    catalog.field_maps.resize(at + 1, Arc::default());
                }
                if let Some(place) = catalog.field_maps.get_mut(at) {
                    *place = map;
                }
            }
            Record::Removed(removal) => catalog.remove(&[removal]),
            record @ (Record::Cursor(_) | Record::CursorEnded(_)) => catalog.take_cursor(record),
        }
    }
}

/// The epoch a salvaged header has to prove.
fn is_epoch_of(epoch: Epoch, first_frame: &[u8], room: u64) -> bool {
    format::FrameHeader::parse(first_frame, format::epoch_seed(epoch), room).is_ok()
}
