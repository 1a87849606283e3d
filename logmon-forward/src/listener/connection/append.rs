//! From a decoded message into the journal.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use logmon_core::{AppendError, Commit, Entries, NewBatch, Reading, RouteSet, Tag};
use tokio::sync::mpsc;

use super::{AckWriter, Acks, Commits, Connection, Ending, MAX_WAITING, Pending, Stats};
use crate::codec::Message;

/// How long a full journal is left alone before the first try again, and before later ones.
pub(super) const BUSY_PAUSE: (Duration, Duration) =
    (Duration::from_millis(5), Duration::from_millis(200));

/// What an event takes of an index.
const INDEX_ROW: usize = 29;

impl Connection {
    /// Appends a message and queues what it is owed.
    pub(super) async fn take(&mut self, mut message: Message) -> Result<(), Ending> {
        self.shared.stats.count_message(&message);
        self.log_rejects(&message);
        self.log_warnings(&message);
        let mut acks = Vec::with_capacity(message.chunks.len() * 32);
        message.chunks.write_acks(self.decoder.wire(), &mut acks);
        let memory = memory(&message) + acks.len();
        let mut commits = Commits::new(self.shared.stats.clone());
        self.commit_staged(message.parted, &mut commits)?;
        let mut batches = std::mem::take(&mut message.batches).into_iter();
        while let Some(batch) = batches.next() {
            let events = batch.entries.len() as u64;
            match self.append(batch).await {
                Ok(Some(commit)) => commits.push(commit, events),
                Ok(None) => Stats::add(&self.shared.stats.appended, events),
                Err(ending) => {
                    let rest: u64 = batches.map(|batch| batch.entries.len() as u64).sum();
                    Stats::add(&self.shared.stats.lost, events + rest);
                    return Err(ending);
                }
            }
        }
        self.quarantine(&mut message).await?;
        if commits.is_empty() && message.chunks.is_empty() {
            // Nothing is waited for, so others that need the pass need not wait either.
            drop(self.credit.pass_on(0));
            return Ok(());
        }
        self.credit.stretch(self.decoder.held() + memory);
        let held = self.credit.pass_on(memory);
        let count = message.chunks.len() as u64;
        let pending = Pending { commits, acks, count, held };
        self.begin_acks();
        let Some(acks) = &self.acks else { return Err(Ending::Refused(AppendError::Closed)) };
        tokio::select! {
            biased;
            // The queue ends early only where the journal refused something; `end` asks why.
            sent = acks.queue.send(pending) => {
                sent.map_err(|_| Ending::Refused(AppendError::Closed))
            }
            ending = self.stop.wait(true) => Err(ending),
        }
    }

    /// Hands a batch to the journal, waiting while that is full. `None` if it is durable already.
    async fn append(&mut self, batch: NewBatch) -> Result<Option<Commit>, Ending> {
        let mut pause = BUSY_PAUSE.0;
        let mut again = Again::of(&batch, self.shared.settings.time_unit);
        let mut batch = batch;
        loop {
            let mut commit = self.shared.journal.append(batch);
            match poll_once(&mut commit) {
                Poll::Pending => return Ok(Some(commit)),
                Poll::Ready(Ok(_)) => return Ok(None),
                Poll::Ready(Err(AppendError::Busy { .. })) => {}
                Poll::Ready(Err(error)) => return Err(Ending::Refused(error)),
            }
            Stats::add(&self.shared.stats.journal_busy, 1);
            tokio::select! {
                biased;
                ending = self.stop.wait(true) => return Err(ending),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(BUSY_PAUSE.1);
            (batch, again) = again.batch()?;
        }
    }

    /// Begins the task that writes acknowledgements with the first message: a connection that only
    /// shows that we live costs no task.
    fn begin_acks(&mut self) {
        if let Some(socket) = self.writer.take() {
            let (queue, waiting) = mpsc::channel(MAX_WAITING);
            let writer = AckWriter::new(self.shared.clone(), self.peer, socket, waiting);
            self.acks = Some(Acks { queue, task: tokio::spawn(writer.run()) });
        }
    }
}

/// What it takes to make a batch once more; its index, which is not cheap to copy, is made anew.
struct Again {
    tag: Tag,
    route: RouteSet,
    payload: Bytes,
    reading: Reading,
}

impl Again {
    fn of(batch: &NewBatch, time_unit: logmon_core::TimeUnit) -> Self {
        let entries = &batch.entries;
        let mut reading = Reading::new(entries.fields().clone(), entries.received());
        reading.time_unit = time_unit;
        let (tag, payload) = (batch.tag.clone(), entries.payload().clone());
        Self { tag, route: batch.route, payload, reading }
    }

    fn batch(self) -> Result<(NewBatch, Self), Ending> {
        // The entries have been read before, so they can be read again.
        let entries = Entries::read(self.payload.clone(), &self.reading)
            .map_err(|_| Ending::Refused(AppendError::Closed))?;
        let mut batch = NewBatch::new(self.tag.clone(), entries);
        batch.route = self.route;
        Ok((batch, self))
    }
}

/// The bytes of a message's entries and of the index over them.
fn memory(message: &Message) -> usize {
    let payloads = message.batches.iter().map(|batch| batch.entries.payload().len());
    payloads.sum::<usize>() + message.events() * INDEX_ROW
}

/// Looks at a commit without waiting for it. It must be polled again to be woken.
pub(super) fn poll_once(commit: &mut Commit) -> Poll<<Commit as Future>::Output> {
    Pin::new(commit).poll(&mut Context::from_waker(Waker::noop()))
}
