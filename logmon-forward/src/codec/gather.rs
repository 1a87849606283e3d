//! Single-event messages of one tag, gathered into one batch.

use logmon_core::{Entries, Index, NewBatch, Reading, Tag};

use super::frame::{Body, Parsed};
use super::message::{Chunks, Oddities};
use super::reject::Rejects;
use super::walk::{append_entry, reason};
use super::{InvalidEvent, Message, Mode, Reason, Settings, Warning};

/// A batch in the making.
#[derive(Debug)]
pub(super) struct Gather {
    tag: Tag,
    offset: u64,
    wire_bytes: u64,
    messages: u32,
    payload: Vec<u8>,
    index: Index,
    chunks: Chunks,
    rejects: Rejects,
    warnings: Vec<Warning>,
    oddities: Oddities,
}

impl Gather {
    /// An empty batch for a message that begins at `offset` of the connection, with room for about
    /// so many bytes.
    pub(super) fn new(tag: Tag, offset: u64, room: usize, settings: &Settings) -> Self {
        let bytes = room.min(settings.limits.max_gathered_bytes);
        Self {
            tag,
            offset,
            wire_bytes: 0,
            messages: 0,
            payload: Vec::with_capacity(bytes),
            index: Index::with_capacity(bytes / 128 + 1),
            chunks: Chunks::default(),
            rejects: Rejects::default(),
            warnings: Vec::new(),
            oddities: Oddities::default(),
        }
    }

    /// Whether another event of this tag may join.
    pub(super) fn takes(&self, tag: &Tag, bytes: usize, settings: &Settings) -> bool {
        let limits = &settings.limits;
        self.messages == 0
            || self.tag == *tag
                && self.messages < limits.max_gathered_messages
                && self.payload.len().saturating_add(bytes) <= limits.max_gathered_bytes
    }

    /// Adds the event of a message of [`Body::Message`].
    ///
    /// # Errors
    /// The event is refused and the settings say that this ends the connection; nothing was added.
    pub(super) fn add(
        &mut self,
        (frame, parsed): (&[u8], &Parsed),
        offset: u64,
        reading: &Reading,
        settings: &Settings,
    ) -> Result<(), Reason> {
        let Body::Message(range) = &parsed.body else { return Ok(()) };
        let (start, first) = (self.payload.len(), self.index.len());
        let event = frame.get(range.clone()).unwrap_or_default();
        match parsed.options.metadata.clone().and_then(|range| frame.get(range)) {
            Some(metadata) => {
                let entry = [&[0x92], event].concat();
                append_entry(&mut self.payload, &entry, Some(metadata));
            }
            None => {
                self.payload.push(0x92);
                self.payload.extend_from_slice(event);
            }
        }
        let pushed = self.index.push(&self.payload, start, reading);
        let has_event = pushed.is_ok();
        if let Err(error) = pushed {
            let reason = reason(error.kind);
            let entry = self.payload.split_off(start);
            match error.kind {
                logmon_core::EntryErrorKind::GroupMarker => self.oddities.group_markers += 1,
                _ if settings.invalid_event == InvalidEvent::Close => return Err(reason),
                _ => {
                    let most = settings.limits.max_kept_entry_bytes;
                    self.rejects.add(reason, (offset, 0), Some(&self.tag), (&entry, most));
                }
            }
        }
        self.chunks.push(&parsed.options, frame, (first, has_event));
        if let Some(warning) = parsed.options.warning
            && !self.warnings.contains(&warning)
        {
            self.warnings.push(warning);
        }
        self.oddities.extra_elements += u32::from(parsed.has_extra);
        self.messages += 1;
        self.wire_bytes += frame.len() as u64;
        Ok(())
    }

    /// How many bytes the entries have.
    pub(super) fn bytes(&self) -> usize {
        self.payload.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// The message that stands for all.
    pub(super) fn finish(mut self, reading: &Reading) -> Message {
        self.oddities.add(self.index.oddities());
        if self.oddities.times_out_of_range > 0 {
            self.warnings.push(Warning::TimeOutOfRange);
        }
        let batches = if self.index.is_empty() {
            Vec::new()
        } else {
            let entries = Entries::new(self.payload.into(), self.index, reading);
            vec![NewBatch::new(self.tag, entries)]
        };
        Message {
            offset: self.offset,
            wire_bytes: self.wire_bytes,
            mode: Mode::Message,
            messages: self.messages,
            parted: 0,
            tag: None,
            batches,
            chunks: self.chunks,
            rejected: self.rejects.into_vec(),
            warnings: self.warnings,
            oddities: self.oddities,
        }
    }
}
