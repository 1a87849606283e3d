//! Building a block.

use std::ops::Range;
use std::sync::Arc;

use logmon_core::filter::key;
use logmon_core::{Epoch, Event as _, FieldMap, LogRef, Timestamp};

use super::bloom::Bloom;
use super::codec::Compressor;
use super::dictionary::Dictionary;
use super::info::{BlockInfo, Checked, HEADER_BYTES, Section};
use super::pages::PageWriter;
use super::wire::{put_bytes, put_signed, put_varint};
use super::{MAX_RAW_BYTES, MAX_ROWS, column};
use records::Records;

mod paths;
mod records;

/// The level in the low three bits of an event's flags.
pub(super) const LEVEL_BITS: u8 = 7;
/// The message of the event is no text of its own and does not stand in the pages of messages.
pub(super) const NO_TEXT: u8 = 8;
/// There was metadata in the header of the entry.
pub(super) const HAS_HEADER: u8 = 16;

/// The most field maps of a block.
const MAX_FIELD_MAPS: usize = 250;

/// What a block is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The numbers that the seal unit covers; those of the block's events lie in it.
    pub(crate) seqs: Range<u64>,
    /// Which block of the unit this is, and how many it has.
    pub(crate) part: (u8, u8),
}

/// Takes events in the order of their numbers and makes a block of them.
///
/// What it needs is kept from one block to the next.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    epoch: Option<Epoch>,
    times: Vec<i64>,
    flags: Vec<u8>,
    sources: Vec<u16>,
    lengths: Vec<u32>,
    source_names: Dictionary,
    tags: Dictionary,
    field_maps: Vec<Arc<FieldMap>>,
    runs: Vec<Run>,
    records: Records,
    pages: PageWriter,
    bloom: Bloom,
    compressor: Compressor,
    scratch: Vec<u8>,
    raw_bytes: u64,
}

/// Events with numbers that follow each other, one tag and one instant of receipt.
#[derive(Clone, Copy, Debug)]
struct Run {
    rows: u32,
    tag: u32,
    received: i64,
    first_seq: u64,
}

impl Run {
    fn end_seq(&self) -> u64 {
        self.first_seq + u64::from(self.rows)
    }
}

impl Default for BlockBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BlockBuilder {
    /// A builder without events.
    pub(crate) fn new() -> Self {
        Self {
            epoch: None,
            times: Vec::new(),
            flags: Vec::new(),
            sources: Vec::new(),
            lengths: Vec::new(),
            source_names: Dictionary::default(),
            tags: Dictionary::default(),
            field_maps: Vec::new(),
            runs: Vec::new(),
            records: Records::default(),
            pages: PageWriter::default(),
            bloom: Bloom::new(),
            compressor: Compressor::default(),
            scratch: Vec::new(),
            raw_bytes: 0,
        }
    }

    /// The number of events.
    pub(crate) const fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are no events.
    pub(crate) const fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The bytes of the entries of the events.
    pub(crate) const fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Takes an event, whose number is greater than those before. `false` if it has to go into
    /// another block: it is of another epoch, or there is no room; nothing was taken then. A
    /// builder without events takes any.
    #[inline]
    pub(crate) fn push(&mut self, log: LogRef<'_>) -> bool {
        let entry_len = log.entry().len() as u64;
        let Some(fields) = self.admit(&log, entry_len) else { return false };
        let parts = log.parts();
        let level = log.level();
        let mut flags = level.map_or(0, |level| level as u8);
        let header = parts.header.filter(|map| **map != [0x80]);
        if let Some(header) = header {
            flags |= HAS_HEADER;
            self.pages.value(super::pages::HEADERS, header);
        }
        let sinks = (&mut self.pages, &mut self.bloom);
        let has_text = self.records.push((log, &parts, header.is_some()), fields, sinks);
        let mut length = 0;
        match parts.message.and_then(|range| parts.record.get(range)).filter(|_| has_text) {
            Some(message) => {
                length = u32::try_from(message.len()).unwrap_or(u32::MAX);
                self.pages.message(message);
                let text = String::from_utf8_lossy(message);
                key::each_token(&text, |key| self.bloom.add(key));
            }
            None => {
                flags |= NO_TEXT;
                key::each_token(&log.message(), |key| self.bloom.add(key));
            }
        }
        self.pages.end_row(&mut self.compressor);
        self.times.push(log.timestamp().as_nanos());
        self.flags.push(flags);
        self.lengths.push(length);
        let source = log.source().map_or(0, |source| self.source_names.add(&source) + 1);
        self.sources.push(u16::try_from(source).unwrap_or(u16::MAX));
        self.add_to_run(&log);
        self.raw_bytes += entry_len;
        true
    }

    /// The number of the event's field map if it can be taken.
    fn admit(&mut self, log: &LogRef<'_>, entry_len: u64) -> Option<usize> {
        let batch = log.batch();
        let is_full = self.len() >= MAX_ROWS || self.raw_bytes + entry_len > MAX_RAW_BYTES;
        let is_next = self.epoch == Some(batch.epoch())
            && self.runs.last().is_none_or(|run| log.seq() >= run.end_seq());
        if !self.is_empty() && (is_full || !is_next) {
            return None;
        }
        self.epoch = Some(batch.epoch());
        let fields = batch.fields();
        if self.field_maps.first().is_some_and(|known| Arc::ptr_eq(known, fields)) {
            return Some(0);
        }
        if let Some(at) = self.field_maps.iter().position(|known| known == fields) {
            return Some(at);
        }
        if self.field_maps.len() >= MAX_FIELD_MAPS {
            return None;
        }
        self.field_maps.push(fields.clone());
        Some(self.field_maps.len() - 1)
    }

    #[inline]
    fn add_to_run(&mut self, log: &LogRef<'_>) {
        let (received, seq) = (log.received().as_nanos(), log.seq());
        let tag = self.tags.add(log.tag());
        match self.runs.last_mut() {
            Some(run) if run.tag == tag && run.received == received && run.end_seq() == seq => {
                run.rows += 1;
            }
            _ => self.runs.push(Run { rows: 1, tag, received, first_seq: seq }),
        }
    }

    /// Appends the block to `out` and begins anew. `None` without events.
    pub(crate) fn finish(&mut self, unit: Unit, out: &mut Vec<u8>) -> Option<BlockInfo> {
        let start = out.len();
        let mut info = self.describe(unit)?;
        out.resize(start + HEADER_BYTES, 0);
        for section in Section::ALL {
            // The pages of values are written with those of messages.
            if section == Section::Values {
                continue;
            }
            self.scratch.clear();
            let stored = match section {
                Section::Bloom => {
                    self.bloom.finish(&mut self.scratch);
                    Compressor::put_raw(out, &self.scratch)
                }
                Section::Pages => {
                    let table = self.pages.finish(&mut self.compressor);
                    Compressor::put_raw(out, table)
                }
                Section::Messages => {
                    let [messages, values] = self.pages.take(out);
                    info.sections[Section::Values as usize] = values;
                    messages
                }
                _ => {
                    self.encode(section, &info);
                    self.compressor.put(out, &self.scratch)
                }
            };
            info.sections[section as usize] = stored;
        }
        info.len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
        info.write(out.get_mut(start..).unwrap_or_default());
        self.clear();
        Some(info)
    }

    /// Writes a section into the scratch.
    fn encode(&mut self, section: Section, info: &BlockInfo) {
        let out = &mut self.scratch;
        match section {
            Section::Flags => out.extend_from_slice(&self.flags),
            Section::Sources => column::put_ids(out, &self.sources),
            Section::Runs => put_runs(out, &self.runs, info),
            Section::Times => column::put_times(out, &self.times, info.times.0.as_nanos()),
            Section::Dictionaries => {
                self.source_names.finish(out);
                self.tags.finish(out);
                put_field_maps(out, &self.field_maps);
            }
            Section::Paths => self.records.put_paths(out),
            Section::Shapes => column::put_ids(out, self.records.shapes()),
            Section::Templates => self.records.put_templates(out),
            Section::Lengths => column::put_lengths(out, &self.lengths),
            Section::Bloom | Section::Pages | Section::Messages | Section::Values => {}
        }
    }

    /// What the header says, but for the sections.
    fn describe(&self, unit: Unit) -> Option<BlockInfo> {
        let time = |nanos: &i64| Timestamp::from_nanos(*nanos);
        let (first, last) = (self.runs.first()?, self.runs.last()?);
        let received = || self.runs.iter().map(|run| run.received);
        let mut levels = [0; 7];
        let mut level_times = [(Timestamp::MAX, Timestamp::MIN); 7];
        for (flags, nanos) in self.flags.iter().zip(&self.times) {
            let level = usize::from(flags & LEVEL_BITS);
            if let (Some(count), Some((first, last))) =
                (levels.get_mut(level), level_times.get_mut(level))
            {
                *count += 1;
                *first = time(nanos).min(*first);
                *last = time(nanos).max(*last);
            }
        }
        for (times, _) in level_times.iter_mut().zip(levels).filter(|(_, count)| *count == 0) {
            *times = (Timestamp::EPOCH, Timestamp::EPOCH);
        }
        Some(BlockInfo {
            len: 0,
            rows: u32::try_from(self.len()).ok()?,
            epoch: self.epoch?,
            seqs: first.first_seq..last.end_seq(),
            unit: unit.seqs,
            part: unit.part,
            times: (time(self.times.iter().min()?), time(self.times.iter().max()?)),
            received: (time(&received().min()?), time(&received().max()?)),
            raw_bytes: self.raw_bytes,
            levels,
            level_times,
            sections: Default::default(),
            bloom_is_checked: Checked::default(),
        })
    }

    fn clear(&mut self) {
        self.epoch = None;
        self.times.clear();
        self.flags.clear();
        self.sources.clear();
        self.lengths.clear();
        self.field_maps.clear();
        self.runs.clear();
        self.records.clear();
        self.raw_bytes = 0;
    }
}

fn put_runs(out: &mut Vec<u8>, runs: &[Run], info: &BlockInfo) {
    let (mut received, mut seq) = (info.received.0.as_nanos(), info.seqs.start);
    for run in runs {
        put_varint(out, u64::from(run.rows));
        put_varint(out, u64::from(run.tag));
        put_signed(out, run.received.wrapping_sub(received));
        put_varint(out, run.first_seq - seq);
        (received, seq) = (run.received, run.end_seq());
    }
}

fn put_field_maps(out: &mut Vec<u8>, maps: &[Arc<FieldMap>]) {
    put_varint(out, maps.len() as u64);
    for map in maps {
        for keys in [map.level_keys(), map.message_keys(), map.source_keys()] {
            put_varint(out, keys.len() as u64);
            keys.iter().for_each(|key| put_bytes(out, key.as_bytes()));
        }
    }
}
