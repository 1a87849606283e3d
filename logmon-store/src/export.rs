//! Reading all that can still be read, without opening anything for writing.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::vec;

use logmon_core::{Group, LogRef};

use crate::journal::salvage::Salvage;
use crate::local::check::Inspection;
use crate::verify::{Finding, Parts, VerifyError, in_folder};

/// Every event of a data directory that can be read, in journal and store, once, oldest first.
///
/// Nothing is locked or changed, so a process may be running on the directory; what it takes after
/// [`RawExport::open`] is not seen.
#[derive(Debug)]
pub struct RawExport {
    journal: Salvage,
    store: Option<Inspection>,
    /// What could not be read of the store.
    losses: Vec<Finding>,
    missing: Vec<Range<u64>>,
}

impl RawExport {
    /// The events in the data directory at `data_dir`. Blocks, as every read does.
    ///
    /// # Errors
    /// There is no journal, or one of a later version, or the directory cannot be read.
    pub fn open(data_dir: impl AsRef<Path>) -> Result<Self, VerifyError> {
        let parts = Parts::of(data_dir.as_ref())?;
        // What retention removes from the journal meanwhile is in blocks by then.
        let journal = Salvage::open(parts.journal)?;
        let store = parts.store.map(Inspection::of).transpose()?.flatten();
        Ok(Self { journal, store, losses: Vec::new(), missing: Vec::new() })
    }

    /// Shows each event, until it breaks off or there are no more. To be called once.
    pub fn each(&mut self, mut show: impl FnMut(&LogRef<'_>) -> ControlFlow<()>) {
        let Self { journal, store, losses, missing } = self;
        let units = store.iter().flat_map(Inspection::units);
        let blocks = units.map(|unit| {
            let read = unit.into_iter().filter_map(|read| match read {
                Ok(group) => Some(group),
                Err(finding) => {
                    losses.push(finding);
                    None
                }
            });
            read.collect()
        });
        let frames = std::iter::from_fn(|| journal.next_group().map(|group| vec![group]));
        let (mut blocks, mut frames) = (Events::new(blocks), Events::new(frames));
        let mut next_seq = None;
        loop {
            let seq = [blocks.seq(), frames.seq()].into_iter().flatten().min();
            let Some(seq) = seq else { return };
            if let Some(next) = next_seq.filter(|next| *next < seq) {
                missing.push(next..seq);
            }
            next_seq = Some(seq + 1);
            let (in_block, in_frame) = (blocks.take(seq), frames.take(seq));
            let Some((group, at)) = in_frame.or(in_block) else { return };
            let flow = group.get(at).map_or(ControlFlow::Continue(()), |log| show(&log));
            if flow.is_break() {
                return;
            }
        }
    }

    /// Numbers between the first and the last event shown that no event had: what could not be
    /// read anywhere, or was gone before.
    pub fn missing(&self) -> &[Range<u64>] {
        &self.missing
    }

    /// What could not be read so far, and what was found missing. The other of journal and store may
    /// have had it.
    pub fn losses(&self) -> Vec<Finding> {
        let mut losses = self.journal.losses();
        in_folder("journal", &mut losses);
        let store = self.store.iter().flat_map(Inspection::findings).chain(&self.losses);
        let mut more: Vec<_> = store.cloned().collect();
        in_folder("store", &mut more);
        losses.append(&mut more);
        losses
    }
}

/// Events in the order of their numbers, from groups that may overlap within a unit.
struct Events<I> {
    units: I,
    unit: Vec<Group>,
    /// Number, group and place of what is left of the unit; the next at the back.
    left: Vec<(u64, usize, usize)>,
}

impl<I: Iterator<Item = Vec<Group>>> Events<I> {
    fn new(units: I) -> Self {
        Self { units, unit: Vec::new(), left: Vec::new() }
    }

    /// The number of the next event.
    fn seq(&mut self) -> Option<u64> {
        while self.left.is_empty() {
            self.unit = self.units.next()?;
            let groups = self.unit.iter().enumerate();
            let events = groups.flat_map(|(at, group)| {
                group.iter().enumerate().map(move |(place, log)| (log.seq(), at, place))
            });
            self.left = events.collect();
            self.left.sort_unstable_by(|one, next| next.cmp(one));
        }
        self.left.last().map(|(seq, _, _)| *seq)
    }

    /// The next event, if it has this number.
    fn take(&mut self, seq: u64) -> Option<(Group, usize)> {
        if self.seq()? != seq {
            return None;
        }
        let (_, at, place) = self.left.pop()?;
        // A group is a reference count.
        Some((self.unit.get(at)?.clone(), place))
    }
}
