//! Rows by their values, within limits.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use hashbrown::HashTable;

use super::cell::Cell;
use crate::store::FieldValue;
use crate::store::value::ValueRef;

/// The values of a row, wherever they are.
pub(super) trait RowKey {
    /// Shows the values, the last one first.
    fn each(&self, each: &mut dyn FnMut(ValueRef<'_>));

    /// Whether these are the values.
    fn is(&self, key: &[FieldValue]) -> bool;

    fn to_owned(&self) -> Box<[FieldValue]> {
        let mut values = Vec::new();
        self.each(&mut |value| values.push(value.to_owned()));
        values.reverse();
        values.into()
    }

    /// About how many bytes of memory a row of these values takes.
    fn memory(&self, buckets: usize) -> usize {
        // With the ends of its allocations, and the free places of the tables.
        let mut bytes = (size_of::<Slot>() + size_of::<u32>()) * 3 / 2 + 32 + buckets * 8;
        self.each(&mut |value| {
            bytes += size_of::<FieldValue>();
            bytes += match value {
                ValueRef::Text(text) => text.len() + 16,
                ValueRef::Bytes(value) => value.len() + 16,
                _ => 0,
            };
        });
        bytes
    }
}

impl RowKey for [FieldValue] {
    fn each(&self, each: &mut dyn FnMut(ValueRef<'_>)) {
        self.iter().rev().for_each(|value| each(value.borrow()));
    }

    fn is(&self, key: &[FieldValue]) -> bool {
        self == key
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Limits {
    pub(super) const NONE: Self = Self { rows: u32::MAX as usize, bytes: usize::MAX };
}

#[derive(Debug)]
pub(super) struct Rows {
    limits: Limits,
    hasher: RandomState,
    /// Places in `slots`.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    bytes: usize,
    /// The greatest count of a row that had to go: what has no row has no more events.
    lost: u64,
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    bytes: usize,
    key: Box<[FieldValue]>,
    cell: Cell,
}

impl Rows {
    pub(super) fn new(limits: Limits) -> Self {
        let (hasher, index) = (RandomState::new(), HashTable::new());
        Self { limits, hasher, index, slots: Vec::new(), bytes: 0, lost: 0 }
    }

    fn hash<K: RowKey + ?Sized>(&self, key: &K) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        key.each(&mut |value| value.hash(&mut hasher));
        hasher.finish()
    }

    fn find<K: RowKey + ?Sized>(&self, hash: u64, key: &K) -> Option<usize> {
        let is_it = |at: &u32| {
            let slot = self.slots.get(*at as usize);
            slot.is_some_and(|slot| slot.hash == hash && key.is(&slot.key))
        };
        self.index.find(hash, is_it).map(|at| *at as usize)
    }

    pub(super) fn get<K: RowKey + ?Sized>(&mut self, key: &K) -> Option<&mut Cell> {
        let at = self.find(self.hash(key), key)?;
        self.slots.get_mut(at).map(|slot| &mut slot.cell)
    }

    /// Whether nothing would have to go for a new row.
    pub(super) fn has_room_for<K: RowKey + ?Sized>(&self, key: &K, buckets: usize) -> bool {
        self.has_room(key.memory(buckets))
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.slots.len() < self.limits.rows && self.bytes + bytes <= self.limits.bytes
    }

    /// Makes a row that is not there.
    pub(super) fn insert<K: RowKey + ?Sized>(&mut self, key: &K, buckets: usize) -> &mut Cell {
        let hash = self.hash(key);
        let (key, bytes) = (key.to_owned(), key.memory(buckets));
        let mut cell = Cell::new(buckets);
        while !self.has_room(bytes) && !self.slots.is_empty() {
            self.make_room();
        }
        cell.count = self.lost;
        self.push(Slot { hash, bytes, key, cell })
    }

    fn push(&mut self, slot: Slot) -> &mut Cell {
        let Self { index, slots, .. } = self;
        let at = slots.len();
        // Within the limits.
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        index.insert_unique(slot.hash, place, |at| {
            slots.get(*at as usize).map_or(slot.hash, |slot| slot.hash)
        });
        self.bytes += slot.bytes;
        slots.push(slot);
        &mut slots[at].cell
    }

    /// Lets the sixteenth part go that has the least counts.
    fn make_room(&mut self) {
        let going = self.slots.len().div_ceil(16);
        let staying = self.slots.len() - going;
        if staying > 0 {
            let by_count = |a: &Slot, b: &Slot| b.cell.count.cmp(&a.cell.count);
            self.slots.select_nth_unstable_by(staying - 1, by_count);
        }
        for gone in self.slots.drain(staying..) {
            self.bytes -= gone.bytes;
            self.lost = self.lost.max(gone.cell.count);
        }
        self.index.clear();
        for (at, slot) in self.slots.iter().enumerate() {
            let hash = |at: &u32| self.slots.get(*at as usize).map_or(0, |slot| slot.hash);
            self.index.insert_unique(slot.hash, u32::try_from(at).unwrap_or(u32::MAX), hash);
        }
    }

    /// Moves the rows out.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self { hasher: self.hasher.clone(), ..Self::new(self.limits) };
        std::mem::replace(self, empty)
    }

    /// Adds all rows of another table. What has no row in one of the tables may have had as many
    /// events there as the greatest that had to go.
    pub(super) fn merge(&mut self, other: Self) {
        if other.lost > 0 {
            for at in 0..self.slots.len() {
                let key = &*self.slots[at].key;
                if other.find(other.hash(key), key).is_none() {
                    self.slots[at].cell.count += other.lost;
                }
            }
        }
        for slot in other.slots {
            let buckets = slot.cell.buckets();
            match self.get(&*slot.key) {
                Some(cell) => cell.merge(&slot.cell),
                None => self.insert(&*slot.key, buckets).merge(&slot.cell),
            }
        }
        self.lost += other.lost;
    }

    /// The rows, and by how much a count may be too high.
    pub(super) fn finish(self) -> (impl Iterator<Item = (Box<[FieldValue]>, Cell)>, Option<u64>) {
        let error = (self.lost > 0).then_some(self.lost);
        (self.slots.into_iter().map(|slot| (slot.key, slot.cell)), error)
    }
}
