//! Atoms about the order of values, by their ends.

use std::cmp::Ordering;
use std::ops::Bound;

use super::AtomId;

/// Intervals, sorted so that those that a value cannot be in are not looked at.
#[derive(Debug)]
pub(super) struct Intervals<T> {
    /// Those with a lower end, by that, ascending: a value is beyond the ends of the first so many.
    from: Vec<(Bound<T>, Bound<T>, AtomId)>,
    /// The others by their upper end, descending: a value is before the ends of the first so many.
    up_to: Vec<(Bound<T>, AtomId)>,
}

impl<T> Default for Intervals<T> {
    fn default() -> Self {
        Self { from: Vec::new(), up_to: Vec::new() }
    }
}

impl<T: PartialOrd> Intervals<T> {
    pub(super) fn insert(&mut self, id: AtomId, lower: Bound<T>, upper: Bound<T>) {
        if matches!(lower, Bound::Unbounded) {
            let at = self.up_to.partition_point(|(end, _)| order_upper(end, &upper).is_ge());
            self.up_to.insert(at, (upper, id));
        } else {
            let at = self.from.partition_point(|(end, ..)| order_lower(end, &lower).is_le());
            self.from.insert(at, (lower, upper, id));
        }
    }

    pub(super) fn remove(&mut self, id: AtomId) {
        self.from.retain(|(.., other)| *other != id);
        self.up_to.retain(|(_, other)| *other != id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.from.is_empty() && self.up_to.is_empty()
    }

    /// Shows the atoms of the intervals that `value` is in; of none, where it has no order (NaN).
    pub(super) fn find(&self, value: &T, mut hit: impl FnMut(AtomId)) {
        let from = self.from.partition_point(|(lower, ..)| is_beyond(lower, value));
        for (_, upper, id) in self.from.get(..from).unwrap_or_default() {
            if is_before(upper, value) {
                hit(*id);
            }
        }
        let up_to = self.up_to.partition_point(|(upper, _)| is_before(upper, value));
        self.up_to.get(..up_to).unwrap_or_default().iter().for_each(|(_, id)| hit(*id));
    }
}

fn is_beyond<T: PartialOrd>(lower: &Bound<T>, value: &T) -> bool {
    match lower {
        Bound::Included(end) => value >= end,
        Bound::Excluded(end) => value > end,
        Bound::Unbounded => true,
    }
}

fn is_before<T: PartialOrd>(upper: &Bound<T>, value: &T) -> bool {
    match upper {
        Bound::Included(end) => value <= end,
        Bound::Excluded(end) => value < end,
        Bound::Unbounded => true,
    }
}

/// The order in which rising values pass lower ends.
fn order_lower<T: PartialOrd>(a: &Bound<T>, b: &Bound<T>) -> Ordering {
    order(a, b, Ordering::Less)
}

/// The order in which rising values pass upper ends.
fn order_upper<T: PartialOrd>(a: &Bound<T>, b: &Bound<T>) -> Ordering {
    order(a, b, Ordering::Greater)
}

/// `included` is how an included end is ordered to the excluded one of the same value.
fn order<T: PartialOrd>(a: &Bound<T>, b: &Bound<T>, included: Ordering) -> Ordering {
    match (a, b) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => included,
        (_, Bound::Unbounded) => included.reverse(),
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            let same = match (a, b) {
                (Bound::Included(_), Bound::Excluded(_)) => included,
                (Bound::Excluded(_), Bound::Included(_)) => included.reverse(),
                _ => Ordering::Equal,
            };
            x.partial_cmp(y).unwrap_or(Ordering::Equal).then(same)
        }
    }
}
