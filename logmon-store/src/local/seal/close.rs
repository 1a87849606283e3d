//! Making blocks durable, and closing partitions, whole or failed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use logmon_core::{CursorState, Journal as _, Position};

use super::{Halt, Sealer, UnitBuilder};
use crate::local::catalog::{Catalog, Partition};
use crate::local::index;
use crate::local::partition::file_name;
use crate::local::wait::block_on;

impl Sealer {
    /// Makes all blocks durable, and lets go of their part of the journal.
    pub(super) fn sync(&mut self) -> Result<(), Halt> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if self.dirty.take().is_some() || !open.is_named {
            let failed = |error| Halt::Failed(format!("syncing a partition failed: {error}"));
            open.file.sync_data().map_err(failed)?;
            if !open.is_named {
                self.shared.vfs.sync_dir().map_err(failed)?;
                open.is_named = true;
            }
            self.shared.durable.store(self.shared.catalog().end_seq, Ordering::Relaxed);
            self.failures = 0;
            self.shared.set_ok();
        }
        self.save_cursor();
        Ok(())
    }

    pub(super) fn save_cursor(&mut self) {
        let seq = self.shared.durable.load(Ordering::Relaxed);
        if seq == self.saved {
            return;
        }
        let position = Position { epoch: self.journal.head().epoch, seq };
        match block_on(self.cursor.save(CursorState::at(position))) {
            Ok(()) => self.saved = seq,
            // The journal keeps more than it has to, until the next attempt.
            Err(error) => tracing::warn!(%error, "the position of the store was not saved"),
        }
    }

    /// Closes the partition that is written.
    pub(super) fn close_partition(&mut self) -> Result<(), Halt> {
        self.sync()?;
        if self.open.take().is_some() {
            self.retire(|open| open);
        }
        // The next event tells the hour of the next one.
        self.hour_end = i64::MIN;
        Ok(())
    }

    /// Moves what is left of the open partition to the closed ones. All of it is durable.
    pub(super) fn retire(&self, change: impl FnOnce(Partition) -> Partition) {
        let catalog = Catalog::clone(&self.shared.catalog());
        let Some(open) = catalog.open else { return };
        let mut partition = change(Partition::clone(&open));
        let (end_seq, delivered) = (partition.end_seq(), partition.events_after());
        let mut closed = Vec::clone(&catalog.closed);
        if !partition.blocks.is_empty() {
            partition.closed = Some(self.shared.vfs.now());
            partition.index_len = self.index(&partition);
            closed.push(Arc::new(partition));
        }
        self.shared.publish(Catalog { closed: Arc::new(closed), open: None, end_seq, delivered });
    }

    /// Writes the index of a partition; gives its length, 0 where that failed.
    pub(super) fn index(&self, partition: &Partition) -> u64 {
        index::write(&*self.shared.vfs, partition).unwrap_or_else(|error| {
            tracing::warn!(
                partition = &*partition.name, %error,
                "the index of a partition was not written; it is made when the store is next opened"
            );
            0
        })
    }

    /// Writes the indexes that are missing, and removes the files of no use.
    pub(in crate::local) fn tidy(&mut self) {
        self.index_all();
        if self.shared.catalog().closed.iter().any(|partition| partition.index_len == 0) {
            // They may be what tells that blocks of others are void.
            return;
        }
        for number in std::mem::take(&mut self.void) {
            if let Err(error) = self.shared.vfs.remove(&file_name(number)) {
                tracing::warn!(number, %error, "an empty partition was not removed");
            }
        }
    }

    pub(super) fn index_all(&self) {
        let catalog = self.shared.catalog();
        if catalog.closed.iter().all(|partition| partition.index_len > 0) {
            return;
        }
        let with_index = |partition: &Arc<Partition>| {
            if partition.index_len > 0 || partition.is_unread {
                return partition.clone();
            }
            let synced = self.shared.reading.files.get(partition.number());
            // Whoever wrote it may not have come to that.
            match synced.and_then(|file| file.sync_data()) {
                Ok(()) => {
                    let index_len = self.index(partition);
                    Arc::new(Partition { index_len, ..Partition::clone(partition) })
                }
                Err(_) => partition.clone(),
            }
        };
        let closed = Arc::new(catalog.closed.iter().map(with_index).collect());
        self.shared.publish(Catalog { closed, ..Catalog::clone(&catalog) });
    }

    /// Leaves the open partition as it was when it was last durable, for good.
    pub(super) fn abandon(&mut self, what: &str) {
        self.shared.set_failing(what);
        let durable = self.shared.durable.load(Ordering::Relaxed);
        self.retire(|open| open.cut(durable));
        (self.open, self.dirty, self.hour_end) = (None, None, i64::MIN);
        // The cursor is not beyond it, so the journal has the rest.
        self.unit = UnitBuilder::at(durable);
    }
}
