//! What goes on when a connection has ended: open commits, and sockets that may still tell
//! something.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::tcp::OwnedReadHalf;
use tokio::task::JoinSet;

use super::acks::Pending;
use super::dedupe::{Dedupe, Origin};

/// How many closed connections are watched at a time; of others it stays open whether the peer has
/// read its last acknowledgement.
const MAX_WATCHED: usize = 1024;

/// Tasks of a listener that no connection waits for.
#[derive(Debug, Default)]
pub(super) struct Aftercare(Mutex<JoinSet<()>>);

impl Aftercare {
    /// Goes on waiting for the commits of messages whose connection has ended, so that a chunk
    /// sent again meanwhile finds its first copy. They hold their part of the budget.
    pub(super) fn settle(&self, left: Vec<Pending>) {
        let left: Vec<_> =
            left.into_iter().map(|pending| (pending.commits, pending.held)).collect();
        if left.is_empty() {
            return;
        }
        self.tasks().spawn(async move {
            for (mut commits, held) in left {
                // A failure is counted, and whoever waits for the chunk learns of it.
                commits.without_copies().settle().await;
                drop(held);
            }
        });
    }

    /// The peer closed its side after all acknowledgements were on their way. Had it closed before
    /// the last came, or without reading it, its system would reset the connection. Where that
    /// does not happen for `time`, the sender has it.
    pub(super) fn watch(
        &self,
        socket: OwnedReadHalf,
        (dedupe, mut origin): (Arc<Dedupe>, Origin),
        time: Duration,
    ) {
        let mut tasks = self.tasks();
        if tasks.len() >= MAX_WATCHED {
            return;
        }
        tasks.spawn(async move {
            tokio::time::sleep(time).await;
            if matches!(socket.as_ref().take_error(), Ok(None)) {
                dedupe.confirm(&mut origin);
            }
        });
    }

    /// Ends all of it.
    pub(super) async fn end(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
    }

    /// The tasks that have not ended.
    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        // Nothing panics while the lock is held.
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks
    }
}
