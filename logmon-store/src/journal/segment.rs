//! A segment in memory: what is known about it, and where in it to look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logmon_core::Timestamp;

use super::control::SegmentInfo;
use super::format::SEGMENT_HEADER_BYTES;
use super::walk::{Step, Walk};
use crate::vfs::VfsFile;

/// A block has at least so many bytes, save the last of a segment.
pub(super) const BLOCK_BYTES: u64 = if cfg!(test) { 1 << 10 } else { 64 << 10 };
/// Damaged places of one segment that are told apart; further ones are not counted again.
const MAX_DAMAGES: usize = 1 << 16;

/// The name of a segment's file.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.seg")
}

/// The number in the name of a segment's file.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

/// A segment that is kept. Clones share the index.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) info: SegmentInfo,
    index: Arc<Mutex<Option<Blocks>>>,
    /// Events missing by the place of the damage.
    damages: BTreeMap<u64, u64>,
}

impl Segment {
    /// A segment that is being written: its index grows with it.
    pub(super) fn begin(info: SegmentInfo) -> Self {
        let index = Arc::new(Mutex::new(Some(Blocks::default())));
        Self { info, index, damages: BTreeMap::new() }
    }

    /// A segment that was there; its index is built when it is first read.
    pub(super) fn found(info: SegmentInfo) -> Self {
        Self { info, index: Arc::default(), damages: BTreeMap::new() }
    }

    /// Takes account of frames that were added.
    pub(super) fn note_blocks(&self, blocks: Blocks) {
        if let Some(index) = self.index().as_mut() {
            blocks.0.into_iter().for_each(|block| index.note(block));
        }
    }

    /// The blocks of the segment; each ends where the next begins.
    pub(super) fn blocks(&self, file: &dyn VfsFile) -> Vec<Block> {
        let mut index = self.index();
        index.get_or_insert_with(|| Blocks::build(file, &self.info)).0.clone()
    }

    /// A place at or before the frame with the event numbered `seq`, and the first number there.
    pub(super) fn seek(&self, file: &dyn VfsFile, seq: u64) -> (u64, u64) {
        let mut index = self.index();
        let index = index.get_or_insert_with(|| Blocks::build(file, &self.info));
        index.seek(seq).unwrap_or((self.info.first_seq, SEGMENT_HEADER_BYTES as u64))
    }

    /// Takes account of damage; gives how many events this adds to those known to be lost.
    pub(super) fn note_damage(&mut self, at: u64, events: u64) -> u64 {
        if self.damages.len() < MAX_DAMAGES {
            self.damages.entry(at).or_insert(events);
        }
        // What an earlier opening had found is part of `info` already.
        let found: u64 = self.damages.values().sum();
        let more = found.saturating_sub(self.info.damaged);
        self.info.damaged += more;
        more
    }

    /// The damaged places that reading has come upon, and how many events each has cost.
    pub(super) fn damages(&self) -> impl Iterator<Item = (u64, u64)> {
        self.damages.iter().map(|(at, events)| (*at, *events))
    }

    fn index(&self) -> MutexGuard<'_, Option<Blocks>> {
        // Nothing panics while the lock is held.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Consecutive frames that are looked at together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The number of the first event.
    pub(super) first_seq: u64,
    /// The place of the first frame.
    pub(super) at: u64,
    /// The least and greatest timestamp; the other way round without events.
    pub(super) times: (Timestamp, Timestamp),
}

/// The sparse index of a segment: its frames in blocks of about 64 KiB, in order.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Block>);

impl Blocks {
    pub(super) fn with_capacity(blocks: usize) -> Self {
        Self(Vec::with_capacity(blocks))
    }

    /// Adds a frame, or a block of them.
    pub(super) fn note(&mut self, added: Block) {
        match self.0.last_mut() {
            Some(last) if added.at < last.at + BLOCK_BYTES => {
                last.times = (last.times.0.min(added.times.0), last.times.1.max(added.times.1));
            }
            _ => self.0.push(added),
        }
    }

    /// The place and number of the block with the event numbered `seq`.
    fn seek(&self, seq: u64) -> Option<(u64, u64)> {
        let after = self.0.partition_point(|block| block.first_seq <= seq);
        let block = after.checked_sub(1).and_then(|at| self.0.get(at))?;
        Some((block.first_seq, block.at))
    }

    fn build(file: &dyn VfsFile, info: &SegmentInfo) -> Self {
        let mut blocks = Self::default();
        let range = (SEGMENT_HEADER_BYTES as u64, info.bytes);
        let mut walk = Walk::new(file, info.epoch, range, (info.first_seq, Some(info.end_seq)));
        while let Some(step) = walk.step() {
            if let Step::Frame { at, header } = step
                && header.events > 0
            {
                blocks.note(Block { first_seq: header.first_seq, at, times: header.times });
            }
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_one_to_one() {
        assert_eq!(file_name(0x1f), "000000000000001f.seg");
        assert_eq!(number_of("000000000000001f.seg"), Some(0x1f));
        for bad in ["1f.seg", "000000000000001F.seg", "+00000000000001f.seg", "lock", ".seg"] {
            assert_eq!(number_of(bad), None, "{bad}");
        }
    }
}
