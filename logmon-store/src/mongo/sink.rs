//! Writing events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use logmon_core::{BoxFuture, Sink, SinkBatch, Verdict, Verdicts};
use mongodb::Database;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind};
use tokio::time::timeout;

use super::client::Connection;
use super::config::MongoConfig;
use super::document;
use super::doubt::{Doubts, Shown};
use super::fault::{Class, class_of};
use super::insert::{self, Range};
use super::reply::Reply;
use super::schema::{self, CollectionStatus, Difference, Schema};
use super::stats::{MongoFigures, MongoStats};

/// A command with its documents in one piece stays below what a server takes; a document near the
/// limit goes by itself, beside the command.
const MAX_COMMAND_BYTES: usize = 12 << 20;

/// After so many commands of which not one has stored anything, a server is believed to take nothing.
const MAX_PROOFS: usize = 32;

/// An output to MongoDB. Clones share connections and counters.
///
/// Each event is written under its own id, so an attempt whose answer was lost can be made again:
/// what is there already counts as written.
#[derive(Clone, Debug)]
pub struct MongoSink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    schema: Schema,
    /// Events before this number may have been written before.
    attempted: AtomicU64,
    doubts: Doubts,
}

/// What a batch becomes.
#[derive(Default)]
struct Documents {
    bytes: Vec<u8>,
    /// Collections in the order in which they are first named.
    collections: Vec<(String, Vec<Placed>)>,
    refused: Vec<(usize, String)>,
}

/// A document in the buffer, and the place of its event in the batch.
struct Placed {
    range: Range,
    place: usize,
}

/// Why an attempt came to nothing.
struct Failure {
    class: Class,
    text: String,
}

impl MongoSink {
    /// An output that connects when there is something to write. Events before `fresh_from` may have
    /// been written by a process before.
    pub fn new(config: MongoConfig, fresh_from: u64) -> Self {
        let connection = Connection::new(Arc::new(config), Arc::new(MongoStats::default()));
        let attempted = AtomicU64::new(fresh_from);
        let (schema, doubts) = (Schema::default(), Doubts::default());
        Self(Arc::new(Inner { connection, schema, attempted, doubts }))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// What it has counted.
    pub fn figures(&self) -> MongoFigures {
        self.0.connection.stats().figures()
    }

    /// What of the collections is not as it would be made.
    pub fn differences(&self) -> Vec<Difference> {
        self.0.schema.differences()
    }

    /// Looks at a collection: the one that is named in the settings, or the one of a tag.
    ///
    /// # Errors
    /// The server cannot be asked, or refuses: the reason.
    pub async fn status(&self, tag: &str) -> Result<CollectionStatus, String> {
        let name = self.0.connection.config().collection.of(tag);
        let look = async {
            let database = self.0.connection.database().await?;
            schema::status(&database, &name).await
        };
        look.await.map_err(|error| error.to_string())
    }
}

impl Sink for MongoSink {
    fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts> {
        Box::pin(async move { Verdicts::Each(self.0.write(&batch).await) })
    }
}

impl Inner {
    fn config(&self) -> &MongoConfig {
        self.connection.config()
    }

    fn stats(&self) -> &MongoStats {
        self.connection.stats()
    }

    async fn write(&self, batch: &SinkBatch) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Retry; batch.len()];
        let is_first = self.is_first_attempt(batch);
        let documents = Documents::of(batch, self.config());
        for (place, reason) in documents.refused {
            set(&mut verdicts, place, Verdict::Rejected(reason.into()));
        }
        for (collection, placed) in &documents.collections {
            for chunk in self.chunks(placed) {
                let target = (&**collection, &*documents.bytes);
                let failure = self.write_chunk(target, chunk, &mut verdicts, is_first).await;
                if let Err(failure) = failure {
                    self.tell(&failure);
                    if failure.class == Class::Transient {
                        // The rest would meet the same.
                        return verdicts;
                    }
                    // It may be this collection alone.
                    break;
                }
            }
        }
        verdicts
    }

    /// Whether no attempt before was made for any event of the batch.
    fn is_first_attempt(&self, batch: &SinkBatch) -> bool {
        let (Some(first), Some(last)) = (batch.logs().next(), batch.logs().last()) else {
            return false;
        };
        self.attempted.fetch_max(last.seq() + 1, Ordering::Relaxed) <= first.seq()
    }

    /// Cuts documents into commands.
    fn chunks<'p>(&self, placed: &'p [Placed]) -> impl Iterator<Item = &'p [Placed]> {
        let (most, bytes) = (self.config().batch_documents.max(1), self.config().batch_bytes);
        let mut rest = placed;
        std::iter::from_fn(move || {
            let mut len = 0;
            let fits = |placed: &&Placed| {
                len += placed.range.len();
                len <= bytes.min(MAX_COMMAND_BYTES)
            };
            let count = rest.iter().take(most).take_while(fits).count().max(1);
            let (chunk, left) = rest.split_at_checked(count)?;
            rest = left;
            Some(chunk)
        })
    }

    /// Writes one chunk; what cannot be written is looked for by halves.
    async fn write_chunk(
        &self,
        (collection, bytes): (&str, &[u8]),
        chunk: &[Placed],
        verdicts: &mut [Verdict],
        mut is_first: bool,
    ) -> Result<(), Failure> {
        let mut parts = vec![chunk];
        let mut unclear: Vec<&[Placed]> = Vec::new();
        let (mut shown, mut commands) = (Shown::Nothing, 0);
        while let Some(part) = parts.pop() {
            commands += 1;
            let answer = self.insert(collection, (bytes, part)).await;
            // A failure may have stored something all the same.
            is_first &= answer.is_ok();
            match answer {
                Ok(reply) => {
                    shown = shown.max(self.doubts.learn(&reply));
                    self.take(collection, (part, reply), verdicts, is_first)?;
                }
                Err(Failure { class: Class::Unclear, text })
                    if shown == Shown::Nothing && (part.len() == 1 || commands >= MAX_PROOFS) =>
                {
                    if commands >= MAX_PROOFS {
                        // Nothing at all is taken, so it need not be the documents.
                        return Err(Failure { class: Class::Configuration, text });
                    }
                    unclear.push(part);
                }
                Err(Failure { class: Class::Permanent | Class::Unclear, .. }) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(Failure { class: Class::Permanent, text }) => reject(verdicts, part, &text),
                Err(Failure { class: Class::Unclear, .. }) => unclear.push(part),
                Err(failure) => return Err(failure),
            }
        }
        self.try_again((collection, bytes), (unclear, shown), verdicts).await
    }

    /// Tries documents once more of which it is unclear whether they are to blame: they are, if
    /// others can be written.
    async fn try_again(
        &self,
        (collection, bytes): (&str, &[u8]),
        (unclear, shown): (Vec<&[Placed]>, Shown),
        verdicts: &mut [Verdict],
    ) -> Result<(), Failure> {
        for part in unclear {
            match self.insert(collection, (bytes, part)).await {
                Ok(reply) => self.take(collection, (part, reply), verdicts, false)?,
                Err(Failure { class: Class::Permanent, text }) => reject(verdicts, part, &text),
                Err(Failure { class: Class::Unclear, text })
                    if self.may_blame((bytes, part), shown) =>
                {
                    reject(verdicts, part, &text);
                }
                Err(Failure { class: Class::Unclear, text }) => {
                    return Err(Failure { class: Class::Configuration, text });
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn may_blame(&self, (bytes, part): (&[u8], &[Placed]), shown: Shown) -> bool {
        let patience = self.config().attempt_timeout * 2;
        let mut documents = part.iter().filter_map(|placed| bytes.get(placed.range.clone()));
        documents.all(|document| self.doubts.may_blame(document, shown, patience))
    }

    /// Takes over what a server says of the documents of a part.
    fn take(
        &self,
        collection: &str,
        (part, reply): (&[Placed], Reply),
        verdicts: &mut [Verdict],
        is_first: bool,
    ) -> Result<(), Failure> {
        if is_first && reply.duplicates > 0 {
            self.stats().collided(reply.duplicates);
            tracing::error!(
                collection,
                documents = reply.duplicates,
                "MongoDB has documents with the ids of new events: does another logmon run on a \
                 copy of this data directory?"
            );
        }
        for (placed, verdict) in part.iter().zip(reply.verdicts) {
            set(verdicts, placed.place, verdict);
        }
        match reply.trouble {
            Some((class, text)) => Err(Failure { class, text }),
            None => Ok(()),
        }
    }

    /// One attempt.
    async fn insert(
        &self,
        collection: &str,
        (bytes, part): (&[u8], &[Placed]),
    ) -> Result<Reply, Failure> {
        let attempt = async {
            let database = self.connection.database().await?;
            self.schema.ensure(&database, collection, self.config()).await?;
            match part {
                [alone] if alone.range.len() > MAX_COMMAND_BYTES => {
                    self.insert_alone(&database, collection, bytes.get(alone.range.clone())).await
                }
                _ => self.insert_all(&database, collection, (bytes, part)).await,
            }
        };
        let within = self.config().attempt_timeout;
        let answer = match timeout(within, attempt).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                return Err(Failure { class: class_of(&error), text: error.to_string() });
            }
            Err(_) => {
                let text = format!("no answer within {within:?}");
                return Err(Failure { class: Class::Transient, text });
            }
        };
        let reply = Reply::read(&answer, part.len());
        let reply = reply
            .map_err(|nonsense| Failure { class: Class::Transient, text: nonsense.to_string() })?;
        self.stats().stored(reply.stored, reply.duplicates);
        if reply.trouble.is_none()
            && let Some(time) = self.stats().went_well()
        {
            tracing::info!(?time, "MongoDB takes events again");
        }
        Ok(reply)
    }

    async fn insert_all(
        &self,
        database: &Database,
        collection: &str,
        (bytes, part): (&[u8], &[Placed]),
    ) -> Result<Document, Error> {
        let ranges: Vec<Range> = part.iter().map(|placed| placed.range.clone()).collect();
        let within = i64::try_from(self.config().attempt_timeout.as_millis()).unwrap_or(i64::MAX);
        let concern = &self.config().write_concern;
        let command = insert::command(collection, (bytes, &ranges), concern, within);
        self.stats().sent(command.len());
        let command = insert::raw(command).ok_or_else(|| Error::custom("no BSON was made"))?;
        database.run_raw_command(command).await
    }

    /// Writes a document that is too large for a command in one piece.
    async fn insert_alone(
        &self,
        database: &Database,
        collection: &str,
        bytes: Option<&[u8]>,
    ) -> Result<Document, Error> {
        let document = bytes.and_then(|bytes| RawDocumentBuf::from_bytes(bytes.to_vec()).ok());
        let document = document.ok_or_else(|| Error::custom("no BSON was made"))?;
        self.stats().sent(document.as_bytes().len());
        let concern = self.config().write_concern.driver();
        let collection = database.collection::<RawDocumentBuf>(collection);
        let insert = collection.insert_many([document]).ordered(false).write_concern(concern);
        let Err(error) = insert.await else { return Ok(doc! { "n": 1 }) };
        let ErrorKind::InsertMany(refused) = &*error.kind else { return Err(error) };
        let errors = refused.write_errors.iter().flatten().map(|refused| {
            doc! { "index": 0, "code": refused.code, "errmsg": &refused.message }
        });
        let errors: Vec<Document> = errors.collect();
        let mut answer = doc! { "n": i32::from(errors.is_empty()) };
        if !errors.is_empty() {
            answer.insert("writeErrors", errors);
        }
        if let Some(concern) = &refused.write_concern_error {
            let told = doc! { "code": concern.code, "errmsg": &concern.message };
            answer.insert("writeConcernError", told);
        }
        Ok(answer)
    }

    fn tell(&self, Failure { class, text }: &Failure) {
        if !self.stats().failed(*class, text) {
            return;
        }
        match class {
            Class::Transient => {
                tracing::warn!(
                    error = text,
                    "MongoDB does not take events; they wait in the journal"
                );
            }
            _ => tracing::error!(
                error = text,
                "MongoDB refuses events until somebody changes its settings or logmon's; they wait \
                 in the journal"
            ),
        }
    }
}

impl Documents {
    fn of(batch: &SinkBatch, config: &MongoConfig) -> Self {
        let mut documents = Self::default();
        documents.bytes.reserve(batch.len() * 512);
        for (place, log) in batch.logs().enumerate() {
            let start = documents.bytes.len();
            match document::write(&mut documents.bytes, &log, config.style()) {
                Ok(()) => {
                    let range = start..documents.bytes.len();
                    let tag = logmon_core::Event::tag(&log);
                    documents.place(config, tag, Placed { range, place });
                }
                Err(unfit) => documents.refused.push((place, unfit.to_string())),
            }
        }
        documents
    }

    fn place(&mut self, config: &MongoConfig, tag: &str, placed: Placed) {
        if let (super::Collection::Named(_), [(_, all)]) =
            (&config.collection, &mut *self.collections)
        {
            return all.push(placed);
        }
        let name = config.collection.of(tag);
        match self.collections.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => all.push(placed),
            None => self.collections.push((name, vec![placed])),
        }
    }
}

/// The documents of a part can never be written.
fn reject(verdicts: &mut [Verdict], part: &[Placed], reason: &str) {
    for placed in part {
        set(verdicts, placed.place, Verdict::Rejected(reason.into()));
    }
}

fn set(verdicts: &mut [Verdict], place: usize, verdict: Verdict) {
    if let Some(known) = verdicts.get_mut(place) {
        *known = verdict;
    }
}
