use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::sink::{MemoryCursor, SinkBatch, Verdict, Verdicts};
use crate::{
    AppendError, BoxFuture, Event as _, Group, Log, LogRef, MemoryJournal, NewBatch, Position,
    QuarantineError, Quarantined, Staging,
};

mod crash;

/// Delivers all but what its rules say, and remembers.
#[derive(Debug, Default)]
struct Picky {
    delivered: Mutex<Vec<String>>,
    attempts: AtomicUsize,
}

impl Sink for Picky {
    fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts> {
        let attempts = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let verdict = |log: LogRef<'_>| match &*log.message() {
            "poison" => Verdict::Rejected("bad".into()),
            "later" if attempts < 3 => Verdict::Retry,
            "never" => Verdict::Retry,
            text => {
                self.delivered.lock().unwrap().push(text.to_owned());
                Verdict::Delivered
            }
        };
        let verdicts = Verdicts::Each(batch.logs().map(verdict).collect());
        Box::pin(std::future::ready(verdicts))
    }
}

/// A quarantine that fails so many times before it keeps anything.
#[derive(Debug, Default)]
struct Shelf {
    kept: Mutex<Vec<String>>,
    failures: AtomicUsize,
}

impl Quarantine for Shelf {
    fn put(&self, item: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>> {
        let fails = self
            .failures
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if fails.is_ok() {
            return Box::pin(std::future::ready(Err(QuarantineError("full".into()))));
        }
        let event = String::from_utf8_lossy(&item.bytes);
        let what = if event.ends_with("poison") { "poison" } else { "other" };
        self.kept.lock().unwrap().push(format!("{}: {what}: {}", item.origin, item.detail));
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn append(journal: &MemoryJournal, texts: &[&str]) {
    for text in texts {
        journal.append(Log::new(*text).to_batch().unwrap()).await.unwrap();
    }
}

/// Resolves when the cursor stands at the journal's head.
async fn arrived(journal: &MemoryJournal, cursor: &MemoryCursor) {
    let head = journal.head();
    while cursor.load().await.unwrap().map(|state| state.position) != Some(head) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn retries_quarantines_and_commits_in_order() {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    let cursor = Arc::new(MemoryCursor::default());
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    append(&journal, &["one", "later", "poison", "two"]).await;
    let (sink, shelf) = (Arc::new(Picky::default()), Arc::new(Shelf::default()));
    shelf.failures.store(2, Ordering::Relaxed);
    let config =
        RunnerConfig { name: "there".into(), window: 2, group_bytes: 1, ..RunnerConfig::default() };
    let runner = Runner::new(journal.clone(), sink.clone(), cursor.clone(), shelf.clone(), config);
    runner.run(arrived(&journal, &cursor)).await.unwrap();
    let mut delivered = sink.delivered.lock().unwrap().clone();
    delivered.sort();
    assert_eq!(delivered, ["later", "one", "two"]);
    assert_eq!(*shelf.kept.lock().unwrap(), ["there: poison: bad"]);
    let figures = runner.stats().figures();
    assert_eq!((figures.routed, figures.delivered), (4, 3));
    assert_eq!((figures.quarantined, figures.lag, figures.expired), (1, 0, 0));
    assert!(figures.retries >= 3, "{figures:?}");
    assert_eq!(figures.position, Some(journal.head()));
}

/// Small groups travel together, so that a journal of single events does not cost a round trip
/// each; a bigger group stays what it is.
#[tokio::test(start_paused = true)]
async fn writes_small_groups_together() {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    let cursor = Arc::new(MemoryCursor::default());
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    let texts: Vec<String> = (0..100).map(|n| format!("event {n}")).collect();
    append(&journal, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let sink = Arc::new(Picky::default());
    let config = RunnerConfig::default();
    let shelf = Arc::new(Shelf::default());
    let runner = Runner::new(journal.clone(), sink.clone(), cursor.clone(), shelf, config);
    runner.run(arrived(&journal, &cursor)).await.unwrap();
    assert_eq!(*sink.delivered.lock().unwrap(), texts);
    assert_eq!(sink.attempts.load(Ordering::Relaxed), 1);
}

/// Counted, never silent: what retention took is told, and the rest is delivered.
/// An idle sink waits a while for company, but not for more than a unit has.
#[tokio::test(start_paused = true)]
async fn waits_for_more_of_few_events() {
    let run = async |events: usize, group_bytes: usize| {
        let journal = Arc::new(MemoryJournal::new(1 << 20));
        let cursor = Arc::new(MemoryCursor::default());
        cursor.save(CursorState::at(journal.head())).await.unwrap();
        let sink = Arc::new(Picky::default());
        let linger = Duration::from_millis(100);
        let config = RunnerConfig { group_bytes, linger, ..RunnerConfig::default() };
        let shelf = Arc::new(Shelf::default());
        let runner = Runner::new(journal.clone(), sink.clone(), cursor.clone(), shelf, config);
        let feed = async {
            // The runner has found nothing and waits.
            tokio::time::sleep(Duration::from_millis(10)).await;
            for _ in 0..events {
                append(&journal, &["event"]).await;
                tokio::time::sleep(Duration::from_millis(22)).await;
            }
            arrived(&journal, &cursor).await;
        };
        runner.run(feed).await.unwrap();
        assert_eq!(sink.delivered.lock().unwrap().len(), events);
        sink.attempts.load(Ordering::Relaxed)
    };
    assert_eq!(run(4, 1 << 20).await, 1, "within 100 ms");
    assert_eq!(run(12, 1 << 20).await, 3, "within 300 ms");
    assert_eq!(run(4, 512).await, 2, "two make a unit");
}

#[tokio::test(start_paused = true)]
async fn goes_on_with_the_oldest_where_retention_was_faster() {
    let journal = Arc::new(MemoryJournal::new(1));
    let cursor = Arc::new(MemoryCursor::default());
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    append(&journal, &["gone", "gone too", "kept"]).await;
    let (sink, shelf) = (Arc::new(Picky::default()), Arc::new(Shelf::default()));
    let config = RunnerConfig::default();
    let runner = Runner::new(journal.clone(), sink.clone(), cursor.clone(), shelf, config);
    runner.run(arrived(&journal, &cursor)).await.unwrap();
    assert_eq!(*sink.delivered.lock().unwrap(), ["kept"]);
    let figures = runner.stats().figures();
    assert_eq!((figures.routed, figures.expired, figures.delivered), (3, 2, 1));
}

/// A new output stands in the journal from its first moment on, so that a crash before its first
/// event loses none.
#[tokio::test(start_paused = true)]
async fn a_new_sink_is_saved_where_it_begins() {
    for (start, expected) in [(StartAt::Now, vec!["new"]), (StartAt::Oldest, vec!["old", "new"])] {
        let journal = Arc::new(MemoryJournal::new(1 << 20));
        append(&journal, &["old"]).await;
        let cursor = Arc::new(MemoryCursor::default());
        let (sink, shelf) = (Arc::new(Picky::default()), Arc::new(Shelf::default()));
        let config = RunnerConfig { start, ..RunnerConfig::default() };
        let runner = Runner::new(journal.clone(), sink.clone(), cursor.clone(), shelf, config);
        runner.run(arrived(&journal, &cursor)).await.unwrap();
        append(&journal, &["new"]).await;
        runner.run(arrived(&journal, &cursor)).await.unwrap();
        assert_eq!(*sink.delivered.lock().unwrap(), expected);
    }
}

/// A journal that was put in another's place is read from its beginning; one that lost its end in
/// a crash is read on from there.
#[tokio::test(start_paused = true)]
async fn a_position_of_another_past_is_no_dead_end() {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    append(&journal, &["one", "two"]).await;
    let beyond = Position { seq: 99, ..journal.head() };
    let foreign = Position { epoch: crate::Epoch::from_bytes([9; 7]), seq: 1 };
    for (position, expected) in [(foreign, vec!["one", "two", "three"]), (beyond, vec!["four"])] {
        let cursor = Arc::new(MemoryCursor::default());
        let in_flight = vec![90..99, 99..120];
        let state = CursorState { in_flight, ..CursorState::at(position) };
        cursor.save(state).await.unwrap();
        let (sink, shelf) = (Arc::new(Picky::default()), Arc::new(Shelf::default()));
        let config = RunnerConfig::default();
        let runner = Runner::new(journal.clone(), sink.clone(), cursor.clone(), shelf, config);
        let text = if position == foreign { "three" } else { "four" };
        let append_and_arrive = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            append(&journal, &[text]).await;
            arrived(&journal, &cursor).await;
        };
        runner.run(append_and_arrive).await.unwrap();
        assert_eq!(*sink.delivered.lock().unwrap(), expected);
    }
}

/// A journal of one event that is closed.
#[derive(Debug)]
struct Closed(MemoryJournal);

impl Journal for Closed {
    fn append(&self, batch: NewBatch) -> crate::Commit {
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

async fn closed(text: &str) -> (Arc<Closed>, Arc<MemoryCursor>) {
    let journal = MemoryJournal::new(1 << 20);
    let cursor = Arc::new(MemoryCursor::default());
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    append(&journal, &[text]).await;
    (Arc::new(Closed(journal)), cursor)
}

/// What a sink never takes kept the runner of a closed journal from stopping.
#[tokio::test(start_paused = true)]
async fn stops_when_told_to_while_the_rest_is_retried() {
    let (journal, cursor) = closed("never").await;
    let sink = Arc::new(Picky::default());
    let start = cursor.load().await.unwrap();
    let config = RunnerConfig {
        retry: Retry { first: Duration::from_secs(60), ..Retry::default() },
        ..RunnerConfig::default()
    };
    let shelf = Arc::new(Shelf::default());
    let runner = Runner::new(journal, sink, cursor.clone(), shelf, config);
    let began = tokio::time::Instant::now();
    runner.run(tokio::time::sleep(Duration::from_secs(5))).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(6), "a wait to try again is not waited for");
    let state = cursor.load().await.unwrap().unwrap();
    assert_eq!(Some(state.position), start.map(|start| start.position), "it was not delivered");
    let figures = runner.stats().figures();
    assert_eq!((figures.routed, figures.lag), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn ends_with_the_journal_when_all_is_delivered() {
    let (journal, cursor) = closed("later").await;
    let head = journal.head();
    let (sink, shelf) = (Arc::new(Picky::default()), Arc::new(Shelf::default()));
    let runner = Runner::new(journal, sink, cursor.clone(), shelf, RunnerConfig::default());
    runner.run(std::future::pending()).await.unwrap();
    let state = cursor.load().await.unwrap().unwrap();
    assert_eq!(state.position, head);
    assert_eq!(state.tally, Some(CursorTally { delivered: 1, ..CursorTally::default() }));
}
