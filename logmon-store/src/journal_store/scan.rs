//! One search: parts of the journal are looked at best first, by the bounds of what is in them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::sync::atomic::{self, AtomicBool};
use std::time::Instant;

use logmon_core::{Event as _, Group, LogRef, Order, Page, PageKey, QueryError, Search};

use super::best::{Best, Rank};
use crate::journal::{Extent, View};

/// Searches a view.
pub(super) fn search(
    mut view: View,
    search: &Search,
    cancel: &AtomicBool,
) -> Result<Page, QueryError> {
    let end_seq = search.snapshot.unwrap_or(u64::MAX).min(view.head().seq);
    let mut scan = Scan {
        search,
        end_seq,
        deadline: Instant::now().checked_add(search.budget),
        waiting: BinaryHeap::new(),
        // One more than asked for tells whether there is more.
        best: Best::new(search.order, search.limit.saturating_add(1)),
        page: Page::empty(view.head()),
    };
    let segments: Vec<Extent> = view.segments().collect();
    segments.into_iter().for_each(|extent| scan.consider(extent));
    let bound = scan.run(&mut view, cancel).map_err(|error| failure(&error))?;
    Ok(scan.finish(bound))
}

pub(super) fn failure(error: &io::Error) -> QueryError {
    QueryError::Io(error.to_string())
}

struct Scan<'s> {
    search: &'s Search,
    end_seq: u64,
    deadline: Option<Instant>,
    waiting: BinaryHeap<Waiting>,
    best: Best,
    page: Page,
}

/// A part that may have hits, none of which comes before `bound`.
struct Waiting {
    bound: Rank,
    extent: Extent,
}

impl Scan<'_> {
    /// Lets a part wait for its turn if anything in it can be wanted.
    fn consider(&mut self, extent: Extent) {
        let Search { from, to, order, after, .. } = *self.search;
        let (earliest, latest) = extent.times;
        let is_possible = earliest < to && latest >= from && extent.first_seq < self.end_seq;
        let last_seq = extent.end_seq.saturating_sub(1);
        let (first, last) = (
            PageKey { timestamp: earliest, seq: extent.first_seq },
            PageKey { timestamp: latest, seq: last_seq },
        );
        let (bound, end) = match order {
            Order::NewestFirst => (last, first),
            Order::OldestFirst => (first, last),
        };
        // Nothing in it comes behind the end of the last page.
        let is_over = after.is_some_and(|after| Rank::new(order, end) <= Rank::new(order, after));
        if is_possible && !is_over {
            self.waiting.push(Waiting { bound: Rank::new(order, bound), extent });
        }
    }

    /// Looks at parts until no other can change the page; gives the bound of what was not looked at
    /// if the budget ended it.
    fn run(&mut self, view: &mut View, cancel: &AtomicBool) -> io::Result<Option<Rank>> {
        while let Some(Waiting { bound, extent }) = self.waiting.pop() {
            if !self.best.would_take(bound.key) {
                self.page.stats.matched_exact = false;
                return Ok(None);
            }
            let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_late || cancel.load(atomic::Ordering::Relaxed) {
                self.page.is_complete = false;
                self.page.stats.matched_exact = false;
                return Ok(Some(bound));
            }
            if extent.is_segment() {
                for block in view.split(&extent)? {
                    self.consider(block);
                }
            } else if let Some((group, bytes)) = view.read(&extent)? {
                self.page.stats.scanned_bytes += bytes;
                self.look_at(&group);
            }
        }
        Ok(None)
    }

    fn look_at(&mut self, group: &Group) {
        for log in group.iter() {
            let key = PageKey { timestamp: log.timestamp(), seq: log.seq() };
            if self.is_in_range(key) {
                self.page.stats.scanned_events += 1;
                if self.search.filter.matches::<LogRef<'_>>(&log) {
                    self.page.stats.matched += 1;
                    self.best.offer(key, group, log.index());
                }
            }
        }
    }

    fn is_in_range(&self, key: PageKey) -> bool {
        let Search { from, to, order, after, .. } = *self.search;
        (from..to).contains(&key.timestamp)
            && key.seq < self.end_seq
            && after.is_none_or(|after| Rank::new(order, key) > Rank::new(order, after))
    }

    /// What was not looked at may come before hits behind `bound`, so the page ends there.
    fn finish(self, bound: Option<Rank>) -> Page {
        let Self { best, mut page, search, .. } = self;
        page.hits = best.into_hits(bound);
        let is_cut = page.hits.len() > search.limit;
        page.has_more = is_cut || bound.is_some();
        page.scanned_to = bound.filter(|_| !is_cut).map(|bound| bound.key.before(search.order));
        page.hits.truncate(search.limit);
        page
    }
}

impl Ord for Waiting {
    /// The first in the search's order is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.bound.cmp(&self.bound)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.bound == other.bound
    }
}

impl Eq for Waiting {}
