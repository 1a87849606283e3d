//! The batches that wait for the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use logmon_core::{AppendError, Commit, MAX_GROUP_BYTES, NewBatch, Promise};

use super::format::header_len;

/// Memory of a waiting batch beside its payload: index and bookkeeping, roughly.
const BATCH_OVERHEAD: usize = 256;

/// A queue with a limit in bytes between many appenders and one writer.
#[derive(Debug)]
pub(super) struct Queue {
    max_bytes: usize,
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
    is_closing: bool,
    refusal: Option<AppendError>,
}

/// A batch and its promise.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) batch: NewBatch,
    pub(super) promise: Promise,
}

/// Why the writer has been woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Batches,
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
    header_len(batch.tag.len(), batch.fingerprints.len()) + batch.entries.payload().len() + 4
}

fn held_bytes(batch: &NewBatch) -> usize {
    frame_bytes(batch) + BATCH_OVERHEAD
}

impl Queue {
    pub(super) fn new(max_bytes: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            held_bytes: 0,
            is_closing: false,
            refusal: None,
        };
        Self { max_bytes, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Queues a batch. One that is beyond the limit by itself is taken while nothing else waits.
    pub(super) fn push(&self, batch: NewBatch) -> Commit {
        let mut state = self.state();
        if let Some(error) = &state.refusal {
            return Commit::ready(Err(error.clone()));
        }
        let held = held_bytes(&batch);
        if state.held_bytes > 0 && state.held_bytes.saturating_add(held) > self.max_bytes {
            return Commit::ready(Err(AppendError::Busy { queued_bytes: state.held_bytes }));
        }
        let (promise, commit) = Commit::pending();
        state.held_bytes += held;
        state.waiting_bytes += frame_bytes(&batch);
        let was_empty = state.waiting.is_empty();
        state.waiting.push_back(Queued { batch, promise });
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        commit
    }

    /// Moves what waits into `taken`, up to [`MAX_GROUP_BYTES`] or one bigger batch, and waits for
    /// it where nothing does.
    pub(super) fn take(&self, taken: &mut VecDeque<Queued>, deadline: Option<Instant>) -> Taken {
        let mut state = self.state();
        while state.waiting.is_empty() {
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
        if state.waiting_bytes <= MAX_GROUP_BYTES && taken.is_empty() {
            std::mem::swap(&mut state.waiting, taken);
            state.waiting_bytes = 0;
            return Taken::Batches;
        }
        let mut bytes = 0;
        while let Some(next) = state.waiting.front().map(Queued::frame_bytes) {
            if bytes > 0 && bytes + next > MAX_GROUP_BYTES {
                break;
            }
            bytes += next;
            taken.extend(state.waiting.pop_front());
        }
        state.waiting_bytes -= bytes;
        Taken::Batches
    }

    /// Waits before something is tried again; whether the journal is being closed.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        let mut state = self.state();
        while !state.is_closing {
            // Appends wake as well; they do not make room on a disk.
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            state = self.wait(state, left);
        }
        state.is_closing
    }

    /// Takes note that the promises of these batches are about to be kept or broken.
    pub(super) fn release<'a>(&self, batches: impl Iterator<Item = &'a Queued>) {
        let held: usize = batches.map(|queued| held_bytes(&queued.batch)).sum();
        self.state().held_bytes -= held;
    }

    /// Breaks the promises of all that waits and refuses everything from now on.
    pub(super) fn refuse(&self, error: &AppendError) {
        let waiting = {
            let mut state = self.state();
            state.refusal = Some(error.clone());
            state.waiting_bytes = 0;
            let waiting = std::mem::take(&mut state.waiting);
            state.held_bytes -=
                waiting.iter().map(|queued| held_bytes(&queued.batch)).sum::<usize>();
            waiting
        };
        waiting.into_iter().for_each(|queued| queued.promise.resolve(Err(error.clone())));
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
