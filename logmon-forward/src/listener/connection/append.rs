//! From a decoded message into the journal.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use logmon_core::{AppendError, Commit, NewBatch};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{AckWriter, Acks, Connection, Ending, Ledger, MAX_WAITING, Pending, Stats};
use crate::codec::Message;

/// What an event takes of an index.
const INDEX_ROW: usize = 29;

impl Connection {
    /// Appends a message and queues what it is owed.
    pub(super) async fn take(&mut self, mut message: Message) -> Result<(), Ending> {
        self.shared.stats.count_message(&message);
        self.log_rejects(&message);
        self.log_warnings(&message);
        // Before chunks are claimed as well, as it takes its time.
        self.quarantine(&mut message).await?;
        if message.batches.is_empty() && message.parted == 0 && message.chunks.is_empty() {
            // Nothing is waited for, so others that need the pass need not wait either.
            drop(self.credit.pass_on(0));
            return Ok(());
        }
        // Before chunks are claimed: others may wait for what is claimed here, and this must not
        // wait for them.
        let place = match self.place().await {
            Ok(place) => place,
            Err(ending) => {
                Stats::add(&self.shared.stats.lost, message.events() as u64 + message.parted);
                return Err(ending);
            }
        };
        let mut commits = match message.parted {
            0 => self.recognise(&mut message),
            _ => self.commit_staged(&message)?,
        };
        message.batches.iter_mut().for_each(|batch| self.add_source(batch));
        let mut acks = Vec::with_capacity(message.chunks.len() * 32);
        message.chunks.write_acks(self.decoder.wire(), &mut acks);
        let memory = memory(&message) + acks.len();
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
        if commits.is_empty() && message.chunks.is_empty() {
            drop(self.credit.pass_on(0));
            return Ok(());
        }
        self.credit.stretch(self.decoder.held() + memory);
        let held = self.credit.pass_on(memory);
        let count = message.chunks.len() as u64;
        self.enqueue(Pending { commits, acks, count, held, place })
    }

    /// Waits for a place among the messages that wait to be acknowledged.
    async fn place(&mut self) -> Result<OwnedSemaphorePermit, Ending> {
        self.begin_acks();
        // There is none left where the journal refused something; `end` asks why.
        let refused = || Ending::Refused(AppendError::Closed);
        let acks = self.acks.as_ref().ok_or_else(refused)?;
        tokio::select! {
            biased;
            place = acks.ledger.places.clone().acquire_owned() => place.map_err(|_| refused()),
            ending = self.stop.wait(true) => Err(ending),
        }
    }

    /// Hands a message to the other task. The queue has room for all that have a place.
    fn enqueue(&self, pending: Pending) -> Result<(), Ending> {
        let Some(acks) = &self.acks else { return Err(Ending::Refused(AppendError::Closed)) };
        acks.ledger.unwritten.fetch_add(pending.count, Ordering::Relaxed);
        acks.queue.try_send(pending).map_err(|refused| {
            let (TrySendError::Full(pending) | TrySendError::Closed(pending)) = refused;
            self.shared.aftercare.settle(vec![pending]);
            Ending::Refused(AppendError::Closed)
        })
    }

    /// Hands a batch to the journal, waiting while that is full. `None` if it is durable already.
    async fn append(&mut self, batch: NewBatch) -> Result<Option<Commit>, Ending> {
        let mut pauses = self.pauses();
        loop {
            let mut commit = self.shared.journal.append(batch.clone());
            match poll_once(&mut commit) {
                Poll::Pending => return Ok(Some(commit)),
                Poll::Ready(Ok(_)) => return Ok(None),
                Poll::Ready(Err(AppendError::Busy { .. })) => {}
                Poll::Ready(Err(error)) => return Err(Ending::Refused(error)),
            }
            self.pause(&mut pauses).await?;
        }
    }

    /// Begins the task that writes acknowledgements with the first message: a connection that only
    /// shows that we live costs no task.
    fn begin_acks(&mut self) {
        if let Some(socket) = self.writer.take() {
            let (queue, waiting) = mpsc::channel(MAX_WAITING);
            let (let_go, told) = oneshot::channel();
            let (ledger, to) = (Ledger::new(), (self.peer, socket));
            let writer = AckWriter::new(self.shared.clone(), to, ledger.clone(), waiting);
            let task = tokio::spawn(writer.run(told));
            self.acks = Some(Acks { queue, ledger, let_go, task });
        }
    }
}

/// The bytes of a message's entries, in the form they came in as well, and of the index over them.
fn memory(message: &Message) -> usize {
    let payloads = message.batches.iter().map(|batch| {
        let compressed = batch.compressed.as_ref().map_or(0, |form| form.bytes.len());
        batch.entries.payload().len() + compressed
    });
    payloads.sum::<usize>() + message.events() * INDEX_ROW
}

/// Looks at a commit without waiting for it. It must be polled again to be woken.
pub(super) fn poll_once(commit: &mut Commit) -> Poll<<Commit as Future>::Output> {
    Pin::new(commit).poll(&mut Context::from_waker(Waker::noop()))
}
