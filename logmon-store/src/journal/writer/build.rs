//! Making a group whose arena is what goes to disk, where no batch is stored compressed.

use std::sync::Arc;

use logmon_core::{FieldMap, GroupBuilder, NewBatch, TimeUnit, Timestamp};

use super::{Stop, Writer};
use crate::journal::codec;
use crate::journal::control::{self, Record};
use crate::journal::format::{NewFrame, chain, end_frame, epoch_seed};
use crate::journal::queue::Queued;
use crate::journal::segment::{BLOCK_BYTES, Block, Blocks};

/// A group ready to be written.
pub(super) struct Built {
    pub(super) builder: GroupBuilder,
    /// The bytes for the disk, where they are not those of the arena.
    separate: Option<Vec<u8>>,
    pub(super) blocks: Blocks,
    pub(super) chain: u32,
    pub(super) events: u64,
    pub(super) times: (Timestamp, Timestamp),
    pub(super) received: Timestamp,
    pub(super) new_maps: Vec<Arc<FieldMap>>,
    /// What is noted of cursors in front of the batches.
    pub(super) records: Vec<Record>,
}

impl Writer {
    /// Makes one group of the batches taken, in memory that is sized beforehand: `bytes` for the
    /// frames.
    pub(super) fn build(&mut self, bytes: usize) -> Result<Built, Stop> {
        let batches = || self.taken.iter().map(|queued| &queued.batch);
        let events: usize = batches().map(|batch| batch.entries.len()).sum();
        let block_bytes = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
        let is_separate = batches().any(|batch| codec::stored(batch).0.is_some());
        let payloads = || batches().map(|batch| batch.entries.payload().len()).sum();
        let arena_bytes = if is_separate { payloads() } else { bytes };
        let mut built = Built {
            builder: GroupBuilder::with_capacity(self.epoch, events, self.taken.len(), arena_bytes),
            separate: is_separate.then(|| Vec::with_capacity(bytes)),
            blocks: Blocks::with_capacity(bytes / block_bytes + 1),
            chain: self.chain,
            events: events as u64,
            times: (Timestamp::MAX, Timestamp::MIN),
            received: Timestamp::MIN,
            new_maps: Vec::new(),
            records: self.take_changes(),
        };
        if !built.records.is_empty() {
            let records = std::mem::take(&mut built.records);
            let at = (self.next_seq, self.shared.vfs.now());
            let crc = control::write_frame(built.disk(), &records, self.epoch, at);
            built.chain = chain(built.chain, crc);
            built.records = records;
        }
        let base = self.active.as_ref().map_or(0, |active| active.len);
        let seed = epoch_seed(self.epoch);
        let mut seq = self.next_seq;
        let taken = std::mem::take(&mut self.taken);
        for Queued { batch, .. } in &taken {
            let Some(fields) = self.map_number(batch.entries.fields(), &mut built, seq) else {
                self.taken = taken;
                return Err(Stop::Poison("more than 65535 field maps are in use".into()));
            };
            let at = base + built.disk().len() as u64;
            let times = built.add(batch, (seq, fields), seed);
            built.blocks.note(Block { first_seq: seq, at, times });
            seq += batch.entries.len() as u64;
        }
        self.taken = taken;
        Ok(built)
    }

    /// The number of a field map; one that has none yet is defined in front of its first frame.
    fn map_number(&mut self, map: &Arc<FieldMap>, built: &mut Built, seq: u64) -> Option<u16> {
        if let Some((last, number)) = &self.last_map
            && Arc::ptr_eq(last, map)
        {
            return Some(*number);
        }
        let catalog = self.shared.catalog();
        let number = if let Some(number) = catalog.number_of(map) {
            number
        } else if let Some(at) = built.new_maps.iter().position(|new| new == map) {
            u16::try_from(catalog.field_maps.len() + at).ok()?
        } else {
            let number = u16::try_from(catalog.field_maps.len() + built.new_maps.len()).ok()?;
            let record = Record::FieldMap(number, map.clone());
            let now = self.shared.vfs.now();
            let crc = control::write_frame(built.disk(), &[record], self.epoch, (seq, now));
            built.chain = chain(built.chain, crc);
            built.new_maps.push(map.clone());
            number
        };
        drop(catalog);
        self.last_map = Some((map.clone(), number));
        Some(number)
    }
}

impl Built {
    /// The bytes for the disk.
    pub(super) fn disk(&mut self) -> &mut Vec<u8> {
        match &mut self.separate {
            Some(separate) => separate,
            None => self.builder.arena(),
        }
    }

    /// Appends the frame of a batch; gives the range of its times.
    fn add(
        &mut self,
        batch: &NewBatch,
        (seq, fields): (u64, u16),
        seed: u32,
    ) -> (Timestamp, Timestamp) {
        let entries = &batch.entries;
        let (codec, stored) = codec::stored(batch);
        let times = entries.time_range().unwrap_or((Timestamp::MAX, Timestamp::MIN));
        let frame = NewFrame {
            is_control: false,
            are_times_auto: entries.time_unit() == TimeUnit::Auto,
            codec,
            payload_len: u32::try_from(stored.len()).unwrap_or(u32::MAX),
            raw_len: u32::try_from(entries.payload().len()).unwrap_or(u32::MAX),
            events: u32::try_from(entries.len()).unwrap_or(u32::MAX),
            first_seq: seq,
            received: entries.received(),
            times,
            route: batch.route.number(),
            fields,
            origin: batch.origin,
            tag: &batch.tag,
            fingerprints: &batch.fingerprints,
        };
        let crc = frame.write(self.disk(), seed);
        self.builder.push(batch, seq);
        if let Some(separate) = &mut self.separate {
            separate.extend_from_slice(stored);
        }
        end_frame(self.disk(), crc, stored);
        self.chain = chain(self.chain, crc);
        self.times = (self.times.0.min(times.0), self.times.1.max(times.1));
        self.received = self.received.max(entries.received());
        times
    }
}
