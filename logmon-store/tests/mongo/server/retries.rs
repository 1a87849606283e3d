//! A replica set, where the driver retries by itself.

use std::io;

use crate::scripted::{Act, ScriptedServer};

use super::common::{collection, database, documents, insert, io_kind, labels, stored, within};

#[tokio::test]
async fn a_retryable_insert_whose_reply_was_lost_succeeds_unseen() {
    let server = ScriptedServer::start_replica_set().await;
    let collection = collection(&server).await;
    server.next_inserts([Act::ApplyThenClose]);
    within(collection.insert_many(documents(0..3)).ordered(false)).await.unwrap();
    assert_eq!((stored(&server), server.inserts()), (vec![0, 1, 2], 2));

    server.next_inserts([Act::ApplyFirst { documents: 1 }]);
    within(collection.insert_many(documents(3..6)).ordered(false)).await.unwrap();
    assert_eq!((stored(&server), server.inserts()), (vec![0, 1, 2, 3, 4, 5], 4));

    // The same documents in a write of their own are duplicates.
    within(collection.insert_many(documents(3..6)).ordered(false)).await.unwrap_err();
}

#[tokio::test]
async fn two_lost_replies_surface() {
    let server = ScriptedServer::start_replica_set().await;
    let collection = collection(&server).await;
    server.next_inserts([Act::ApplyThenClose, Act::ApplyThenClose]);
    let error = within(collection.insert_many(documents(0..3))).await.unwrap_err();
    assert_eq!(io_kind(&error), io::ErrorKind::UnexpectedEof);
    assert_eq!(labels(&error), ["RetryableWriteError"]);
    assert_eq!(server.inserts(), 2);
}

#[tokio::test]
async fn a_raw_command_is_not_retried_there_either() {
    let server = ScriptedServer::start_replica_set().await;
    let database = database(&server).await;
    server.next_inserts([Act::ApplyThenClose]);
    let error = insert(&database, 0..3).await.unwrap_err();
    assert_eq!((io_kind(&error), labels(&error).len()), (io::ErrorKind::UnexpectedEof, 0));
    assert_eq!(server.inserts(), 1);
}

#[tokio::test]
async fn a_client_goes_on_with_the_primary() {
    let server = ScriptedServer::start_replica_set().await;
    let database = database(&server).await;
    insert(&database, 0..1).await.unwrap();
    server.step_down();
    // 10107, or no server to be selected if the client has looked in between.
    insert(&database, 1..2).await.unwrap_err();
    let waiting = tokio::spawn(async move { insert(&database, 1..2).await });
    server.step_up();
    within(waiting).await.unwrap().unwrap();
    assert_eq!(stored(&server), [0, 1]);
}
