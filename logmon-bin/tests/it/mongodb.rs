//! The whole program with a MongoDB behind it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rmpv::Value;
use serde_json::Value as Json;

use crate::support::forward::{Client, TIME, bytes};
use crate::support::mongodb::{self, MongoDb};
use crate::support::server::{Home, Server};
use crate::support::until;

/// Runs a script of `tests/mongodb` with the Python of the tests; gives what it prints.
fn script(name: &str, arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join(".venv/bin/python");
    let script = root.join("tests/mongodb").join(name);
    let output = Command::new(&python).arg(script).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How many events are sent, and how often each of the two programs is killed meanwhile;
/// `LOGMON_TEST_MONGODB_EVENTS` and `LOGMON_TEST_MONGODB_KILLS` say otherwise.
const EVENTS: u64 = 20_000;
const KILLS: u64 = 2;
const CHUNK: u64 = 200;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// A configuration with an output to this MongoDB.
fn configure(home: &Home, uri: &str) -> PathBuf {
    let file = home.path().join("logmon.toml");
    let text = format!(
        "[[output]]\nkind = \"mongodb\"\nuri = \"{uri}\"\nfrom = \"oldest\"\nrequired = true\n\
         min_pool_size = 0\nattempt_timeout = \"10s\"\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn start(home: &Home, file: &PathBuf) -> Server {
    home.start_with(|command| {
        command.arg("--config").arg(file).env("LOGMON_LOG", "warn");
    })
}

/// Event `n`, as `tests/mongodb/check.py` expects it.
fn record(n: u64) -> Value {
    let text = |text: String| Value::from(text);
    Value::Map(vec![
        ("message".into(), text(format!("event {n} of the test"))),
        ("level".into(), ["info", "warn", "error"][usize::try_from(n % 3).unwrap()].into()),
        ("source".into(), text(format!("source-{}", n % 7))),
        ("n".into(), n.into()),
        ("http".into(), Value::Map(vec![("status".into(), (200 + n % 300).into())])),
        ("tags".into(), Value::Array(vec!["a".into(), n.into()])),
    ])
}

fn chunk(number: u64, events: u64) -> Vec<u8> {
    let entries: Vec<u8> = (number * CHUNK..((number + 1) * CHUNK).min(events))
        .flat_map(|n| bytes(&Value::Array(vec![Value::from(TIME + n % 1000), record(n)])))
        .collect();
    let option = Value::Map(vec![("chunk".into(), format!("chunk-{number}").into())]);
    bytes(&Value::Array(vec!["app.test".into(), Value::Binary(entries), option]))
}

/// Sends chunk after chunk, each until it is acknowledged, to wherever the server is.
fn send_all(to: &Mutex<SocketAddr>, events: u64, acked: &AtomicU64) {
    let chunks = events.div_ceil(CHUNK);
    let mut next = 0;
    let end = Instant::now() + Duration::from_secs(600);
    while next < chunks {
        assert!(Instant::now() < end, "chunk {next} of {chunks} is not acknowledged");
        let address = *to.lock().unwrap();
        let Ok(mut client) = Client::connect(address) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut acks = client.acks();
        while next < chunks && client.send(&chunk(next, events)).is_ok() {
            let Some(ack) = acks.next() else { break };
            assert_eq!(ack, format!("chunk-{next}"));
            next += 1;
            acked.store(next, Ordering::Relaxed);
        }
    }
}

fn output(server: &Server) -> Json {
    server.get("/health").ok()["figures"]["outputs"][0].clone()
}

fn wait_until_delivered(server: &Server) {
    wait_for_output(server, |output| output["behind"] == 0);
}

fn wait_for_output(server: &Server, is_so: fn(&Json) -> bool) {
    let end = Instant::now() + Duration::from_secs(300);
    loop {
        let output = output(server);
        if is_so(&output) {
            return;
        }
        assert!(Instant::now() < end, "{output}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// S-001, S-006, S-034, S-035: both programs are killed again and again while events come in; every
/// one is there once, as it was sent.
#[test]
fn kills_of_both_sides_lose_and_double_nothing() {
    let Some(mut database) = MongoDb::start() else { return };
    let events = number("LOGMON_TEST_MONGODB_EVENTS", EVENTS);
    let kills = number("LOGMON_TEST_MONGODB_KILLS", KILLS);
    let chunks = events.div_ceil(CHUNK);
    let home = Home::new();
    let uri = database.uri("logs");
    let file = configure(&home, &uri);
    let mut server = start(&home, &file);
    let to = Arc::new(Mutex::new(server.forward));
    let (acked, is_done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let sender = {
        let (to, acked, is_done) = (to.clone(), acked.clone(), is_done.clone());
        std::thread::spawn(move || {
            send_all(&to, events, &acked);
            is_done.store(true, Ordering::Relaxed);
        })
    };
    // A test server that is killed while it makes the collection answers ever after that an argument
    // is invalid (code 1, WiredTiger's 22).
    wait_for_output(&server, |output| output["inserted"] != 0);
    for round in 1..=kills * 2 {
        let enough = chunks * round / (kills * 2 + 1);
        let end = Instant::now() + Duration::from_secs(300);
        while acked.load(Ordering::Relaxed) < enough && !sender.is_finished() {
            assert!(Instant::now() < end, "{} of {enough}", acked.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(2));
        }
        if round % 2 == 0 {
            server.kill();
            server = start(&home, &file);
            *to.lock().unwrap() = server.forward;
        } else {
            database.kill();
            database.run();
        }
    }
    sender.join().unwrap();
    assert!(is_done.load(Ordering::Relaxed));
    wait_until_delivered(&server);
    let figures = output(&server);
    let refused = (&figures["quarantined"], &figures["collisions"], &figures["dropped"]["expired"]);
    assert_eq!(refused, (&0.into(), &0.into(), &0.into()), "{figures}\n{}", home.log());
    let told = script("check.py", &[&uri, &events.to_string()]);
    eprintln!("{kills} kills of each side: {told}");
    server.end();
}

/// S-033: a MongoDB that is not there yet is waited for; intake and search go on, and the trouble is
/// told.
#[test]
fn a_database_that_is_away_delays_nothing_else() {
    let Some(mut database) = MongoDb::start() else { return };
    let home = Home::new();
    let uri = database.uri("logs");
    let file = configure(&home, &uri);
    database.kill();
    let server = start(&home, &file);
    send_all(&Mutex::new(server.forward), 400, &AtomicU64::new(0));
    assert_eq!(server.get("/api/stats/count").json()["count"], 0, "they are from another day");
    let found = server.get("/api/stats/count?from=2026-01-01T00:00:00Z").json();
    assert_eq!(found["count"], 400);
    let behind = until("the trouble", || {
        let output = output(&server);
        output["trouble"].is_string().then_some(output)
    });
    assert_eq!(behind["lag"], 400);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("logmon_cursor_lag_events{id=\"mongodb\"} 400"), "{metrics}");
    assert!(metrics.contains("logmon_mongodb_trouble{id=\"mongodb\"} 1"), "{metrics}");
    let status = || {
        let mut command = home.logmon();
        command.args(["mongo", "status", "--url", &server.url(), "--config"]).arg(&file);
        command.output().unwrap()
    };
    let told = status();
    assert!(!told.status.success(), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stdout).contains("waiting     400"), "{told:?}");
    database.run();
    wait_until_delivered(&server);
    script("check.py", &[&uri, "400"]);
    // Indexes are made beside the events.
    until("the whole status", || {
        let told = status();
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let lines = ["documents   400", "waiting     0", "index       timestamp_-1__id_-1"];
        (told.status.success() && lines.iter().all(|line| text.contains(line))).then_some(())
    });
    assert!(output(&server)["trouble"].is_null());
    assert!(home.log().contains("MongoDB does not take events"), "{}", home.log());
}

/// What the test server shows, a real MongoDB shows as well: `LOGMON_TEST_MONGODB_URI` names one.
#[test]
fn events_arrive_in_any_mongodb() {
    let database = format!("logmon_test_{}_{}", std::process::id(), TIME);
    let Some((uri, _server)) = mongodb::any(&database) else { return };
    let home = Home::new();
    let file = configure(&home, &uri);
    let server = start(&home, &file);
    send_all(&Mutex::new(server.forward), 3_000, &AtomicU64::new(0));
    wait_until_delivered(&server);
    script("check.py", &[&uri, "3000"]);
    let figures = output(&server);
    assert_eq!((&figures["inserted"], &figures["duplicates"]), (&3_000.into(), &0.into()));
    assert_eq!(figures["differences"], serde_json::json!([]));
    server.end();
    script("drop.py", &[&uri]);
}
