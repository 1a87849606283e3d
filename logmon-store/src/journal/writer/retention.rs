//! Removing the oldest segments.
//!
//! What is removed is first written down in the journal itself, then forgotten by the readers'
//! catalog, then unlinked. A crash between two of these steps leaves a file that the next opening
//! removes; nothing is counted twice.

use std::io;
use std::time::{Duration, Instant};

use super::{Stop, Trouble, Writer};
use crate::journal::control::{self, Record, Removal, SegmentInfo};
use crate::journal::format::chain;
use crate::journal::segment::file_name;

/// How often ages are looked at while nothing is written.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

impl Writer {
    /// Removes what has expired.
    ///
    /// # Durability
    /// The note about it is durable before the first file goes. Where the disk has no room for the
    /// note, nothing is removed now.
    pub(super) fn retain(&mut self) -> Result<(), Stop> {
        self.next_retention = Instant::now() + RETENTION_INTERVAL;
        if self.active.is_none() {
            // Nowhere to note it; the next segment is begun first.
            return Ok(());
        }
        let now = self.shared.vfs.now();
        let (retention, reserved) = (self.config.retention, self.config.segment_bytes);
        let removals = self.shared.catalog().expired(&retention, reserved, now);
        if !removals.is_empty() {
            match self.note(&removals) {
                Ok(()) => {
                    self.keep_chunks_of(&removals);
                    self.shared.catalog().remove(&removals);
                }
                Err(Trouble::Full(error)) => {
                    tracing::warn!(%error, "no room to note what retention removes; it waits");
                }
                Err(Trouble::Failed(doing, error)) => {
                    return Err(Stop::Poison(format!("{doing} failed: {error}")));
                }
            }
        }
        self.unlink();
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

    fn note(&mut self, removals: &[Removal]) -> Result<(), Trouble> {
        let records: Vec<Record> = removals.iter().copied().map(Record::Removed).collect();
        self.write_records(&records)
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
