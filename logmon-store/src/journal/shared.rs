//! What the writer, the readers and the handle of a journal share.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logmon_core::AppendError;
use tokio::sync::watch;

use super::catalog::Catalog;
use super::config::{JournalConfig, JournalState, JournalStatus};
use super::queue::Queue;
use super::staging::Room;
use super::tail::Tail;
use crate::vfs::Vfs;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) queue: Queue,
    pub(super) tail: Tail,
    pub(super) room: Room,
    pub(super) head: watch::Sender<Head>,
    /// The cursors that appends wait for.
    pub(super) wanted: watch::Sender<Wanted>,
    catalog: Mutex<Catalog>,
    state: Mutex<JournalState>,
    fsyncs: AtomicU64,
}

/// What appends wait for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Obstacle<'a> {
    Full(&'a io::Error),
    Held(&'a Arc<str>),
}

/// Which cursors appends wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    None,
    One(Arc<str>),
    /// The disk is full: whatever goes helps.
    All,
}

/// What one can wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) is_closed: bool,
}

impl Shared {
    pub(super) fn new(vfs: Arc<dyn Vfs>, catalog: Catalog, config: &JournalConfig) -> Self {
        let head = watch::Sender::new(Head { seq: catalog.head, is_closed: false });
        // The segment that is being written has its place beside a message.
        let kept_bytes = config.retention.max_bytes.saturating_sub(config.segment_bytes);
        Self {
            vfs,
            queue: Queue::new(config.queue_bytes, config.max_commit_delay),
            tail: Tail::new(config.tail_bytes),
            room: Room::new(config.staging_max_bytes, kept_bytes),
            head,
            wanted: watch::Sender::new(Wanted::None),
            catalog: Mutex::new(catalog),
            state: Mutex::new(JournalState::Ok),
            fsyncs: AtomicU64::new(0),
        }
    }

    pub(super) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // Nothing panics while the lock is held, and every state in between is valid.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, JournalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_state(&self, state: JournalState) {
        *self.state() = state;
    }

    /// Takes note of what appends wait for.
    pub(super) fn wait_for(&self, obstacle: Obstacle<'_>) {
        let mut state = self.state();
        match (obstacle, &*state) {
            (_, JournalState::Poisoned(_) | JournalState::Closed)
            | (Obstacle::Full(_), JournalState::Full(_)) => {}
            (Obstacle::Full(error), _) => {
                tracing::error!(%error, "the journal's disk is full; appends wait");
                *state = JournalState::Full(error.to_string().into());
            }
            (Obstacle::Held(cursor), JournalState::Held(before)) if before == cursor => {}
            (Obstacle::Held(cursor), _) => {
                tracing::error!(%cursor, "the journal is as large as it may be, for a cursor that is behind; appends wait");
                *state = JournalState::Held(cursor.clone());
            }
        }
        let wanted = match &*state {
            JournalState::Held(cursor) => Wanted::One(cursor.clone()),
            JournalState::Full(_) => Wanted::All,
            _ => Wanted::None,
        };
        drop(state);
        self.set_wanted(wanted);
    }

    /// Takes note that appends wait for nothing.
    pub(super) fn go_on(&self) {
        let mut state = self.state();
        if matches!(&*state, JournalState::Full(_) | JournalState::Held(_)) {
            tracing::info!("the journal has room again");
            *state = JournalState::Ok;
        }
        drop(state);
        self.set_wanted(Wanted::None);
    }

    fn set_wanted(&self, now: Wanted) {
        self.wanted.send_if_modified(|wanted| {
            let is_new = *wanted != now;
            *wanted = now;
            is_new
        });
    }

    pub(super) fn is_full(&self) -> bool {
        matches!(&*self.state(), JournalState::Full(_))
    }

    pub(super) fn is_poisoned(&self) -> bool {
        matches!(&*self.state(), JournalState::Poisoned(_))
    }

    /// What an append is told now that nothing more is taken.
    pub(super) fn refusal(&self) -> AppendError {
        match &*self.state() {
            JournalState::Poisoned(text) => AppendError::Poisoned(text.clone()),
            _ => AppendError::Closed,
        }
    }

    pub(super) fn head_moved(&self, seq: u64) {
        self.head.send_modify(|head| head.seq = seq);
    }

    /// The writer has ended.
    pub(super) fn end(&self) {
        let mut state = self.state();
        if !matches!(&*state, JournalState::Poisoned(_)) {
            *state = JournalState::Closed;
        }
        drop(state);
        self.head.send_modify(|head| head.is_closed = true);
    }

    pub(super) fn count_fsync(&self) {
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> JournalStatus {
        let catalog = self.catalog();
        JournalStatus {
            state: self.state().clone(),
            head: catalog.head(),
            oldest: catalog.oldest(),
            bytes: catalog.bytes(),
            segments: catalog.segments.len(),
            queued_bytes: self.queue.bytes(),
            staged_bytes: self.room.bytes(),
            appended: catalog.ledger.appended,
            expired: catalog.ledger.expired,
            damaged: catalog.ledger.damaged,
            fsyncs: self.fsyncs.load(Ordering::Relaxed),
        }
    }
}
