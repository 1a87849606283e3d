//! The newest groups, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use logmon_core::{Group, Timestamp};

/// Keeps the newest groups up to a number of bytes, at least one.
#[derive(Debug)]
pub(super) struct Tail {
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    groups: VecDeque<Recent>,
    bytes: usize,
}

/// A group, and the least and greatest timestamp of its events.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub(crate) group: Group,
    pub(crate) times: (Timestamp, Timestamp),
}

impl Tail {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, kept: Mutex::default() }
    }

    pub(super) fn push(&self, recent: Recent) {
        let mut kept = self.kept();
        kept.bytes += recent.group.memory();
        kept.groups.push_back(recent);
        while kept.bytes > self.max_bytes && kept.groups.len() > 1 {
            kept.bytes -= kept.groups.pop_front().map_or(0, |recent| recent.group.memory());
        }
    }

    /// All groups with events numbered from `seq` on; none is missing between the first and the
    /// last of them.
    pub(super) fn since(&self, seq: u64) -> Vec<Recent> {
        let kept = self.kept();
        let at = kept.groups.partition_point(|recent| recent.group.end_seq() <= seq);
        kept.groups.range(at..).cloned().collect()
    }

    /// The group that holds the event numbered `seq`.
    pub(super) fn find(&self, seq: u64) -> Option<Group> {
        let kept = self.kept();
        let at = kept.groups.partition_point(|recent| recent.group.end_seq() <= seq);
        let found = kept.groups.get(at).filter(|recent| recent.group.first_seq() <= seq);
        found.map(|recent| recent.group.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while the lock is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
