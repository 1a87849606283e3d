//! Atoms about the values at a path of the metadata.

use std::collections::HashMap;
use std::ops::Bound;

use super::super::super::literal::NumberValue;
use super::super::super::{Literal, Range, ValueTest, key};
use super::AtomId;
use super::intervals::Intervals;
use crate::{Event, Scalar};

/// An index for each path that atoms ask for.
#[derive(Debug, Default)]
pub(super) struct Paths {
    by_path: HashMap<Box<[u8]>, Path>,
}

/// The atoms about one path.
#[derive(Debug)]
struct Path {
    name: Box<str>,
    key: u64,
    /// How many atoms there are.
    atoms: usize,
    exists: Option<AtomId>,
    equal: HashMap<u64, Vec<(AtomId, Literal)>>,
    ranges: Intervals<NumberValue>,
}

impl Paths {
    pub(super) fn insert(&mut self, id: AtomId, path: &str, test: &ValueTest) {
        let at = self.by_path.entry(path.as_bytes().into()).or_insert_with(|| Path::new(path));
        at.insert(id, test);
    }

    pub(super) fn remove(&mut self, id: AtomId, path: &str, test: &ValueTest) {
        let Some(at) = self.by_path.get_mut(path.as_bytes()) else { return };
        at.remove(id, test);
        if at.atoms == 0 {
            self.by_path.remove(path.as_bytes());
        }
    }

    /// Shows the atoms that the metadata of an event passes.
    pub(super) fn find<E: Event + ?Sized>(&self, event: &E, mut hit: impl FnMut(AtomId)) {
        if self.by_path.len() > 1 {
            let is_shown = event.each_metadata(&mut |path, value| {
                if let Some(at) = self.by_path.get(path) {
                    at.find(value, &mut hit);
                }
            });
            if is_shown {
                return;
            }
        }
        for at in self.by_path.values() {
            event.visit_metadata(&at.name, &mut |value| {
                at.find(value, &mut hit);
                false
            });
        }
    }
}

impl Path {
    fn new(path: &str) -> Self {
        Self {
            name: path.into(),
            key: key::path(path.as_bytes()),
            atoms: 0,
            exists: None,
            equal: HashMap::new(),
            ranges: Intervals::default(),
        }
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
    fn find(&self, value: Scalar<'_>, hit: &mut impl FnMut(AtomId)) {
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
