//! The chunks of the last minutes, so that those sent again are known after a restart.
//!
//! A closed segment leaves a small file with the digests of its chunks, which stays for a while
//! when the segment goes. Where it is missing, the headers of the segment's frames tell the same.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use logmon_core::{Epoch, SeenChunk, Timestamp};

use super::control::SegmentInfo;
use super::format::SEGMENT_HEADER_BYTES;
use super::segment;
use super::shared::Shared;
use super::walk::{Step, Walk};
use crate::vfs::Vfs;
use crate::wire::{Fields, Put as _};

/// How long chunks are remembered at least.
pub(super) const CHUNK_WINDOW: Duration = Duration::from_secs(15 * 60);
/// The most chunks that are remembered.
pub(super) const MAX_CHUNKS: usize = 1_000_000;

const MAGIC: [u8; 8] = *b"\x89LOGCHK\n";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 32;
const CHUNK_BYTES: usize = 24;

/// The name of the file about a segment.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.chunks")
}

/// The number in such a name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(".chunks")?, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

/// The start of the window at an instant.
pub(super) fn window_start(now: Timestamp) -> Timestamp {
    let window = i64::try_from(CHUNK_WINDOW.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(now.as_nanos().saturating_sub(window))
}

/// The bytes of a file.
pub(super) fn encode(number: u64, epoch: Epoch, chunks: &[SeenChunk]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + chunks.len() * CHUNK_BYTES + 4);
    out.put(MAGIC);
    out.put_u16(VERSION);
    out.put_u16(32);
    out.put_count(chunks.len());
    out.put_u64(number);
    out.extend_from_slice(&epoch.to_bytes());
    out.push(0);
    for chunk in chunks {
        out.put(chunk.digest);
        out.put_i64(chunk.received.as_nanos());
    }
    out.put_u32(crc32c::crc32c(&out));
    out
}

/// The epoch and the chunks in a file about the segment of this number, where all is right.
fn decode(number: u64, bytes: &[u8]) -> Option<(Epoch, Vec<SeenChunk>)> {
    let (summed, stored) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if Fields(stored).u32()? != crc32c::crc32c(summed) {
        return None;
    }
    let mut fields = Fields(summed);
    let head = (fields.array()?, fields.u16()?, fields.u16()?);
    let (count, of, epoch) = (fields.u32()?, fields.u64()?, fields.array()?);
    fields.u8()?;
    let is_right = head == (MAGIC, VERSION, 32) && of == number;
    if !is_right || count as usize * CHUNK_BYTES != fields.0.len() {
        return None;
    }
    let (chunks, _) = fields.0.as_chunks::<CHUNK_BYTES>();
    let chunks = chunks.iter().filter_map(|chunk| {
        let mut fields = Fields(chunk);
        let (digest, received) = (fields.array()?, fields.i64()?);
        Some(SeenChunk { digest, received: Timestamp::from_nanos(received) })
    });
    Some((Epoch::from_bytes(epoch), chunks.collect()))
}

fn read(vfs: &dyn Vfs, number: u64) -> Option<(Epoch, Vec<SeenChunk>)> {
    let file = vfs.open(&file_name(number)).ok()?;
    let len = usize::try_from(file.len().ok()?).ok()?;
    if len > HEADER_BYTES + MAX_CHUNKS * CHUNK_BYTES + 4 {
        return None;
    }
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(read);
    decode(number, &bytes)
}

/// Whether the file about a segment can be read.
pub(super) fn is_whole(vfs: &dyn Vfs, number: u64) -> bool {
    read(vfs, number).is_some()
}

/// The chunks received since an instant, from the headers of a segment's frames.
pub(super) fn walk(
    vfs: &dyn Vfs,
    info: &SegmentInfo,
    since: Timestamp,
) -> io::Result<Vec<SeenChunk>> {
    let file = vfs.open(&segment::file_name(info.number))?;
    let range = (SEGMENT_HEADER_BYTES as u64, info.bytes);
    let mut walk = Walk::new(&*file, info.epoch, range, (info.first_seq, Some(info.end_seq)));
    let mut chunks = Vec::new();
    while let Some(step) = walk.step() {
        if let Step::Frame { at, header } = step
            && header.received >= since
        {
            walk.note_chunks(at, &header, &mut chunks);
        }
    }
    Ok(chunks)
}

impl Shared {
    /// The newest chunks received since an instant, oldest first. Blocks on the disk.
    pub(super) fn chunks_since(&self, since: Timestamp) -> io::Result<Vec<SeenChunk>> {
        let names = self.vfs.list(&|name| number_of(name).is_some())?;
        let files = names.iter().filter_map(|name| Some((number_of(name)?, None)));
        let mut segments: BTreeMap<u64, Option<SegmentInfo>> = files.collect();
        let epochs: Vec<Epoch> = {
            let catalog = self.catalog();
            let kept = catalog.segments.iter().map(|segment| segment.info);
            segments.extend(kept.map(|info| (info.number, Some(info))));
            catalog.epochs.iter().map(|(epoch, _)| *epoch).collect()
        };
        let (mut found, mut count) = (Vec::new(), 0);
        for (number, info) in segments.into_iter().rev() {
            if count >= MAX_CHUNKS || info.is_some_and(|info| info.received < since) {
                continue;
            }
            let is_of = |epoch: &Epoch| match &info {
                Some(info) => info.epoch == *epoch,
                None => epochs.contains(epoch),
            };
            // Older chunks than it was made for are told of by the segment alone.
            let is_enough = info.is_none_or(|info| since >= window_start(info.closed));
            let file = is_enough.then(|| read(&*self.vfs, number)).flatten();
            let file = file.filter(|(epoch, _)| is_of(epoch));
            let mut chunks = match (file, &info) {
                (Some((_, chunks)), _) => chunks,
                (None, Some(info)) => walk(&*self.vfs, info, since)?,
                (None, None) => continue,
            };
            chunks.retain(|chunk| chunk.received >= since);
            count += chunks.len();
            found.push(chunks);
        }
        let mut chunks: Vec<SeenChunk> = found.into_iter().rev().flatten().collect();
        chunks.drain(..count.saturating_sub(MAX_CHUNKS));
        Ok(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_back_and_any_change_is_seen() {
        let epoch = Epoch::from_bytes([7; 7]);
        let chunk = |n| SeenChunk { digest: [n; 16], received: Timestamp::from_nanos(n.into()) };
        let chunks = vec![chunk(1), chunk(2)];
        let bytes = encode(5, epoch, &chunks);
        assert_eq!(bytes.len(), 32 + 2 * 24 + 4);
        assert_eq!(decode(5, &bytes), Some((epoch, chunks)));
        assert_eq!(decode(6, &bytes), None);
        for at in 0..bytes.len() {
            assert_eq!(decode(5, &bytes[..at]), None, "{at} bytes");
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(decode(5, &flipped), None, "byte {at}");
        }
    }

    #[test]
    fn names_and_numbers_are_one_to_one() {
        assert_eq!(file_name(0x1f), "000000000000001f.chunks");
        assert_eq!(number_of("000000000000001f.chunks"), Some(0x1f));
        assert_eq!(number_of("000000000000001F.chunks"), None);
        assert_eq!(number_of("000000000000001f.seg"), None);
    }
}
