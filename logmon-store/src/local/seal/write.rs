//! Writing blocks into the partition that is open.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::{HOUR, Halt, Sealer, Writing};
use crate::local::catalog::{Catalog, Entry, Partition};
use crate::local::partition::{self, Header, file_name};

impl Sealer {
    /// By its size, or because the clock has gone back, so that the hour does not end.
    pub(super) fn is_partition_over(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.len >= self.shared.config.partition_bytes || open.begun.elapsed() >= HOUR
        })
    }

    /// Writes the encoded unit behind those before; gives its place.
    pub(super) fn write(&mut self) -> Result<u64, Halt> {
        let bytes = std::mem::take(&mut self.encoded);
        let written = self.until_space("writing a block", |sealer| match &sealer.open {
            Some(open) => open.file.write_at(&bytes, open.len),
            None => Err(io::ErrorKind::NotFound.into()),
        });
        self.encoded = bytes;
        written?;
        let Some(open) = &mut self.open else { return Ok(0) };
        let at = open.len;
        open.len += self.encoded.len() as u64;
        Ok(at)
    }

    /// Shows the blocks of a unit to queries.
    pub(super) fn show(&self, blocks: impl Iterator<Item = Entry>) {
        let catalog = self.shared.catalog();
        let Some(open) = &catalog.open else { return };
        let mut open = Partition::clone(open);
        blocks.for_each(|block| open.push(block));
        let delivered = open.events_after();
        let (closed, open) = (catalog.closed.clone(), Some(Arc::new(open)));
        // The unit that is being gathered begins where this one ends.
        let end_seq = self.unit.first_seq();
        self.shared.publish(Catalog { closed, open, end_seq, delivered });
    }

    /// Sees to it that a partition is open.
    pub(super) fn begin_partition(&mut self) -> Result<(), Halt> {
        if self.open.is_some() {
            return Ok(());
        }
        let catalog = self.shared.catalog();
        self.until_space("creating a partition", |sealer| {
            let header = Header {
                store: sealer.shared.store,
                // Never tried twice: what is left of a failed attempt may be there still.
                number: sealer.next_number,
                first_seq: sealer.unit.first_seq(),
                events_before: catalog.delivered,
                begun: sealer.shared.vfs.now(),
            };
            sealer.next_number += 1;
            let vfs = &sealer.shared.vfs;
            let file = vfs.create(&file_name(header.number))?;
            if let Err(error) = file.write_at(&header.to_bytes(), 0) {
                // An empty partition is harmless, so it may also stay.
                drop(vfs.remove(&file_name(header.number)));
                return Err(error);
            }
            let len = partition::HEADER_BYTES as u64;
            sealer.open = Some(Writing { file, begun: Instant::now(), len, is_named: false });
            let open = Partition::new(header, sealer.shared.reading.clone());
            let catalog = Catalog { open: Some(Arc::new(open)), ..Catalog::clone(&catalog) };
            sealer.shared.publish(catalog);
            Ok(())
        })
    }

    /// Tries again while the disk is full.
    pub(super) fn until_space<T>(
        &mut self,
        doing: &str,
        mut attempt: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> Result<T, Halt> {
        let first = self.shared.config.full_retry;
        let mut pause = first;
        loop {
            match attempt(self) {
                Ok(done) => {
                    if self.shared.is_full() {
                        self.shared.set_ok();
                    }
                    return Ok(done);
                }
                Err(error) if is_full(&error) => self.shared.set_full(&error),
                Err(error) => return Err(Halt::Failed(format!("{doing} failed: {error}"))),
            }
            self.pause(pause)?;
            pause = (pause * 2).min(first * 10);
        }
    }
}

/// Whether trying again later may help.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull)
        // ENFILE and EMFILE, which have no kind: descriptors come back as space does.
        || matches!(error.raw_os_error(), Some(23 | 24))
}
