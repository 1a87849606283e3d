//! Putting a group together.

use std::ops::Range;
use std::sync::Arc;

use super::{Compressed, Group, Inner, NewBatch, Row};
use crate::entries::{EntryError, Index, Reading};
use crate::{Epoch, EventId, RouteSet, Tag};

/// Puts a group together.
#[derive(Debug)]
pub struct GroupBuilder {
    epoch: Epoch,
    arena: Vec<u8>,
    index: Index,
    batches: Vec<Row>,
    compressed_bytes: usize,
    end_seq: u64,
    unreadable: Vec<Range<u64>>,
}

impl GroupBuilder {
    /// A builder with room for so many events, batches and bytes, so that building allocates
    /// nothing more.
    pub fn with_capacity(epoch: Epoch, events: usize, batches: usize, bytes: usize) -> Self {
        Self {
            epoch,
            arena: Vec::with_capacity(bytes),
            index: Index::with_capacity(events),
            batches: Vec::with_capacity(batches),
            compressed_bytes: 0,
            end_seq: 0,
            unreadable: Vec::new(),
        }
    }

    /// A builder over bytes read back from a journal, to which batches are added by
    /// [`GroupBuilder::add_stored`].
    pub fn over(epoch: Epoch, arena: Vec<u8>, events: usize) -> Self {
        let index = Index::with_capacity(events);
        let (batches, unreadable) = (Vec::new(), Vec::new());
        Self { epoch, arena, index, batches, compressed_bytes: 0, end_seq: 0, unreadable }
    }

    /// The bytes so far. A journal appends the headers of its frames here, so that the arena is
    /// what it writes to disk.
    pub fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// The number of events so far.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no events yet.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Copies a batch's payload to the end of the arena; its first event gets the number
    /// `first_seq`, which is not below that of any event before.
    pub fn push(&mut self, batch: &NewBatch, first_seq: u64) {
        let base = offset(self.arena.len());
        let first = self.index.len();
        self.arena.extend_from_slice(batch.entries.payload());
        self.index.extend(batch.entries.index(), base);
        self.end_seq = first_seq + batch.entries.len() as u64;
        self.batches.push(Row {
            tag: batch.tag.clone(),
            route: batch.route,
            fields: batch.entries.fields().clone(),
            received: batch.entries.received(),
            first_seq,
            origin: batch.origin,
            first,
            end: self.index.end,
            compressed: None,
        });
        if let Some(compressed) = &batch.compressed {
            self.set_compressed(compressed.clone());
        }
    }

    /// Adds the form in which the last batch came over the wire.
    pub fn set_compressed(&mut self, compressed: Compressed) {
        if let Some(row) = self.batches.last_mut() {
            self.compressed_bytes += compressed.bytes.len();
            row.compressed = Some(Arc::new(compressed));
        }
    }

    /// Says that another journal has given the ids of the last batch.
    pub fn set_origin(&mut self, first: EventId) {
        if let Some(row) = self.batches.last_mut() {
            row.origin = Some(first);
        }
    }

    /// Adds a batch whose payload stands in `range` of the arena already.
    ///
    /// # Errors
    /// The bytes there are not packed entries; the builder is as before.
    pub fn add_stored(
        &mut self,
        tag: Tag,
        route: RouteSet,
        first_seq: u64,
        (range, reading): (Range<usize>, &Reading),
    ) -> Result<(), EntryError> {
        let first = self.index.len();
        let payload = self.arena.get(..range.end).unwrap_or_default();
        let mut at = range.start;
        while at < range.end {
            match self.index.push(payload, at, reading) {
                Ok(next) => at = next,
                Err(error) => {
                    self.index.truncate(first);
                    return Err(error);
                }
            }
        }
        self.end_seq = first_seq + (self.index.len() - first) as u64;
        self.batches.push(Row {
            tag,
            route,
            fields: reading.fields.clone(),
            received: reading.received,
            first_seq,
            origin: None,
            first,
            end: offset(range.end),
            compressed: None,
        });
        Ok(())
    }

    /// Lets the group end before the number `seq`, where that is beyond its last event: what lies
    /// between cannot be read.
    pub fn end_at(&mut self, seq: u64) {
        self.end_seq = self.end_seq.max(seq);
    }

    /// Says that the events of these numbers were there and cannot be read any more. Ranges come in
    /// order.
    pub fn miss(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.end_at(range.end);
            self.unreadable.push(range);
        }
    }

    /// The group.
    pub fn finish(self) -> Group {
        let Self { epoch, arena, index, batches, compressed_bytes, end_seq, unreadable } = self;
        let unreadable = unreadable.into();
        let inner = Inner { epoch, arena, index, batches, compressed_bytes, end_seq, unreadable };
        Group(Arc::new(inner))
    }

    /// The group of one batch, as a journal in memory makes it.
    pub fn single(epoch: Epoch, batch: &NewBatch, first_seq: u64) -> Group {
        let bytes = batch.entries.payload().len();
        let mut builder = Self::with_capacity(epoch, batch.entries.len(), 1, bytes);
        builder.push(batch, first_seq);
        builder.finish()
    }
}

/// Offsets in an arena have 32 bits; a group is far smaller (see [`MAX_GROUP_BYTES`]; a single
/// batch may be bigger, but the limits of what is read are below 4 GiB).
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
