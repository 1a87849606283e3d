//! One node of a pool: its health, its lanes, its numbers.

use std::sync::Arc;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::balance::Candidate;
use super::super::health::{Health, Standing};
use super::super::lane::{Lane, Request};
use super::super::node::Node;
use super::super::stats::{NodeState, NodeStats};
use super::Pool;

/// A node and what is going on with it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) node: Arc<Node>,
    pub(super) health: Health,
    pub(super) weight: u32,
    pub(super) is_standby: bool,
    pub(super) tier: u16,
    /// Whether it comes from SRV records.
    pub(super) is_discovered: bool,
    pub(super) lanes: Vec<Queue>,
    pub(super) chunks: u64,
    pub(super) failures: u64,
    pub(super) is_asked: bool,
}

/// The entrance of a lane.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) in_flight: usize,
}

impl Member {
    pub(super) fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.in_flight).sum()
    }

    pub(super) fn candidate(&self, now: Instant, room: usize) -> Candidate {
        Candidate {
            weight: self.weight,
            is_standby: self.is_standby,
            tier: self.tier,
            standing: self.health.standing(now),
            in_flight: self.in_flight(),
            room,
        }
    }

    /// The lane with the least to do; a new one while all are busy and there may be more. A queue
    /// has room for as much as the node may have in flight, so it is never full.
    pub(super) fn lane(
        &mut self,
        pool: &Arc<Pool>,
        room: usize,
    ) -> (usize, Option<JoinHandle<()>>) {
        // A lane whose task broke takes nothing any more, and what was in it is gone.
        let load = |(at, lane): (usize, &Queue)| (lane.requests.is_closed(), lane.in_flight, at);
        let least = self.lanes.iter().enumerate().map(load).min();
        let limit = pool.config.connections.max(1);
        match least {
            Some((false, in_flight, at)) if in_flight == 0 || self.lanes.len() >= limit => {
                (at, None)
            }
            _ => {
                let (sender, requests) = mpsc::channel(room);
                self.lanes.push(Queue { requests: sender, in_flight: 0 });
                let lane = Lane { pool: pool.clone(), node: self.node.clone(), requests };
                (self.lanes.len() - 1, Some(tokio::spawn(lane.run())))
            }
        }
    }

    /// Puts a chunk into the queue of a lane; gives it back if the lane is gone.
    pub(super) fn send(&mut self, lane: usize, request: Request) -> Option<Request> {
        let Some(queue) = self.lanes.get_mut(lane) else { return Some(request) };
        queue.in_flight += 1;
        queue.requests.try_send(request).err().map(TrySendError::into_inner)
    }

    pub(super) fn stats(&self, now: Instant) -> NodeStats {
        NodeStats {
            address: self.node.address.clone(),
            state: match self.health.standing(now) {
                Standing::Up => NodeState::Up,
                Standing::Probe => NodeState::Recovering,
                Standing::Suspect | Standing::Down(_) => NodeState::Down,
            },
            weight: self.weight,
            standby: self.is_standby,
            priority: self.tier,
            in_flight: self.in_flight(),
            chunks: self.chunks,
            failures: self.failures,
        }
    }
}
