//! Settings of a local store, and what it says about itself.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::Timestamp;

use super::ledger::Gone;
use crate::journal::HoldConfig;
use crate::query::DEFAULT_MAX_QUERIES;

/// How a local store is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Events of a block. 8192 by default, and never more than 32768. Bigger blocks are a little
    /// smaller on the disk, and dearer to look into.
    pub block_events: usize,
    /// A block is sealed when its events have so many bytes. 4 MiB by default.
    pub block_bytes: u64,
    /// The first wait before a full disk is tried again; it doubles up to ten times as long. 100 ms
    /// by default.
    pub full_retry: Duration,
    /// What holds when the store is behind. By default the journal waits for it once it is as large
    /// as it may be.
    pub hold: HoldConfig,
    /// Queries that run at once; further ones are refused as busy. 4 by default.
    pub max_queries: usize,
    /// Partition files that are open for reading at once. 64 by default, at least one.
    pub open_files: usize,
    /// A partition file is closed when it has so many bytes. 256 MiB by default.
    pub partition_bytes: u64,
    /// What is removed, and when.
    pub retention: StoreRetention,
    /// Bytes of events that may be in blocks which are not synced yet, and are kept in the journal
    /// until they are. 64 MiB by default.
    pub sync_bytes: u64,
    /// How long they may be so. 5 s by default.
    pub sync_interval: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            block_events: 8192,
            block_bytes: 4 << 20,
            full_retry: Duration::from_millis(100),
            hold: HoldConfig::default(),
            max_queries: DEFAULT_MAX_QUERIES,
            open_files: 64,
            partition_bytes: 256 << 20,
            retention: StoreRetention::default(),
            sync_bytes: 64 << 20,
            sync_interval: Duration::from_secs(5),
        }
    }
}

/// What a store forgets. Whole partition files go, never the one that is written.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StoreRetention {
    /// A partition goes when it was closed, and the newest of its events received, longer ago than
    /// this; at most those of one hour in a minute, so that a clock that is wrong for a while does
    /// little. `None`, the default, keeps events of any age.
    pub max_age: Option<Duration>,
    /// The oldest partitions go while all files together take more bytes than this. `None`, the
    /// default, sets no limit.
    pub max_bytes: Option<u64>,
}

/// Where a local store stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStatus {
    /// Whether it seals events.
    pub state: StoreState,
    /// Events in blocks that can be read, as far as is known.
    pub events: u64,
    /// Bytes of the partition files.
    pub block_bytes: u64,
    /// Bytes of their indexes.
    pub index_bytes: u64,
    /// Blocks.
    pub blocks: usize,
    /// Partitions.
    pub partitions: usize,
    /// The earliest timestamp in a block.
    pub oldest: Option<Timestamp>,
    /// Events before this number are in blocks; later ones are searched in the journal.
    pub sealed_seq: u64,
    /// Events before this number are in blocks that a power cut does not take away; the journal
    /// need not keep them.
    pub durable_seq: u64,
    /// Numbers of events between the last block and the head of the journal.
    pub lag: u64,
    /// Events ever put into blocks: those kept, expired and damaged.
    pub delivered: u64,
    /// Events in partitions that were removed by retention.
    pub expired: Gone,
    /// Events in blocks that cannot be read, or in partitions that are gone without having been
    /// removed.
    pub damaged: u64,
    /// Numbers of events that the journal had no longer when the store came to them.
    pub skipped: u64,
    /// Blocks sealed since the store was opened.
    pub seals: u64,
    /// The time all those seals took together: encoding, compressing and writing.
    pub seal_time: Duration,
}

/// Whether a store seals events. Searching goes on in every state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreState {
    /// It was closed.
    Closed,
    /// The disk failed. What was not durable is read from the journal again and put into another
    /// partition file, which is tried again and again.
    Failing(Arc<str>),
    /// The disk is full. What waits stays in the journal and is tried again.
    Full(Arc<str>),
    /// It seals events.
    Ok,
}
