//! Gathering events into a seal unit.

use std::sync::Arc;

use logmon_core::{Event as _, LogRef};

use crate::local::block::{BlockBuilder, BlockInfo, Unit};
use crate::local::config::StoreConfig;

/// Events whose timestamp is further from their receipt go into a block of their own, so that one
/// clock that is wrong does not spoil what the block of the others says of its times.
const FAR_NANOS: u64 = 3_600_000_000_000;

/// A unit in the making: it covers all numbers from its first to the next one.
#[derive(Debug, Default)]
pub(super) struct UnitBuilder {
    near: BlockBuilder,
    far: BlockBuilder,
    first_seq: u64,
    next_seq: u64,
}

impl UnitBuilder {
    /// An empty unit that begins at a number.
    pub(super) fn at(seq: u64) -> Self {
        Self { first_seq: seq, next_seq: seq, ..Self::default() }
    }

    pub(super) const fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The number of the first event that is not in it.
    pub(super) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.near.is_empty() && self.far.is_empty()
    }

    /// Takes the next event; `false` where it has to go into another unit.
    #[inline]
    pub(super) fn push(&mut self, log: LogRef<'_>) -> bool {
        let distance = log.timestamp().as_nanos().abs_diff(log.received().as_nanos());
        let builder = if distance > FAR_NANOS { &mut self.far } else { &mut self.near };
        let is_taken = builder.push(log);
        if is_taken {
            self.next_seq = log.seq() + 1;
        }
        is_taken
    }

    /// Covers all numbers before this one: there are no more events.
    pub(super) fn skip_to(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq);
    }

    pub(super) const fn is_full(&self, config: &StoreConfig) -> bool {
        self.near.len() + self.far.len() >= config.block_events
            || self.near.raw_bytes() + self.far.raw_bytes() >= config.block_bytes
    }

    /// The bytes of the entries of its events.
    pub(super) const fn raw_bytes(&self) -> u64 {
        self.near.raw_bytes() + self.far.raw_bytes()
    }

    /// Appends its blocks to `out`, says of each where it begins there, and begins the next unit.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Vec<(u64, Arc<BlockInfo>)> {
        let builders = [&mut self.near, &mut self.far];
        let parts = builders.iter().filter(|builder| !builder.is_empty()).count();
        let parts = u8::try_from(parts).unwrap_or(u8::MAX);
        let mut blocks = Vec::with_capacity(builders.len());
        let mut part = 0;
        for builder in builders {
            let start = out.len() as u64;
            let unit = Unit { seqs: self.first_seq..self.next_seq, part: (part, parts) };
            if let Some(info) = builder.finish(unit, out) {
                blocks.push((start, Arc::new(info)));
                part += 1;
            }
        }
        self.first_seq = self.next_seq;
        blocks
    }
}
