//! What a query sees: the blocks at one instant, and the journal behind them.

use std::sync::Arc;

use logmon_core::{EventId, Hit, QueryError};

use super::block::Scratch;
use super::catalog::Catalog;
use super::parts;
use super::shared::Shared;
use crate::DiskJournal;
use crate::journal::View;
use crate::query::{Foreign, PartError, Snapshot, Ties, parts_of};

/// How often a query begins anew because what it was to look at has moved on.
const MAX_ATTEMPTS: usize = 4;

/// The blocks, and a view of the journal that begins where they end, or before.
fn take(shared: &Shared, journal: &DiskJournal) -> (Arc<Catalog>, Arc<View>) {
    loop {
        let catalog = shared.catalog();
        let view = Arc::new(journal.view());
        // The journal may have let go of what went into blocks between the two.
        if view.first_seq() <= catalog.end_seq || shared.catalog().end_seq <= catalog.end_seq {
            return (catalog, view);
        }
    }
}

/// Answers a query from one state of the store: each event is seen once.
///
/// What was in the journal when the query began, and went into blocks and out of the journal before
/// it was looked at, makes it begin anew.
pub(super) fn answer<T>(
    shared: &Shared,
    journal: &DiskJournal,
    query: impl Fn(Snapshot) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    let mut attempts = 1;
    loop {
        let (catalog, view) = take(shared, journal);
        let blocks = catalog.partitions().filter_map(parts::part_of);
        let parts = blocks.chain(parts_of(&view, catalog.end_seq, Foreign::Skip)).collect();
        let answer = query(Snapshot { head: view.head(), parts, ties: Ties::Numbers });
        if view.is_intact(catalog.end_seq) || attempts >= MAX_ATTEMPTS {
            return answer;
        }
        attempts += 1;
    }
}

/// The event with an id.
pub(super) fn find(
    shared: &Shared,
    journal: &DiskJournal,
    id: EventId,
) -> Result<Option<Hit>, QueryError> {
    let (catalog, view) = take(shared, journal);
    let found = find_sealed(&catalog, id);
    if let Ok(Some(hit)) = found {
        return Ok(Some(hit));
    }
    // It may be damaged in the block and whole in the journal.
    let in_journal = view.find(id).map_err(|error| QueryError::Io(error.to_string()))?;
    if let Some((group, at)) = in_journal {
        return Ok(Hit::new(group.select(&[at]), 0));
    }
    Ok(found?)
}

fn find_sealed(catalog: &Catalog, id: EventId) -> Result<Option<Hit>, PartError> {
    const LOW: u64 = 1 << 40;
    let mut scratch = Scratch::default();
    let first = catalog.partitions().next().map_or(0, |first| first.header.first_seq);
    // An id has the low bits of the number only.
    let mut seq = (first & !(LOW - 1)) | id.seq_low();
    while seq < catalog.end_seq {
        if let Some(partition) = catalog.partition_of(seq)
            && let Some(hit) = parts::find(partition, seq, &mut scratch)?
            && hit.log().id() == id
        {
            return Ok(Some(hit));
        }
        seq += LOW;
    }
    Ok(None)
}
