//! What was refused, with what a person needs to find the culprit.

use logmon_core::Tag;

use super::{Class, Reason};

/// How many bytes of something refused are kept for the log line.
pub const SAMPLE_BYTES: usize = 32;

/// Entries of one message, or a message, refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reject {
    /// Why.
    pub reason: Reason,
    /// How many, at least one.
    pub count: u32,
    /// The byte offset in the connection of the message.
    pub offset: u64,
    /// The offset of the first refused entry from the start of the (decompressed) entries; zero
    /// where a message was refused.
    pub entry_offset: u64,
    /// The tag, where it could be read.
    pub tag: Option<Tag>,
    /// The first [`SAMPLE_BYTES`] of the first of them.
    pub sample: Vec<u8>,
}

/// Why a connection cannot be read any further. What was decoded before stays valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (at byte {offset} of the connection{})", detail.as_deref().map_or(String::new(), |detail| format!(": {detail}")))]
#[non_exhaustive]
pub struct DecodeError {
    /// What is wrong.
    pub reason: Reason,
    /// The byte offset in the connection of the message at fault.
    pub offset: u64,
    /// What more is known: the protocol the peer seems to speak, or line and column.
    pub detail: Option<String>,
    /// The tag, where it could be read.
    pub tag: Option<Tag>,
    /// The first [`SAMPLE_BYTES`] of the message.
    pub sample: Vec<u8>,
}

impl DecodeError {
    pub(crate) fn new(reason: Reason, offset: u64, bytes: &[u8]) -> Self {
        Self { reason, offset, detail: None, tag: None, sample: sample(bytes) }
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The refusals of one message, one element for each reason.
#[derive(Debug, Default)]
pub(super) struct Rejects(Vec<Reject>);

impl Rejects {
    /// Adds one refusal. `at` is the offset of the message in the connection and that of the entry
    /// in the payload.
    pub(super) fn add(
        &mut self,
        reason: Reason,
        at: (u64, usize),
        tag: Option<&Tag>,
        bytes: &[u8],
    ) {
        if let Some(known) = self.0.iter_mut().find(|known| known.reason == reason) {
            known.count = known.count.saturating_add(1);
            return;
        }
        let (offset, entry_offset) = (at.0, at.1 as u64);
        let (tag, sample) = (tag.cloned(), sample(bytes));
        self.0.push(Reject { reason, count: 1, offset, entry_offset, tag, sample });
    }

    /// How many whole messages were refused.
    pub(super) fn messages(&self) -> u32 {
        let messages = self.0.iter().filter(|reject| reject.reason.class() == Class::Message);
        messages.map(|reject| reject.count).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<Reject> {
        self.0
    }
}

/// The first bytes, for a log line.
pub(super) fn sample(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..SAMPLE_BYTES).unwrap_or(bytes).to_vec()
}
