//! One search: parts are looked at best first, by the bounds of what is in them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use logmon_core::{Incomplete, Order, Page, QueryError, Search};

use super::work::{Task, work};
use super::{Best, Look, Part, PartError, Rank, Seen, Snapshot, Turn};

/// Searches a snapshot.
pub(crate) fn search(
    snapshot: Snapshot,
    search: &Search,
    turn: Turn<'_>,
) -> Result<Page, QueryError> {
    let look = Look::new(&search.scope, snapshot.head.seq, turn.cancel);
    let look = look.behind(search.order, search.after).with_ties(snapshot.ties);
    // One more than asked for tells whether there is more.
    let best = Best::new(search.order, search.limit.saturating_add(1), search.scope.max_bytes);
    let task = Finding { search, look: &look, best: Mutex::new(best) };
    let done = work(&task, snapshot.parts, (&look, turn.crew))?;
    let mut page = Page::empty(snapshot.head);
    page.stats = done.stats();
    page.incomplete = done.left.map(|_| Incomplete::Timeout);
    // What was not looked at may come before hits behind it, so the page ends there.
    let bound = done.left;
    let (hits, is_cut) = task.into_best().into_hits(bound);
    page.hits = hits;
    let is_cut = is_cut || page.hits.len() > search.limit;
    page.has_more = is_cut || bound.is_some();
    page.scanned_to = bound.filter(|_| !is_cut).map(|bound| bound.key.before(search.order));
    page.hits.truncate(search.limit);
    Ok(page)
}

struct Finding<'s> {
    search: &'s Search,
    look: &'s Look<'s>,
    best: Mutex<Best>,
}

impl Finding<'_> {
    fn best(&self) -> MutexGuard<'_, Best> {
        // Nothing panics while the lock is held.
        self.best.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_best(self) -> Best {
        self.best.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task for Finding<'_> {
    /// No event of a part comes before it.
    type Rank = Rank;
    type Gathered = ();

    fn rank(&self, part: &dyn Part) -> Option<Rank> {
        let Search { order, after, .. } = *self.search;
        let bounds = part.bounds();
        if !self.look.is_possible(&bounds) {
            return None;
        }
        let (first, last) = self.look.ties.places(&bounds);
        let (bound, end) = match order {
            Order::NewestFirst => (last, first),
            Order::OldestFirst => (first, last),
        };
        // Nothing in it comes behind the end of the last page.
        let is_over = after.is_some_and(|after| Rank::new(order, end) <= Rank::new(order, after));
        (!is_over).then(|| Rank::new(order, bound))
    }

    fn matters(&self, rank: Rank) -> bool {
        self.best().would_take(rank.key)
    }

    fn begin(&self) {}

    fn look_at(&self, part: &dyn Part, (): &mut ()) -> Result<Seen, PartError> {
        let mut best = self.best().fork();
        let found = part.find(self.look, &mut best);
        best.settle();
        // What was found before it failed is true as well.
        self.best().absorb(best);
        found
    }

    fn end(&self, (): ()) {}
}
