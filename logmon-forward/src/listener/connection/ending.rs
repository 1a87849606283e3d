//! The end of a connection: what is due is still sent, and nothing on its way is destroyed.

use logmon_core::AppendError;
use tokio::time::{Instant, timeout_at};

use super::{Connection, Ending};

/// How much of what a peer still sends is read at once before it is thrown away.
const SCRAP: usize = 4096;

impl Connection {
    /// Waits for commits and acknowledgements, closes our side, and reads what the peer still
    /// sends: closing a socket with bytes unread resets it, and a reset destroys acknowledgements
    /// on their way.
    pub(super) async fn end(mut self, ending: Ending) {
        let config = &self.shared.config;
        let (linger, close_timeout) = (config.linger, config.close_timeout);
        let ending = match self.flush(Instant::now() + close_timeout).await {
            Err(error) if !matches!(ending, Ending::Fault(_)) => Ending::Refused(error),
            _ => ending,
        };
        self.log_ending(&ending);
        // Our side of the socket is closed with its write half.
        drop(self.writer.take());
        let patience = match ending {
            Ending::PeerClosed | Ending::Broken(_) => None,
            Ending::Shutdown => Some(close_timeout),
            Ending::Idle | Ending::Fault(_) | Ending::Refused(_) => Some(linger),
        };
        if let Some(patience) = patience {
            self.drain(Instant::now() + patience).await;
        }
    }

    /// Lets the other task finish, or ends it.
    async fn flush(&mut self, deadline: Instant) -> Result<(), AppendError> {
        let Some(acks) = self.acks.take() else { return Ok(()) };
        drop(acks.queue);
        let mut task = acks.task;
        match timeout_at(deadline, &mut task).await {
            Ok(ended) => ended.unwrap_or(Err(AppendError::Closed)),
            Err(_) => {
                task.abort();
                // It has been told to end, and does so at its next step.
                drop(task.await);
                Ok(())
            }
        }
    }

    async fn drain(&mut self, deadline: Instant) {
        // Nothing that was staged will be committed.
        self.staging = None;
        let mut scrap = [0; SCRAP];
        while let Ok(Ok(())) = timeout_at(deadline, self.reader.readable()).await {
            match self.reader.try_read(&mut scrap) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
