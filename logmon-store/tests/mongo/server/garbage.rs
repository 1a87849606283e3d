//! Replies that make no sense: what the driver makes of each.

use crate::scripted::{Act, Garbage, ScriptedServer};
use bson::rawdoc;
use mongodb::error::{Error, ErrorKind};

use super::common::{collection, database, documents, insert, stored, within};

/// What kind of error it is, and the code of a command's error.
fn told(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(command) => format!("Command {}", command.code),
        ErrorKind::Io(io) => format!("Io {:?}", io.kind()),
        other => format!("{other:?}").split([' ', '(']).next().unwrap().to_owned(),
    }
}

/// What the driver makes of it when the reply is to a raw command.
fn expected(garbage: Garbage) -> &'static str {
    match garbage {
        // It does not look at these.
        Garbage::WrongResponseTo | Garbage::ChecksumFlag => "passed",
        Garbage::HugeLength | Garbage::ErrorWithoutCode | Garbage::EmptyDocument => {
            "InvalidResponse"
        }
        Garbage::NegativeLength => "InvalidArgument",
        Garbage::Truncated | Garbage::NotBson => "Bson",
        Garbage::UnknownCode => "Command 987654",
    }
}

#[tokio::test]
async fn each_ends_in_an_error_or_passes_and_never_hangs() {
    for garbage in Garbage::ALL {
        let server = ScriptedServer::start().await;
        let database = database(&server).await;
        server.next_inserts([Act::Garbage(garbage)]);
        let outcome = insert(&database, 0..2).await;
        let outcome = outcome.map_or_else(|error| told(&error), |_| "passed".to_owned());
        assert_eq!(outcome, expected(garbage), "{garbage:?}");
        assert_eq!(stored(&server), [0, 1]);
        insert(&database, 2..3).await.expect("the next one is answered");
    }
}

#[tokio::test]
async fn odd_answers_to_an_insert_that_the_driver_made() {
    let odd = [
        (rawdoc! { "ok": 1.0 }, "InvalidResponse"),
        (rawdoc! { "n": "many", "ok": 1.0 }, "InvalidResponse"),
        (rawdoc! { "n": -1, "ok": 1.0 }, "InvalidResponse"),
        (rawdoc! { "n": 99, "ok": 1.0 }, "passed"),
        // What does not count as inserted is sent again, and is there.
        (rawdoc! { "n": 0, "ok": 1.0 }, "InsertMany"),
        (rawdoc! { "n": 1, "ok": 1.0 }, "InsertMany"),
        (rawdoc! { "n": 2, "ok": 1.0, "writeErrors": [] }, "InsertMany"),
        (rawdoc! { "n": 2, "ok": 1.0, "writeErrors": [{ "code": 2 }] }, "InsertMany"),
        (rawdoc! { "n": 2, "ok": 1.0, "writeErrors": 5 }, "InvalidResponse"),
        (rawdoc! { "n": 2, "ok": "yes" }, "InvalidResponse"),
    ];
    for (answer, expected) in odd {
        let server = ScriptedServer::start().await;
        let collection = collection(&server).await;
        server.next_inserts([Act::Answer(answer.clone())]);
        let outcome = within(collection.insert_many(documents(0..2)).ordered(false)).await;
        let outcome = outcome.map_or_else(|error| told(&error), |_| "passed".to_owned());
        assert_eq!(outcome, expected, "{answer:?}");
    }
}
