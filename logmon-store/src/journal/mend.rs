//! What a repair needs to know of a journal, and to tell it.

use std::sync::Arc;
use std::time::Duration;

use super::config::{JournalConfig, Retention};
use super::format::SegmentHeader;
use super::recovery::{self, Recovered};
use super::report::OpenError;
use super::{DiskJournal, segment};
use crate::vfs::{Lock, Vfs};

/// Events that a damaged place of a segment has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The place.
    pub(crate) at: u64,
    pub(crate) events: u64,
}

/// The header that the segment in a file had, from what the rest of the journal says about it. The
/// instant of creation is not known there; that of closing takes its place.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn header_of(vfs: &dyn Vfs, file: &str) -> Result<Option<Vec<u8>>, OpenError> {
    let Recovered { catalog, journal, .. } = recovery::recover(vfs)?;
    let number = segment::number_of(file);
    let at = catalog.segments.iter().position(|segment| Some(segment.info.number) == number);
    let found = at.and_then(|at| Some((at, catalog.segments.get(at)?, journal?)));
    Ok(found.map(|(at, segment, journal)| {
        let info = &segment.info;
        let before = catalog.segments.range(..at).rfind(|before| before.info.events > 0);
        let header = SegmentHeader {
            number: info.number,
            epoch: info.epoch,
            journal,
            first_seq: info.first_seq,
            created: info.closed,
            // Nothing is compared with that of the oldest segment.
            chain: before.map_or(0, |before| before.info.chain),
        };
        header.to_bytes()
    }))
}

/// The number of the segment in a file.
pub(crate) fn segment_number(file: &str) -> Option<u64> {
    segment::number_of(file)
}

/// Opens and closes a journal, so that its newest checkpoint counts what is lost. Nothing expires
/// by it.
///
/// # Errors
/// See [`OpenError`].
///
/// # Durability
/// The checkpoint is durable.
pub(crate) fn note_losses(vfs: Arc<dyn Vfs>, lock: Lock, losses: &[Loss]) -> Result<(), OpenError> {
    let retention = Retention { max_bytes: u64::MAX, max_age: None };
    let config = JournalConfig {
        retention,
        history_bytes: u64::MAX,
        orphan_max_age: Duration::MAX,
        ..JournalConfig::default()
    };
    let (journal, _) = DiskJournal::open_locked(vfs, lock, config, losses)?;
    journal.close();
    Ok(())
}
