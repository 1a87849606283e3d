//! A journal in memory, for embedders and tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{AppendError, BoxFuture, Commit, Committed, Journal, ReadError, Staging};
use crate::{Epoch, Fingerprint, Group, GroupBuilder, NewBatch, Position, Timestamp};

/// Keeps the newest groups up to a number of bytes; older ones are forgotten.
///
/// Appending is synchronous and never blocks on a reader.
///
/// # Durability
/// None: a promise is fulfilled at once.
#[derive(Debug)]
pub struct MemoryJournal(Arc<Shared>);

/// What a journal and its stagings share.
#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    max_bytes: usize,
    kept: Mutex<Kept>,
    head: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept {
    groups: VecDeque<Group>,
    bytes: usize,
    next_seq: u64,
}

impl MemoryJournal {
    /// The number of the first event of a new journal.
    pub const FIRST_SEQ: u64 = 1;

    /// A journal that keeps about `max_bytes` of events, at least the newest batch.
    pub fn new(max_bytes: usize) -> Self {
        let kept = Kept { groups: VecDeque::new(), bytes: 0, next_seq: Self::FIRST_SEQ };
        Self(Arc::new(Shared {
            epoch: Epoch::new(Timestamp::now()),
            max_bytes,
            kept: Mutex::new(kept),
            head: watch::Sender::new(Self::FIRST_SEQ),
        }))
    }

    /// Appends a batch and gives the group it became.
    pub fn append_now(&self, batch: &NewBatch) -> Group {
        self.0.append(&mut self.0.kept(), batch)
    }
}

impl Shared {
    fn append(&self, kept: &mut Kept, batch: &NewBatch) -> Group {
        let group = GroupBuilder::single(self.epoch, batch, kept.next_seq);
        kept.next_seq = group.end_seq();
        kept.bytes += group.memory();
        kept.groups.push_back(group.clone());
        while kept.bytes > self.max_bytes && kept.groups.len() > 1 {
            kept.bytes -= kept.groups.pop_front().map_or(0, |group| group.memory());
        }
        // Under the lock, so that the head never goes back.
        self.head.send_replace(kept.next_seq);
        group
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while the lock is held, and every state in between is valid.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn position(&self, seq: u64) -> Position {
        Position { epoch: self.epoch, seq }
    }

    fn find(&self, from: Position) -> Result<Option<Group>, ReadError> {
        let kept = self.kept();
        if from.epoch != self.epoch {
            return Err(ReadError::Foreign);
        }
        if from.seq > kept.next_seq {
            return Err(ReadError::Diverged { resume: self.position(kept.next_seq) });
        }
        let at = kept.groups.partition_point(|group| group.end_seq() <= from.seq);
        match kept.groups.get(at) {
            Some(group) if at == 0 && from.seq < group.first_seq() => {
                Err(ReadError::Expired { oldest: self.position(group.first_seq()) })
            }
            found => Ok(found.cloned()),
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&self, batch: NewBatch) -> Commit {
        let group = self.append_now(&batch);
        Commit::ready(Ok(Committed::new(self.0.position(group.first_seq()), group.end_seq())))
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Staging>, AppendError>> {
        let staged: Box<dyn Staging> =
            Box::new(Staged { journal: self.0.clone(), batches: Vec::new() });
        Box::pin(std::future::ready(Ok(staged)))
    }

    fn read(&self, from: Position, _: usize) -> BoxFuture<'_, Result<Option<Group>, ReadError>> {
        Box::pin(std::future::ready(self.0.find(from)))
    }

    fn head(&self) -> Position {
        self.0.position(*self.0.head.borrow())
    }

    fn oldest(&self) -> Position {
        let kept = self.0.kept();
        self.0.position(kept.groups.front().map_or(kept.next_seq, Group::first_seq))
    }

    fn advanced(&self, seq: u64) -> BoxFuture<'_, ()> {
        let mut head = self.0.head.subscribe();
        Box::pin(async move {
            // An error means the journal is gone, which ends the waiting as well.
            drop(head.wait_for(|head| *head > seq).await);
        })
    }
}

/// Batches that will appear together.
#[derive(Debug)]
struct Staged {
    journal: Arc<Shared>,
    batches: Vec<NewBatch>,
}

impl Staging for Staged {
    fn push(&mut self, batch: NewBatch) -> BoxFuture<'_, Result<(), AppendError>> {
        self.batches.push(batch);
        Box::pin(std::future::ready(Ok(())))
    }

    fn commit(self: Box<Self>, _: Vec<Fingerprint>) -> Commit {
        let mut kept = self.journal.kept();
        let first = self.journal.position(kept.next_seq);
        for batch in &self.batches {
            self.journal.append(&mut kept, batch);
        }
        Commit::ready(Ok(Committed::new(first, kept.next_seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;

    fn log(text: &str) -> NewBatch {
        Log::new(text).to_batch().unwrap()
    }

    #[tokio::test]
    async fn reads_back_what_was_appended() {
        let journal = MemoryJournal::new(1 << 20);
        let first = journal.append(log("a")).await.unwrap();
        journal.append(log("b")).await.unwrap();
        assert_eq!(first.first, journal.oldest());
        let group = journal.read(first.first, 0).await.unwrap().unwrap();
        assert_eq!(group.get(0).unwrap().to_log().message, "a");
        let group = journal.read(group.end(), 0).await.unwrap().unwrap();
        assert_eq!(group.get(0).unwrap().to_log().message, "b");
        assert_eq!(group.end(), journal.head());
        assert!(journal.read(journal.head(), 0).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_staged_appears_at_once_or_never() {
        let journal = MemoryJournal::new(1 << 20);
        let start = journal.head();
        let mut given_up = journal.stage().await.unwrap();
        given_up.push(log("never")).await.unwrap();
        let mut staged = journal.stage().await.unwrap();
        staged.push(log("a")).await.unwrap();
        staged.push(log("b")).await.unwrap();
        drop(given_up);
        assert_eq!(journal.head(), start);
        let committed = staged.commit(Vec::new()).await.unwrap();
        assert_eq!((committed.first, committed.end_seq), (start, start.seq + 2));
        let group = journal.read(start, 0).await.unwrap().unwrap();
        assert_eq!(group.get(0).unwrap().to_log().message, "a");
    }

    #[tokio::test]
    async fn forgets_the_oldest_and_says_so() {
        let journal = MemoryJournal::new(1);
        let start = journal.head();
        journal.append(log("a")).await.unwrap();
        journal.append(log("b")).await.unwrap();
        match journal.read(start, 0).await {
            Err(ReadError::Expired { oldest }) => assert_eq!(oldest.seq, start.seq + 1),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn refuses_positions_of_another_past() {
        let journal = MemoryJournal::new(1 << 20);
        let beyond = Position { seq: 99, ..journal.head() };
        assert!(matches!(journal.read(beyond, 0).await, Err(ReadError::Diverged { .. })));
        let foreign = Position { epoch: Epoch::from_bytes([9; 7]), seq: 1 };
        assert!(matches!(journal.read(foreign, 0).await, Err(ReadError::Foreign)));
    }

    #[tokio::test]
    async fn wakes_who_waits_for_the_head() {
        let journal = MemoryJournal::new(1 << 20);
        let waiting = tokio_test::task::spawn(journal.advanced(journal.head().seq));
        let mut waiting = waiting;
        assert!(waiting.poll().is_pending());
        journal.append(log("a")).await.unwrap();
        assert!(waiting.is_woken());
        assert!(waiting.poll().is_ready());
    }
}
