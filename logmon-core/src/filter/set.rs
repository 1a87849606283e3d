//! Many filters, each distinct one evaluated once.

use std::collections::HashMap;

use super::Filter;
use super::eval::View;
use crate::Event;

/// The filter of one or more registrations in a [`FilterSet`].
///
/// Valid until the last of them is released; then the number is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(u32);

/// A set of filters in which equal ones are one.
///
/// Filters are equal here if they are after [`Filter::simplify`], however they were written.
/// Relative times must be [resolved](Filter::resolve) before.
///
/// # Examples
///
/// ```
/// use logmon_core::{Filter, FilterSet};
///
/// let mut set = FilterSet::new();
/// let one = set.register(&Filter::parse("timeout level:error")?);
/// let other = set.register(&Filter::parse("level:error AND Timeout")?);
/// assert_eq!((one, set.len()), (other, 1));
/// set.release(one);
/// set.release(other);
/// assert!(set.is_empty());
/// # Ok::<(), logmon_core::ParseFilterError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FilterSet {
    slots: Vec<Option<Slot>>,
    /// Places in `slots` that hold nothing.
    free: Vec<u32>,
    by_text: HashMap<Box<str>, FilterId>,
}

#[derive(Clone, Debug)]
struct Slot {
    filter: Filter,
    /// The canonical text, the key of `by_text`.
    text: Box<str>,
    registrations: usize,
}

/// The events of a group that pass one filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matches {
    /// The filter.
    pub filter: FilterId,
    /// The places of the events in the group, ascending; at least one.
    pub events: Vec<u32>,
}

impl FilterSet {
    /// A set without filters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a registration of `filter`. Each is to be released once.
    pub fn register(&mut self, filter: &Filter) -> FilterId {
        let filter = filter.simplify();
        let text = filter.to_string().into_boxed_str();
        if let Some(id) = self.by_text.get(&text).copied()
            && let Some(slot) = self.slot_mut(id)
        {
            slot.registrations += 1;
            return id;
        }
        let slot = Slot { filter, text: text.clone(), registrations: 1 };
        let id = self.insert(slot);
        self.by_text.insert(text, id);
        id
    }

    /// Takes a registration back. Returns whether it was the last one of its filter; does nothing
    /// for an id that is not registered.
    pub fn release(&mut self, id: FilterId) -> bool {
        let Some(slot) = self.slot_mut(id) else { return false };
        slot.registrations -= 1;
        if slot.registrations > 0 {
            return false;
        }
        if let Some(slot) = self.slots.get_mut(id.0 as usize).and_then(Option::take) {
            self.by_text.remove(&slot.text);
            self.free.push(id.0);
        }
        true
    }

    /// The simplified filter.
    pub fn get(&self, id: FilterId) -> Option<&Filter> {
        self.slots.get(id.0 as usize)?.as_ref().map(|slot| &slot.filter)
    }

    /// The number of distinct filters.
    pub fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Whether there are no filters.
    pub fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    /// Finds for each filter which of the events of a group pass.
    ///
    /// Filters that no event passes are left out; the others come in ascending order of their ids.
    pub fn evaluate<E: Event>(&self, group: impl Iterator<Item = E>) -> Vec<Matches> {
        let filters: Vec<(FilterId, &Filter)> = self.filters().collect();
        if filters.is_empty() {
            return Vec::new(); // nobody watches, so nobody pays
        }
        let mut events = vec![Vec::new(); filters.len()];
        for (index, event) in (0u32..).zip(group) {
            let view = View::new(&event);
            for ((_, filter), events) in filters.iter().zip(&mut events) {
                if filter.accepts(&view) {
                    events.push(index);
                }
            }
        }
        let all = filters.into_iter().zip(events);
        let all = all.map(|((filter, _), events)| Matches { filter, events });
        all.filter(|matches| !matches.events.is_empty()).collect()
    }

    fn filters(&self) -> impl Iterator<Item = (FilterId, &Filter)> {
        let slots = (0..).map(FilterId).zip(&self.slots);
        slots.filter_map(|(id, slot)| Some((id, &slot.as_ref()?.filter)))
    }

    fn slot_mut(&mut self, id: FilterId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
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
