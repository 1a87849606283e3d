//! Event model, filter algebra and broadcast hub of logmon.
//!
//! The ten-line path of an embedder is at [`hub::Hub`]. Around it:
//!
//! - a [`Log`] is one event, owned; a [`LogRef`] is one of a [`Group`] of packed events;
//! - a [`Filter`] says which events someone wants to see;
//! - a [`Journal`] is the sequence that everything reads, a [`Sink`] takes events out of it,
//!   a [`Store`] finds them again.
//!
//! No part of this crate opens a socket or a file.

pub mod filter;
pub mod hub;
pub mod json;
pub mod msgpack;

mod entries;
mod event;
mod field_map;
mod group;
mod journal;
mod level;
mod log;
mod map;
mod position;
mod quarantine;
mod route;
mod sink;
mod store;
mod tag;
mod time;
#[cfg(feature = "tracing")]
mod tracing_layer;
mod value;

pub use entries::{
    Entries, EntryError, EntryErrorKind, Index, MAX_RECORD_BYTES, Oddities, Piece, Reading,
    TimeUnit,
};
pub use event::{Event, Scalar};
pub use field_map::{FieldMap, FieldMapError, LEVEL_KEYS, MESSAGE_KEYS, SOURCE_KEYS};
pub use filter::{Filter, FilterSet, ParseFilterError};
pub use group::{
    Batch, Codec, Compressed, Fingerprint, Group, GroupBuilder, LogRef, MAX_GROUP_BYTES, NewBatch,
    Parts, write_entry,
};
pub use hub::Hub;
pub use journal::{
    AppendError, BoxFuture, Commit, Committed, Journal, MemoryJournal, Promise, ReadError,
    SeenChunk, Staging,
};
pub use level::{Level, LevelCounts, ParseLevelError};
pub use log::Log;
pub use position::{Epoch, EventId, ParseEventIdError, Position};
pub use quarantine::{Quarantine, QuarantineError, Quarantined, QuarantinedKind};
pub use route::RouteSet;
pub use sink::{
    Cursor, CursorError, CursorState, CursorTally, MemoryCursor, Retry, Runner, RunnerConfig,
    RunnerError, RunnerFigures, RunnerStats, Sink, SinkBatch, StartAt, Verdict, Verdicts,
};
pub use store::{
    Aggregate, Aggregated, Buckets, FieldCatalogue, FieldStats, FieldTally, FieldValue, Float, Hit,
    Incomplete, Key, Measure, Order, Page, PageKey, QueryError, QueryStats, Row, Scope, Search,
    Store, Table, TableSpec, Tables, Tally, ValueKinds,
};
pub use tag::{MAX_TAG_PATTERN_BYTES, MAX_TAG_PATTERN_DEPTH};
pub use tag::{Tag, TagBound, TagPattern, TagPatternError, TagPatternWarning};
pub use time::{ParseTimestampError, Timestamp};
#[cfg(feature = "tracing")]
pub use tracing_layer::Layer;
pub use value::{Map, Value};
