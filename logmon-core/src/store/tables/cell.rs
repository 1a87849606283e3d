//! The figures of a row while they grow.

use super::Tally;
use crate::{FieldValue, Row, Timestamp};

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) count: u64,
    sum: f64,
    times: (Timestamp, Timestamp),
    buckets: Box<[u64]>,
}

impl Cell {
    pub(super) fn new(buckets: usize) -> Self {
        let times = (Timestamp::MAX, Timestamp::MIN);
        Self { count: 0, sum: 0.0, times, buckets: vec![0; buckets].into() }
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    pub(super) fn add(&mut self, tally: &Tally) {
        self.count += tally.count;
        self.sum += tally.sum;
        self.times = (self.times.0.min(tally.times.0), self.times.1.max(tally.times.1));
        if let Some(bucket) = tally.bucket.and_then(|at| self.buckets.get_mut(at)) {
            *bucket += tally.count;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.times = (self.times.0.min(other.times.0), self.times.1.max(other.times.1));
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
    }

    pub(super) fn into_row(self, key: Box<[FieldValue]>) -> Row {
        let Self { count, sum, times: (first, last), buckets } = self;
        Row { key, count, sum, first, last, buckets: buckets.into() }
    }
}
