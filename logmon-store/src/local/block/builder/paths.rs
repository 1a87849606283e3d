//! The metadata paths of a block.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use logmon_core::filter::MAX_NAME_BYTES;
use logmon_core::{Scalar, ValueKinds};

use super::super::MAX_PATHS;
use super::super::dictionary::Same;
use super::super::paths::TRUNCATED;
use super::super::wire::{put_bytes, put_varint};

/// Paths in the order in which they came, with how many events have a value there.
#[derive(Debug, Default)]
pub(super) struct Paths {
    by_key: HashMap<u64, u16, BuildHasherDefault<Same>>,
    list: Vec<Path>,
    is_truncated: bool,
    event: u32,
}

#[derive(Debug)]
struct Path {
    text: Box<[u8]>,
    events: u32,
    kinds: ValueKinds,
    /// The last event that was looked at by itself and has it.
    last: u32,
}

impl Paths {
    /// The number of a path with this key; `None` where there is no room for more.
    pub(super) fn find_or_insert(&mut self, mut key: u64, text: &[u8]) -> Option<u16> {
        while let Some(number) = self.by_key.get(&key) {
            if self.list.get(usize::from(*number)).is_some_and(|path| *path.text == *text) {
                return Some(*number);
            }
            key = key.wrapping_add(1);
        }
        if self.list.len() >= MAX_PATHS {
            self.is_truncated = true;
            return None;
        }
        let number = u16::try_from(self.list.len()).ok()?;
        self.list.push(Path {
            text: text.into(),
            events: 0,
            kinds: ValueKinds::default(),
            last: 0,
        });
        self.by_key.insert(key, number);
        Some(number)
    }

    /// Begins an event that is looked at by itself.
    pub(super) const fn begin_event(&mut self) {
        self.event += 1;
    }

    /// Counts a value of that event; several at one path count as one, unless the path is longer
    /// than a query can name, as [`FieldTally`](logmon_core::FieldTally) has it.
    pub(super) fn see(&mut self, path: Option<u16>, value: Scalar<'_>) {
        let path = path.and_then(|path| self.list.get_mut(usize::from(path)));
        let Some(path) = path else { return };
        path.kinds = path.kinds.union(ValueKinds::of(value));
        if path.last != self.event || path.text.len() > MAX_NAME_BYTES {
            path.last = self.event;
            path.events += 1;
        }
    }

    #[inline]
    pub(super) fn add_kind(&mut self, path: u32, value: Scalar<'_>) {
        if let Some(path) = self.list.get_mut(path as usize) {
            path.kinds = path.kinds.union(ValueKinds::of(value));
        }
    }

    pub(super) fn add_events(&mut self, path: u32, events: u32) {
        if let Some(path) = self.list.get_mut(path as usize) {
            path.events += events;
        }
    }

    /// Appends the list.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(if self.is_truncated { TRUNCATED } else { 0 });
        put_varint(out, self.list.len() as u64);
        for path in &self.list {
            put_bytes(out, &path.text);
            put_varint(out, u64::from(path.events));
            out.push(path.kinds.bits());
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_key.clear();
        self.list.clear();
        (self.is_truncated, self.event) = (false, 0);
    }
}
