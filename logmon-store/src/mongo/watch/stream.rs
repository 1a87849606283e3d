//! By a change stream.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use logmon_core::{EventId, Journal as _};
use mongodb::bson::{self, Document, RawDocumentBuf, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{MongoWatch, Place, Stop};
use crate::mongo::document::ids_of;

type Stream = ChangeStream<ChangeStreamEvent<RawDocumentBuf>>;

/// Events that are taken into the journal together, and as many that wait meanwhile.
const BATCH_EVENTS: usize = 1000;
/// Bytes that wait, or one longer document.
const WAITING_BYTES: usize = 8 << 20;
/// How long the server waits for something to tell.
const AWAIT: Duration = Duration::from_secs(1);
/// A server that does not wait is asked again so much later.
const REST: Duration = Duration::from_millis(50);

/// What the stream has told, and where it is then.
#[derive(Debug)]
struct Told {
    document: Option<RawDocumentBuf>,
    token: Option<ResumeToken>,
    /// For its bytes, as long as they wait.
    _held: Option<OwnedSemaphorePermit>,
}

impl MongoWatch {
    /// Takes what the stream tells until it fails. What comes while the journal is busy is taken
    /// together then.
    pub(super) async fn stream(
        &mut self,
        place: &mut Option<Place>,
        known: &mut HashSet<EventId>,
    ) -> Stop {
        let stream = match self.open(place.as_ref()).await {
            Ok(stream) => stream,
            Err(stop) => return stop,
        };
        self.stats.listening.store(true, Ordering::Relaxed);
        let (to, mut from) = mpsc::channel(BATCH_EVENTS);
        let both = async { tokio::join!(listen(stream, to), self.follow(&mut from, place, known)) };
        match both.await {
            (_, Err(stop)) | (Err(stop), Ok(())) => stop,
            (Ok(()), Ok(())) => Stop::Ended,
        }
    }

    async fn open(&self, place: Option<&Place>) -> Result<Stream, Stop> {
        let (first, last) = ids_of(self.journal.head().epoch);
        let is_own = doc! { "documentKey._id": { "$gte": first, "$lte": last } };
        let wanted = doc! { "$match": { "operationType": "insert", "$nor": [is_own] } };
        let collection = self.collection().await?;
        let watch = collection.watch().pipeline([wanted]).max_await_time(AWAIT);
        let watch = match place.and_then(|place| token_of(&place.token)) {
            Some(token) => watch.resume_after(token),
            None => watch,
        };
        Ok(watch.await?)
    }

    /// Takes what was told into the journal, and then remembers the place behind it.
    async fn follow(
        &mut self,
        told: &mut Receiver<Told>,
        place: &mut Option<Place>,
        known: &mut HashSet<EventId>,
    ) -> Result<(), Stop> {
        let mut batch = Vec::with_capacity(BATCH_EVENTS);
        while told.recv_many(&mut batch, BATCH_EVENTS).await > 0 {
            let token = batch.iter().rev().find_map(|told| told.token.as_ref().and_then(bytes_of));
            let documents = batch.iter().filter_map(|told| told.document.as_deref());
            if let Err(error) = self.take(documents, known).await {
                told.close();
                return Err(error.into());
            }
            if let Some(token) = token {
                // What is known has not come again yet, and would be unknown with a later number.
                let again = place.as_ref().filter(|_| !known.is_empty()).map(|place| place.seq);
                let seq = again.unwrap_or_else(|| self.journal.head().seq);
                self.save(place.insert(Place { token, seq })).await;
            }
            batch.clear();
        }
        Ok(())
    }
}

/// Hands on what the stream tells until it fails, or nobody takes it any more.
async fn listen(mut stream: Stream, to: Sender<Told>) -> Result<(), Stop> {
    let room = Arc::new(Semaphore::new(WAITING_BYTES));
    while stream.is_alive() {
        let asked = Instant::now();
        let change = stream.next_if_any().await?;
        if change.as_ref().is_some_and(|c| c.operation_type == OperationType::Invalidate) {
            break;
        }
        let is_idle = change.is_none() && asked.elapsed() < REST;
        let document = change.and_then(|change| change.full_document);
        let bytes = document.as_ref().map_or(0, |document| document.as_bytes().len());
        let bytes = u32::try_from(bytes.min(WAITING_BYTES)).unwrap_or(u32::MAX);
        let held = room.clone().acquire_many_owned(bytes).await.ok();
        let told = Told { document, token: stream.resume_token(), _held: held };
        if to.send(told).await.is_err() {
            break;
        }
        if is_idle {
            tokio::time::sleep(REST).await;
        }
    }
    Ok(())
}

/// A token as bytes of BSON.
fn bytes_of(token: &ResumeToken) -> Option<Vec<u8>> {
    let token = bson::serialize_to_bson(token).ok()?;
    doc! { "token": token }.to_vec().ok()
}

fn token_of(bytes: &[u8]) -> Option<ResumeToken> {
    let document = Document::from_reader(bytes).ok()?;
    bson::deserialize_from_bson(document.get("token")?.clone()).ok()
}
