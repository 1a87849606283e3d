//! The one thread that writes.
//!
//! A group is what arrived while the last one was made durable. Its arena is built as the bytes of
//! its frames, so one write puts it on disk, and the same memory then serves readers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logmon_core::{AppendError, Committed, Epoch, FieldMap, Group, Position};

use super::config::{Durability, JournalConfig, JournalState};
use super::control::{self, Record, SegmentInfo};
use super::format::{SegmentHeader, chain};
use super::queue::{Gathering, Queued, Taken};
use super::report::OpenError;
use super::segment::{Segment, file_name};
use super::shared::Shared;
use crate::vfs::VfsFile;

mod adopt;
mod build;
mod chunks;
mod retention;

use build::Built;
pub(super) use chunks::Seen;

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
    pub(super) last_map: Option<(Arc<FieldMap>, u16)>,
    /// Since when something is written and not synced.
    pub(super) dirty_since: Option<Instant>,
    pub(super) next_retention: Instant,
    pub(super) seen: Seen,
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
    /// The hash its header has, over the last segment before it that has events.
    chain_before: u32,
}

/// The longest that a group waits for others to join.
const MOST_PATIENCE: Duration = Duration::from_millis(1);

/// Why the writer stops.
#[derive(Debug)]
pub(super) enum Stop {
    Closing,
    Poison(String),
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

/// Whether trying again later may help.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, QuotaExceeded, StorageFull};
    matches!(error.kind(), AlreadyExists | QuotaExceeded | StorageFull)
        // ENFILE and EMFILE, which have no kind: descriptors come back as space does.
        || matches!(error.raw_os_error(), Some(23 | 24))
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
                self.retain().map_err(stopped)
            }
            Err(Trouble::Full(error)) => {
                self.shared.set_space(Some(&error));
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
        }
        self.shared.end();
    }

    fn deadline(&self) -> Option<Instant> {
        let sync = match (self.config.durability, self.dirty_since) {
            (Durability::Interval(interval), Some(since)) => since.checked_add(interval),
            _ => None,
        };
        let retention = self.config.retention.max_age.map(|_| self.next_retention);
        [sync, retention].into_iter().flatten().min()
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
        let bytes: usize = self.taken.iter().map(Queued::frame_bytes).sum();
        self.make_room(bytes as u64)?;
        let built = self.build(bytes)?;
        self.commit(built)
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
        if matches!(error, AppendError::Poisoned(_)) {
            self.shared.queue.refuse(&error);
        }
        error
    }

    /// Sees to it that there is a segment with room for so many bytes.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), Stop> {
        let is_full = |active: &Active| {
            active.has_events && active.len.saturating_add(bytes) > self.config.segment_bytes
        };
        if self.active.as_ref().is_some_and(|active| !is_full(active)) {
            return Ok(());
        }
        self.sync_dirty()?;
        self.leave_chunks();
        self.until_space(Self::begin_segment)?;
        self.retain()
    }

    /// Closes the segment that is written and begins the next.
    ///
    /// # Durability
    /// The new segment is durable, with the table of those before it, before anything is written
    /// behind its checkpoint.
    fn begin_segment(&mut self) -> Result<(), Trouble> {
        let now = self.shared.vfs.now();
        let (number, epoch, first_seq) = (self.next_number, self.epoch, self.next_seq);
        // Never tried twice: what is left of a failed attempt may be there still.
        self.next_number += 1;
        let (journal, before) = (self.journal, self.chain);
        let header =
            SegmentHeader { number, epoch, journal, first_seq, created: now, chain: before };
        let mut bytes = header.to_bytes();
        let checkpoint = {
            let mut catalog = self.shared.catalog();
            if let Some(last) = catalog.segments.back_mut() {
                last.info.closed = last.info.closed.max(now);
            }
            Record::Checkpoint(catalog.checkpoint())
        };
        let crc = control::write_frame(&mut bytes, &[checkpoint], epoch, (first_seq, now));
        let name = file_name(number);
        let failed = |error| Trouble::of("creating a segment", error);
        let file = self.shared.vfs.create(&name).map_err(failed)?;
        let written = file.write_at(&bytes, 0).map_err(|error| Trouble::of("writing", error));
        let synced = written.and_then(|()| {
            let failed = |error| Trouble::of("syncing a new segment", error);
            file.sync_data().and_then(|()| self.shared.vfs.sync_dir()).map_err(failed)
        });
        self.shared.count_fsync();
        if let Err(trouble) = synced {
            // An empty segment is harmless, so it may also stay.
            drop(self.shared.vfs.remove(&name));
            return Err(trouble);
        }
        self.chain = chain(0, crc);
        let len = bytes.len() as u64;
        let chain_before = before;
        self.active = Some(Active { file, number, len, has_events: false, chain_before });
        let info = SegmentInfo::empty(number, epoch, first_seq, now);
        let info = SegmentInfo { bytes: len, chain: self.chain, ..info };
        self.shared.catalog().segments.push_back(Segment::begin(info));
        Ok(())
    }

    fn commit(&mut self, mut built: Built) -> Result<(), Stop> {
        self.until_space(|writer| writer.write(built.disk()))?;
        self.dirty_since.get_or_insert_with(Instant::now);
        if self.config.durability == Durability::Sync {
            let begin = Instant::now();
            self.sync_dirty()?;
            let batches = self.taken.len() + self.shared.queue.waiting();
            // Waiting about half as long as a sync takes at most doubles what one of them serves.
            let patience = (begin.elapsed() / 2).min(MOST_PATIENCE);
            self.gathering = Gathering { batches, patience };
        }
        if let Some(active) = &mut self.active {
            active.len += built.disk().len() as u64;
            active.has_events = true;
        }
        self.publish(built);
        self.sync_if_due()
    }

    /// Writes behind what is committed.
    fn write(&self, bytes: &[u8]) -> Result<(), Trouble> {
        let Some(active) = &self.active else { return Ok(()) };
        active.file.write_at(bytes, active.len).map_err(|error| {
            let trouble = Trouble::of("writing", error);
            match active.file.set_len(active.len) {
                Err(error) if matches!(trouble, Trouble::Full(_)) => {
                    Trouble::Failed("cutting off what a full disk did not take", error)
                }
                _ => trouble,
            }
        })
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
        self.move_head(group);
        self.keep_promises(first_seq);
    }

    fn move_head(&self, group: Group) {
        self.shared.tail.push(group);
        self.shared.head_moved(self.next_seq);
    }

    fn keep_promises(&mut self, mut seq: u64) {
        self.shared.queue.release(self.taken.iter());
        for Queued { batch, promise } in self.taken.drain(..) {
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

    /// Tries again while the disk is full.
    fn until_space(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<(), Trouble>,
    ) -> Result<(), Stop> {
        let first = self.config.full_retry;
        let mut pause = first;
        loop {
            match attempt(self) {
                Ok(()) => {
                    self.shared.set_space(None);
                    return Ok(());
                }
                Err(Trouble::Full(error)) => self.shared.set_space(Some(&error)),
                Err(Trouble::Failed(doing, error)) => {
                    return Err(Stop::Poison(format!("{doing} failed: {error}")));
                }
            }
            if self.shared.queue.pause(pause) {
                return Err(Stop::Closing);
            }
            pause = (pause * 2).min(first * 10);
        }
    }
}
