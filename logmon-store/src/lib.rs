//! Durable journal and stores of logmon.
//!
//! [`DiskJournal`] is the append-only sequence of events on a local disk. Its files are described
//! byte for byte in `docs/journal-format.md`.

pub mod export;
pub mod repair;
pub mod verify;
pub mod vfs;

#[cfg(test)]
mod differential;
mod journal;
mod journal_store;
mod local;
#[cfg(feature = "mongodb")]
pub mod mongo;
mod quarantine;
mod query;
mod wire;

#[doc(hidden)]
pub use journal::fuzz;
pub use journal::{
    CursorLedger, CursorStatus, Damage, DamageKind, DiskJournal, Durability, Expired, HoldConfig,
    JournalConfig, JournalCursor, JournalLedger, JournalState, JournalStatus, OnLag, OpenError,
    RecoveryReport, Retention,
};
pub use journal_store::JournalStore;
#[doc(hidden)]
pub use local::block::{bench, fuzz as block_fuzz};
pub use local::{
    Gone, LocalStore, StoreConfig, StoreDamage, StoreDir, StoreError, StoreReport, StoreRetention,
    StoreState, StoreStatus,
};
pub use quarantine::{
    Damaged, DirQuarantine, GetError, ItemId, Keep, Listed, ParseItemIdError, QuarantineConfig,
    QuarantineStatus,
};
pub use query::DEFAULT_MAX_QUERIES;

#[cfg(test)]
mod effort;
