//! What a subscription receives.

use std::ops::Range;
use std::sync::Arc;

use super::ring::Shown;
use super::texts::write_json;
use crate::{Group, LevelCounts, LogRef};

/// One step of a subscription. The ranges of the steps of one subscription join without a gap:
/// each begins where the one before ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// Events.
    Batch(Delivered),
    /// There was nothing for this subscription in the range.
    Progress {
        /// The numbers that were looked at.
        range: Range<u64>,
    },
    /// Events in the range were not delivered.
    Dropped(Dropped),
    /// Everything there was has been delivered; what follows is live.
    CaughtUp {
        /// The number of the next event.
        at: u64,
    },
}

/// Matching events of one group.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub(super) shown: Shown,
    pub(super) matches: Arc<[u32]>,
    /// Where in `matches` the part of this delivery begins and ends.
    pub(super) part: Range<usize>,
    pub(super) range: Range<u64>,
    pub(super) scanned: u64,
}

impl Delivered {
    /// The numbers that were looked at; the matching events are among them.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// How many events were looked at.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// How many events match.
    pub fn len(&self) -> usize {
        self.part.len()
    }

    /// Whether none matches.
    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }

    /// The matching events in order.
    pub fn logs(&self) -> impl Iterator<Item = LogRef<'_>> {
        let indices = self.matches.get(self.part.clone()).unwrap_or_default();
        indices.iter().filter_map(|at| self.shown.group.get(*at as usize))
    }

    /// Appends one of the events as a JSON object, as [`LogRef::write_json`] does. The text is made
    /// once for all who are shown the event, as long as the hub has it and room for the text.
    pub fn write_json(&self, log: &LogRef<'_>, out: &mut String) {
        match &self.shown.texts {
            Some(texts) => texts.write(&self.shown.group, log, out),
            None => write_json(log, out),
        }
    }

    /// The group the events are in, and the indices of the matching ones.
    pub fn group(&self) -> (&Group, &[u32]) {
        (&self.shown.group, self.matches.get(self.part.clone()).unwrap_or_default())
    }
}

/// Events that were not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The numbers that were passed over.
    pub range: Range<u64>,
    /// How many events in the range match, by level; `None` where nobody can tell any more.
    pub by_level: Option<LevelCounts>,
    /// Why.
    pub reason: DropReason,
}

/// Why events were not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// The subscription's mode is [`Latest`](super::Mode::Latest) and it was too slow, or its
    /// reader asked to skip.
    SlowReader,
    /// Retention removed them before they were read.
    Retention,
    /// The position was from a past that a crash took away.
    Diverged,
    /// The position was from another journal.
    ForeignCursor,
    /// The medium could not be read.
    Damaged,
}

impl DropReason {
    /// The name used in the protocols.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SlowReader => "slow_reader",
            Self::Retention => "retention",
            Self::Diverged => "diverged",
            Self::ForeignCursor => "foreign_cursor",
            Self::Damaged => "damaged",
        }
    }
}
