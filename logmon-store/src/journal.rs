//! The journal on a disk.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use logmon_core::{
    AppendError, BoxFuture, Commit, Committed, CursorError, Epoch, Group, Journal, NewBatch,
};
use logmon_core::{Position, ReadError, SeenChunk, Staging, Timestamp};

use crate::vfs::{Lock, RealVfs, Vfs};

mod catalog;
pub(crate) mod check;
mod chunks;
mod codec;
mod config;
mod control;
mod cursor;
mod cursors;
mod format;
pub mod fuzz;
pub(crate) mod mend;
mod queue;
mod reader;
mod recovery;
mod report;
pub(crate) mod salvage;
mod segment;
mod shared;
mod staging;
mod tail;
mod view;
mod walk;
mod writer;

pub use config::{
    Durability, Expired, JournalConfig, JournalLedger, JournalState, JournalStatus, Retention,
};
pub use cursor::JournalCursor;
pub use cursors::{CursorLedger, CursorStatus, HoldConfig, OnLag};
pub use report::{Damage, DamageKind, OpenError, RecoveryReport};

pub(crate) use mend::Loss;
pub(crate) use tail::Recent;
pub(crate) use view::{Extent, View};

use catalog::Catalog;
use reader::InMemory;
use recovery::Recovered;
use shared::Shared;
use writer::{Seen, Writer};

/// A single batch is smaller than this.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// An append-only sequence of events in a directory.
///
/// One thread writes; what arrives while the disk is busy becomes durable with the next sync, all
/// at once. Readers never wait for it: they find the newest groups in memory and read older ones
/// from the segments' files.
///
/// Dropping the journal closes it as [`DiskJournal::close`] does.
///
/// # Durability
/// As configured by [`Durability`].
///
/// # Examples
///
/// ```
/// use logmon_core::{Event, Journal, Log};
/// use logmon_store::{DiskJournal, JournalConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let (journal, report) = DiskJournal::open(dir, JournalConfig::default())?;
/// assert!(report.damages.is_empty());
/// let committed = journal.append(Log::new("charge failed").to_batch()?).await?;
/// // From here on neither a kill nor a power cut loses it.
/// let group = journal.read(committed.first, 1 << 20).await?.ok_or("no event")?;
/// assert_eq!(group.get(0).ok_or("no event")?.message(), "charge failed");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DiskJournal {
    shared: Arc<Shared>,
    thread: Mutex<Option<Running>>,
}

/// What ends with the journal.
#[derive(Debug)]
struct Running {
    thread: JoinHandle<()>,
    /// Released last.
    _lock: Lock,
}

impl DiskJournal {
    /// Opens the journal in the directory at `dir`, or founds one.
    ///
    /// # Errors
    /// See [`OpenError`]. A damaged journal opens; what is damaged is in the report.
    pub fn open(
        dir: impl AsRef<Path>,
        config: JournalConfig,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let dir = dir.as_ref();
        let vfs = RealVfs::new(dir).map_err(|source| OpenError::Io {
            doing: format!("making the directory {}", dir.display()),
            source,
        })?;
        Self::open_in(Arc::new(vfs), config)
    }

    /// The same in any [`Vfs`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_in(
        vfs: Arc<dyn Vfs>,
        config: JournalConfig,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let lock = vfs.lock()?;
        Self::open_locked(vfs, lock, config, &[])
    }

    /// The same where the directory is locked already, and some damage is known already.
    pub(crate) fn open_locked(
        vfs: Arc<dyn Vfs>,
        lock: Lock,
        config: JournalConfig,
        losses: &[Loss],
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let Recovered { mut catalog, mut report, journal, next_number, chain, .. } =
            recovery::recover(&*vfs)?;
        losses.iter().for_each(|loss| catalog.note_damage(loss.segment, loss.at, loss.events));
        sync_newest(&catalog, &*vfs)?;
        staging::remove_left(&*vfs);
        catalog.head = catalog.head.max(config.min_seq);
        let epoch = new_epoch(&catalog, &*vfs);
        catalog.begin_epoch(epoch);
        catalog.settle_cursors();
        report.epoch = Some(epoch);
        let next_seq = catalog.head;
        let seen = Seen::found(&*vfs);
        let shared = Arc::new(Shared::new(vfs, catalog, &config));
        let mut writer = Writer {
            shared: shared.clone(),
            config,
            journal: journal.unwrap_or(epoch),
            epoch,
            next_number,
            next_seq,
            chain,
            active: None,
            taken: std::collections::VecDeque::new(),
            changes: Vec::new(),
            last_map: None,
            dirty_since: None,
            opened: Instant::now(),
            next_retention: Instant::now(),
            gathering: queue::Gathering::default(),
            seen,
            spare: None,
        };
        writer.begin()?;
        let thread = std::thread::Builder::new()
            .name("logmon-journal".into())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        let running = Running { thread, _lock: lock };
        Ok((Self { shared, thread: Mutex::new(Some(running)) }, report))
    }

    /// Where the journal stands: for health, readiness and metrics.
    pub fn status(&self) -> JournalStatus {
        self.shared.status()
    }

    /// Whether nothing more comes.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.head.borrow().is_closed
    }

    /// Opens the holding cursor `name`: 1 to 80 lower-case letters, digits, `-`, `_` and `.`. From
    /// now on what it has not passed is kept, a cursor that has saved nothing yet holding all there
    /// is. Open cursors before anything is appended: one that nobody opens is an orphan.
    ///
    /// # Errors
    /// It is open already, has another name than may be, or there are a thousand others.
    ///
    /// # Durability
    /// A new cursor is remembered once it is saved.
    pub fn cursor(&self, name: &str, hold: HoldConfig) -> Result<JournalCursor, CursorError> {
        JournalCursor::open(&self.shared, name, hold)
    }

    /// All holding cursors by name, the orphans among them: those that nobody has opened since the
    /// journal was opened. An orphan blocks nothing, keeps what fits, and ends by itself after
    /// [`JournalConfig::orphan_max_age`].
    pub fn cursors(&self) -> Vec<CursorStatus> {
        let now = self.shared.vfs.now();
        self.shared.catalog().cursor_status(now)
    }

    /// What became of all events: over the whole life of the journal, all of one moment.
    pub fn ledger(&self) -> JournalLedger {
        let now = self.shared.vfs.now();
        self.shared.catalog().ledger(now)
    }

    /// Ends a cursor that nobody has open. It holds nothing any more and is forgotten.
    ///
    /// # Errors
    /// There is none of this name, somebody has it open, or the journal takes nothing.
    ///
    /// # Durability
    /// Once the future resolves, it stays ended.
    ///
    /// # Cancel safety
    /// Dropped half way, it may or may not be ended.
    pub async fn release(&self, name: &str) -> Result<(), CursorError> {
        {
            let catalog = self.shared.catalog();
            if catalog.cursors.get(name).is_none() {
                return Err(CursorError(format!("there is no cursor `{name}`").into()));
            }
            if catalog.cursors.is_open(name) {
                return Err(CursorError(format!("`{name}` is open").into()));
            }
        }
        cursor::answer(cursor::change(&self.shared, name.into(), None)).await
    }

    /// The epochs of this journal, as far as it remembers them, and the first number of each.
    #[cfg(feature = "mongodb")]
    pub(crate) fn epochs(&self) -> Vec<(Epoch, u64)> {
        self.shared.catalog().epochs.clone()
    }

    /// What there is to search now.
    pub(crate) fn view(&self) -> View {
        View::new(self.shared.clone())
    }

    /// Writes what is queued, syncs, and ends the writing thread. Reading goes on. Blocks, so call
    /// it where blocking is fine.
    ///
    /// # Durability
    /// Everything that was promised is durable then, whatever the configured durability. What
    /// waits for room on a full disk is refused.
    pub fn close(&self) {
        self.shared.queue.close();
        let running = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { thread, _lock }) = running
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked");
        }
    }
}

/// Makes durable what a killed process has written and not synced: it is there for readers from
/// now on, and chunks of it that are sent again are acknowledged.
///
/// Segments before the newest were synced before the next was begun.
fn sync_newest(catalog: &Catalog, vfs: &dyn Vfs) -> Result<(), OpenError> {
    let Some(newest) = catalog.segments.back() else { return Ok(()) };
    let name = segment::file_name(newest.info.number);
    let synced = vfs.open(&name).and_then(|file| file.sync_data());
    synced.map_err(|source| OpenError::Io { doing: format!("syncing {name}"), source })
}

/// An epoch that no opening before had, even within one second.
fn new_epoch(catalog: &Catalog, vfs: &dyn Vfs) -> Epoch {
    loop {
        let epoch = Epoch::new(vfs.now());
        if catalog.epochs.iter().all(|(known, _)| *known != epoch) {
            return epoch;
        }
    }
}

impl Drop for DiskJournal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journal for DiskJournal {
    fn append(&self, batch: NewBatch) -> Commit {
        let bytes = batch.entries.payload().len();
        let header = format::header_len_of(&batch);
        if bytes > MAX_BATCH_BYTES || header > format::MAX_HEADER_BYTES {
            return Commit::ready(Err(AppendError::TooLarge { bytes }));
        }
        if batch.entries.is_empty() {
            let head = self.head();
            return Commit::ready(Ok(Committed::new(head, head.seq)));
        }
        self.shared.queue.push(batch)
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Staging>, AppendError>> {
        Box::pin(staging::begin(self.shared.clone()))
    }

    /// Knows the chunks of the last 15 minutes, up to 1,000,000.
    fn chunks_since(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<SeenChunk>, ReadError>> {
        let shared = self.shared.clone();
        let read = move || {
            let chunks = shared.chunks_since(since);
            chunks.map_err(|error| ReadError::Io(format!("reading the chunks: {error}").into()))
        };
        Box::pin(async move {
            let Ok(runtime) = tokio::runtime::Handle::try_current() else { return read() };
            let read = runtime.spawn_blocking(read);
            read.await.unwrap_or_else(|error| Err(ReadError::Io(error.to_string().into())))
        })
    }

    /// Reads from memory at once, from the disk on a blocking thread of the tokio runtime, or on
    /// the caller's where there is no runtime.
    fn read(
        &self,
        from: Position,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<Option<Group>, ReadError>> {
        Box::pin(async move {
            match self.shared.read_memory(from)? {
                InMemory::Absent => {}
                InMemory::Group(group) => return Ok(Some(group)),
                InMemory::Head => return Ok(None),
            }
            let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                return self.shared.read(from, max_bytes);
            };
            let shared = self.shared.clone();
            let read = runtime.spawn_blocking(move || shared.read(from, max_bytes));
            read.await.unwrap_or_else(|error| Err(ReadError::Io(error.to_string().into())))
        })
    }

    fn head(&self) -> Position {
        self.shared.catalog().head()
    }

    fn oldest(&self) -> Position {
        self.shared.catalog().oldest()
    }

    fn advanced(&self, seq: u64) -> BoxFuture<'_, ()> {
        let mut head = self.shared.head.subscribe();
        Box::pin(async move {
            // An error means the journal is gone, which ends the waiting as well.
            drop(head.wait_for(|head| head.seq > seq || head.is_closed).await);
        })
    }
}

#[cfg(test)]
mod tests;
