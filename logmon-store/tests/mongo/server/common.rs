//! What the tests share.

use std::ops::Range;
use std::time::Duration;

use crate::scripted::ScriptedServer;
use bson::{Document, RawDocumentBuf, rawdoc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Collection, Database};

/// The collection that [`insert`] writes to.
pub(crate) const NAMESPACE: &str = "logs.events";

/// Fails a test that would hang.
pub(crate) async fn within<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("an answer in time")
}

pub(crate) async fn database(server: &ScriptedServer) -> Database {
    Client::with_uri_str(server.uri()).await.unwrap().database("logs")
}

pub(crate) fn documents(ids: Range<i32>) -> Vec<RawDocumentBuf> {
    ids.map(|id| rawdoc! { "_id": id, "message": "text" }).collect()
}

pub(crate) fn command(ids: Range<i32>) -> RawDocumentBuf {
    let mut documents_array = bson::RawArrayBuf::new();
    documents(ids).into_iter().for_each(|document| documents_array.push(document));
    rawdoc! { "insert": "events", "ordered": false, "documents": documents_array }
}

/// Where the driver makes the insert command.
pub(crate) async fn collection(server: &ScriptedServer) -> Collection<RawDocumentBuf> {
    database(server).await.collection("events")
}

/// Inserts as a sink does: one raw command. Gives the reply, with its write errors unread.
pub(crate) async fn insert(database: &Database, ids: Range<i32>) -> Result<Document, Error> {
    within(database.run_raw_command(command(ids))).await
}

pub(crate) fn n(reply: &Document) -> i32 {
    reply.get_i32("n").unwrap()
}

/// The index and code of each write error.
pub(crate) fn write_errors(reply: &Document) -> Vec<(i32, i32)> {
    let Ok(errors) = reply.get_array("writeErrors") else { return Vec::new() };
    let errors = errors.iter().map(|error| error.as_document().unwrap());
    errors.map(|error| (error.get_i32("index").unwrap(), error.get_i32("code").unwrap())).collect()
}

/// The ids of what is stored.
pub(crate) fn stored(server: &ScriptedServer) -> Vec<i32> {
    let documents = server.documents(NAMESPACE);
    documents.iter().map(|document| document.get_i32("_id").unwrap()).collect()
}

/// The code of a command's error.
pub(crate) fn code(error: &Error) -> i32 {
    match &*error.kind {
        ErrorKind::Command(command) => command.code,
        other => panic!("{other:?}"),
    }
}

/// The kind of an I/O error.
pub(crate) fn io_kind(error: &Error) -> std::io::ErrorKind {
    match &*error.kind {
        ErrorKind::Io(io) => io.kind(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn labels(error: &Error) -> Vec<&str> {
    let mut labels: Vec<_> = error.labels().iter().map(String::as_str).collect();
    labels.sort_unstable();
    labels
}
