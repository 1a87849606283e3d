//! The one thread that writes.
//!
//! A group is what arrived while the last one was made durable. Its arena is built as the bytes of
//! its frames, so one write puts it on disk, and the same memory then serves readers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logmon_core::{AppendError, Committed, Epoch, FieldMap, Position};

use super::config::{Durability, JournalConfig, JournalState};
use super::cursor::Change;
use super::queue::{Gathering, Queued, Taken};
use super::report::OpenError;
use super::shared::{Obstacle, Shared};
use super::tail::Recent;
use crate::vfs::VfsFile;

mod adopt;
mod ahead;
mod build;
mod changes;
mod chunks;
mod retention;
mod roll;
mod room;
mod spare;

use build::Built;
pub(super) use chunks::Seen;
pub(super) use room::is_full;
pub(super) use spare::SPARE_NAME;

/// Owns the segment that is written.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) config: JournalConfig,
    /// The epoch the journal was founded in.
    pub(super) journal: Epoch,
    pub(super) epoch: Epoch,
    pub(super) next_number: u64,
    pub(super) next_seq: u64,
    /// The hash over the frames of the last segment, the one being written or the one before.
    pub(super) chain: u32,
    pub(super) active: Option<Active>,
    pub(super) taken: VecDeque<Queued>,
    /// What cursors want to be noted.
    pub(super) changes: Vec<Change>,
    pub(super) last_map: Option<(Arc<FieldMap>, u16)>,
    /// Since when something is written and not synced.
    pub(super) dirty_since: Option<Instant>,
    pub(super) opened: Instant,
    pub(super) next_retention: Instant,
    pub(super) seen: Seen,
    /// A file that becomes a segment when the disk is full.
    pub(super) spare: Option<Arc<dyn VfsFile>>,
    /// What the next group may wait for.
    pub(super) gathering: Gathering,
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Active {
    file: Arc<dyn VfsFile>,
    number: u64,
    /// Bytes that are committed; what lies behind them is rubbish of a failed write.
    len: u64,
    has_events: bool,
    /// So many bytes the file has; those behind `len` are zeros.
    filled: u64,
    /// It was made of the spare: there is room for control records only.
    is_spare: bool,
    /// Every group is synced, so zeros are written ahead of small ones.
    is_filled_ahead: bool,
    /// The hash its header has, over the last segment before it that has events.
    chain_before: u32,
}

/// The longest that a group waits for others to join where syncs are slow.
const MOST_PATIENCE: Duration = Duration::from_millis(1);

/// Why the writer stops.
#[derive(Debug)]
pub(super) enum Stop {
    Closing,
    Poison(String),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full(error) => Self::Poison(format!("the disk is full: {error}")),
            Trouble::Failed(doing, error) => Self::Poison(format!("{doing} failed: {error}")),
        }
    }
}

/// What went wrong with the disk.
#[derive(Debug)]
enum Trouble {
    /// Worth trying again: nothing that was promised is in doubt.
    Full(io::Error),
    Failed(&'static str, io::Error),
}

impl Trouble {
    fn of(doing: &'static str, error: io::Error) -> Self {
        if is_full(&error) { Self::Full(error) } else { Self::Failed(doing, error) }
    }
}

impl Writer {
    /// Begins the first segment of this opening and removes what earlier ones left. On a full disk
    /// this is left to the first append.
    ///
    /// # Errors
    /// The medium fails.
    pub(super) fn begin(&mut self) -> Result<(), OpenError> {
        let failed = |doing: String, source| OpenError::Io { doing, source };
        match self.begin_segment() {
            Ok(()) => {
                let stopped =
                    |_| failed("writing to the new segment".into(), io::ErrorKind::Other.into());
                // Those that hold on to something are about to open their cursors.
                self.retain_sparing_orphans().map_err(stopped)?;
                self.provide_spare();
                Ok(())
            }
            Err(Trouble::Full(error)) => {
                self.shared.wait_for(Obstacle::Full(&error));
                self.provide_spare();
                Ok(())
            }
            Err(Trouble::Failed(doing, source)) => Err(failed(doing.into(), source)),
        }
    }

    /// Writes until the journal is closed.
    pub(super) fn run(mut self) {
        loop {
            let deadline = self.deadline();
            let gathering = std::mem::take(&mut self.gathering);
            let result = match self.shared.queue.take(&mut self.taken, deadline, gathering) {
                Taken::Batches => self.append_taken(),
                Taken::Staged(adoption) => self.take_staged(*adoption),
                Taken::Deadline => self.keep_house(),
                Taken::Closed => break,
            };
            if let Err(stop) = result {
                self.stop(stop);
            }
        }
        if let Err(stop) = self.sync_dirty() {
            self.stop(stop);
        }
        if !self.shared.is_poisoned() {
            self.leave_chunks();
            if let Some(active) = &mut self.active {
                active.cut();
            }
        }
        self.shared.end();
    }

    fn deadline(&self) -> Option<Instant> {
        let sync = match (self.config.durability, self.dirty_since) {
            (Durability::Interval(interval), Some(since)) => since.checked_add(interval),
            _ => None,
        };
        [sync, Some(self.next_retention)].into_iter().flatten().min()
    }

    /// What is due without any append.
    fn keep_house(&mut self) -> Result<(), Stop> {
        self.sync_if_due()?;
        if Instant::now() >= self.next_retention { self.retain() } else { Ok(()) }
    }

    fn append_taken(&mut self) -> Result<(), Stop> {
        if self.shared.is_poisoned() {
            return Err(Stop::Closing);
        }
        if self.taken.is_empty() {
            return self.note_all_changes();
        }
        let bytes: usize = self.taken.iter().map(Queued::frame_bytes).sum();
        let mut backoff = self.backoff();
        loop {
            self.make_room(bytes as u64)?;
            let mut built = self.build(bytes)?;
            match self.leave_spare().and_then(|()| self.write(built.disk())) {
                Ok(()) => {
                    self.shared.go_on();
                    return self.commit(built);
                }
                Err(Trouble::Full(error)) => {
                    self.shared.wait_for(Obstacle::Full(&error));
                    // What it stands for was not written.
                    self.last_map = None;
                    self.wait(&mut backoff)?;
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }

    /// Breaks the promises at hand, and all later ones if the disk is not to be trusted any more.
    fn stop(&mut self, stop: Stop) -> AppendError {
        let error = match stop {
            Stop::Closing => self.shared.refusal(),
            Stop::Poison(text) => {
                tracing::error!(reason = text, "the journal stops taking events");
                let text: Arc<str> = text.into();
                self.shared.set_state(JournalState::Poisoned(text.clone()));
                // What was not synced may be lost already; a later sync would prove nothing.
                self.dirty_since = None;
                AppendError::Poisoned(text)
            }
        };
        self.shared.queue.release(self.taken.iter());
        for queued in self.taken.drain(..) {
            queued.promise.resolve(Err(error.clone()));
        }
        self.refuse_changes(&error);
        if matches!(error, AppendError::Poisoned(_)) {
            self.shared.queue.refuse(&error);
        }
        error
    }

    /// Keeps the promises of a group that is written, and says that changes of cursors are noted.
    fn commit(&mut self, mut built: Built) -> Result<(), Stop> {
        self.dirty_since.get_or_insert_with(Instant::now);
        if self.config.durability == Durability::Sync {
            let begin = Instant::now();
            self.sync_dirty()?;
            let batches = self.taken.len() + self.shared.queue.waiting();
            // Waiting about half as long as a sync takes at most doubles what one of them serves.
            let took = begin.elapsed();
            let half = (took / 2).min(MOST_PATIENCE);
            let patience = half.max(self.config.min_fsync_interval.saturating_sub(took));
            self.gathering = Gathering { batches, patience };
        } else if !built.records.is_empty() {
            self.sync_dirty()?;
        }
        if let Some(active) = &mut self.active {
            active.len += built.disk().len() as u64;
            active.has_events = true;
        }
        let records = std::mem::take(&mut built.records);
        self.publish(built);
        self.settle_changes(records);
        self.sync_if_due()
    }

    /// Lets readers see a group, then keeps its promises.
    fn publish(&mut self, built: Built) {
        let Built { builder, blocks, chain, events, times, received, new_maps, .. } = built;
        let group = builder.finish();
        let first_seq = self.next_seq;
        self.next_seq += events;
        self.chain = chain;
        {
            let mut catalog = self.shared.catalog();
            if let (Some(segment), Some(active)) = (catalog.segments.back_mut(), &self.active) {
                segment.info.add(events, times, received);
                segment.info.end_seq = self.next_seq;
                segment.info.bytes = active.len;
                segment.info.chain = chain;
                segment.note_blocks(blocks);
            }
            catalog.field_maps.extend(new_maps);
            catalog.ledger.appended += events;
            catalog.head = self.next_seq;
        }
        self.move_head(Recent { group, times });
        self.keep_promises(first_seq);
    }

    fn move_head(&self, recent: Recent) {
        self.shared.tail.push(recent);
        self.shared.head_moved(self.next_seq);
    }

    fn keep_promises(&mut self, mut seq: u64) {
        self.shared.queue.release(self.taken.iter());
        for Queued { batch, promise, .. } in self.taken.drain(..) {
            let first = Position { epoch: self.epoch, seq };
            seq += batch.entries.len() as u64;
            self.seen.note(&batch.fingerprints, batch.entries.received(), &*self.shared.vfs);
            promise.resolve(Ok(Committed::new(first, seq)));
        }
    }

    fn sync_if_due(&mut self) -> Result<(), Stop> {
        match (self.config.durability, self.dirty_since) {
            (Durability::Interval(interval), Some(since)) if since.elapsed() >= interval => {
                self.sync_dirty()
            }
            _ => Ok(()),
        }
    }

    /// Makes durable what is not.
    ///
    /// # Durability
    /// A failure is final: the system may have dropped the bytes, and a second sync would succeed
    /// without them.
    fn sync_dirty(&mut self) -> Result<(), Stop> {
        if self.dirty_since.take().is_some()
            && let Some(active) = &self.active
        {
            self.shared.count_fsync();
            let failed =
                |error| Stop::Poison(format!("syncing segment {} failed: {error}", active.number));
            active.file.sync_data().map_err(failed)?;
        }
        Ok(())
    }
}
