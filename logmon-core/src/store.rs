//! Answering queries over stored events.

use std::fmt;

use crate::{BoxFuture, EventId};

mod aggregate;
mod fields;
mod key;
mod scope;
mod search;
mod tables;
mod value;

pub use aggregate::{Aggregate, Aggregated, Buckets, Measure, Row, Table, TableSpec};
pub use fields::{FieldCatalogue, FieldStats, FieldTally, ValueKinds};
pub use key::Key;
pub use scope::{Incomplete, QueryStats, Scope};
pub use search::{Hit, Order, Page, PageKey, Search};
pub use tables::{Tables, Tally};
pub use value::{FieldValue, Float};

/// Whatever can search events: the journal itself, the block store, a database.
///
/// Every store gives the answer that evaluating the filter on each event would give.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Searches events in the order of (timestamp, number).
    ///
    /// # Cancel safety
    /// Dropping the future stops the work soon.
    fn search(&self, search: Search) -> BoxFuture<'_, Result<Page, QueryError>>;

    /// The event with this id.
    fn get(&self, id: EventId) -> BoxFuture<'_, Result<Option<Hit>, QueryError>>;

    /// Counts events, apart by the values of fields and by time.
    ///
    /// # Cancel safety
    /// Dropping the future stops the work soon.
    fn aggregate(&self, query: Aggregate) -> BoxFuture<'_, Result<Aggregated, QueryError>>;

    /// The paths below the metadata that events of a scope have.
    ///
    /// # Cancel safety
    /// Dropping the future stops the work soon.
    fn fields(&self, scope: Scope) -> BoxFuture<'_, Result<FieldCatalogue, QueryError>>;
}

/// Why a query has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Too many queries run.
    #[error("{running} queries run already, the limit")]
    Busy {
        /// How many run.
        running: usize,
    },
    /// It would look at everything there is with a regular expression, which this store does not do:
    /// it is to be given a range of time.
    #[error(
        "a regular expression over everything in the database takes too long: give a range of time, \
         as `from` or as `timestamp>=now-1d` in the query"
    )]
    NeedsRange,
    /// The medium failed.
    #[error("reading the store failed: {0}")]
    Io(String),
}
