//! The newest groups, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use logmon_core::Group;

/// Keeps the newest groups up to a number of bytes, at least one.
#[derive(Debug)]
pub(super) struct Tail {
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    groups: VecDeque<Group>,
    bytes: usize,
}

impl Tail {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, kept: Mutex::default() }
    }

    pub(super) fn push(&self, group: Group) {
        let mut kept = self.kept();
        kept.bytes += group.memory();
        kept.groups.push_back(group);
        while kept.bytes > self.max_bytes && kept.groups.len() > 1 {
            kept.bytes -= kept.groups.pop_front().map_or(0, |group| group.memory());
        }
    }

    /// The group that holds the event numbered `seq`.
    pub(super) fn find(&self, seq: u64) -> Option<Group> {
        let kept = self.kept();
        let at = kept.groups.partition_point(|group| group.end_seq() <= seq);
        kept.groups.get(at).filter(|group| group.first_seq() <= seq).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while the lock is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
