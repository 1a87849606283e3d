//! Event model, filter algebra and broadcast hub of logmon.

mod event;
mod level;
mod time;

pub use event::{Event, Scalar};
pub use level::{Level, LevelCounts, ParseLevelError};
pub use time::{ParseTimestampError, Timestamp};
