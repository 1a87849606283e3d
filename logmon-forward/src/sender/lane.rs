//! One connection's worth of chunks to one node: a task that connects when there is something to
//! send, writes, and takes acknowledgements, until its queue is closed.
//!
//! Whoever waits for a chunk may go away at any time; the lane finishes what it has begun, so a
//! message is never cut.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::failure::Failure;
use super::node::Node;
use super::pool::{Lease, Pool};
use super::stats::Counters;

mod session;

use session::Session;

/// A chunk as it goes over the wire.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) message: Bytes,
    /// The chunk id, where an acknowledgement is wanted.
    pub(super) id: Option<Arc<str>>,
    pub(super) events: u64,
    /// What all nodes rank this chunk by, where its tag is to stay on one.
    pub(super) sticky: Option<u64>,
    /// Its share of the bytes in flight, held until nobody has the message any more.
    pub(super) _permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// A chunk for this lane.
pub(super) struct Request {
    pub(super) job: Job,
    pub(super) lease: Lease,
    pub(super) reply: oneshot::Sender<Result<(), Failure>>,
}

impl Request {
    /// Tells whoever waits. The place is free before they know.
    fn answer(self, outcome: Result<(), Failure>) {
        drop(self.lease);
        // Nobody may wait any more.
        let _listener = self.reply.send(outcome);
    }
}

/// The task.
pub(super) struct Lane {
    pub(super) pool: Arc<Pool>,
    pub(super) node: Arc<Node>,
    pub(super) requests: mpsc::Receiver<Request>,
}

/// How a session ended.
enum End {
    /// Nothing was owed.
    Idle,
    /// The connection was dead before this chunk was begun.
    Again(Request),
    Failed(Failure, Vec<Request>),
}

impl Lane {
    pub(super) async fn run(mut self) {
        let (mut next, mut has_failed) = (None, false);
        loop {
            let first = match next.take() {
                Some(request) => request,
                None => match self.requests.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            let end = match self.pool.connect(&self.node, has_failed).await {
                Ok(connection) => {
                    Counters::add(&self.pool.counters.connects, 1);
                    Session::new(&mut self, connection, first).run().await
                }
                Err(failure) => End::Failed(failure, vec![first]),
            };
            has_failed = matches!(end, End::Failed(..));
            match end {
                End::Idle => {}
                End::Again(request) => next = Some(request),
                End::Failed(failure, owed) => self.fail(&failure, owed),
            }
        }
    }

    /// Gives everything back that was given to this lane. What came before the node was marked is
    /// in the queue; nothing comes after it.
    fn fail(&mut self, failure: &Failure, owed: Vec<Request>) {
        self.pool.failed(self.node.id, failure);
        for request in owed {
            request.answer(Err(failure.clone()));
        }
        while let Ok(request) = self.requests.try_recv() {
            request.answer(Err(failure.clone()));
        }
    }
}
