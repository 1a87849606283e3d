//! The fields of the events in all parts.

use std::sync::{Mutex, PoisonError};

use logmon_core::{FieldCatalogue, FieldTally, QueryError, Scope};

use super::sweep::{Gather, Swept, sweep};
use super::{Look, Part, PartError, Seen, Snapshot, Turn};

/// Finds out which fields the events of a snapshot have.
pub(crate) fn fields(
    snapshot: Snapshot,
    scope: &Scope,
    turn: Turn<'_>,
) -> Result<FieldCatalogue, QueryError> {
    let Snapshot { head, parts, .. } = snapshot;
    let all = Mutex::new(FieldTally::with_memory(scope.max_bytes / 2));
    let own_bytes = scope.max_bytes / 2 / turn.crew.threads();
    let begin = || FieldTally::with_memory(own_bytes);
    let Swept { incomplete, scanned_to, stats } =
        sweep((parts, head.seq), (scope, turn), (&begin, &all))?;
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut answer = FieldCatalogue::new(all, head, stats);
    (answer.incomplete, answer.scanned_to) = (incomplete, scanned_to);
    Ok(answer)
}

impl Gather for FieldTally {
    fn look_at(&mut self, part: &dyn Part, look: &Look<'_>) -> Result<Seen, PartError> {
        part.fields(look, self)
    }

    fn merge(&mut self, other: Self) {
        Self::merge(self, other);
    }
}
