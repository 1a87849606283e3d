//! Opening: finding out what a directory holds, whatever has happened to it.
//!
//! The newest intact checkpoint describes every segment before it, so that normally one segment is
//! read. Nothing is modified here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use logmon_core::{Epoch, MemoryJournal};

use super::catalog::Catalog;
use super::control::{Checkpoint, Record, SegmentInfo};
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
    let next_number = found.keys().next_back().map_or(1, |number| number + 1);
    let mut report = RecoveryReport::default();
    let journal = journal_of(&found);
    set_aside(&mut found, journal, &mut report);
    let mut scans = scan_from_checkpoint(&found, &mut report)?;
    let checkpoint = scans.values_mut().next().and_then(|scan| scan.checkpoint.take());
    let mut catalog = Catalog { head: MemoryJournal::FIRST_SEQ, ..Catalog::default() };
    if let Some(checkpoint) = checkpoint {
        take_checkpoint(&mut catalog, checkpoint, (&found, &scans), &mut report);
    }
    let mut chain = catalog.segments.back().map(|segment| segment.info.chain);
    for (number, scan) in scans {
        let header = found.get(&number).and_then(|found| found.header.as_ref().ok());
        if let (Some(chain), Some(header)) = (chain, header)
            && chain != header.chain
        {
            report.note(number, DamageKind::Chain, (0, 0), None);
        }
        if scan.info.events > 0 {
            chain = Some(scan.info.chain);
        }
        take_scan(&mut catalog, scan);
    }
    let chain = chain.unwrap_or(0);
    report.next_seq = catalog.head;
    Ok(Recovered { catalog, report, journal, next_number, chain })
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
    (found, scans): (&BTreeMap<u64, Found>, &BTreeMap<u64, Scan>),
    report: &mut RecoveryReport,
) {
    catalog.epochs = checkpoint.epochs;
    catalog.field_maps = checkpoint.field_maps;
    catalog.ledger = checkpoint.ledger;
    catalog.removing = checkpoint.removing;
    // Noted behind the checkpoint: these went, or are about to.
    let removed: HashSet<u64> = scans.values().flat_map(Scan::removed).collect();
    for info in checkpoint.segments {
        catalog.head = catalog.head.max(info.end_seq);
        if removed.contains(&info.number) || is_there(&info, found.get(&info.number), report) {
            catalog.segments.push_back(Segment::found(info));
        } else if info.events > 0 {
            let lost = info.events - info.damaged.min(info.events);
            report.note(info.number, DamageKind::Missing, (0, info.bytes), Some(lost));
            catalog.ledger.damaged += lost;
        }
    }
    let is_known = |number: &u64| {
        catalog.removing.contains(number)
            || catalog.segments.iter().any(|segment| segment.info.number == *number)
    };
    let before = found.range(..scans.keys().next().copied().unwrap_or(0));
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
    catalog.ledger.appended += info.events;
    catalog.head = catalog.head.max(info.end_seq);
    if info.events > 0 {
        let mut segment = Segment::found(info);
        for damage in damages.iter().filter(|damage| damage.kind == DamageKind::Frames) {
            catalog.ledger.damaged +=
                segment.note_damage(damage.range.0, damage.events.unwrap_or(0));
        }
        catalog.segments.push_back(segment);
    } else {
        catalog.removing.push(info.number);
    }
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
        }
    }
}

/// The epoch a salvaged header has to prove.
fn is_epoch_of(epoch: Epoch, first_frame: &[u8], room: u64) -> bool {
    format::FrameHeader::parse(first_frame, format::epoch_seed(epoch), room).is_ok()
}
