//! Atoms about the tag or the source: names of which few come again and again.

use std::collections::{HashMap, hash_map};
use std::sync::Arc;

use super::super::super::{Atom, ValueTest};
use super::AtomId;
use crate::Scalar;

/// How many bytes the answers may take that are remembered.
const MOST_CACHED_BYTES: usize = 1 << 20;

/// What an answer takes beside its name and its atoms.
const ANSWER_BYTES: usize = 64;

/// Atoms about a name, with the answers for the names that came before.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Atoms that ask for one name.
    equal: HashMap<Box<str>, AtomId>,
    others: Vec<(AtomId, Arc<Atom>)>,
    answers: HashMap<Box<str>, Box<[AtomId]>>,
    cached_bytes: usize,
}

impl Names {
    pub(super) fn insert(&mut self, id: AtomId, atom: &Arc<Atom>) {
        self.forget();
        if let Some(name) = equal_name(atom) {
            // `1` and `"1"` are different atoms and ask for the same name.
            if let hash_map::Entry::Vacant(free) = self.equal.entry(name.into()) {
                free.insert(id);
                return;
            }
        }
        self.others.push((id, atom.clone()));
    }

    pub(super) fn remove(&mut self, id: AtomId, atom: &Atom) {
        self.forget();
        match equal_name(atom) {
            Some(name) if self.equal.get(name) == Some(&id) => {
                self.equal.remove(name);
            }
            _ => self.others.retain(|(other, _)| *other != id),
        }
    }

    pub(super) fn find(&mut self, name: &str, hit: impl FnMut(AtomId)) {
        if let Some(atoms) = self.answers.get(name) {
            atoms.iter().copied().for_each(hit);
            return;
        }
        let others = self.others.iter().filter(|(_, atom)| accepts(atom, name)).map(|(id, _)| *id);
        let atoms: Box<[AtomId]> =
            self.equal.get(name).copied().into_iter().chain(others).collect();
        atoms.iter().copied().for_each(hit);
        let bytes = ANSWER_BYTES + name.len() + size_of_val(&*atoms);
        if self.cached_bytes + bytes > MOST_CACHED_BYTES {
            self.forget();
        }
        if bytes <= MOST_CACHED_BYTES {
            self.cached_bytes += bytes;
            self.answers.insert(name.into(), atoms);
        }
    }

    fn forget(&mut self) {
        self.answers = HashMap::new();
        self.cached_bytes = 0;
    }
}

fn equal_name(atom: &Atom) -> Option<&str> {
    match atom {
        Atom::Field(test) => match test.test() {
            ValueTest::Equals(literal) => Some(literal.text()),
            _ => None,
        },
        _ => None,
    }
}

fn accepts(atom: &Atom, name: &str) -> bool {
    match atom {
        Atom::Tag(pattern) => pattern.matches(name),
        Atom::Field(test) => test.test().accepts(Scalar::Str(name)),
        _ => false,
    }
}
