//! Counting events apart by fields and by time: the counting itself.

use std::sync::{Arc, Mutex, PoisonError};

use super::key::{Taken, each_combination};
use super::{FieldValue, Table, TableSpec};
use crate::{Event, Timestamp};

mod cell;
mod rows;

use cell::Cell;
use rows::{Limits, RowKey, Rows};

/// Rows of one table that are kept.
const MAX_ROWS: usize = 1_000_000;
/// Rows of one table that one event can be in.
const MAX_ROWS_OF_EVENT: usize = 10_000;

/// The tables of an [`Aggregate`](super::Aggregate) while they are filled.
///
/// Whoever knows the values of many events at once adds them by [`Tables::add`]; that gives the
/// same as [`Tables::observe`] for each of them.
///
/// A table is exact up to 1,000,000 rows that fit into its share of the memory. Beyond that it
/// counts by Space-Saving (Metwally et al., 2005): the rows of least count make room, a sixteenth
/// of them at a time, and a new row begins with the greatest count that ever had to go. So a row's
/// count is never too low, it is too high by at most [`Table::error`], and every value with more
/// events than that has a row. With r rows kept of n counts, the error is at most 16/15 n / r.
#[derive(Debug)]
pub struct Tables {
    specs: Arc<[TableSpec]>,
    counts: Vec<Counts>,
    /// Where to put what there is no room for.
    shared: Option<Arc<Mutex<Self>>>,
}

/// What some events with the same values add to a row.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain figures")]
pub struct Tally {
    /// The number of events.
    pub count: u64,
    /// The sum of the measure.
    pub sum: f64,
    /// The earliest and the latest timestamp.
    pub times: (Timestamp, Timestamp),
    /// The stretch of time that all of them lie in, if it is one of those asked for.
    pub bucket: Option<usize>,
}

/// One table.
#[derive(Debug)]
struct Counts {
    rows: Rows,
    buckets: usize,
    /// What is in no row, where the rows are given.
    rest: Option<Cell>,
    are_rows_given: bool,
}

impl Tables {
    /// Empty tables that take up to about 64 MiB together.
    pub fn new(specs: impl Into<Arc<[TableSpec]>>) -> Self {
        Self::within(specs, 64 << 20)
    }

    /// Empty tables that take up to about so many bytes together, and at least a row each.
    pub fn within(specs: impl Into<Arc<[TableSpec]>>, max_bytes: usize) -> Self {
        let specs = specs.into();
        let max_bytes = max_bytes / specs.len().max(1);
        let limits = Limits { rows: MAX_ROWS, bytes: max_bytes };
        let counts = specs.iter().map(|spec| Counts::new(spec, limits)).collect();
        Self { specs, counts, shared: None }
    }

    /// Empty tables for one of several threads. What does not fit into `max_bytes` of them goes to
    /// the shared ones, and in the end the thread [merges](Self::merge) the rest.
    pub fn beside(shared: &Arc<Mutex<Self>>, max_bytes: usize) -> Self {
        let specs = lock(shared).specs.clone();
        Self { shared: Some(shared.clone()), ..Self::within(specs, max_bytes) }
    }

    /// What is counted.
    pub fn specs(&self) -> &Arc<[TableSpec]> {
        &self.specs
    }

    /// Counts one event in every table.
    pub fn observe<E: Event + ?Sized>(&mut self, event: &E) {
        let specs = self.specs.clone();
        let time = event.timestamp();
        for (at, spec) in specs.iter().enumerate() {
            let tally = Tally {
                count: 1,
                sum: spec.measure.of(event),
                times: (time, time),
                bucket: spec.buckets.as_ref().and_then(|buckets| buckets.of(time)),
            };
            let mut left = MAX_ROWS_OF_EVENT;
            each_combination(&spec.by, event, (None, &mut left), &mut |key| {
                self.add_to(at, &key, &tally);
            });
        }
    }

    /// Adds events with the same values to a row of the table `at`.
    pub fn add(&mut self, at: usize, key: &[FieldValue], tally: &Tally) {
        self.add_to(at, key, tally);
    }

    fn add_to<K: RowKey + ?Sized>(&mut self, at: usize, key: &K, tally: &Tally) {
        let Some(counts) = self.counts.get_mut(at) else { return };
        if !counts.has_taken(key, tally) {
            if let Some(shared) = &self.shared
                && !counts.rows.has_room_for(key, counts.buckets)
            {
                counts.move_to(&mut lock(shared).counts[at]);
            }
            counts.rows.insert(key, counts.buckets).add(tally);
        }
    }

    /// Adds what other tables of the same specs have counted.
    pub fn merge(&mut self, other: Self) {
        for (counts, mut more) in self.counts.iter_mut().zip(other.counts) {
            more.move_to(counts);
        }
    }

    /// The tables.
    pub fn finish(self) -> Vec<Table> {
        self.counts.into_iter().map(Counts::finish).collect()
    }
}

fn lock(shared: &Mutex<Tables>) -> std::sync::MutexGuard<'_, Tables> {
    // Nothing panics while the lock is held.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counts {
    fn new(spec: &TableSpec, limits: Limits) -> Self {
        let buckets = spec.buckets.as_ref().map_or(0, super::Buckets::count);
        let given = spec.only.as_deref();
        // What was asked for is kept, however much it is.
        let limits = if given.is_some() { Limits::NONE } else { limits };
        let mut rows = Rows::new(limits);
        for key in given.unwrap_or_default() {
            if rows.get(&**key).is_none() {
                rows.insert(&**key, buckets);
            }
        }
        Self { rows, buckets, rest: None, are_rows_given: given.is_some() }
    }

    /// Adds to a row that is there, or to what is in none.
    fn has_taken<K: RowKey + ?Sized>(&mut self, key: &K, tally: &Tally) -> bool {
        if let Some(cell) = self.rows.get(key) {
            cell.add(tally);
            return true;
        }
        if self.are_rows_given {
            self.rest.get_or_insert_with(|| Cell::new(self.buckets)).add(tally);
        }
        self.are_rows_given
    }

    /// Adds everything to another table and empties this one.
    fn move_to(&mut self, other: &mut Self) {
        other.rows.merge(self.rows.take());
        if let Some(rest) = self.rest.take() {
            other.rest.get_or_insert_with(|| Cell::new(other.buckets)).merge(&rest);
        }
    }

    fn finish(self) -> Table {
        let (rows, error) = self.rows.finish();
        let rows = rows.filter(|(_, cell)| cell.count > 0);
        let mut rows: Vec<_> = rows.map(|(key, cell)| cell.into_row(key)).collect();
        rows.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
        let rest = self.rest.map(|cell| cell.into_row(Box::default()));
        Table { rows, rest, error }
    }
}

/// The values of an event that is counted.
impl RowKey for Option<&Taken<'_>> {
    fn each(&self, each: &mut dyn FnMut(super::value::ValueRef<'_>)) {
        let mut next = *self;
        while let Some(taken) = next {
            each(taken.value);
            next = taken.before;
        }
    }

    fn is(&self, key: &[FieldValue]) -> bool {
        let mut next = *self;
        for value in key.iter().rev() {
            match next {
                Some(taken) if taken.value == value.borrow() => next = taken.before,
                _ => return false,
            }
        }
        next.is_none()
    }
}

#[cfg(test)]
mod tests;
