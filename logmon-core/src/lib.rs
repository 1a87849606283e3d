//! Event model, filter algebra and broadcast hub of logmon.

mod event;
pub mod filter;
mod level;
mod tag;
mod time;

pub use event::{Event, Scalar};
pub use filter::{Filter, FilterSet, ParseFilterError};
pub use level::{Level, LevelCounts, ParseLevelError};
pub use tag::{MAX_TAG_PATTERN_BYTES, MAX_TAG_PATTERN_DEPTH};
pub use tag::{Tag, TagPattern, TagPatternError, TagPatternWarning};
pub use time::{ParseTimestampError, Timestamp};
