//! Counting in the journal what nobody counted when it passed.

use std::ops::Range;
use std::sync::Arc;

use super::READ_BYTES;
use super::ring::{indices, levels};
use crate::filter::Filter;
use crate::{Journal, LevelCounts, Position};

/// The most events one count looks at.
pub(super) const BUDGET_EVENTS: usize = 10_000_000;

/// Counts by level what `filter` accepts in `range`; `None` beyond the budget, or where a part of
/// the range cannot be read any more.
pub(super) async fn count(
    journal: Arc<dyn Journal>,
    filter: Arc<Filter>,
    range: Range<u64>,
) -> Option<LevelCounts> {
    let epoch = journal.head().epoch;
    let (mut counts, mut at, mut looked_at) = (LevelCounts::default(), range.start, 0);
    while at < range.end {
        let Ok(Some(group)) = journal.read(Position { epoch, seq: at }, READ_BYTES).await else {
            return None;
        };
        let found = indices(&filter, &group, at, usize::MAX);
        let end = group.index_of(range.end);
        let inside = found.partition_point(|index| (*index as usize) < end);
        counts += levels(&group, found.get(..inside).unwrap_or_default());
        at = group.end_seq();
        looked_at += group.len();
        if looked_at > BUDGET_EVENTS {
            return None;
        }
    }
    Some(counts)
}
