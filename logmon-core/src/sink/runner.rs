//! Drives a sink from a journal: cursor, window, retry and quarantine.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::{Sink, SinkBatch, Verdict};
use crate::{BoxFuture, Group, Journal, LogRef, Position, ReadError, RouteSet};
use crate::{Event, Quarantine, Quarantined, QuarantinedKind, Tag};

/// Remembers how far a sink has come.
pub trait Cursor: fmt::Debug + Send + Sync + 'static {
    /// The position committed last; `None` for a new sink.
    fn load(&self) -> BoxFuture<'_, Result<Option<Position>, CursorError>>;

    /// Commits a position.
    ///
    /// # Durability
    /// When the future resolves, a crash no longer takes the position back. Events behind it may
    /// then be removed from the journal.
    fn commit(&self, position: Position) -> BoxFuture<'_, Result<(), CursorError>>;
}

/// A cursor could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the cursor failed: {0}")]
pub struct CursorError(pub Arc<str>);

/// A cursor that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryCursor(Mutex<Option<Position>>);

impl Cursor for MemoryCursor {
    fn load(&self) -> BoxFuture<'_, Result<Option<Position>, CursorError>> {
        let position = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(std::future::ready(Ok(position)))
    }

    fn commit(&self, position: Position) -> BoxFuture<'_, Result<(), CursorError>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// How long to wait before writing again: doubling from `first` to `most`.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "two ends of a range")]
pub struct Retry {
    /// Before the second attempt. Default: 1 s.
    pub first: Duration,
    /// The longest wait. Default: 5 min.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(300) }
    }
}

/// Settings of a [`Runner`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunnerConfig {
    /// The events a sink takes: those whose frame names one of these route sets.
    pub routes: Vec<RouteSet>,
    /// How many groups may be in flight. Default: 4.
    pub window: usize,
    /// How many bytes a group has about. Default: 1 MiB.
    pub group_bytes: usize,
    /// When to write again.
    pub retry: Retry,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        let routes = vec![RouteSet::ALL];
        Self { routes, window: 4, group_bytes: 1 << 20, retry: Retry::default() }
    }
}

/// Reads a journal on behalf of one sink.
///
/// Groups are written side by side up to the window; the cursor moves only over a contiguous run
/// of groups in which every event was delivered or quarantined. After a crash the groups behind
/// the cursor are written again.
#[derive(Debug)]
pub struct Runner {
    journal: Arc<dyn Journal>,
    sink: Arc<dyn Sink>,
    cursor: Arc<dyn Cursor>,
    quarantine: Arc<dyn Quarantine>,
    config: RunnerConfig,
}

/// Why a runner stopped by itself.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The cursor could not be read or written.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A group on its way.
struct InFlight {
    end: Position,
    delivery: BoxFuture<'static, ()>,
    is_done: bool,
}

impl Runner {
    /// A runner that begins where `cursor` stands, or at the head of the journal.
    pub fn new(
        journal: Arc<dyn Journal>,
        sink: Arc<dyn Sink>,
        cursor: Arc<dyn Cursor>,
        quarantine: Arc<dyn Quarantine>,
        config: RunnerConfig,
    ) -> Self {
        Self { journal, sink, cursor, quarantine, config }
    }

    /// Runs until `shutdown` resolves or the journal is closed and everything is delivered.
    ///
    /// # Errors
    /// The cursor or the journal fails. Events that retention took before they were delivered are
    /// such an error; whoever runs the runner counts them and begins again at the oldest.
    ///
    /// # Cancel safety
    /// Safe: groups behind the cursor are written again.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) -> Result<(), RunnerError> {
        let mut position = self.cursor.load().await?.unwrap_or_else(|| self.journal.head());
        let mut window = VecDeque::<InFlight>::new();
        let mut is_closed = false;
        tokio::pin!(shutdown);
        while !(is_closed && window.is_empty()) {
            while window.len() < self.config.window.max(1) {
                let read = self.journal.read(position, self.config.group_bytes).await?;
                let Some(group) = read else { break };
                let start = std::mem::replace(&mut position, group.end());
                window.push_back(self.start(group, start));
            }
            let is_full = window.len() >= self.config.window.max(1);
            tokio::select! {
                () = &mut shutdown => break,
                () = front_done(&mut window) => self.commit(&mut window).await?,
                () = self.journal.advanced(position.seq), if !is_full && !is_closed => {
                    is_closed = self.journal.head().seq <= position.seq;
                }
            }
        }
        Ok(())
    }

    /// Commits behind the groups at the front that are done.
    async fn commit(&self, window: &mut VecDeque<InFlight>) -> Result<(), CursorError> {
        let mut end = None;
        while window.front().is_some_and(|front| front.is_done) {
            end = window.pop_front().map(|done| done.end);
        }
        match end {
            Some(end) => self.cursor.commit(end).await,
            None => Ok(()),
        }
    }

    fn start(&self, group: Group, from: Position) -> InFlight {
        let end = group.end();
        let events = self.routed(&group, from.seq);
        let (sink, quarantine) = (self.sink.clone(), self.quarantine.clone());
        let delivery = deliver(sink, quarantine, group, events, self.config.retry);
        InFlight { end, delivery: Box::pin(delivery), is_done: false }
    }

    /// The events of a group from number `from` that are routed to this sink.
    fn routed(&self, group: &Group, from: u64) -> Vec<u32> {
        let first = group.index_of(from);
        let routed = group.batches().filter(|batch| self.config.routes.contains(&batch.route()));
        let indices = routed.flat_map(|batch| batch.range()).filter(|at| *at >= first);
        indices.filter_map(|at| u32::try_from(at).ok()).collect()
    }
}

/// Writes events until each is delivered or quarantined.
async fn deliver(
    sink: Arc<dyn Sink>,
    quarantine: Arc<dyn Quarantine>,
    group: Group,
    mut events: Vec<u32>,
    retry: Retry,
) {
    let mut wait = retry.first;
    while !events.is_empty() {
        let verdicts = sink.write(SinkBatch::new(group.clone(), events.as_slice())).await;
        let mut left = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let is_done = match (verdicts.of(at), group.get(*event as usize)) {
                (Verdict::Retry, _) => false,
                (Verdict::Rejected(reason), Some(log)) => {
                    quarantine.put(refused(log, &reason)).await.is_ok()
                }
                (Verdict::Delivered | Verdict::Rejected(_), _) => true,
            };
            if !is_done {
                left.push(*event);
            }
        }
        // What made progress is tried again soon.
        wait = if left.len() < events.len() { retry.first } else { wait };
        events = left;
        if !events.is_empty() {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(retry.most);
        }
    }
}

fn refused(log: LogRef<'_>, detail: &str) -> Quarantined {
    let bytes = Bytes::copy_from_slice(log.entry());
    let mut item = Quarantined::new("output", "rejected", QuarantinedKind::Entries, bytes);
    detail.clone_into(&mut item.detail);
    item.tag = Some(Tag::from(Event::tag(&log)));
    item
}

/// Waits until the first group is done, moving all of them on. Pending for ever without groups.
fn front_done(window: &mut VecDeque<InFlight>) -> impl Future<Output = ()> {
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        for group in window.iter_mut().filter(|group| !group.is_done) {
            group.is_done = Pin::new(&mut group.delivery).poll(cx).is_ready();
        }
        match window.front() {
            Some(front) if front.is_done => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Verdicts;
    use crate::{AppendError, Log, MemoryJournal, QuarantineError, Staging};

    /// Delivers all but what its rules say, and remembers.
    #[derive(Debug, Default)]
    struct Picky {
        delivered: Mutex<Vec<String>>,
        attempts: Mutex<usize>,
    }

    impl Sink for Picky {
        fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts> {
            let mut attempts = self.attempts.lock().unwrap();
            *attempts += 1;
            let verdict = |log: LogRef<'_>| match &*log.message() {
                "poison" => Verdict::Rejected("bad".into()),
                "later" if *attempts < 3 => Verdict::Retry,
                text => {
                    self.delivered.lock().unwrap().push(text.to_owned());
                    Verdict::Delivered
                }
            };
            let verdicts = Verdicts::Each(batch.logs().map(verdict).collect());
            Box::pin(std::future::ready(verdicts))
        }
    }

    #[derive(Debug, Default)]
    struct Shelf(Mutex<Vec<String>>);

    impl Quarantine for Shelf {
        fn put(&self, item: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>> {
            let event = String::from_utf8_lossy(&item.bytes);
            let what = if event.ends_with("poison") { "poison" } else { "other" };
            self.0.lock().unwrap().push(format!("{what}: {}", item.detail));
            Box::pin(std::future::ready(Ok(())))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retries_quarantines_and_commits_in_order() {
        let journal = Arc::new(MemoryJournal::new(1 << 20));
        let cursor = Arc::new(MemoryCursor::default());
        cursor.commit(journal.head()).await.unwrap();
        for text in ["one", "later", "poison", "two"] {
            journal.append(Log::new(text).to_batch().unwrap()).await.unwrap();
        }
        let (sink, shelf) = (Arc::new(Picky::default()), Arc::new(Shelf::default()));
        let config = RunnerConfig { window: 2, ..RunnerConfig::default() };
        let runner =
            Runner::new(journal.clone(), sink.clone(), cursor.clone(), shelf.clone(), config);
        let head = journal.head();
        let done = async {
            while cursor.load().await.unwrap() != Some(head) {
                tokio::task::yield_now().await;
                tokio::time::advance(Duration::from_millis(100)).await;
            }
        };
        runner.run(done).await.unwrap();
        let mut delivered = sink.delivered.lock().unwrap().clone();
        delivered.sort();
        assert_eq!(delivered, ["later", "one", "two"]);
        assert_eq!(*shelf.0.lock().unwrap(), ["poison: bad"]);
    }

    /// A journal of one event that is closed.
    #[derive(Debug)]
    struct Closed(MemoryJournal);

    impl Journal for Closed {
        fn append(&self, batch: crate::NewBatch) -> crate::Commit {
            self.0.append(batch)
        }

        fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Staging>, AppendError>> {
            self.0.stage()
        }

        fn read(
            &self,
            from: Position,
            max_bytes: usize,
        ) -> BoxFuture<'_, Result<Option<Group>, ReadError>> {
            self.0.read(from, max_bytes)
        }

        fn head(&self) -> Position {
            self.0.head()
        }

        fn oldest(&self) -> Position {
            self.0.oldest()
        }

        fn advanced(&self, _: u64) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    fn closed(text: &str) -> (Arc<Closed>, Arc<MemoryCursor>) {
        let journal = MemoryJournal::new(1 << 20);
        let cursor = MemoryCursor(Mutex::new(Some(journal.head())));
        drop(journal.append(Log::new(text).to_batch().unwrap()));
        (Arc::new(Closed(journal)), Arc::new(cursor))
    }

    /// What a sink never takes kept the runner of a closed journal from stopping.
    #[tokio::test(start_paused = true)]
    async fn stops_when_told_to_while_the_rest_is_retried() {
        let (journal, cursor) = closed("later");
        let sink = Arc::new(Picky::default());
        let start = cursor.load().await.unwrap();
        let config = RunnerConfig {
            retry: Retry { first: Duration::from_secs(60), ..Retry::default() },
            ..RunnerConfig::default()
        };
        let runner = Runner::new(journal, sink, cursor.clone(), Arc::new(Shelf::default()), config);
        let running = runner.run(tokio::time::sleep(Duration::from_secs(5)));
        tokio::time::timeout(Duration::from_secs(30), running).await.unwrap().unwrap();
        assert_eq!(cursor.load().await.unwrap(), start, "it was not delivered");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_journal_when_all_is_delivered() {
        let (journal, cursor) = closed("later");
        let head = journal.head();
        let sink = Arc::new(Picky::default());
        let shelf = Arc::new(Shelf::default());
        let runner = Runner::new(journal, sink, cursor.clone(), shelf, RunnerConfig::default());
        runner.run(std::future::pending()).await.unwrap();
        assert_eq!(cursor.load().await.unwrap(), Some(head));
    }
}
