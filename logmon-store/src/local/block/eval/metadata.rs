//! Atoms about metadata, and whatever else reads the values at one path.

use logmon_core::filter::{FieldTest, ValueTest};
use logmon_core::msgpack::Cursor;
use logmon_core::{Filter, Level, Scalar};

use super::super::bits::Rows;
use super::super::builder::{HAS_HEADER, LEVEL_BITS};
use super::super::damage::BlockError;
use super::super::info::Section;
use super::super::pages::{FIRST_PATH, Page, Values};
use super::super::read::Open;
use super::super::rebuild::Template;
use super::super::shape::{Role, is_name, scalar_of};

const LEVEL_RAW: &[u8] = b"level_raw";

/// What an event has at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::local::block) enum Shown<'p> {
    /// Nothing.
    Nothing,
    /// One value.
    One(Scalar<'p>),
    /// It takes the whole event to tell.
    Involved,
}

/// How the records of a shape have a path.
#[derive(Clone, Copy, Debug)]
enum Has {
    Nothing,
    /// A value of the column.
    Value,
    /// The value of the column, which is the level: it counts where it names no level.
    Level,
    /// The value of another column, which is the level: it counts where it says more than a name.
    LevelRaw(u16),
    Map,
    Nil,
    Involved,
}

/// A shape, as one path sees it.
#[derive(Debug)]
struct Seen {
    has: Has,
    /// Which of the columns that are read its records have values in.
    columns: Vec<u16>,
}

/// Reads what events have at one path.
pub(in crate::local::block) struct PathReader<'o, 'b> {
    open: &'o Open<'b>,
    column: Option<u16>,
    /// The columns that are read.
    read: Vec<u16>,
    by_shape: Vec<Seen>,
    flags: &'o [u8],
    shapes: &'o [u16],
}

impl<'o, 'b> PathReader<'o, 'b> {
    pub(in crate::local::block) fn new(open: &'o Open<'b>, path: &str) -> Result<Self, BlockError> {
        let counts = open.paths()?;
        let position = counts.paths.iter().position(|known| *known.path == *path.as_bytes());
        let column = position.and_then(|at| u16::try_from(at).ok()?.checked_add(FIRST_PATH));
        let is_unknown = column.is_none() && counts.is_truncated;
        let templates = open.templates()?;
        let has = |template: &Template| {
            if is_unknown { Has::Involved } else { has(template, column, path) }
        };
        let has: Vec<Has> = templates.iter().map(has).collect();
        let mut read: Vec<u16> = column.into_iter().collect();
        read.extend(has.iter().filter_map(|has| match has {
            Has::LevelRaw(column) => Some(*column),
            _ => None,
        }));
        let by_shape = has.into_iter().zip(templates).map(|(has, template)| {
            let columns = template.columns.iter().map(|(column, _)| *column);
            Seen { has, columns: columns.filter(|column| read.contains(column)).collect() }
        });
        let by_shape = by_shape.collect();
        Ok(Self { open, column, read, by_shape, flags: open.flags()?, shapes: open.shapes()? })
    }

    fn shape(&self, row: usize) -> Option<&Seen> {
        self.by_shape.get(usize::from(*self.shapes.get(row)?))
    }

    /// Shows what each of `rows` in a page has at the path; the page is read if it takes that.
    pub(in crate::local::block) fn page(
        &self,
        page: &Page,
        (rows, values): (&Rows, &mut Values),
        each: &mut dyn FnMut(usize, Shown<'_>),
    ) -> Result<(), BlockError> {
        let open = self.open;
        let damaged = || open.damaged_page(Section::Values, page);
        let Some(last) = rows.iter_in(&page.rows).last() else { return Ok(()) };
        let needs_values = |row| self.shape(row).is_some_and(|seen| seen.has.needs_value());
        let is_read = rows.iter_in(&page.rows).any(needs_values);
        if is_read {
            open.values(page, (&|column| self.read.contains(&column), values))?;
        }
        let mut left = ColumnsLeft { columns: values, left: Vec::new() };
        for row in page.rows.start..=last {
            let seen = self.shape(row).ok_or_else(damaged)?;
            let mut value = &[][..];
            for column in seen.columns.iter().filter(|_| is_read) {
                let next = left.next(*column).ok_or_else(damaged)?;
                if seen.has.is_value_in(*column, self.column) {
                    value = next;
                }
            }
            if rows.has(row) {
                let flags = self.flags.get(row).copied().unwrap_or(0);
                each(row, seen.has.shown(scalar_of(value), flags));
            }
        }
        Ok(())
    }
}

/// How the records of a shape have the path of a column.
fn has(template: &Template, column: Option<u16>, path: &str) -> Has {
    if template.is_involved {
        return Has::Involved;
    }
    let constant = template.constants.iter().find(|(at, _)| Some(*at) == column);
    if let Some((_, is_map)) = constant {
        return if *is_map { Has::Map } else { Has::Nil };
    }
    let mut ways = template.columns.iter().filter_map(|(at, role)| match role {
        Role::Metadata if Some(*at) == column => Some(Has::Value),
        Role::Level if Some(*at) == column => Some(Has::Level),
        Role::Level if path.as_bytes() == LEVEL_RAW => Some(Has::LevelRaw(*at)),
        _ => None,
    });
    ways.next_back().unwrap_or(Has::Nothing)
}

impl Has {
    const fn needs_value(self) -> bool {
        matches!(self, Self::Value | Self::Level | Self::LevelRaw(_))
    }

    /// Whether the value is that of `at`, where the path has `column`.
    fn is_value_in(self, at: u16, column: Option<u16>) -> bool {
        match self {
            Self::Value | Self::Level => Some(at) == column,
            Self::LevelRaw(level) => at == level,
            _ => false,
        }
    }

    /// What an event with this value and these flags has.
    fn shown(self, value: Scalar<'_>, flags: u8) -> Shown<'_> {
        let level = Level::from_code(flags & LEVEL_BITS);
        match self {
            _ if flags & HAS_HEADER != 0 => Shown::Involved,
            Self::Involved => Shown::Involved,
            Self::Nothing => Shown::Nothing,
            Self::Map => Shown::One(Scalar::Map),
            Self::Nil => Shown::One(Scalar::Nil),
            Self::Value => Shown::One(value),
            Self::Level if level.is_none() => Shown::One(value),
            Self::LevelRaw(_) if level.is_some_and(|level| !is_name(value, level)) => {
                Shown::One(value)
            }
            Self::Level | Self::LevelRaw(_) => Shown::Nothing,
        }
    }
}

/// What is left of the columns of a page.
struct ColumnsLeft<'p> {
    columns: &'p Values,
    left: Vec<(u16, &'p [u8])>,
}

impl<'p> ColumnsLeft<'p> {
    fn next(&mut self, column: u16) -> Option<&'p [u8]> {
        if !self.left.iter().any(|(known, _)| *known == column) {
            self.left.push((column, self.columns.get(column)));
        }
        let (_, left) = self.left.iter_mut().find(|(known, _)| *known == column)?;
        let mut cursor = Cursor::new(left);
        let value = cursor.value().ok()?;
        *left = cursor.rest();
        Some(value)
    }
}

impl Open<'_> {
    pub(super) fn with_metadata(
        &self,
        (filter, test, path): (&Filter, &FieldTest, &str),
        rows: &Rows,
    ) -> Result<Rows, BlockError> {
        let reader = PathReader::new(self, path)?;
        let value_test: &ValueTest = test.test();
        let (mut found, mut involved) = (Rows::none(self.rows()), Vec::new());
        let mut values = Values::default();
        for page in self.pages()? {
            reader.page(page, (rows, &mut values), &mut |row, shown| match shown {
                Shown::Nothing => {}
                Shown::One(value) => {
                    if value_test.accepts(value) {
                        found.insert(row);
                    }
                }
                Shown::Involved => involved.push(row),
            })?;
        }
        found.or(&self.rebuilt(filter, involved.into_iter())?);
        Ok(found)
    }
}
