//! Pages: some hundred events' messages, and their other values, each compressed by itself.

use std::ops::Range;

use super::codec::{Coding, Compressor, Decompressor, Stored, dictionary_of};
use super::wire::{Fields, put_varint};
use super::{MAX_PATHS, MAX_SECTION_BYTES, PAGE_BYTES, PAGE_ROWS};

/// The column of values whose paths have none of their own.
pub(super) const OTHERS: u16 = 0;
/// The column of the maps in the headers of entries.
pub(super) const HEADERS: u16 = 1;
/// The column of the first path.
pub(super) const FIRST_PATH: u16 = 2;
/// One more than the last column there can be.
pub(super) const MAX_COLUMNS: usize = MAX_PATHS + FIRST_PATH as usize;

/// A column with so many bytes in a page is compressed by itself.
const ALONE_BYTES: usize = 1024;

/// All messages of the page are ASCII.
const ASCII: u8 = 1;

/// Gathers the values of events page by page.
#[derive(Debug, Default)]
pub(super) struct PageWriter {
    rows: u16,
    /// Of the page that is open: its messages, and its values by column.
    messages: Vec<u8>,
    columns: Vec<Vec<u8>>,
    used: Vec<u16>,
    bytes: usize,
    scratch: Vec<u8>,
    /// Of messages; its dictionary is the first page of the block.
    compressor: Compressor,
    /// Of the pages that are closed.
    closed_messages: Vec<u8>,
    closed_values: Vec<u8>,
    raw: [u32; 2],
    table: Vec<u8>,
}

impl PageWriter {
    /// Adds a value of the next event.
    #[inline]
    pub(super) fn value(&mut self, column: u16, value: &[u8]) {
        let at = usize::from(column);
        if at >= self.columns.len() {
            self.columns.resize_with(at + 1, Vec::new);
        }
        if let Some(bytes) = self.columns.get_mut(at) {
            if bytes.is_empty() {
                self.used.push(column);
            }
            bytes.extend_from_slice(value);
            self.bytes += value.len();
        }
    }

    /// Adds the message of the next event.
    #[inline]
    pub(super) fn message(&mut self, message: &[u8]) {
        self.messages.extend_from_slice(message);
        self.bytes += message.len();
    }

    /// Ends an event.
    #[inline]
    pub(super) fn end_row(&mut self, compressor: &mut Compressor) {
        self.rows += 1;
        if usize::from(self.rows) >= PAGE_ROWS || self.bytes >= PAGE_BYTES {
            self.close(compressor);
        }
    }

    fn close(&mut self, compressor: &mut Compressor) {
        if self.rows == 0 {
            return;
        }
        let flags = if self.messages.is_ascii() { ASCII } else { 0 };
        if self.table.is_empty() {
            self.compressor.set_dictionary(&[]);
        }
        let messages = self.compressor.put(&mut self.closed_messages, &self.messages);
        if self.table.is_empty() {
            self.compressor.set_dictionary(dictionary_of(&self.messages));
        }
        let values = self.close_values(compressor);
        self.table.extend_from_slice(&self.rows.to_le_bytes());
        self.table.push(flags);
        for (sum, Stored { coding, len, raw_len, crc }) in
            self.raw.iter_mut().zip([messages, values])
        {
            *sum = sum.saturating_add(raw_len);
            self.table.push(coding as u8);
            for number in [len, raw_len, crc] {
                self.table.extend_from_slice(&number.to_le_bytes());
            }
        }
        self.messages.clear();
        (self.rows, self.bytes) = (0, 0);
    }

    /// Writes the values of a page: columns of some length each by itself, the others together, and
    /// a table of them all in front.
    fn close_values(&mut self, compressor: &mut Compressor) -> Stored {
        self.used.sort_unstable();
        let (mut table, mut frames) = (Vec::new(), Vec::new());
        let together = &mut self.scratch;
        together.clear();
        put_varint(&mut table, self.used.len() as u64);
        for column in self.used.drain(..) {
            let Some(bytes) = self.columns.get_mut(usize::from(column)) else { continue };
            put_varint(&mut table, u64::from(column));
            put_varint(&mut table, bytes.len() as u64);
            if bytes.len() >= ALONE_BYTES {
                let stored = compressor.put(&mut frames, bytes);
                table.push(stored.coding as u8);
                put_varint(&mut table, u64::from(stored.len));
            } else {
                together.extend_from_slice(bytes);
            }
            bytes.clear();
        }
        let stored = compressor.put(&mut frames, together);
        table.push(stored.coding as u8);
        put_varint(&mut table, u64::from(stored.len));
        table.append(&mut frames);
        Compressor::put_raw(&mut self.closed_values, &table)
    }

    /// Closes the last page; gives the table of pages.
    pub(super) fn finish(&mut self, compressor: &mut Compressor) -> &[u8] {
        self.close(compressor);
        &self.table
    }

    /// Appends all pages of messages, then all pages of values, and begins anew.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> [Stored; 2] {
        let [messages, values] = [&mut self.closed_messages, &mut self.closed_values];
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let stored = |len, raw_len| Stored { coding: Coding::Paged, len, raw_len, crc: 0 };
        let both = [stored(len(messages), self.raw[0]), stored(len(values), self.raw[1])];
        out.append(messages);
        out.append(values);
        self.table.clear();
        self.raw = [0; 2];
        both
    }
}

/// Where a page is.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Its events.
    pub(super) rows: Range<usize>,
    /// Whether all its messages are ASCII.
    pub(super) is_ascii: bool,
    /// Where its messages begin in their section.
    pub(super) messages_at: u64,
    pub(super) messages: Stored,
    /// Where its values begin in theirs.
    pub(super) values_at: u64,
    pub(super) values: Stored,
}

/// Reads the table of pages of `rows` events; the two sections have these lengths.
pub(super) fn read_table(bytes: &[u8], rows: usize, lens: [u32; 2]) -> Option<Vec<Page>> {
    let mut take = Fields(bytes);
    let mut pages: Vec<Page> = Vec::new();
    let (mut row, mut ends) = (0, [0_u64; 2]);
    while !take.is_empty() {
        let count = usize::from(take.u16()?);
        let flags = take.u8()?;
        let mut stored = || {
            let coding = Coding::of_number(take.u8()?)?;
            if coding == Coding::Paged || (coding == Coding::Dictionary && row == 0) {
                return None;
            }
            let (len, raw_len, crc) = (take.u32()?, take.u32()?, take.u32()?);
            let is_possible = raw_len as usize <= MAX_SECTION_BYTES;
            is_possible.then_some(Stored { coding, len, raw_len, crc })
        };
        let (messages, values) = (stored()?, stored()?);
        let [messages_at, values_at] = ends;
        ends = [messages_at + u64::from(messages.len), values_at + u64::from(values.len)];
        let rows = row..row + count;
        row = rows.end;
        let is_ascii = flags & ASCII != 0;
        pages.push(Page { rows, is_ascii, messages_at, messages, values_at, values });
        if count == 0 {
            return None;
        }
    }
    (row == rows && ends == lens.map(u64::from)).then_some(pages)
}

/// The values of a page, of some or all columns.
#[derive(Debug, Default)]
pub(super) struct Values {
    raw: Vec<u8>,
    columns: Vec<(u16, Range<usize>)>,
}

/// Bytes, and how they are compressed.
type Frame<'a> = (Coding, &'a [u8]);

/// A column in the table of a page.
struct Entry<'a> {
    column: u16,
    len: usize,
    /// Its frame, where it has one of its own.
    frame: Option<Frame<'a>>,
}

impl Values {
    /// Reads the columns that are `wanted` from the bytes of a page, in the place of what was
    /// there; others may be read as well.
    pub(super) fn read(
        &mut self,
        page: &[u8],
        wanted: &dyn Fn(u16) -> bool,
        decompressor: &mut Decompressor,
    ) -> Option<()> {
        self.raw.clear();
        self.columns.clear();
        let (entries, together) = read_entries(page)?;
        let total: usize = entries.iter().map(|entry| entry.len).sum();
        if total > MAX_SECTION_BYTES {
            return None;
        }
        let len_of = |entry: &Entry<'_>| if entry.frame.is_none() { entry.len } else { 0 };
        let together_len = entries.iter().map(len_of).sum();
        if entries.iter().any(|entry| entry.frame.is_none() && wanted(entry.column)) {
            decompressor.append(together, together_len, &mut self.raw)?;
            let mut start = 0;
            for entry in entries.iter().filter(|entry| entry.frame.is_none()) {
                self.columns.push((entry.column, start..start + entry.len));
                start += entry.len;
            }
        }
        for entry in entries.iter().filter(|entry| wanted(entry.column)) {
            if let Some(frame) = entry.frame {
                let start = self.raw.len();
                decompressor.append(frame, entry.len, &mut self.raw)?;
                self.columns.push((entry.column, start..start + entry.len));
            }
        }
        self.columns.sort_unstable_by_key(|(column, _)| *column);
        Some(())
    }

    /// The values of a column, one behind the other.
    pub(super) fn get(&self, column: u16) -> &[u8] {
        let found = self.columns.binary_search_by_key(&column, |(column, _)| *column);
        let range = found.ok().and_then(|at| self.columns.get(at)).map(|(_, range)| range.clone());
        range.and_then(|range| self.raw.get(range)).unwrap_or_default()
    }
}

/// The table of a page's columns, and the frame of those without one of their own.
fn read_entries(page: &[u8]) -> Option<(Vec<Entry<'_>>, Frame<'_>)> {
    let mut take = Fields(page);
    let count = take.count().filter(|count| *count <= MAX_COLUMNS)?;
    let mut lens = Vec::with_capacity(count);
    let mut last = None;
    for _ in 0..count {
        let column = u16::try_from(take.varint()?).ok()?;
        let len = usize::try_from(take.varint()?).ok().filter(|len| *len <= MAX_SECTION_BYTES)?;
        let frame = if len >= ALONE_BYTES { Some(frame(&mut take)?) } else { None };
        if last.is_some_and(|last| last >= column) {
            return None;
        }
        last = Some(column);
        lens.push((column, len, frame));
    }
    let (coding, len) = frame(&mut take)?;
    let mut entries = Vec::with_capacity(count);
    for (column, len, frame) in lens {
        let frame = match frame {
            Some((coding, stored)) => Some((coding, take.bytes(stored)?)),
            None => None,
        };
        entries.push(Entry { column, len, frame });
    }
    let together = (coding, take.bytes(len)?);
    take.is_empty().then_some((entries, together))
}

/// How a frame is compressed, and its stored length.
fn frame(take: &mut Fields<'_>) -> Option<(Coding, usize)> {
    Some((Coding::of_number(take.u8()?)?, usize::try_from(take.varint()?).ok()?))
}
