//! The owned form of an event.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use crate::entries::{Entries, Reading};
use crate::event::{Event, Scalar};
use crate::group::{GroupBuilder, NewBatch, write_entry};
use crate::msgpack;
use crate::{Epoch, FieldMap, Level, Map, Tag, Timestamp, Value};

/// One event, owned: for building, for tests and for handing out.
///
/// ```
/// use logmon_core::{Level, Log};
///
/// let log = Log::new("charge failed").level(Level::Error).source("billing").field("status", 502);
/// assert_eq!(log.metadata.get("status"), Some(&502.into()));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Log {
    /// When it happened.
    pub timestamp: Timestamp,
    /// When logmon took it in.
    pub received: Timestamp,
    /// The Fluentd tag.
    pub tag: Tag,
    /// How severe it is, if it says so.
    pub level: Option<Level>,
    /// The text.
    pub message: String,
    /// Where it came from, if it says so.
    pub source: Option<String>,
    /// Everything else.
    pub metadata: Map,
}

static DEFAULT_FIELDS: LazyLock<Arc<FieldMap>> = LazyLock::new(Arc::default);

impl Log {
    /// An event that happens now, with the tag `app` and nothing but a message.
    pub fn new(message: impl Into<String>) -> Self {
        let now = Timestamp::now();
        Self {
            timestamp: now,
            received: now,
            tag: Tag::from("app"),
            level: None,
            message: message.into(),
            source: None,
            metadata: Map::new(),
        }
    }

    /// Sets the level.
    pub fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Sets the tag.
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tag = tag.into();
        self
    }

    /// Sets the source.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the time.
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Sets one key of the metadata.
    pub fn field(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// Appends the event as a packed entry, which the default [`FieldMap`] reads back as the same
    /// event.
    pub fn write_entry(&self, out: &mut Vec<u8>) {
        write_entry(out, self.timestamp, |out| {
            let fields = 1
                + u32::from(self.level.is_some())
                + u32::from(self.source.is_some())
                + u32::from(!self.metadata.is_empty());
            msgpack::write_map_len(out, fields);
            if let Some(level) = self.level {
                msgpack::write_str(out, "level");
                msgpack::write_str(out, level.as_str());
            }
            msgpack::write_str(out, "message");
            msgpack::write_str(out, &self.message);
            if let Some(source) = &self.source {
                msgpack::write_str(out, "source");
                msgpack::write_str(out, source);
            }
            if !self.metadata.is_empty() {
                msgpack::write_str(out, "metadata");
                self.metadata.write_msgpack(out);
            }
        });
    }

    /// The batch of this one event.
    ///
    /// # Errors
    /// The metadata nests deeper than [`msgpack::MAX_DEPTH`] or the record is too long.
    pub fn to_batch(&self) -> Result<NewBatch, crate::EntryError> {
        let mut payload = Vec::with_capacity(128 + self.message.len());
        self.write_entry(&mut payload);
        let reading = Reading::new(DEFAULT_FIELDS.clone(), self.received);
        Ok(NewBatch::new(self.tag.clone(), Entries::read(Bytes::from(payload), &reading)?))
    }
}

impl Event for Log {
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    fn received(&self) -> Timestamp {
        self.received
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn level(&self) -> Option<Level> {
        self.level
    }

    fn message(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.message)
    }

    fn source(&self) -> Option<Cow<'_, str>> {
        self.source.as_deref().map(Cow::Borrowed)
    }

    fn visit_metadata(&self, path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        // By way of the packed form, so that there is one walk and not two that may differ.
        let Ok(batch) = self.to_batch() else { return false };
        let epoch = Epoch::from_bytes([0; 7]);
        let group = GroupBuilder::single(epoch, &batch, 0);
        group.get(0).is_some_and(|log| log.visit_metadata(path, visit))
    }
}
