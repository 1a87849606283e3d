//! Acknowledgements on their way back: after the commit, in order, and never in the way of
//! reading.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use bytes::{Buf as _, BytesMut};
use logmon_core::AppendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::warn;

use super::Shared;
use super::budget::Held;
use super::commits::Commits;
use super::stats::Stats;
use crate::transport::{Peer, WriteHalf};

/// How many messages of one connection may wait to be acknowledged. Their bytes are bounded by the
/// connection's credit; this bounds messages without any.
pub(super) const MAX_WAITING: usize = 1024;

/// A message that waits to become durable.
#[derive(Debug)]
pub(super) struct Pending {
    /// What has not been committed yet.
    pub(super) commits: Commits,
    /// The acknowledgements due then, ready to be written.
    pub(super) acks: Vec<u8>,
    /// How many they are.
    pub(super) count: u64,
    /// What the message holds of the budget.
    pub(super) held: Held,
    /// Its place among those that wait.
    pub(super) place: OwnedSemaphorePermit,
}

/// What a connection and the task that writes its acknowledgements share.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    /// A place for each message that waits. Closed when the task has ended.
    pub(super) places: Arc<Semaphore>,
    /// Acknowledgements that are due, now or later, and not written.
    pub(super) unwritten: Arc<AtomicU64>,
}

/// What the task leaves behind.
#[derive(Debug)]
pub(super) struct Outcome {
    /// An error where the journal did not take a message.
    pub(super) result: Result<(), AppendError>,
    /// Messages that are not all stored yet, and will not be acknowledged.
    pub(super) left: Vec<Pending>,
}

/// The task that waits for commits and writes acknowledgements.
///
/// That a message is stored is noted in the order of the journal, whatever the acknowledgements
/// before it wait for. Connections that wait for copies in each other's hands thus go on.
#[derive(Debug)]
pub(super) struct AckWriter {
    shared: Arc<Shared>,
    peer: Peer,
    socket: WriteHalf,
    ledger: Ledger,
    waiting: mpsc::Receiver<Pending>,
    /// The first message that is not stored.
    front: Option<Pending>,
    /// Messages that are, and wait for the first copies of their chunks, or for one that does.
    stored: VecDeque<Pending>,
    out: BytesMut,
    /// How many acknowledgements `out` holds.
    due: u64,
    is_gone: bool,
    has_warned: bool,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let (places, unwritten) = (Arc::new(Semaphore::new(MAX_WAITING)), Arc::default());
        Self { places, unwritten }
    }
}

impl AckWriter {
    pub(super) fn new(
        shared: Arc<Shared>,
        (peer, socket): (Peer, WriteHalf),
        ledger: Ledger,
        waiting: mpsc::Receiver<Pending>,
    ) -> Self {
        Self {
            shared,
            peer,
            socket,
            ledger,
            waiting,
            front: None,
            stored: VecDeque::new(),
            out: BytesMut::new(),
            due: 0,
            is_gone: false,
            has_warned: false,
        }
    }

    /// Works until all messages are committed and all acknowledgements written, after the other
    /// end of the queue is gone; or until it is told to let go, or nobody can tell it any more.
    ///
    /// Where the journal did not take a message, what was due before it has been written if the
    /// socket took it at once.
    pub(super) async fn run(mut self, mut let_go: oneshot::Receiver<()>) -> Outcome {
        let mut is_closed = false;
        loop {
            let is_done = self.front.is_none() && self.stored.is_empty() && self.out.is_empty();
            if is_closed && is_done {
                return self.leave(Ok(()));
            }
            // Commits come first, so that acknowledgements due at one time share a write.
            let result = tokio::select! {
                biased;
                _ = &mut let_go => return self.leave(Ok(())),
                result = copied(&mut self.stored), if !self.stored.is_empty() => {
                    result.map(|()| self.stored.pop_front())
                }
                result = stored(&mut self.front), if self.front.is_some() => {
                    result.map(|()| self.front.take().and_then(|front| self.advance(front)))
                }
                pending = self.waiting.recv(), if self.front.is_none() && !is_closed => {
                    is_closed = pending.is_none();
                    self.front = pending;
                    continue;
                }
                ready = self.socket.writable(), if !self.out.is_empty() => {
                    match ready {
                        Ok(()) => self.write(),
                        Err(_) => self.give_up(),
                    }
                    continue;
                }
            };
            match result {
                Ok(Some(pending)) => self.owe(pending),
                Ok(None) => {}
                Err(error) => {
                    self.write();
                    return self.leave(Err(error));
                }
            }
        }
    }

    /// A message is stored. Gives it back where nothing else is waited for.
    fn advance(&mut self, stored: Pending) -> Option<Pending> {
        if self.stored.is_empty() && !stored.commits.has_copies() {
            return Some(stored);
        }
        self.stored.push_back(stored);
        None
    }

    /// The acknowledgements of a message are due.
    fn owe(&mut self, pending: Pending) {
        drop((pending.held, pending.place));
        if pending.count == 0 {
            return;
        }
        let most = self.shared.config.max_ack_bytes;
        if self.out.len() + pending.acks.len() > most {
            // A peer that reads has room for what is due so far.
            self.write();
        }
        if self.is_gone {
            Stats::add(&self.shared.stats.acks_dropped, pending.count);
        } else if !self.out.is_empty() && self.out.len() + pending.acks.len() > most {
            Stats::add(&self.shared.stats.acks_dropped, pending.count);
            self.warn_once();
        } else {
            self.out.extend_from_slice(&pending.acks);
            self.due += pending.count;
        }
    }

    /// Ends, and gives out what is not stored yet.
    fn leave(mut self, result: Result<(), AppendError>) -> Outcome {
        self.waiting.close();
        let mut left: Vec<_> = self.front.take().into_iter().collect();
        while let Ok(pending) = self.waiting.try_recv() {
            left.push(pending);
        }
        Outcome { result, left }
    }

    /// Writes what is due with one call.
    fn write(&mut self) {
        if self.out.is_empty() {
            return;
        }
        match self.socket.try_write(&self.out) {
            Ok(written) => {
                self.out.advance(written);
                if self.out.is_empty() {
                    let count = std::mem::take(&mut self.due);
                    Stats::add(&self.shared.stats.acks_sent, count);
                    self.ledger.unwritten.fetch_sub(count, Ordering::Relaxed);
                    self.out = BytesMut::new();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.give_up(),
        }
    }

    /// The peer is gone. Commits are still waited for, because they hold memory.
    fn give_up(&mut self) {
        self.is_gone = true;
        self.out = BytesMut::new();
        Stats::add(&self.shared.stats.acks_dropped, std::mem::take(&mut self.due));
    }

    fn warn_once(&mut self) {
        if std::mem::replace(&mut self.has_warned, true) {
            return;
        }
        if let Some(suppressed) = self.shared.limiter.admit(self.peer.ip(), "acks_not_read") {
            warn!(
                peer = %self.peer,
                suppressed,
                "acknowledgements dropped: the peer asks for them and does not read them \
                 (fluent-logger for Node does without requireAckResponse)"
            );
        }
    }
}

impl Drop for AckWriter {
    fn drop(&mut self) {
        self.ledger.places.close();
        Stats::add(&self.shared.stats.acks_dropped, self.due);
    }
}

/// Waits until the journal has the front.
///
/// # Cancel safety
/// Safe: a promise is taken off when it is kept, and not asked again.
async fn stored(front: &mut Option<Pending>) -> Result<(), AppendError> {
    poll_fn(|cx| front.as_mut().map_or(Poll::Pending, |front| front.commits.poll_stored(cx))).await
}

/// Waits until the journal has the first copies that the oldest stored message waits for.
///
/// # Cancel safety
/// As [`stored`].
async fn copied(stored: &mut VecDeque<Pending>) -> Result<(), AppendError> {
    poll_fn(|cx| stored.front_mut().map_or(Poll::Pending, |first| first.commits.poll_copied(cx)))
        .await
}
