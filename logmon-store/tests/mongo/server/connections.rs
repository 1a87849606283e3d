//! Acts that end the connection or let the client wait, and the server's own doings.

use std::io;

use crate::scripted::{Act, ScriptedServer};
use bson::rawdoc;
use mongodb::error::ErrorKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::common::{
    code, command, database, insert, io_kind, labels, n, stored, within, write_errors,
};

#[tokio::test]
async fn a_lost_reply_then_a_retry_gives_duplicates_only() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let acts = [Act::ApplyThenClose, Act::Apply, Act::ApplyThenReset { bytes: 30 }];
    server.next_inserts(acts);
    for ids in [0..3, 3..6] {
        let error = insert(&database, ids.clone()).await.unwrap_err();
        assert_eq!(io_kind(&error), io::ErrorKind::UnexpectedEof);
        assert_eq!(labels(&error), [""; 0]);
        let again = insert(&database, ids).await.unwrap();
        let all = vec![(0, 11000), (1, 11000), (2, 11000)];
        assert_eq!((n(&again), write_errors(&again)), (0, all));
    }
    assert_eq!(stored(&server), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn the_first_documents_alone_are_stored() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    server.next_inserts([Act::ApplyFirst { documents: 2 }]);
    let error = insert(&database, 0..4).await.unwrap_err();
    assert_eq!(io_kind(&error), io::ErrorKind::UnexpectedEof);
    assert_eq!(stored(&server), [0, 1]);
    let again = insert(&database, 0..4).await.unwrap();
    assert_eq!((n(&again), write_errors(&again)), (2, vec![(0, 11000), (1, 11000)]));
}

#[tokio::test]
async fn a_hanging_insert_is_stored_or_not_and_hinders_no_other() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    server.next_inserts([Act::ApplyThenHang, Act::HangBeforeApply]);
    let mut hanging = Vec::new();
    for id in 0..2 {
        let database = database.clone();
        let insert = async move { database.run_raw_command(command(id..id + 1)).await };
        hanging.push(tokio::spawn(insert));
        within(server.wait_for_inserts(hanging.len())).await;
    }
    assert_eq!(stored(&server), [0]);
    insert(&database, 2..3).await.unwrap();
    assert!(!hanging.iter().any(tokio::task::JoinHandle::is_finished));
    server.refuse_connections(true);
    for insert in hanging {
        let error = within(insert).await.unwrap().unwrap_err();
        assert_eq!(io_kind(&error), io::ErrorKind::UnexpectedEof);
    }
    assert_eq!(stored(&server), [0, 2]);
}

#[tokio::test]
async fn refused_connections_are_taken_again() {
    let server = ScriptedServer::start().await;
    let uri = server.uri().replace("SelectionTimeoutMS=5000", "SelectionTimeoutMS=300");
    let client = mongodb::Client::with_uri_str(uri).await.unwrap();
    let database = client.database("logs");
    insert(&database, 0..1).await.unwrap();
    server.refuse_connections(true);
    // The connection that was open is found dead, unless the client has looked before.
    let error = insert(&database, 1..2).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Io(_) | ErrorKind::ServerSelection { .. }));
    let error = insert(&database, 1..2).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }), "{error}");
    server.refuse_connections(false);
    let back = async { while insert(&database, 1..2).await.is_err() {} };
    within(back).await;
    assert_eq!(stored(&server), [0, 1]);
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = ScriptedServer::start().await;
    let port = server.port();
    let mut open = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    drop(server);
    assert_eq!(within(open.read_to_end(&mut Vec::new())).await.unwrap_or(0), 0);
    within(async { while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_stepped_down_server_takes_no_writes() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    server.next_inserts([Act::ApplyThenClose]);
    server.step_down();
    let error = insert(&database, 0..1).await.unwrap_err();
    assert_eq!((code(&error), labels(&error)), (10107, vec![]));
    let index = rawdoc! { "createIndexes": "events", "indexes": [] };
    let error = within(database.run_raw_command(index)).await.unwrap_err();
    assert_eq!(code(&error), 10107);
    server.step_up();
    insert(&database, 0..1).await.expect_err("the act has waited");
    assert_eq!((stored(&server), server.inserts()), (vec![0], 2));
}

#[tokio::test]
async fn a_client_may_say_hello_the_old_way() {
    let server = ScriptedServer::start_replica_set().await;
    let hello = rawdoc! { "isMaster": 1 };
    let mut query = Vec::new();
    // no flags, the collection, nothing skipped, one document
    query.extend(0_i32.to_le_bytes());
    query.extend(b"admin.$cmd\0");
    query.extend([0_i32, -1].map(i32::to_le_bytes).as_flattened());
    query.extend(hello.as_bytes());
    let length = i32::try_from(16 + query.len()).unwrap();
    let header = [length, 7, 0, 2004].map(i32::to_le_bytes);
    let mut client = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    client.write_all(&[header.as_flattened(), &query].concat()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut reply = Vec::new();
    within(client.read_to_end(&mut reply)).await.unwrap();
    assert_eq!(reply[8..16], [7, 0, 0, 0, 1, 0, 0, 0]);
    let body = bson::RawDocumentBuf::from_bytes(reply[36..].to_vec()).unwrap();
    assert!(body.get_bool("ismaster").unwrap());
    assert_eq!(body.get_i32("maxWireVersion").unwrap(), 21);
    assert_eq!(body.get_str("setName").unwrap(), crate::scripted::SET_NAME);
}
