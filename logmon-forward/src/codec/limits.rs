//! What a decoder takes, and how it reads it.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::{FieldMap, Tag, TimeUnit};

/// Bounds on what a peer may send. All are checked before anything is reserved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message on the wire, in bytes. A longer one is read over, refused and
    /// acknowledged, and the connection goes on. Default 512 MiB.
    pub max_message_bytes: usize,
    /// The most a compressed payload may grow to, in bytes; also one in which each entry gets the
    /// metadata of the option or of a group, where this is above [`Limits::max_message_bytes`].
    /// Default 4 GiB.
    pub max_decompressed_bytes: u64,
    /// A message longer than this, or whose entries become longer, is not held as a whole: its
    /// entries are handed out in parts as they arrive. Default 8 MiB.
    pub max_buffered_bytes: usize,
    /// The same for messages of more events; an event costs 29 bytes of index however short it
    /// is. Default 250,000.
    pub max_buffered_events: usize,
    /// About how many bytes of entries a part has. Default 1 MiB.
    pub part_bytes: usize,
    /// What has to be held as a whole whatever its length: one entry, a single-event message, or a
    /// JSON message. A longer entry is refused alone, a longer message as one beyond
    /// [`Limits::max_message_bytes`]. Default 33 MiB, a record of the greatest length and its
    /// metadata.
    pub max_entry_bytes: usize,
    /// The most events of one message; one with more is refused and acknowledged. Default
    /// 100,000,000.
    pub max_message_events: usize,
    /// The most batches nested in one message; one with more is refused and acknowledged. Each
    /// costs some hundred bytes and an append of its own. Default 1,000.
    pub max_nested_batches: usize,
    /// The greatest window of a zstd frame, as a power of two. Default 24: 16 MiB.
    pub max_zstd_window_log: u32,
    /// The longest tag, in bytes. Default 4096.
    pub max_tag_bytes: usize,
    /// The longest option map, in bytes; a longer one is ignored. Default 64 KiB.
    pub max_option_bytes: usize,
    /// The most keys of an option map; one with more is ignored. Default 64.
    pub max_option_keys: u32,
    /// So many refused messages within [`Limits::garbage_window`] end the connection.
    /// Default 100.
    pub max_garbage_messages: u32,
    /// See [`Limits::max_garbage_messages`]. Default 10 s.
    pub garbage_window: Duration,
    /// The most bytes of single-event messages that become one batch. Default 1 MiB.
    pub max_gathered_bytes: usize,
    /// The most single-event messages that become one batch. Default 10,000.
    pub max_gathered_messages: u32,
    /// How many bytes of refused entries are kept for the quarantine, for each reason in one
    /// message; also of a refused message that was never held as a whole. Default 64 KiB.
    pub max_kept_entry_bytes: usize,
    /// How many bytes of a refused message are kept for the quarantine. Default 8 MiB.
    pub max_kept_message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 512 << 20,
            max_decompressed_bytes: 4 << 30,
            max_buffered_bytes: 8 << 20,
            max_buffered_events: 250_000,
            part_bytes: 1 << 20,
            max_entry_bytes: 33 << 20,
            max_message_events: 100_000_000,
            max_nested_batches: 1_000,
            max_zstd_window_log: 24,
            max_tag_bytes: 4096,
            max_option_bytes: 64 << 10,
            max_option_keys: 64,
            max_garbage_messages: 100,
            garbage_window: Duration::from_secs(10),
            max_gathered_bytes: 1 << 20,
            max_gathered_messages: 10_000,
            max_kept_entry_bytes: 64 << 10,
            max_kept_message_bytes: 8 << 20,
        }
    }
}

/// What becomes of an event with an empty tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptyTag {
    /// The message is refused.
    #[default]
    Reject,
    /// It gets this tag.
    Replace(Tag),
}

/// What becomes of an event whose tag is not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidTag {
    /// The message is refused.
    #[default]
    Reject,
    /// The bytes that are no text, and percent signs beside them, become `%` and two hex digits, so
    /// that the original can be told.
    Escape,
}

/// What becomes of metrics and traces, which are no logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signals {
    /// They are counted, dropped and acknowledged.
    #[default]
    Drop,
    /// They are refused as [`super::Reason::SignalUnsupported`], and acknowledged.
    Reject,
}

/// What becomes of a message in which something is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidEvent {
    /// What is refused goes to the quarantine, where there is one, the rest is taken, and the
    /// message acknowledged: a peer that sent it again would only send the same bytes.
    #[default]
    Quarantine,
    /// The same, but what is refused is only counted.
    Drop,
    /// Nothing of the message is taken, and the connection is closed without an acknowledgement.
    Close,
}

/// How a decoder reads. Shared by all connections of a listener.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Bounds.
    pub limits: Limits,
    /// Which keys of a record are level, message and source.
    pub fields: Arc<FieldMap>,
    /// How integers are read as times. Default seconds.
    pub time_unit: TimeUnit,
    /// Takes the place of every tag, if set.
    pub tag: Option<Tag>,
    /// Put before every tag with a dot, if set; after [`Settings::tag`], as Fluentd does.
    pub add_tag_prefix: Option<String>,
    /// What becomes of events with an empty tag.
    pub empty_tag: EmptyTag,
    /// What becomes of events whose tag is not UTF-8.
    pub invalid_tag: InvalidTag,
    /// What becomes of a message in which something is refused.
    pub invalid_event: InvalidEvent,
    /// What becomes of metrics and traces.
    pub signals: Signals,
    /// Where the metadata and the body of a group of Fluent Bit go in the metadata of its events,
    /// as a map of `metadata` and `body`. Default none: they are not kept.
    pub group_attributes_key: Option<String>,
    /// A message longer than this is warned of, with its tag and length. Default none.
    pub warn_message_bytes: Option<u64>,
}
