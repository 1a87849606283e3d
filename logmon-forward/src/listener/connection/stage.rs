//! Messages too big for memory, on their way through the journal's staging.

use std::task::Poll;
use std::time::Duration;

use logmon_core::{AppendError, NewBatch};
use tokio::time::{Instant, sleep};

use super::append::{BUSY_PAUSE, poll_once};
use super::{Commits, Connection, Ending, Stats};
use crate::codec::Reason;

/// How long room for staging is waited for. Messages that are half staged may hold all of it, and
/// then one of them has to give up.
const PATIENCE: Duration = Duration::from_secs(60);

impl Connection {
    /// Stages a part of a message, waiting while the journal has no room.
    ///
    /// What has been staged is dropped with the connection, so nothing of it appears unless its
    /// message is committed.
    pub(super) async fn stage(&mut self, batch: NewBatch) -> Result<(), Ending> {
        let since = Instant::now();
        let mut pause = BUSY_PAUSE.0;
        loop {
            let staged = self.try_stage(batch.clone());
            // Taken up again with the next try: the stop is waited for beside the staging.
            match staged.await? {
                Ok(()) => return Ok(()),
                Err(AppendError::Busy { .. }) if since.elapsed() < PATIENCE => {}
                Err(AppendError::TooLarge { .. }) => {
                    self.staging = None;
                    self.decoder.refuse_parts(Reason::MessageTooBig);
                    return Ok(());
                }
                Err(error) => return Err(Ending::Refused(error)),
            }
            Stats::add(&self.shared.stats.journal_busy, 1);
            tokio::select! {
                biased;
                ending = self.stop.wait(true) => return Err(ending),
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(BUSY_PAUSE.1);
        }
    }

    async fn try_stage(&mut self, batch: NewBatch) -> Result<Result<(), AppendError>, Ending> {
        let Self { staging, stop, shared, .. } = self;
        let pushed = async {
            let staging = match staging {
                Some(staging) => staging,
                None => staging.insert(shared.journal.stage().await?),
            };
            staging.push(batch).await
        };
        tokio::select! {
            biased;
            ending = stop.wait(true) => Err(ending),
            pushed = pushed => Ok(pushed),
        }
    }

    /// Appends what has been staged, if the message that is complete now was.
    pub(super) fn commit_staged(
        &mut self,
        events: u64,
        commits: &mut Commits,
    ) -> Result<(), Ending> {
        let Some(staging) = self.staging.take().filter(|_| events > 0) else { return Ok(()) };
        let mut commit = staging.commit(Vec::new());
        match poll_once(&mut commit) {
            Poll::Pending => commits.push(commit, events),
            Poll::Ready(Ok(_)) => Stats::add(&self.shared.stats.appended, events),
            Poll::Ready(Err(error)) => {
                Stats::add(&self.shared.stats.lost, events);
                return Err(Ending::Refused(error));
            }
        }
        Ok(())
    }
}
