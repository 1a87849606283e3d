//! The header of a block: what is known of it without looking at its events.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use logmon_core::{Epoch, Level, PageKey, Timestamp};

use super::codec::{Coding, Stored};
use super::wire::Fields;
use super::{MAX_ROWS, MAX_SECTION_BYTES, bloom};

pub(in crate::local) const MAGIC: [u8; 8] = *b"\xb1LMBLOK\n";
const VERSION: u16 = 1;
const SECTIONS: usize = Section::ALL.len();
/// The bytes of a header.
pub(crate) const HEADER_BYTES: usize = FIXED_BYTES + SECTIONS * 13 + 4;
const FIXED_BYTES: usize = 132 + 7 * 16;
/// No number of an event is greater.
const MAX_SEQ: u64 = 1 << 62;
/// No block is longer.
const MAX_BLOCK_BYTES: u64 = 1 << 30;

/// The sections of a block, in the order in which they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Section {
    /// The filter of keys, never compressed.
    Bloom,
    /// Levels and flags, a byte an event.
    Flags,
    /// Numbers of sources.
    Sources,
    /// Events that follow each other with one tag and one instant of receipt.
    Runs,
    /// Timestamps.
    Times,
    /// Dictionaries of sources and tags, and the field maps.
    Dictionaries,
    /// Metadata paths.
    Paths,
    /// Numbers of shapes.
    Shapes,
    /// The shapes of records.
    Templates,
    /// Lengths of messages.
    Lengths,
    /// Where the pages are.
    Pages,
    /// Pages of messages.
    Messages,
    /// Pages of all other values.
    Values,
}

impl Section {
    pub(super) const ALL: [Self; 13] = [
        Self::Bloom,
        Self::Flags,
        Self::Sources,
        Self::Runs,
        Self::Times,
        Self::Dictionaries,
        Self::Paths,
        Self::Shapes,
        Self::Templates,
        Self::Lengths,
        Self::Pages,
        Self::Messages,
        Self::Values,
    ];

    /// What messages about damage call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bloom => "the filter of keys",
            Self::Flags => "the levels",
            Self::Sources => "the sources",
            Self::Runs => "the runs",
            Self::Times => "the timestamps",
            Self::Dictionaries => "the dictionaries",
            Self::Paths => "the metadata paths",
            Self::Shapes => "the numbers of shapes",
            Self::Templates => "the shapes",
            Self::Lengths => "the lengths",
            Self::Pages => "the table of pages",
            Self::Messages => "a page of messages",
            Self::Values => "a page of values",
        }
    }
}

/// What a block says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockInfo {
    /// The bytes of the block, its header included.
    pub(crate) len: u32,
    /// The number of events, at least one.
    pub(crate) rows: u32,
    /// The epoch the events were written under.
    pub(crate) epoch: Epoch,
    /// The events lie in this range of numbers, its first and last included.
    pub(crate) seqs: Range<u64>,
    /// The range of numbers that the seal unit covers.
    pub(crate) unit: Range<u64>,
    /// Which block of its unit this is, and how many the unit has.
    pub(crate) part: (u8, u8),
    /// The least and the greatest timestamp.
    pub(crate) times: (Timestamp, Timestamp),
    /// The least and the greatest instant of receipt.
    pub(crate) received: (Timestamp, Timestamp),
    /// The bytes of the entries the block was made of.
    pub(crate) raw_bytes: u64,
    /// The number of events without a level, and of each level in ascending order.
    pub(crate) levels: [u32; 7],
    /// The least and the greatest timestamp of those; zero where there are none.
    pub(crate) level_times: [(Timestamp, Timestamp); 7],
    pub(super) sections: [Stored; SECTIONS],
    pub(super) bloom_is_checked: Checked,
}

/// Whether something was found right in this process. No part of what the header says.
#[derive(Debug, Default)]
pub(super) struct Checked(AtomicBool);

impl Checked {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Clone for Checked {
    fn clone(&self) -> Self {
        Self(AtomicBool::new(self.get()))
    }
}

impl PartialEq for Checked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Checked {}

/// Why bytes are no header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// They are not what was written, or nothing was.
    Damaged,
    /// Intact, and of a later version.
    Version(u16),
}

impl BlockInfo {
    /// The number of events of `level`; `None` stands for events without one.
    pub(crate) fn count_of(&self, level: Option<Level>) -> u32 {
        self.levels.get(level.map_or(0, |level| level as usize)).copied().unwrap_or(0)
    }

    /// No event of the block lies outside these places in the order of queries.
    pub(crate) const fn bounds(&self) -> (PageKey, PageKey) {
        let (first, last) = (self.seqs.start, self.seqs.end - 1);
        (PageKey::by_number(self.times.0, first), PageKey::by_number(self.times.1, last))
    }

    pub(super) fn section(&self, section: Section) -> &Stored {
        &self.sections[section as usize]
    }

    /// Where a section begins, from the start of the block.
    pub(super) fn section_at(&self, section: Section) -> u64 {
        let before = self.sections.iter().take(section as usize);
        HEADER_BYTES as u64 + before.map(|stored| u64::from(stored.len)).sum::<u64>()
    }

    /// Writes the header over the first [`HEADER_BYTES`] of a block.
    pub(in crate::local) fn write(&self, block: &mut [u8]) {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        let put = |out: &mut Vec<u8>, bytes: &[u8]| out.extend_from_slice(bytes);
        put(&mut out, &MAGIC);
        put(&mut out, &VERSION.to_le_bytes());
        put(&mut out, &u16::try_from(HEADER_BYTES).unwrap_or(u16::MAX).to_le_bytes());
        put(&mut out, &self.len.to_le_bytes());
        put(&mut out, &self.epoch.to_bytes());
        put(&mut out, &[self.part.0 | self.part.1 << 4]);
        for seq in [self.seqs.start, self.seqs.end, self.unit.start, self.unit.end] {
            put(&mut out, &seq.to_le_bytes());
        }
        for time in [self.times.0, self.times.1, self.received.0, self.received.1] {
            put(&mut out, &time.as_nanos().to_le_bytes());
        }
        put(&mut out, &self.rows.to_le_bytes());
        put(&mut out, &self.raw_bytes.to_le_bytes());
        self.levels.iter().for_each(|count| put(&mut out, &count.to_le_bytes()));
        for (first, last) in self.level_times {
            put(&mut out, &first.as_nanos().to_le_bytes());
            put(&mut out, &last.as_nanos().to_le_bytes());
        }
        put(&mut out, &u32::try_from(SECTIONS).unwrap_or(u32::MAX).to_le_bytes());
        for Stored { coding, len, raw_len, crc } in &self.sections {
            put(&mut out, &len.to_le_bytes());
            put(&mut out, &raw_len.to_le_bytes());
            put(&mut out, &crc.to_le_bytes());
            put(&mut out, &[*coding as u8]);
        }
        let crc = crc32c::crc32c(&out);
        put(&mut out, &crc.to_le_bytes());
        if let Some(header) = block.get_mut(..out.len()) {
            header.copy_from_slice(&out);
        }
    }

    /// Reads the header at the start of `bytes`. Magic, version, length of the header and its
    /// checksum stand in these places in every version.
    ///
    /// # Errors
    /// The bytes are none, or one of a later version.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let mut take = Fields(bytes);
        let start = (take.array(), take.u16(), take.u16());
        let (Some(MAGIC), Some(version), Some(header_len)) = start else {
            return Err(HeaderFault::Damaged);
        };
        let header = bytes.get(..usize::from(header_len)).and_then(|all| all.split_last_chunk());
        let Some((summed, crc)) = header else { return Err(HeaderFault::Damaged) };
        if crc32c::crc32c(summed) != u32::from_le_bytes(*crc) {
            return Err(HeaderFault::Damaged);
        }
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let is_whole = usize::from(header_len) == HEADER_BYTES;
        let info = Self::fields(take).filter(|info| is_whole && info.is_sound());
        info.ok_or(HeaderFault::Damaged)
    }

    fn fields(mut take: Fields<'_>) -> Option<Self> {
        let len = take.u32()?;
        let epoch = Epoch::from_bytes(take.array()?);
        let part = take.u8()?;
        let seqs = take.u64()?..take.u64()?;
        let unit = take.u64()?..take.u64()?;
        let mut time = || take.i64().map(Timestamp::from_nanos);
        let (times, received) = ((time()?, time()?), (time()?, time()?));
        let (rows, raw_bytes) = (take.u32()?, take.u64()?);
        let mut levels = [0; 7];
        for count in &mut levels {
            *count = take.u32()?;
        }
        let mut level_times = [(Timestamp::EPOCH, Timestamp::EPOCH); 7];
        for (first, last) in &mut level_times {
            *first = Timestamp::from_nanos(take.i64()?);
            *last = Timestamp::from_nanos(take.i64()?);
        }
        if take.u32()? as usize != SECTIONS {
            return None;
        }
        let mut sections = [Stored::default(); SECTIONS];
        for stored in &mut sections {
            let (len, raw_len, crc) = (take.u32()?, take.u32()?, take.u32()?);
            *stored = Stored { coding: Coding::of_number(take.u8()?)?, len, raw_len, crc };
        }
        Some(Self {
            len,
            rows,
            epoch,
            seqs,
            unit,
            part: (part & 15, part >> 4),
            times,
            received,
            raw_bytes,
            levels,
            level_times,
            sections,
            bloom_is_checked: Checked::default(),
        })
    }

    /// Right by its checksum, so only a forged header fails here.
    fn is_sound(&self) -> bool {
        let bytes: u64 = self.sections.iter().map(|stored| u64::from(stored.len)).sum();
        let total = HEADER_BYTES as u64 + bytes;
        let events: u64 = self.levels.iter().map(|count| u64::from(*count)).sum();
        let is_paged = |section| matches!(section, Section::Messages | Section::Values);
        let are_sections_sound = Section::ALL.into_iter().all(|section| {
            let stored = self.section(section);
            let is_coding_right = (stored.coding == Coding::Paged) == is_paged(section);
            is_coding_right
                && stored.coding != Coding::Dictionary
                && (is_paged(section) || stored.raw_len as usize <= MAX_SECTION_BYTES)
        });
        let bloom = self.section(Section::Bloom);
        let words = bloom.raw_len as usize / 8;
        let is_bloom_sound = bloom.coding == Coding::Raw
            && bloom.len == bloom.raw_len
            && bloom.len.is_multiple_of(8)
            && words.is_power_of_two()
            && words <= bloom::MAX_WORDS;
        are_sections_sound
            && is_bloom_sound
            && total == u64::from(self.len)
            && total <= MAX_BLOCK_BYTES
            && (1..=MAX_ROWS as u64).contains(&u64::from(self.rows))
            && events == u64::from(self.rows)
            && self.seqs.start < self.seqs.end
            && self.unit.start <= self.seqs.start
            && self.seqs.end <= self.unit.end
            && self.unit.end <= MAX_SEQ
            && events <= self.seqs.end - self.seqs.start
            && self.times.0 <= self.times.1
            && self.received.0 <= self.received.1
            && self.part.0 < self.part.1
    }
}
