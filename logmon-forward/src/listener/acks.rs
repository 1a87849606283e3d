//! Acknowledgements on their way back: after the commit, in order, and never in the way of
//! reading.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use logmon_core::{AppendError, Commit};
use tokio::sync::mpsc;
use tracing::warn;

use super::Shared;
use super::budget::Held;
use super::stats::Stats;
use crate::transport::{Peer, WriteHalf};

/// How many messages of one connection may wait for their commit. Their bytes are bounded by the
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
}

/// The open promises of a message, each with the number of its events. Those that are dropped
/// before they are kept or broken are counted.
#[derive(Debug)]
pub(super) struct Commits {
    stats: Arc<Stats>,
    open: VecDeque<(Commit, u64)>,
}

impl Commits {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self { stats, open: VecDeque::new() }
    }

    pub(super) fn push(&mut self, commit: Commit, events: u64) {
        self.open.push_back((commit, events));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        let events = self.open.iter().map(|(_, events)| events).sum();
        Stats::add(&self.stats.unsettled, events);
    }
}

/// The task that waits for commits and writes acknowledgements.
#[derive(Debug)]
pub(super) struct AckWriter {
    shared: Arc<Shared>,
    peer: Peer,
    socket: WriteHalf,
    waiting: mpsc::Receiver<Pending>,
    front: Option<Pending>,
    out: BytesMut,
    /// How many acknowledgements `out` holds.
    due: u64,
    is_gone: bool,
    has_warned: bool,
}

impl AckWriter {
    pub(super) fn new(
        shared: Arc<Shared>,
        peer: Peer,
        socket: WriteHalf,
        waiting: mpsc::Receiver<Pending>,
    ) -> Self {
        Self {
            shared,
            peer,
            socket,
            waiting,
            front: None,
            out: BytesMut::new(),
            due: 0,
            is_gone: false,
            has_warned: false,
        }
    }

    /// Works until all messages are committed and all acknowledgements written, after the other
    /// end of the queue is gone.
    ///
    /// # Errors
    /// The journal did not take a message. What was due before it has been written if the socket
    /// took it at once.
    pub(super) async fn run(mut self) -> Result<(), AppendError> {
        let mut is_closed = false;
        loop {
            // Commits come first, so that acknowledgements due at one time share a write.
            tokio::select! {
                biased;
                (events, result) = next_commit(&mut self.front), if self.front.is_some() => {
                    self.settle(events, result)?;
                }
                pending = self.waiting.recv(), if self.front.is_none() && !is_closed => {
                    is_closed = pending.is_none();
                    self.front = pending;
                }
                ready = self.socket.writable(), if !self.out.is_empty() => match ready {
                    Ok(()) => self.write(),
                    Err(_) => self.give_up(),
                },
                else => return Ok(()),
            }
        }
    }

    /// A commit of the front, which had so many events, is done. After the last of them its
    /// acknowledgements are due.
    fn settle(&mut self, events: u64, result: Result<(), AppendError>) -> Result<(), AppendError> {
        if let Err(error) = result {
            Stats::add(&self.shared.stats.lost, events);
            self.write();
            return Err(error);
        }
        Stats::add(&self.shared.stats.appended, events);
        let Some(pending) = self.front.take_if(|front| front.commits.is_empty()) else {
            return Ok(());
        };
        drop(pending.held);
        if pending.count == 0 {
            return Ok(());
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
        Ok(())
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
                    Stats::add(&self.shared.stats.acks_sent, std::mem::take(&mut self.due));
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
        Stats::add(&self.shared.stats.acks_dropped, self.due);
    }
}

/// Waits for the first commit of the front, takes it off, and gives the number of its events and
/// what became of them; none where there is nothing to wait for.
///
/// # Cancel safety
/// Safe: a commit is taken off when it is done, and not asked again.
async fn next_commit(front: &mut Option<Pending>) -> (u64, Result<(), AppendError>) {
    poll_fn(|cx| front.as_mut().map_or(Poll::Pending, |pending| poll_first(pending, cx))).await
}

fn poll_first(pending: &mut Pending, cx: &mut Context<'_>) -> Poll<(u64, Result<(), AppendError>)> {
    let Some((commit, events)) = pending.commits.open.front_mut() else {
        return Poll::Ready((0, Ok(())));
    };
    let (result, events) = (ready!(Pin::new(commit).poll(cx)), *events);
    pending.commits.open.pop_front();
    Poll::Ready((events, result.map(drop)))
}
