//! A journal whose commits the test resolves by hand, and a record of log lines.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use logmon_core::{
    AppendError, BoxFuture, Commit, Committed, Epoch, Group, Journal, NewBatch, Position, Promise,
    ReadError, SeenChunk, Timestamp,
};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span;

/// Keeps promises until it is told to.
#[derive(Debug)]
pub(crate) struct HandJournal {
    state: Mutex<State>,
    appended: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    refusals: VecDeque<AppendError>,
    batches: Vec<NewBatch>,
    promises: Vec<Option<Promise>>,
    unresolved_bytes: usize,
    most_unresolved_bytes: usize,
    /// What it says that it got before.
    chunks: Vec<SeenChunk>,
}

impl Default for HandJournal {
    fn default() -> Self {
        Self { state: Mutex::default(), appended: watch::Sender::new(0) }
    }
}

pub(crate) fn position(seq: u64) -> Position {
    Position { epoch: Epoch::from_bytes([0; 7]), seq }
}

impl HandJournal {
    /// One that got these chunks before it was opened.
    pub(crate) fn remembering(chunks: Vec<SeenChunk>) -> Self {
        let state = State { chunks, ..State::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// The next appends come to these errors, at once.
    pub(crate) fn refuse(&self, errors: impl IntoIterator<Item = AppendError>) {
        self.state.lock().unwrap().refusals.extend(errors);
    }

    /// Waits until so many batches have come in all.
    pub(crate) async fn wait_for(&self, batches: usize) {
        self.appended.subscribe().wait_for(|appended| *appended >= batches).await.unwrap();
    }

    /// Makes a batch durable, or says why not.
    pub(crate) fn resolve(&self, batch: usize, result: Result<(), AppendError>) {
        let promise = {
            let mut state = self.state.lock().unwrap();
            state.unresolved_bytes -= state.batches[batch].entries.payload().len();
            state.promises[batch].take().unwrap()
        };
        promise.resolve(result.map(|()| Committed::new(position(1), 2)));
    }

    pub(crate) fn batches(&self) -> Vec<NewBatch> {
        self.state.lock().unwrap().batches.clone()
    }

    pub(crate) fn events(&self) -> usize {
        self.state.lock().unwrap().batches.iter().map(|batch| batch.entries.len()).sum()
    }

    pub(crate) fn most_unresolved_bytes(&self) -> usize {
        self.state.lock().unwrap().most_unresolved_bytes
    }
}

impl Journal for HandJournal {
    fn append(&self, batch: NewBatch) -> Commit {
        let mut state = self.state.lock().unwrap();
        if let Some(error) = state.refusals.pop_front() {
            return Commit::ready(Err(error));
        }
        let (promise, commit) = Commit::pending();
        state.unresolved_bytes += batch.entries.payload().len();
        state.most_unresolved_bytes = state.most_unresolved_bytes.max(state.unresolved_bytes);
        state.batches.push(batch);
        state.promises.push(Some(promise));
        self.appended.send_replace(state.batches.len());
        commit
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn logmon_core::Staging>, AppendError>> {
        Box::pin(std::future::ready(Err(AppendError::Closed)))
    }

    fn chunks_since(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<SeenChunk>, ReadError>> {
        let chunks = self.state.lock().unwrap().chunks.clone();
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
