//! What a query of the server finds, as parts of a query of logmon.
//!
//! The server gives documents in the order of time. Each batch of them is a part, and what has not
//! come yet is another one, so the engine stops when nothing that follows can matter, and the next
//! batch comes while this one is looked at.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use logmon_core::{FieldTally, Group, LogRef, Order, PageKey, Tables, Timestamp};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::Error;
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::{Collection, Cursor};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::own::{Own, Whose};
use crate::mongo::document::{NANOS_PER_MILLI, Stored};
use crate::query::{Best, Bounds, Look, Part, PartError, Seen};

/// Documents that are looked at together, and asked for at once, at most.
pub(super) const BATCH_DOCUMENTS: usize = 2000;
/// A batch ends when it has so many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// Time that is over is seen by the engine; this is for what the engine cannot see.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// Where documents come from, and which ones.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) handle: Handle,
    pub(super) collection: Collection<RawDocumentBuf>,
    pub(super) filter: Document,
    pub(super) order: Order,
    /// Documents that are asked for at once.
    pub(super) batch: usize,
    /// When the query ends.
    pub(super) deadline: Option<Instant>,
    pub(super) own: Own,
}

/// What has not come yet.
#[derive(Debug)]
struct Rest {
    source: Arc<Source>,
    times: (Timestamp, Timestamp),
    at: Mutex<At>,
}

#[derive(Debug)]
enum At {
    Start,
    Open(Box<Cursor<RawDocumentBuf>>),
    /// The cursor was given up half way, as the time of the query was over.
    Lost,
}

/// Documents that have come.
#[derive(Debug)]
struct Batch {
    source: Arc<Source>,
    documents: Vec<RawDocumentBuf>,
    times: (Timestamp, Timestamp),
}

/// Everything that the source has, within these times.
pub(super) fn part_of(source: Source, times: (Timestamp, Timestamp)) -> Arc<dyn Part> {
    Arc::new(Rest { source: Arc::new(source), times, at: Mutex::new(At::Start) })
}

impl Source {
    async fn open(&self) -> Result<Cursor<RawDocumentBuf>, Error> {
        let direction = if self.order == Order::NewestFirst { -1 } else { 1 };
        let find = self.collection.find(self.filter.clone());
        let find = find
            .sort(doc! { "timestamp": direction, "_id": direction })
            .batch_size(u32::try_from(self.batch).unwrap_or(u32::MAX))
            .selection_criteria(primary());
        let Some(deadline) = self.deadline else { return find.await };
        find.max_time(deadline.saturating_duration_since(Instant::now()) + GRACE).await
    }

    /// The next documents, and whether there may be more.
    async fn fetch(&self, at: &mut At) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        if matches!(at, At::Start) {
            *at = At::Open(Box::new(self.open().await?));
        }
        let At::Open(cursor) = at else {
            return Err(Error::custom("the time of the query was over"));
        };
        let (mut documents, mut bytes) = (Vec::new(), 0);
        while documents.len() < self.batch && bytes < BATCH_BYTES {
            if !cursor.advance().await? {
                return Ok((documents, false));
            }
            let document = cursor.current().to_owned();
            bytes += document.as_bytes().len();
            documents.push(document);
        }
        Ok((documents, true))
    }

    /// The same from a thread of the engine; `None` where the time is over.
    fn next(&self, at: &mut At) -> Result<Option<(Vec<RawDocumentBuf>, bool)>, PartError> {
        let fetched = self.within(self.fetch(at)).map_err(|error| failed(&error))?;
        if fetched.is_none() {
            *at = At::Lost;
        }
        Ok(fetched)
    }

    /// What the server answers, on a thread of the engine; `None` where the time of the query is over.
    pub(super) fn within<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        let Some(deadline) = self.deadline else { return self.handle.block_on(asked).map(Some) };
        let end = tokio::time::Instant::from_std(deadline + GRACE);
        match self.handle.block_on(async { timeout_at(end, asked).await }) {
            Ok(Ok(answer)) => Ok(Some(answer)),
            // The server may be the first to see it.
            Ok(Err(_)) if Instant::now() >= deadline => Ok(None),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The same source of other documents.
    pub(super) fn with_filter(&self, filter: Document) -> Self {
        let (handle, collection) = (self.handle.clone(), self.collection.clone());
        Self { handle, collection, filter, own: self.own.clone(), ..*self }
    }
}

/// A secondary may not have yet what the cursor of the output says is there.
pub(super) const fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// A failure of the server.
pub(super) fn failed(error: &Error) -> PartError {
    io::Error::other(error.to_string()).into()
}

/// What is not known of a range, as the time of the query was over.
pub(super) fn lost(source: &Arc<Source>, times: (Timestamp, Timestamp)) -> Arc<dyn Part> {
    Arc::new(Rest { source: source.clone(), times, at: Mutex::new(At::Lost) })
}

/// Every instant that a document with the `timestamp` of this one may stand for.
fn instants_of(document: &RawDocumentBuf) -> Option<(Timestamp, Timestamp)> {
    let millis = document.get_datetime("timestamp").ok()?.timestamp_millis();
    let first = millis.saturating_mul(NANOS_PER_MILLI);
    let last = first.saturating_add(NANOS_PER_MILLI - 1);
    Some((Timestamp::from_nanos(first), Timestamp::from_nanos(last)))
}

impl Rest {
    /// The documents that have come, and what has not.
    fn parts(&self, documents: Vec<RawDocumentBuf>, rest: Option<At>) -> Vec<Arc<dyn Part>> {
        let last = documents.last().and_then(instants_of);
        let (earliest, latest) = self.times;
        let is_newest_first = self.source.order == Order::NewestFirst;
        // Others of the same millisecond may follow.
        let (batch, left) = match last {
            Some((first, last)) if is_newest_first => {
                ((first.max(earliest), latest), (earliest, last.min(latest)))
            }
            Some((first, last)) => ((earliest, last.min(latest)), (first.max(earliest), latest)),
            None => (self.times, self.times),
        };
        let mut parts: Vec<Arc<dyn Part>> = Vec::new();
        if !documents.is_empty() {
            parts.push(Arc::new(Batch { source: self.source.clone(), documents, times: batch }));
        }
        if let Some(at) = rest {
            let at = Mutex::new(at);
            parts.push(Arc::new(Self { source: self.source.clone(), times: left, at }));
        }
        parts
    }
}

impl Part for Rest {
    fn bounds(&self) -> Bounds {
        Bounds { times: self.times, seqs: 0..u64::MAX }
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        let taken = std::mem::replace(
            &mut *self.at.lock().unwrap_or_else(PoisonError::into_inner),
            At::Lost,
        );
        let mut at = taken;
        let (documents, has_more) = match self.source.next(&mut at)? {
            Some(fetched) => fetched,
            None => (Vec::new(), true),
        };
        Ok(Some(self.parts(documents, has_more.then_some(at))))
    }
}

impl Batch {
    /// Shows every event that the query wants.
    fn look_at(&self, look: &Look<'_>, each: &mut dyn FnMut(PageKey, &Group, &LogRef<'_>)) -> Seen {
        let mut seen = Seen::default();
        for (at, document) in self.documents.iter().enumerate() {
            if at % 256 == 255 && look.is_over() {
                seen.is_cut = true;
                return seen;
            }
            seen.bytes += document.as_bytes().len() as u64;
            let stored = Stored::read(document).and_then(|stored| {
                let whose = self.source.own.whose(&stored);
                Ok((whose, stored.into_group()?))
            });
            match stored {
                Ok((whose, group)) => judge(look, (whose, &group), &mut seen, each),
                Err(unreadable) => {
                    tracing::debug!(%unreadable, "a document is left out");
                    seen.damaged += 1;
                }
            }
        }
        seen
    }
}

fn judge(
    look: &Look<'_>,
    (whose, group): (Whose, &Group),
    seen: &mut Seen,
    each: &mut dyn FnMut(PageKey, &Group, &LogRef<'_>),
) {
    let Some(log) = group.get(0) else { return };
    let key = look.ties.key_of(&log);
    let is_wanted = match whose {
        Whose::InJournal => false,
        Whose::Own => look.is_in_range(key, log.seq()),
        Whose::Others => look.is_within(key),
    };
    if is_wanted {
        seen.events += 1;
        if look.scope.filter.matches(&log) {
            seen.matched += 1;
            each(key, group, &log);
        }
    }
}

impl Part for Batch {
    fn bounds(&self) -> Bounds {
        Bounds { times: self.times, seqs: 0..u64::MAX }
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        Ok(None)
    }

    fn find(&self, look: &Look<'_>, best: &mut Best) -> Result<Seen, PartError> {
        Ok(self.look_at(look, &mut |key, group, _| best.offer(key, group, 0)))
    }

    fn tally(&self, look: &Look<'_>, tables: &mut Tables) -> Result<Seen, PartError> {
        Ok(self.look_at(look, &mut |_, _, log| tables.observe(log)))
    }

    fn fields(&self, look: &Look<'_>, tally: &mut FieldTally) -> Result<Seen, PartError> {
        Ok(self.look_at(look, &mut |_, _, log| tally.observe(log)))
    }
}
