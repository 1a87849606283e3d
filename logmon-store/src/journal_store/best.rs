//! The best hits so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use logmon_core::{Group, Hit, Order, PageKey};

/// Keeps the first `limit` hits of an order.
///
/// Each is copied into a group of its own, so that a page does not keep big groups alive.
#[derive(Debug)]
pub(super) struct Best {
    order: Order,
    limit: usize,
    /// The worst is on top.
    hits: BinaryHeap<Ranked>,
}

#[derive(Debug)]
struct Ranked {
    rank: Rank,
    hit: Hit,
}

/// A key in the order of a search: what comes first is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    order: Order,
    pub(super) key: PageKey,
}

impl Rank {
    pub(super) const fn new(order: Order, key: PageKey) -> Self {
        Self { order, key }
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
    pub(super) fn new(order: Order, limit: usize) -> Self {
        Self { order, limit, hits: BinaryHeap::new() }
    }

    /// Whether something of this key could still be among the best.
    pub(super) fn would_take(&self, key: PageKey) -> bool {
        let rank = Rank::new(self.order, key);
        self.hits.len() < self.limit || self.hits.peek().is_some_and(|worst| rank < worst.rank)
    }

    /// Takes the event `at` of `group` if it is among the best.
    pub(super) fn offer(&mut self, key: PageKey, group: &Group, at: usize) {
        if self.would_take(key)
            && let Some(hit) = Hit::new(group.select(&[at]), 0)
        {
            self.hits.push(Ranked { rank: Rank::new(self.order, key), hit });
            if self.hits.len() > self.limit {
                self.hits.pop();
            }
        }
    }

    /// The hits in order, up to the first that is worse than `bound`.
    pub(super) fn into_hits(self, bound: Option<Rank>) -> Vec<Hit> {
        let mut ranked = self.hits.into_sorted_vec();
        if let Some(bound) = bound {
            ranked.retain(|hit| hit.rank < bound);
        }
        ranked.into_iter().map(|ranked| ranked.hit).collect()
    }
}
