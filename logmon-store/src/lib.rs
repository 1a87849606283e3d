//! Durable journal and stores of logmon.
//!
//! [`DiskJournal`] is the append-only sequence of events on a local disk. Its files are described
//! byte for byte in `docs/journal-format.md`.

pub mod vfs;

mod cursor;
mod journal;
mod journal_store;
mod quarantine;

pub use cursor::FileCursor;
#[doc(hidden)]
pub use journal::fuzz;
pub use journal::{
    Damage, DamageKind, DiskJournal, Durability, Expired, JournalConfig, JournalState,
    JournalStatus, OpenError, RecoveryReport, Retention,
};
pub use journal_store::{DEFAULT_MAX_QUERIES, JournalStore};
pub use quarantine::{
    Damaged, DirQuarantine, GetError, ItemId, Keep, Listed, ParseItemIdError, QuarantineConfig,
    QuarantineStatus,
};
