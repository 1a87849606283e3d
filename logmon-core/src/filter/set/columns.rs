//! One set of rows for each atom.

use super::atoms::AtomId;
use super::rows::Bits;

/// A matrix of bits, sparse in both directions: atoms without a row cost nothing to clear.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// The words of each atom, `stride` for one.
    words: Vec<u64>,
    used: Vec<u64>,
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
            self.used[atom.index()] = 0;
        }
        self.stride = rows.div_ceil(64);
        self.used.resize(atoms.max(self.used.len()), 0);
        let words = self.used.len() * self.stride;
        self.words.resize(words.max(self.words.len()), 0);
    }

    #[inline]
    pub(super) fn set(&mut self, atom: AtomId, row: usize) {
        let used = &mut self.used[atom.index()];
        if *used == 0 {
            self.touched.push(atom);
        }
        *used |= 1 << (row / 64);
        self.words[atom.index() * self.stride + row / 64] |= 1 << (row % 64);
    }

    pub(super) fn of(&self, atom: AtomId) -> Bits<'_> {
        let at = atom.index() * self.stride;
        Bits { used: self.used[atom.index()], words: &self.words[at..at + self.stride] }
    }

    /// The atoms that have a row, in the order they got their first.
    pub(super) fn touched(&self) -> &[AtomId] {
        &self.touched
    }
}
