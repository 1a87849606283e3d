//! Which fields events have.

use super::{Incomplete, QueryStats};
use crate::{Position, Scalar, Timestamp};

mod tally;

pub use tally::FieldTally;

/// The paths below the metadata that events have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FieldCatalogue {
    /// The paths, those of most events first, equal ones in the order of their names; at most
    /// 10,000.
    pub fields: Vec<FieldStats>,
    /// In how many events each path was met that is not among them, summed up. A path of more than
    /// 512 bytes, which no query can name, is never among them.
    pub others: u64,
    /// Why not all events were looked at; `None` if they were.
    pub incomplete: Option<Incomplete>,
    /// Where not all were: those from this instant on were, and some of the earlier ones. `None`
    /// too if none are known to be.
    pub scanned_to: Option<Timestamp>,
    /// The journal's head that the answer saw.
    pub head: Position,
    /// What it took.
    pub stats: QueryStats,
}

impl FieldCatalogue {
    /// An answer that saw everything up to `head`.
    pub fn new(tally: FieldTally, head: Position, stats: QueryStats) -> Self {
        let (fields, others) = tally.finish();
        Self { fields, others, incomplete: None, scanned_to: None, head, stats }
    }
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldStats {
    /// The path as a query names it: `http.status`, or `metadata.level` where the name alone would
    /// be another field's. Nothing in it is escaped.
    pub path: Box<str>,
    /// Events that have it.
    pub events: u64,
    /// The kinds of values met there.
    pub kinds: ValueKinds,
}

impl FieldStats {
    /// A path that so many events have.
    pub const fn new(path: Box<str>, events: u64, kinds: ValueKinds) -> Self {
        Self { path, events, kinds }
    }
}

/// A set of kinds of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueKinds(u8);

/// The names of the kinds, by their bit.
const NAMES: [&str; 7] = ["null", "boolean", "number", "text", "bytes", "time", "object"];

impl ValueKinds {
    /// The kind of one value.
    pub const fn of(value: Scalar<'_>) -> Self {
        Self(match value {
            Scalar::Nil => 1,
            Scalar::Bool(_) => 2,
            Scalar::Int(_) | Scalar::Float(_) => 4,
            Scalar::Str(_) => 8,
            Scalar::Bytes(_) => 16,
            Scalar::Time(_) => 32,
            Scalar::Map => 64,
        })
    }

    /// The kinds of both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set as bits, in the order of the names; for storing it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown ones are left out.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 127)
    }

    /// The names of the kinds: `null boolean number text bytes time object`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let is_in = move |bit: &usize| self.0 >> bit & 1 == 1;
        (0..NAMES.len()).filter(is_in).filter_map(|bit| NAMES.get(bit).copied())
    }
}
