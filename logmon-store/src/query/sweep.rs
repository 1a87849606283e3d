//! Looking at all parts, the newest first.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};

use logmon_core::{Incomplete, QueryError, QueryStats, Scope, Timestamp};

use super::work::{Task, work};
use super::{Look, Part, PartError, Seen, Turn};

/// What is gathered from parts.
pub(super) trait Gather: Send {
    /// Adds a part.
    fn look_at(&mut self, part: &dyn Part, look: &Look<'_>) -> Result<Seen, PartError>;

    /// Adds what another thread gathered.
    fn merge(&mut self, other: Self);
}

/// How far a sweep came.
#[derive(Debug)]
pub(super) struct Swept {
    pub(super) incomplete: Option<Incomplete>,
    /// If it did not come to the end: everything from this instant on was looked at.
    pub(super) scanned_to: Option<Timestamp>,
    pub(super) stats: QueryStats,
}

/// Gathers from all parts: each thread by one that `begin` gives, `into` gets all.
pub(super) fn sweep<G: Gather>(
    (parts, head_seq): (Vec<Arc<dyn Part>>, u64),
    (scope, turn): (&Scope, Turn<'_>),
    (begin, into): (&(dyn Fn() -> G + Sync), &Mutex<G>),
) -> Result<Swept, QueryError> {
    let look = Look::new(scope, head_seq, turn.cancel);
    let done = work(&Sweep { look: &look, begin, into }, parts, (&look, turn.crew))?;
    let after = |Reverse(latest): Reverse<Timestamp>| {
        let next = latest.as_nanos().checked_add(1);
        next.map(Timestamp::from_nanos).filter(|next| *next < scope.to)
    };
    Ok(Swept {
        incomplete: done.left.map(|_| Incomplete::Timeout),
        scanned_to: done.left.and_then(after),
        stats: done.stats(),
    })
}

struct Sweep<'s, G> {
    look: &'s Look<'s>,
    begin: &'s (dyn Fn() -> G + Sync),
    into: &'s Mutex<G>,
}

impl<G: Gather> Task for Sweep<'_, G> {
    /// The latest timestamp, the latest of all first.
    type Rank = Reverse<Timestamp>;
    type Gathered = G;

    fn rank(&self, part: &dyn Part) -> Option<Self::Rank> {
        let bounds = part.bounds();
        self.look.is_possible(&bounds).then_some(Reverse(bounds.times.1))
    }

    fn matters(&self, _: Self::Rank) -> bool {
        true
    }

    fn begin(&self) -> G {
        (self.begin)()
    }

    fn look_at(&self, part: &dyn Part, gathered: &mut G) -> Result<Seen, PartError> {
        gathered.look_at(part, self.look)
    }

    fn end(&self, gathered: G) {
        self.into.lock().unwrap_or_else(PoisonError::into_inner).merge(gathered);
    }
}
