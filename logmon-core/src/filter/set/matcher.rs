//! Evaluates many filters on a group at once.
//!
//! The rows of a block that pass a filter are computed from those that pass its atoms, a set of rows
//! at a time. An index finds all its atoms for a row in one go, and is asked about a row at most
//! once: about every row, where filters are gated by its atoms, and else about the rows that the rest
//! of a filter leaves. A filter is looked at when a row has one of the atoms that gate it.

use std::sync::Arc;

use super::super::Filter;
use super::super::eval::View;
use super::atoms::{AtomId, Atoms};
use super::columns::Columns;
use super::index::{IndexId, Indexes};
use super::plan::{Gate, Plan};
use super::rows::{MOST_ROWS, Rows};
use super::{FilterId, Matches};
use crate::Event;

/// Above this share of the filters, in percent, all of them are looked at in turn.
const DENSE_PERCENT: usize = 70;

/// Filters by number, and what is needed to evaluate them.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    atoms: Atoms,
    indexes: Indexes,
    filters: Vec<Option<Compiled>>,
    len: usize,
    /// The filters without a gate.
    ungated: Vec<FilterId>,
    /// By atom, the filters it gates.
    gated: Vec<Vec<FilterId>>,
    /// By index, how many filters its atoms gate.
    gates: [usize; IndexId::ALL.len()],
    scratch: Scratch,
}

#[derive(Debug)]
struct Compiled {
    plan: Plan,
    gate: Option<Gate>,
    /// The last block in which the filter was looked at.
    block: u64,
}

/// What one block needs; kept, so that nothing is allocated for each.
#[derive(Debug, Default)]
struct Scratch {
    /// The rows that pass each atom, as far as they were asked about.
    hits: Columns,
    /// The rows that atoms without an index were tested on.
    tested: Columns,
    /// The rows that each index was asked about.
    asked: [Rows; IndexId::ALL.len()],
    /// Whether those are all rows, by index.
    is_asked: [bool; IndexId::ALL.len()],
    spare: Vec<Rows>,
    candidates: Vec<FilterId>,
    block: u64,
    /// How often an atom without an index was tested.
    tests: u64,
}

impl Matcher {
    /// Takes a filter in under a number that is free.
    pub(crate) fn insert(&mut self, id: FilterId, filter: &Filter) {
        let (atoms, indexes) = (&mut self.atoms, &mut self.indexes);
        let plan = Plan::of(filter, false, &mut |atom| {
            let (id, is_new) = atoms.take(atom);
            if is_new {
                atoms.place(id, indexes.insert(id, atom));
            }
            (id, atoms.index(id))
        });
        let gate = plan.gate(&commonness);
        self.gated.resize_with(self.atoms.end().max(self.gated.len()), Vec::new);
        match &gate {
            None => self.ungated.push(id),
            Some(gate) => {
                for atom in &gate.atoms {
                    self.gated[atom.index()].push(id);
                    self.count_gate(*atom, |count| *count += 1);
                }
            }
        }
        self.filters.resize_with(self.filters.len().max(id.index() + 1), || None);
        self.filters[id.index()] = Some(Compiled { plan, gate, block: 0 });
        self.len += 1;
    }

    /// Gives up a filter; does nothing if there is none of this number.
    pub(crate) fn remove(&mut self, id: FilterId) {
        let Some(old) = self.filters.get_mut(id.index()).and_then(Option::take) else { return };
        self.len -= 1;
        match &old.gate {
            None => forget(&mut self.ungated, id),
            Some(gate) => {
                for atom in &gate.atoms {
                    forget(&mut self.gated[atom.index()], id);
                    self.count_gate(*atom, |count| *count -= 1);
                }
            }
        }
        old.plan.each_atom(&mut |atom| {
            if let Some((gone, Some(index))) = self.atoms.give_back(atom) {
                self.indexes.remove(atom, &gone, index);
            }
        });
    }

    /// The number of distinct atoms.
    pub(crate) fn atoms(&self) -> usize {
        self.atoms.len()
    }

    /// How often an atom that no index finds was tested on an event.
    pub(crate) fn tests(&self) -> u64 {
        self.scratch.tests
    }

    /// Finds for each filter which of the events pass; see [`FilterSet::evaluate`].
    ///
    /// [`FilterSet::evaluate`]: super::FilterSet::evaluate
    pub(crate) fn evaluate<E: Event>(&mut self, group: impl Iterator<Item = E>) -> Vec<Matches> {
        if self.len == 0 {
            return Vec::new(); // nobody watches, so nobody pays
        }
        self.indexes.keep_up();
        let (mut group, mut first, mut found) = (group.fuse(), 0, Vec::new());
        loop {
            let events: Vec<E> = group.by_ref().take(MOST_ROWS).collect();
            if events.is_empty() {
                break;
            }
            self.evaluate_block(&events, first, &mut found);
            first += events.len();
        }
        let is_one_block = first <= MOST_ROWS;
        found.sort_by_key(|matches| matches.filter); // stable: blocks stay in order
        if is_one_block { found } else { joined(found) }
    }

    fn evaluate_block<E: Event>(&mut self, events: &[E], first: usize, found: &mut Vec<Matches>) {
        let scratch = &mut self.scratch;
        scratch.begin(self.atoms.end(), events.len());
        let mut candidates = std::mem::take(&mut scratch.candidates);
        let mut block = Block {
            views: events.iter().map(View::new).collect(),
            atoms: &self.atoms,
            indexes: &mut self.indexes,
            scratch,
        };
        let mut all = block.spare();
        all.fill(events.len());
        for index in IndexId::ALL {
            if self.gates[index.number()] > 0 {
                block.ask(index, &all);
                block.scratch.is_asked[index.number()] = true;
            }
        }
        candidates.clear();
        candidates.extend_from_slice(&self.ungated);
        let touched = block.scratch.hits.touched().iter().map(|atom| &self.gated[atom.index()]);
        let (number, mut lists) = (block.scratch.block, touched);
        let is_dense = lists.clone().map(Vec::len).sum::<usize>() * 100 > self.len * DENSE_PERCENT;
        if is_dense {
            candidates.clear();
            candidates.extend(
                (0..)
                    .map(FilterId)
                    .zip(&self.filters)
                    .filter_map(|(id, slot)| slot.as_ref().map(|_| id)),
            );
        } else {
            for id in lists.by_ref().flatten() {
                if let Some(filter) = &mut self.filters[id.index()]
                    && std::mem::replace(&mut filter.block, number) != number
                {
                    candidates.push(*id);
                }
            }
        }
        let mut rows = block.spare();
        for id in &candidates {
            let Some(filter) = &self.filters[id.index()] else { continue };
            match &filter.gate {
                Some(gate) => block.union(&gate.atoms, &mut rows),
                None => rows.copy(all.bits()),
            }
            block.narrow(&filter.plan, &mut rows);
            if !rows.is_empty() {
                found.push(Matches { filter: *id, events: numbers(&rows, first) });
            }
        }
        block.give_back(rows);
        block.give_back(all);
        self.scratch.candidates = candidates;
    }

    /// Waits for what is built on threads.
    #[cfg(test)]
    pub(super) fn settle(&mut self) {
        self.indexes.settle();
    }

    fn count_gate(&mut self, atom: AtomId, change: fn(&mut usize)) {
        if let Some(index) = self.atoms.index(atom) {
            change(&mut self.gates[index.number()]);
        }
    }
}

/// How common the atoms of an index are thought to be: the least are the best gates.
const fn commonness(index: IndexId) -> u64 {
    match index {
        IndexId::Tokens => 1,
        IndexId::Source | IndexId::Needles => 2,
        IndexId::Tag => 3,
        IndexId::Metadata => 8,
        IndexId::Received | IndexId::Timestamp => 20,
        IndexId::Level => 30,
    }
}

/// Removes one occurrence.
fn forget(list: &mut Vec<FilterId>, id: FilterId) {
    if let Some(at) = list.iter().position(|other| *other == id) {
        list.swap_remove(at);
    }
}

fn numbers(rows: &Rows, first: usize) -> Vec<u32> {
    let mut numbers = Vec::with_capacity(rows.len());
    // A group has fewer events than that.
    numbers.extend(rows.iter().map(|row| u32::try_from(first + row).unwrap_or(u32::MAX)));
    numbers
}

/// Makes the neighbours that are of one filter one.
fn joined(found: Vec<Matches>) -> Vec<Matches> {
    let mut joined: Vec<Matches> = Vec::with_capacity(found.len());
    for matches in found {
        match joined.last_mut() {
            Some(last) if last.filter == matches.filter => last.events.extend(matches.events),
            _ => joined.push(matches),
        }
    }
    joined
}

impl Scratch {
    fn begin(&mut self, atoms: usize, rows: usize) {
        self.hits.begin(atoms, rows);
        self.tested.begin(atoms, rows);
        self.asked.iter_mut().for_each(|asked| asked.begin(rows));
        self.is_asked.fill(false);
        self.block += 1;
    }
}

/// A block under evaluation.
struct Block<'m, 'e, E> {
    views: Vec<View<'e, E>>,
    atoms: &'m Atoms,
    indexes: &'m mut Indexes,
    scratch: &'m mut Scratch,
}

impl<E: Event> Block<'_, '_, E> {
    /// The rows that have one of the atoms, which were asked about already.
    fn union(&self, atoms: &[AtomId], rows: &mut Rows) {
        rows.begin(self.views.len());
        atoms.iter().for_each(|atom| rows.add(self.scratch.hits.of(*atom)));
    }

    /// Keeps the rows that pass.
    fn narrow(&mut self, plan: &Plan, rows: &mut Rows) {
        match plan {
            Plan::Test { atom, index, is_negated } => {
                match index {
                    Some(index) => self.ask(*index, rows),
                    None => self.test(*atom, rows),
                }
                let hits = self.scratch.hits.of(*atom);
                if *is_negated { rows.remove(hits) } else { rows.keep(hits) }
            }
            Plan::All(operands) => {
                for operand in operands {
                    if rows.is_empty() {
                        return;
                    }
                    self.narrow(operand, rows);
                }
            }
            Plan::Any(operands) => self.narrow_to_any(operands, rows),
        }
    }

    fn narrow_to_any(&mut self, operands: &[Plan], rows: &mut Rows) {
        let (mut left, mut passed) = (self.spare(), self.spare());
        left.copy(rows.bits());
        rows.begin(self.views.len());
        for operand in operands {
            if left.is_empty() {
                break;
            }
            passed.copy(left.bits());
            self.narrow(operand, &mut passed);
            rows.add(passed.bits());
            left.remove(passed.bits());
        }
        self.give_back(left);
        self.give_back(passed);
    }

    /// Tests an atom without an index on those of the rows that it was not tested on yet.
    fn test(&mut self, atom: AtomId, rows: &Rows) {
        if rows.is_within(self.scratch.tested.of(atom)) {
            return;
        }
        let Some(test) = self.atoms.get(atom).map(Arc::as_ref) else { return };
        let mut open = self.spare();
        open.copy(rows.bits());
        open.remove(self.scratch.tested.of(atom));
        for row in open.iter() {
            self.scratch.tested.set(atom, row);
            self.scratch.tests += 1;
            if test.matches(&self.views[row]) {
                self.scratch.hits.set(atom, row);
            }
        }
        self.give_back(open);
    }

    /// Asks an index about those of the rows that it was not asked about yet.
    fn ask(&mut self, index: IndexId, rows: &Rows) {
        let number = index.number();
        if self.scratch.is_asked[number] || rows.is_within(self.scratch.asked[number].bits()) {
            return;
        }
        let mut open = self.spare();
        open.copy(rows.bits());
        open.remove(self.scratch.asked[number].bits());
        let hits = &mut self.scratch.hits;
        for row in open.iter() {
            self.indexes.find(index, &self.views[row], |atom| hits.set(atom, row));
        }
        self.scratch.asked[number].add(open.bits());
        self.give_back(open);
    }

    fn spare(&mut self) -> Rows {
        self.scratch.spare.pop().unwrap_or_default()
    }

    fn give_back(&mut self, rows: Rows) {
        self.scratch.spare.push(rows);
    }
}
