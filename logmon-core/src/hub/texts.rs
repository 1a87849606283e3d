//! The JSON of the events in the ring, made once and shared by all who deliver them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::{Group, LogRef};

/// What a place for a text takes.
const PLACE_BYTES: usize = size_of::<Place>();

/// Where a text is, or will be.
type Place = OnceLock<Box<str>>;

/// The texts of one group.
#[derive(Debug)]
pub(super) struct Texts {
    /// Made with the first text, as most groups are never shown to anybody.
    places: OnceLock<Box<[Place]>>,
    /// `None` where nothing is kept.
    budget: Option<Arc<Budget>>,
}

/// What the texts of all groups may take together.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self { used: AtomicUsize::new(0), most }
    }

    /// The bytes that are in use.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether there is little room left.
    pub(super) fn is_short(&self) -> bool {
        self.used() > self.most / 4 * 3
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

impl Texts {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self { places: OnceLock::new(), budget: Some(budget) }
    }

    /// Keeps nothing.
    pub(super) const fn none() -> Self {
        Self { places: OnceLock::new(), budget: None }
    }

    /// Appends the JSON of an event of the group, which is kept if there is room.
    pub(super) fn write(&self, group: &Group, log: &LogRef<'_>, out: &mut String) {
        let place = self.budget.as_deref().and_then(|budget| self.place(budget, group, log));
        let Some((budget, place)) = place else { return write_json(log, out) };
        if let Some(text) = place.get() {
            out.push_str(text);
            return;
        }
        let start = out.len();
        write_json(log, out);
        let text = out.get(start..).unwrap_or_default();
        if budget.take(text.len())
            && let Err(same) = place.set(text.into())
        {
            // Another reader was quicker.
            budget.give_back(same.len());
        }
    }

    fn place<'s>(
        &'s self,
        budget: &'s Budget,
        group: &Group,
        log: &LogRef<'_>,
    ) -> Option<(&'s Budget, &'s Place)> {
        if self.places.get().is_none() {
            let bytes = group.len() * PLACE_BYTES;
            if !budget.take(bytes) {
                return None;
            }
            let places = (0..group.len()).map(|_| Place::new()).collect();
            if self.places.set(places).is_err() {
                budget.give_back(bytes);
            }
        }
        Some((budget, self.places.get()?.get(log.index())?))
    }
}

/// Appends the JSON of an event.
pub(super) fn write_json(log: &LogRef<'_>, out: &mut String) {
    let mut bytes = Vec::with_capacity(512);
    log.write_json(&mut bytes);
    // JSON is text, so this takes it as it is.
    out.push_str(&String::from_utf8_lossy(&bytes));
}

impl Drop for Texts {
    fn drop(&mut self) {
        let (Some(budget), Some(places)) = (&self.budget, self.places.get()) else { return };
        let texts = places.iter().filter_map(OnceLock::get).map(|text| text.len());
        let bytes = places.len() * PLACE_BYTES + texts.sum::<usize>();
        budget.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Epoch, GroupBuilder, Log};

    fn group(message: &str) -> Group {
        let batch = Log::new(message).to_batch().unwrap();
        GroupBuilder::single(Epoch::from_bytes([0; 7]), &batch, 1)
    }

    fn json(texts: &Texts, group: &Group) -> String {
        let mut out = String::new();
        texts.write(group, &group.get(0).unwrap(), &mut out);
        out
    }

    #[test]
    fn a_text_is_kept_as_long_as_its_group() {
        let (group, budget) = (group("hello"), Arc::new(Budget::new(10_000)));
        let texts = Texts::new(budget.clone());
        assert_eq!(budget.used(), 0);
        let first = json(&texts, &group);
        assert_eq!(budget.used(), PLACE_BYTES + first.len());
        let mut direct = Vec::new();
        group.get(0).unwrap().write_json(&mut direct);
        assert_eq!((json(&texts, &group).as_bytes(), first.as_bytes()), (&*direct, &*direct));
        assert_eq!(json(&Texts::none(), &group), first);
        drop(texts);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn without_room_a_text_is_made_each_time() {
        let group = group("hello");
        for most in [0, PLACE_BYTES, PLACE_BYTES + 10] {
            let budget = Arc::new(Budget::new(most));
            let texts = Texts::new(budget.clone());
            assert_eq!(json(&texts, &group), json(&texts, &group));
            assert!(budget.used() <= most);
            drop(texts);
            assert_eq!(budget.used(), 0);
        }
    }
}
