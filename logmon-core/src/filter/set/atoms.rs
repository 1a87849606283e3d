//! The distinct atoms of all filters.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::Atom;
use super::index::IndexId;

/// The number of an atom while a filter uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AtomId(u32);

impl AtomId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Default)]
pub(super) struct Atoms {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    ids: HashMap<Arc<Atom>, AtomId>,
}

#[derive(Debug)]
struct Slot {
    atom: Arc<Atom>,
    uses: usize,
    index: Option<IndexId>,
}

impl Atoms {
    /// One more use of `atom`; tells whether it is the first, which is to be [placed](Self::place).
    pub(super) fn take(&mut self, atom: &Arc<Atom>) -> (AtomId, bool) {
        if let Some(id) = self.ids.get(atom) {
            if let Some(slot) = &mut self.slots[id.index()] {
                slot.uses += 1;
            }
            return (*id, false);
        }
        let slot = Some(Slot { atom: atom.clone(), uses: 1, index: None });
        let id = match self.free.pop() {
            Some(free) => {
                self.slots[free as usize] = slot;
                AtomId(free)
            }
            None => {
                self.slots.push(slot);
                // Far more atoms than this would not fit into memory.
                AtomId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.ids.insert(atom.clone(), id);
        (id, true)
    }

    /// Notes the index that finds the atom.
    pub(super) fn place(&mut self, id: AtomId, index: Option<IndexId>) {
        if let Some(slot) = &mut self.slots[id.index()] {
            slot.index = index;
        }
    }

    /// One use less; gives the atom and its index back if that was the last.
    pub(super) fn give_back(&mut self, id: AtomId) -> Option<(Arc<Atom>, Option<IndexId>)> {
        let slot = self.slots[id.index()].as_mut()?;
        slot.uses -= 1;
        if slot.uses > 0 {
            return None;
        }
        let slot = self.slots[id.index()].take()?;
        self.ids.remove(&slot.atom);
        self.free.push(id.0);
        Some((slot.atom, slot.index))
    }

    pub(super) fn index(&self, id: AtomId) -> Option<IndexId> {
        self.slots[id.index()].as_ref()?.index
    }

    pub(super) fn get(&self, id: AtomId) -> Option<&Arc<Atom>> {
        self.slots[id.index()].as_ref().map(|slot| &slot.atom)
    }

    /// Above the number of every atom.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}
