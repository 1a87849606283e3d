//! What opening a store found, and why it could not be opened.

use std::io;

use crate::vfs::LockError;

/// What opening a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreReport {
    /// Partition files.
    pub partitions: usize,
    /// Blocks in them.
    pub blocks: usize,
    /// Events in those.
    pub events: u64,
    /// Partitions whose blocks were read one by one, because there is no intact index of them.
    pub scanned_partitions: usize,
    /// Everything that is not as it was written.
    pub damages: Vec<StoreDamage>,
}

/// Something in a store's directory that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreDamage {
    /// The file.
    pub file: String,
    /// The first and last byte, exclusive, of the affected range; 0 and 0 for the whole file.
    pub range: (u64, u64),
    /// How many events are lost, where that can be told.
    pub events: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// Why a store could not be opened. Nothing of what it holds was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the directory.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// A file was written by a later version of logmon.
    #[error(
        "{file} was written by a later version of logmon ({what}); nothing has been changed: \
         open it with that version"
    )]
    Later {
        /// The file.
        file: String,
        /// What is unknown about it.
        what: String,
    },
    /// The directory holds other things and no store.
    #[error(
        "it holds files such as `{file}` and no store; nothing has been changed: name an empty \
         directory, or move the files away"
    )]
    Foreign {
        /// One of them.
        file: String,
    },
    /// The journal was opened without regard to the store, and would give numbers twice.
    #[error(
        "the journal ends at number {head}, the store at {end}: open the journal so that it begins \
         there"
    )]
    Ahead {
        /// The number of the journal's next event.
        head: u64,
        /// What it must not be below.
        end: u64,
    },
    /// The medium fails.
    #[error("{doing} failed")]
    Io {
        /// What was attempted.
        doing: String,
        /// How it failed.
        source: io::Error,
    },
    /// The cursor in the journal cannot be had.
    #[error(transparent)]
    Cursor(#[from] logmon_core::CursorError),
    /// The thread that seals could not be started.
    #[error("the thread of the store could not be started")]
    Thread(#[source] io::Error),
}

impl StoreError {
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
