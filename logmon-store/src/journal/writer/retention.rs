//! Removing the oldest segments.
//!
//! What is removed is first written down in the journal itself, then forgotten by the readers'
//! catalog, then unlinked. A crash between two of these steps leaves a file that the next opening
//! removes; nothing is counted twice.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logmon_core::Timestamp;

use super::{Stop, Trouble, Writer};
use crate::journal::catalog::{Rules, before};
use crate::journal::control::{self, Record, Removal, SegmentInfo};
use crate::journal::format::chain;
use crate::journal::segment::file_name;

/// How often ages are looked at while nothing is written.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// So long a journal is open at least before it ends a cursor.
const LEAST_ORPHAN_TIME: Duration = Duration::from_secs(3600);

impl Writer {
    /// Removes what has expired, and the cursors that nobody has opened for too long.
    ///
    /// # Durability
    /// The note about it is durable before the first file goes. Where the disk has no room for the
    /// note, nothing is removed now.
    pub(super) fn retain(&mut self) -> Result<(), Stop> {
        self.end_orphans()?;
        self.retain_by(&self.rules(false))
    }

    /// The same at the opening, when no cursor is open yet.
    pub(super) fn retain_sparing_orphans(&mut self) -> Result<(), Stop> {
        self.retain_by(&Rules { are_orphans_spared: true, ..self.rules(false) })
    }

    fn rules(&self, is_last_closed: bool) -> Rules {
        Rules {
            retention: self.config.retention,
            // On a full disk history makes room for what is to come.
            history_bytes: if self.shared.is_full() { 0 } else { self.config.history_bytes },
            reserved: self.config.segment_bytes,
            now: self.shared.vfs.now(),
            is_last_closed,
            are_orphans_spared: false,
        }
    }

    /// The cursor that has to move on before another segment can begin.
    pub(super) fn holder(&self) -> Option<Arc<str>> {
        self.shared.catalog().expire(&self.rules(true)).holder
    }

    /// The same before a message of so many bytes becomes a segment.
    pub(super) fn holder_before(&self, bytes: u64) -> Option<Arc<str>> {
        let mut rules = self.rules(true);
        rules.reserved = rules.reserved.saturating_add(bytes);
        self.shared.catalog().expire(&rules).holder
    }

    fn retain_by(&mut self, rules: &Rules) -> Result<(), Stop> {
        self.next_retention = Instant::now() + RETENTION_INTERVAL;
        if self.active.is_none() {
            // Nowhere to note it; the next segment is begun first.
            return Ok(());
        }
        let removals = self.shared.catalog().expire(rules).removals;
        if !removals.is_empty() {
            let records: Vec<Record> = removals.iter().copied().map(Record::Removed).collect();
            if self.write_control(&records)? {
                self.keep_chunks_of(&removals);
                let mut catalog = self.shared.catalog();
                let losses = catalog.cursors.losses(&catalog.range_of(&removals));
                catalog.remove(&removals);
                drop(catalog);
                for (cursor, events) in losses {
                    tracing::error!(%cursor, events, "events went before a cursor had passed them");
                }
            } else {
                tracing::warn!("no room to note what retention removes; it waits");
            }
        }
        self.unlink();
        Ok(())
    }

    /// Since when cursors that are not open are orphans.
    pub(super) fn unopened_since(&self, now: Timestamp) -> Timestamp {
        before(now, self.opened.elapsed())
    }

    /// Ends the cursors that nobody has opened for too long, both by the wall clock and, in part,
    /// by that of this process: a clock that jumps ends nothing.
    fn end_orphans(&mut self) -> Result<(), Stop> {
        let (now, max_age) = (self.shared.vfs.now(), self.config.orphan_max_age);
        if self.active.is_none() || self.opened.elapsed() < max_age.min(LEAST_ORPHAN_TIME) {
            return Ok(());
        }
        let ended = {
            let mut catalog = self.shared.catalog();
            catalog.cursors.mark_unopened(self.unopened_since(now));
            catalog.cursors.outlived(max_age, now)
        };
        if ended.is_empty() {
            return Ok(());
        }
        let record = |name: &Arc<str>| Record::CursorEnded(name.to_string());
        let records: Vec<Record> = ended.iter().map(record).collect();
        if self.write_control(&records)? {
            for cursor in ended {
                self.shared.catalog().cursors.end(&cursor);
                tracing::warn!(%cursor, "a cursor that nobody opens has ended");
            }
        }
        Ok(())
    }

    fn keep_chunks_of(&mut self, removals: &[Removal]) {
        let is_removed =
            |info: &SegmentInfo| removals.iter().any(|removal| removal.number == info.number);
        let infos: Vec<SegmentInfo> = {
            let catalog = self.shared.catalog();
            let infos = catalog.segments.iter().map(|segment| segment.info);
            infos.filter(is_removed).collect()
        };
        infos.iter().for_each(|info| self.save_chunks(info));
    }

    /// Writes control records.
    ///
    /// # Durability
    /// They are durable afterwards, and everything before them.
    pub(super) fn write_records(&mut self, records: &[Record]) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        let at = (self.next_seq, self.shared.vfs.now());
        let crc = control::write_frame(&mut bytes, records, self.epoch, at);
        self.write(&bytes)?;
        let Some(active) = &mut self.active else { return Ok(()) };
        self.shared.count_fsync();
        // Always a failure, even of a full disk: what a failed sync has saved is unknown.
        active.file.sync_data().map_err(|error| Trouble::Failed("syncing a segment", error))?;
        active.len += bytes.len() as u64;
        self.dirty_since = None;
        self.chain = chain(self.chain, crc);
        let mut catalog = self.shared.catalog();
        if let Some(segment) = catalog.segments.back_mut() {
            segment.info.bytes = active.len;
            segment.info.chain = self.chain;
        }
        Ok(())
    }

    /// Unlinks the files of segments that are forgotten already.
    pub(in crate::journal) fn unlink(&self) {
        let removing = self.shared.catalog().removing.clone();
        if removing.is_empty() {
            return;
        }
        let vfs = &self.shared.vfs;
        let mut gone = Vec::new();
        for number in removing {
            match vfs.remove(&file_name(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(segment = number, %error, "a segment could not be removed");
                }
                _ => gone.push(number),
            }
        }
        match vfs.sync_dir() {
            Ok(()) => self.shared.catalog().removing.retain(|number| !gone.contains(number)),
            // Tried again with the next removal, or by the next opening.
            Err(error) => tracing::warn!(%error, "the removal of segments is not durable yet"),
        }
    }
}
