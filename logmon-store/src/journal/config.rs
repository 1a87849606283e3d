//! Settings of a journal, and what it says about itself.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::Position;

pub use super::control::Expired;

/// How a journal is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalConfig {
    /// When a promise is kept. [`Durability::Sync`] by default.
    pub durability: Durability,
    /// The first wait before a full disk is tried again; it doubles up to ten times as long. 100 ms
    /// by default.
    pub full_retry: Duration,
    /// Bytes of batches, with their indexes, that may wait for the disk before appends are refused
    /// as busy. 24 MiB by default, several times what a disk takes in one sync.
    pub queue_bytes: usize,
    /// What is removed, and when.
    pub retention: Retention,
    /// A segment is closed when it has reached this many bytes. 64 MiB by default.
    pub segment_bytes: u64,
    /// Bytes on the disk that messages too big for memory may take before they are part of the
    /// journal, all together; what is beyond is refused as busy. Retention does not count them. A
    /// message that would not fit alone, or that retention would remove at once, is refused as too
    /// large. 8 GiB by default.
    pub staging_max_bytes: u64,
    /// Bytes of the newest groups that are kept in memory for readers. 16 MiB by default.
    pub tail_bytes: usize,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            full_retry: Duration::from_millis(100),
            queue_bytes: 24 << 20,
            retention: Retention::default(),
            segment_bytes: 64 << 20,
            staging_max_bytes: 8 << 30,
            tail_bytes: 16 << 20,
        }
    }
}

/// When the promise of an append is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When the bytes have reached the medium: neither a killed process nor a power cut loses what
    /// was promised.
    #[default]
    Sync,
    /// When the bytes are written; they reach the medium at most this much later. A killed process
    /// loses nothing, a power cut what was promised within the interval.
    Interval(Duration),
    /// When the bytes are written; they reach the medium when a segment is closed and when the
    /// journal is. A killed process loses nothing, a power cut up to a segment.
    None,
}

/// What a journal forgets. Whole segments go, never the one that is written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retention {
    /// A segment goes when it was closed, and the newest of its events received, longer ago than
    /// this. `None`, the default, keeps events of any age.
    pub max_age: Option<Duration>,
    /// The oldest segments go while all of them, the one being written counted as full, take more
    /// bytes than this. 10 GiB by default.
    pub max_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_age: None, max_bytes: 10 << 30 }
    }
}

/// Where a journal stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalStatus {
    /// Whether it takes events.
    pub state: JournalState,
    /// Behind the last event.
    pub head: Position,
    /// The oldest event.
    pub oldest: Position,
    /// Bytes of all segments.
    pub bytes: u64,
    /// The number of segments.
    pub segments: usize,
    /// Bytes of batches waiting for the disk.
    pub queued_bytes: usize,
    /// Bytes of messages too big for memory that are not part of the journal yet.
    pub staged_bytes: u64,
    /// Events ever appended: those kept, expired and damaged.
    pub appended: u64,
    /// Events removed by retention.
    pub expired: Expired,
    /// Events lost to the medium.
    pub damaged: u64,
    /// Syncs of a segment since the journal was opened.
    pub fsyncs: u64,
}

/// Whether a journal takes events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalState {
    /// It was closed.
    Closed,
    /// The disk is full. What waits is kept and tried again; what was appended can be read.
    Full(Arc<str>),
    /// It takes events.
    Ok,
    /// A write or sync failed; nothing more is taken until the journal is opened again. What was
    /// appended can be read.
    Poisoned(Arc<str>),
}
