//! What is where: partitions and their blocks, at one instant.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logmon_core::Timestamp;

use super::block::BlockInfo;
use super::files::OpenFiles;
use super::partition::{self, Header};

/// Damaged blocks that are told apart; further ones are not counted.
const MAX_DAMAGES: usize = 1 << 16;

/// A block in a partition.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) info: Arc<BlockInfo>,
    pub(super) offset: u64,
}

impl Entry {
    /// Behind its last byte.
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.info.len)
    }
}

/// A partition at one instant. Its blocks are in the order of their numbers.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) header: Header,
    /// For people, and in messages about damage.
    pub(super) name: Arc<str>,
    /// When it was closed; `None` while it is written.
    pub(super) closed: Option<Timestamp>,
    /// Bytes up to the end of its last block.
    pub(super) len: u64,
    /// Bytes of its index, if it has one.
    pub(super) index_len: u64,
    /// Events that were in it and are in none of the blocks, as far as the numbers tell.
    pub(super) lost: u64,
    /// The medium did not give all of it, so there may be more in it than is known.
    pub(super) is_unread: bool,
    pub(super) blocks: Vec<Entry>,
    pub(super) events: u64,
    /// The least and greatest timestamp; the other way round without blocks.
    pub(super) times: (Timestamp, Timestamp),
    /// When the newest of its events was received.
    pub(super) received: Timestamp,
    /// What reading it needs.
    pub(super) reading: Arc<Reading>,
}

/// The rows that cannot be read, by partition and place of the block. Of a block they are pages,
/// which have no rows in common, or all of it.
type Damages = BTreeMap<(u64, u64), Vec<Range<usize>>>;

/// What all partitions are read with.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) files: OpenFiles,
    damages: Mutex<Damages>,
}

impl Reading {
    pub(super) fn new(files: OpenFiles) -> Self {
        Self { files, damages: Mutex::default() }
    }

    fn damages(&self) -> MutexGuard<'_, Damages> {
        // Nothing panics while the lock is held.
        self.damages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that rows of a block of a partition cannot be read; tells whether that is news.
    pub(super) fn note_damage(&self, number: u64, offset: u64, rows: Range<usize>) -> bool {
        let mut damages = self.damages();
        if damages.len() >= MAX_DAMAGES {
            return false;
        }
        let known = damages.entry((number, offset)).or_default();
        let is_in = |rows: &Range<usize>, other: &Range<usize>| {
            other.start <= rows.start && rows.end <= other.end
        };
        if known.iter().any(|known| is_in(&rows, known)) {
            return false;
        }
        known.retain(|known| !is_in(known, &rows));
        known.push(rows);
        true
    }

    /// The events of a partition that are known to be unreadable.
    pub(super) fn damaged(&self, number: u64) -> u64 {
        let damages = self.damages();
        let rows = damages.range((number, 0)..=(number, u64::MAX)).flat_map(|(_, rows)| rows);
        rows.map(|rows| rows.len() as u64).sum()
    }

    pub(super) fn forget(&self, number: u64) {
        self.files.forget(number);
        self.damages().retain(|(known, _), _| *known != number);
    }
}

impl Partition {
    pub(super) fn new(header: Header, reading: Arc<Reading>) -> Self {
        Self {
            header,
            name: partition::file_name(header.number).into(),
            closed: None,
            len: partition::HEADER_BYTES as u64,
            index_len: 0,
            lost: 0,
            is_unread: false,
            blocks: Vec::new(),
            events: 0,
            times: (Timestamp::MAX, Timestamp::MIN),
            received: Timestamp::MIN,
            reading,
        }
    }

    pub(super) const fn number(&self) -> u64 {
        self.header.number
    }

    /// Adds a block behind all others.
    pub(super) fn push(&mut self, block: Entry) {
        let info = &block.info;
        self.len = self.len.max(block.end());
        self.events += u64::from(info.rows);
        self.times = (self.times.0.min(info.times.0), self.times.1.max(info.times.1));
        self.received = self.received.max(info.received.1);
        self.blocks.push(block);
    }

    /// The same partition with these blocks only.
    pub(super) fn with(&self, blocks: impl IntoIterator<Item = Entry>) -> Self {
        let empty = Self::new(self.header, self.reading.clone());
        let mut partition = Self {
            closed: self.closed,
            index_len: self.index_len,
            lost: self.lost,
            is_unread: self.is_unread,
            name: self.name.clone(),
            ..empty
        };
        blocks.into_iter().for_each(|block| partition.push(block));
        partition
    }

    /// The same partition without the units that end behind `seq`.
    pub(super) fn cut(&self, seq: u64) -> Self {
        self.with(self.blocks.iter().filter(|block| block.info.unit.end <= seq).cloned())
    }

    /// Behind the last number its blocks cover.
    pub(super) fn end_seq(&self) -> u64 {
        self.blocks.last().map_or(self.header.first_seq, |block| block.info.unit.end)
    }

    /// Events in all files up to this one.
    pub(super) const fn events_after(&self) -> u64 {
        self.header.events_before + self.events + self.lost
    }

    /// Bytes on the disk.
    pub(super) const fn bytes(&self) -> u64 {
        self.len + self.index_len
    }

    /// The blocks of the unit that covers `seq`.
    pub(super) fn unit_of(&self, seq: u64) -> &[Entry] {
        let from = self.blocks.partition_point(|block| block.info.unit.end <= seq);
        let to = self.blocks.partition_point(|block| block.info.unit.start <= seq);
        self.blocks.get(from..to).unwrap_or_default()
    }
}

/// All blocks at one instant.
#[derive(Clone, Debug)]
pub(super) struct Catalog {
    /// Oldest first.
    pub(super) closed: Arc<Vec<Arc<Partition>>>,
    /// The one that is written.
    pub(super) open: Option<Arc<Partition>>,
    /// Every event before it is in a block, or gone.
    pub(super) end_seq: u64,
    /// Events ever put into blocks.
    pub(super) delivered: u64,
}

impl Catalog {
    /// All partitions, oldest first.
    pub(super) fn partitions(&self) -> impl DoubleEndedIterator<Item = &Arc<Partition>> {
        self.closed.iter().chain(&self.open)
    }

    /// The partition that covers `seq`.
    pub(super) fn partition_of(&self, seq: u64) -> Option<&Arc<Partition>> {
        if let Some(open) = self.open.as_ref().filter(|open| open.header.first_seq <= seq) {
            return Some(open);
        }
        let after = self.closed.partition_point(|closed| closed.header.first_seq <= seq);
        after.checked_sub(1).and_then(|at| self.closed.get(at))
    }
}
