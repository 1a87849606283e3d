//! Finding the frames of a segment, whatever has happened to its bytes.

use std::fmt;
use std::ops::Range;

use logmon_core::{Epoch, SeenChunk};

use super::format::{FRAME_MAGIC, FrameFault, FrameHeader, MAX_HEADER_BYTES, epoch_seed};
use crate::vfs::VfsFile;

/// Bytes read at once when only headers are looked at.
pub(super) const HEADER_WINDOW: usize = 32 << 10;
/// Bytes read at once when payloads are checked too.
pub(super) const PAYLOAD_WINDOW: usize = 1 << 20;
/// An unreadable region costs blocks of this size.
const BLOCK_BYTES: usize = 4 << 10;

/// Goes from frame to frame through a part of a segment.
///
/// Where no valid header stands in the place of the next one, it searches on, byte by byte, for a
/// header of the same epoch whose events come later. Regions the medium cannot read count as zeros.
pub(super) struct Walk<'f> {
    file: &'f dyn VfsFile,
    seed: u32,
    at: u64,
    end: u64,
    next_seq: u64,
    end_seq: Option<u64>,
    window: Vec<u8>,
    window_at: u64,
    window_bytes: usize,
    /// Bytes of checksums that searching may still compute, so that forged headers cannot make it
    /// quadratic.
    budget: u64,
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A frame whose header is intact.
    Frame { at: u64, header: FrameHeader },
    /// Bytes that are no frame, and how many events are missing for it, where what follows tells.
    Damage { from: u64, to: u64, events: Option<u64> },
    /// An intact header of a later version or unknown kind.
    Unsupported { at: u64 },
}

impl<'f> Walk<'f> {
    /// A walk from `at` to `end`, over frames whose events are numbered from `next_seq` (and up to
    /// `end_seq`, where that is known).
    pub(super) fn new(
        file: &'f dyn VfsFile,
        epoch: Epoch,
        (at, end): (u64, u64),
        (next_seq, end_seq): (u64, Option<u64>),
    ) -> Self {
        Self {
            file,
            seed: epoch_seed(epoch),
            at,
            end,
            next_seq,
            end_seq,
            window: Vec::new(),
            window_at: at,
            window_bytes: HEADER_WINDOW,
            budget: 4 * end.saturating_sub(at).max(1 << 20),
        }
    }

    /// Reads bigger pieces, for a walk that looks at payloads.
    pub(super) fn with_payloads(mut self) -> Self {
        self.window_bytes = PAYLOAD_WINDOW;
        self
    }

    /// The next step; `None` at the end.
    pub(super) fn step(&mut self) -> Option<Step> {
        if self.at >= self.end {
            return None;
        }
        let at = self.at;
        match self.parse(at) {
            Ok(header) => Some(self.pass(at, header)),
            Err(FrameFault::Unsupported) => {
                self.at = self.end;
                Some(Step::Unsupported { at })
            }
            Err(_) => {
                self.at = self.search(at + 1);
                Some(Step::Damage { from: at, to: self.at, events: self.missing() })
            }
        }
    }

    /// How many events lie between the last frame and the next.
    fn missing(&mut self) -> Option<u64> {
        let next = if self.at < self.end {
            self.parse(self.at).ok().map(|header| header.first_seq)
        } else {
            self.end_seq
        };
        next.and_then(|next| next.checked_sub(self.next_seq))
    }

    fn pass(&mut self, at: u64, header: FrameHeader) -> Step {
        self.next_seq = header.end_seq();
        self.at = at + header.total_len();
        Step::Frame { at, header }
    }

    /// Whether the checksum of a frame's payload is right.
    pub(super) fn is_payload_right(&mut self, at: u64, header: &FrameHeader) -> bool {
        let mut from = at + u64::from(header.header_len);
        let end = from + u64::from(header.payload_len);
        let mut crc = header.crc;
        while from < end {
            let want = (end - from).min(self.window_bytes as u64);
            let bytes = self.window(from, usize::try_from(want).unwrap_or(usize::MAX));
            if bytes.is_empty() {
                return false;
            }
            crc = crc32c::crc32c_append(crc, bytes);
            from += bytes.len() as u64;
        }
        self.window(end, 4) == crc.to_le_bytes()
    }

    /// Adds the chunks of a frame that was just passed.
    pub(super) fn note_chunks(&mut self, at: u64, header: &FrameHeader, to: &mut Vec<SeenChunk>) {
        let bytes = self.window(at, header.header_len as usize);
        let digests = header.digests(bytes);
        to.extend(digests.map(|digest| SeenChunk { digest, received: header.received }));
    }

    /// The payload of a frame, if its checksum is right. What is checked is what is given: a second
    /// read of the same place may differ.
    pub(super) fn payload(&self, at: u64, header: &FrameHeader) -> Option<Vec<u8>> {
        let len = header.payload_len as usize;
        let mut payload = vec![0; len + 4];
        read_lenient(self.file, &mut payload, at + u64::from(header.header_len));
        let sum = payload.split_off(len);
        let crc = crc32c::crc32c_append(header.crc, &payload);
        (sum == crc.to_le_bytes()).then_some(payload)
    }

    fn parse(&mut self, at: u64) -> Result<FrameHeader, FrameFault> {
        let (seed, room, next_seq) = (self.seed, self.end - at, self.next_seq);
        let mut want = HEADER_WINDOW.min(self.window_bytes) / 8;
        loop {
            let bytes = self.window(at, want);
            match FrameHeader::parse(bytes, seed, room) {
                Err(FrameFault::Short(need)) if need > want && need as u64 <= room => want = need,
                Err(FrameFault::Short(_)) => return Err(FrameFault::Invalid),
                // Of another time, or forged.
                Ok(header) if header.first_seq < next_seq => return Err(FrameFault::Invalid),
                parsed => return parsed,
            }
        }
    }

    /// The place of the next frame from `from` on; the end if there is none.
    fn search(&mut self, mut from: u64) -> u64 {
        while from < self.end {
            let bytes = self.rest_of_window(from, 12);
            let found = bytes.windows(4).position(|four| four == FRAME_MAGIC);
            let len = bytes.len() as u64;
            let Some(found) = found else {
                if from + len >= self.end || len < 4 {
                    return self.end;
                }
                from += len - 3;
                continue;
            };
            from += found as u64;
            let before = self.budget;
            let cost = self.claimed_header(from);
            let Some(left) = before.checked_sub(cost) else { return self.end };
            self.budget = left;
            if matches!(self.parse(from), Ok(_) | Err(FrameFault::Unsupported)) {
                return from;
            }
            from += 1;
        }
        self.end
    }

    /// How many bytes the header at a place says it has.
    fn claimed_header(&mut self, at: u64) -> u64 {
        let bytes = self.window(at, 12);
        let len = bytes.get(8..12).and_then(|four| four.first_chunk().copied());
        // Longer ones are refused before anything is summed.
        let len = len.map(u32::from_le_bytes).filter(|len| *len as usize <= MAX_HEADER_BYTES);
        len.unwrap_or(0).into()
    }

    /// `len` bytes from `at`, or as many as there are before the end.
    fn window(&mut self, at: u64, len: usize) -> &[u8] {
        let rest = self.rest_of_window(at, len);
        rest.get(..len).unwrap_or(rest)
    }

    /// The same, and whatever follows that has been read already.
    fn rest_of_window(&mut self, at: u64, len: usize) -> &[u8] {
        let have_to = self.window_at + self.window.len() as u64;
        let want_to = (at + len as u64).min(self.end);
        if at < self.window_at || want_to > have_to {
            let room = self.end.saturating_sub(at);
            let size = room.min(len.max(self.window_bytes) as u64);
            self.window.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
            self.window_at = at;
            read_lenient(self.file, &mut self.window, at);
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        self.window.get(start..).unwrap_or_default()
    }
}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}

/// Fills `buf` from a file. What the medium cannot read, or lies behind the end, becomes zeros,
/// which no checksum accepts.
pub(super) fn read_lenient(file: &dyn VfsFile, buf: &mut [u8], at: u64) {
    match file.read_at(buf, at) {
        Ok(read) => buf.get_mut(read..).unwrap_or_default().fill(0),
        Err(_) => {
            for (index, block) in buf.chunks_mut(BLOCK_BYTES).enumerate() {
                let read = file.read_at(block, at + (index * BLOCK_BYTES) as u64).unwrap_or(0);
                block.get_mut(read..).unwrap_or_default().fill(0);
            }
        }
    }
}

/// Whether a part of a file, as far as it is there, has nothing but zeros.
pub(super) fn is_zero(file: &dyn VfsFile, range: Range<u64>) -> bool {
    let mut buf = vec![0; 64 << 10];
    let mut at = range.start;
    while at < range.end {
        let want = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buf.len());
        let Some(part) = buf.get_mut(..want) else { return false };
        match file.read_at(part, at) {
            Ok(0) => return true,
            Ok(read) if part.iter().take(read).all(|byte| *byte == 0) => at += read as u64,
            _ => return false,
        }
    }
    true
}
