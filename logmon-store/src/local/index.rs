//! The index of a closed partition: all its block headers in one file.
//!
//! It is `LMINDX` `01` `0a`; the header of the partition file; its length, when it was closed, and
//! the events that were lost in it (8 bytes each); the bytes of a block header and the count of
//! blocks (4 bytes each); of each block its place in the partition file (8 bytes) and its header;
//! and the CRC-32C of all that (4 bytes). Numbers are little-endian.
//!
//! It says which blocks the partition has: others in the file are void. What is lost with an index
//! is that and the time it saves; it is made again from the partition file.

use std::io;
use std::sync::Arc;

use logmon_core::Timestamp;

use super::block::{BlockInfo, HEADER_BYTES, HeaderFault};
use super::catalog::{Entry, Partition, Reading};
use super::files::{read_small, replace};
use super::partition::{self, Header, index_name};
use super::report::StoreError;
use crate::vfs::Vfs;
use crate::wire::{Fields, Put as _};

const MAGIC: &[u8; 8] = b"LMINDX\x01\n";
/// Blocks a partition has at most; more than fit a file of the greatest length one can set.
const MAX_BLOCKS: usize = 1 << 20;
const MAX_BYTES: usize = 128 + MAX_BLOCKS * (8 + HEADER_BYTES);

/// The partition an index describes; `None` where there is none that is intact.
pub(super) fn read(
    vfs: &dyn Vfs,
    number: u64,
    reading: &Arc<Reading>,
) -> Result<Option<Partition>, StoreError> {
    let name = index_name(number);
    // An index that cannot be read is made again, as a damaged one is.
    let Ok(Some(bytes)) = read_small(vfs, &name, MAX_BYTES) else { return Ok(None) };
    match parse(&bytes, reading) {
        Ok(partition) => Ok(partition.filter(|partition| partition.number() == number)),
        Err(version) => {
            let what = format!("blocks of version {version}");
            Err(StoreError::Later { file: name, what })
        }
    }
}

/// Writes the index of a partition; gives its length.
///
/// # Durability
/// As that of [`replace`]. Whatever it describes has to be durable before.
pub(super) fn write(vfs: &dyn Vfs, partition: &Partition) -> io::Result<u64> {
    let bytes = to_bytes(partition);
    replace(vfs, &index_name(partition.number()), &bytes)?;
    Ok(bytes.len() as u64)
}

fn to_bytes(partition: &Partition) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + partition.blocks.len() * (8 + HEADER_BYTES));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&partition.header.to_bytes());
    out.put_u64(partition.len);
    out.put_i64(partition.closed.unwrap_or(Timestamp::MIN).as_nanos());
    out.put_u64(partition.lost);
    out.put_u32(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX));
    out.put_u32(u32::try_from(partition.blocks.len()).unwrap_or(u32::MAX));
    for block in &partition.blocks {
        out.put_u64(block.offset);
        let start = out.len();
        out.resize(start + HEADER_BYTES, 0);
        block.info.write(out.get_mut(start..).unwrap_or_default());
    }
    out.put_crc();
    out
}

/// # Errors
/// The version of its blocks, if that is a later one.
fn parse(bytes: &[u8], reading: &Arc<Reading>) -> Result<Option<Partition>, u16> {
    let Some(mut take) = Fields::checked(bytes, MAGIC) else { return Ok(None) };
    let Some((mut partition, len, header_len, count)) = start(&mut take, reading) else {
        return Ok(None);
    };
    for _ in 0..count {
        let Some((offset, header)) = take.u64().zip(take.bytes(header_len)) else {
            return Ok(None);
        };
        match BlockInfo::parse(header) {
            Ok(info) => partition.push(Entry { info: Arc::new(info), offset }),
            Err(HeaderFault::Version(version)) => return Err(version),
            Err(HeaderFault::Damaged) => return Ok(None),
        }
    }
    partition.index_len = bytes.len() as u64;
    Ok((take.is_empty() && partition.len == len).then_some(partition))
}

/// The partition without its blocks, its length, that of a block's header and the number of blocks.
fn start(take: &mut Fields<'_>, reading: &Arc<Reading>) -> Option<(Partition, u64, usize, usize)> {
    let header = Header::parse(take.bytes(partition::HEADER_BYTES)?).ok()?;
    let len = take.u64()?;
    let closed = Timestamp::from_nanos(take.i64()?);
    let lost = take.u64()?;
    let (header_len, count) = (take.u32()? as usize, take.u32()? as usize);
    let is_possible = count.checked_mul(header_len + 8)? == take.len();
    let empty = Partition::new(header, reading.clone());
    let partition = Partition { closed: Some(closed), lost, ..empty };
    let room = is_possible.then(|| Vec::with_capacity(count))?;
    Some((Partition { blocks: room, ..partition }, len, header_len, count))
}
