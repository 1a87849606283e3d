//! What opening a journal found, and why it could not be opened.

use std::io;

use logmon_core::Epoch;

use crate::vfs::LockError;

/// What opening a journal found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The epoch that begins.
    pub epoch: Option<Epoch>,
    /// The number of the next event.
    pub next_seq: u64,
    /// Segments whose frames were read, because no intact checkpoint describes them.
    pub scanned_segments: usize,
    /// Bytes of those.
    pub scanned_bytes: u64,
    /// Everything that is not as it was written.
    pub damages: Vec<Damage>,
}

/// Something in a journal's directory that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub kind: DamageKind,
    /// The first and last byte, exclusive, of the affected range; 0 and 0 for the whole file.
    pub range: (u64, u64),
    /// How many events are lost, where that can be told.
    pub events: Option<u64>,
}

/// What can be wrong with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageKind {
    /// Its hash does not continue that of the segment before.
    Chain,
    /// It belongs to another journal, or its name is not the one it was written under. It is left
    /// alone.
    Foreign,
    /// Its header is unreadable. Its events are read where the rest tells enough.
    Header,
    /// It is gone.
    Missing,
    /// Frames in it are unreadable.
    Frames,
    /// It is no longer part of the journal and was not removed by it. It is left alone.
    Stray,
    /// The last write was not completed. Nothing of it was promised under durability `sync`.
    TornTail,
}

/// Why a journal could not be opened. Nothing in its directory was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// A file was written by a later version of logmon. Open it with that version.
    #[error(
        "{file} was written by a later version of logmon ({what}); nothing has been changed: run that \
         version, or use another directory"
    )]
    Later {
        /// The file.
        file: String,
        /// What is unknown about it.
        what: String,
    },
    /// The directory has files with names of segments, and none of them is one.
    #[error(
        "{file} is no segment of logmon, and neither is any other here; nothing has been changed: use \
         another directory, or move the file away"
    )]
    NotAJournal {
        /// One of the files.
        file: String,
    },
    /// The medium fails.
    #[error("{doing} failed")]
    Io {
        /// What was attempted.
        doing: String,
        /// How it failed.
        source: io::Error,
    },
    /// The thread that writes could not be started.
    #[error("the thread of the journal could not be started")]
    Thread(#[source] io::Error),
}
