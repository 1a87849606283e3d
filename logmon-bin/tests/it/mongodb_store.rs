//! The whole program with MongoDB as its store, alone and beside another one.

use std::collections::HashSet;
use std::time::Instant;

use crate::support::forward::{Client, Mode, message, record};
use crate::support::http::{EVER, Events, Found};
use crate::support::mongodb;
use crate::support::server::{Home, Server};
use crate::support::until;

/// Starts a server that writes to this MongoDB and searches there.
fn start(home: &Home, uri: &str, change: &[&str]) -> Server {
    let file = home.path().join("logmon.toml");
    let text = format!(
        "[store]\nkind = \"mongodb\"\n{}\n[[output]]\nkind = \"mongodb\"\nuri = \"{uri}\"\n\
         min_pool_size = 0\n",
        change.join("\n")
    );
    std::fs::write(&file, text).unwrap();
    home.start_with(|command| {
        command.arg("--config").arg(&file).env("LOGMON_LOG", "warn");
    })
}

/// A database of this test's own.
fn database(name: &str) -> Option<(String, Option<mongodb::MongoDb>)> {
    mongodb::any(&format!("logmon_{name}_{}", std::process::id()))
}

fn send(server: &Server, prefix: &str, events: std::ops::Range<u64>) {
    let mut client = Client::connect(server.forward).unwrap();
    for chunk in events.clone().step_by(50) {
        let records: Vec<_> = (chunk..events.end.min(chunk + 50))
            .map(|n| record(&format!("{prefix} {n}"), n))
            .collect();
        let id = format!("{prefix}-{chunk}");
        client.send(&message(Mode::Packed, "app.web", &records, &id)).unwrap();
        assert_eq!(client.acks().next().as_deref(), Some(&*id));
    }
}

fn output(server: &Server) -> serde_json::Value {
    server.get("/health").ok()["figures"]["outputs"][0].clone()
}

fn wait_until_written(server: &Server) {
    until("everything to be written", || (output(server)["behind"] == 0).then_some(()));
}

fn sorted(found: &[Found]) -> Vec<&str> {
    let mut messages: Vec<_> = found.iter().map(|found| &*found.message).collect();
    messages.sort_unstable();
    messages
}

/// The whole API works on it: pages, counts, histograms, neighbours, an event by its id.
#[test]
fn everything_is_answered_from_mongodb() {
    let Some((uri, _database)) = database("store") else { return };
    let home = Home::new();
    let server = start(&home, &uri, &[]);
    send(&server, "first", 0..300);
    // Found at once, wherever it is.
    assert_eq!(server.everything().len(), 300);
    wait_until_written(&server);
    send(&server, "second", 0..100);
    let all = server.everything();
    let messages: HashSet<&str> = all.iter().map(|found| &*found.message).collect();
    assert_eq!((all.len(), messages.len()), (400, 400));
    assert!(!home.data_dir().join("store").exists(), "there are no local blocks");
    let count = |query: &str| {
        server.get(&format!("/api/stats/count?{EVER}&q={query}")).ok()["count"].as_u64()
    };
    assert_eq!(count("first"), Some(300));
    assert_eq!(count("second"), Some(100));
    let top = server.get(&format!("/api/stats/top?{EVER}&field=tag")).ok();
    assert!(top.to_string().contains("app.web"), "{top}");
    let one = &all[150];
    let found = server.get(&format!("/api/logs/{}", one.id)).ok();
    assert_eq!(found["message"], *one.message);
    let around = server.get(&format!("/api/logs/{}/context?before=2&after=2", one.id)).ok();
    assert_eq!(around["logs"].as_array().unwrap().len(), 5, "{around}");
    let refused = server.get("/api/logs?q=/a%2B/&from=0");
    assert_eq!(refused.status, 200, "a range is given");
    wait_until_written(&server);
    server.end();
    // After a restart the journal is not needed for it.
    std::fs::remove_dir_all(home.data_dir()).unwrap();
    let server = start(&home, &uri, &[]);
    assert_eq!(sorted(&server.everything()), sorted(&all));
    server.end();
}

/// Sends events with the time of now, one after the other.
fn post(server: &Server, prefix: &str, events: std::ops::Range<u64>) {
    for n in events {
        let body = format!("{{\"message\": \"{prefix} {n}\"}}");
        assert_eq!(server.post("/api/logs", "application/json", body).status, 200);
    }
}

fn expected(prefix: &str, events: std::ops::Range<u64>) -> HashSet<String> {
    events.map(|n| format!("{prefix} {n}")).collect()
}

fn watch(server: &Server) -> serde_json::Value {
    server.get("/health").ok()["figures"]["watch"].clone()
}

fn wait_until_it_listens(server: &Server) {
    until("the watch to listen", || (watch(server)["listening"] == true).then_some(()));
}

/// A page that is open.
struct LivePage {
    events: Events,
    /// Where it would go on.
    resume: Option<String>,
    shown: HashSet<String>,
}

impl LivePage {
    fn open(server: &Server, resume: Option<&str>) -> Self {
        let headers: Vec<_> = resume.iter().map(|id| ("Last-Event-ID", *id)).collect();
        let path = "/api/logs/stream?batch_ms=0";
        let mut events = Events::open(server.http, path, &headers);
        assert_eq!(events.next_event().unwrap().name, "open");
        Self { events, resume: resume.map(str::to_owned), shown: HashSet::new() }
    }

    /// Reads on until so many events have been shown, each once.
    fn read_until(&mut self, enough: usize) {
        while self.shown.len() < enough {
            let event = self.events.next_event().expect("the stream goes on");
            assert_ne!(event.name, "dropped", "{event:?}");
            for log in event.data["logs"].as_array().into_iter().flatten() {
                let message = log["message"].as_str().unwrap().to_owned();
                assert!(self.shown.insert(message.clone()), "{message} is shown twice");
            }
            self.resume = event.id.or(self.resume.take());
        }
    }
}

/// Each of two nodes shows what the other takes in, each event once, also what came while it was
/// down; nobody writes again what the other has written.
fn nodes_show_each_others_events(name: &str, change: &[&str], goes_on: bool) {
    let Some((uri, _database)) = database(name) else { return };
    let (home_a, home_b) = (Home::new(), Home::new());
    let (mut a, b) = (start(&home_a, &uri, change), start(&home_b, &uri, change));
    wait_until_it_listens(&a);
    wait_until_it_listens(&b);
    let (mut page_a, mut page_b) = (LivePage::open(&a, None), LivePage::open(&b, None));
    let sent = Instant::now();
    post(&a, "first", 0..1);
    page_b.read_until(1);
    eprintln!("{name}: the other page shows an event after {:?}", sent.elapsed());
    post(&a, "a", 0..100);
    post(&b, "b", 0..100);
    page_a.read_until(201);
    page_b.read_until(201);
    assert_eq!(page_a.shown, page_b.shown);
    let mut all = 201;
    if goes_on {
        for is_killed in [false, true] {
            if is_killed {
                a.kill();
            } else {
                a.end();
            }
            let word = format!("while down {is_killed}");
            post(&b, &word, 0..100);
            wait_until_written(&b);
            a = start(&home_a, &uri, change);
            let mut page = LivePage::open(&a, page_a.resume.as_deref());
            page.read_until(100);
            assert_eq!(page.shown, expected(&word, 0..100), "what was shown before is not again");
            page_a.resume = page.resume;
            all += 100;
        }
    }
    wait_until_written(&a);
    wait_until_written(&b);
    for server in [&a, &b] {
        assert_eq!(server.everything().len(), all, "nothing is written twice");
        assert_eq!((&watch(server)["gaps"], &output(server)["collisions"]), (&0.into(), &0.into()));
    }
    let metrics = a.get("/metrics").text();
    assert!(metrics.contains("logmon_mongodb_watch_gaps_total 0"), "{metrics}");
    a.end();
    b.end();
}

#[test]
fn two_nodes_show_each_others_events() {
    nodes_show_each_others_events("live", &[], true);
}

/// Where a server has no change streams it is asked; what came while a node was down is then found by
/// a search alone.
#[test]
fn two_nodes_show_each_others_events_by_asking() {
    nodes_show_each_others_events("poll", &["watch = \"poll\""], false);
}
