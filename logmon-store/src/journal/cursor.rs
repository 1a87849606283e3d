//! A holding cursor, opened.

use std::sync::Arc;

use logmon_core::{BoxFuture, Cursor, CursorError, CursorState};
use tokio::sync::oneshot;

use super::control::{MAX_IN_FLIGHT, is_name};
use super::cursors::HoldConfig;
use super::shared::{Shared, Wanted};

/// Cursors a journal has at most, the orphans among them.
const MAX_CURSORS: usize = 1024;

/// A place in a [`DiskJournal`](super::DiskJournal), remembered in the journal itself, from which
/// on segments are kept.
///
/// Clones are the same cursor. When the last is dropped the cursor still holds what it holds, until
/// the journal is opened without it.
#[derive(Clone, Debug)]
pub struct JournalCursor {
    shared: Arc<Shared>,
    name: Arc<str>,
    _open: Arc<()>,
}

/// Something to be noted of a cursor, and who waits for that.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) name: Arc<str>,
    /// `None` ends it.
    pub(super) state: Option<CursorState>,
    pub(super) done: oneshot::Sender<Result<(), CursorError>>,
}

impl JournalCursor {
    pub(super) fn open(
        shared: &Arc<Shared>,
        name: &str,
        hold: HoldConfig,
    ) -> Result<Self, CursorError> {
        if !is_name(name) {
            let what = format!(
                "`{name}` is no name for a cursor: 1 to 80 lower-case letters, digits, `-`, `_`, `.`"
            );
            return Err(CursorError(what.into()));
        }
        let name: Arc<str> = name.into();
        let mut catalog = shared.catalog();
        let floor = catalog.oldest().seq;
        if catalog.cursors.get(&name).is_none() && catalog.cursors.len() >= MAX_CURSORS {
            return Err(CursorError(format!("there are {MAX_CURSORS} cursors").into()));
        }
        let open = catalog.cursors.open(&name, hold, floor);
        let open = open.ok_or_else(|| CursorError(format!("`{name}` is open already").into()))?;
        let known = catalog.cursors.load(&name);
        drop(catalog);
        let cursor = Self { shared: shared.clone(), name, _open: open };
        if let Some(state) = known {
            // Notes that it is no orphan; where that cannot be written, the next save does it.
            drop(cursor.change(Some(state)));
        }
        Ok(cursor)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until appends wait for this cursor, or for any on a full disk: what has been read
    /// should be finished and saved. Pending for ever once the journal is gone.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wanted(&self) {
        let mut wanted = self.shared.wanted.subscribe();
        let is_this = |wanted: &Wanted| match wanted {
            Wanted::None => false,
            Wanted::One(cursor) => *cursor == self.name,
            Wanted::All => true,
        };
        if wanted.wait_for(is_this).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn change(&self, state: Option<CursorState>) -> oneshot::Receiver<Result<(), CursorError>> {
        change(&self.shared, self.name.clone(), state)
    }
}

/// Queues a change; what is received says that it is durable.
pub(super) fn change(
    shared: &Shared,
    name: Arc<str>,
    state: Option<CursorState>,
) -> oneshot::Receiver<Result<(), CursorError>> {
    let (done, receiver) = oneshot::channel();
    shared.queue.push_change(Change { name, state, done });
    receiver
}

/// What an unanswered change means.
pub(super) async fn answer(
    receiver: oneshot::Receiver<Result<(), CursorError>>,
) -> Result<(), CursorError> {
    receiver.await.unwrap_or_else(|_| Err(CursorError("the journal is closed".into())))
}

impl Cursor for JournalCursor {
    fn load(&self) -> BoxFuture<'_, Result<Option<CursorState>, CursorError>> {
        let state = self.shared.catalog().cursors.load(&self.name);
        Box::pin(std::future::ready(Ok(state)))
    }

    /// A save is written with the events that are appended next, and shares their sync. It is
    /// durable when the future resolves, whatever the durability of events.
    fn save(&self, state: CursorState) -> BoxFuture<'_, Result<(), CursorError>> {
        if state.in_flight.len() > MAX_IN_FLIGHT {
            let what = format!("more than {MAX_IN_FLIGHT} units in flight");
            return Box::pin(std::future::ready(Err(CursorError(what.into()))));
        }
        let saved = self.change(Some(state));
        Box::pin(answer(saved))
    }
}
