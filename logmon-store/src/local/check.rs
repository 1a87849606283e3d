//! Checking every block of a store, and reading what can be read, without changing anything.

use std::sync::Arc;

use logmon_core::Group;

use super::block::{BlockError, BlockInfo, HEADER_BYTES, Scratch};
use super::catalog::{Entry, Partition, Reading};
use super::files::OpenFiles;
use super::recovery::{self, Recovered};
use super::report::{StoreDamage, StoreError, StoreReport};
use super::{format, index, ledger, partition};
use crate::verify::{Finding, Problem};
use crate::vfs::Vfs;

/// Partition files that are open at once.
const OPEN_FILES: usize = 8;

/// A store that is only looked at.
#[derive(Debug)]
pub(crate) struct Inspection {
    vfs: Arc<dyn Vfs>,
    reading: Arc<Reading>,
    partitions: Vec<Partition>,
    findings: Vec<Finding>,
    /// Behind the last number that is in a block, or was.
    pub(crate) end_seq: u64,
}

/// What a check of all blocks has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) count: u64,
    /// Events in those that are whole.
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Inspection {
    /// The store in a directory as it is now; `None` where there is none.
    ///
    /// # Errors
    /// It is of a later version, or cannot be read at all.
    pub(crate) fn of(vfs: Arc<dyn Vfs>) -> Result<Option<Self>, StoreError> {
        let mut report = StoreReport::default();
        let Some(store) = format::look(&*vfs, &mut report)? else { return Ok(None) };
        let reading = Arc::new(Reading::new(OpenFiles::new(vfs.clone(), OPEN_FILES)));
        let recovered = recovery::recover(&*vfs, store, &reading, &mut report)?;
        let Recovered { partitions, end_seq, .. } = recovered;
        let findings = report.damages.into_iter().map(Finding::from).collect();
        Ok(Some(Self { vfs, reading, partitions, findings, end_seq }))
    }

    /// Reads every block.
    pub(crate) fn check(mut self) -> (Vec<Finding>, Blocks) {
        let mut seen = Blocks::default();
        let mut scratch = Scratch::default();
        for partition in std::mem::take(&mut self.partitions) {
            for entry in &partition.blocks {
                seen.count += 1;
                seen.bytes += u64::from(entry.info.len);
                match check_block(&partition, entry, &mut scratch) {
                    Ok(()) => seen.events += u64::from(entry.info.rows),
                    Err(finding) => self.findings.push(finding),
                }
            }
            self.check_index(partition.number());
        }
        (self.findings, seen)
    }

    /// An index that is there and cannot be read.
    fn check_index(&mut self, number: u64) {
        let name = partition::index_name(number);
        let is_there = self.vfs.open(&name).is_ok();
        if is_there && matches!(index::read(&*self.vfs, number, &self.reading), Ok(None)) {
            let finding = Finding::new(name, Problem::Index);
            self.findings.push(Finding { events: Some(0), ..finding });
        }
    }

    /// What is wrong with the store's directory, as far as no block had to be read for it.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The units of blocks in the order of their numbers: the events of each, or why they cannot be
    /// read. A unit is read when it is asked for.
    pub(crate) fn units(&self) -> impl Iterator<Item = Vec<Result<Group, Finding>>> {
        self.partitions.iter().flat_map(|partition| {
            let same = |one: &Entry, next: &Entry| one.info.unit == next.info.unit;
            partition.blocks.chunk_by(same).map(move |unit| {
                let mut scratch = Scratch::default();
                unit.iter().filter_map(|entry| read(partition, entry, &mut scratch)).collect()
            })
        })
    }
}

fn check_block(partition: &Partition, entry: &Entry, scratch: &mut Scratch) -> Result<(), Finding> {
    let failed = |error| finding_of(partition, entry, &error);
    let Some(block) = partition.block(entry).map_err(|error| failed(error.into()))? else {
        return Ok(());
    };
    block.verify(scratch).map_err(failed)?;
    // The index may tell what the block itself does not any more.
    let mut header = [0; HEADER_BYTES];
    let file = partition.reading.files.get(partition.number());
    let read = file.and_then(|file| file.read_at(&mut header, entry.offset));
    let is_same = read.is_ok() && BlockInfo::parse(&header).is_ok_and(|info| info == *entry.info);
    if is_same {
        return Ok(());
    }
    let range = entry.offset..entry.offset + HEADER_BYTES as u64;
    let finding = Finding::new(partition.name.to_string(), Problem::Block);
    let finding = finding.because("its header; the index tells the same");
    Err(Finding { range, events: Some(0), ..finding })
}

fn read(
    partition: &Partition,
    entry: &Entry,
    scratch: &mut Scratch,
) -> Option<Result<Group, Finding>> {
    let block = match partition.block(entry) {
        Ok(block) => block?,
        Err(error) => return Some(Err(finding_of(partition, entry, &error.into()))),
    };
    let read = block.open(scratch).read_all();
    Some(read.map_err(|error| finding_of(partition, entry, &error)))
}

fn finding_of(partition: &Partition, entry: &Entry, error: &BlockError) -> Finding {
    let (problem, range, detail) = match error {
        BlockError::Damage(damage) => {
            let range = damage.offset..damage.offset + damage.len;
            (Problem::Block, range, damage.what.to_owned())
        }
        BlockError::Io(_) | BlockError::Over => {
            (Problem::Unreadable, entry.offset..entry.end(), error.to_string())
        }
    };
    let finding = Finding::new(partition.name.to_string(), problem).because(&detail);
    Finding { range, events: Some(entry.info.rows.into()), ..finding }
}

impl From<StoreDamage> for Finding {
    fn from(damage: StoreDamage) -> Self {
        let StoreDamage { file, range, events, what } = damage;
        let problem = match file.as_str() {
            format::NAME => Problem::Format,
            ledger::NAME => Problem::Books,
            _ => Problem::Block,
        };
        let finding = Self::new(file, problem).because(&what);
        Self { range: range.0..range.1, events, ..finding }
    }
}
