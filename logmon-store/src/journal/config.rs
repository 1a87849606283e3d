//! Settings of a journal, and what it says about itself.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::Position;

pub use super::control::Expired;
use super::cursors::CursorStatus;

/// How a journal is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalConfig {
    /// When a promise is kept. [`Durability::Sync`] by default.
    pub durability: Durability,
    /// The first wait before a full disk is tried again; it doubles up to ten times as long. 100 ms
    /// by default.
    pub full_retry: Duration,
    /// Bytes of segments that are kept though every holding cursor has passed them, for free
    /// readers that come back. 1 GiB by default. Without any holding cursor it means nothing:
    /// [`Retention`] alone decides.
    pub history_bytes: u64,
    /// While a batch has waited longer than this to become durable, appends are refused as busy, so
    /// that those who read from sockets stop reading. 200 ms by default.
    pub max_commit_delay: Duration,
    /// Syncs begin at least this far apart, unless as many batches wait as the last one served, or
    /// 256 KiB: a lone sender that waits for each acknowledgement is never held up. 1 ms by default.
    pub min_fsync_interval: Duration,
    /// No event gets a number below this. 0 by default. Whoever keeps events of this journal elsewhere
    /// and outlives its files names the end of what it has, so that no number is given twice.
    pub min_seq: u64,
    /// How long a holding cursor stays that nobody opens: then it ends, and holds nothing. 24 hours
    /// by default.
    pub orphan_max_age: Duration,
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
            history_bytes: 1 << 30,
            max_commit_delay: Duration::from_millis(200),
            min_fsync_interval: Duration::from_millis(1),
            min_seq: 0,
            orphan_max_age: Duration::from_secs(24 * 3600),
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
///
/// Where there are holding cursors, a segment goes as soon as all of them have passed it and the
/// journal keeps more than [`JournalConfig::history_bytes`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retention {
    /// A segment goes when it was closed, and the newest of its events received, longer ago than
    /// this, whatever cursors have not passed it. `None`, the default, keeps events of any age.
    pub max_age: Option<Duration>,
    /// The oldest segments go while all of them, the one being written counted as full, take more
    /// bytes than this. 10 GiB by default. Where the oldest is there for a cursor with
    /// [`OnLag::Block`](super::OnLag::Block), appends wait instead.
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

/// What became of every event a journal was ever given, and of those that were there for each of
/// its cursors: `appended = kept + expired + damaged`, at any time and over all openings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalLedger {
    /// Events that were appended.
    pub appended: u64,
    /// Events that are there, as far as is known.
    pub kept: u64,
    /// Events removed by retention.
    pub expired: Expired,
    /// Events lost to the medium.
    pub damaged: u64,
    /// The books of the holding cursors, the orphans among them.
    pub cursors: Vec<CursorStatus>,
}

impl JournalLedger {
    /// What the journal's own books do not account for. Always 0, or something is counted wrong.
    /// The cursors have their own, see [`CursorLedger::residue`](super::CursorLedger::residue).
    pub fn residue(&self) -> i128 {
        let parts = [self.kept, self.expired.by_age, self.expired.by_size, self.damaged];
        i128::from(self.appended) - parts.into_iter().map(i128::from).sum::<i128>()
    }
}

/// Whether a journal takes events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalState {
    /// It was closed.
    Closed,
    /// The disk is full. What waits is kept and tried again; what was appended can be read.
    Full(Arc<str>),
    /// The journal is as large as it may be, and the cursor of this name holds on to the oldest
    /// segment, or is further behind than it may be. Appends wait until it has moved on.
    Held(Arc<str>),
    /// It takes events.
    Ok,
    /// A write or sync failed; nothing more is taken until the journal is opened again. What was
    /// appended can be read.
    Poisoned(Arc<str>),
}
