//! Many filters, evaluated together.

mod atoms;
mod columns;
mod index;
mod intern;
#[cfg(test)]
mod laws;
mod matcher;
mod plan;
mod rows;

pub(crate) use intern::{Canonical, Interner};
pub(crate) use matcher::Matcher;

use super::Filter;
use crate::Event;

/// The filter of one or more registrations in a [`FilterSet`].
///
/// Valid until the last of them is released; then the number is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(u32);

impl FilterId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of filters in which equal ones are one, evaluated together: what they have in common is
/// found once for each event, however many filters ask for it.
///
/// Filters are equal here if they are after [`Filter::simplify`], however they were written.
/// Relative times must be [resolved](Filter::resolve) before.
///
/// Registering and releasing take time by the size of the filter alone, with two exceptions: many
/// `*substring*` atoms are searched for by an automaton that a thread of its own builds, for which
/// no call waits; and releasing a filter looks through the filters that the same atom gates.
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
#[derive(Debug, Default)]
pub struct FilterSet {
    interner: Interner,
    matcher: Matcher,
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
        let canonical = Canonical::of(filter);
        let filter = canonical.filter().clone();
        let (id, is_first) = self.interner.register(canonical);
        if is_first {
            self.matcher.insert(id, &filter);
        }
        id
    }

    /// Takes a registration back. Returns whether it was the last one of its filter; does nothing
    /// for an id that is not registered.
    pub fn release(&mut self, id: FilterId) -> bool {
        let is_last = self.interner.release(id).is_some();
        if is_last {
            self.matcher.remove(id);
        }
        is_last
    }

    /// The simplified filter.
    pub fn get(&self, id: FilterId) -> Option<&Filter> {
        self.interner.get(id).map(|filter| &**filter)
    }

    /// The number of distinct filters.
    pub fn len(&self) -> usize {
        self.interner.len()
    }

    /// The number of distinct atoms in them.
    pub fn atoms(&self) -> usize {
        self.matcher.atoms()
    }

    /// Whether there are no filters.
    pub fn is_empty(&self) -> bool {
        self.interner.len() == 0
    }

    /// Finds for each filter which of the events of a group pass.
    ///
    /// Filters that no event passes are left out; the others come in ascending order of their ids.
    pub fn evaluate<E: Event>(&mut self, group: impl Iterator<Item = E>) -> Vec<Matches> {
        self.matcher.evaluate(group)
    }
}
