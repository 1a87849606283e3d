//! Where a store goes on in the journal.

use super::block::Scratch;
use super::catalog::Partition;
use super::recovery::{Recovered, gaps};
use super::report::StoreError;

/// Where the journal stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// The first event that can be read.
    pub(super) oldest: u64,
    pub(super) head: u64,
    /// Events before this number are durable in blocks, as far as the cursor knows.
    pub(super) saved: u64,
}

/// Settles which blocks count; gives the number of the first event that is in none.
///
/// The last partition was written by a process that ended without closing it. What is not known to
/// be durable in it is void where the journal has it still, whether it can be read or not: a block
/// that a failed disk has not taken can look as if it were there. Elsewhere it counts as far as it
/// is whole.
///
/// # Errors
/// The journal would give numbers twice, or the partition cannot be made durable.
pub(super) fn settle(recovered: &mut Recovered, around: Around) -> Result<u64, StoreError> {
    let Around { oldest, head, saved } = around;
    if head < recovered.end_seq {
        return Err(StoreError::Ahead { head, end: recovered.end_seq });
    }
    if recovered.end_seq == 0 {
        // A new store begins where the journal does.
        recovered.end_seq = oldest;
    }
    let Some(last) = recovered.partitions.last_mut() else { return Ok(recovered.end_seq) };
    if last.closed.is_some() || last.end_seq() < recovered.end_seq {
        return Ok(recovered.end_seq);
    }
    let first_seq = last.header.first_seq;
    if saved > last.end_seq() {
        tracing::error!(
            file = &*last.name,
            from = last.end_seq(),
            to = saved,
            "the disk has lost what it said was durable; what the journal has of it is sealed again"
        );
    }
    // A disk that has lied once is not believed about the rest of the file either.
    let known = if saved > last.end_seq() { first_seq } else { saved.max(first_seq) };
    // What is missing in the middle may be in the journal still.
    let durable = first_gap(last).filter(|gap| oldest <= *gap).map_or(known, |gap| gap.min(known));
    if durable < last.end_seq() {
        let kept = if oldest <= durable { last.cut(durable) } else { whole(last, durable)? };
        *last = Partition { lost: gaps(&kept), ..kept };
        recovered.end_seq = last.end_seq();
        recovered.delivered = last.events_after();
    }
    last.closed = Some(last.header.begun.max(last.received));
    if last.blocks.is_empty() {
        let (number, is_unread) = (last.number(), last.is_unread);
        recovered.partitions.pop();
        recovered.void.extend((!is_unread).then_some(number));
    }
    Ok(recovered.end_seq)
}

/// The first number that no unit of a partition covers, where others follow.
fn first_gap(last: &Partition) -> Option<u64> {
    let mut end = last.header.first_seq;
    last.blocks.iter().find_map(|block| {
        let gap = (block.info.unit.start > end).then_some(end);
        end = block.info.unit.end;
        gap
    })
}

/// A partition up to the first unit behind `durable` that is not whole, made durable.
fn whole(last: &Partition, durable: u64) -> Result<Partition, StoreError> {
    let mut scratch = Scratch::default();
    let (mut end, mut next_start) = (last.end_seq(), last.header.first_seq);
    for (at, entry) in last.blocks.iter().enumerate() {
        let is_next = entry.info.part.0 > 0 || entry.info.unit.start <= next_start.max(durable);
        let next = last.blocks.get(at + 1).filter(|next| next.info.unit == entry.info.unit);
        let has_all = entry.info.part.0 + 1 == entry.info.part.1 || next.is_some();
        let mut is_whole = || {
            let block = last.block(entry).ok().flatten();
            block.is_some_and(|block| block.verify(&mut scratch).is_ok())
        };
        if entry.info.unit.end > durable && !(is_next && has_all && is_whole()) {
            end = entry.info.unit.start.min(next_start);
            break;
        }
        next_start = entry.info.unit.end;
    }
    let file = last.reading.files.get(last.number());
    let synced = file.and_then(|file| file.sync_data());
    synced.map_err(StoreError::io(format!("syncing {}", last.name)))?;
    Ok(last.cut(end))
}
