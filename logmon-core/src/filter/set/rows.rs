//! Sets of the events of a block, and the algebra of filters on them.
//!
//! What a filter accepts of a block is a set of its rows: `AND` is [`Rows::keep`], `OR` is
//! [`Rows::add`], and the complement within some rows is [`Rows::remove`].

/// The most events of one block.
pub(super) const MOST_ROWS: usize = 64 * 64;

/// A set of numbers below [`MOST_ROWS`], in two levels: which words hold a member, and the words.
///
/// A word that holds none is not looked at, so an operation costs by the words that count.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    used: u64,
    /// Those that `used` does not name may hold anything.
    words: [u64; 64],
}

/// A set of rows kept elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    /// Which of the words hold a member.
    pub(super) used: u64,
    /// As many as the block needs.
    pub(super) words: &'a [u64],
}

impl Rows {
    /// No rows.
    pub(super) const fn new() -> Self {
        Self { used: 0, words: [0; 64] }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Makes it the rows below `len`.
    pub(super) fn fill(&mut self, len: usize) {
        let (whole, rest) = (len / 64, len % 64);
        self.words[..whole].fill(u64::MAX);
        self.used = below(whole);
        if rest > 0 {
            self.words[whole] = below(rest);
            self.used |= 1 << whole;
        }
    }

    /// Makes it the same as `other`.
    pub(super) fn copy(&mut self, other: Bits<'_>) {
        self.used = other.used;
        for at in ones(other.used) {
            self.words[at] = other.word(at);
        }
    }

    /// Keeps what is in `other` as well: the intersection.
    pub(super) fn keep(&mut self, other: Bits<'_>) {
        self.used &= other.used;
        for at in ones(self.used) {
            self.set(at, self.words[at] & other.word(at));
        }
    }

    /// Removes what is in `other`: the difference.
    pub(super) fn remove(&mut self, other: Bits<'_>) {
        for at in ones(self.used & other.used) {
            self.set(at, self.words[at] & !other.word(at));
        }
    }

    /// Adds what is in `other`: the union.
    pub(super) fn add(&mut self, other: Bits<'_>) {
        for at in ones(other.used) {
            let own = if self.used & 1 << at == 0 { 0 } else { self.words[at] };
            self.set(at, own | other.word(at));
        }
    }

    pub(super) fn bits(&self) -> Bits<'_> {
        Bits { used: self.used, words: &self.words }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        ones(self.used).map(|at| self.words[at].count_ones() as usize).sum()
    }

    /// The rows, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        ones(self.used).flat_map(|at| ones(self.words[at]).map(move |bit| at * 64 + bit))
    }

    fn set(&mut self, at: usize, word: u64) {
        self.words[at] = word;
        self.used = self.used & !(1 << at) | u64::from(word != 0) << at;
    }
}

impl Bits<'_> {
    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }
}

/// The lowest `count` bits.
const fn below(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
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

    fn rows(members: &BTreeSet<usize>) -> Rows {
        let mut rows = Rows::new();
        for row in members {
            let mut words = [0; 64];
            words[row / 64] = 1 << (row % 64);
            rows.add(Bits { used: 1 << (row / 64), words: &words });
        }
        rows
    }

    fn members(rows: &Rows) -> BTreeSet<usize> {
        rows.iter().collect()
    }

    fn any_rows() -> impl Strategy<Value = BTreeSet<usize>> {
        prop_oneof![
            btree_set(0..MOST_ROWS, 0..40),
            btree_set(0..130_usize, 0..130),
            btree_set(prop::sample::select(vec![0, 63, 64, 127, 4_031, 4_032, 4_095]), 0..7),
        ]
    }

    proptest! {
        #[test]
        fn the_operations_are_those_of_sets(a in any_rows(), b in any_rows(), len in 0..=MOST_ROWS) {
            let (left, right) = (rows(&a), rows(&b));
            let apply = |change: fn(&mut Rows, Bits<'_>)| {
                let mut changed = left.clone();
                change(&mut changed, right.bits());
                members(&changed)
            };
            prop_assert_eq!(apply(Rows::keep), a.intersection(&b).copied().collect());
            prop_assert_eq!(apply(Rows::add), a.union(&b).copied().collect());
            prop_assert_eq!(apply(Rows::remove), a.difference(&b).copied().collect());
            prop_assert_eq!(apply(Rows::copy), b);
            prop_assert_eq!((left.len(), left.is_empty()), (a.len(), a.is_empty()));
            let mut filled = left;
            filled.fill(len);
            prop_assert_eq!(members(&filled), (0..len).collect());
        }
    }
}
