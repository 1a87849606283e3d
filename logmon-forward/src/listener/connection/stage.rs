//! Messages too big for memory, on their way through the journal's staging.

use std::fmt;
use std::task::Poll;
use std::time::Duration;

use logmon_core::{AppendError, NewBatch, Staging, Tag};
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use super::append::poll_once;
use super::{Commits, Connection, Ending, Stats};
use crate::codec::{Message, Reason};
use crate::listener::dedupe::ContentHash;

/// How long room for staging is waited for. Messages that are half staged may hold all of it, and
/// then one of them has to give up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message that is too big for memory, as far as it has come.
pub(super) struct Staged {
    journal: Box<dyn Staging>,
    /// That of its first part, by which its chunk is recognised.
    tag: Tag,
    /// The hash over the entries so far.
    content: Box<Xxh3>,
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Connection {
    /// Stages a part of a message, waiting while the journal has no room.
    ///
    /// What has been staged is dropped with the connection, so nothing of it appears unless its
    /// message is committed.
    pub(super) async fn stage(&mut self, mut batch: NewBatch) -> Result<(), Ending> {
        let content = batch.entries.payload().clone();
        self.add_source(&mut batch);
        let since = Instant::now();
        let mut pauses = self.pauses();
        loop {
            let staged = self.try_stage(batch.clone());
            // Taken up again with the next try: the stop is waited for beside the staging.
            match staged.await? {
                Ok(()) => {
                    if let Some(staged) = &mut self.staging {
                        staged.content.update(&content);
                    }
                    return Ok(());
                }
                Err(AppendError::Busy { .. }) if since.elapsed() < PATIENCE => {}
                Err(AppendError::TooLarge { .. }) => {
                    self.staging = None;
                    self.decoder.refuse_parts(Reason::MessageTooBig);
                    return Ok(());
                }
                Err(error) => return Err(Ending::Refused(error)),
            }
            self.pause(&mut pauses).await?;
        }
    }

    async fn try_stage(&mut self, batch: NewBatch) -> Result<Result<(), AppendError>, Ending> {
        let Self { staging, stop, shared, .. } = self;
        let pushed = async {
            let staged = match staging {
                Some(staged) => staged,
                None => {
                    let (journal, tag) = (shared.journal.stage().await?, batch.tag.clone());
                    staging.insert(Staged { journal, tag, content: Box::default() })
                }
            };
            staged.journal.push(batch).await
        };
        tokio::select! {
            biased;
            ending = stop.wait(true) => Err(ending),
            pushed = pushed => Ok(pushed),
        }
    }

    /// Appends what has been staged of the message that is complete now, unless the chunk was
    /// stored before.
    pub(super) fn commit_staged(&mut self, message: &Message) -> Result<Commits, Ending> {
        let refused = || Ending::Refused(AppendError::Closed);
        let Staged { journal, tag, content } = self.staging.take().ok_or_else(refused)?;
        let events = message.parted;
        let chunk = message.chunks.iter().next();
        let (fingerprints, mut commits) = match chunk.filter(|_| !self.shared.dedupe.is_off()) {
            Some(chunk) => {
                let content = ContentHash::finish(content.digest());
                // Senders whose ids are hashes and do not say so send smaller messages.
                let (new, commits) =
                    self.recognise_whole((&tag, chunk), (content, events), || false);
                let Some(fingerprint) = new else { return Ok(commits) };
                (vec![fingerprint], commits)
            }
            None => {
                self.shared.dedupe.confirm(&mut self.origin);
                (Vec::new(), Commits::new(self.shared.stats.clone(), None))
            }
        };
        let mut commit = journal.commit(fingerprints);
        match poll_once(&mut commit) {
            Poll::Pending => commits.push(commit, events),
            Poll::Ready(Ok(_)) => Stats::add(&self.shared.stats.appended, events),
            Poll::Ready(Err(error)) => {
                Stats::add(&self.shared.stats.lost, events);
                return Err(Ending::Refused(error));
            }
        }
        Ok(commits)
    }
}
