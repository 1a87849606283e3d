//! A block as a part of a query.

use logmon_core::filter::Possible;
use logmon_core::{FieldTally, LogRef, PageKey, Tables, Timestamp};

use super::bits::Rows;
use super::damage::{BlockDamage, BlockError};
use super::facts::BlockFacts;
use super::read::{Block, Open, Scratch};
use crate::query::{Best, Look, Rank, Seen, Ties};

mod count;

/// What a look at a block came to.
pub(crate) type Looked = Result<Seen, BlockError>;

impl Block {
    /// Offers the events that a query wants to `best`.
    ///
    /// Pages that are damaged are told to `damages`, and the events in them are left out.
    ///
    /// # Errors
    /// More than pages is damaged, or the medium fails; nothing was offered.
    pub(crate) fn find(
        &self,
        look: &Look<'_>,
        best: &mut Best,
        (scratch, damages): (&mut Scratch, &mut Vec<BlockDamage>),
    ) -> Looked {
        self.look(look, (scratch, damages), &mut |open, rows| {
            let mut ranked = Vec::new();
            open.each_key(rows, &mut |row, _, key| {
                if best.would_take(key) {
                    ranked.push((Rank::new(best.order(), key), row));
                }
            })?;
            if ranked.len() > best.limit() {
                ranked.select_nth_unstable(best.limit());
                ranked.truncate(best.limit());
            }
            let mut wanted: Vec<u32> =
                ranked.iter().filter_map(|(_, row)| u32::try_from(*row).ok()).collect();
            wanted.sort_unstable();
            let group = open.materialise(&wanted)?;
            for log in group.iter() {
                best.offer(Ties::Numbers.key_of(&log), &group, log.index());
            }
            Ok(())
        })
    }

    /// Counts the events that a query wants in `tables`.
    ///
    /// # Errors
    /// As [`Block::find`]; nothing was counted.
    pub(crate) fn tally(
        &self,
        look: &Look<'_>,
        tables: &mut Tables,
        (scratch, damages): (&mut Scratch, &mut Vec<BlockDamage>),
    ) -> Looked {
        let is_whole = count::is_in_header(tables.specs(), self.info()) && self.is_inside(look);
        if is_whole && look.scope.filter.prune(&BlockFacts(&self.open(scratch))) == Possible::All {
            count::add_header(self.info(), tables);
            let rows = u64::from(self.info().rows);
            return Ok(Seen { events: rows, matched: rows, ..Seen::default() });
        }
        self.look(look, (scratch, damages), &mut |open, rows| count::count(open, rows, tables))
    }

    /// Counts the paths of the events that a query wants.
    ///
    /// # Errors
    /// As [`Block::find`]; nothing was counted.
    pub(crate) fn fields(
        &self,
        look: &Look<'_>,
        tally: &mut FieldTally,
        (scratch, damages): (&mut Scratch, &mut Vec<BlockDamage>),
    ) -> Looked {
        self.look(look, (scratch, damages), &mut |open, rows| {
            let counts = open.paths()?;
            if rows.count() == open.rows() && !counts.is_truncated {
                for path in counts.paths.iter().filter(|path| path.events > 0) {
                    // A path that is not text cannot be named.
                    if let Ok(text) = str::from_utf8(&path.path) {
                        tally.add(text, path.events.into(), path.kinds);
                    }
                }
                return Ok(());
            }
            open.each_event(rows, &mut |logs| logs.iter().for_each(|log| tally.observe(log)))
        })
    }

    /// Whether the query wants all events that its filter accepts, by their times and numbers.
    fn is_inside(&self, look: &Look<'_>) -> bool {
        let (first, last) = self.info().bounds();
        let last_seq = self.info().seqs.end - 1;
        look.is_in_range(first, last_seq) && look.is_in_range(last, last_seq)
    }

    /// Finds the rows that a query wants and hands them on. Where a page turns out to be damaged,
    /// begins anew without its rows. Where the query ends meanwhile, nothing is handed on.
    fn look(
        &self,
        look: &Look<'_>,
        (scratch, damages): (&mut Scratch, &mut Vec<BlockDamage>),
        take: &mut dyn FnMut(&Open<'_>, &Rows) -> Result<(), BlockError>,
    ) -> Looked {
        let before = scratch.read_bytes;
        let open = self.open(scratch).during(look);
        let cut = |error| match error {
            BlockError::Over => {
                Ok(Seen { bytes: open.read_bytes() - before, is_cut: true, ..Seen::default() })
            }
            error => Err(error),
        };
        if look.scope.filter.prune(&BlockFacts(&open)) == Possible::None && self.is_inside(look) {
            let (events, bytes) = (self.info().rows.into(), open.read_bytes() - before);
            return Ok(Seen { events, bytes, ..Seen::default() });
        }
        let mut rows = match open.in_range(look, self.is_inside(look)) {
            Ok(rows) => rows,
            Err(error) => return cut(error),
        };
        let mut seen = Seen::default();
        loop {
            let looked = open.select(&look.scope.filter, &rows).and_then(|found| {
                if !found.is_empty() {
                    take(&open, &found)?;
                }
                Ok(found.count())
            });
            match looked {
                Ok(matched) => {
                    seen.events = rows.count() as u64;
                    seen.matched = matched as u64;
                    seen.bytes = open.read_bytes() - before;
                    return Ok(seen);
                }
                Err(BlockError::Damage(BlockDamage { rows: Some(lost), .. }))
                    if rows.count_in(&lost) == 0 =>
                {
                    // Nothing of it was asked for, so it cannot be what failed.
                    return Err(self.damaged(super::info::Section::Pages));
                }
                Err(BlockError::Damage(damage)) if damage.rows.is_some() => {
                    rows.remove(damage.rows.clone().unwrap_or_default());
                    seen.damaged += 1;
                    damages.push(damage);
                }
                Err(error) => return cut(error),
            }
        }
    }
}

impl Open<'_> {
    /// Shows the places of some events in the order of queries.
    fn each_key(
        &self,
        rows: &Rows,
        each: &mut dyn FnMut(usize, u64, PageKey),
    ) -> Result<(), BlockError> {
        let times = self.times()?;
        for run in self.runs()? {
            for row in rows.iter_in(&(run.first..run.first + run.rows)) {
                let timestamp = Timestamp::from_nanos(times.get(row).copied().unwrap_or_default());
                let seq = run.first_seq + (row - run.first) as u64;
                each(row, seq, PageKey::by_number(timestamp, seq));
            }
        }
        Ok(())
    }

    /// The rows that a query may want by their times and numbers.
    fn in_range(&self, look: &Look<'_>, is_inside: bool) -> Result<Rows, BlockError> {
        if is_inside {
            return Ok(Rows::all(self.rows()));
        }
        let mut rows = Rows::none(self.rows());
        self.each_key(&Rows::all(self.rows()), &mut |row, seq, key| {
            if look.is_in_range(key, seq) {
                rows.insert(row);
            }
        })?;
        Ok(rows)
    }

    /// Puts the events of some rows together, a few at a time, and shows them when all are there.
    fn each_event(
        &self,
        rows: &Rows,
        each: &mut dyn FnMut(&[LogRef<'_>]),
    ) -> Result<(), BlockError> {
        let rows: Vec<u32> = rows.iter().filter_map(|row| u32::try_from(row).ok()).collect();
        let group = self.materialise(&rows)?;
        let logs: Vec<LogRef<'_>> = group.iter().collect();
        each(&logs);
        Ok(())
    }
}
