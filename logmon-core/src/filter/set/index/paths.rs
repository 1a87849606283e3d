//! Atoms about the values at a path of the metadata.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use super::super::super::literal::NumberValue;
use super::super::super::{Literal, Range, ValueTest, key};
use super::AtomId;
use super::intervals::Intervals;
use crate::Scalar;

/// An index for each path that atoms ask for.
#[derive(Debug, Default)]
pub(super) struct Paths {
    slots: Vec<Option<Path>>,
    free: Vec<u32>,
    by_path: HashMap<Arc<str>, u32>,
}

/// The atoms about one path.
#[derive(Debug)]
pub(super) struct Path {
    path: Arc<str>,
    key: u64,
    /// How many atoms there are.
    atoms: usize,
    exists: Option<AtomId>,
    equal: HashMap<u64, Vec<(AtomId, Literal)>>,
    ranges: Intervals<NumberValue>,
}

impl Paths {
    /// Takes an atom in; gives the number of its path.
    pub(super) fn insert(&mut self, id: AtomId, path: &str, test: &ValueTest) -> u32 {
        let number = self.by_path.get(path).copied().unwrap_or_else(|| self.begin(path));
        if let Some(at) = self.slots[number as usize].as_mut() {
            at.insert(id, test);
        }
        number
    }

    pub(super) fn remove(&mut self, id: AtomId, number: u32, test: &ValueTest) {
        let slot = &mut self.slots[number as usize];
        let Some(at) = slot else { return };
        at.remove(id, test);
        if at.atoms == 0 {
            self.by_path.remove(&at.path);
            *slot = None;
            self.free.push(number);
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&Path> {
        self.slots.get(number as usize)?.as_ref()
    }

    /// Above the number of every path.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    fn begin(&mut self, path: &str) -> u32 {
        let slot = Path {
            path: path.into(),
            key: key::path(path.as_bytes()),
            atoms: 0,
            exists: None,
            equal: HashMap::new(),
            ranges: Intervals::default(),
        };
        let name = slot.path.clone();
        let number = match self.free.pop() {
            Some(free) => {
                self.slots[free as usize] = Some(slot);
                free
            }
            None => {
                self.slots.push(Some(slot));
                self.end() - 1
            }
        };
        self.by_path.insert(name, number);
        number
    }
}

impl Path {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn insert(&mut self, id: AtomId, test: &ValueTest) {
        self.atoms += 1;
        match test {
            ValueTest::Exists => self.exists = Some(id),
            ValueTest::Equals(literal) => {
                for key in self.keys(literal) {
                    self.equal.entry(key).or_default().push((id, literal.clone()));
                }
            }
            ValueTest::Range(range) => {
                if let Some((lower, upper)) = ends(range) {
                    self.ranges.insert(id, lower, upper);
                }
            }
            ValueTest::Regexp(_) | ValueTest::Wildcard(_) => {}
        }
    }

    fn remove(&mut self, id: AtomId, test: &ValueTest) {
        self.atoms -= 1;
        match test {
            ValueTest::Exists => self.exists = None,
            ValueTest::Equals(literal) => {
                for key in self.keys(literal) {
                    if let Some(atoms) = self.equal.get_mut(&key) {
                        atoms.retain(|(other, _)| *other != id);
                        if atoms.is_empty() {
                            self.equal.remove(&key);
                        }
                    }
                }
            }
            ValueTest::Range(_) => self.ranges.remove(id),
            ValueTest::Regexp(_) | ValueTest::Wildcard(_) => {}
        }
    }

    /// Shows the atoms that a value at the path passes.
    pub(super) fn find(&self, value: Scalar<'_>, hit: &mut impl FnMut(AtomId)) {
        if let Some(id) = self.exists
            && ValueTest::Exists.accepts(value)
        {
            hit(id);
        }
        if !self.equal.is_empty()
            && let Some(key) = key::value(self.key, value)
        {
            for (id, literal) in self.equal.get(&key).into_iter().flatten() {
                // Two values may share a key.
                if literal.equals(value) {
                    hit(*id);
                }
            }
        }
        if !self.ranges.is_empty()
            && let Some(number) = NumberValue::of(value)
        {
            self.ranges.find(&number, hit);
        }
    }

    /// The keys of what equals a literal: the text, and a value of another kind.
    fn keys(&self, literal: &Literal) -> impl Iterator<Item = u64> + use<> {
        let text = key::text(self.key, literal.text());
        let other = literal.as_scalar().and_then(|scalar| key::value(self.key, scalar));
        [text].into_iter().chain(other)
    }
}

/// The ends of a range of numbers; `None` for other ranges.
fn ends(range: &Range) -> Option<(Bound<NumberValue>, Bound<NumberValue>)> {
    let end = |bound: &Bound<Literal>| {
        Some(match bound {
            Bound::Included(Literal::Number(number)) => Bound::Included(number.value()),
            Bound::Excluded(Literal::Number(number)) => Bound::Excluded(number.value()),
            Bound::Unbounded => Bound::Unbounded,
            _ => return None,
        })
    };
    let ends = (end(&range.lower)?, end(&range.upper)?);
    (!matches!(ends, (Bound::Unbounded, Bound::Unbounded))).then_some(ends)
}
