//! The best hits so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use logmon_core::{Group, Hit, Order, PageKey};

/// Keeps the first `limit` hits of an order, as far as they fit into `max_bytes`; the first of all
/// in any case.
#[derive(Debug)]
pub(crate) struct Best {
    order: Order,
    limit: usize,
    max_bytes: usize,
    /// The worst is on top.
    hits: BinaryHeap<Ranked>,
    /// What the hits take that are copies.
    bytes: usize,
    /// Only hits before it are taken.
    end: Option<Rank>,
    /// Whether a hit did not fit.
    is_cut: bool,
}

#[derive(Debug)]
struct Ranked {
    rank: Rank,
    hit: Hit,
    /// The memory of a hit in a group of its own.
    bytes: Option<usize>,
}

/// A key in the order of a search: what comes first is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    order: Order,
    pub(crate) key: PageKey,
}

impl Rank {
    pub(crate) const fn new(order: Order, key: PageKey) -> Self {
        Self { order, key }
    }

    /// Whether it comes before an event at `key`.
    pub(crate) fn is_before(self, key: PageKey) -> bool {
        self < Self::new(self.order, key)
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.order {
            Order::NewestFirst => other.key.cmp(&self.key),
            Order::OldestFirst => self.key.cmp(&other.key),
        }
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Ranked {}

impl Best {
    pub(crate) fn new(order: Order, limit: usize, max_bytes: usize) -> Self {
        let hits = BinaryHeap::new();
        Self { order, limit, max_bytes, hits, bytes: 0, end: None, is_cut: false }
    }

    /// An empty one that takes what this one would take.
    pub(super) fn fork(&self) -> Self {
        let end = if self.hits.len() < self.limit { None } else { self.hits.peek() };
        let end = end.map(|worst| worst.rank).into_iter().chain(self.end).min();
        Self { end, ..Self::new(self.order, self.limit, self.max_bytes) }
    }

    /// How many it keeps at most.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// The order.
    pub(crate) const fn order(&self) -> Order {
        self.order
    }

    /// Whether something of this key could still be among the best.
    pub(crate) fn would_take(&self, key: PageKey) -> bool {
        let rank = Rank::new(self.order, key);
        self.end.is_none_or(|end| rank < end)
            && (self.hits.len() < self.limit
                || self.hits.peek().is_some_and(|worst| rank < worst.rank))
    }

    /// Takes the event `at` of `group` if it is among the best.
    pub(crate) fn offer(&mut self, key: PageKey, group: &Group, at: usize) {
        if self.would_take(key)
            && let Some(hit) = Hit::at(group.clone(), at, key)
        {
            self.push(Ranked { rank: Rank::new(self.order, key), hit, bytes: None });
        }
    }

    fn push(&mut self, ranked: Ranked) {
        self.bytes += ranked.bytes.unwrap_or(0);
        self.hits.push(ranked);
        if self.hits.len() > self.limit {
            self.pop();
        }
        while self.bytes > self.max_bytes && self.hits.len() > 1 {
            self.is_cut = true;
            self.end = self.pop();
        }
    }

    /// Drops the worst.
    fn pop(&mut self) -> Option<Rank> {
        let worst = self.hits.pop()?;
        self.bytes -= worst.bytes.unwrap_or(0);
        Some(worst.rank)
    }

    /// Copies each hit into a group of its own, so that a page does not keep big groups alive.
    pub(super) fn settle(&mut self) {
        self.bytes = 0;
        for mut ranked in std::mem::take(&mut self.hits).into_sorted_vec() {
            if !self.would_take(ranked.rank.key) {
                return;
            }
            if ranked.bytes.is_none() {
                ranked.hit = ranked.hit.alone();
                ranked.bytes = Some(ranked.hit.memory());
            }
            self.push(ranked);
        }
    }

    /// Takes the hits of another one, which is settled.
    pub(super) fn absorb(&mut self, other: Self) {
        if other.is_cut {
            self.is_cut = true;
            self.end = self.end.into_iter().chain(other.end).min();
            while self
                .hits
                .peek()
                .is_some_and(|worst| self.end.is_some_and(|end| worst.rank >= end))
            {
                self.pop();
            }
        }
        for ranked in other.hits {
            if self.would_take(ranked.rank.key) {
                self.push(ranked);
            }
        }
    }

    /// The hits in order, up to the first that is worse than `bound`, and whether there were more
    /// that did not fit.
    pub(crate) fn into_hits(self, bound: Option<Rank>) -> (Vec<Hit>, bool) {
        let mut ranked = self.hits.into_sorted_vec();
        if let Some(bound) = bound {
            ranked.retain(|hit| hit.rank < bound);
        }
        (ranked.into_iter().map(|ranked| ranked.hit).collect(), self.is_cut)
    }
}
