//! A file that is kept so that there is always room for control records.
//!
//! It is as long as it will ever be and full of zeros, so what is written into it needs no more of
//! the disk. When the disk is full it becomes the next segment, in which only control records are
//! written until there is room for another spare.

use std::io;
use std::sync::Arc;

use super::ahead::zeros;
use super::{Trouble, Writer};
use crate::journal::shared::Obstacle;
use crate::journal::walk::is_zero;
use crate::vfs::{Vfs, VfsFile};

/// The name of the file.
pub(in crate::journal) const SPARE_NAME: &str = "spare";
/// Its bytes: room for the checkpoint of a large journal and thousands of saves.
pub(super) const SPARE_BYTES: u64 = if cfg!(test) { 8 << 10 } else { 1 << 20 };

/// Finds the spare of an earlier opening, or makes one.
///
/// # Durability
/// It is there after a crash, with its room.
fn provide(vfs: &dyn Vfs) -> io::Result<Arc<dyn VfsFile>> {
    match vfs.open_to_write(SPARE_NAME) {
        Ok(file) => {
            if file.len()? == SPARE_BYTES && is_zero(&*file, 0..SPARE_BYTES) {
                return Ok(file);
            }
            vfs.remove(SPARE_NAME)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = vfs.create(SPARE_NAME)?;
    let prepare = || {
        file.write_at(&zeros(SPARE_BYTES), 0)?;
        file.sync_data()?;
        vfs.sync_dir()
    };
    prepare().inspect_err(|_| {
        // What is left of it is made anew by the next attempt.
        drop(vfs.remove(SPARE_NAME));
    })?;
    Ok(file)
}

impl Writer {
    /// Sees to it that there is a spare, if there is room for one; whether there is.
    pub(super) fn provide_spare(&mut self) -> bool {
        if self.spare.is_none() {
            match provide(&*self.shared.vfs) {
                Ok(file) => self.spare = Some(file),
                Err(error) => {
                    tracing::debug!(%error, "no spare for control records could be made");
                }
            }
        }
        self.spare.is_some()
    }

    /// Whether events may be written to this segment: not to a spare until there is another.
    pub(super) fn leave_spare(&mut self) -> Result<(), Trouble> {
        if !self.active.as_ref().is_some_and(|active| active.is_spare) {
            return Ok(());
        }
        if !self.provide_spare() {
            return Err(Trouble::Full(io::ErrorKind::StorageFull.into()));
        }
        if let Some(active) = &mut self.active {
            active.is_spare = false;
        }
        Ok(())
    }

    /// Goes on in the spare; whether there was one.
    pub(super) fn begin_in_spare(&mut self) -> Result<bool, Trouble> {
        let Some(file) = self.spare.clone() else { return Ok(false) };
        let beginning = self.beginning();
        if beginning.bytes.len() as u64 > SPARE_BYTES / 2 {
            return Ok(false);
        }
        self.spare = None;
        let vfs = self.shared.vfs.clone();
        let failed = |error| Trouble::of("making a segment of the spare", error);
        let write = || {
            file.write_at(&beginning.bytes, 0)?;
            file.sync_data()?;
            self.shared.count_fsync();
            vfs.rename(SPARE_NAME, &beginning.name())?;
            vfs.sync_dir()
        };
        write().map_err(failed)?;
        self.enter(file, &beginning);
        if let Some(active) = &mut self.active {
            active.is_spare = true;
            active.filled = SPARE_BYTES;
        }
        let error = io::ErrorKind::StorageFull.into();
        self.shared.wait_for(Obstacle::Full(&error));
        Ok(true)
    }
}
