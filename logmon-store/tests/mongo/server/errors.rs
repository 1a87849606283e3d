//! Commands that fail.

use crate::scripted::{Act, ScriptedServer};
use bson::rawdoc;

use super::common::{code, database, insert, labels, stored, within};

#[tokio::test]
async fn a_command_error_has_code_text_and_labels() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let sent: &[_] = &["RetryableError", "SystemOverloadedError"];
    let error = Act::Command { code: 462, message: "too busy", labels: sent };
    server.next_inserts([Act::Command { code: 112, message: "conflict", labels: &["Some"] }]);
    let conflict = insert(&database, 0..1).await.unwrap_err();
    assert_eq!((code(&conflict), labels(&conflict)), (112, vec!["Some"]));
    assert!(conflict.to_string().contains("conflict"), "{conflict}");

    // With these two labels the driver sends even a raw command again, at most twice.
    server.next_inserts([error.clone(), error.clone()]);
    insert(&database, 0..1).await.unwrap();
    assert_eq!((stored(&server), server.inserts()), (vec![0], 4));
    server.always(error);
    let overloaded = insert(&database, 1..2).await.unwrap_err();
    assert_eq!((code(&overloaded), labels(&overloaded)), (462, sent.to_vec()));
    assert_eq!((stored(&server), server.inserts()), (vec![0], 7));
}

#[tokio::test]
async fn state_change_codes_surface_once() {
    for failing in [91, 10107, 11600, 11602, 13436] {
        let server = ScriptedServer::start().await;
        let database = database(&server).await;
        server.next_inserts([Act::Command { code: failing, message: "moved", labels: &[] }]);
        let error = insert(&database, 0..1).await.unwrap_err();
        assert_eq!((code(&error), labels(&error)), (failing, vec![]));
        insert(&database, 0..1).await.unwrap();
    }
}

#[tokio::test]
async fn commands_fail_as_often_as_told() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    server.fail_commands("createIndexes", 13, "not authorized", 2);
    let index = rawdoc! {
        "createIndexes": "events",
        "indexes": [{ "key": { "a": 1 }, "name": "a_1" }],
    };
    for _ in 0..2 {
        let error = within(database.run_raw_command(index.clone())).await.unwrap_err();
        assert_eq!(code(&error), 13);
    }
    within(database.run_raw_command(index)).await.unwrap();

    server.fail_commands("insert", 50, "operation exceeded time limit", 1);
    server.next_inserts([Act::ApplyThenClose]);
    let error = insert(&database, 0..1).await.unwrap_err();
    assert_eq!((code(&error), server.inserts()), (50, 1));
    insert(&database, 0..1).await.expect_err("the act has waited");
}

#[tokio::test]
async fn an_unknown_command_is_told() {
    let server = ScriptedServer::start().await;
    let database = database(&server).await;
    let error = within(database.run_raw_command(rawdoc! { "mapReduce": "x" })).await.unwrap_err();
    assert_eq!(code(&error), 59);
}
