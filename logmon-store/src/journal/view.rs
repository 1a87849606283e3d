//! A fixed view of a journal, in parts that can be looked at in any order.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use logmon_core::{EventId, Group, Position, Timestamp};

use super::reader::Part;
use super::segment::{Segment, file_name};
use super::shared::Shared;
use super::tail::Recent;
use crate::vfs::VfsFile;

/// The segments of a journal at one instant. What is appended later may show, beyond the view's
/// head; what retention removes is not there any more.
#[derive(Debug)]
pub(crate) struct View {
    shared: Arc<Shared>,
    head: Position,
    segments: Vec<Segment>,
    /// The file read last.
    open: Mutex<Option<(u64, Arc<dyn VfsFile>)>>,
}

/// A part of the journal, and bounds of what is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The least and greatest timestamp.
    pub(crate) times: (Timestamp, Timestamp),
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
    segment: usize,
    /// `None` for the whole segment.
    range: Option<(u64, u64)>,
}

impl Extent {
    /// Whether it can be split.
    pub(crate) const fn is_segment(&self) -> bool {
        self.range.is_none()
    }
}

impl View {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (head, segments) = {
            let catalog = shared.catalog();
            let segments = catalog.segments.iter().filter(|segment| segment.info.events > 0);
            (catalog.head(), segments.cloned().collect())
        };
        Self { shared, head, segments, open: Mutex::default() }
    }

    pub(crate) const fn head(&self) -> Position {
        self.head
    }

    /// The number of the first event.
    pub(crate) fn first_seq(&self) -> u64 {
        self.segments.first().map_or(self.head.seq, |segment| segment.info.first_seq)
    }

    /// Whether all events from `seq` on that were there when the view was taken are there still.
    pub(crate) fn is_intact(&self, seq: u64) -> bool {
        let mut needed = self.segments.iter().filter(|segment| segment.info.end_seq > seq);
        needed.all(|segment| self.shared.has_segment(segment.info.number))
    }

    /// What memory has of the events numbered from `seq` on: one range of them, without holes. It may
    /// reach beyond the view's head.
    pub(crate) fn recent(&self, seq: u64) -> Vec<Recent> {
        // What retention has removed is not in the view.
        let mut recent = self.shared.tail.since(seq.max(self.first_seq()));
        recent.retain(|recent| recent.group.first_seq() < self.head.seq);
        recent
    }

    /// The segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Extent> {
        self.segments.iter().enumerate().map(|(segment, Segment { info, .. })| Extent {
            times: info.times,
            first_seq: info.first_seq,
            end_seq: info.end_seq,
            segment,
            range: None,
        })
    }

    /// The blocks of a segment.
    ///
    /// # Errors
    /// The segment's file cannot be opened.
    pub(crate) fn split(&self, extent: &Extent) -> io::Result<Vec<Extent>> {
        let Some((segment, file)) = self.file(extent.segment)? else { return Ok(Vec::new()) };
        let info = segment.info;
        let mut blocks = segment.blocks(&*file);
        // Appended since.
        blocks.retain(|block| block.at < info.bytes);
        let next = blocks.iter().skip(1).map(|block| (block.at, block.first_seq));
        let ends = next.chain([(info.bytes, info.end_seq)]);
        let extents = blocks.iter().zip(ends).map(|(block, (end, end_seq))| Extent {
            times: block.times,
            first_seq: block.first_seq,
            end_seq,
            segment: extent.segment,
            range: Some((block.at, end)),
        });
        Ok(extents.collect())
    }

    /// The events of a block. What has been removed meanwhile is empty.
    ///
    /// # Errors
    /// The segment's file cannot be opened.
    pub(crate) fn read(&self, extent: &Extent) -> io::Result<Option<(Group, u64)>> {
        let Some((at, end)) = extent.range else { return Ok(None) };
        let shared = self.shared.clone();
        let Some((segment, file)) = self.file(extent.segment)? else { return Ok(None) };
        let Extent { first_seq, end_seq, .. } = *extent;
        let part = Part { at, end, first_seq, end_seq };
        let group = shared.read_part(segment, &*file, &part, (first_seq, usize::MAX));
        Ok(Some((group, end - at)))
    }

    /// The event with an id, in a group that may have others.
    ///
    /// # Errors
    /// The segment's file cannot be opened.
    pub(crate) fn find(&self, id: EventId) -> io::Result<Option<(Group, usize)>> {
        let Some(segment) = self.segment_of(id) else { return Ok(None) };
        let Some(seq) = seq_of(id, segment.info.first_seq) else { return Ok(None) };
        let group = match self.shared.tail.find(seq) {
            Some(group) => group,
            None => match self.shared.read_segment(segment, seq, 1) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                read => read?,
            },
        };
        let at = group.index_of(seq);
        let is_it = group.get(at).is_some_and(|log| log.id() == id);
        Ok(is_it.then_some((group, at)))
    }

    fn segment_of(&self, id: EventId) -> Option<&Segment> {
        self.segments.iter().find(|segment| {
            let info = &segment.info;
            let seq = seq_of(id, info.first_seq);
            info.epoch == id.epoch() && seq.is_some_and(|seq| seq < info.end_seq)
        })
    }

    fn file(&self, at: usize) -> io::Result<Option<(&Segment, Arc<dyn VfsFile>)>> {
        let Some(segment) = self.segments.get(at) else { return Ok(None) };
        let number = segment.info.number;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((open, file)) = &*open
            && *open == number
        {
            return Ok(Some((segment, file.clone())));
        }
        let file = match self.shared.vfs.open(&file_name(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if self.shared.has_segment(number) { Err(error) } else { Ok(None) };
            }
            opened => opened?,
        };
        *open = Some((number, file.clone()));
        Ok(Some((segment, file)))
    }
}

/// The first number from `first_seq` on with the low bits of an id.
fn seq_of(id: EventId, first_seq: u64) -> Option<u64> {
    const LOW: u64 = 1 << 40;
    let seq = (first_seq & !(LOW - 1)) | id.seq_low();
    if seq < first_seq { seq.checked_add(LOW) } else { Some(seq) }
}
