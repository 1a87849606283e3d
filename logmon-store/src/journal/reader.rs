//! Reading groups back from segments.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use logmon_core::{
    Codec, Compressed, FieldMap, Group, GroupBuilder, Position, ReadError, Reading, RouteSet, Tag,
    TimeUnit,
};

use super::codec;
use super::format::FrameHeader;
use super::segment::{Segment, file_name};
use super::shared::Shared;
use super::walk::{Step, Walk, read_lenient};
use crate::vfs::VfsFile;

/// What memory has for a position.
#[derive(Debug)]
pub(super) enum InMemory {
    /// The disk has to be asked.
    Absent,
    Group(Group),
    /// There is nothing to read yet.
    Head,
}

impl Shared {
    /// Answers a read as far as that needs no disk.
    pub(super) fn read_memory(&self, from: Position) -> Result<InMemory, ReadError> {
        if self.catalog().place(from)?.is_none() {
            return Ok(self.rest(from).map_or(InMemory::Head, InMemory::Group));
        }
        Ok(self.tail.find(from.seq).map_or(InMemory::Absent, InMemory::Group))
    }

    /// Reads on from a position, from memory where the group is there. Blocks on the disk
    /// otherwise.
    pub(super) fn read(
        &self,
        from: Position,
        max_bytes: usize,
    ) -> Result<Option<Group>, ReadError> {
        loop {
            let Some(segment) = self.catalog().place(from)? else { return Ok(self.rest(from)) };
            if let Some(group) = self.tail.find(from.seq) {
                return Ok(Some(group));
            }
            match self.read_segment(&segment, from.seq, max_bytes) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Removed by retention a moment ago; or else by someone, which is final.
                    if self.has_segment(segment.info.number) {
                        return Err(ReadError::Io(failure(&segment, &error)));
                    }
                }
                Err(error) => return Err(ReadError::Io(failure(&segment, &error))),
                Ok(group) => return Ok(Some(group)),
            }
        }
    }

    /// Where the last events before the head are lost with their segment: nothing, up to the head.
    fn rest(&self, from: Position) -> Option<Group> {
        let head = self.catalog().head();
        let is_lost = from.seq < head.seq && self.catalog().segment_at(from.seq).is_none();
        is_lost.then(|| {
            let mut builder = GroupBuilder::over(head.epoch, Vec::new(), 0);
            builder.end_at(head.seq);
            builder.finish()
        })
    }

    pub(super) fn has_segment(&self, number: u64) -> bool {
        self.catalog().segments.iter().any(|segment| segment.info.number == number)
    }

    /// A group of about `max_bytes` from a segment, beginning with the event numbered `seq` or the
    /// next there is. Without any it is empty and ends where the segment does.
    pub(super) fn read_segment(
        &self,
        segment: &Segment,
        seq: u64,
        max_bytes: usize,
    ) -> io::Result<Group> {
        let file = self.vfs.open(&file_name(segment.info.number))?;
        let (first_seq, at) = segment.seek(&*file, seq);
        let part = Part { at, end: segment.info.bytes, first_seq, end_seq: segment.info.end_seq };
        Ok(self.read_part(segment, &*file, &part, (seq, max_bytes)))
    }

    /// The same within a part of a segment.
    pub(super) fn read_part(
        &self,
        segment: &Segment,
        file: &dyn VfsFile,
        part: &Part,
        wanted: (u64, usize),
    ) -> Group {
        let frames = self.find_frames(segment, file, part, wanted);
        self.gather(segment, file, &frames, wanted.0)
    }

    /// The frames from `seq` on that make up a group.
    fn find_frames(
        &self,
        segment: &Segment,
        file: &dyn VfsFile,
        part: &Part,
        (seq, max_bytes): (u64, usize),
    ) -> Frames {
        let info = &segment.info;
        let mut frames = Frames { found: Vec::new(), unpacked: 0, end_seq: part.end_seq };
        let seqs = (part.first_seq, Some(part.end_seq));
        let mut walk = Walk::new(file, info.epoch, (part.at, part.end), seqs);
        while let Some(step) = walk.step() {
            match step {
                Step::Frame { at, header } => {
                    let is_wanted = header.events > 0 && header.end_seq() > seq;
                    if is_wanted && !frames.take(at, &header, max_bytes) {
                        break;
                    }
                }
                Step::Damage { from, events, .. } => {
                    self.catalog().note_damage(info.number, from, events.unwrap_or(0));
                }
                Step::Unsupported { at } => self.catalog().note_damage(info.number, at, 0),
            }
        }
        frames
    }

    /// Reads the frames in one go and makes a group of those whose payload is right. What is missing
    /// from `seq` on was there once: the numbers of a journal on a disk have no holes.
    fn gather(&self, segment: &Segment, file: &dyn VfsFile, frames: &Frames, seq: u64) -> Group {
        let (start, end) = frames.range();
        let (stored, unpacked) = (as_size(end - start), as_size(frames.unpacked));
        let mut arena = Vec::with_capacity(stored + codec::likely_len(stored, unpacked));
        arena.resize(stored, 0);
        read_lenient(file, &mut arena, start);
        let mut found = Vec::with_capacity(frames.found.len());
        let mut damaged = HashSet::new();
        let mut last_tag: Option<Tag> = None;
        for (at, header) in &frames.found {
            let offset = usize::try_from(at - start).unwrap_or(usize::MAX);
            let stored = arena.get(offset..).and_then(|bytes| Stored::check(bytes, offset, header));
            if let Some(mut stored) = stored {
                // Neighbours mostly share their tag.
                match &last_tag {
                    Some(last) if *last == stored.tag => stored.tag = last.clone(),
                    _ => last_tag = Some(stored.tag.clone()),
                }
                found.push(stored);
            } else {
                damaged.insert((*at, header.events));
            }
        }
        let maps = self.catalog().field_maps.clone();
        let events = found.iter().map(|stored| stored.header.events as usize).sum();
        let mut builder = GroupBuilder::over(segment.info.epoch, arena, events);
        let mut next = seq;
        for stored in found {
            let (at, header) = (start + stored.offset as u64, stored.header);
            if stored.add_to(&mut builder, &maps) {
                builder.miss(next..header.first_seq);
                next = header.end_seq();
            } else {
                damaged.insert((at, header.events));
            }
        }
        builder.miss(next..frames.end_seq);
        builder.end_at(frames.end_seq);
        for (at, events) in damaged {
            self.catalog().note_damage(segment.info.number, at, u64::from(events));
        }
        builder.finish()
    }
}

fn as_size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

fn failure(segment: &Segment, error: &io::Error) -> Arc<str> {
    format!("opening {}: {error}", file_name(segment.info.number)).into()
}

/// A range of a segment that begins and ends between frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) at: u64,
    pub(super) end: u64,
    pub(super) first_seq: u64,
    pub(super) end_seq: u64,
}

/// Frames that stand one behind the other.
#[derive(Debug)]
struct Frames {
    found: Vec<(u64, FrameHeader)>,
    /// Bytes that compressed payloads take beside their frames.
    unpacked: u64,
    /// Events up to here were looked at.
    end_seq: u64,
}

impl Frames {
    /// Adds a frame unless that would be too much.
    fn take(&mut self, at: u64, header: &FrameHeader, max_bytes: usize) -> bool {
        let start = self.found.first().map_or(at, |(first, _)| *first);
        let unpacked = self.unpacked + header.unpacked_len();
        let bytes = at + header.total_len() - start + unpacked;
        if !self.found.is_empty() && bytes > max_bytes as u64 {
            self.end_seq = header.first_seq;
            return false;
        }
        self.unpacked = unpacked;
        self.found.push((at, *header));
        true
    }

    fn range(&self) -> (u64, u64) {
        let start = self.found.first().map_or(0, |(at, _)| *at);
        (start, self.found.last().map_or(0, |(at, header)| at + header.total_len()))
    }
}

/// A frame in the arena.
#[derive(Debug)]
struct Stored {
    offset: usize,
    header: FrameHeader,
    tag: Tag,
}

impl Stored {
    /// The frame at the start of `bytes`, if its payload is right.
    fn check(bytes: &[u8], offset: usize, header: &FrameHeader) -> Option<Self> {
        let start = header.header_len as usize;
        let end = start + header.payload_len as usize;
        let crc = crc32c::crc32c_append(header.crc, bytes.get(start..end)?);
        if bytes.get(end..end + 4)? != crc.to_le_bytes() {
            return None;
        }
        Some(Self { offset, header: *header, tag: header.tag(bytes)? })
    }

    /// Whether the payload could be read.
    fn add_to(self, builder: &mut GroupBuilder, maps: &[Arc<FieldMap>]) -> bool {
        let Self { offset, header, tag } = self;
        let fields = maps.get(usize::from(header.fields)).cloned().unwrap_or_default();
        let mut reading = Reading::new(fields, header.received);
        if header.are_times_auto {
            reading.time_unit = TimeUnit::Auto;
        }
        let start = offset + header.header_len as usize;
        let range = start..start + header.payload_len as usize;
        let route = RouteSet::from_number(header.route);
        let Some(codec) = header.codec else {
            let added = builder.add_stored(tag, route, header.first_seq, (range, &reading)).is_ok();
            if let (true, Some(origin)) = (added, header.origin) {
                builder.set_origin(origin);
            }
            return added;
        };
        let Some((compressed, range)) = unpack(codec, range, (&header, builder.arena())) else {
            return false;
        };
        let added = builder.add_stored(tag, route, header.first_seq, (range, &reading)).is_ok();
        if added {
            builder.set_compressed(compressed);
        }
        if let (true, Some(origin)) = (added, header.origin) {
            builder.set_origin(origin);
        }
        added
    }
}

/// Decompresses a range of the arena to its end; gives what was compressed, and the new range.
fn unpack(
    codec: Codec,
    range: Range<usize>,
    (header, arena): (&FrameHeader, &mut Vec<u8>),
) -> Option<(Compressed, Range<usize>)> {
    let bytes = Bytes::copy_from_slice(arena.get(range)?);
    let start = arena.len();
    codec::decompress(codec, &bytes, (header.raw_len as usize, arena)).ok()?;
    Some((Compressed { codec, bytes }, start..arena.len()))
}
