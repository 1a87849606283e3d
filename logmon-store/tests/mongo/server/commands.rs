//! Collections and indexes.

use std::time::Duration;

use crate::scripted::ScriptedServer;
use bson::{Document, doc, rawdoc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

use super::common::{code, database, within};

fn expiring(seconds: u64) -> IndexModel {
    let options = IndexOptions::builder().expire_after(Duration::from_secs(seconds)).build();
    IndexModel::builder().keys(doc! { "timestamp": 1 }).options(options).build()
}

#[tokio::test]
async fn indexes_are_created_listed_and_changed() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let collection = database.collection::<Document>("events");
    let missing = within(collection.list_index_names()).await.unwrap_err();
    assert_eq!(code(&missing), 26);
    for _ in 0..2 {
        within(collection.create_index(expiring(60))).await.unwrap();
    }
    assert_eq!(within(collection.list_index_names()).await.unwrap(), ["_id_", "timestamp_1"]);
    let other = within(collection.create_index(expiring(90))).await.unwrap_err();
    assert_eq!(code(&other), 85);
    let same_name = rawdoc! {
        "createIndexes": "events",
        "indexes": [{ "key": { "level": 1 }, "name": "timestamp_1" }],
    };
    assert_eq!(code(&within(database.run_raw_command(same_name)).await.unwrap_err()), 86);

    let change = |name| {
        rawdoc! { "collMod": "events", "index": { "name": name, "expireAfterSeconds": 90 } }
    };
    let changed = within(database.run_raw_command(change("timestamp_1"))).await.unwrap();
    assert_eq!(changed.get_i64("expireAfterSeconds_old").unwrap(), 60);
    within(collection.create_index(expiring(90))).await.unwrap_err();
    assert_eq!(code(&within(database.run_raw_command(change("other"))).await.unwrap_err()), 27);
}

#[tokio::test]
async fn collections_are_created_and_listed() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    within(database.create_collection("capped").capped(true).size(4096)).await.unwrap();
    within(database.create_collection("events")).await.unwrap();
    let again = within(database.create_collection("events")).await.unwrap_err();
    assert_eq!(code(&again), 48);
    assert_eq!(within(database.list_collection_names()).await.unwrap(), ["capped", "events"]);
    let mut named =
        within(database.list_collections().filter(doc! { "name": "capped" })).await.unwrap();
    assert!(within(named.advance()).await.unwrap());
    let found = named.deserialize_current().unwrap();
    assert_eq!((found.name.as_str(), found.options.capped), ("capped", Some(true)));
    assert!(!within(named.advance()).await.unwrap());
}

#[tokio::test]
async fn the_server_tells_of_itself() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    within(database.run_raw_command(rawdoc! { "ping": 1 })).await.unwrap();
    let info = within(database.run_raw_command(rawdoc! { "buildInfo": 1 })).await.unwrap();
    assert_eq!(info.get_str("version").unwrap(), "7.0.0");
}
