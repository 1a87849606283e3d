//! What had to be refused, kept in a bounded directory: one file for each item.
//!
//! The files are described byte for byte in `docs/quarantine.md`.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use logmon_core::{BoxFuture, Quarantine, QuarantineError, Quarantined};
use tokio::sync::Mutex as Turn;
use tokio::sync::oneshot;

use crate::vfs::{RealVfs, Vfs};

mod catalog;
mod file;
mod name;

pub use name::{ItemId, ParseItemIdError};

use catalog::Catalog;

/// Settings of a [`DirQuarantine`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QuarantineConfig {
    /// How many bytes all files may have together; the oldest items go first. Default 256 MiB.
    pub max_bytes: u64,
    /// Of a longer item only its head is kept. Default 8 MiB.
    pub max_item_bytes: usize,
    /// What is kept of an item. Default [`Keep::Bytes`].
    pub keep: Keep,
}

/// What is kept of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "with the bytes or without")]
pub enum Keep {
    /// The facts and the original bytes.
    #[default]
    Bytes,
    /// The facts only: who sent what, when, and why it was refused. Nothing can be replayed.
    Facts,
}

impl Default for QuarantineConfig {
    fn default() -> Self {
        Self { max_bytes: 256 << 20, max_item_bytes: 8 << 20, keep: Keep::default() }
    }
}

/// A quarantine in a directory.
///
/// # Durability
/// An item is on the disk when [`Quarantine::put`] has resolved: written whole under another
/// name, synced, renamed, and the directory synced. Items that are put at the same time share the
/// syncs of the directory.
///
/// Other processes may read and remove items meanwhile: what is gone is noticed when it is looked
/// for.
#[derive(Clone, Debug)]
pub struct DirQuarantine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    vfs: Arc<dyn Vfs>,
    config: QuarantineConfig,
    catalog: Mutex<Catalog>,
    waiting: Mutex<Vec<Waiting>>,
    turn: Turn<()>,
}

/// An item on its way to the disk.
#[derive(Debug)]
struct Waiting {
    item: Quarantined,
    done: oneshot::Sender<Result<(), QuarantineError>>,
}

/// What the quarantine says of an item in a list.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "an id and what was found under it")]
pub struct Listed {
    /// The name of the item.
    pub id: ItemId,
    /// How many bytes its file has.
    pub file_bytes: u64,
    /// The item without its bytes, and how many of them are kept; or what is wrong with the file.
    pub facts: Result<(Quarantined, u64), Damaged>,
}

/// A file of the quarantine that cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the item is damaged: {0}")]
pub struct Damaged(pub String);

/// Why an item could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// There is none of this id, or it has been removed.
    #[error("there is no item {0}")]
    Unknown(ItemId),
    /// The file is there and cannot be read as an item.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The medium failed.
    #[error("reading the quarantine failed")]
    Io(#[from] io::Error),
}

/// The counters of a quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuarantineStatus {
    /// Items that are there.
    pub items: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Items put since the opening.
    pub kept: u64,
    /// Items that made room for newer ones since the opening.
    pub expired: u64,
    /// Items that could not be written since the opening.
    pub failed: u64,
}

impl DirQuarantine {
    /// Opens the quarantine in the directory at `dir`, which is made if there is none. Blocks.
    ///
    /// # Errors
    /// The directory cannot be made or read. Damaged items are no error.
    pub fn open(dir: impl AsRef<Path>, config: QuarantineConfig) -> io::Result<Self> {
        Self::open_in(Arc::new(RealVfs::new(dir.as_ref())?), config)
    }

    /// The same in any [`Vfs`].
    ///
    /// # Errors
    /// As [`DirQuarantine::open`].
    pub fn open_in(vfs: Arc<dyn Vfs>, config: QuarantineConfig) -> io::Result<Self> {
        let catalog = Catalog::read(&*vfs)?;
        Ok(Self(Arc::new(Inner {
            vfs,
            config,
            catalog: Mutex::new(catalog),
            waiting: Mutex::default(),
            turn: Turn::default(),
        })))
    }

    /// Removes what writing left half done in a crash. For the process that writes, before it
    /// does.
    ///
    /// # Errors
    /// The directory cannot be read or a file not be removed.
    pub fn clean(&self) -> io::Result<()> {
        for name in self.0.vfs.list(&name::is_draft)? {
            self.0.vfs.remove(&name)?;
        }
        Ok(())
    }

    /// All items, oldest first. Blocks. A damaged one says what is wrong with it.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let mut names = Catalog::names(&*self.0.vfs)?;
        names.sort_unstable();
        let listed = names.into_iter().filter_map(|id| match self.open_file(id) {
            Ok((file, file_bytes)) => {
                Some(Listed { id, file_bytes, facts: file::read_facts(&*file, file_bytes) })
            }
            // Removed a moment ago.
            Err(GetError::Unknown(_)) => None,
            Err(error) => {
                Some(Listed { id, file_bytes: 0, facts: Err(Damaged(error.to_string())) })
            }
        });
        Ok(listed.collect())
    }

    /// An item with its bytes, their checksum checked. Blocks.
    ///
    /// # Errors
    /// See [`GetError`].
    pub fn get(&self, id: ItemId) -> Result<Quarantined, GetError> {
        let (file, len) = self.open_file(id)?;
        Ok(file::read(&*file, len)?)
    }

    fn open_file(&self, id: ItemId) -> Result<(Arc<dyn crate::vfs::VfsFile>, u64), GetError> {
        let open = || {
            let file = self.0.vfs.open(&id.file_name())?;
            let len = file.len()?;
            Ok((file, len))
        };
        open().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => GetError::Unknown(id),
            _ => GetError::Io(error),
        })
    }

    /// Removes an item. Blocks.
    ///
    /// # Durability
    /// When it returns, a crash no longer brings the item back.
    ///
    /// # Errors
    /// There is none of this id, or the medium fails.
    pub fn remove(&self, id: ItemId) -> Result<(), GetError> {
        self.0.vfs.remove(&id.file_name()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GetError::Unknown(id),
            _ => GetError::Io(error),
        })?;
        self.0.catalog().remove(id);
        Ok(self.0.vfs.sync_dir()?)
    }

    /// The counters. What another process removed is subtracted by the next
    /// [`DirQuarantine::refresh`].
    pub fn status(&self) -> QuarantineStatus {
        self.0.catalog().status()
    }

    /// Looks what is in the directory now. Blocks.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn refresh(&self) -> io::Result<()> {
        let found = Catalog::read(&*self.0.vfs)?;
        self.0.catalog().take_over(found);
        Ok(())
    }
}

impl Inner {
    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // Nothing panics while the lock is held, and every state in between is valid.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all that waits; the directory is synced once.
    fn write_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        if waiting.is_empty() {
            return;
        }
        let written: Vec<_> = waiting.iter().map(|one| self.write(&one.item)).collect();
        let synced = self.vfs.sync_dir().map_err(|error| error.to_string());
        for (Waiting { done, .. }, written) in waiting.into_iter().zip(written) {
            let result = written.and_then(|()| synced.clone());
            if result.is_err() {
                self.catalog().fail();
            }
            // Whoever put the item may have stopped waiting, which changes nothing.
            drop(done.send(result.map_err(|error| QuarantineError(error.into()))));
        }
    }

    /// Writes a file whole and makes room for it.
    fn write(&self, item: &Quarantined) -> Result<(), String> {
        let bytes = file::encode(item, &self.config);
        let len = bytes.len() as u64;
        let fail = |error: io::Error| error.to_string();
        let oldest = self.catalog().oldest_beyond(self.config.max_bytes.saturating_sub(len));
        for id in oldest {
            match self.vfs.remove(&id.file_name()) {
                Ok(()) => self.catalog().expire(id),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.catalog().remove(id);
                }
                Err(error) => return Err(fail(error)),
            }
        }
        let id = self.catalog().next_id(item.received);
        let (name, draft) = (id.file_name(), id.draft_name());
        let write = || {
            let file = self.vfs.create(&draft)?;
            file.write_at(&bytes, 0)?;
            file.sync_data()?;
            self.vfs.rename(&draft, &name)
        };
        if let Err(error) = write() {
            // A draft that stays is removed by the next start.
            drop(self.vfs.remove(&draft));
            return Err(fail(error));
        }
        self.catalog().add(id, len);
        Ok(())
    }
}

impl Quarantine for DirQuarantine {
    /// Writes on a blocking thread of the tokio runtime.
    fn put(&self, item: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>> {
        let (done, mut result) = oneshot::channel();
        self.0.waiting().push(Waiting { item, done });
        Box::pin(async move {
            let gone = || QuarantineError("the writing was broken off".into());
            {
                // Whoever has the turn writes for all who came by then.
                let turn = self.0.turn.lock();
                tokio::select! {
                    biased;
                    written = &mut result => return written.unwrap_or_else(|_| Err(gone())),
                    _turn = turn => {
                        let inner = self.0.clone();
                        let writing = tokio::task::spawn_blocking(move || inner.write_waiting());
                        writing.await.map_err(|error| QuarantineError(error.to_string().into()))?;
                    }
                }
            }
            result.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Facts => "facts",
        })
    }
}

#[cfg(test)]
mod tests;
