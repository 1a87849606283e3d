//! Reading a block.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::sync::Arc;

use logmon_core::{FieldMap, Tag};

use super::bloom;
use super::codec::{Coding, Decompressor, Stored, dictionary_of};
use super::column::{read_ids, read_lengths, read_times};
use super::damage::{BlockDamage, BlockError};
use super::dictionary::{Texts, read_dictionary};
use super::info::{BlockInfo, Section};
use super::pages::{Page, Values, read_table};
use super::paths::{PathCounts, read_paths};
use super::rebuild::{Template, read_templates};
use super::wire::Fields;
use crate::query::Look;
use crate::vfs::VfsFile;

/// A block and where it is. Cloning is three reference counts.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    info: Arc<BlockInfo>,
    file: Arc<dyn VfsFile>,
    name: Arc<str>,
    offset: u64,
}

/// What reading blocks needs and keeps from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    decompressor: Decompressor,
    stored: Vec<u8>,
    /// The bytes that were read of files.
    pub(crate) read_bytes: u64,
}

impl Block {
    /// The block that stands at `offset` of a file; `name` is what messages about damage call it.
    pub(crate) const fn new(
        info: Arc<BlockInfo>,
        file: Arc<dyn VfsFile>,
        name: Arc<str>,
        offset: u64,
    ) -> Self {
        Self { info, file, name, offset }
    }

    /// What the block says of itself.
    pub(crate) fn info(&self) -> &BlockInfo {
        &self.info
    }

    /// Begins to read; nothing is read before it is asked for.
    pub(crate) fn open<'b>(&'b self, scratch: &'b mut Scratch) -> Open<'b> {
        Open {
            block: self,
            scratch: RefCell::new(scratch),
            look: None,
            flags: OnceCell::new(),
            sources: OnceCell::new(),
            runs: OnceCell::new(),
            times: OnceCell::new(),
            dictionaries: OnceCell::new(),
            shapes: OnceCell::new(),
            templates: OnceCell::new(),
            lengths: OnceCell::new(),
            pages: OnceCell::new(),
            first_messages: OnceCell::new(),
            page_bytes: RefCell::default(),
        }
    }

    /// Reads everything, and compares all checksums.
    ///
    /// # Errors
    /// The first part that is damaged, or the medium fails.
    pub(crate) fn verify(&self, scratch: &mut Scratch) -> Result<(), BlockError> {
        let open = self.open(scratch);
        open.check_bloom()?;
        open.paths()?;
        open.sources()?;
        open.read_all().map(drop)
    }

    /// The place in the file of a place in a section.
    fn at(&self, section: Section, offset: u64) -> u64 {
        self.offset + self.info.section_at(section) + offset
    }

    fn read_exact(&self, buf: &mut [u8], at: u64, section: Section) -> Result<(), BlockError> {
        let read = self.file.read_at(buf, at)?;
        if read == buf.len() { Ok(()) } else { Err(self.damage(section, at, buf.len() as u64)) }
    }

    fn damage(&self, section: Section, offset: u64, len: u64) -> BlockError {
        BlockDamage {
            file: self.name.clone(),
            offset,
            len,
            first_seq: self.info.seqs.start,
            what: section.name(),
            rows: None,
        }
        .into()
    }

    /// Damage of a section that is right by its checksum and makes no sense.
    pub(super) fn damaged(&self, section: Section) -> BlockError {
        let len = u64::from(self.info.section(section).len);
        self.damage(section, self.at(section, 0), len)
    }
}

/// Events that follow each other, with consecutive numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunOfRows {
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) tag: u16,
    pub(super) received: i64,
    pub(super) first_seq: u64,
}

/// What several columns refer to.
#[derive(Debug)]
pub(super) struct Dictionaries {
    pub(super) sources: Texts,
    pub(super) tags: Vec<Tag>,
    pub(super) fields: Vec<Arc<FieldMap>>,
}

/// A block that is being read: each column is read once, when it is first asked for.
#[derive(Debug)]
pub(crate) struct Open<'b> {
    pub(super) block: &'b Block,
    scratch: RefCell<&'b mut Scratch>,
    /// The query that it is read for.
    look: Option<&'b Look<'b>>,
    flags: OnceCell<Vec<u8>>,
    sources: OnceCell<Vec<u16>>,
    runs: OnceCell<Vec<RunOfRows>>,
    times: OnceCell<Vec<i64>>,
    dictionaries: OnceCell<Dictionaries>,
    shapes: OnceCell<Vec<u16>>,
    templates: OnceCell<Vec<Template>>,
    lengths: OnceCell<Vec<u32>>,
    pages: OnceCell<Vec<Page>>,
    /// The messages of the first page, once they were needed as a dictionary.
    first_messages: OnceCell<Vec<u8>>,
    page_bytes: RefCell<Vec<u8>>,
}

/// The content of a cell, made where it is not there yet.
fn get<T>(
    cell: &OnceCell<T>,
    make: impl FnOnce() -> Result<T, BlockError>,
) -> Result<&T, BlockError> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let content = make()?;
    Ok(cell.get_or_init(|| content))
}

impl<'b> Open<'b> {
    /// The same, given up when a query has ended.
    pub(super) fn during(self, look: &'b Look<'b>) -> Self {
        Self { look: Some(look), ..self }
    }
}

impl Open<'_> {
    pub(super) fn rows(&self) -> usize {
        self.block.info.rows as usize
    }

    /// Reads a section and makes something of it.
    fn parse<T>(
        &self,
        section: Section,
        make: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, BlockError> {
        let mut raw = Vec::new();
        let stored = self.block.info.section(section);
        self.read(section, (0, stored), &mut raw)?;
        make(&raw).ok_or_else(|| self.block.damaged(section))
    }

    /// Reads a section, or a page at an offset of one, in the place of `out`.
    pub(super) fn read(
        &self,
        section: Section,
        (offset, stored): (u64, &Stored),
        out: &mut Vec<u8>,
    ) -> Result<(), BlockError> {
        if self.look.is_some_and(Look::is_over_inside) {
            return Err(BlockError::Over);
        }
        let scratch = &mut **self.scratch.borrow_mut();
        let at = self.block.at(section, offset);
        // Bounded by the length of the block, which the header has checked.
        scratch.stored.resize(stored.len as usize, 0);
        self.block.read_exact(&mut scratch.stored, at, section)?;
        scratch.read_bytes += u64::from(stored.len);
        let read = scratch.decompressor.read(&scratch.stored, stored, out);
        read.ok_or_else(|| self.block.damage(section, at, stored.len.into()))
    }

    /// Whether an event with this key may be in the block. The first look in this process reads the
    /// whole filter of keys, any other eight bytes.
    pub(super) fn may_have(&self, key: u64) -> Result<bool, BlockError> {
        let block = self.block;
        if !block.info.bloom_is_checked.get() {
            self.check_bloom()?;
        }
        let words = block.info.section(Section::Bloom).raw_len as usize / 8;
        let at = block.at(Section::Bloom, bloom::word_of(key, words) as u64 * 8);
        let mut word = [0; 8];
        block.read_exact(&mut word, at, Section::Bloom)?;
        self.scratch.borrow_mut().read_bytes += 8;
        let mask = bloom::mask_of(key);
        Ok(u64::from_le_bytes(word) & mask == mask)
    }

    /// The values of a page in the columns that are `wanted`.
    pub(super) fn values(
        &self,
        page: &Page,
        (wanted, out): (&dyn Fn(u16) -> bool, &mut Values),
    ) -> Result<(), BlockError> {
        let mut bytes = self.page_bytes.take();
        let read = self.read(Section::Values, (page.values_at, &page.values), &mut bytes);
        let read = read.map_err(|error| in_rows(error, page)).and_then(|()| {
            let decompressor = &mut self.scratch.borrow_mut().decompressor;
            let read = out.read(&bytes, wanted, decompressor);
            read.ok_or_else(|| self.damaged_page(Section::Values, page))
        });
        self.page_bytes.replace(bytes);
        read
    }

    /// The bytes read of the file so far, by whoever uses the same scratch.
    pub(super) fn read_bytes(&self) -> u64 {
        self.scratch.borrow().read_bytes
    }

    fn check_bloom(&self) -> Result<(), BlockError> {
        self.parse(Section::Bloom, |_| Some(()))?;
        self.block.info.bloom_is_checked.set();
        Ok(())
    }

    /// Level and flags of each event.
    pub(super) fn flags(&self) -> Result<&[u8], BlockError> {
        let is_right = |bytes: &[u8]| bytes.len() == self.rows();
        let read = |bytes: &[u8]| is_right(bytes).then(|| bytes.to_vec());
        get(&self.flags, || self.parse(Section::Flags, read)).map(Vec::as_slice)
    }

    /// The number of each event's source in the dictionary plus one; zero where it has none.
    pub(super) fn sources(&self) -> Result<&[u16], BlockError> {
        let end = self.dictionaries()?.sources.len() + 1;
        let read = |bytes: &[u8]| read_ids(bytes, self.rows(), end);
        get(&self.sources, || self.parse(Section::Sources, read)).map(Vec::as_slice)
    }

    /// The timestamps.
    pub(super) fn times(&self) -> Result<&[i64], BlockError> {
        let (earliest, latest) = self.block.info.times;
        let range = (earliest.as_nanos(), latest.as_nanos());
        let read = |bytes: &[u8]| read_times(bytes, self.rows(), range);
        get(&self.times, || self.parse(Section::Times, read)).map(Vec::as_slice)
    }

    /// The runs.
    pub(super) fn runs(&self) -> Result<&[RunOfRows], BlockError> {
        let tags = self.dictionaries()?.tags.len();
        let read = |bytes: &[u8]| read_runs(bytes, &self.block.info, tags);
        get(&self.runs, || self.parse(Section::Runs, read)).map(Vec::as_slice)
    }

    /// The row of the event numbered `seq`, if the block has it.
    ///
    /// # Errors
    /// Something is damaged, or the medium fails.
    pub(crate) fn row_of(&self, seq: u64) -> Result<Option<u32>, BlockError> {
        let runs = self.runs()?;
        let after = runs.partition_point(|run| run.first_seq <= seq);
        let run = after.checked_sub(1).and_then(|at| runs.get(at));
        Ok(run.and_then(|run| {
            let offset = usize::try_from(seq - run.first_seq).ok()?;
            (offset < run.rows).then_some(run.first + offset).and_then(|row| row.try_into().ok())
        }))
    }

    /// The run of an event.
    pub(super) fn run_of(&self, row: usize) -> Result<RunOfRows, BlockError> {
        let runs = self.runs()?;
        let at = runs.partition_point(|run| run.first <= row).saturating_sub(1);
        runs.get(at).copied().ok_or_else(|| self.block.damaged(Section::Runs))
    }

    /// Sources, tags and field maps.
    pub(super) fn dictionaries(&self) -> Result<&Dictionaries, BlockError> {
        let rows = self.block.info.rows;
        let read = |bytes: &[u8]| read_dictionaries(bytes, rows);
        get(&self.dictionaries, || self.parse(Section::Dictionaries, read))
    }

    /// The metadata paths.
    ///
    /// # Errors
    /// Their list is damaged, or the medium fails.
    pub(crate) fn paths(&self) -> Result<PathCounts, BlockError> {
        self.parse(Section::Paths, |bytes| read_paths(bytes, self.block.info.rows))
    }

    /// The number of each event's shape.
    pub(super) fn shapes(&self) -> Result<&[u16], BlockError> {
        let end = self.templates()?.len();
        let read = |bytes: &[u8]| read_ids(bytes, self.rows(), end);
        get(&self.shapes, || self.parse(Section::Shapes, read)).map(Vec::as_slice)
    }

    /// The shapes.
    pub(super) fn templates(&self) -> Result<&[Template], BlockError> {
        let fields = self.dictionaries()?.fields.len();
        let read = |bytes: &[u8]| read_templates(bytes, fields);
        get(&self.templates, || self.parse(Section::Templates, read)).map(Vec::as_slice)
    }

    /// The length of each event's message in its page.
    pub(super) fn lengths(&self) -> Result<&[u32], BlockError> {
        let read = |bytes: &[u8]| read_lengths(bytes, self.rows());
        get(&self.lengths, || self.parse(Section::Lengths, read)).map(Vec::as_slice)
    }

    /// The pages.
    pub(super) fn pages(&self) -> Result<&[Page], BlockError> {
        let info = &self.block.info;
        let lens = [Section::Messages, Section::Values].map(|section| info.section(section).len);
        let read = |bytes: &[u8]| read_table(bytes, self.rows(), lens);
        get(&self.pages, || self.parse(Section::Pages, read)).map(Vec::as_slice)
    }

    /// The bytes of a page's messages.
    pub(super) fn messages(&self, page: &Page, out: &mut Vec<u8>) -> Result<(), BlockError> {
        if page.messages.coding == Coding::Dictionary {
            get(&self.first_messages, || self.read_first_messages())?;
        }
        match self.first_messages.get() {
            Some(first) if page.rows.start == 0 => {
                out.clone_from(first);
                Ok(())
            }
            _ => {
                let read = self.read(Section::Messages, (page.messages_at, &page.messages), out);
                read.map_err(|error| in_rows(error, page))
            }
        }
    }

    /// The messages of the first page, which are the dictionary of the others.
    fn read_first_messages(&self) -> Result<Vec<u8>, BlockError> {
        let mut first = Vec::new();
        let page = self.pages()?.first().ok_or_else(|| self.block.damaged(Section::Pages))?;
        self.read(Section::Messages, (page.messages_at, &page.messages), &mut first)?;
        self.scratch.borrow_mut().decompressor.set_dictionary(dictionary_of(&first))?;
        Ok(first)
    }

    /// Damage of a page that is right by its checksum and makes no sense.
    pub(super) fn damaged_page(&self, section: Section, page: &Page) -> BlockError {
        let (offset, stored) = match section {
            Section::Messages => (page.messages_at, &page.messages),
            _ => (page.values_at, &page.values),
        };
        let error = self.block.damage(section, self.block.at(section, offset), stored.len.into());
        in_rows(error, page)
    }
}

/// Says of damage that it costs the events of a page.
fn in_rows(error: BlockError, page: &Page) -> BlockError {
    match error {
        BlockError::Damage(damage) => {
            BlockDamage { rows: Some(page.rows.clone()), ..damage }.into()
        }
        error @ (BlockError::Io(_) | BlockError::Over) => error,
    }
}

fn read_runs(bytes: &[u8], info: &BlockInfo, tags: usize) -> Option<Vec<RunOfRows>> {
    let mut take = Fields(bytes);
    let (mut received, mut seq) = (info.received.0.as_nanos(), info.seqs.start);
    let (mut runs, mut first) = (Vec::new(), 0);
    let limits: Range<i64> = info.received.0.as_nanos()..info.received.1.as_nanos();
    while !take.is_empty() {
        let rows = usize::try_from(take.varint()?).ok().filter(|rows| *rows > 0)?;
        let tag = u16::try_from(take.varint()?).ok().filter(|tag| usize::from(*tag) < tags)?;
        received = received.wrapping_add(take.signed()?);
        let first_seq = seq.checked_add(take.varint()?)?;
        seq = first_seq.checked_add(rows as u64).filter(|end| *end <= info.seqs.end)?;
        if received < limits.start || received > limits.end {
            return None;
        }
        runs.push(RunOfRows { first, rows, tag, received, first_seq });
        first = first.checked_add(rows)?;
    }
    (first == info.rows as usize).then_some(runs)
}

fn read_dictionaries(bytes: &[u8], rows: u32) -> Option<Dictionaries> {
    let mut take = Fields(bytes);
    let sources = read_dictionary(&mut take, rows)?;
    let tags = read_dictionary(&mut take, rows)?;
    let tags = tags.iter().map(Tag::from).collect();
    let len = take.count()?;
    let mut fields = Vec::new();
    for _ in 0..len {
        let mut keys = || {
            let len = take.count()?;
            (0..len).map(|_| take.counted_text()).collect::<Option<Vec<&str>>>()
        };
        let (level, message, source) = (keys()?, keys()?, keys()?);
        fields.push(Arc::new(FieldMap::new(&level, &message, &source).ok()?));
    }
    take.is_empty().then_some(Dictionaries { sources, tags, fields })
}
