//! Putting events of the journal into blocks, on a thread of its own.
//!
//! A unit is written, then shown to queries; some units later the file is synced, and only then the
//! cursor in the journal moves on. What a crash leaves behind the cursor is void: the journal has
//! it still. A file is only ever appended to by the process that has begun it, and never again
//! after it failed.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use logmon_core::{Cursor, Event as _, Group, Journal as _, Position, ReadError};

use super::catalog::Entry;
use super::shared::Shared;
use super::wait::{block_on, block_until};
use crate::vfs::VfsFile;
use crate::{DiskJournal, JournalCursor};
use unit::UnitBuilder;

mod close;
mod unit;
mod write;

/// What is read of the journal at once where memory has it no more.
const READ_BYTES: usize = 1 << 20;
/// How long events are gathered before they are looked at, where fewer than a block come.
const GATHER: Duration = Duration::from_millis(250);
/// How often ages and the hour are looked at while nothing comes.
const INTERVAL: Duration = Duration::from_secs(60);
/// A partition has the events of one hour.
const HOUR: Duration = Duration::from_secs(3600);
const HOUR_NANOS: i64 = 3_600_000_000_000;
/// Events of an hour that is over may take so long to get here.
const GRACE_NANOS: i64 = 60_000_000_000;
/// The longest pause after a failure of the disk.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The thread's state.
#[derive(Debug)]
pub(super) struct Sealer {
    shared: Arc<Shared>,
    journal: Arc<DiskJournal>,
    cursor: Arc<dyn Cursor>,
    /// The same cursor, which tells when the journal waits for it.
    held: Option<JournalCursor>,
    unit: UnitBuilder,
    /// The unit as it is written.
    encoded: Vec<u8>,
    open: Option<Writing>,
    /// Events received from here on go into another partition.
    hour_end: i64,
    next_number: u64,
    /// Where the cursor stands.
    saved: u64,
    /// Since when there are blocks that are not durable, and the bytes of their events.
    dirty: Option<(Instant, u64)>,
    next_retention: Instant,
    failures: u32,
    /// Partitions without a block that counts, whose files are there still.
    void: Vec<u64>,
}

/// The partition file that is written.
#[derive(Debug)]
struct Writing {
    file: Arc<dyn VfsFile>,
    begun: Instant,
    len: u64,
    /// Its name is durable.
    is_named: bool,
}

/// Why the thread does not go on as before.
#[derive(Debug)]
pub(super) enum Halt {
    Closing,
    Failed(String),
}

impl Sealer {
    /// Begins where the blocks end.
    pub(super) fn new(
        shared: Arc<Shared>,
        journal: Arc<DiskJournal>,
        cursor: Arc<dyn Cursor>,
        (next_number, saved, void): (u64, u64, Vec<u64>),
    ) -> Self {
        let end_seq = shared.catalog().end_seq;
        Self {
            shared,
            journal,
            cursor,
            held: None,
            unit: UnitBuilder::at(end_seq),
            encoded: Vec::new(),
            open: None,
            hour_end: i64::MIN,
            next_number,
            saved,
            dirty: None,
            next_retention: Instant::now(),
            failures: 0,
            void,
        }
    }

    /// Lets go of the journal as soon as that waits for it.
    pub(super) fn heed(&mut self, cursor: JournalCursor) {
        self.held = Some(cursor);
    }

    /// Runs until the store is closed.
    pub(super) fn run(mut self) {
        self.tidy();
        loop {
            let done = match self.step() {
                Ok(true) => Ok(()),
                Ok(false) => self.rest(),
                Err(halt) => Err(halt),
            };
            if done.or_else(|halt| self.get_over(halt)).is_err() {
                break;
            }
        }
        self.finish();
    }

    /// Ends. What is not in a block yet stays in the journal.
    pub(super) fn finish(mut self) {
        if let Err(Halt::Failed(what)) = self.close_partition() {
            self.abandon(&what);
        }
        self.shared.set_closed();
    }

    /// Takes what comes next, and does what is due; tells whether there was anything.
    pub(super) fn step(&mut self) -> Result<bool, Halt> {
        if self.shared.is_closing() {
            return Err(Halt::Closing);
        }
        let group = self.read()?;
        if let Some(group) = &group {
            self.take(group)?;
        }
        let interval = self.shared.config.sync_interval;
        let is_due = |(since, _): (Instant, u64)| since.elapsed() >= interval || self.is_wanted();
        if self.dirty.is_some_and(is_due) {
            self.sync()?;
        }
        if Instant::now() >= self.next_retention {
            self.next_retention = Instant::now() + INTERVAL;
            self.shared.retain();
        }
        Ok(group.is_some())
    }

    /// Begins anew after a failure of the disk.
    pub(super) fn get_over(&mut self, halt: Halt) -> Result<(), Halt> {
        let Halt::Failed(what) = halt else { return Err(halt) };
        self.abandon(&what);
        let pause = self.shared.config.full_retry * (1 << self.failures.min(10));
        self.failures += 1;
        self.pause(pause.min(MAX_PAUSE))
    }

    /// The next events; `None` where there are none.
    fn read(&mut self) -> Result<Option<Group>, Halt> {
        loop {
            // The numbers alone tell the place: they are never given twice.
            let from = Position { epoch: self.journal.head().epoch, seq: self.unit.next_seq() };
            match block_on(self.journal.read(from, READ_BYTES)) {
                Ok(group) => return Ok(group),
                Err(ReadError::Expired { oldest }) if oldest.seq > from.seq => {
                    let skipped = oldest.seq - from.seq;
                    tracing::error!(
                        from = from.seq,
                        skipped,
                        "the journal has no longer what the store was to take"
                    );
                    self.shared.skipped.fetch_add(skipped, Ordering::Relaxed);
                    self.unit.skip_to(oldest.seq);
                }
                Err(error) => {
                    tracing::warn!(%error, "the store cannot read the journal; it tries again");
                    self.pause(Duration::from_secs(1))?;
                }
            }
        }
    }

    /// Puts the events of a group into units.
    fn take(&mut self, group: &Group) -> Result<(), Halt> {
        let first = group.index_of(self.unit.next_seq());
        // Those of other journals are only shown here.
        for log in group.iter().skip(first).filter(|log| !log.is_foreign()) {
            let received = log.received().as_nanos();
            if received >= self.hour_end {
                self.seal()?;
                self.close_partition()?;
                self.hour_end = (received.div_euclid(HOUR_NANOS) + 1).saturating_mul(HOUR_NANOS);
            }
            if !self.unit.push(log) {
                self.seal()?;
                self.unit.push(log);
            }
            if self.unit.is_full(&self.shared.config) {
                self.seal()?;
            }
        }
        self.unit.skip_to(group.end_seq());
        Ok(())
    }

    /// Nothing is left to be read: waits for more.
    fn rest(&mut self) -> Result<(), Halt> {
        self.end_hour()?;
        if self.journal.is_closed() {
            return self.pause(INTERVAL);
        }
        let head = self.unit.next_seq();
        let mut deadline = self.next_retention;
        if let Some((since, _)) = self.dirty {
            deadline = deadline.min(since + self.shared.config.sync_interval);
        }
        self.wait_beyond(head, deadline)?;
        // A few events are not worth the while.
        let worth = head + self.shared.config.block_events as u64;
        self.wait_beyond(worth, deadline.min(Instant::now() + GATHER))
    }

    /// Closes the partition if its hour is over.
    pub(super) fn end_hour(&mut self) -> Result<(), Halt> {
        let now = self.shared.vfs.now().as_nanos();
        let is_over = now >= self.hour_end.saturating_add(GRACE_NANOS);
        if is_over || self.is_partition_over() {
            self.seal()?;
            self.close_partition()?;
        }
        Ok(())
    }

    /// Waits until the journal has reached a number, or for an instant.
    fn wait_beyond(&mut self, seq: u64, deadline: Instant) -> Result<(), Halt> {
        let is_wanted = {
            let (mut advanced, mut wanted) = (self.journal.advanced(seq), pin!(self.wanted()));
            let either = poll_fn(|cx| match wanted.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => advanced.as_mut().poll(cx).map(|()| false),
            });
            block_until(either, deadline, || self.shared.is_closing())
        };
        if self.shared.is_closing() {
            return Err(Halt::Closing);
        }
        if is_wanted == Some(true) {
            self.seal()?;
            self.sync()?;
        }
        Ok(())
    }

    /// Waits until the journal waits for the store, and there is something to let go of.
    async fn wanted(&self) {
        let has_any = !self.unit.is_empty() || self.dirty.is_some();
        match &self.held {
            Some(held) if has_any => held.wanted().await,
            _ => std::future::pending().await,
        }
    }

    fn is_wanted(&self) -> bool {
        block_until(self.wanted(), Instant::now(), || false).is_some()
    }

    fn pause(&self, pause: Duration) -> Result<(), Halt> {
        let never = std::future::pending::<()>();
        block_until(never, Instant::now() + pause, || self.shared.is_closing());
        if self.shared.is_closing() { Err(Halt::Closing) } else { Ok(()) }
    }

    /// Puts what was gathered into blocks, and shows them.
    fn seal(&mut self) -> Result<(), Halt> {
        if self.unit.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.begin_partition()?;
        let raw_bytes = self.unit.raw_bytes();
        self.encoded.clear();
        let blocks = self.unit.finish(&mut self.encoded);
        let at = self.write()?;
        self.show(blocks.into_iter().map(|(start, info)| Entry { info, offset: at + start }));
        self.shared.count_seal(started.elapsed());
        let (since, bytes) = self.dirty.unwrap_or((started, 0));
        self.dirty = Some((since, bytes + raw_bytes));
        if self.is_partition_over() {
            self.close_partition()
        } else if bytes + raw_bytes >= self.shared.config.sync_bytes {
            self.sync()
        } else {
            Ok(())
        }
    }
}
