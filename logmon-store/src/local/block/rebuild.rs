//! Putting events together again.

use logmon_core::msgpack::{self, Cursor};
use logmon_core::{Group, GroupBuilder, Reading, RouteSet, Timestamp};

use super::builder::{HAS_HEADER, NO_TEXT};
use super::damage::BlockError;
use super::info::Section;
use super::pages::{FIRST_PATH, HEADERS, MAX_COLUMNS, Page, Values};
use super::read::{Open, RunOfRows};
use super::shape::{Item, Role, put_text_header, walk};
use super::wire::Fields;

/// No events that are put together at once have more bytes.
const MAX_GROUP_BYTES: usize = 256 << 20;

/// A shape that was read.
#[derive(Debug)]
pub(super) struct Template {
    /// The number of the field map of its records.
    pub(super) fields: usize,
    /// Whether its metadata is more than values at the paths of their columns.
    pub(super) is_involved: bool,
    /// The columns of its values, in order, and what these are for.
    pub(super) columns: Vec<(u16, Role)>,
    /// Paths that have a map (`true`) or nil in each such record, by their columns.
    pub(super) constants: Vec<(u16, bool)>,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Bytes(Box<[u8]>),
    Value,
    Message(u8),
    Source,
}

/// Reads the shapes of a block with so many field maps.
pub(super) fn read_templates(bytes: &[u8], field_maps: usize) -> Option<Vec<Template>> {
    let mut take = Fields(bytes);
    let len = take.count()?;
    let mut templates = Vec::new();
    for _ in 0..len {
        let fields = usize::try_from(take.varint()?).ok().filter(|fields| *fields < field_maps)?;
        let is_involved = take.u8()? != 0;
        let parts = parts_of(take.counted()?)?;
        let values = parts.iter().filter(|part| matches!(part, Part::Value)).count();
        let mut columns = Vec::with_capacity(values);
        for _ in 0..values {
            let column = u16::try_from(take.varint()?).ok()?;
            let column = Some(column).filter(|column| usize::from(*column) < MAX_COLUMNS)?;
            columns.push((column, Role::of_number(take.u8()?)?));
        }
        let count = take.count()?;
        let mut constants = Vec::with_capacity(count);
        for _ in 0..count {
            let path = u16::try_from(take.varint()?).ok()?;
            constants.push((path.checked_add(FIRST_PATH)?, take.u8()? != 0));
        }
        templates.push(Template { fields, is_involved, columns, constants, parts });
    }
    take.is_empty().then_some(templates)
}

fn parts_of(pattern: &[u8]) -> Option<Vec<Part>> {
    let (mut parts, mut bytes) = (Vec::new(), Vec::new());
    let mut messages = 0;
    walk(pattern, &mut |item| {
        let part = match item {
            Item::Bytes(more) | Item::Key(more, _) => {
                bytes.extend_from_slice(more);
                return;
            }
            Item::End => return,
            Item::Value(_) => Part::Value,
            Item::Source => Part::Source,
            Item::Message(marker) => {
                messages += 1;
                Part::Message(marker)
            }
        };
        if !bytes.is_empty() {
            parts.push(Part::Bytes(std::mem::take(&mut bytes).into()));
        }
        parts.push(part);
    })?;
    if !bytes.is_empty() {
        parts.push(Part::Bytes(bytes.into()));
    }
    (messages <= 1).then_some(parts)
}

impl Open<'_> {
    /// All events.
    ///
    /// # Errors
    /// Something is damaged, or the medium fails.
    pub(crate) fn read_all(&self) -> Result<Group, BlockError> {
        let rows: Vec<u32> = (0..self.block.info().rows).collect();
        self.materialise(&rows)
    }

    /// The events of these rows, which ascend, as [`Event`](logmon_core::Event) and
    /// [`write_json`](logmon_core::LogRef::write_json) saw those the block was made of. Only their
    /// pages are read.
    ///
    /// # Errors
    /// Something is damaged, or the medium fails.
    pub(crate) fn materialise(&self, rows: &[u32]) -> Result<Group, BlockError> {
        let mut rebuild = Rebuild::new(self)?;
        let mut rows = rows.iter().map(|row| *row as usize).peekable();
        for page in self.pages()? {
            let mut wanted = Vec::new();
            while let Some(row) = rows.next_if(|row| page.rows.contains(row)) {
                wanted.push(row);
            }
            if !wanted.is_empty() {
                rebuild.page(page, &wanted)?;
            }
        }
        rebuild.finish()
    }
}

/// A group in the making.
struct Rebuild<'o, 'b> {
    open: &'o Open<'b>,
    builder: GroupBuilder,
    batch: Option<Batch>,
    sources: Vec<&'o str>,
    messages: Vec<u8>,
    values: Values,
}

/// Events at the end of the arena that are not yet part of the group.
struct Batch {
    run: RunOfRows,
    fields: usize,
    first_seq: u64,
    events: u64,
    start: usize,
}

impl<'o, 'b> Rebuild<'o, 'b> {
    fn new(open: &'o Open<'b>) -> Result<Self, BlockError> {
        let builder = GroupBuilder::over(open.block.info().epoch, Vec::new(), 0);
        let sources = open.dictionaries()?.sources.iter().collect();
        Ok(Self {
            open,
            builder,
            batch: None,
            sources,
            messages: Vec::new(),
            values: Values::default(),
        })
    }

    /// Adds the `wanted` rows of a page.
    fn page(&mut self, page: &Page, wanted: &[usize]) -> Result<(), BlockError> {
        let open = self.open;
        let mut messages = std::mem::take(&mut self.messages);
        let mut values = std::mem::take(&mut self.values);
        open.messages(page, &mut messages)?;
        open.values(page, (&|_| true, &mut values))?;
        let sources = std::mem::take(&mut self.sources);
        let mut rows = PageRows::new(open, (page, &sources), (&messages, &values))?;
        for row in wanted {
            let cut = rows.at(*row)?;
            self.row(*row, &cut).ok_or_else(|| open.damaged_page(Section::Values, page))??;
        }
        drop(rows);
        (self.messages, self.values, self.sources) = (messages, values, sources);
        Ok(())
    }

    /// Adds an event; `None` where it cannot be put together.
    fn row(&mut self, row: usize, cut: &Cut<'_>) -> Option<Result<(), BlockError>> {
        let open = self.open;
        let (run, time) = match (open.run_of(row), open.times()) {
            (Ok(run), Ok(times)) => (run, Timestamp::from_nanos(*times.get(row)?)),
            (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
        };
        let seq = run.first_seq + (row - run.first) as u64;
        let fields = cut.template.fields;
        let is_next = self.batch.as_ref().is_some_and(|batch| {
            batch.run.first == run.first
                && batch.fields == fields
                && batch.first_seq + batch.events == seq
        });
        if !is_next {
            if let Err(error) = self.end_batch() {
                return Some(Err(error));
            }
            let start = self.builder.arena().len();
            self.batch = Some(Batch { run, fields, first_seq: seq, events: 0, start });
        }
        cut.write(time, self.builder.arena())?;
        self.batch.as_mut()?.events += 1;
        (self.builder.arena().len() <= MAX_GROUP_BYTES).then_some(Ok(()))
    }

    fn end_batch(&mut self) -> Result<(), BlockError> {
        let Some(batch) = self.batch.take() else { return Ok(()) };
        let dictionaries = self.open.dictionaries()?;
        let damaged = || self.open.block.damaged(Section::Values);
        let tag = dictionaries.tags.get(usize::from(batch.run.tag)).ok_or_else(damaged)?;
        let fields = dictionaries.fields.get(batch.fields).ok_or_else(damaged)?;
        let reading = Reading::new(fields.clone(), Timestamp::from_nanos(batch.run.received));
        let before = self.builder.len();
        let range = batch.start..self.builder.arena().len();
        let added =
            self.builder.add_stored(tag.clone(), RouteSet::ALL, batch.first_seq, (range, &reading));
        let is_right = added.is_ok() && (self.builder.len() - before) as u64 == batch.events;
        if is_right { Ok(()) } else { Err(damaged()) }
    }

    fn finish(mut self) -> Result<Group, BlockError> {
        self.end_batch()?;
        Ok(self.builder.finish())
    }
}

/// One event, taken out of its page.
pub(super) struct Cut<'p> {
    pub(super) template: &'p Template,
    header: Option<&'p [u8]>,
    source: &'p str,
    pub(super) message: &'p [u8],
    /// The values, in the order of the template.
    pub(super) values: Vec<&'p [u8]>,
}

impl Cut<'_> {
    /// Appends the entry.
    fn write(&self, time: Timestamp, out: &mut Vec<u8>) -> Option<()> {
        msgpack::write_array_len(out, 2);
        if let Some(header) = self.header {
            msgpack::write_array_len(out, 2);
            msgpack::write_event_time(out, time);
            out.extend_from_slice(header);
        } else {
            msgpack::write_event_time(out, time);
        }
        let mut values = self.values.iter();
        for part in &self.template.parts {
            match part {
                Part::Bytes(bytes) => out.extend_from_slice(bytes),
                Part::Value => out.extend_from_slice(values.next()?),
                Part::Source => msgpack::write_str(out, self.source),
                Part::Message(marker) => {
                    put_text_header(out, *marker, self.message.len())?;
                    out.extend_from_slice(self.message);
                }
            }
        }
        Some(())
    }
}

/// Goes through the rows of a page.
pub(super) struct PageRows<'p, 'b> {
    open: &'p Open<'b>,
    page: &'p Page,
    flags: &'p [u8],
    shapes: &'p [u16],
    lengths: &'p [u32],
    templates: &'p [Template],
    source_numbers: &'p [u16],
    sources: &'p [&'p str],
    columns: &'p Values,
    /// What is left of each column that was used.
    left: Vec<Option<&'p [u8]>>,
    messages: &'p [u8],
    next: usize,
}

impl<'p, 'b> PageRows<'p, 'b> {
    pub(super) fn new(
        open: &'p Open<'b>,
        (page, sources): (&'p Page, &'p [&'p str]),
        (messages, values): (&'p [u8], &'p Values),
    ) -> Result<Self, BlockError> {
        Ok(Self {
            open,
            page,
            flags: open.flags()?,
            shapes: open.shapes()?,
            lengths: open.lengths()?,
            templates: open.templates()?,
            source_numbers: open.sources()?,
            sources,
            columns: values,
            left: Vec::new(),
            messages,
            next: page.rows.start,
        })
    }

    /// The event of a row of the page, which is not before the last one asked for.
    pub(super) fn at(&mut self, row: usize) -> Result<Cut<'p>, BlockError> {
        let mut found = None;
        while self.next <= row {
            let next = self.next;
            self.next += 1;
            let cut = self.cut(next, next == row);
            found = Some(cut.ok_or_else(|| self.open.damaged_page(Section::Values, self.page))?);
        }
        found.ok_or_else(|| self.open.damaged_page(Section::Values, self.page))
    }

    fn cut(&mut self, row: usize, is_wanted: bool) -> Option<Cut<'p>> {
        let templates = self.templates;
        let template = templates.get(usize::from(*self.shapes.get(row)?))?;
        let flags = *self.flags.get(row)?;
        let header = if flags & HAS_HEADER == 0 { None } else { Some(self.value(HEADERS)?) };
        let mut values = Vec::new();
        for (column, _) in &template.columns {
            let value = self.value(*column)?;
            if is_wanted {
                values.push(value);
            }
        }
        let len = if flags & NO_TEXT == 0 { *self.lengths.get(row)? as usize } else { 0 };
        let (message, rest) = self.messages.split_at_checked(len)?;
        self.messages = rest;
        let source = if is_wanted { self.source(row) } else { "" };
        Some(Cut { template, header, source, message, values })
    }

    /// The text of an event's source.
    fn source(&self, row: usize) -> &'p str {
        let number = self.source_numbers.get(row).and_then(|number| number.checked_sub(1));
        number.and_then(|at| self.sources.get(usize::from(at))).copied().unwrap_or_default()
    }

    /// The next value of a column.
    #[inline]
    fn value(&mut self, column: u16) -> Option<&'p [u8]> {
        let at = usize::from(column);
        if at >= self.left.len() {
            self.left.resize(at + 1, None);
        }
        let left = self.left.get_mut(at)?;
        let bytes = left.unwrap_or_else(|| self.columns.get(column));
        let mut cursor = Cursor::new(bytes);
        let value = cursor.value().ok()?;
        *left = Some(cursor.rest());
        Some(value)
    }
}
