//! The way in for fuzzing: any bytes as a segment.

use std::sync::Arc;

use super::catalog::Catalog;
use super::config::JournalConfig;
use super::format::{FRAME_MAGIC, SEGMENT_HEADER_BYTES, SegmentHeader, epoch_seed};
use super::recovery::{self, Recovered};
use super::segment::file_name;
use super::shared::Shared;
use crate::vfs::memory::MemoryVfs;

/// Opens a journal whose only segment has these bytes and reads all there is, as the bytes are and
/// with every checksum put right. Gives the number of events read each time.
pub fn read_segment(bytes: &[u8]) -> (u64, u64) {
    (read(bytes.to_vec()), read(sealed(bytes.to_vec())))
}

fn read(bytes: Vec<u8>) -> u64 {
    let vfs = MemoryVfs::new();
    let len = bytes.len() as u64;
    vfs.put(&file_name(1), bytes);
    let Ok(Recovered { catalog, .. }) = recovery::recover(&vfs) else { return 0 };
    let config = JournalConfig { queue_bytes: 0, tail_bytes: 0, ..JournalConfig::default() };
    let catalog = Catalog { epochs: epochs_of(&catalog), ..catalog };
    let shared = Shared::new(Arc::new(vfs), catalog, &config);
    let mut at = shared.catalog().oldest();
    let mut events = 0;
    while let Ok(Some(group)) = shared.read(at, 1 << 16) {
        assert!(group.end_seq() > at.seq, "a read gets on");
        events += group.len() as u64;
        // Every part of every event can be looked at.
        let mut json = Vec::new();
        group.iter().for_each(|log| log.write_json(&mut json));
        at = group.end();
    }
    assert!(events <= len / 3, "an event has three bytes at least");
    events
}

/// The epochs, one at least.
fn epochs_of(catalog: &Catalog) -> Vec<(logmon_core::Epoch, u64)> {
    match catalog.epochs.as_slice() {
        [] => vec![(catalog.epoch(), catalog.head)],
        epochs => epochs.to_vec(),
    }
}

/// Makes bytes pass the checksums, so that what lies behind them is reached.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < SEGMENT_HEADER_BYTES {
        return bytes;
    }
    bytes[60..64].fill(0);
    if let Some((_, header)) = SegmentHeader::fields(&bytes) {
        let sealed = SegmentHeader { number: 1, ..header }.to_bytes();
        bytes[..SEGMENT_HEADER_BYTES].copy_from_slice(&sealed);
        let seed = epoch_seed(header.epoch);
        let mut at = SEGMENT_HEADER_BYTES;
        while let Some(found) = find_magic(&bytes, at) {
            at = seal_frame(&mut bytes, found, seed).unwrap_or(found + 1);
        }
    }
    bytes
}

fn find_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(4).position(|four| four == FRAME_MAGIC).map(|at| from + at)
}

/// Puts the checksums of a frame right; gives its end.
fn seal_frame(bytes: &mut [u8], at: usize, seed: u32) -> Option<usize> {
    let length = |at: usize| -> Option<usize> {
        let four = bytes.get(at..at + 4)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*four)).ok()
    };
    let (header, payload) = (at + length(at + 8)?, length(at + 12)?);
    let end = header.checked_add(payload)?;
    let crc = crc32c::crc32c_append(seed, bytes.get(at..header.checked_sub(4)?)?);
    bytes.get_mut(header - 4..header)?.copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, bytes.get(header..end)?);
    bytes.get_mut(end..end + 4)?.copy_from_slice(&crc.to_le_bytes());
    Some(end + 4)
}
