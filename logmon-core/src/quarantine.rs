//! Where input goes that can never be taken, and events that an output can never write.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{BoxFuture, Tag, Timestamp};

/// Keeps what had to be refused, so that nothing disappears without a trace.
pub trait Quarantine: fmt::Debug + Send + Sync + 'static {
    /// Keeps an item.
    ///
    /// # Errors
    /// It could not be written; whoever refused it may try again, or count it as lost.
    ///
    /// # Durability
    /// When the future resolves, a crash no longer takes the item. The quarantine is bounded: old
    /// items make room for new ones, and are counted.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the item written.
    fn put(&self, item: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>>;
}

/// Something refused, with what a person needs to find the culprit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// When it came.
    pub received: Timestamp,
    /// Who refused it: the kind of input, or the name of the output.
    pub origin: String,
    /// Why: a word that never changes.
    pub reason: String,
    /// Why, for people.
    pub detail: String,
    /// Who sent it, where that is known: an address, or the user of a local socket.
    pub peer: Option<String>,
    /// The tag, where it could be read.
    pub tag: Option<Tag>,
    /// What `bytes` are.
    pub kind: QuarantinedKind,
    /// How many events or messages it stands for.
    pub count: u64,
    /// The original bytes, or their beginning.
    pub bytes: Bytes,
    /// How many there were.
    pub full_bytes: u64,
}

/// What the bytes of a [`Quarantined`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuarantinedKind {
    /// Packed entries, one behind the other.
    Entries,
    /// A whole message of the Forward protocol, msgpack or JSON as it came.
    Message,
}

/// An item could not be kept.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the quarantine failed: {0}")]
pub struct QuarantineError(pub Arc<str>);

impl Quarantined {
    /// An item of which the bytes are whole and nothing else is known.
    pub fn new(
        origin: impl Into<String>,
        reason: impl Into<String>,
        kind: QuarantinedKind,
        bytes: Bytes,
    ) -> Self {
        Self {
            received: Timestamp::now(),
            origin: origin.into(),
            reason: reason.into(),
            detail: String::new(),
            peer: None,
            tag: None,
            kind,
            count: 1,
            full_bytes: bytes.len() as u64,
            bytes,
        }
    }
}
