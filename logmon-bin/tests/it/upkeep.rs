//! `logmon verify`, `logmon repair` and `logmon export`.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::forward::{Client, Mode, message, record};
use crate::support::server::{Home, Server};

/// What a command that must end by itself said.
fn told(home: &Home, args: &[&str]) -> (Option<i32>, String, String) {
    let output = home.logmon().args(args).arg("--data-dir").arg(home.data_dir()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Sends chunks of some events and waits for their acks.
fn send(server: &Server, chunks: std::ops::Range<u64>) {
    let mut client = Client::connect(server.forward).unwrap();
    let acks = client.acks();
    for chunk in chunks.clone() {
        let records = [record(&format!("{chunk} a"), chunk), record(&format!("{chunk} b"), chunk)];
        client.send(&message(Mode::Packed, "upkeep", &records, &chunk.to_string())).unwrap();
    }
    let count = usize::try_from(chunks.end - chunks.start).unwrap();
    assert_eq!(acks.take(count).count(), count);
}

fn exported(home: &Home) -> Vec<Value> {
    let (code, lines, complaint) = told(home, &["export", "--raw"]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.file_name().unwrap() != "lock" {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// A server takes events all the while; what it acknowledged before is found sound and exported.
#[test]
fn a_running_server_is_verified_and_exported() {
    let home = Home::new();
    let server = home.start();
    send(&server, 0..50);
    let to = server.forward;
    let sending = std::thread::spawn(move || {
        let mut client = Client::connect(to).unwrap();
        let mut acks = client.acks();
        for chunk in 1_000..6_000u64 {
            let records = [record(&chunk.to_string(), chunk)];
            client.send(&message(Mode::Forward, "more", &records, &chunk.to_string())).unwrap();
            if chunk % 10 == 9 {
                assert_eq!(acks.by_ref().take(10).count(), 10);
            }
        }
    });
    let mut runs = 0;
    while !sending.is_finished() || runs < 2 {
        let (code, said, complaint) = told(&home, &["verify"]);
        assert_eq!(code, Some(0), "{said}{complaint}");
        assert!(said.starts_with("sound: "), "{said}");
        let messages: HashSet<String> =
            exported(&home).iter().map(|log| log["message"].as_str().unwrap().to_owned()).collect();
        let all = (0..50).flat_map(|chunk| [format!("{chunk} a"), format!("{chunk} b")]);
        let missing: Vec<_> = all.filter(|text| !messages.contains(text)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        runs += 1;
    }
    sending.join().unwrap();
    // The export is what the API has, oldest first.
    let found = server.everything();
    let export = exported(&home);
    let ids = |log: &Value| log["id"].as_str().unwrap().to_owned();
    assert_eq!(
        export.iter().map(ids).collect::<HashSet<_>>(),
        found.iter().map(|found| found.id.clone()).collect()
    );
    let seq = |log: &Value| log["seq"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(export.is_sorted_by(|one, next| seq(one) < seq(next)));
    let by_api = server.get(&format!("/api/logs/{}", ids(&export[7]))).json();
    assert_eq!(by_api, export[7]);
    server.kill();
    assert_eq!(exported(&home), export);
}

/// S-020: a byte goes bad at rest. It is named, costs its frame, and is known after the repair.
#[test]
fn damage_is_named_then_counted() {
    let home = Home::new();
    let server = home.start();
    send(&server, 0..20);
    let (code, _, complaint) = told(&home, &["repair", "--apply"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("process"), "{complaint}");
    server.end();
    let (code, said, _) = told(&home, &["repair"]);
    assert_eq!((code, said.as_str()), (Some(0), "there is nothing to repair\n"));

    let journal = home.data_dir().join("journal");
    let (segment, mut bytes) =
        files(&journal).into_iter().find(|(path, _)| path.extension().unwrap() == "seg").unwrap();
    let at = bytes.windows(4).position(|four| four == b"10 a").unwrap();
    bytes[at] ^= 4;
    fs::write(&segment, bytes).unwrap();
    let before = files(&home.data_dir());
    let (code, said, complaint) = told(&home, &["verify"]);
    assert_eq!(code, Some(1), "{complaint}");
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(&format!("journal/{name} bytes ")), "{said}");
    let (code, lines, complaint) = told(&home, &["export", "--raw"]);
    assert_eq!(code, Some(1), "{complaint}");
    assert!(complaint.contains(name), "{complaint}");
    let (code, plan, _) = told(&home, &["repair"]);
    assert_eq!(code, Some(0));
    assert!(plan.contains("events as lost") && plan.contains("nothing was changed"), "{plan}");
    assert_eq!(files(&home.data_dir()), before, "looking changes nothing");

    let (code, done, complaint) = told(&home, &["repair", "--apply"]);
    assert_eq!(code, Some(0), "{done}{complaint}");
    let (code, said, _) = told(&home, &["verify"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("(known)"), "{said}");
    let server = home.start();
    assert_eq!(server.everything().len(), lines.lines().count());
    assert_eq!(server.get("/health").json()["figures"]["journal"]["damaged"], 2);
    send(&server, 20..30);
    assert_eq!(server.everything().len(), lines.lines().count() + 20);
}

#[test]
fn a_directory_without_a_journal_is_a_wrong_command_line() {
    let home = Home::new();
    for args in [&["verify"][..], &["repair"], &["export", "--raw"], &["export"]] {
        let (code, _, complaint) = told(&home, args);
        assert_eq!(code, Some(64), "{args:?}: {complaint}");
    }
    assert!(!home.data_dir().exists(), "nothing is made");
}
