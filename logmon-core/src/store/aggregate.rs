//! Counting events apart by fields and by time: what to count, and the answer.

use std::sync::Arc;

use super::{FieldValue, Incomplete, Key, QueryStats, Scope};
use crate::{Event, Filter, Position, Scalar, Timestamp};

/// What to count, all in one pass over the events.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Aggregate {
    /// Which events, and what counting them may cost.
    pub scope: Scope,
    /// The tables to make.
    pub tables: Vec<TableSpec>,
}

impl Aggregate {
    /// Counts the events that `filter` accepts into these tables.
    pub const fn new(filter: Filter, tables: Vec<TableSpec>) -> Self {
        Self { scope: Scope::new(filter), tables }
    }
}

/// One table: a row for each combination of values, a count in each.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TableSpec {
    /// The fields whose values make the rows; none for one row of all events. An event with several
    /// values at a path counts once in the row of each distinct one: up to 1,000 of a path, and up
    /// to 10,000 rows in all.
    pub by: Vec<Key>,
    /// The columns of each row in time, beside its total.
    pub buckets: Option<Buckets>,
    /// What is summed up beside the number of events.
    pub measure: Measure,
    /// Only rows with these values, one for each field of `by`; what is in none of them is counted
    /// together in [`Table::rest`].
    pub only: Option<Arc<[Box<[FieldValue]>]>>,
}

impl TableSpec {
    /// Rows by the values of these fields.
    pub fn by(by: impl IntoIterator<Item = Key>) -> Self {
        Self { by: by.into_iter().collect(), ..Self::default() }
    }
}

/// Consecutive stretches of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets(Arc<[Timestamp]>);

impl Buckets {
    /// The stretches between these instants, which ascend; each begins with the one and ends before
    /// the next. `None` where they do not ascend or are fewer than two.
    pub fn between(bounds: impl Into<Arc<[Timestamp]>>) -> Option<Self> {
        let bounds = bounds.into();
        let ascends = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        (bounds.len() >= 2 && ascends).then_some(Self(bounds))
    }

    /// The number of stretches.
    pub fn count(&self) -> usize {
        self.0.len() - 1
    }

    /// The instants.
    pub fn bounds(&self) -> &[Timestamp] {
        &self.0
    }

    /// The stretch an instant lies in.
    pub fn of(&self, time: Timestamp) -> Option<usize> {
        let after = self.0.partition_point(|bound| *bound <= time);
        after.checked_sub(1).filter(|at| *at < self.count())
    }
}

/// What is summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "counts and sums")]
pub enum Measure {
    /// Nothing beside the number of events.
    #[default]
    Count,
    /// The numbers at this path below the metadata.
    Sum(Arc<str>),
}

impl Measure {
    /// What an event adds to the sum.
    pub fn of<E: Event + ?Sized>(&self, event: &E) -> f64 {
        let Self::Sum(path) = self else { return 0.0 };
        let mut sum = 0.0;
        event.visit_metadata(path, &mut |value| {
            #[expect(clippy::cast_precision_loss, reason = "a sum of floats")]
            match value {
                Scalar::Int(number) => sum += number as f64,
                Scalar::Float(number) if number.is_finite() => sum += number,
                _ => {}
            }
            false
        });
        sum
    }
}

/// The answer to an [`Aggregate`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Aggregated {
    /// The tables, in the order they were asked for.
    pub tables: Vec<Table>,
    /// Why not all events were counted; `None` if they were.
    pub incomplete: Option<Incomplete>,
    /// Where not all were: those from this instant on were, and some of the earlier ones. `None`
    /// too if none are known to be.
    pub scanned_to: Option<Timestamp>,
    /// The journal's head that the answer saw.
    pub head: Position,
    /// What it took.
    pub stats: QueryStats,
}

impl Aggregated {
    /// An answer that saw everything up to `head`.
    pub const fn new(tables: Vec<Table>, head: Position, stats: QueryStats) -> Self {
        Self { tables, incomplete: None, scanned_to: None, head, stats }
    }
}

/// A table of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Table {
    /// The rows, those with most events first, equal ones in the order of their values.
    pub rows: Vec<Row>,
    /// What is in none of the rows asked for by [`TableSpec::only`].
    pub rest: Option<Row>,
    /// `None` where the table is exact. Otherwise there were too many distinct values to keep: a
    /// row's count may be too high by at most this many, and values with no more events than this
    /// may have no row. The other figures of a row are then those of its events since it was kept.
    pub error: Option<u64>,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// The values, one for each field of [`TableSpec::by`].
    pub key: Box<[FieldValue]>,
    /// Events.
    pub count: u64,
    /// The sum of the measure.
    pub sum: f64,
    /// The earliest timestamp.
    pub first: Timestamp,
    /// The latest timestamp.
    pub last: Timestamp,
    /// Events in each stretch of time; empty where none were asked for. Events outside all of them
    /// are in `count` only.
    pub buckets: Vec<u64>,
}
