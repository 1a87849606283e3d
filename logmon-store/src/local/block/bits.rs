//! Sets of rows.

use std::ops::Range;

/// A set of the rows of a block, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    words: Vec<u64>,
    len: usize,
}

impl Rows {
    /// No row of `len`.
    pub(super) fn none(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// All rows of `len`.
    pub(super) fn all(len: usize) -> Self {
        let mut rows = Self { words: vec![!0; len.div_ceil(64)], len };
        if let (Some(last), rest @ 1..) = (rows.words.last_mut(), len % 64) {
            *last = (1 << rest) - 1;
        }
        rows
    }

    /// The rows of which `accepts` says so.
    pub(super) fn of(len: usize, mut accepts: impl FnMut(usize) -> bool) -> Self {
        let mut rows = Self::none(len);
        for (at, word) in rows.words.iter_mut().enumerate() {
            let start = at * 64;
            for bit in 0..64.min(len - start) {
                *word |= u64::from(accepts(start + bit)) << bit;
            }
        }
        rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many are in a range.
    pub(super) fn count_in(&self, range: &Range<usize>) -> usize {
        self.iter_in(range).count()
    }

    pub(super) fn has(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64).filter(|_| row < self.len) {
            *word |= 1 << (row % 64);
        }
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        for row in range {
            if let Some(word) = self.words.get_mut(row / 64) {
                *word &= !(1 << (row % 64));
            }
        }
    }

    /// Keeps those that `other` has too.
    pub(super) fn and(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Keeps those that `other` does not have.
    pub(super) fn and_not(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    pub(super) fn or(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// The rows, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.iter_in(&(0..self.len))
    }

    /// Those in a range, ascending.
    pub(super) fn iter_in(&self, range: &Range<usize>) -> impl Iterator<Item = usize> + use<'_> {
        let Range { start, end } = range.clone();
        let first = start / 64;
        let words = self.words.iter().enumerate().take(end.div_ceil(64)).skip(first);
        words.flat_map(move |(at, word)| {
            let mut word = *word;
            if at == first {
                word &= !0 << (start % 64);
            }
            std::iter::from_fn(move || {
                let row = at * 64 + word.trailing_zeros() as usize;
                let is_there = word != 0 && row < end;
                word &= word.wrapping_sub(1);
                is_there.then_some(row)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_set(bits in proptest::collection::vec(any::<bool>(), 1..200), a in 0usize..200, b in 0usize..200) {
            let len = bits.len();
            let rows = Rows::of(len, |row| bits[row]);
            let expected: Vec<usize> = (0..len).filter(|row| bits[*row]).collect();
            prop_assert_eq!(rows.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(rows.count(), expected.len());
            let range = a.min(b).min(len)..a.max(b).min(len);
            let inside: Vec<usize> = expected.iter().copied().filter(|row| range.contains(row)).collect();
            prop_assert_eq!(rows.iter_in(&range).collect::<Vec<_>>(), inside);
            let mut rest = Rows::all(len);
            rest.and_not(&rows);
            prop_assert!((0..len).all(|row| rest.has(row) != rows.has(row)));
            rest.or(&rows);
            prop_assert_eq!(&rest, &Rows::all(len));
            rest.remove(range.clone());
            rest.and(&rows);
            prop_assert_eq!(rest.count() + rows.count_in(&range), rows.count());
        }
    }
}
