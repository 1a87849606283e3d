//! A filter in terms of numbered atoms, without negations other than of atoms.

use std::sync::Arc;

use super::super::lookup::Lookup;
use super::super::{Atom, Filter};
use super::atoms::AtomId;
use super::index::IndexId;

/// What is evaluated for a filter.
#[derive(Debug)]
pub(super) enum Plan {
    /// The rows that pass the atom, or those that do not.
    Test { atom: AtomId, index: Option<IndexId>, is_negated: bool },
    /// The rows that pass all of these; of none, every row.
    All(Box<[Self]>),
    /// The rows that pass any of these; of none, no row.
    Any(Box<[Self]>),
}

impl Plan {
    /// Puts a filter, or its complement, into terms of the atoms that `number` numbers.
    ///
    /// An atom without an index is tested only on rows that its guard accepts, which has one: in
    /// place of `x` stands `guard AND x`, which is the same.
    pub(super) fn of(
        filter: &Filter,
        is_negated: bool,
        number: &mut impl FnMut(&Arc<Atom>) -> (AtomId, Option<IndexId>),
    ) -> Self {
        match filter {
            Filter::All => Self::join(!is_negated, []),
            Filter::Not(inner) => Self::of(inner, !is_negated, number),
            Filter::And(operands) => Self::join(
                !is_negated,
                operands.iter().map(|each| Self::of(each, is_negated, number)),
            ),
            Filter::Or(operands) => Self::join(
                is_negated,
                operands.iter().map(|each| Self::of(each, is_negated, number)),
            ),
            Filter::Atom(atom) => {
                let guard = match atom.lookup() {
                    Lookup::Alone { among } if among != Filter::All => {
                        Some(Self::of(&among, is_negated, number))
                    }
                    _ => None,
                };
                let (atom, index) = number(atom);
                let test = Self::Test { atom, index, is_negated };
                match guard {
                    Some(guard) => Self::join(!is_negated, [guard, test]),
                    None => test,
                }
            }
        }
    }

    /// Joins plans to one that all, or any, of them must pass; lists of the same kind become one.
    fn join(needs_all: bool, operands: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand {
                Self::All(inner) if needs_all => flat.extend(inner),
                Self::Any(inner) if !needs_all => flat.extend(inner),
                operand => flat.push(operand),
            }
        }
        match (flat.len(), needs_all) {
            (1, _) => flat.remove(0),
            (_, true) => Self::All(flat.into()),
            (_, false) => Self::Any(flat.into()),
        }
    }

    /// Shows every atom, as often as it is numbered.
    pub(super) fn each_atom(&self, show: &mut impl FnMut(AtomId)) {
        match self {
            Self::Test { atom, .. } => show(*atom),
            Self::All(operands) | Self::Any(operands) => {
                operands.iter().for_each(|operand| operand.each_atom(show));
            }
        }
    }

    /// Atoms of which every row that passes has one, if there are such: those that are likely
    /// to be rare, by how common those of an index are.
    pub(super) fn gate(&self, commonness: &impl Fn(IndexId) -> u64) -> Option<Gate> {
        match self {
            Self::Test { is_negated: true, .. } => None,
            Self::Test { atom, index, .. } => {
                Some(Gate { commonness: commonness((*index)?), atoms: vec![*atom] })
            }
            Self::All(operands) => operands
                .iter()
                .filter_map(|operand| operand.gate(commonness))
                .min_by_key(|gate| gate.commonness),
            Self::Any(operands) => {
                let mut sum = Gate::default();
                for operand in operands {
                    let gate = operand.gate(commonness)?;
                    sum.commonness += gate.commonness;
                    sum.atoms.extend(gate.atoms);
                }
                Some(sum)
            }
        }
    }
}

/// Atoms of which every row that passes a filter has at least one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    pub(super) commonness: u64,
    pub(super) atoms: Vec<AtomId>,
}
