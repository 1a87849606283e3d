//! By asking for the newest documents, where there are no change streams.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use logmon_core::{EventId, Journal as _, Timestamp};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};

use super::{MongoWatch, Stop};
use crate::mongo::document::ids_of;

/// So often is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// Documents whose timestamp is older when they appear are not seen.
const REACH: Duration = Duration::from_secs(30);
/// Documents that are taken at once.
const MAX_DOCUMENTS: i64 = 10_000;

impl MongoWatch {
    /// Takes what appears among the newest documents until the server fails.
    pub(super) async fn ask(&self, known: &mut HashSet<EventId>) -> Stop {
        match self.poll(known).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn poll(&self, known: &mut HashSet<EventId>) -> Result<std::convert::Infallible, Stop> {
        let collection = self.collection().await?;
        // What is there already is no news.
        let mut seen: HashMap<ObjectId, DateTime> = HashMap::new();
        let mut is_first = true;
        loop {
            let oldest = Timestamp::now().saturating_add_nanos(-nanos(REACH));
            let oldest = DateTime::from_millis(oldest.as_nanos() / 1_000_000);
            seen.retain(|_, time| *time >= oldest);
            let fresh = self.ids_since(oldest, &seen).await?;
            if !is_first && !fresh.is_empty() {
                let ids: Vec<ObjectId> = fresh.iter().map(|(id, _)| *id).collect();
                let order = doc! { "timestamp": 1, "_id": 1 };
                let mut found = collection.find(doc! { "_id": { "$in": ids } }).sort(order).await?;
                let mut documents: Vec<RawDocumentBuf> = Vec::new();
                while found.advance().await? {
                    documents.push(found.current().to_owned());
                }
                self.take(&documents, known).await?;
            }
            is_first = false;
            seen.extend(fresh);
            self.stats.listening.store(true, Ordering::Relaxed);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The ids of others' documents that were not seen, from an index alone.
    async fn ids_since(
        &self,
        oldest: DateTime,
        seen: &HashMap<ObjectId, DateTime>,
    ) -> Result<Vec<(ObjectId, DateTime)>, Stop> {
        let (first, last) = ids_of(self.journal.head().epoch);
        let wanted = doc! {
            "timestamp": { "$gte": oldest },
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
            let unseen = id.zip(time).filter(|(id, _)| !seen.contains_key(id));
            fresh.extend(unseen);
        }
        if all == MAX_DOCUMENTS && !fresh.is_empty() && !seen.is_empty() {
            self.missed("more documents than can be asked for at once");
        }
        Ok(fresh)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
