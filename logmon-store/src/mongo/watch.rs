//! Live across nodes: what other processes write to the collection comes into the journal here.
//!
//! A change stream tells of every document; where the server has none (it is no replica set), the
//! newest documents are asked for again and again. What this process has written itself is left out.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use logmon_core::{
    AppendError, Entries, Epoch, EventId, Journal, NewBatch, ReadError, Reading, Tag, Timestamp,
};
use mongodb::Collection;
use mongodb::bson::{RawDocument, RawDocumentBuf};
use mongodb::error::{Error, ErrorKind};

use super::client::Connection;
use super::document::Stored;
use super::sink::MongoSink;
use crate::DiskJournal;

mod poll;
mod resume;
mod stream;

use resume::{Place, Resume};

/// After a failure it begins again so much later, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Where a server has no change streams.
const NO_STREAMS: [i32; 3] = [40573, 40324, 59];

/// The server does not have any more what follows the place where the stream ended.
const HISTORY_LOST: [i32; 4] = [280, 286, 136, 260];

/// How what others write is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are these two ways")]
pub enum WatchBy {
    /// By a change stream where the server has them, else by asking. The default.
    #[default]
    Stream,
    /// By asking twice a second for the newest documents.
    Polling,
}

/// Brings what other processes write to a collection into the journal of this one, where it is shown
/// live and belongs to nobody: no output writes it, no store keeps it.
#[derive(Debug)]
pub struct MongoWatch {
    connection: Connection,
    collection: String,
    journal: Arc<DiskJournal>,
    own: HashSet<Epoch>,
    by: WatchBy,
    resume: Resume,
    stats: Arc<WatchStats>,
}

/// What a watch has counted.
#[derive(Debug, Default)]
pub struct WatchStats {
    events: AtomicU64,
    repeated: AtomicU64,
    unreadable: AtomicU64,
    gaps: AtomicU64,
    failures: AtomicU64,
    listening: AtomicBool,
}

/// What a watch has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchFigures {
    /// Events of others that were taken into the journal.
    pub events: u64,
    /// Events that came again after a restart, and were left out.
    pub repeated: u64,
    /// Documents that are no events, and events that no journal takes; they are not shown.
    pub unreadable: u64,
    /// How often the server could not tell what came since.
    pub gaps: u64,
    /// Failures of the server, after which it was asked again.
    pub failures: u64,
    /// Whether it hears of what others write now.
    pub listening: bool,
}

impl WatchStats {
    /// The figures so far.
    pub fn figures(&self) -> WatchFigures {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WatchFigures {
            events: of(&self.events),
            repeated: of(&self.repeated),
            unreadable: of(&self.unreadable),
            gaps: of(&self.gaps),
            failures: of(&self.failures),
            listening: self.listening.load(Ordering::Relaxed),
        }
    }
}

/// What was told of failures.
#[derive(Debug, Default)]
struct Trouble(Option<(String, Instant)>);

impl Trouble {
    /// The same again only after this time.
    const AGAIN: Duration = Duration::from_secs(60);

    fn tell(&mut self, stop: &Stop) {
        let text = stop.to_string();
        let is_known =
            |(known, at): &(String, Instant)| *known == text && at.elapsed() < Self::AGAIN;
        if !self.0.as_ref().is_some_and(is_known) {
            tracing::warn!(
                reason = text,
                "what other processes write to MongoDB cannot be watched; it is tried again"
            );
            self.0 = Some((text, Instant::now()));
        }
    }
}

/// Why watching stopped for now.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Server(#[from] Error),
    #[error("the journal takes nothing: {0}")]
    Journal(#[from] AppendError),
    #[error("the change stream has ended: the collection was dropped or renamed")]
    Ended,
}

impl Stop {
    fn has_code(&self, codes: &[i32]) -> bool {
        let Self::Server(error) = self else { return false };
        matches!(&*error.kind, ErrorKind::Command(refused) if codes.contains(&refused.code))
    }
}

impl MongoWatch {
    /// A watch of what others write where `sink` writes. `token_file` remembers where the change
    /// stream was. `None` where the sink has a collection for each tag.
    pub fn new(
        sink: &MongoSink,
        journal: Arc<DiskJournal>,
        token_file: PathBuf,
        by: WatchBy,
    ) -> Option<Self> {
        let connection = sink.connection().clone();
        let super::Collection::Named(collection) = &connection.config().collection else {
            return None;
        };
        let collection = collection.clone();
        let own = journal.epochs().into_iter().map(|(epoch, _)| epoch).collect();
        let resume = Resume::new(token_file);
        Some(Self { connection, collection, journal, own, by, resume, stats: Arc::default() })
    }

    /// Counters, readable at any time.
    pub fn stats(&self) -> Arc<WatchStats> {
        self.stats.clone()
    }

    /// Watches for ever; failures of the server are told and waited for.
    ///
    /// # Cancel safety
    /// Dropped, it goes on with the next start where it was, and nothing comes twice.
    pub async fn run(mut self) {
        let mut place = self.resume.load();
        let mut known = match &place {
            Some(place) => self.taken_since(place.seq).await,
            None => HashSet::new(),
        };
        let (mut by, mut pause) = (self.by, PAUSE.0);
        let (mut trouble, mut seen) = (Trouble::default(), None);
        loop {
            let before = self.stats.figures().events;
            let stop = match by {
                WatchBy::Stream => self.stream(&mut place, &mut known).await,
                WatchBy::Polling => self.ask(&mut seen, &mut known).await,
            };
            self.stats.listening.store(false, Ordering::Relaxed);
            if by == WatchBy::Stream && stop.has_code(&NO_STREAMS) {
                tracing::info!(
                    "this MongoDB has no change streams; what others write is asked for"
                );
                by = WatchBy::Polling;
                continue;
            }
            if stop.has_code(&HISTORY_LOST) || matches!(stop, Stop::Ended) {
                self.missed(&stop.to_string());
                place = None;
                known.clear();
            }
            self.stats.failures.fetch_add(1, Ordering::Relaxed);
            trouble.tell(&stop);
            if self.stats.figures().events > before {
                trouble = Trouble::default();
                pause = PAUSE.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Says that something others wrote will not be shown live.
    fn missed(&self, reason: &str) {
        tracing::warn!(
            reason,
            "what other processes wrote meanwhile is not shown live; a search finds it"
        );
        self.stats.gaps.fetch_add(1, Ordering::Relaxed);
    }

    async fn collection(&self) -> Result<Collection<RawDocumentBuf>, Error> {
        Ok(self.connection.database().await?.collection(&self.collection))
    }

    /// The ids of others' events that were taken into the journal from a number on.
    async fn taken_since(&self, seq: u64) -> HashSet<EventId> {
        const READ_BYTES: usize = 1 << 20;
        let mut ids = HashSet::new();
        let mut at = logmon_core::Position { seq, ..self.journal.head() };
        loop {
            match self.journal.read(at, READ_BYTES).await {
                Ok(Some(group)) => {
                    let foreign = group.iter().filter(logmon_core::LogRef::is_foreign);
                    ids.extend(foreign.map(|log| log.id()));
                    at = group.end();
                }
                Ok(None) => return ids,
                Err(ReadError::Expired { oldest }) if oldest.seq > at.seq => at = oldest,
                Err(error) => {
                    tracing::warn!(%error, "what others wrote may be shown twice");
                    return ids;
                }
            }
        }
    }

    /// Takes documents into the journal, in order, but those of this process and those that are
    /// `known`.
    async fn take(
        &self,
        documents: impl Iterator<Item = &RawDocument>,
        known: &mut HashSet<EventId>,
    ) -> Result<(), AppendError> {
        let mut runs: Vec<Run> = Vec::new();
        for document in documents {
            let Some(stored) = self.read(document) else { continue };
            if self.own.contains(&stored.id().epoch()) {
                continue;
            }
            if known.remove(&stored.id()) {
                self.stats.repeated.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            // They come in order: what did not come again by now will not.
            known.clear();
            match runs.last_mut() {
                Some(last) if last.is_followed_by(&stored) => last.push(&stored),
                _ => runs.push(Run::of(stored)),
            }
        }
        for run in runs {
            let events = run.events;
            let is_taken = match run.into_batch() {
                Some(batch) => self.append(batch).await?,
                None => false,
            };
            let count = if is_taken { &self.stats.events } else { &self.stats.unreadable };
            count.fetch_add(events, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A document as an event that the journal can take; `None` if it is none.
    fn read(&self, document: &RawDocument) -> Option<Stored> {
        let stored = Stored::read(document).and_then(Stored::checked);
        stored
            .inspect_err(|unreadable| {
                tracing::debug!(%unreadable, "a document is not shown live");
                self.stats.unreadable.fetch_add(1, Ordering::Relaxed);
            })
            .ok()
    }

    /// Whether the journal has taken a batch; it never takes one that is too large.
    async fn append(&self, batch: NewBatch) -> Result<bool, AppendError> {
        loop {
            match self.journal.append(batch.clone()).await {
                Ok(_) => return Ok(true),
                Err(AppendError::TooLarge { .. }) => return Ok(false),
                Err(AppendError::Busy { .. }) => tokio::time::sleep(PAUSE.0).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn save(&mut self, place: &Place) {
        if let Err(error) = self.resume.save(place).await {
            tracing::warn!(%error, "where the change stream is could not be written down");
        }
    }
}

/// A batch of more bytes begins no further event.
const RUN_BYTES: usize = 4 << 20;

/// Events that one batch can have: of one tag and instant of receipt, under ids that follow each
/// other.
struct Run {
    tag: Tag,
    received: Timestamp,
    first: EventId,
    events: u64,
    entries: Vec<u8>,
}

impl Run {
    fn of(stored: Stored) -> Self {
        Self {
            tag: stored.tag().clone(),
            received: stored.received(),
            first: stored.id(),
            events: 1,
            entries: stored.into_entry(),
        }
    }

    fn is_followed_by(&self, stored: &Stored) -> bool {
        self.entries.len() < RUN_BYTES
            && self.tag == *stored.tag()
            && self.received == stored.received()
            && self.first.plus(self.events) == stored.id()
    }

    fn push(&mut self, stored: &Stored) {
        self.events += 1;
        self.entries.extend_from_slice(stored.entry());
    }

    /// The batch; `None` if it cannot be read, which an event that nests too deeply cannot.
    fn into_batch(self) -> Option<NewBatch> {
        let reading = Reading::new(<_>::default(), self.received);
        let entries = Entries::read(Bytes::from(self.entries), &reading);
        match entries {
            Ok(entries) => Some(NewBatch::foreign(self.tag, entries, self.first)),
            Err(error) => {
                tracing::debug!(%error, "events of another process are not shown live");
                None
            }
        }
    }
}
