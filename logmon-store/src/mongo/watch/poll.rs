//! By asking for the newest documents, where there are no change streams.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use logmon_core::{EventId, Journal as _, Timestamp};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};

use super::{MongoWatch, Stop};
use crate::mongo::document::ids_of;

/// Documents of others that were seen, with their timestamps.
pub(super) type Seen = HashMap<ObjectId, DateTime>;

/// So often is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// Documents whose timestamp is further from now when they appear are not seen.
const REACH: Duration = Duration::from_secs(30);
/// Documents that are taken at once.
const MAX_DOCUMENTS: i64 = 10_000;

impl MongoWatch {
    /// Takes what appears among the newest documents until the server fails.
    pub(super) async fn ask(&self, seen: &mut Option<Seen>, known: &mut HashSet<EventId>) -> Stop {
        match self.poll(seen, known).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn poll(
        &self,
        seen: &mut Option<Seen>,
        known: &mut HashSet<EventId>,
    ) -> Result<std::convert::Infallible, Stop> {
        let collection = self.collection().await?;
        loop {
            let oldest = Timestamp::now().saturating_add_nanos(-nanos(REACH));
            let oldest = DateTime::from_millis(oldest.as_nanos() / 1_000_000);
            let fresh = self.ids_since(oldest, seen.as_ref()).await?;
            if seen.is_some() && !fresh.is_empty() {
                let ids: Vec<ObjectId> = fresh.iter().map(|(id, _)| *id).collect();
                let order = doc! { "timestamp": 1, "_id": 1 };
                let mut found = collection.find(doc! { "_id": { "$in": ids } }).sort(order).await?;
                let mut documents: Vec<RawDocumentBuf> = Vec::new();
                while found.advance().await? {
                    documents.push(found.current().to_owned());
                }
                self.take(documents.iter().map(|document| &**document), known).await?;
            }
            // What is there at first is no news.
            let seen = seen.get_or_insert_default();
            seen.retain(|_, time| *time >= oldest);
            seen.extend(fresh);
            self.stats.listening.store(true, Ordering::Relaxed);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The ids of others' documents that were not seen, from an index alone.
    async fn ids_since(
        &self,
        oldest: DateTime,
        seen: Option<&Seen>,
    ) -> Result<Vec<(ObjectId, DateTime)>, Stop> {
        let (first, last) = ids_of(self.journal.head().epoch);
        let latest = Timestamp::now().saturating_add_nanos(nanos(REACH));
        let latest = DateTime::from_millis(latest.as_nanos() / 1_000_000);
        let wanted = doc! {
            "timestamp": { "$gte": oldest, "$lte": latest },
            "$nor": [{ "_id": { "$gte": first, "$lte": last } }],
        };
        let ids = self.connection.database().await?.collection::<Document>(&self.collection);
        let mut found = ids
            .find(wanted)
            .projection(doc! { "timestamp": 1 })
            .sort(doc! { "timestamp": -1, "_id": -1 })
            .limit(MAX_DOCUMENTS)
            .await?;
        let (mut fresh, mut all) = (Vec::new(), 0);
        while found.advance().await? {
            all += 1;
            let document = found.current();
            let id = document.get_object_id("_id").ok();
            let time = document.get_datetime("timestamp").ok();
            let unseen =
                id.zip(time).filter(|(id, _)| !seen.is_some_and(|seen| seen.contains_key(id)));
            fresh.extend(unseen);
        }
        let is_all_fresh = i64::try_from(fresh.len()) == Ok(MAX_DOCUMENTS);
        if all == MAX_DOCUMENTS && is_all_fresh && seen.is_some() {
            self.missed("more documents than can be asked for at once");
        }
        Ok(fresh)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
