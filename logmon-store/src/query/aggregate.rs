//! Counting over all parts.

use std::sync::{Arc, Mutex, PoisonError};

use logmon_core::{Aggregate, Aggregated, QueryError, Tables};

use super::sweep::{Gather, Swept, sweep};
use super::{Look, Part, PartError, Seen, Snapshot, Turn};

/// Counts the events of a snapshot.
pub(crate) fn aggregate(
    snapshot: Snapshot,
    query: &Aggregate,
    turn: Turn<'_>,
) -> Result<Aggregated, QueryError> {
    let Snapshot { head, parts, .. } = snapshot;
    let max_bytes = query.scope.max_bytes;
    let shared = Arc::new(Mutex::new(Tables::within(query.tables.clone(), max_bytes)));
    // All threads together an eighth beside it.
    let own_bytes = max_bytes / 8 / turn.crew.threads();
    let begin = || Tables::beside(&shared, own_bytes);
    let swept = sweep((parts, head.seq), (&query.scope, turn), (&begin, &shared))?;
    let empty = Tables::within(Vec::new(), 0);
    let tables =
        std::mem::replace(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner), empty);
    let Swept { incomplete, scanned_to, stats } = swept;
    let mut answer = Aggregated::new(tables.finish(), head, stats);
    (answer.incomplete, answer.scanned_to) = (incomplete, scanned_to);
    Ok(answer)
}

impl Gather for Tables {
    fn look_at(&mut self, part: &dyn Part, look: &Look<'_>) -> Result<Seen, PartError> {
        part.tally(look, self)
    }

    fn merge(&mut self, other: Self) {
        Self::merge(self, other);
    }
}
