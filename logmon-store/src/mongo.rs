//! MongoDB: an output that loses nothing and doubles nothing.
//!
//! [`MongoSink`] writes what a [`Runner`](logmon_core::Runner) gives it. Each event is a document under
//! the event's own id (`docs/mongodb.md`), so that whatever is in doubt is simply written again.

#[doc(hidden)]
pub mod bench;
mod client;
mod config;
mod document;
mod doubt;
mod fault;
mod insert;
mod reply;
mod schema;
mod sink;
mod stats;
mod store;
mod watch;

pub use config::{Capped, Collection, ConnectionString, MongoConfig, MongoTls, WriteConcern};
pub use document::DotsAndDollars;
pub use schema::{CollectionStatus, Difference};
pub use sink::MongoSink;
pub use stats::MongoFigures;
pub use store::MongoStore;
pub use watch::{MongoWatch, WatchBy, WatchFigures, WatchStats};
