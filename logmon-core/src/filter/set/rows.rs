//! Sets of the events of a block, and the algebra of filters on them.
//!
//! What a filter accepts of a block is a set of its rows: `AND` is [`Rows::keep`], `OR` is
//! [`Rows::add`], and the complement within some rows is [`Rows::remove`].

/// The most events of one block.
pub(super) const MOST_ROWS: usize = 64 * 64;

/// A set of rows, as bits; sets of one block have as many words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows(Vec<u64>);

impl Rows {
    /// Makes it empty, in a block of `rows` rows.
    pub(super) fn begin(&mut self, rows: usize) {
        self.0.clear();
        self.0.resize(rows.div_ceil(64), 0);
    }

    /// Makes it all of a block of `rows` rows.
    pub(super) fn fill(&mut self, rows: usize) {
        self.0.clear();
        self.0.resize(rows.div_ceil(64), u64::MAX);
        if let Some(last) = self.0.last_mut()
            && !rows.is_multiple_of(64)
        {
            *last = (1 << (rows % 64)) - 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }

    /// Makes it the same as `other`.
    pub(super) fn copy(&mut self, other: &[u64]) {
        self.0.clear();
        self.0.extend_from_slice(other);
    }

    /// Keeps what is in `other` as well: the intersection.
    pub(super) fn keep(&mut self, other: &[u64]) {
        self.0.iter_mut().zip(other).for_each(|(own, other)| *own &= other);
    }

    /// Removes what is in `other`: the difference.
    pub(super) fn remove(&mut self, other: &[u64]) {
        self.0.iter_mut().zip(other).for_each(|(own, other)| *own &= !other);
    }

    /// Adds what is in `other`: the union.
    pub(super) fn add(&mut self, other: &[u64]) {
        self.0.iter_mut().zip(other).for_each(|(own, other)| *own |= other);
    }

    /// Whether all of it is in `other`.
    pub(super) fn is_within(&self, other: &[u64]) -> bool {
        self.0.iter().zip(other).fold(0, |all, (own, other)| all | own & !other) == 0
    }

    pub(super) fn bits(&self) -> &[u64] {
        &self.0
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The rows, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = (0..).step_by(64).zip(&self.0);
        words.flat_map(|(first, word)| ones(*word).map(move |bit| first + bit))
    }
}

/// The places of the ones, ascending.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = word.trailing_zeros() as usize;
        (word != 0).then(|| {
            word &= word - 1;
            at
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn rows(members: &BTreeSet<usize>, len: usize) -> Rows {
        let mut rows = Rows::default();
        rows.begin(len);
        members.iter().for_each(|row| rows.0[row / 64] |= 1 << (row % 64));
        rows
    }

    fn members(rows: &Rows) -> BTreeSet<usize> {
        rows.iter().collect()
    }

    proptest! {
        #[test]
        fn the_operations_are_those_of_sets(
            len in prop_oneof![1..=130_usize, Just(MOST_ROWS)],
            a in btree_set(0..MOST_ROWS, 0..100),
            b in btree_set(0..MOST_ROWS, 0..100),
        ) {
            let inside = |set: BTreeSet<usize>| set.into_iter().map(|row| row % len).collect();
            let (a, b): (BTreeSet<usize>, BTreeSet<usize>) = (inside(a), inside(b));
            let (left, right) = (rows(&a, len), rows(&b, len));
            let apply = |change: fn(&mut Rows, &[u64])| {
                let mut changed = left.clone();
                change(&mut changed, right.bits());
                members(&changed)
            };
            prop_assert_eq!(apply(Rows::keep), a.intersection(&b).copied().collect());
            prop_assert_eq!(apply(Rows::add), a.union(&b).copied().collect());
            prop_assert_eq!(apply(Rows::remove), a.difference(&b).copied().collect());
            prop_assert_eq!(left.is_within(right.bits()), a.is_subset(&b));
            prop_assert_eq!((left.len(), left.is_empty()), (a.len(), a.is_empty()));
            prop_assert_eq!(apply(Rows::copy), b);
            let mut filled = left;
            filled.fill(len);
            prop_assert_eq!(members(&filled), (0..len).collect());
        }
    }
}
