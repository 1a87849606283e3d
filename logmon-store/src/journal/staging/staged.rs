//! The file of a message being staged.

use std::io;
use std::sync::Arc;

use logmon_core::Timestamp;
use logmon_core::{AppendError, Epoch, FieldMap, Fingerprint, NewBatch, Piece, Tag, TimeUnit};
use tokio::runtime::Handle;

use super::room::busy;
use crate::journal::control::SegmentInfo;
use crate::journal::format::{
    NewFrame, SEGMENT_HEADER_BYTES, SegmentHeader, chain, epoch_seed, header_len,
};
use crate::journal::segment::{Block, Blocks};
use crate::journal::shared::Shared;
use crate::journal::writer::is_full;
use crate::vfs::VfsFile;
use crate::wire::Put as _;

/// The most bytes of payload in a frame, or one longer entry, so that readers get on in steps.
const FRAME_BYTES: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
/// Frames of a message. Those of one tag and instant are all full, so no message has as many.
const MAX_FRAMES: usize = 1 << 16;

/// The frames of a message in a file, without their headers. Removed when dropped.
#[derive(Debug)]
pub(in crate::journal) struct Staged {
    shared: Arc<Shared>,
    name: String,
    file: Arc<dyn VfsFile>,
    frames: Vec<Frame>,
    maps: Vec<Arc<FieldMap>>,
    fingerprints: Vec<Fingerprint>,
    /// Bytes reserved of the room for staging.
    reserved: u64,
    is_adopted: bool,
}

/// A frame whose payload stands in the file.
#[derive(Clone, Debug)]
struct Frame {
    at: u64,
    header_len: usize,
    kind: Kind,
    events: u32,
    payload_len: u32,
    /// The plain checksum of the payload.
    payload_crc: u32,
    times: (Timestamp, Timestamp),
}

/// What batches have to have in common to stand in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    tag: Tag,
    route: u16,
    /// Place of the field map among those of the message.
    map: u16,
    received: Timestamp,
    are_times_auto: bool,
}

/// A file that has all a segment has, but for its name.
#[derive(Debug)]
pub(in crate::journal) struct Sealed {
    pub(in crate::journal) info: SegmentInfo,
    pub(in crate::journal) blocks: Blocks,
}

impl Frame {
    fn payload_at(&self) -> u64 {
        self.at + self.header_len as u64
    }

    fn payload_end(&self) -> u64 {
        self.payload_at() + u64::from(self.payload_len)
    }

    fn add(&mut self, piece: &Piece) {
        // Neither is beyond what a payload of one batch has.
        self.events += u32::try_from(piece.events).unwrap_or(u32::MAX);
        self.payload_len += u32::try_from(piece.payload.len()).unwrap_or(u32::MAX);
        self.payload_crc = crc32c::crc32c_append(self.payload_crc, &piece.payload);
        self.times = (self.times.0.min(piece.times.0), self.times.1.max(piece.times.1));
    }
}

impl Staged {
    /// Creates the file.
    ///
    /// # Errors
    /// Busy where there is no room.
    pub(super) fn create(shared: Arc<Shared>, epoch: Epoch) -> Result<Self, AppendError> {
        let number = shared.room.enter()?;
        let name = super::file_name(epoch, number);
        let file = shared.vfs.create(&name).map_err(|error| {
            shared.room.leave(0);
            refusal(&shared, &error)
        })?;
        let (frames, maps, fingerprints) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { shared, name, file, frames, maps, fingerprints, reserved: 0, is_adopted: false })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The field maps its frames name, by their place here.
    pub(in crate::journal) fn maps(&self) -> &[Arc<FieldMap>] {
        &self.maps
    }

    /// Bytes it takes on the disk.
    pub(in crate::journal) const fn bytes(&self) -> u64 {
        self.reserved
    }

    pub(in crate::journal) fn name(&self) -> &str {
        &self.name
    }

    /// Writes a batch behind those before it, or leaves everything as it was.
    pub(super) fn push(&mut self, batch: &NewBatch) -> Result<(), AppendError> {
        let (frames, last, reserved) =
            (self.frames.len(), self.frames.last().cloned(), self.reserved);
        let pushed = self.push_pieces(batch);
        if pushed.is_err() {
            self.frames.truncate(frames);
            if let (Some(place), Some(last)) = (self.frames.last_mut(), last) {
                *place = last;
            }
            self.shared.room.give_back(self.reserved - reserved);
            self.reserved = reserved;
        }
        pushed
    }

    fn push_pieces(&mut self, batch: &NewBatch) -> Result<(), AppendError> {
        let entries = &batch.entries;
        // No waiting for room that is not enough in the end.
        self.shared.room.check(self.reserved + entries.payload().len() as u64)?;
        let kind = Kind {
            tag: batch.tag.clone(),
            route: batch.route.number(),
            map: self.map(entries.fields())?,
            received: entries.received(),
            are_times_auto: entries.time_unit() == TimeUnit::Auto,
        };
        for piece in entries.pieces(FRAME_BYTES) {
            self.push_piece(&kind, &piece)?;
        }
        Ok(())
    }

    fn map(&mut self, map: &Arc<FieldMap>) -> Result<u16, AppendError> {
        let known = self.maps.iter().position(|known| Arc::ptr_eq(known, map) || known == map);
        let at = known.unwrap_or(self.maps.len());
        let number = u16::try_from(at);
        let number = number.map_err(|_| AppendError::Staging("too many field maps".into()))?;
        if known.is_none() {
            self.maps.push(map.clone());
        }
        Ok(number)
    }

    fn push_piece(&mut self, kind: &Kind, piece: &Piece) -> Result<(), AppendError> {
        let more = piece.payload.len();
        let has_room = |last: &&mut Frame| {
            last.kind == *kind && last.payload_len as usize + more <= FRAME_BYTES
        };
        let Some(last) = self.frames.last_mut().filter(has_room) else {
            return self.push_frame(kind, piece);
        };
        self.shared.room.take(more as u64, self.reserved)?;
        self.reserved += more as u64;
        let at = last.payload_end();
        self.file.write_at(&piece.payload, at).map_err(|error| refusal(&self.shared, &error))?;
        last.add(piece);
        Ok(())
    }

    fn push_frame(&mut self, kind: &Kind, piece: &Piece) -> Result<(), AppendError> {
        if self.frames.len() >= MAX_FRAMES {
            return Err(AppendError::Staging("too many batches of different kinds".into()));
        }
        let mut frame = self.frame_at_end(kind.clone(), 0);
        frame.add(piece);
        let bytes = frame.payload_end() + 4 - frame.at;
        self.shared.room.take(bytes, self.reserved)?;
        self.reserved += bytes;
        let written = self.file.write_at(&piece.payload, frame.payload_at());
        written.map_err(|error| refusal(&self.shared, &error))?;
        self.frames.push(frame);
        Ok(())
    }

    /// A frame without events behind the last.
    fn frame_at_end(&self, kind: Kind, fingerprints: usize) -> Frame {
        let end = self.frames.last().map(|last| last.payload_end() + 4);
        Frame {
            at: end.unwrap_or(SEGMENT_HEADER_BYTES as u64),
            header_len: header_len(kind.tag.len(), fingerprints),
            kind,
            events: 0,
            payload_len: 0,
            payload_crc: 0,
            times: (Timestamp::MAX, Timestamp::MIN),
        }
    }

    /// Ends the message and makes its payload durable.
    pub(super) fn seal(&mut self, fingerprints: Vec<Fingerprint>) -> Result<(), AppendError> {
        if !fingerprints.is_empty()
            && let Some(last) = self.frames.last()
        {
            // Their number is known only now, so they stand behind the events.
            let kind = Kind { tag: Tag::from(""), ..last.kind.clone() };
            let frame = self.frame_at_end(kind, fingerprints.len());
            self.frames.push(frame);
            self.fingerprints = fingerprints;
        }
        self.file.sync_data().map_err(|error| refusal(&self.shared, &error))
    }

    /// Writes the headers of the frames and that of the segment. May be repeated.
    ///
    /// # Durability
    /// None.
    pub(in crate::journal) fn fill(
        &self,
        header: &SegmentHeader,
        maps: &[u16],
    ) -> io::Result<Sealed> {
        let seed = epoch_seed(header.epoch);
        let mut info =
            SegmentInfo::empty(header.number, header.epoch, header.first_seq, header.created);
        let mut blocks = Blocks::with_capacity(self.frames.len());
        // What stands between the payload before and the next: its checksum, and a header.
        let (mut joint, mut at) = (header.to_bytes(), 0);
        for frame in &self.frames {
            let crc = self.header_of(frame, info.end_seq, maps).write(&mut joint, seed);
            self.file.write_at(&joint, at)?;
            joint.clear();
            joint.put_u32(crc32c::crc32c_combine(
                crc,
                frame.payload_crc,
                frame.payload_len as usize,
            ));
            at = frame.payload_end();
            if frame.events > 0 {
                let (first_seq, times) = (info.end_seq, frame.times);
                blocks.note(Block { first_seq, at: frame.at, times });
            }
            info.add(u64::from(frame.events), frame.times, frame.kind.received);
            info.end_seq += u64::from(frame.events);
            info.chain = chain(info.chain, crc);
        }
        self.file.write_at(&joint, at)?;
        info.bytes = at + 4;
        Ok(Sealed { info, blocks })
    }

    fn header_of<'a>(&'a self, frame: &'a Frame, first_seq: u64, maps: &[u16]) -> NewFrame<'a> {
        let kind = &frame.kind;
        NewFrame {
            is_control: false,
            are_times_auto: kind.are_times_auto,
            codec: None,
            payload_len: frame.payload_len,
            raw_len: frame.payload_len,
            events: frame.events,
            first_seq,
            received: kind.received,
            times: frame.times,
            route: kind.route,
            fields: maps.get(usize::from(kind.map)).copied().unwrap_or_default(),
            origin: None,
            tag: &kind.tag,
            fingerprints: if frame.events == 0 { &self.fingerprints } else { &[] },
        }
    }

    /// Makes what [`Staged::fill`] has written durable.
    pub(in crate::journal) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The file is a segment of the journal now.
    pub(in crate::journal) fn adopted(mut self) {
        self.is_adopted = true;
    }
}

/// What the caller is told: a full disk may have room again.
fn refusal(shared: &Shared, error: &io::Error) -> AppendError {
    if is_full(error) {
        busy(shared.room.bytes())
    } else {
        AppendError::Staging(error.to_string().into())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.shared.room.leave(self.reserved);
        if self.is_adopted {
            return;
        }
        let (shared, name) = (self.shared.clone(), std::mem::take(&mut self.name));
        let remove = move || {
            if let Err(error) = shared.vfs.remove(&name) {
                tracing::warn!(name, %error, "a staging file could not be removed");
            }
        };
        // Unlinking gigabytes takes a while.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
