//! Opening: finding out what a directory holds, whatever has happened to it.
//!
//! Nothing is modified here.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::catalog::{Entry, Partition, Reading};
use super::ledger::Ledger;
use super::partition::{self, Header, HeaderFault, file_name};
use super::report::{StoreDamage, StoreError, StoreReport};
use super::scan::{Scanned, scan};
use super::{index, ledger};
use crate::vfs::{Vfs, VfsFile};

/// What a directory holds.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Oldest first.
    pub(super) partitions: Vec<Partition>,
    pub(super) ledger: Ledger,
    /// No file has this number, or a greater one.
    pub(super) next_number: u64,
    /// Partitions without a block that counts.
    pub(super) void: Vec<u64>,
    /// Behind the last number that is in a block, or was.
    pub(super) end_seq: u64,
    /// Events ever put into blocks.
    pub(super) delivered: u64,
}

impl Recovered {
    /// Reports events that are neither in a block nor removed.
    fn check_books(&self, has_ledger: bool, report: &mut StoreReport) {
        let kept: u64 = self.partitions.iter().map(|partition| partition.events).sum();
        let missing = self.delivered.saturating_sub(kept + self.ledger.expired.total());
        if missing == 0 {
            return;
        }
        let what = if has_ledger {
            "blocks in them, or whole partitions, are missing"
        } else {
            "it is missing or damaged; what expired counts as lost"
        };
        let file = if has_ledger { "*.blk" } else { ledger::NAME };
        let (file, what) = (file.to_owned(), what.to_owned());
        report.damages.push(StoreDamage { file, range: (0, 0), events: Some(missing), what });
    }
}

/// Reads the state of the store in a directory.
pub(super) fn recover(
    vfs: &dyn Vfs,
    store: u64,
    reading: &Arc<Reading>,
    report: &mut StoreReport,
) -> Result<Recovered, StoreError> {
    let numbers = numbers(vfs)?;
    let next_number = numbers.last().map_or(1, |number| number + 1);
    let known = Ledger::read(vfs).map_err(StoreError::io("reading the ledger"))?;
    let has_ledger = known.is_some();
    let mut ledger = known.unwrap_or_default();
    let mut partitions: Vec<Partition> = Vec::with_capacity(numbers.len());
    for number in numbers.iter().filter(|number| !ledger.removing.contains(number)) {
        let found = match index::read(vfs, *number, reading)? {
            Some(indexed) => Some(indexed),
            None => {
                let before = (partitions.last(), ledger.end_seq);
                read_partition(vfs, *number, before, (store, reading), report)?
            }
        };
        let Some(partition) = found else { continue };
        if partition.header.store == store {
            partitions.push(partition);
        } else {
            report.note(*number, 0..0, Some(0), "it belongs to another store; it is left alone");
        }
    }
    ledger.removing.retain(|number| numbers.contains(number));
    join(&mut partitions);
    let is_void = |partition: &&Partition| partition.blocks.is_empty() && !partition.is_unread;
    let void = partitions.iter().filter(is_void);
    let void = void.map(Partition::number).collect();
    let end_seq = partitions.last().map_or(0, Partition::end_seq).max(ledger.end_seq);
    let delivered = partitions.last().map_or(0, Partition::events_after).max(ledger.delivered);
    partitions.retain(|partition| !partition.blocks.is_empty());
    let recovered = Recovered { partitions, ledger, next_number, void, end_seq, delivered };
    recovered.check_books(has_ledger, report);
    let partitions = &recovered.partitions;
    report.partitions = partitions.len();
    report.blocks = partitions.iter().map(|partition| partition.blocks.len()).sum();
    report.events = partitions.iter().map(|partition| partition.events).sum();
    Ok(recovered)
}

impl StoreReport {
    fn note(&mut self, number: u64, range: Range<u64>, events: Option<u64>, what: &str) {
        let (file, range) = (file_name(number), (range.start, range.end));
        self.damages.push(StoreDamage { file, range, events, what: what.to_owned() });
    }
}

fn numbers(vfs: &dyn Vfs) -> Result<BTreeSet<u64>, StoreError> {
    let names = vfs.list(&|name| partition::number_of(name).is_some());
    let names = names.map_err(StoreError::io("listing the directory"))?;
    Ok(names.iter().filter_map(|name| partition::number_of(name)).collect())
}

/// A partition without an intact index, from its file; `None` where there is nothing in it. What
/// was before `known_end` has been removed.
fn read_partition(
    vfs: &dyn Vfs,
    number: u64,
    (before, known_end): (Option<&Partition>, u64),
    (store, reading): (u64, &Arc<Reading>),
    report: &mut StoreReport,
) -> Result<Option<Partition>, StoreError> {
    let name = file_name(number);
    let opened = vfs.open(&name).and_then(|file| Ok((file.len()?, file)));
    let (len, file) = opened.map_err(StoreError::io(format!("opening {name}")))?;
    let later = |what: String| StoreError::Later { file: name.clone(), what };
    let mut has_failed = false;
    let header = read_header(&*file, &mut has_failed);
    if let Err(HeaderFault::Version(version)) = header {
        return Err(later(format!("format version {version}")));
    }
    let scanned = scan(&*file, len);
    let scanned = scanned.map_err(|version| later(format!("a block of version {version}")))?;
    report.scanned_partitions += 1;
    let header = match header {
        Ok(header) if header.number == number => header,
        Ok(_) => {
            report.note(number, 0..0, Some(0), "it has another name than it was written under");
            return Ok(None);
        }
        Err(_) => {
            // What a crash at the creation of the file leaves.
            let Some((_, first)) = scanned.blocks.first() else { return Ok(None) };
            report.note(
                number,
                0..partition::HEADER_BYTES as u64,
                Some(0),
                "its header is damaged",
            );
            Header {
                store,
                number,
                // The first block may have gone with the header: what the file before does not
                // have is not to be taken for something that was durable.
                first_seq: before.map_or(known_end, Partition::end_seq).min(first.unit.start),
                events_before: before.map_or(0, Partition::events_after),
                begun: first.received.0,
            }
        }
    };
    let is_unread = scanned.has_failed || has_failed;
    if is_unread {
        let what = "not all of it can be read; it is left as it is, and read again another time";
        report.note(number, 0..len, None, what);
    }
    let empty = Partition { is_unread, ..Partition::new(header, reading.clone()) };
    let partition = gather(empty, &scanned);
    for range in scanned.damages.into_iter().filter(|range| range.end < len) {
        report.note(number, range, None, "what stands there is no block");
    }
    Ok(Some(partition))
}

/// The header of a file. What looks damaged is read once more.
fn read_header(file: &dyn VfsFile, has_failed: &mut bool) -> Result<Header, HeaderFault> {
    let mut read = || {
        let mut bytes = [0; partition::HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0);
        *has_failed = read.is_err();
        Header::parse(bytes.get(..read.unwrap_or(0)).unwrap_or_default())
    };
    read().or_else(|_| read())
}

/// Puts the blocks that were found into a partition.
fn gather(mut partition: Partition, scanned: &Scanned) -> Partition {
    for (offset, info) in &scanned.blocks {
        let last = partition.blocks.last().map(|last| last.info.clone());
        let is_next = match &last {
            // The second block of a unit.
            Some(last) if last.unit == info.unit => last.part.0 < info.part.0,
            _ => info.unit.start >= partition.end_seq(),
        };
        // Anything else was not written by this store.
        if is_next {
            partition.push(Entry { info: Arc::new(info.clone()), offset: *offset });
        }
    }
    partition
}

/// Settles where each partition ends.
fn join(partitions: &mut [Partition]) {
    let next: Vec<u64> =
        partitions.iter().skip(1).map(|partition| partition.header.first_seq).collect();
    for (partition, next) in partitions.iter_mut().zip(next) {
        if partition.end_seq() > next {
            // They are in the next one again.
            *partition = partition.cut(next);
        }
    }
    // The header of the next one will say how many events there were.
    if let Some(last) = partitions.last_mut().filter(|last| last.closed.is_none()) {
        last.lost = gaps(last);
    }
}

/// Numbers that no unit of a partition covers, but for those at its end.
pub(super) fn gaps(partition: &Partition) -> u64 {
    let mut end = partition.header.first_seq;
    let mut missing = 0;
    for block in &partition.blocks {
        missing += block.info.unit.start.saturating_sub(end);
        end = block.info.unit.end;
    }
    missing
}
