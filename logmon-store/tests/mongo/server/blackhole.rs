//! The server that forgets.

use crate::blackhole::Blackhole;
use bson::{RawBson, RawDocumentBuf};
use mongodb::{Client, Database};

use super::common::{command, documents, n, within};

async fn database(blackhole: &Blackhole) -> Database {
    Client::with_uri_str(blackhole.uri()).await.unwrap().database("logs")
}

#[tokio::test]
async fn documents_are_counted_within_a_command_and_beside_it() {
    let blackhole = Blackhole::start();
    let database = database(&blackhole).await;
    for batch in 0..5 {
        let reply = within(database.run_raw_command(command(batch * 1000..(batch + 1) * 1000)));
        assert_eq!(n(&reply.await.unwrap()), 1000);
    }
    assert_eq!(blackhole.documents(), 5000);
    let collection = database.collection::<RawDocumentBuf>("events");
    within(collection.insert_many(documents(0..5000))).await.unwrap();
    assert_eq!(blackhole.documents(), 10_000);
    let bytes: usize = documents(0..10_000).iter().map(|document| document.as_bytes().len()).sum();
    assert!(blackhole.bytes() > bytes as u64);
}

#[tokio::test]
async fn all_fields_of_a_command_are_stepped_over() {
    let blackhole = Blackhole::start();
    let database = database(&blackhole).await;
    let command = bson::rawdoc! {
        "insert": "events", "ordered": false, "maxTimeMS": 5000_i64, "bypass": RawBson::Null,
        "writeConcern": { "w": 1, "j": true }, "when": bson::DateTime::now(), "weight": 0.5,
        "of": bson::oid::ObjectId::new(), "id": RawBson::Binary(bson::Uuid::new().into()),
        "documents": [{ "_id": 1 }, { "_id": 2 }, {}],
    };
    assert_eq!(n(&within(database.run_raw_command(command)).await.unwrap()), 3);
    assert_eq!(blackhole.documents(), 3);
}
