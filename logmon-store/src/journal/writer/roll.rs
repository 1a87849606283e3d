//! Closing a segment and beginning the next.

use std::sync::Arc;

use super::{Active, Trouble, Writer};
use crate::journal::config::Durability;
use crate::journal::control::{self, Record, SegmentInfo};
use crate::journal::format::{SegmentHeader, chain};
use crate::journal::segment::{Segment, file_name};
use crate::vfs::VfsFile;

/// The first bytes of a segment.
pub(super) struct Beginning {
    header: SegmentHeader,
    pub(super) bytes: Vec<u8>,
    chain: u32,
}

impl Beginning {
    /// The name of the segment.
    pub(super) fn name(&self) -> String {
        file_name(self.header.number)
    }
}

impl Writer {
    /// Closes the segment that is written and begins the next.
    ///
    /// # Durability
    /// The new segment is durable, with the table of those before it, before anything is written
    /// behind its checkpoint.
    pub(super) fn begin_segment(&mut self) -> Result<(), Trouble> {
        let beginning = self.beginning();
        let name = beginning.name();
        let failed = |error| Trouble::of("creating a segment", error);
        let file = self.shared.vfs.create(&name).map_err(failed)?;
        let written = file.write_at(&beginning.bytes, 0);
        let synced = written.map_err(|error| Trouble::of("writing", error)).and_then(|()| {
            let failed = |error| Trouble::of("syncing a new segment", error);
            file.sync_data().and_then(|()| self.shared.vfs.sync_dir()).map_err(failed)
        });
        self.shared.count_fsync();
        if let Err(trouble) = synced {
            // An empty segment is harmless, so it may also stay.
            drop(self.shared.vfs.remove(&name));
            return Err(trouble);
        }
        self.enter(file, &beginning);
        Ok(())
    }

    /// What the next segment begins with.
    pub(super) fn beginning(&mut self) -> Beginning {
        let now = self.shared.vfs.now();
        let header = SegmentHeader {
            number: self.next_number,
            epoch: self.epoch,
            journal: self.journal,
            first_seq: self.next_seq,
            created: now,
            chain: self.chain_before_next(),
        };
        // Never tried twice: what is left of a failed attempt may be there still.
        self.next_number += 1;
        let mut bytes = header.to_bytes();
        let checkpoint = {
            let mut catalog = self.shared.catalog();
            if let Some(last) = catalog.segments.back_mut() {
                last.info.closed = last.info.closed.max(now);
            }
            catalog.cursors.mark_unopened(self.unopened_since(now));
            Record::Checkpoint(catalog.checkpoint())
        };
        let at = (header.first_seq, now);
        let crc = control::write_frame(&mut bytes, &[checkpoint], self.epoch, at);
        Beginning { header, bytes, chain: chain(0, crc) }
    }

    /// Goes on in a segment that is durable.
    pub(super) fn enter(&mut self, file: Arc<dyn VfsFile>, beginning: &Beginning) {
        self.leave_chunks();
        if let Some(before) = &mut self.active {
            before.cut();
        }
        let Beginning { header, bytes, chain } = beginning;
        let (number, len) = (header.number, bytes.len() as u64);
        self.chain = *chain;
        let chain_before = header.chain;
        self.active = Some(Active {
            file,
            number,
            len,
            filled: len,
            is_spare: false,
            is_filled_ahead: self.config.durability == Durability::Sync,
            has_events: false,
            chain_before,
        });
        let info = SegmentInfo::empty(number, header.epoch, header.first_seq, header.created);
        let info = SegmentInfo { bytes: len, chain: *chain, ..info };
        let mut catalog = self.shared.catalog();
        if let Some(before) = catalog.segments.pop_back_if(|before| before.info.events == 0) {
            // All that it has is in the new checkpoint.
            catalog.removing.push(before.info.number);
        }
        catalog.segments.push_back(Segment::begin(info));
    }

    /// The hash over the last segment with events, which the header of the next is to have.
    pub(super) fn chain_before_next(&self) -> u32 {
        match &self.active {
            Some(active) if !active.has_events => active.chain_before,
            _ => self.chain,
        }
    }
}
