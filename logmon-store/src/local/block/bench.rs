//! The way in for benchmarks: blocks without the store around them.

use std::sync::Arc;

use logmon_core::Group;

use super::{Block, BlockBuilder, BlockError, MAX_ROWS, Scratch, Unit};
use crate::vfs::Vfs as _;
use crate::vfs::memory::MemoryVfs;

/// Builds blocks one after the other, in memory.
#[derive(Debug, Default)]
pub struct Blocks {
    builder: BlockBuilder,
    bytes: Vec<u8>,
    kept: Vec<Block>,
    /// The bytes of all blocks.
    pub stored_bytes: u64,
    /// The bytes of their sections.
    pub sections: [u64; 13],
}

impl Blocks {
    /// Adds the events of a group; keeps the blocks if told to.
    pub fn push(&mut self, group: &Group, keep: bool) {
        for log in group.iter() {
            if self.builder.len() >= 8192.min(MAX_ROWS) || !self.builder.push(log) {
                self.seal(keep);
                let _taken = self.builder.push(log);
            }
        }
    }

    fn seal(&mut self, keep: bool) {
        self.bytes.clear();
        let unit = Unit { seqs: 0..1 << 60, part: (0, 1) };
        let Some(info) = self.builder.finish(unit, &mut self.bytes) else { return };
        self.stored_bytes += self.bytes.len() as u64;
        for (sum, stored) in self.sections.iter_mut().zip(&info.sections) {
            *sum += u64::from(stored.len);
        }
        if keep {
            let vfs = MemoryVfs::new();
            vfs.put("b", self.bytes.clone());
            if let Ok(file) = vfs.open("b") {
                self.kept.push(Block::new(Arc::new(info), file, "b".into(), 0));
            }
        }
    }

    /// Counts what a filter accepts in the blocks that were kept.
    pub fn count(&self, filter: &logmon_core::Filter) -> u64 {
        let scope = logmon_core::Scope::new(filter.clone());
        let cancel = std::sync::atomic::AtomicBool::new(false);
        let look = crate::query::Look::new(&scope, 1 << 60, &cancel);
        let (mut scratch, mut damages) = (Scratch::default(), Vec::new());
        let mut tables = logmon_core::Tables::new(vec![logmon_core::TableSpec::by([])]);
        let seen = self
            .kept
            .iter()
            .filter_map(|block| block.tally(&look, &mut tables, (&mut scratch, &mut damages)).ok());
        seen.map(|seen| seen.matched).sum()
    }

    /// Finds the newest of what a filter accepts in the blocks that were kept.
    pub fn newest(&self, filter: &logmon_core::Filter, limit: usize) -> usize {
        let scope = logmon_core::Scope::new(filter.clone());
        let cancel = std::sync::atomic::AtomicBool::new(false);
        let look = crate::query::Look::new(&scope, 1 << 60, &cancel);
        let (mut scratch, mut damages) = (Scratch::default(), Vec::new());
        let mut best = crate::query::Best::new(logmon_core::Order::NewestFirst, limit, 64 << 20);
        for block in self.kept.iter().rev() {
            if best.would_take(block.info().bounds().1) {
                let _seen = block.find(&look, &mut best, (&mut scratch, &mut damages));
            }
        }
        best.into_hits(None).0.len()
    }

    /// Reads all messages of the blocks that were kept; gives their bytes.
    pub fn read_messages(&self) -> u64 {
        let (mut scratch, mut out, mut sum) = (Scratch::default(), Vec::new(), 0);
        for block in &self.kept {
            let open = block.open(&mut scratch);
            let mut read = || -> Result<(), BlockError> {
                for page in open.pages()? {
                    open.messages(page, &mut out)?;
                    sum += out.len() as u64;
                }
                Ok(())
            };
            let _read = read();
        }
        sum
    }
}
