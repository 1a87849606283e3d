//! One set of rows for each atom.

use super::atoms::AtomId;

/// A matrix of bits, sparse in both directions: atoms without a row cost nothing to clear.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// The words of each atom, `stride` for one.
    words: Vec<u64>,
    is_touched: Vec<bool>,
    stride: usize,
    /// The atoms that have a row.
    touched: Vec<AtomId>,
}

impl Columns {
    /// Begins a block of `rows` rows and `atoms` atoms; none is set.
    pub(super) fn begin(&mut self, atoms: usize, rows: usize) {
        for atom in self.touched.drain(..) {
            let at = atom.index() * self.stride;
            self.words[at..at + self.stride].fill(0);
            self.is_touched[atom.index()] = false;
        }
        self.stride = rows.div_ceil(64);
        self.is_touched.resize(atoms.max(self.is_touched.len()), false);
        let words = self.is_touched.len() * self.stride;
        self.words.resize(words.max(self.words.len()), 0);
    }

    #[inline]
    pub(super) fn set(&mut self, atom: AtomId, row: usize) {
        if !std::mem::replace(&mut self.is_touched[atom.index()], true) {
            self.touched.push(atom);
        }
        self.words[atom.index() * self.stride + row / 64] |= 1 << (row % 64);
    }

    /// The rows of an atom.
    pub(super) fn of(&self, atom: AtomId) -> &[u64] {
        let at = atom.index() * self.stride;
        &self.words[at..at + self.stride]
    }

    /// The atoms that have a row, in the order they got their first.
    pub(super) fn touched(&self) -> &[AtomId] {
        &self.touched
    }
}
