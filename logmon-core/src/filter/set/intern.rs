//! Which filters there are, and how often.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::{Atom, Filter};
use super::FilterId;

/// A filter made ready to be told from others: simplified, and its canonical text.
#[derive(Clone, Debug)]
pub(crate) struct Canonical {
    filter: Arc<Filter>,
    text: Arc<str>,
}

impl Canonical {
    pub(crate) fn of(filter: &Filter) -> Self {
        let filter = filter.simplify();
        let text = filter.to_string().into();
        Self { filter: Arc::new(filter), text }
    }

    pub(crate) fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }

    /// How many regular expressions of it have to be run on every message.
    pub(crate) fn scans(&self) -> usize {
        self.filter.scans()
    }
}

impl Filter {
    fn scans(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Atom(atom) => {
                usize::from(matches!(&**atom, Atom::Regexp(regexp) if regexp.required().is_empty()))
            }
            Self::Not(inner) => inner.scans(),
            Self::And(operands) | Self::Or(operands) => operands.iter().map(Self::scans).sum(),
        }
    }
}

/// Gives equal filters one number.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    slots: Vec<Option<Slot>>,
    /// Places in `slots` that hold nothing.
    free: Vec<u32>,
    by_text: HashMap<Arc<str>, FilterId>,
    /// How many regular expressions have to be run on every message.
    scans: usize,
}

#[derive(Debug)]
struct Slot {
    canonical: Canonical,
    registrations: usize,
}

impl Interner {
    /// Adds a registration; tells whether it is the first of its filter.
    pub(crate) fn register(&mut self, canonical: Canonical) -> (FilterId, bool) {
        if let Some(id) = self.by_text.get(&canonical.text).copied()
            && let Some(slot) = self.slot_mut(id)
        {
            slot.registrations += 1;
            return (id, false);
        }
        let text = canonical.text.clone();
        self.scans += canonical.scans();
        let id = self.insert(Slot { canonical, registrations: 1 });
        self.by_text.insert(text, id);
        (id, true)
    }

    /// Takes a registration back; gives the filter if that was the last one.
    pub(crate) fn release(&mut self, id: FilterId) -> Option<Arc<Filter>> {
        let slot = self.slot_mut(id)?;
        slot.registrations -= 1;
        if slot.registrations > 0 {
            return None;
        }
        let slot = self.slots.get_mut(id.index())?.take()?;
        self.by_text.remove(&slot.canonical.text);
        self.scans -= slot.canonical.scans();
        self.free.push(id.0);
        Some(slot.canonical.filter)
    }

    pub(crate) fn get(&self, id: FilterId) -> Option<&Arc<Filter>> {
        self.slots.get(id.index())?.as_ref().map(|slot| &slot.canonical.filter)
    }

    /// Whether a registration of the filter would not be the first.
    pub(crate) fn has(&self, canonical: &Canonical) -> bool {
        self.by_text.contains_key(&canonical.text)
    }

    /// How many regular expressions of all filters have to be run on every message.
    pub(crate) fn scans(&self) -> usize {
        self.scans
    }

    pub(crate) fn len(&self) -> usize {
        self.by_text.len()
    }

    fn slot_mut(&mut self, id: FilterId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    fn insert(&mut self, slot: Slot) -> FilterId {
        if let Some(free) = self.free.pop() {
            if let Some(place) = self.slots.get_mut(free as usize) {
                *place = Some(slot);
            }
            return FilterId(free);
        }
        self.slots.push(Some(slot));
        // Far more filters than this would not fit into memory.
        FilterId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
    }
}
