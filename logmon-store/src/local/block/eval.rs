//! Evaluating a filter over the columns of a block.
//!
//! The answer is that of [`Filter::matches`] for each event. What is cheap is asked first and leaves
//! fewer rows to what is not; pages without such rows are not read.

use logmon_core::filter::{Atom, Clock, LevelTest, Possible, TimeTest, ValueTest};
use logmon_core::{Filter, Level, LogRef, Scalar, TagPattern, Timestamp};

use super::bits::Rows;
use super::builder::LEVEL_BITS;
use super::damage::BlockError;
use super::facts::BlockFacts;
use super::read::Open;

mod message;
mod metadata;

pub(super) use metadata::{PathReader, Shown};

impl Open<'_> {
    /// Those of `rows` whose events pass.
    pub(super) fn select(&self, filter: &Filter, rows: &Rows) -> Result<Rows, BlockError> {
        if rows.is_empty() {
            return Ok(rows.clone());
        }
        match filter {
            Filter::All => Ok(rows.clone()),
            Filter::Atom(atom) => match filter.prune(&BlockFacts(self)) {
                Possible::None => Ok(Rows::none(self.rows())),
                Possible::All => Ok(rows.clone()),
                Possible::Some => self.select_atom((filter, atom), rows),
            },
            Filter::Not(inner) => {
                let mut left = rows.clone();
                left.and_not(&self.select(inner, rows)?);
                Ok(left)
            }
            Filter::And(_) if filter.prune(&BlockFacts(self)) == Possible::None => {
                Ok(Rows::none(self.rows()))
            }
            Filter::And(operands) => {
                let mut left = rows.clone();
                for operand in by_cost(operands) {
                    left = self.select(operand, &left)?;
                }
                Ok(left)
            }
            Filter::Or(operands) => {
                let (mut left, mut found) = (rows.clone(), Rows::none(self.rows()));
                for operand in by_cost(operands) {
                    let passed = self.select(operand, &left)?;
                    left.and_not(&passed);
                    found.or(&passed);
                }
                Ok(found)
            }
        }
    }

    fn select_atom(
        &self,
        (filter, atom): (&Filter, &Atom),
        rows: &Rows,
    ) -> Result<Rows, BlockError> {
        let mut found = match atom {
            Atom::Level(test) => self.with_level(*test)?,
            Atom::Time(test) => self.with_time(test)?,
            Atom::Tag(pattern) => self.with_tag(pattern)?,
            Atom::Field(test) => match test.path() {
                None => self.with_source(test.test())?,
                Some(path) => return self.with_metadata((filter, test, path), rows),
            },
            Atom::Words(_) | Atom::Substring(_) | Atom::Regexp(_) => {
                return self.with_message((filter, atom), rows);
            }
            _ => return self.rebuilt(filter, rows.iter()),
        };
        found.and(rows);
        Ok(found)
    }

    /// Those of some rows whose events pass, by putting the events together.
    fn rebuilt(
        &self,
        filter: &Filter,
        rows: impl Iterator<Item = usize>,
    ) -> Result<Rows, BlockError> {
        let mut found = Rows::none(self.rows());
        let rows: Vec<u32> = rows.filter_map(|row| u32::try_from(row).ok()).collect();
        // A few at a time, since events may be long.
        for some in rows.chunks(256) {
            let group = self.materialise(some)?;
            for (row, log) in some.iter().zip(group.iter()) {
                if filter.matches::<LogRef<'_>>(&log) {
                    found.insert(*row as usize);
                }
            }
        }
        Ok(found)
    }

    fn with_level(&self, test: LevelTest) -> Result<Rows, BlockError> {
        let accepted = [0, 1, 2, 3, 4, 5, 6, 7].map(|code| test.accepts(Level::from_code(code)));
        let flags = self.flags()?;
        let is_accepted = |flags: &u8| accepted[usize::from(flags & LEVEL_BITS)];
        Ok(Rows::of(self.rows(), |row| flags.get(row).is_some_and(is_accepted)))
    }

    fn with_time(&self, test: &TimeTest) -> Result<Rows, BlockError> {
        if test.clock == Clock::Received {
            let runs = self.runs()?.iter();
            let accepted = runs.filter(|run| test.accepts(Timestamp::from_nanos(run.received)));
            let mut found = Rows::none(self.rows());
            accepted.for_each(|run| {
                (run.first..run.first + run.rows).for_each(|row| found.insert(row));
            });
            return Ok(found);
        }
        let times = self.times()?;
        let is_accepted = |nanos: &i64| test.accepts(Timestamp::from_nanos(*nanos));
        Ok(Rows::of(self.rows(), |row| times.get(row).is_some_and(is_accepted)))
    }

    fn with_tag(&self, pattern: &TagPattern) -> Result<Rows, BlockError> {
        let tags = &self.dictionaries()?.tags;
        let accepted: Vec<bool> = tags.iter().map(|tag| pattern.matches(tag)).collect();
        let mut found = Rows::none(self.rows());
        for run in self.runs()? {
            if accepted.get(usize::from(run.tag)) == Some(&true) {
                (run.first..run.first + run.rows).for_each(|row| found.insert(row));
            }
        }
        Ok(found)
    }

    fn with_source(&self, test: &ValueTest) -> Result<Rows, BlockError> {
        let known = self.dictionaries()?.sources.iter();
        // The number 0 says that there is none.
        let accepted: Vec<bool> =
            [false].into_iter().chain(known.map(|text| test.accepts(Scalar::Str(text)))).collect();
        let sources = self.sources()?;
        let is_accepted = |number: &u16| accepted.get(usize::from(*number)) == Some(&true);
        Ok(Rows::of(self.rows(), |row| sources.get(row).is_some_and(is_accepted)))
    }
}

/// The operands, those that cost least first.
fn by_cost(operands: &[Filter]) -> Vec<&Filter> {
    let mut sorted: Vec<&Filter> = operands.iter().collect();
    sorted.sort_by_key(|filter| cost(filter));
    sorted
}

/// How costly a filter is here at worst: columns that are small, pages of values, pages of messages.
fn cost(filter: &Filter) -> u8 {
    match filter {
        Filter::All => 0,
        Filter::Atom(atom) => match &**atom {
            Atom::Level(_) => 1,
            Atom::Tag(_) => 2,
            Atom::Field(test) if test.path().is_none() => 3,
            Atom::Time(_) => 4,
            Atom::Words(_) => 6,
            Atom::Substring(_) => 7,
            Atom::Regexp(_) => 8,
            _ => 5,
        },
        Filter::Not(inner) => cost(inner),
        Filter::And(operands) | Filter::Or(operands) => {
            operands.iter().map(cost).max().unwrap_or(0)
        }
    }
}
