//! What was refused, with what a person needs to find the culprit.

use bytes::Bytes;
use logmon_core::Tag;

use super::{Limits, Reason};

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
    /// The original bytes: refused entries one behind the other, or the message as it came; or
    /// their beginning.
    pub bytes: Bytes,
    /// How many bytes there were.
    pub full_bytes: u64,
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
pub(super) struct Rejects(Vec<Refused>);

/// A refusal that may get more.
#[derive(Debug)]
struct Refused {
    reject: Reject,
    bytes: Vec<u8>,
    is_full: bool,
}

impl Rejects {
    /// Adds one refusal. `at` is the offset of the message in the connection and that of the entry
    /// in the payload; `most` is how many bytes are kept of all with this reason, of which the
    /// last one is not cut unless it is the first as well.
    pub(super) fn add(
        &mut self,
        reason: Reason,
        (offset, entry_offset): (u64, u64),
        tag: Option<&Tag>,
        (bytes, most): (&[u8], usize),
    ) {
        let known = self.0.iter().position(|known| known.reject.reason == reason);
        let known = known.unwrap_or_else(|| {
            let (tag, sample) = (tag.cloned(), sample(bytes));
            let (count, full_bytes, bytes) = (0, 0, Bytes::new());
            let reject =
                Reject { reason, count, offset, entry_offset, tag, sample, bytes, full_bytes };
            self.0.push(Refused { reject, bytes: Vec::new(), is_full: false });
            self.0.len() - 1
        });
        let Some(known) = self.0.get_mut(known) else { return };
        known.reject.count = known.reject.count.saturating_add(1);
        known.reject.full_bytes += bytes.len() as u64;
        if known.is_full {
            return;
        }
        match bytes.get(..most.saturating_sub(known.bytes.len())) {
            Some(cut) if cut.len() < bytes.len() => {
                if known.bytes.is_empty() {
                    known.bytes.extend_from_slice(cut);
                }
                known.is_full = true;
            }
            _ => known.bytes.extend_from_slice(bytes),
        }
    }

    /// More bytes of the refusal that was added last with this reason.
    pub(super) fn extend(&mut self, reason: Reason, bytes: &[u8], most: usize) {
        let known = self.0.iter_mut().find(|known| known.reject.reason == reason);
        let Some(known) = known else { return };
        known.reject.full_bytes += bytes.len() as u64;
        let room = if known.is_full { 0 } else { most.saturating_sub(known.bytes.len()) };
        known.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        known.is_full |= bytes.len() > room;
    }

    /// The refusal of a whole message, of which `bytes` are kept of `full_bytes`.
    pub(super) fn whole(
        reason: Reason,
        offset: u64,
        tag: Option<&Tag>,
        (bytes, full_bytes): (Bytes, u64),
    ) -> Vec<Reject> {
        let (tag, sample) = (tag.cloned(), sample(&bytes));
        let (count, entry_offset) = (1, 0);
        vec![Reject { reason, count, offset, entry_offset, tag, sample, bytes, full_bytes }]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<Reject> {
        let finish = |Refused { mut reject, bytes, .. }: Refused| {
            reject.bytes = bytes.into();
            reject
        };
        self.0.into_iter().map(finish).collect()
    }
}

/// The first bytes of a message that is never held as a whole, for the quarantine.
#[derive(Debug, Default)]
pub(super) struct Start(Vec<u8>);

impl Start {
    /// Keeps what there is room for of the bytes from the message's offset `base` on.
    pub(super) fn keep(&mut self, base: u64, bytes: &[u8], limits: &Limits) {
        let known = usize::try_from(base).ok().and_then(|base| self.0.len().checked_sub(base));
        let more = known.and_then(|known| bytes.get(known..)).unwrap_or_default();
        let room = limits.max_kept_entry_bytes.saturating_sub(self.0.len());
        self.0.extend_from_slice(more.get(..room).unwrap_or(more));
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn memory(&self) -> usize {
        self.0.capacity()
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

/// The first bytes, for a log line.
pub(super) fn sample(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..SAMPLE_BYTES).unwrap_or(bytes).to_vec()
}
