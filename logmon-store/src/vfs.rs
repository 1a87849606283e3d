//! The little of a file system that the journal uses, behind one trait.
//!
//! A [`Vfs`] is one directory with files in it. Tests put a disk in memory in its place that
//! loses, tears and refuses writes (see [`memory`]).

use std::fmt;
use std::io;
use std::sync::Arc;

use logmon_core::Timestamp;

#[doc(hidden)]
pub mod memory;
mod real;

pub use real::RealVfs;

/// One directory, and the clock beside it.
///
/// Names are plain: no separators, no links are followed, nothing but regular files is opened.
pub trait Vfs: fmt::Debug + Send + Sync + 'static {
    /// Creates a file for reading and writing.
    ///
    /// # Durability
    /// Its name survives a crash after [`Vfs::sync_dir`] only.
    ///
    /// # Errors
    /// The name is taken, or the medium refuses.
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>>;

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// There is none of this name, or the medium fails.
    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>>;

    /// Opens a regular file for reading and writing.
    ///
    /// # Errors
    /// There is none of this name, or the medium fails.
    fn open_to_write(&self, name: &str) -> io::Result<Arc<dyn VfsFile>>;

    /// Removes a file. Who has it open can go on reading.
    ///
    /// # Durability
    /// As for [`Vfs::create`].
    ///
    /// # Errors
    /// There is none of this name, or the medium fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of any file that has it. It is there under the one name
    /// or the other at any time; who has it open goes on.
    ///
    /// # Durability
    /// As for [`Vfs::create`].
    ///
    /// # Errors
    /// There is none of this name, or the medium fails; it then has the old name still.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// The names of the regular files whose name `is_wanted` accepts, in no order.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn list(&self, is_wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<String>>;

    /// Makes creations, removals and new names durable.
    ///
    /// # Errors
    /// The medium fails; what is durable is then unknown.
    fn sync_dir(&self) -> io::Result<()>;

    /// Takes the directory for this process until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// Another process holds it, or the lock's file cannot be used.
    fn lock(&self) -> Result<Lock, LockError>;

    /// The wall clock.
    fn now(&self) -> Timestamp;
}

/// An open file.
pub trait VfsFile: fmt::Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes from `offset`; fewer at the end of the file only.
    ///
    /// # Errors
    /// The medium fails.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Durability
    /// None before [`VfsFile::sync_data`]. After an error any part may have been written.
    ///
    /// # Errors
    /// The medium is full or fails.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable, with the length needed to read it.
    ///
    /// # Errors
    /// The medium fails. What was written since the last success may be lost for good, and asking
    /// again proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// The medium is full or fails.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// The medium fails.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// The medium fails.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// The directory is ours while this lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Held>);

trait Held: fmt::Debug + Send + Sync {}

impl<T: fmt::Debug + Send + Sync> Held for T {}

impl Lock {
    /// A lock that is released when `held` is dropped.
    pub fn new(held: impl fmt::Debug + Send + Sync + 'static) -> Self {
        Self(Box::new(held))
    }
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process, or another journal of this one, has it.
    #[error("it is in use by {}", owner.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")))]
    Held {
        /// The owner's process id, where it can be read.
        owner: Option<u32>,
    },
    /// The lock's file could not be made or locked.
    #[error("the file `lock` cannot be used: {0}")]
    Io(#[from] io::Error),
}
