//! A store over what is in MongoDB.

use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logmon_core::filter::{Atom, Clock, ValueTest};
use logmon_core::{
    Aggregate, Aggregated, BoxFuture, Cursor, EventId, FieldCatalogue, Filter, Hit, Order, Page,
    PageKey, QueryError, Scope, Search, Timestamp,
};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use tokio::runtime::Handle;

use super::client::Connection;
use super::config::{Collection, MongoConfig};
use super::document::{Stored, ids_of, split};
use super::sink::MongoSink;
use crate::DiskJournal;
use crate::journal::View;
use crate::query::{self, Desk, Foreign, Part, Snapshot, Ties, Turn};

mod count;
mod own;
mod part;
mod superset;

use count::Counting;
use own::{Epochs, Own};
use part::Source;
use superset::{Approximation, Query, Translator};

/// How often a query begins anew because what it was to look at has moved on.
const MAX_ATTEMPTS: usize = 4;
/// How long looking for one event may take.
const FIND: Duration = Duration::from_secs(10);
/// Epochs of this journal with events that are not to be counted, at most.
const MAX_LATE_EPOCHS: usize = 16;

/// What is searched is the collection that an output writes to, and behind it the journal, for what
/// the output has not written yet.
///
/// It has the events of every process that writes there, and documents of other programs. Events are
/// in the order of (timestamp, id). Every answer is that of evaluating the filter on each event: the
/// server is asked for what may match, and what it finds is judged again.
///
/// [`Scope::snapshot`] holds for events of this process's journal; those that others write meanwhile
/// show.
#[derive(Clone, Debug)]
pub struct MongoStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    collection: String,
    journal: Arc<DiskJournal>,
    cursor: Arc<dyn Cursor>,
    epochs: Arc<Epochs>,
    desk: Desk,
    handle: Handle,
}

impl MongoStore {
    /// The store over what `sink` writes from `journal`, as far as `cursor` says it has come. Runs
    /// up to `max_queries` at once. `None` where the sink has a collection for each tag.
    ///
    /// The runtime behind `handle` has to outlive the store.
    pub fn new(
        sink: &MongoSink,
        (journal, cursor): (Arc<DiskJournal>, Arc<dyn Cursor>),
        max_queries: usize,
        handle: Handle,
    ) -> Option<Self> {
        let connection = sink.connection().clone();
        let Collection::Named(collection) = &connection.config().collection else { return None };
        let collection = collection.clone();
        let epochs = Arc::new(Epochs::new(&journal.epochs()));
        let desk = Desk::new(max_queries);
        Some(Self(Arc::new(Inner {
            connection,
            collection,
            journal,
            cursor,
            epochs,
            desk,
            handle,
        })))
    }
}

impl logmon_core::Store for MongoStore {
    /// Asks the server for what may match in the order of the page, and stops when the page is full.
    /// `stats.matched` counts behind `after`.
    fn search(&self, search: Search) -> BoxFuture<'_, Result<Page, QueryError>> {
        let inner = self.0.clone();
        Box::pin(self.0.desk.run(move |turn| {
            let Search { scope, order, after, .. } = &search;
            // One more tells whether there is more; what the filter refuses is mostly not sent.
            let batch = search.limit.saturating_add(1).min(part::BATCH_DOCUMENTS);
            let asked = Asked { scope, order: *order, after: *after, batch, count: None };
            inner.answer(&asked, |snapshot| query::search(snapshot, &search, turn))
        }))
    }

    fn get(&self, id: EventId) -> BoxFuture<'_, Result<Option<Hit>, QueryError>> {
        let inner = self.0.clone();
        Box::pin(self.0.desk.run(move |_: Turn<'_>| inner.find(id)))
    }

    fn aggregate(&self, query: Aggregate) -> BoxFuture<'_, Result<Aggregated, QueryError>> {
        let inner = self.0.clone();
        Box::pin(self.0.desk.run(move |turn| {
            let asked = Asked { count: Some(&query), ..Asked::all(&query.scope) };
            inner.answer(&asked, |snapshot| query::aggregate(snapshot, &query, turn))
        }))
    }

    fn fields(&self, scope: Scope) -> BoxFuture<'_, Result<FieldCatalogue, QueryError>> {
        let inner = self.0.clone();
        Box::pin(self.0.desk.run(move |turn| {
            inner.answer(&Asked::all(&scope), |snapshot| query::fields(snapshot, &scope, turn))
        }))
    }
}

/// What the server is asked for.
struct Asked<'q> {
    scope: &'q Scope,
    order: Order,
    after: Option<PageKey>,
    /// Documents that are asked for at once.
    batch: usize,
    /// What is to be counted, where that is all.
    count: Option<&'q Aggregate>,
}

impl<'q> Asked<'q> {
    const fn all(scope: &'q Scope) -> Self {
        Self {
            scope,
            order: Order::NewestFirst,
            after: None,
            batch: part::BATCH_DOCUMENTS,
            count: None,
        }
    }

    /// What the server knows of the filter; `None` where there can be nothing.
    fn found(&self, config: &MongoConfig) -> Option<Approximation> {
        let Scope { filter, from, to, .. } = self.scope;
        let found = (Translator { keys: config.keys }).filter(filter);
        (from < to && found.over != Query::Nothing).then_some(found)
    }

    /// The query that finds every document of it.
    fn query(&self, over: &Query) -> Document {
        let Scope { from, to, .. } = self.scope;
        let date = |time: Timestamp| DateTime::from_millis(split(time).0);
        let mut all = vec![doc! { "timestamp": { "$gte": date(*from), "$lte": date(*to) } }];
        all.extend(self.after.map(|after| self.behind(after)));
        if let Query::Those(query) = over {
            all.push(query.clone());
        }
        doc! { "$and": all }
    }

    /// What comes behind the end of the last page, and perhaps others of its millisecond.
    fn behind(&self, after: PageKey) -> Document {
        let (millis, rest) = split(after.timestamp);
        let date = DateTime::from_millis(millis);
        let mut id = [0; 12];
        id.copy_from_slice(&after.tie.to_be_bytes()[4..]);
        let id = ObjectId::from_bytes(id);
        match self.order {
            Order::NewestFirst if rest > 0 => doc! { "timestamp": { "$lte": date } },
            Order::NewestFirst => doc! {
                "timestamp": { "$lte": date },
                "$or": [{ "timestamp": { "$lt": date } }, { "_id": { "$lte": id } }],
            },
            Order::OldestFirst if rest > 0 => doc! { "timestamp": { "$gte": date } },
            Order::OldestFirst => doc! {
                "timestamp": { "$gte": date },
                "$or": [
                    { "timestamp": { "$gt": date } },
                    { "_id": { "$gte": id } },
                    { "timestampNs": { "$exists": true } },
                ],
            },
        }
    }
}

impl Inner {
    /// Answers a query from one state: each event is seen once.
    fn answer<T>(
        &self,
        asked: &Asked<'_>,
        query: impl Fn(Snapshot) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        check_cost(asked.scope)?;
        let mut attempts = 1;
        loop {
            // In this order: what the cursor has passed is in the collection, and what it has not is
            // in the journal.
            let written = self.written()?;
            let view = Arc::new(self.journal.view());
            let from = written.unwrap_or(0).max(view.first_seq());
            let own = Own { epochs: self.epochs.clone(), in_journal_from: from };
            let mut parts = query::parts_of(&view, from, Foreign::Skip);
            parts.extend(self.documents(asked, own, view.head().seq)?);
            let answer = query(Snapshot { head: view.head(), parts, ties: Ties::Ids });
            if view.is_intact(from) || attempts >= MAX_ATTEMPTS {
                return answer;
            }
            attempts += 1;
        }
    }

    /// The number up to which the output has come.
    fn written(&self) -> Result<Option<u64>, QueryError> {
        let state = self.handle.block_on(self.cursor.load());
        let state = state.map_err(|error| QueryError::Io(error.to_string()))?;
        Ok(state.map(|state| state.position.seq))
    }

    /// The documents that may be wanted.
    fn documents(
        &self,
        asked: &Asked<'_>,
        own: Own,
        head: u64,
    ) -> Result<Vec<Arc<dyn Part>>, QueryError> {
        let Some(found) = asked.found(self.connection.config()) else { return Ok(Vec::new()) };
        let filter = asked.query(&found.over);
        let end = own.in_journal_from.min(asked.scope.snapshot.unwrap_or(u64::MAX).min(head));
        let source = Source {
            handle: self.handle.clone(),
            collection: self.collection()?,
            filter,
            order: asked.order,
            batch: asked.batch,
            deadline: Instant::now().checked_add(asked.scope.budget),
            own,
        };
        let times = (asked.scope.from, asked.scope.to);
        let counting = asked.count.and_then(|query| Counting::of(query, &found));
        if let (Some(counting), Some(others)) = (counting, self.own_from(end)) {
            let within = (times, asked.scope.max_bytes / 2);
            return Ok(count::parts_of(counting, source, &others, within));
        }
        Ok(vec![part::part_of(source, times)])
    }

    /// Documents of this journal's events from a number on; `None` if they are told in too many ways.
    fn own_from(&self, seq: u64) -> Option<Vec<Document>> {
        let late = self.epochs.since(seq).map(|(epoch, seqs)| {
            let (first, last) = ids_of(epoch);
            let number = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
            let seqs = doc! { "$gte": number(seqs.start), "$lt": number(seqs.end) };
            doc! { "_id": { "$gte": first, "$lte": last }, "seq": seqs }
        });
        let late: Vec<Document> = late.collect();
        (late.len() <= MAX_LATE_EPOCHS).then_some(late)
    }

    fn collection(&self) -> Result<mongodb::Collection<RawDocumentBuf>, QueryError> {
        let database = self.handle.block_on(self.connection.database());
        let database = database.map_err(|error| QueryError::Io(error.to_string()))?;
        Ok(database.collection(&self.collection))
    }

    /// The event with an id, of this process or of others.
    fn find(&self, id: EventId) -> Result<Option<Hit>, QueryError> {
        if let Some((group, at)) = find_in_journal(&self.journal.view(), id)? {
            let hit = Hit::new(group.select(&[at]), 0);
            return Ok(hit.map(by_id));
        }
        let id = doc! { "_id": ObjectId::from_bytes(id.to_bytes()) };
        let collection = self.collection()?;
        let asked = collection.find_one(id).selection_criteria(part::primary());
        let asked = async { tokio::time::timeout(FIND, asked.into_future()).await };
        let found = match self.handle.block_on(asked) {
            Ok(found) => found.map_err(|error| QueryError::Io(error.to_string()))?,
            Err(_) => return Err(QueryError::Io(format!("no answer within {FIND:?}"))),
        };
        let event = found.map(|found| Stored::read(&found).and_then(Stored::into_group));
        match event.transpose() {
            Ok(group) => Ok(group.and_then(|group| Hit::new(group, 0)).map(by_id)),
            // Not an event.
            Err(_) => Ok(None),
        }
    }
}

/// Refuses what would have the server read everything: no index serves a regular expression.
fn check_cost(scope: &Scope) -> Result<(), QueryError> {
    let is_bounded = scope.from > Timestamp::MIN || begins(&scope.filter);
    if is_bounded || !has_regexp(&scope.filter) {
        return Ok(());
    }
    Err(QueryError::NeedsRange)
}

fn find_in_journal(
    view: &View,
    id: EventId,
) -> Result<Option<(logmon_core::Group, usize)>, QueryError> {
    view.find(id).map_err(|error| QueryError::Io(error.to_string()))
}

/// The same event at the place it has here.
fn by_id(hit: Hit) -> Hit {
    let key = Ties::Ids.key_of(&hit.log());
    hit.placed(key)
}

/// Whether a filter says of the time of every event that it accepts where it begins.
fn begins(filter: &Filter) -> bool {
    match filter {
        Filter::Atom(atom) => match &**atom {
            Atom::Time(test) => test.clock == Clock::Timestamp && test.lower != Bound::Unbounded,
            _ => false,
        },
        Filter::And(operands) => operands.iter().any(begins),
        Filter::All | Filter::Or(_) | Filter::Not(_) => false,
    }
}

fn has_regexp(filter: &Filter) -> bool {
    match filter {
        Filter::Atom(atom) => match &**atom {
            Atom::Regexp(_) => true,
            Atom::Field(test) => matches!(test.test(), ValueTest::Regexp(_)),
            _ => false,
        },
        Filter::Not(inner) => has_regexp(inner),
        Filter::And(operands) | Filter::Or(operands) => operands.iter().any(has_regexp),
        Filter::All => false,
    }
}

#[cfg(test)]
mod tests;
