//! Counting in how many events each path is.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::{FieldStats, ValueKinds};
use crate::filter::{MAX_NAME_BYTES, is_reserved};
use crate::{Event as _, LogRef};

/// Paths in a catalogue.
const MAX_FIELDS: usize = 10_000;
/// Paths that are counted at once, of which the catalogue takes those of most events.
const MAX_COUNTED: usize = 100_000;
/// Bytes of a path that is counted by itself: no query can name a longer one.
const MAX_PATH_BYTES: usize = MAX_NAME_BYTES;
/// What a path takes beside its text, with the free places of the table.
const PATH_OVERHEAD: usize = 96;

/// The paths of events while they are counted.
///
/// Whoever knows the paths of many events at once adds them by [`FieldTally::add`]; that gives the
/// same as [`FieldTally::observe`] for each of them. The answer is exact while there are no more
/// than 100,000 distinct paths and they fit into the memory; beyond that, paths met late are
/// counted together. No count is ever lost: with those of the others, the sum is always right.
#[derive(Debug)]
pub struct FieldTally {
    paths: HashMap<Box<str>, Known>,
    /// What the paths take, about.
    bytes: usize,
    max_bytes: usize,
    others: u64,
    /// The number of the event that is observed.
    event: u64,
    /// Digests of its paths that are counted among the others.
    met: HashSet<u64>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Known {
    events: u64,
    kinds: ValueKinds,
    /// The event it was met in last.
    last: u64,
}

impl Default for FieldTally {
    /// A tally that takes up to 64 MiB.
    fn default() -> Self {
        Self::with_memory(64 << 20)
    }
}

impl FieldTally {
    /// A tally that takes up to about so many bytes.
    pub fn with_memory(max_bytes: usize) -> Self {
        Self {
            paths: HashMap::new(),
            bytes: 0,
            max_bytes,
            others: 0,
            event: 0,
            met: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Counts the paths of one event, each once.
    pub fn observe(&mut self, log: &LogRef<'_>) {
        self.event += 1;
        self.met.clear();
        log.each_metadata(&mut |path, value| {
            // A path that is not text cannot be named.
            if let Ok(path) = std::str::from_utf8(path) {
                self.meet(path, ValueKinds::of(value));
            }
        });
    }

    fn meet(&mut self, path: &str, kinds: ValueKinds) {
        let event = self.event;
        if let Some(known) = self.known(path) {
            known.kinds = known.kinds.union(kinds);
            if known.last != event {
                known.last = event;
                known.events += 1;
            }
            return;
        }
        if self.met.insert(self.digest(path)) {
            self.others += 1;
        }
    }

    /// Of a long path only its length and its ends: the values below it may be many.
    fn digest(&self, path: &str) -> u64 {
        let bytes = path.as_bytes();
        let half = MAX_PATH_BYTES / 2;
        match (
            bytes.first_chunk::<{ MAX_PATH_BYTES / 2 }>(),
            bytes.get(bytes.len().saturating_sub(half)..),
        ) {
            (Some(first), Some(last)) => self.hasher.hash_one((bytes.len(), first, last)),
            _ => self.hasher.hash_one(bytes),
        }
    }

    /// Adds a path, without the prefix `metadata.`, that so many events have.
    pub fn add(&mut self, path: &str, events: u64, kinds: ValueKinds) {
        match self.known(path) {
            Some(known) => {
                known.events += events;
                known.kinds = known.kinds.union(kinds);
            }
            None => self.others += events,
        }
    }

    /// Adds so many meetings of paths that nobody kept.
    pub const fn add_others(&mut self, others: u64) {
        self.others += others;
    }

    /// Adds what another tally has counted.
    pub fn merge(&mut self, other: Self) {
        for (path, known) in other.paths {
            self.add(&path, known.events, known.kinds);
        }
        self.others += other.others;
    }

    /// The entry of a path, where there is one or room for it.
    fn known(&mut self, path: &str) -> Option<&mut Known> {
        if path.len() > MAX_PATH_BYTES {
            return None;
        }
        if !self.paths.contains_key(path) {
            let bytes = self.bytes + path.len() + PATH_OVERHEAD;
            if self.paths.len() >= MAX_COUNTED || bytes > self.max_bytes {
                return None;
            }
            self.bytes = bytes;
            // No event has the number 0.
            let new = Known { events: 0, kinds: ValueKinds::default(), last: 0 };
            self.paths.insert(path.into(), new);
        }
        self.paths.get_mut(path)
    }

    /// The paths of most events, and how often others were met.
    pub(super) fn finish(self) -> (Vec<FieldStats>, u64) {
        let stats = |(path, Known { events, kinds, .. })| FieldStats::new(path, events, kinds);
        let mut fields: Vec<_> = self.paths.into_iter().map(stats).collect();
        fields.sort_unstable_by(|a, b| b.events.cmp(&a.events).then_with(|| a.path.cmp(&b.path)));
        let dropped = fields.drain(fields.len().min(MAX_FIELDS)..);
        let others = self.others + dropped.map(|field| field.events).sum::<u64>();
        for field in fields.iter_mut().filter(|field| is_reserved(&field.path)) {
            field.path = format!("metadata.{}", field.path).into();
        }
        (fields, others)
    }
}

#[cfg(test)]
mod tests;
