//! Looking at the parts of a snapshot, best first, by several threads.

use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::Instant;

use logmon_core::{QueryError, QueryStats};

use super::{Crew, Look, Part, PartError, Seen};

/// What a query does with parts.
pub(super) trait Task: Sync {
    /// Where a part stands in the order of looking; the least is first.
    type Rank: Ord + Copy + Send;
    /// What a thread gathers.
    type Gathered;

    /// The rank of a part, which is that of the parts it splits into or before them; `None` where
    /// nothing in it can be wanted.
    fn rank(&self, part: &dyn Part) -> Option<Self::Rank>;

    /// Whether parts of this rank still matter, after all that was looked at.
    fn matters(&self, rank: Self::Rank) -> bool;

    /// What a thread begins with.
    fn begin(&self) -> Self::Gathered;

    /// Looks at a part.
    fn look_at(&self, part: &dyn Part, gathered: &mut Self::Gathered) -> Result<Seen, PartError>;

    /// A thread has done its share.
    fn end(&self, gathered: Self::Gathered);
}

/// How far the work came.
pub(super) struct Done<R> {
    pub(super) seen: Seen,
    /// The first part that was not looked at to its end though it matters, as the time was over.
    pub(super) left: Option<R>,
    /// Whether there are parts that nobody looked at to their end.
    pub(super) has_skipped: bool,
}

impl<R> Done<R> {
    pub(super) fn stats(&self) -> QueryStats {
        let mut stats = QueryStats::default();
        stats.matched = self.seen.matched;
        stats.matched_exact = !self.has_skipped;
        stats.scanned_events = self.seen.events;
        stats.scanned_bytes = self.seen.bytes;
        stats.damaged = self.seen.damaged;
        stats
    }
}

/// Looks at parts until none of those left matters.
pub(super) fn work<T: Task>(
    task: &T,
    parts: Vec<Arc<dyn Part>>,
    (look, crew): (&Look<'_>, &Crew),
) -> Result<Done<T::Rank>, QueryError> {
    let work = Work { task, look, queue: Mutex::new(Queue::new()), changed: Condvar::new() };
    work.add(&mut work.queue(), parts);
    let begun = Instant::now();
    thread::scope(|scope| {
        let mut helpers = 0;
        work.run(|| {
            if begun.elapsed() >= crew.patience {
                helpers += work.call(crew, helpers, scope);
            }
        });
    });
    let queue = work.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    match queue.error {
        Some(error) => Err(error.into()),
        None => Ok(Done {
            seen: queue.seen,
            left: queue.left.filter(|rank| task.matters(*rank)),
            has_skipped: queue.has_skipped,
        }),
    }
}

struct Work<'w, T: Task> {
    task: &'w T,
    look: &'w Look<'w>,
    queue: Mutex<Queue<T::Rank>>,
    changed: Condvar,
}

struct Queue<R> {
    waiting: BinaryHeap<Waiting<R>>,
    /// The ranks of those that are looked at.
    running: Vec<R>,
    seen: Seen,
    left: Option<R>,
    has_skipped: bool,
    error: Option<PartError>,
}

struct Waiting<R> {
    rank: R,
    part: Arc<dyn Part>,
}

impl<T: Task> Work<'_, T> {
    fn queue(&self) -> MutexGuard<'_, Queue<T::Rank>> {
        // Nothing panics while the lock is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets more threads help, as far as they are free and there is something to do for them; gives
    /// their number.
    fn call<'s>(&'s self, crew: &Crew, helpers: usize, scope: &'s Scope<'s, '_>) -> usize {
        // The caller takes one itself.
        let wanted = self.queue().waiting.len().saturating_sub(1);
        let mut more = 0;
        while helpers + more < wanted
            && let Some(permit) = crew.helper()
        {
            let help = move || {
                let _permit = permit;
                self.run(|| ());
            };
            let helper = thread::Builder::new().name("logmon-query".into());
            if helper.spawn_scoped(scope, help).is_err() {
                break;
            }
            more += 1;
        }
        more
    }

    /// One thread's share: looks at parts while there are any.
    fn run(&self, mut before_each: impl FnMut()) {
        let mut gathered = self.task.begin();
        before_each();
        while let Some(Waiting { rank, part }) = self.next() {
            let found = self.look_at(&*part, &mut gathered);
            self.put(rank, found);
            before_each();
        }
        self.task.end(gathered);
    }

    /// The next part; waits for one while others may yet split theirs.
    fn next(&self) -> Option<Waiting<T::Rank>> {
        let mut queue = self.queue();
        loop {
            match queue.waiting.peek() {
                Some(first) if !self.task.matters(first.rank) => {
                    queue.has_skipped = true;
                    queue.waiting.clear();
                }
                Some(first) if self.look.is_over() => {
                    let rank = first.rank;
                    queue.leave(rank);
                    queue.waiting.clear();
                }
                Some(_) => {
                    let next = queue.waiting.pop()?;
                    queue.running.push(next.rank);
                    return Some(next);
                }
                None if queue.running.is_empty() => return None,
                None => {
                    queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn look_at(&self, part: &dyn Part, gathered: &mut T::Gathered) -> Result<Found, PartError> {
        match part.split()? {
            Some(parts) => Ok(Found::Parts(parts)),
            None => self.task.look_at(part, gathered).map(Found::Seen),
        }
    }

    /// Takes account of what came of a part.
    fn put(&self, rank: T::Rank, found: Result<Found, PartError>) {
        let mut queue = self.queue();
        match found {
            Ok(Found::Parts(parts)) => self.add(&mut queue, parts),
            Ok(Found::Seen(seen)) => {
                queue.seen += seen;
                if seen.is_cut {
                    queue.leave(rank);
                }
            }
            Err(PartError::Damaged { .. }) => queue.seen.damaged += 1,
            Err(error) => {
                queue.error.get_or_insert(error);
                queue.waiting.clear();
                self.look.end();
            }
        }
        if let Some(at) = queue.running.iter().position(|running| *running == rank) {
            queue.running.swap_remove(at);
        }
        let matters = |rank: &T::Rank| self.task.matters(*rank);
        let is_waited_for = queue.waiting.peek().is_some_and(|first| matters(&first.rank));
        if !is_waited_for && !queue.running.iter().any(matters) {
            self.look.end();
        }
        self.changed.notify_all();
    }

    fn add(&self, queue: &mut Queue<T::Rank>, parts: Vec<Arc<dyn Part>>) {
        if queue.error.is_none() {
            let wanted = |part: Arc<dyn Part>| Some((self.task.rank(&*part)?, part));
            let parts = parts.into_iter().filter_map(wanted);
            queue.waiting.extend(parts.map(|(rank, part)| Waiting { rank, part }));
        }
    }
}

enum Found {
    Parts(Vec<Arc<dyn Part>>),
    Seen(Seen),
}

impl<R: Ord + Copy> Queue<R> {
    const fn new() -> Self {
        Self {
            waiting: BinaryHeap::new(),
            running: Vec::new(),
            seen: Seen { events: 0, matched: 0, bytes: 0, damaged: 0, is_cut: false },
            left: None,
            has_skipped: false,
            error: None,
        }
    }

    /// A part of this rank is not looked at to its end.
    fn leave(&mut self, rank: R) {
        self.left = Some(self.left.map_or(rank, |left| left.min(rank)));
        self.has_skipped = true;
    }
}

impl<R: Ord> Ord for Waiting<R> {
    /// The least rank is the greatest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.rank.cmp(&self.rank)
    }
}

impl<R: Ord> PartialOrd for Waiting<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Ord> PartialEq for Waiting<R> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl<R: Ord> Eq for Waiting<R> {}
