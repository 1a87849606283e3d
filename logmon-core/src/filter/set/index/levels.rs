//! Atoms about the level, by level.

use super::super::super::LevelTest;
use super::AtomId;
use crate::Level;

/// For each level, and for none, the atoms that it passes.
#[derive(Debug, Default)]
pub(super) struct Levels {
    none: Vec<AtomId>,
    some: [Vec<AtomId>; Level::ALL.len()],
}

impl Levels {
    pub(super) fn insert(&mut self, id: AtomId, test: LevelTest) {
        if test.accepts(None) {
            self.none.push(id);
        }
        for (level, atoms) in Level::ALL.into_iter().zip(&mut self.some) {
            if test.accepts(Some(level)) {
                atoms.push(id);
            }
        }
    }

    pub(super) fn remove(&mut self, id: AtomId) {
        self.none.retain(|other| *other != id);
        self.some.iter_mut().for_each(|atoms| atoms.retain(|other| *other != id));
    }

    pub(super) fn find(&self, level: Option<Level>, hit: impl FnMut(AtomId)) {
        let atoms = match level {
            None => Some(&self.none),
            Some(level) => {
                let mut all = Level::ALL.into_iter().zip(&self.some);
                all.find_map(|(other, atoms)| (other == level).then_some(atoms))
            }
        };
        atoms.into_iter().flatten().copied().for_each(hit);
    }
}
