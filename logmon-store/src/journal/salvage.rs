//! Reading a journal without opening it: no lock, no new segment, nothing written.

use std::sync::Arc;

use logmon_core::Group;

use super::config::JournalConfig;
use super::recovery::{self, Recovered};
use super::report::{Damage, DamageKind, OpenError};
use super::segment::{Segment, file_name};
use super::shared::Shared;
use crate::verify::{Finding, Problem};
use crate::vfs::Vfs;

/// About so many bytes of a segment are read at once.
const GROUP_BYTES: usize = 1 << 20;

/// A journal of which everything readable is read, oldest first.
#[derive(Debug)]
pub(crate) struct Salvage {
    shared: Arc<Shared>,
    segments: std::vec::IntoIter<Segment>,
    /// The segment that is being read, and the number to go on with.
    current: Option<(Segment, u64)>,
    losses: Vec<Finding>,
}

impl Salvage {
    /// The journal as it is now. Another process may go on writing to it.
    ///
    /// # Errors
    /// It is of a later version, or cannot be read at all.
    pub(crate) fn open(vfs: Arc<dyn Vfs>) -> Result<Self, OpenError> {
        let Recovered { catalog, report, .. } = recovery::recover(&*vfs)?;
        let config = JournalConfig { queue_bytes: 0, tail_bytes: 0, ..JournalConfig::default() };
        let segments: Vec<_> = catalog.segments.iter().cloned().collect();
        // Frames are found again in reading, with the segments they stand in.
        let told = report.damages.into_iter().filter(|damage| damage.kind != DamageKind::Frames);
        let losses = told.map(Finding::from).collect();
        let shared = Arc::new(Shared::new(vfs, catalog, &config));
        Ok(Self { shared, segments: segments.into_iter(), current: None, losses })
    }

    /// The next events; `None` when all were read.
    pub(crate) fn next_group(&mut self) -> Option<Group> {
        loop {
            let (segment, seq) = match self.current.take() {
                Some(current) => current,
                None => {
                    let segment = self.segments.next()?;
                    let first = segment.info.first_seq;
                    (segment, first)
                }
            };
            match self.shared.read_segment(&segment, seq, GROUP_BYTES) {
                Ok(group) => {
                    // It always gets on, so this ends.
                    if group.end_seq() > seq && group.end_seq() < segment.info.end_seq {
                        self.current = Some((segment, group.end_seq()));
                    }
                    if !group.is_empty() {
                        return Some(group);
                    }
                }
                Err(error) => {
                    let info = &segment.info;
                    let finding = Finding::new(file_name(info.number), Problem::Unreadable);
                    let finding = finding.because(&error.to_string());
                    let events = Some(info.end_seq - seq);
                    self.losses.push(Finding { range: 0..info.bytes, events, ..finding });
                }
            }
        }
    }

    /// What could not be read so far. A tail that looked torn because it was being written does
    /// not count.
    pub(crate) fn losses(&self) -> Vec<Finding> {
        let mut losses = self.losses.clone();
        let now = recovery::recover(&*self.shared.vfs);
        let is_torn_still = |finding: &Finding| {
            let Ok(Recovered { report, .. }) = &now else { return true };
            let same = |damage: &Damage| {
                damage.file == finding.file && damage.range.0 == finding.range.start
            };
            report.damages.iter().any(same)
        };
        losses.retain(|finding| finding.problem != Problem::TornTail || is_torn_still(finding));
        for segment in &self.shared.catalog().segments {
            for (at, events) in segment.damages() {
                let finding = Finding::new(file_name(segment.info.number), Problem::Frames);
                losses.push(Finding { range: at..at, events: Some(events), ..finding });
            }
        }
        losses
    }
}
