//! What a sender counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Address, FailureKind};

/// The counters, written by many tasks.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) chunks: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) acks: AtomicU64,
    pub(super) resent: AtomicU64,
    pub(super) passed_through: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) heartbeats: AtomicU64,
    pub(super) failures: [AtomicU64; FailureKind::ALL.len()],
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Relaxed);
    }

    pub(super) fn fail(&self, kind: FailureKind) {
        let at = FailureKind::ALL.iter().position(|known| *known == kind);
        if let Some(counter) = at.and_then(|at| self.failures.get(at)) {
            Self::add(counter, 1);
        }
    }

    pub(super) fn snapshot(&self, nodes: Vec<NodeStats>) -> SenderStats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let failures = FailureKind::ALL.iter().zip(&self.failures);
        SenderStats {
            chunks: read(&self.chunks),
            events: read(&self.events),
            bytes: read(&self.bytes),
            acks: read(&self.acks),
            resent: read(&self.resent),
            passed_through: read(&self.passed_through),
            connects: read(&self.connects),
            heartbeats: read(&self.heartbeats),
            failures: failures.map(|(kind, count)| (*kind, read(count))).collect(),
            nodes,
        }
    }
}

/// What a sender has done so far. Numbers only grow, except those of what is going on now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SenderStats {
    /// Chunks delivered.
    pub chunks: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes of messages written whole, those that were written again included.
    pub bytes: u64,
    /// Acknowledgements.
    pub acks: u64,
    /// Chunks that were sent again.
    pub resent: u64,
    /// Chunks sent in the compressed form in which they came, without being compressed again.
    pub passed_through: u64,
    /// Connections made for chunks.
    pub connects: u64,
    /// Heartbeats that were answered.
    pub heartbeats: u64,
    /// Failures of each kind.
    pub failures: Vec<(FailureKind, u64)>,
    /// The nodes.
    pub nodes: Vec<NodeStats>,
}

impl SenderStats {
    /// How many failures of this kind there were.
    pub fn failures_of(&self, kind: FailureKind) -> u64 {
        self.failures.iter().filter(|(known, _)| *known == kind).map(|(_, count)| count).sum()
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Where it is.
    pub address: Address,
    /// How it stands.
    pub state: NodeState,
    /// Its weight.
    pub weight: u32,
    /// Whether it is a standby.
    pub standby: bool,
    /// The priority of its SRV record; zero for servers of the configuration.
    pub priority: u16,
    /// Chunks that are on their way to it.
    pub in_flight: usize,
    /// Chunks it has got.
    pub chunks: u64,
    /// Failures of it.
    pub failures: u64,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeState {
    /// It gets its share.
    Up,
    /// It was down and may show with one chunk that it is well.
    Recovering,
    /// It is left alone.
    Down,
}
