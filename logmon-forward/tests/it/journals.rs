//! A journal whose commits the test resolves by hand, and a record of log lines.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use logmon_core::{
    AppendError, BoxFuture, Commit, Committed, Epoch, Fingerprint, Group, Journal, NewBatch,
    Position, Promise, Quarantine, QuarantineError, Quarantined, ReadError, SeenChunk, Staging,
    Timestamp,
};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span;

/// Keeps promises until it is told to.
#[derive(Debug)]
pub(crate) struct HandJournal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    appended: watch::Sender<usize>,
    /// How many stagings were begun, pushed to, committed and dropped.
    staged: watch::Sender<Staged>,
}

/// What has become of stagings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Staged {
    pub(crate) begun: usize,
    pub(crate) pushed: usize,
    pub(crate) committed: usize,
    pub(crate) dropped: usize,
}

/// A message on its way into a [`HandJournal`].
#[derive(Debug)]
struct HandStaging {
    shared: Arc<Shared>,
    batches: Vec<NewBatch>,
    is_committed: bool,
}

#[derive(Debug, Default)]
struct State {
    refusals: VecDeque<AppendError>,
    stage_refusals: VecDeque<AppendError>,
    push_refusals: VecDeque<AppendError>,
    batches: Vec<NewBatch>,
    promises: Vec<Option<Promise>>,
    unresolved_bytes: usize,
    most_unresolved_bytes: usize,
    /// What it says that it got before.
    chunks: Vec<SeenChunk>,
}

impl Default for HandJournal {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            appended: watch::Sender::new(0),
            staged: watch::Sender::new(Staged::default()),
        }))
    }
}

pub(crate) fn position(seq: u64) -> Position {
    Position { epoch: Epoch::from_bytes([0; 7]), seq }
}

impl HandJournal {
    /// One that got these chunks before it was opened.
    pub(crate) fn remembering(chunks: Vec<SeenChunk>) -> Self {
        let journal = Self::default();
        journal.0.state.lock().unwrap().chunks = chunks;
        journal
    }

    /// The next appends come to these errors, at once.
    pub(crate) fn refuse(&self, errors: impl IntoIterator<Item = AppendError>) {
        self.0.state.lock().unwrap().refusals.extend(errors);
    }

    /// The next stagings, and the next pushes, come to these errors.
    pub(crate) fn refuse_staging(
        &self,
        begins: impl IntoIterator<Item = AppendError>,
        pushes: impl IntoIterator<Item = AppendError>,
    ) {
        let mut state = self.0.state.lock().unwrap();
        state.stage_refusals.extend(begins);
        state.push_refusals.extend(pushes);
    }

    /// Waits until this holds of the stagings.
    pub(crate) async fn wait_for_staged(&self, is_there: impl FnMut(&Staged) -> bool) -> Staged {
        *self.0.staged.subscribe().wait_for(is_there).await.unwrap()
    }

    /// Waits until so many batches have come in all.
    pub(crate) async fn wait_for(&self, batches: usize) {
        self.0.appended.subscribe().wait_for(|appended| *appended >= batches).await.unwrap();
    }

    /// Makes a batch durable, or says why not.
    pub(crate) fn resolve(&self, batch: usize, result: Result<(), AppendError>) {
        let promise = {
            let mut state = self.0.state.lock().unwrap();
            state.unresolved_bytes -= state.batches[batch].entries.payload().len();
            state.promises[batch].take().unwrap()
        };
        promise.resolve(result.map(|()| Committed::new(position(1), 2)));
    }

    pub(crate) fn batches(&self) -> Vec<NewBatch> {
        self.0.state.lock().unwrap().batches.clone()
    }

    pub(crate) fn events(&self) -> usize {
        self.0.state.lock().unwrap().batches.iter().map(|batch| batch.entries.len()).sum()
    }

    pub(crate) fn most_unresolved_bytes(&self) -> usize {
        self.0.state.lock().unwrap().most_unresolved_bytes
    }
}

impl Journal for HandJournal {
    fn append(&self, batch: NewBatch) -> Commit {
        let mut state = self.0.state.lock().unwrap();
        if let Some(error) = state.refusals.pop_front() {
            return Commit::ready(Err(error));
        }
        let (promise, commit) = Commit::pending();
        state.unresolved_bytes += batch.entries.payload().len();
        state.most_unresolved_bytes = state.most_unresolved_bytes.max(state.unresolved_bytes);
        state.batches.push(batch);
        state.promises.push(Some(promise));
        self.0.appended.send_replace(state.batches.len());
        commit
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Staging>, AppendError>> {
        let refusal = self.0.state.lock().unwrap().stage_refusals.pop_front();
        let staging = refusal.map_or_else(
            || {
                self.0.staged.send_modify(|staged| staged.begun += 1);
                let shared = self.0.clone();
                Ok(Box::new(HandStaging { shared, batches: Vec::new(), is_committed: false })
                    as Box<dyn Staging>)
            },
            Err,
        );
        Box::pin(std::future::ready(staging))
    }

    fn chunks_since(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<SeenChunk>, ReadError>> {
        let chunks = self.0.state.lock().unwrap().chunks.clone();
        let chunks = chunks.into_iter().filter(|chunk| chunk.received >= since).collect();
        Box::pin(std::future::ready(Ok(chunks)))
    }

    fn read(&self, _: Position, _: usize) -> BoxFuture<'_, Result<Option<Group>, ReadError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn head(&self) -> Position {
        position(1)
    }

    fn oldest(&self) -> Position {
        position(1)
    }

    fn advanced(&self, _: u64) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl Staging for HandStaging {
    fn push(&mut self, batch: NewBatch) -> BoxFuture<'_, Result<(), AppendError>> {
        let refusal = self.shared.state.lock().unwrap().push_refusals.pop_front();
        let pushed = refusal.map_or(Ok(()), Err);
        if pushed.is_ok() {
            self.batches.push(batch);
            self.shared.staged.send_modify(|staged| staged.pushed += 1);
        }
        Box::pin(std::future::ready(pushed))
    }

    /// All batches count as appended, with the promise at the last one.
    fn commit(mut self: Box<Self>, _: Vec<Fingerprint>) -> Commit {
        self.is_committed = true;
        let (promise, commit) = Commit::pending();
        let mut state = self.shared.state.lock().unwrap();
        for batch in self.batches.drain(..) {
            state.unresolved_bytes += batch.entries.payload().len();
            state.batches.push(batch);
            state.promises.push(None);
        }
        *state.promises.last_mut().unwrap() = Some(promise);
        self.shared.appended.send_replace(state.batches.len());
        drop(state);
        self.shared.staged.send_modify(|staged| staged.committed += 1);
        commit
    }
}

impl Drop for HandStaging {
    fn drop(&mut self) {
        if !self.is_committed {
            self.shared.staged.send_modify(|staged| staged.dropped += 1);
        }
    }
}

/// Keeps what it is given, unless it is told to fail.
#[derive(Debug, Default)]
pub(crate) struct HandQuarantine {
    items: Mutex<Vec<Quarantined>>,
    /// Closed while nothing may be kept.
    gate: Option<Arc<tokio::sync::Semaphore>>,
    is_broken: bool,
}

impl HandQuarantine {
    /// Keeps nothing until the gate has a permit for each item.
    pub(crate) fn behind(gate: &Arc<tokio::sync::Semaphore>) -> Arc<Self> {
        Arc::new(Self { gate: Some(gate.clone()), ..Self::default() })
    }

    pub(crate) fn broken() -> Arc<Self> {
        Arc::new(Self { is_broken: true, ..Self::default() })
    }

    pub(crate) fn items(&self) -> Vec<Quarantined> {
        self.items.lock().unwrap().clone()
    }
}

impl Quarantine for HandQuarantine {
    fn put(&self, item: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>> {
        Box::pin(async move {
            if let Some(gate) = &self.gate {
                gate.acquire().await.unwrap().forget();
            }
            if self.is_broken {
                return Err(QuarantineError("the disk is full".into()));
            }
            self.items.lock().unwrap().push(item);
            Ok(())
        })
    }
}

/// The log lines of this thread, from info upwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Records until the guard is dropped.
    pub(crate) fn record() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        (lines, guard)
    }

    /// The lines of a level, such as `WARN`.
    pub(crate) fn of(&self, level: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|line| line.starts_with(level)).cloned().collect()
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        use std::fmt::Write as _;
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
