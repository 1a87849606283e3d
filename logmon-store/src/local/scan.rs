//! Reading the headers of all blocks of a partition file, whatever has happened to it.

use std::ops::Range;

use super::block::{BlockInfo, HEADER_BYTES, HeaderFault, MAGIC};
use super::partition;
use crate::vfs::VfsFile;

/// What is read at once where a header is looked for.
const WINDOW_BYTES: usize = 1 << 20;
/// What cannot be read is stepped over in such pieces.
const PIECE_BYTES: usize = 4 << 10;

/// The blocks of a partition file.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// Where they stand, in order.
    pub(super) blocks: Vec<(u64, BlockInfo)>,
    /// Bytes that are none.
    pub(super) damages: Vec<Range<u64>>,
    /// The medium did not give some of them; another time it may.
    pub(super) has_failed: bool,
}

/// Finds the blocks between the header of a partition file and its end.
///
/// # Errors
/// The version of a block, if that is a later one.
pub(super) fn scan(file: &dyn VfsFile, len: u64) -> Result<Scanned, u16> {
    let mut scanned = Scanned::default();
    let mut at = partition::HEADER_BYTES as u64;
    while at < len {
        let found = match header_at((file, &mut scanned.has_failed), at, len)? {
            Some(info) => Some((at, info)),
            None => seek((file, &mut scanned.has_failed), at + 1, len)?,
        };
        let Some((start, info)) = found else {
            scanned.damages.push(at..len);
            break;
        };
        if start > at {
            scanned.damages.push(at..start);
        }
        at = start + u64::from(info.len);
        scanned.blocks.push((start, info));
    }
    Ok(scanned)
}

/// The header of a block that is there as a whole. What looks damaged is read once more.
fn header_at(
    (file, has_failed): (&dyn VfsFile, &mut bool),
    at: u64,
    len: u64,
) -> Result<Option<BlockInfo>, u16> {
    for _ in 0..2 {
        let mut bytes = [0; HEADER_BYTES];
        let Ok(read) = file.read_at(&mut bytes, at) else {
            *has_failed = true;
            continue;
        };
        match BlockInfo::parse(bytes.get(..read).unwrap_or_default()) {
            Ok(info) => return Ok((at + u64::from(info.len) <= len).then_some(info)),
            Err(HeaderFault::Version(version)) => return Err(version),
            Err(HeaderFault::Damaged) => {}
        }
    }
    Ok(None)
}

/// The first block from `at` on.
fn seek(
    (file, has_failed): (&dyn VfsFile, &mut bool),
    mut at: u64,
    len: u64,
) -> Result<Option<(u64, BlockInfo)>, u16> {
    let mut window = Vec::new();
    while at < len {
        let room = usize::try_from(len - at).unwrap_or(usize::MAX).min(WINDOW_BYTES);
        window.resize(room, 0);
        *has_failed |= read_lenient(file, &mut window, at);
        let starts = window.windows(MAGIC.len()).enumerate();
        for (start, _) in starts.filter(|(_, bytes)| *bytes == MAGIC) {
            let start = at + start as u64;
            if let Some(info) = header_at((file, has_failed), start, len)? {
                return Ok(Some((start, info)));
            }
        }
        // The next window begins before the end of this one, where a magic may begin.
        at += (room - (MAGIC.len() - 1).min(room - 1)) as u64;
    }
    Ok(None)
}

/// Reads what can be read; the rest becomes zeros. Whether a read failed.
fn read_lenient(file: &dyn VfsFile, buf: &mut [u8], at: u64) -> bool {
    if file.read_at(buf, at).is_ok_and(|read| read == buf.len()) {
        return false;
    }
    let mut has_failed = false;
    for (index, piece) in buf.chunks_mut(PIECE_BYTES).enumerate() {
        let read = file.read_at(piece, at + (index * PIECE_BYTES) as u64);
        has_failed |= read.is_err();
        piece.get_mut(read.unwrap_or(0)..).unwrap_or_default().fill(0);
    }
    has_failed
}
