//! Noting where cursors stand.

use std::sync::Arc;

use logmon_core::{AppendError, CursorError};

use super::{Stop, Trouble, Writer};
use crate::journal::control::{CursorRecord, Record};
use crate::journal::cursor::Change;
use crate::journal::shared::Obstacle;

impl Writer {
    /// The records of all changes that wait, the last of each cursor. What cannot be noted is
    /// refused.
    pub(super) fn take_changes(&mut self) -> Vec<Record> {
        self.changes.append(&mut self.shared.queue.take_changes());
        let mut latest: Vec<Arc<str>> = Vec::new();
        let mut records = Vec::new();
        let mut kept = Vec::with_capacity(self.changes.len());
        for change in std::mem::take(&mut self.changes).into_iter().rev() {
            if !latest.contains(&change.name) {
                match self.record_of(&change) {
                    Ok(record) => {
                        latest.push(change.name.clone());
                        records.push(record);
                    }
                    Err(error) => {
                        drop(change.done.send(Err(error)));
                        continue;
                    }
                }
            }
            kept.push(change);
        }
        kept.reverse();
        self.changes = kept;
        records
    }

    fn record_of(&self, change: &Change) -> Result<Record, CursorError> {
        let catalog = self.shared.catalog();
        let Some(state) = change.state.clone() else {
            return Ok(Record::CursorEnded(change.name.to_string()));
        };
        catalog.check(state.position).map_err(|error| CursorError(error.to_string().into()))?;
        let record = catalog.cursors.record(&change.name, state, catalog.oldest().seq);
        let record = record.filter(CursorRecord::is_sound);
        record.map(Record::Cursor).ok_or_else(|| {
            CursorError("the cursor has ended, or counts what no journal can have".into())
        })
    }

    /// Notes all changes that wait, as soon as there is room for them.
    pub(super) fn note_all_changes(&mut self) -> Result<(), Stop> {
        self.note_changes()?;
        let mut backoff = self.backoff();
        while !self.changes.is_empty() {
            self.wait(&mut backoff)?;
        }
        Ok(())
    }

    /// Notes all changes that wait, if there is room for them.
    ///
    /// # Durability
    /// They are durable when those who wait are told.
    pub(super) fn note_changes(&mut self) -> Result<(), Stop> {
        let records = self.take_changes();
        if !records.is_empty() && self.write_control(&records)? {
            self.settle_changes(records);
        }
        Ok(())
    }

    /// Writes control records; whether there was room for them. On a full disk the spare is taken.
    ///
    /// # Durability
    /// They are durable afterwards, and everything before them.
    pub(super) fn write_control(&mut self, records: &[Record]) -> Result<bool, Stop> {
        let written = match &self.active {
            Some(_) => self.write_records(records),
            None => self.begin_segment().and_then(|()| self.write_records(records)),
        };
        let error = match written {
            Ok(()) => return Ok(true),
            Err(Trouble::Full(error)) => error,
            Err(trouble) => return Err(trouble.into()),
        };
        self.shared.wait_for(Obstacle::Full(&error));
        self.sync_dirty()?;
        match self.begin_in_spare().and_then(|is_begun| {
            if is_begun {
                self.write_records(records)?;
            }
            Ok(is_begun)
        }) {
            Ok(is_written) => Ok(is_written),
            Err(Trouble::Full(_)) => Ok(false),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Takes over what is noted, and tells those who wait.
    pub(super) fn settle_changes(&mut self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        {
            let mut catalog = self.shared.catalog();
            for record in records {
                catalog.take_cursor(record);
            }
        }
        for change in self.changes.drain(..) {
            // Whoever stopped waiting changes nothing.
            drop(change.done.send(Ok(())));
        }
    }

    /// Tells those who wait that nothing is noted any more.
    pub(super) fn refuse_changes(&mut self, error: &AppendError) {
        for change in self.changes.drain(..) {
            drop(change.done.send(Err(CursorError(error.to_string().into()))));
        }
    }
}
