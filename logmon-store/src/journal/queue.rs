//! The batches that wait for the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use logmon_core::{AppendError, Commit, CursorError, MAX_GROUP_BYTES, NewBatch, Promise};

use super::codec;
use super::cursor::Change;
use super::format::header_len_of;
use super::staging::Adoption;

/// Memory of a waiting batch beside its entries, roughly.
const BATCH_OVERHEAD: usize = 256;

/// A queue with a limit in bytes between many appenders and one writer.
#[derive(Debug)]
pub(super) struct Queue {
    max_bytes: usize,
    /// Nothing more is taken while a batch has waited longer.
    max_delay: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Queued>,
    /// Bytes of the frames that `waiting` will become.
    waiting_bytes: usize,
    /// Memory of all batches whose promise is open, those with the writer too.
    held_bytes: usize,
    /// Batches taken by the writer so far.
    taken: u64,
    /// When the oldest of the batches came that are with the writer.
    taken_since: Option<Instant>,
    /// Staged messages, each with the number of batches that come before it.
    staged: VecDeque<(u64, Box<Adoption>)>,
    /// What cursors want to be noted, in order.
    changes: Vec<Change>,
    /// The writer waits until there are so many batches; zero where it waits for none or any.
    wanted: usize,
    is_closing: bool,
    refusal: Option<AppendError>,
}

/// A batch and its promise.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) batch: NewBatch,
    pub(super) promise: Promise,
    /// When it came.
    since: Instant,
}

/// How many batches are worth waiting for, and how long.
///
/// Senders that wait for acknowledgements send on when they have them. Those of the last group and
/// those that already wait will be so many; a sync for all of them costs as much as one for the
/// first of them. A lone sender is not waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gathering {
    pub(super) batches: usize,
    pub(super) patience: Duration,
}

/// So many bytes are worth a sync of their own.
const ENOUGH_BYTES: usize = 256 << 10;

/// How a pause ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    Elapsed,
    /// Changes of cursors wait.
    Changes,
    Closing,
}

/// Why the writer has been woken.
#[derive(Debug)]
pub(super) enum Taken {
    /// Batches, changes of cursors, or both.
    Batches,
    /// A message that comes behind all batches taken so far.
    Staged(Box<Adoption>),
    Closed,
    Deadline,
}

impl Queued {
    /// The bytes of the frame it becomes.
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(&self.batch)
    }
}

fn frame_bytes(batch: &NewBatch) -> usize {
    let (_, payload) = codec::stored(batch);
    header_len_of(batch) + payload.len() + 4
}

fn held_bytes(batch: &NewBatch) -> usize {
    let compressed = batch.compressed.as_ref().map_or(0, |form| form.bytes.len());
    header_len_of(batch) + batch.entries.memory() + compressed + BATCH_OVERHEAD
}

impl State {
    /// Whether there is nothing more to wait for before the next write.
    fn has_gathered(&self) -> bool {
        self.waiting.len() >= self.wanted
            || self.waiting_bytes >= ENOUGH_BYTES
            || self.is_closing
            || !self.staged.is_empty()
    }

    /// When the oldest batch came whose promise is open.
    fn oldest(&self) -> Option<Instant> {
        self.taken_since.or_else(|| self.waiting.front().map(|queued| queued.since))
    }

    /// The staged message whose turn it is.
    fn next_staged(&mut self) -> Option<Box<Adoption>> {
        let (_, adoption) = self.staged.pop_front_if(|(turn, _)| *turn == self.taken)?;
        Some(adoption)
    }
}

impl Queue {
    pub(super) fn new(max_bytes: usize, max_delay: Duration) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            held_bytes: 0,
            taken: 0,
            taken_since: None,
            staged: VecDeque::new(),
            changes: Vec::new(),
            wanted: 0,
            is_closing: false,
            refusal: None,
        };
        Self { max_bytes, max_delay, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Queues a batch, unless too much waits or has waited for too long. One that is beyond the
    /// limit by itself is taken while nothing else waits.
    pub(super) fn push(&self, batch: NewBatch) -> Commit {
        let mut state = self.state();
        if let Some(error) = &state.refusal {
            return Commit::ready(Err(error.clone()));
        }
        let held = held_bytes(&batch);
        let now = Instant::now();
        let is_late = |since| now.saturating_duration_since(since) > self.max_delay;
        let is_too_much = state.held_bytes.saturating_add(held) > self.max_bytes;
        if state.held_bytes > 0 && (is_too_much || state.oldest().is_some_and(is_late)) {
            return Commit::ready(Err(AppendError::Busy { queued_bytes: state.held_bytes }));
        }
        let (promise, commit) = Commit::pending();
        state.held_bytes += held;
        state.waiting_bytes += frame_bytes(&batch);
        let was_empty = state.waiting.is_empty();
        state.waiting.push_back(Queued { batch, promise, since: now });
        let is_due = state.wanted > 0 && state.has_gathered();
        drop(state);
        if was_empty || is_due {
            self.changed.notify_one();
        }
        commit
    }

    /// Queues a staged message behind everything that waits. It is bounded where it is staged.
    pub(super) fn push_staged(&self, adoption: Adoption) {
        let mut state = self.state();
        if let Some(error) = state.refusal.clone() {
            drop(state);
            return adoption.promise.resolve(Err(error));
        }
        let turn = state.taken + state.waiting.len() as u64;
        state.staged.push_back((turn, Box::new(adoption)));
        drop(state);
        self.changed.notify_one();
    }

    /// Queues a change of a cursor.
    pub(super) fn push_change(&self, change: Change) {
        let mut state = self.state();
        if let Some(error) = &state.refusal {
            let error = CursorError(error.to_string().into());
            drop(change.done.send(Err(error)));
            return;
        }
        state.changes.push(change);
        drop(state);
        self.changed.notify_one();
    }

    /// The changes that wait.
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.state().changes)
    }

    /// Moves what waits into `taken`, up to [`MAX_GROUP_BYTES`] or one bigger batch, and waits for
    /// it where nothing does. Changes of cursors stay where they are.
    pub(super) fn take(
        &self,
        taken: &mut VecDeque<Queued>,
        deadline: Option<Instant>,
        gathering: Gathering,
    ) -> Taken {
        let mut state = self.state();
        loop {
            if let Some(adoption) = state.next_staged() {
                return Taken::Staged(adoption);
            }
            if !state.waiting.is_empty() || !state.changes.is_empty() {
                break;
            }
            if state.is_closing {
                return Taken::Closed;
            }
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Taken::Deadline;
            };
            state = self.wait(state, left);
        }
        state = self.gather(state, gathering);
        if state.staged.is_empty() && state.waiting_bytes <= MAX_GROUP_BYTES && taken.is_empty() {
            std::mem::swap(&mut state.waiting, taken);
            state.taken += taken.len() as u64;
            state.taken_since = taken.front().map(|queued| queued.since);
            state.waiting_bytes = 0;
            return Taken::Batches;
        }
        let turn = state.staged.front().map_or(u64::MAX, |(turn, _)| *turn);
        let mut bytes = 0;
        while let Some(next) = state.waiting.front().map(Queued::frame_bytes) {
            if (bytes > 0 && bytes + next > MAX_GROUP_BYTES) || state.taken == turn {
                break;
            }
            bytes += next;
            state.taken += 1;
            taken.extend(state.waiting.pop_front());
        }
        state.taken_since = taken.front().map(|queued| queued.since);
        state.waiting_bytes -= bytes;
        Taken::Batches
    }

    /// Waits for more batches.
    fn gather<'s>(
        &self,
        mut state: MutexGuard<'s, State>,
        gathering: Gathering,
    ) -> MutexGuard<'s, State> {
        state.wanted = gathering.batches;
        let until = Instant::now() + gathering.patience;
        while !state.has_gathered() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            state = self.wait(state, left);
        }
        state.wanted = 0;
        state
    }

    /// How many batches wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Waits before something is tried again.
    pub(super) fn pause(&self, duration: Duration) -> Paused {
        let until = Instant::now() + duration;
        let mut state = self.state();
        loop {
            if !state.changes.is_empty() {
                return Paused::Changes;
            }
            if state.is_closing {
                return Paused::Closing;
            }
            // Appends wake as well; they do not make room on a disk.
            let left = until.checked_duration_since(Instant::now());
            let Some(left) = left else { return Paused::Elapsed };
            state = self.wait(state, left);
        }
    }

    /// The same, leaving changes of cursors for later; whether the journal is being closed.
    pub(super) fn pause_for_all(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        let mut state = self.state();
        while !state.is_closing {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            state = self.wait(state, left);
        }
        state.is_closing
    }

    /// Takes note that the promises of these batches are about to be kept or broken.
    pub(super) fn release<'a>(&self, batches: impl Iterator<Item = &'a Queued>) {
        let held: usize = batches.map(|queued| held_bytes(&queued.batch)).sum();
        let mut state = self.state();
        state.held_bytes -= held;
        state.taken_since = None;
    }

    /// Breaks the promises of all that waits and refuses everything from now on.
    pub(super) fn refuse(&self, error: &AppendError) {
        let (waiting, staged, changes) = {
            let mut state = self.state();
            state.refusal = Some(error.clone());
            state.waiting_bytes = 0;
            let waiting = std::mem::take(&mut state.waiting);
            state.held_bytes -=
                waiting.iter().map(|queued| held_bytes(&queued.batch)).sum::<usize>();
            let changes = std::mem::take(&mut state.changes);
            (waiting, std::mem::take(&mut state.staged), changes)
        };
        for change in changes {
            drop(change.done.send(Err(CursorError(error.to_string().into()))));
        }
        for (_, adoption) in staged {
            let Adoption { staged, promise } = *adoption;
            drop(staged);
            promise.resolve(Err(error.clone()));
        }
        waiting.into_iter().for_each(|queued| queued.promise.resolve(Err(error.clone())));
    }

    /// Why nothing is taken any more, if so.
    pub(super) fn refusal(&self) -> Option<AppendError> {
        self.state().refusal.clone()
    }

    /// Refuses new batches and lets the writer end when it has written what waits.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closing = true;
        state.refusal.get_or_insert(AppendError::Closed);
        drop(state);
        self.changed.notify_all();
    }

    /// Memory of the batches whose promise is open.
    pub(super) fn bytes(&self) -> usize {
        self.state().held_bytes
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, time: Duration) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
