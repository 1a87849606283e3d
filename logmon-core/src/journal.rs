//! The append-only sequence of events that everything else reads.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::{Fingerprint, Group, NewBatch, Position, Timestamp};

mod memory;

pub use memory::MemoryJournal;

/// A boxed future, so that the traits of this crate work as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A commit log with many readers.
///
/// Numbers grow with every event and may have holes, so a count is never the difference of two
/// numbers.
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Queues a batch at once and gives the promise that it will be as durable as the journal is
    /// configured to make it.
    ///
    /// # Durability
    /// Before the promise is fulfilled a crash may lose the batch; afterwards it may not.
    ///
    /// # Cancel safety
    /// Dropping the promise does not undo the append.
    fn append(&self, batch: NewBatch) -> Commit;

    /// Begins a message that is too big for memory. Nothing of it is part of the journal before
    /// [`Staging::commit`]; dropped before, it leaves nothing behind.
    ///
    /// # Errors
    /// The journal takes nothing; [`AppendError::Busy`] where there is no room for staging just
    /// now.
    ///
    /// # Cancel safety
    /// Safe.
    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Staging>, AppendError>>;

    /// The chunks appended since an instant, oldest first: by them whoever takes chunks in
    /// recognises after a restart what is sent again. None where the journal does not outlive the
    /// process, which is the default.
    ///
    /// # Errors
    /// The medium fails.
    ///
    /// # Cancel safety
    /// Safe.
    fn chunks_since(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<SeenChunk>, ReadError>> {
        let _ = since;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Reads on from a position: a group that holds the next event, and perhaps some before it
    /// (see [`Group::index_of`]). `None` at the head.
    ///
    /// A group made by reading holds about `max_bytes`, or one batch where that is bigger.
    ///
    /// # Errors
    /// The position lies before what is kept, or in a past that did not happen, or the medium
    /// fails.
    ///
    /// # Cancel safety
    /// Safe: nothing is consumed.
    fn read(
        &self,
        from: Position,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<Option<Group>, ReadError>>;

    /// The position behind the last durable event.
    fn head(&self) -> Position;

    /// The position of the oldest event that is kept; the head if none is.
    fn oldest(&self) -> Position;

    /// Waits until the head has moved beyond `seq`, or the journal is closed.
    ///
    /// # Cancel safety
    /// Safe.
    fn advanced(&self, seq: u64) -> BoxFuture<'_, ()>;
}

/// A message too big for memory on its way into a journal: its batches appear all at once, or
/// never.
///
/// # Durability
/// None before the commit: a crash or a drop discards everything.
pub trait Staging: fmt::Debug + Send {
    /// Takes a batch behind those before it. Memory does not grow with what has been pushed, where
    /// the journal has a disk.
    ///
    /// # Errors
    /// [`AppendError::Busy`] where the room for staging is used up: what was pushed stays, and the
    /// caller may give up. [`AppendError::TooLarge`] where the message can never be staged, or would
    /// not be kept. This and all others are final.
    ///
    /// # Cancel safety
    /// Dropped half way, the staging is of no more use.
    fn push(&mut self, batch: NewBatch) -> BoxFuture<'_, Result<(), AppendError>>;

    /// Appends everything behind what the journal has queued when it gets there: what is appended
    /// while the promise is open may come before it. `fingerprints` are those of the
    /// chunk; their `first` counts from the first event pushed.
    ///
    /// # Durability
    /// As [`Journal::append`].
    ///
    /// # Cancel safety
    /// Dropping the promise does not undo the append.
    fn commit(self: Box<Self>, fingerprints: Vec<Fingerprint>) -> Commit;
}

/// A chunk that was appended: what [`Fingerprint`] said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a digest and an instant")]
pub struct SeenChunk {
    /// The digest.
    pub digest: [u8; 16],
    /// When it was received.
    pub received: Timestamp,
}

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The position of the batch's first event.
    pub first: Position,
    /// One more than the number of its last event.
    pub end_seq: u64,
}

impl Committed {
    /// The events from `first` up to, not including, `end_seq`.
    pub const fn new(first: Position, end_seq: u64) -> Self {
        Self { first, end_seq }
    }
}

/// Why a batch was not appended. Nothing of it will appear.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The queue of the journal is full; try again.
    #[error("the journal has {queued_bytes} bytes waiting, its limit")]
    Busy {
        /// How much waits.
        queued_bytes: usize,
    },
    /// The journal is shutting down.
    #[error("the journal is closed")]
    Closed,
    /// A write or fsync failed before; the journal takes nothing more until it is opened again.
    #[error("the journal stopped after a failure of the disk: {0}")]
    Poisoned(Arc<str>),
    /// The batch is beyond what one frame can hold, or a message beyond what [`Staging`] takes.
    #[error("a batch of {bytes} bytes is too large for the journal")]
    TooLarge {
        /// The bytes of its payload.
        bytes: usize,
    },
    /// A message on its way in by [`Staging`] could not be written; the journal itself goes on.
    #[error("the message could not be staged: {0}")]
    Staging(Arc<str>),
}

/// Why a read gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What was there has been removed by retention.
    #[error("events before {} are no longer kept", oldest.seq)]
    Expired {
        /// The oldest position there is.
        oldest: Position,
    },
    /// The position lies beyond the end of its epoch: what it saw was lost in a crash.
    #[error("the position is beyond the end of its epoch; it can be resumed at {}", resume.seq)]
    Diverged {
        /// Where the epoch ended.
        resume: Position,
    },
    /// The epoch is none of this journal's.
    #[error("the position belongs to another journal")]
    Foreign,
    /// The medium failed.
    #[error("reading the journal failed: {0}")]
    Io(Arc<str>),
}

/// The promise of an append.
#[derive(Debug)]
#[must_use = "an append is only durable when its promise is fulfilled"]
pub struct Commit(State);

#[derive(Debug)]
enum State {
    Done(Option<Result<Committed, AppendError>>),
    Waiting(oneshot::Receiver<Result<Committed, AppendError>>),
}

/// The other end of a [`Commit`], held by the journal. Dropped unused it says
/// [`AppendError::Closed`].
#[derive(Debug)]
pub struct Promise(oneshot::Sender<Result<Committed, AppendError>>);

impl Commit {
    /// A promise that is kept (or broken) already.
    pub const fn ready(result: Result<Committed, AppendError>) -> Self {
        Self(State::Done(Some(result)))
    }

    /// A promise and its other end.
    pub fn pending() -> (Promise, Self) {
        let (sender, receiver) = oneshot::channel();
        (Promise(sender), Self(State::Waiting(receiver)))
    }
}

impl Promise {
    /// Keeps or breaks the promise.
    pub fn resolve(self, result: Result<Committed, AppendError>) {
        // The caller may have stopped waiting, which changes nothing.
        drop(self.0.send(result));
    }
}

impl Future for Commit {
    type Output = Result<Committed, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Done(result) => Poll::Ready(result.take().unwrap_or(Err(AppendError::Closed))),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(cx).map(|result| result.unwrap_or(Err(AppendError::Closed)))
            }
        }
    }
}
