//! `logmon quarantine`: listing, showing, replaying and dropping what was refused.

use bytes::Bytes;
use logmon_core::{Quarantine as _, Quarantined, QuarantinedKind, Tag};
use logmon_store::{DirQuarantine, QuarantineConfig};
use serde_json::Value;

use crate::support::forward::{Client, Mode, message, record};
use crate::support::server::Home;

/// Puts items into the quarantine of a home, as a listener does.
fn fill(home: &Home, items: Vec<Quarantined>) {
    let folder = home.data_dir().join("quarantine");
    let quarantine = DirQuarantine::open(folder, QuarantineConfig::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for item in items {
        runtime.block_on(quarantine.put(item)).unwrap();
    }
}

fn whole_message(text: &str) -> Quarantined {
    let bytes = message(Mode::Packed, "app", &[record(text, 1)], "id-of-the-sender");
    let mut item =
        Quarantined::new("forward", "not_utf8", QuarantinedKind::Message, Bytes::from(bytes));
    "the tag is no text \u{1b}[31m".clone_into(&mut item.detail);
    item.peer = Some("192.0.2.7:4711".to_owned());
    item
}

fn entries(texts: &[&str]) -> Quarantined {
    let mut bytes = Vec::new();
    for text in texts {
        logmon_core::Log::new(*text).write_entry(&mut bytes);
    }
    let mut item =
        Quarantined::new("there", "rejected", QuarantinedKind::Entries, Bytes::from(bytes));
    item.tag = Some(Tag::from("web.access"));
    item.count = texts.len() as u64;
    item
}

fn said(home: &Home, args: &[&str]) -> (bool, String, String) {
    let mut command = home.logmon();
    command.arg("quarantine").args(args).arg("--data-dir").arg(home.data_dir());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn ids(home: &Home) -> Vec<String> {
    let (_, list, _) = said(home, &["list", "--json"]);
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
    list.lines().map(|text| line(text).as_str().unwrap().to_owned()).collect()
}

#[test]
fn lists_shows_and_drops() {
    let home = Home::new();
    fill(&home, vec![whole_message("first"), entries(&["second"])]);
    let (is_well, list, _) = said(&home, &["list"]);
    assert!(is_well && list.lines().count() == 3, "{list}");
    for part in ["not_utf8", "192.0.2.7:4711", "rejected", "web.access"] {
        assert!(list.contains(part), "{part} is missing in: {list}");
    }
    let ids = ids(&home);
    let (_, shown, _) = said(&home, &["show", &ids[0]]);
    assert!(shown.contains("the tag is no text \\u{1b}[31m"), "{shown}");
    assert!(shown.contains("00000000  93 a3 61 70 70"), "{shown}");
    let mut command = home.logmon();
    command.args(["quarantine", "show", "--raw", &ids[0], "--data-dir"]).arg(home.data_dir());
    assert_eq!(command.output().unwrap().stdout, whole_message("first").bytes);
    assert!(said(&home, &["drop", &ids[0]]).0);
    let (is_well, _, complaint) = said(&home, &["show", &ids[0]]);
    assert!(!is_well && complaint.contains("there is no item"), "{complaint}");
    assert!(said(&home, &["drop", "--all"]).0);
    assert_eq!(said(&home, &["list", "--json"]).1, "");
    assert!(!said(&home, &["replay"]).0, "it wants to be told what");
}

#[test]
fn replays_and_removes_what_was_acknowledged() {
    let home = Home::new();
    let mut headless = entries(&["too long"]);
    headless.full_bytes += 1;
    fill(&home, vec![whole_message("a message"), entries(&["one", "two"]), headless]);
    let server = home.start();
    let to = server.forward.to_string();
    let (is_well, _, complaint) = said(&home, &["replay", "--all", "--to", &to]);
    assert!(!is_well && complaint.contains("bytes were kept"), "{complaint}");
    assert_eq!(ids(&home).len(), 1, "the item of which only the head is there stays");
    let mut found: Vec<String> =
        server.everything().into_iter().map(|found| found.message).collect();
    found.sort();
    assert_eq!(found, ["a message", "one", "two"]);
    // Nobody is there who could acknowledge.
    server.end();
    fill(&home, vec![entries(&["three"])]);
    assert!(!said(&home, &["replay", &ids(&home)[1], "--to", &to]).0);
    assert_eq!(ids(&home).len(), 2);
}

/// What the listener refuses is listed, and goes through once the cause is gone.
#[test]
fn what_was_refused_is_replayed_after_the_fix() {
    let home = Home::new();
    let server = home.start();
    let mut client = Client::connect(server.forward).unwrap();
    client.send(&message(Mode::Packed, "", &[record("without a tag", 1)], "the-chunk")).unwrap();
    assert_eq!(client.acks().next().as_deref(), Some("the-chunk"), "refused, and acknowledged");
    let (_, list, _) = said(&home, &["list"]);
    assert!(list.contains("tag_empty") && list.contains("127.0.0.1:"), "{list}");
    assert_eq!(server.forward_figure("quarantined"), 1);
    assert_eq!(server.everything(), []);
    drop(client);
    server.end();

    let server = home.start_with(|command| {
        command.env("LOGMON_FORWARD_DEFAULT_TAG", "untagged");
    });
    let (is_well, _, complaint) =
        said(&home, &["replay", "--all", "--to", &server.forward.to_string()]);
    assert!(is_well, "{complaint}");
    let found = server.everything();
    let found: Vec<_> = found.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(found, ["without a tag"]);
    assert_eq!(ids(&home), [""; 0]);
}
