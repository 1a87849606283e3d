//! Acts that store and answer.

use std::time::{Duration, Instant};

use crate::scripted::{Act, ScriptedServer};
use bson::{doc, rawdoc};

use super::common::{
    NAMESPACE, collection, command, database, documents, insert, n, stored, within, write_errors,
};

#[tokio::test]
async fn apply_stores_once_and_tells_duplicates() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let first = insert(&database, 0..3).await.unwrap();
    assert_eq!((n(&first), write_errors(&first)), (3, vec![]));
    let second = insert(&database, 2..5).await.unwrap();
    assert_eq!((n(&second), write_errors(&second)), (2, vec![(0, 11000)]));
    assert_eq!(stored(&server), [0, 1, 2, 3, 4]);
    assert_eq!(server.documents(NAMESPACE)[..3], documents(0..3));
    assert_eq!(server.inserts(), 2);

    let error = second.get_array("writeErrors").unwrap()[0].as_document().unwrap();
    assert_eq!(
        error.get_str("errmsg").unwrap(),
        "E11000 duplicate key error collection: logs.events index: _id_ dup key: { _id: 2 }"
    );
    assert_eq!(error.get_document("keyPattern").unwrap(), &doc! { "_id": 1 });
    assert_eq!(error.get_document("keyValue").unwrap(), &doc! { "_id": 2 });
}

#[tokio::test]
async fn documents_beside_the_command_are_taken_too() {
    let server = ScriptedServer::start().await;
    let collection = collection(&server).await;
    within(collection.insert_many(documents(0..3))).await.unwrap();
    // In order, so what follows the first duplicate is not tried.
    let error = within(collection.insert_many(documents(2..5))).await.unwrap_err();
    let mongodb::error::ErrorKind::InsertMany(error) = *error.kind else { panic!("{error}") };
    let errors = error.write_errors.unwrap();
    assert_eq!(
        errors.iter().map(|error| (error.index, error.code)).collect::<Vec<_>>(),
        [(0, 11000)]
    );
    assert_eq!(stored(&server), [0, 1, 2]);
    within(collection.insert_many(documents(2..5)).ordered(false)).await.unwrap_err();
    assert_eq!(stored(&server), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn the_last_insert_is_told_without_documents() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    assert_eq!(server.last_insert(), None);
    let mut command = command(0..1);
    command.append(bson::raw::cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
    command.append(bson::raw::cstr!("maxTimeMS"), 5000);
    within(database.run_raw_command(command)).await.unwrap();
    let last = server.last_insert().unwrap();
    assert_eq!(last.get_str("insert").unwrap(), "events");
    assert!(!last.get_bool("ordered").unwrap());
    assert_eq!(last.get_i32("maxTimeMS").unwrap(), 5000);
    assert_eq!(last.get_document("writeConcern").unwrap().get_str("w").unwrap(), "majority");
    assert!(last.get("documents").unwrap().is_none());
}

#[tokio::test]
async fn write_errors_are_told_as_given_and_the_others_stored() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let errors = [(1, 121), (1, 2), (7, 121)].map(|(index, code)| (index, code, String::new()));
    server.next_inserts([Act::WriteErrors(errors.to_vec())]);
    let reply = insert(&database, 0..3).await.unwrap();
    assert_eq!((n(&reply), write_errors(&reply)), (2, vec![(1, 121), (1, 2), (7, 121)]));
    assert_eq!(stored(&server), [0, 2]);
}

#[tokio::test]
async fn a_write_concern_error_is_told_of_what_is_stored() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    server.next_inserts([Act::WriteConcernError { code: 64, message: "timed out" }]);
    let reply = insert(&database, 0..3).await.unwrap();
    assert_eq!((n(&reply), stored(&server)), (3, vec![0, 1, 2]));
    let error = reply.get_document("writeConcernError").unwrap();
    assert_eq!(error.get_i32("code").unwrap(), 64);
    assert_eq!(error.get_str("codeName").unwrap(), "WriteConcernFailed");
    assert_eq!(error.get_str("errmsg").unwrap(), "timed out");
}

#[tokio::test]
async fn a_late_or_slow_reply_is_whole() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let (pause, wait) = (Duration::from_millis(5), Duration::from_millis(100));
    server.next_inserts([Act::Drip { bytes: 7, every: pause }, Act::Delay(wait)]);
    let started = Instant::now();
    assert_eq!(n(&insert(&database, 0..2).await.unwrap()), 2);
    // 21 bytes of frame and 24 of document are seven pieces with six pauses between them.
    assert!(started.elapsed() >= pause * 6, "{:?}", started.elapsed());
    let started = Instant::now();
    assert_eq!(n(&insert(&database, 2..4).await.unwrap()), 2);
    assert!(started.elapsed() >= wait);
    assert_eq!(stored(&server), [0, 1, 2, 3]);
}

#[tokio::test]
async fn an_answer_is_sent_as_given() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let answer = doc! { "n": "many", "writeErrors": 5, "ok": 1.0 };
    server.next_inserts([Act::Answer((&answer).try_into().unwrap())]);
    assert_eq!(insert(&database, 0..1).await.unwrap(), answer);
    assert_eq!(stored(&server), [0]);
}

#[tokio::test]
async fn planned_acts_come_first_and_always_replaces_them() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let failing = Act::Command { code: 112, message: "conflict", labels: &[] };
    server.next_inserts([failing.clone(), Act::Apply]);
    insert(&database, 0..1).await.unwrap_err();
    server.always(failing);
    for id in 0..3 {
        insert(&database, id..id + 1).await.unwrap_err();
    }
    server.always(Act::Apply);
    insert(&database, 9..10).await.unwrap();
    assert_eq!((stored(&server), server.inserts()), (vec![9], 5));
}

#[tokio::test]
async fn find_gives_all_there_is() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    insert(&database, 0..3).await.unwrap();
    let collection = database.collection::<bson::Document>("events");
    let mut found = within(collection.find(doc! {})).await.unwrap();
    let mut ids = Vec::new();
    while within(found.advance()).await.unwrap() {
        ids.push(found.current().get_i32("_id").unwrap());
    }
    assert_eq!(ids, [0, 1, 2]);
    assert_eq!(within(collection.estimated_document_count()).await.unwrap(), 3);
    assert!(!within(within(collection.aggregate([])).await.unwrap().advance()).await.unwrap());
}
