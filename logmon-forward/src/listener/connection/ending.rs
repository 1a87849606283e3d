//! The end of a connection: what is due is still sent, and nothing on its way is destroyed.

use std::sync::atomic::Ordering;

use logmon_core::AppendError;
use tokio::time::{Instant, timeout_at};

use super::{Acks, Connection, Ending};
use crate::listener::door::drain;

impl Connection {
    /// Waits for commits and acknowledgements, closes our side, and reads what the peer still
    /// sends: closing a socket with bytes unread resets it, and a reset destroys acknowledgements
    /// on their way.
    pub(super) async fn end(mut self, ending: Ending) {
        // Nothing that was staged will be committed.
        self.staging = None;
        let config = &self.shared.config;
        let (linger, close_timeout) = (config.linger, config.close_timeout);
        let has_all = matches!(ending, Ending::PeerClosed) && self.has_written_all();
        let ending = match self.flush(Instant::now() + close_timeout).await {
            Err(error) if !matches!(ending, Ending::Fault(_)) => Ending::Refused(error),
            _ => ending,
        };
        self.log_ending(&ending);
        // Our side of the socket is closed with its write half.
        drop(self.writer.take());
        let patience = match ending {
            Ending::PeerClosed | Ending::Broken(_) | Ending::Evicted => None,
            Ending::Shutdown => Some(close_timeout),
            Ending::Idle | Ending::Retired | Ending::Fault(_) | Ending::Refused(_) => Some(linger),
        };
        if let Some(patience) = patience {
            drain(self.reader, patience).await;
        } else if has_all && self.origin.is_open() {
            let origin = (self.shared.dedupe.clone(), self.origin);
            self.shared.aftercare.watch(self.reader, origin, linger);
        }
    }

    /// Whether every acknowledgement has been given to the socket.
    fn has_written_all(&self) -> bool {
        let acks = self.acks.as_ref();
        acks.is_none_or(|acks| acks.ledger.unwritten.load(Ordering::Relaxed) == 0)
    }

    /// Lets the other task finish, or ends it. The commits that are open then are left to the
    /// listener.
    async fn flush(&mut self, deadline: Instant) -> Result<(), AppendError> {
        let Some(Acks { queue, let_go, mut task, .. }) = self.acks.take() else { return Ok(()) };
        drop(queue);
        let ended = match timeout_at(deadline, &mut task).await {
            Ok(ended) => ended,
            Err(_) => {
                drop(let_go);
                task.await
            }
        };
        self.shared.take_over(ended)
    }
}
