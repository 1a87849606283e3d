//! Places: in the queue of those that wait, and on a lane. Both are given back by dropping them.

use std::sync::Arc;

use super::Pool;

/// A place in the queue of those that wait for a node. It is kept from first to last try.
#[derive(Debug)]
pub(in super::super) struct Ticket {
    pub(super) pool: Arc<Pool>,
    pub(super) number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pool.lock().waiting.remove(&self.number);
        self.pool.changed.notify_waiters();
    }
}

/// A place on a lane; free again when dropped.
#[derive(Debug)]
pub(in super::super) struct Lease {
    pub(in super::super) pool: Arc<Pool>,
    pub(in super::super) node: u64,
    pub(in super::super) lane: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Some(lane) = state.member(self.node).and_then(|it| it.lanes.get_mut(self.lane)) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
        drop(state);
        self.pool.changed.notify_waiters();
    }
}
