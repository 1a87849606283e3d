//! Collections and their indexes: made where they are missing, never dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};

use super::config::{Capped, MongoConfig};
use super::fault::{Class, class_of};

/// Which collections have been seen to. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Schema {
    known: Arc<Mutex<HashMap<String, Vec<Difference>>>>,
}

/// Something that is not as it would be made, and is left so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{collection}: {what}")]
pub struct Difference {
    /// The collection.
    pub collection: String,
    /// What is different.
    pub what: String,
}

/// The fields of the indexes that searches use.
fn indexes() -> [(&'static str, Document); 3] {
    [
        ("timestamp_-1__id_-1", doc! { "timestamp": -1, "_id": -1 }),
        ("level_1_timestamp_-1__id_-1", doc! { "level": 1, "timestamp": -1, "_id": -1 }),
        ("source_1_timestamp_-1__id_-1", doc! { "source": 1, "timestamp": -1, "_id": -1 }),
    ]
}

/// The name of the index by which documents expire.
const EXPIRY: &str = "createdAt_1";

/// Indexes are tried again so much later.
const PAUSE: Duration = Duration::from_secs(10);

impl Schema {
    /// Sees to a collection, once in the life of the process. Indexes are made beside: over many
    /// documents that takes long, and events need not wait for it.
    ///
    /// # Errors
    /// The server cannot be asked now. That it refuses something is told in the differences, and
    /// events are written all the same.
    pub(super) async fn ensure(
        &self,
        database: &Database,
        collection: &str,
        config: &MongoConfig,
    ) -> Result<(), Error> {
        if self.known().contains_key(collection) {
            return Ok(());
        }
        let mut keeper = Keeper::new(database.clone(), collection);
        keeper.create(config.capped).await?;
        if self.known().insert(collection.to_owned(), keeper.tell()).is_some() {
            // Another batch was faster.
            return Ok(());
        }
        let (schema, expire_after) = (self.clone(), config.expire_after);
        tokio::spawn(async move {
            while let Err(error) = keeper.index(expire_after).await {
                tracing::debug!(%error, "indexes are made later");
                keeper.differences.clear();
                tokio::time::sleep(PAUSE).await;
            }
            let differences = keeper.tell();
            schema.known().entry(keeper.collection).or_default().extend(differences);
        });
        Ok(())
    }

    /// What was found to be different.
    pub(super) fn differences(&self) -> Vec<Difference> {
        self.known().values().flatten().cloned().collect()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Difference>>> {
        // Nothing panics while the lock is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Keeper {
    database: Database,
    collection: String,
    differences: Vec<Difference>,
}

/// Codes of what is there already, as it is or otherwise.
const EXISTS: i32 = 48;
const OTHER_OPTIONS: [i32; 2] = [85, 86];

impl Keeper {
    fn new(database: Database, collection: &str) -> Self {
        Self { database, collection: collection.to_owned(), differences: Vec::new() }
    }

    /// Tells what is different, and hands it on.
    fn tell(&mut self) -> Vec<Difference> {
        for difference in &self.differences {
            tracing::warn!(%difference, "MongoDB: not as logmon would make it; it is left so");
        }
        std::mem::take(&mut self.differences)
    }

    /// Makes the collection, if it is to be one that needs saying how.
    async fn create(&mut self, capped: Option<Capped>) -> Result<(), Error> {
        let Some(Capped { bytes, documents }) = capped else { return Ok(()) };
        let mut command = doc! {
            "create": &self.collection, "capped": true, "size": i64::try_from(bytes).unwrap_or(i64::MAX),
        };
        if let Some(documents) = documents {
            command.insert("max", i64::try_from(documents).unwrap_or(i64::MAX));
        }
        match self.run(command).await? {
            Some((EXISTS, _)) if self.is_capped().await? => {}
            Some((EXISTS, _)) => self.differs("it is there, and not capped".to_owned()),
            Some((_, text)) => self.differs(format!("it could not be made: {text}")),
            None => {}
        }
        Ok(())
    }

    async fn is_capped(&self) -> Result<bool, Error> {
        let command = doc! { "listCollections": 1, "filter": { "name": &self.collection } };
        let answer = self.database.run_command(command).await?;
        let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let options =
            batch.ok().and_then(|batch| batch.first()?.as_document()?.get_document("options").ok());
        Ok(options.is_some_and(|options| options.get_bool("capped").unwrap_or(false)))
    }

    async fn index(&mut self, expire_after: Option<Duration>) -> Result<(), Error> {
        for (name, key) in indexes() {
            self.index_one(doc! { "name": name, "key": key }).await?;
        }
        let Some(after) = expire_after else { return Ok(()) };
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        let index =
            doc! { "name": EXPIRY, "key": { "createdAt": 1 }, "expireAfterSeconds": seconds };
        match self.run(self.creation(&index)).await? {
            Some((code, _)) if OTHER_OPTIONS.contains(&code) => {
                let changed = doc! {
                    "collMod": &self.collection,
                    "index": { "keyPattern": { "createdAt": 1 }, "expireAfterSeconds": seconds },
                };
                if let Some((_, text)) = self.run(changed).await? {
                    self.differs(format!("documents expire after another time: {text}"));
                }
            }
            Some((_, text)) => self.differs(format!("documents will not expire: {text}")),
            None => {}
        }
        Ok(())
    }

    async fn index_one(&mut self, index: Document) -> Result<(), Error> {
        if let Some((_, text)) = self.run(self.creation(&index)).await? {
            let key = index.get_document("key").map(ToString::to_string).unwrap_or_default();
            self.differs(format!("searches have no index {key}: {text}"));
        }
        Ok(())
    }

    fn creation(&self, index: &Document) -> Document {
        doc! { "createIndexes": &self.collection, "indexes": [index.clone()] }
    }

    fn differs(&mut self, what: String) {
        self.differences.push(Difference { collection: self.collection.clone(), what });
    }

    /// Runs a command; gives the code and reason of a refusal.
    async fn run(&self, command: Document) -> Result<Option<(i32, String)>, Error> {
        match self.database.run_command(command).await {
            Ok(_) => Ok(None),
            Err(error) if class_of(&error) == Class::Transient => Err(error),
            Err(error) => match &*error.kind {
                ErrorKind::Command(refused) => {
                    Ok(Some((refused.code, format!("{} (code {})", refused.message, refused.code))))
                }
                _ => Err(error),
            },
        }
    }
}

/// What there is of one collection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CollectionStatus {
    /// Its name.
    pub name: String,
    /// Documents, by the server's own estimate.
    pub documents: u64,
    /// Its indexes: name and key.
    pub indexes: Vec<(String, String)>,
    /// The timestamps of the oldest and the newest event, as the server shows them.
    pub range: Option<(String, String)>,
}

/// Looks at a collection.
///
/// # Errors
/// The server cannot be asked, or refuses.
pub(super) async fn status(database: &Database, name: &str) -> Result<CollectionStatus, Error> {
    let collection = database.collection::<Document>(name);
    let documents = collection.estimated_document_count().await?;
    let listed = database.run_command(doc! { "listIndexes": name }).await;
    let batch = listed.as_ref().ok().and_then(|answer| {
        answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch")).ok()
    });
    let indexes = batch.into_iter().flatten().filter_map(Bson::as_document).map(|index| {
        let key = index.get_document("key").map(ToString::to_string).unwrap_or_default();
        (index.get_str("name").unwrap_or_default().to_owned(), key)
    });
    let end = async |order: i32| {
        let found = collection
            .find_one(doc! { "timestamp": { "$type": "date" } })
            .sort(doc! { "timestamp": order, "_id": order })
            .projection(doc! { "timestamp": 1 })
            .await?;
        let date = found.and_then(|found| found.get_datetime("timestamp").ok().copied());
        Ok::<_, Error>(date.map(|date| date.try_to_rfc3339_string().unwrap_or_default()))
    };
    let range = end(1).await?.zip(end(-1).await?);
    Ok(CollectionStatus { name: name.to_owned(), documents, indexes: indexes.collect(), range })
}
