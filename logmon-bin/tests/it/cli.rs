//! The command line: exit codes, addresses, signals, sending and searching.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::forward::{Client, Mode, message, record};
use crate::support::http::Events;
use crate::support::server::{Home, read_addresses};
use crate::support::until;

/// A free port of this machine.
const FREE: &str = "127.0.0.1:0";

/// What a command that must end by itself said.
fn end_of(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn help_and_version_are_no_failures() {
    let home = Home::new();
    for option in ["--help", "--version"] {
        let (code, said, _) = end_of(home.logmon().arg(option));
        assert_eq!(code, Some(0), "{option}");
        assert!(said.contains("logmon"), "{said}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    let home = Home::new();
    let wrong: [&[&str]; 6] = [
        &["--no-such-option"],
        &["no-such-command"],
        &["run", "--forward", "nowhere"],
        &["run", "--http", "127.0.0.1:70000"],
        &["run", "--store", "cupboard"],
        &["run", "--config", "missing.toml"],
    ];
    for args in wrong {
        let (code, _, complaint) = end_of(home.logmon().args(args));
        assert_eq!(code, Some(64), "{args:?}: {complaint}");
        assert!(!complaint.is_empty());
    }
}

#[test]
fn an_address_others_can_reach_wants_a_word() {
    let home = Home::new();
    let (code, _, complaint) = end_of(&mut home.logmon_run_at(FREE, "0.0.0.0:0"));
    assert_eq!(code, Some(64), "{complaint}");
    assert!(complaint.contains("--insecure-no-auth"), "{complaint}");
}

#[test]
fn an_unknown_key_is_refused_with_line_and_nearest_name() {
    let home = Home::new();
    let file = home.path().join("logmon.toml");
    fs::write(&file, "[http]\nmax_body_bytes = \"1MiB\"\nmax_conections = 5\n").unwrap();
    let (code, _, complaint) = end_of(home.logmon_run().arg("--config").arg(&file));
    assert_eq!(code, Some(64), "{complaint}");
    for part in ["logmon.toml:3", "`max_conections`", "`max_connections`"] {
        assert!(complaint.contains(part), "{part} is missing in: {complaint}");
    }
    assert!(!home.data_dir().exists(), "nothing is made before the settings are read");
}

#[test]
fn the_command_line_goes_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    let file = home.path().join("logmon.toml");
    fs::write(&file, "[http]\nlisten = \"nonsense\"\n[store]\nkind = \"none\"\n").unwrap();
    // The file's address cannot be read, so it counts only where nothing goes over it.
    let server = home.start_with(|command| {
        command.arg("--config").arg(&file).env("LOGMON_STORE_KIND", "journal");
    });
    server.page("limit=1");
}

#[test]
fn port_0_is_chosen_printed_and_written_down() {
    let home = Home::new();
    let server = home.start();
    assert!(server.forward.port() != 0 && server.http.port() != 0);
    let said = until("the addresses to be printed", || {
        let said = home.log();
        said.contains("http=").then_some(said)
    });
    assert!(said.contains(&format!("forward={}", server.forward)), "{said}");
    assert!(said.contains(&format!("http={}", server.http)), "{said}");
    let file = home.data_dir().join("logmon.addr");
    assert_eq!(read_addresses(&file), Some((server.forward, server.http)));
    server.end();
    assert!(!file.exists(), "the addresses of a server that ended");
}

#[test]
fn a_taken_address_ends_with_1() {
    let home = Home::new();
    let server = home.start();
    let other = Home::new();
    let (forward, http) = (server.forward.to_string(), server.http.to_string());
    for (taken, addresses) in [(&forward, [&*forward, FREE]), (&http, [FREE, &*http])] {
        let [forward, http] = addresses;
        let (code, _, complaint) = end_of(&mut other.logmon_run_at(forward, http));
        assert_eq!(code, Some(1), "{complaint}");
        assert!(complaint.contains(taken), "{complaint}");
    }
}

/// S-066
#[test]
fn sigterm_lets_acks_out_of_all_that_was_taken() {
    const CHUNKS: usize = 200;
    let home = Home::new();
    let server = home.start();
    let mut client = Client::connect(server.forward).unwrap();
    let acks = client.acks();
    for chunk in 0..CHUNKS {
        let records = [record("a", 0), record("b", 1)];
        client.send(&message(Mode::Forward, "drain", &records, &chunk.to_string())).unwrap();
    }
    until("everything to be taken", || {
        let events = &server.get("/health").ok()["figures"]["forward"]["events"];
        (events.as_u64() == Some(2 * CHUNKS as u64)).then_some(())
    });
    server.terminate();
    let acked: Vec<String> = acks.collect();
    assert_eq!(acked, (0..CHUNKS).map(|chunk| chunk.to_string()).collect::<Vec<_>>());
    assert!(server.wait().success());
    assert_eq!(home.start().everything().len(), 2 * CHUNKS);
}

/// S-066
#[test]
fn sigterm_amid_traffic_loses_nothing_acknowledged() {
    let home = Home::new();
    let server = home.start();
    let mut client = Client::connect(server.forward).unwrap();
    let mut acks = client.acks();
    let sending = std::thread::spawn(move || {
        (0..20_000u64)
            .take_while(|chunk| {
                let text = chunk.to_string();
                client
                    .send(&message(Mode::Message, "drain", &[record(&text, *chunk)], &text))
                    .is_ok()
            })
            .count()
    });
    let first = acks.next().expect("an ack");
    server.terminate();
    let acked: HashSet<String> = std::iter::once(first).chain(acks).collect();
    assert!(server.wait().success());
    let sent = sending.join().unwrap();
    let server = home.start();
    let found = server.everything();
    let messages: HashSet<String> = found.iter().map(|event| event.message.clone()).collect();
    assert_eq!(messages.len(), found.len(), "nothing is there twice");
    let lost: Vec<_> = acked.difference(&messages).collect();
    assert!(lost.is_empty(), "{lost:?} of {} acked, {sent} sent", acked.len());
}

#[test]
fn what_send_sends_search_finds() {
    let home = Home::new();
    let server = home.start();
    let to = server.forward.to_string();
    let args = ["send", "--to", &to, "--tag", "app.cli", "--level", "warn", "--source", "shell"];
    let (code, _, complaint) = end_of(home.logmon().args(args).args(["disk", "almost full"]));
    assert_eq!(code, Some(0), "{complaint}");

    let mut lines = home.logmon();
    lines.args(["send", "--to", &to]).stdin(Stdio::piped());
    let mut child = lines.spawn().unwrap();
    child.stdin.take().unwrap().write_all("first line\n\nsecond 行\n".as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());

    let search = |args: &[&str]| {
        let (code, said, complaint) =
            end_of(home.logmon().args(["search", "--url", &server.url()]).args(args));
        assert_eq!(code, Some(0), "{complaint}");
        said
    };
    // It was acknowledged, so it is there.
    let found = search(&["--output", "json", "level:warn"]);
    let event: Value = serde_json::from_str(found.trim_end()).unwrap();
    for (name, value) in [
        ("message", "disk almost full"),
        ("tag", "app.cli"),
        ("level", "WARN"),
        ("source", "shell"),
    ] {
        assert_eq!(event[name], value, "{event}");
    }
    let found = search(&["--output", "json", "tag:cli"]);
    let messages: Vec<Value> = found
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone())
        .collect();
    assert_eq!(messages, ["first line", "second 行"]);
    let pretty = search(&["disk", "--limit", "1"]);
    for part in ["WARN", "shell", "disk almost full"] {
        assert!(pretty.contains(part), "{pretty}");
    }
    assert_eq!(search(&["--from", "2001-01-01T00:00:00Z", "--to", "2001-01-02T00:00:00Z"]), "");
}

#[test]
fn a_query_that_cannot_be_read_fails_and_says_where() {
    let home = Home::new();
    let server = home.start();
    for command in ["search", "tail"] {
        let (code, said, complaint) =
            end_of(home.logmon().args([command, "--url", &server.url(), "level:"]));
        assert_eq!((code, said.as_str()), (Some(1), ""), "{complaint}");
        assert!(complaint.contains("level:"), "{complaint}");
    }
}

#[test]
fn a_server_that_is_not_there_is_a_failure() {
    let home = Home::new();
    let server = home.start();
    let (forward, url) = (server.forward.to_string(), server.url());
    server.kill();
    let commands: [&[&str]; 3] = [
        &["send", "--to", &forward, "hello"],
        &["search", "--url", &url],
        &["tail", "--url", &url],
    ];
    for args in commands {
        let (code, _, complaint) = end_of(home.logmon().args(args));
        assert_eq!(code, Some(1), "{args:?}: {complaint}");
    }
}

#[test]
fn tail_prints_what_comes() {
    let home = Home::new();
    let server = home.start();
    server.post("/api/logs", "application/json", r#"{"message": "before"}"#).ok();
    let mut tail = home
        .logmon()
        .args(["tail", "--url", &server.url(), "--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next = || {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["message"].clone()
    };
    assert_eq!(next(), "before");
    for message in ["one", "two"] {
        let body = format!(r#"{{"message": "{message}"}}"#);
        server.post("/api/logs", "application/json", body).ok();
        assert_eq!(next(), message);
    }
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn without_a_store_only_live_works() {
    let home = Home::new();
    let server = home.start_with(|command| {
        command.args(["--store", "none"]);
    });
    server.post("/api/logs", "application/json", r#"{"message": "x"}"#).ok();
    let page = server.page("");
    assert_eq!(page.logs, []);
    let path = format!("/api/logs/stream?from={}&batch_ms=0", page.head_cursor);
    let mut events = Events::open(server.http, &path, &[]);
    server.post("/api/logs", "application/json", r#"{"message": "y"}"#).ok();
    let batch = std::iter::from_fn(|| events.next_event()).find(|event| event.name == "batch");
    assert_eq!(batch.unwrap().data["logs"][0]["message"], "y");
    server.get("/api/logs/stream?from=now-1h").problem(400, "invalid_parameter");
}

#[test]
fn the_demo_makes_traffic_worth_looking_at() {
    let home = Home::new();
    let server = home.start_with(|command| {
        command.arg("--demo");
    });
    let found = until("some demo events", || {
        let found = server.everything();
        (found.len() >= 50).then_some(found)
    });
    let kinds = |of: fn(&crate::support::http::Found) -> Option<String>| {
        found.iter().filter_map(of).collect::<HashSet<_>>().len()
    };
    assert!(kinds(|event| event.level.clone()) >= 2);
    assert!(kinds(|event| event.source.clone()) >= 2);
    assert!(kinds(|event| Some(event.message.clone())) >= 5);
    let has_metadata = |event: &crate::support::http::Found| {
        event.metadata.as_object().is_some_and(|metadata| !metadata.is_empty())
    };
    assert!(found.iter().any(has_metadata));
    server.end();
}

#[test]
fn a_page_that_is_no_forward_client_is_told_apart() {
    let home = Home::new();
    let server = home.start();
    let mut stream = std::net::TcpStream::connect(server.forward).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    let mut answer = Vec::new();
    // Closed, by FIN or reset.
    drop(stream.read_to_end(&mut answer));
    until("a line about it", || home.log().contains("HTTP").then_some(()));
    assert_eq!(server.get("/ready").status, 200);
}
