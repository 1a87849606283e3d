//! Signals that a process gets from people, terminals and service managers.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use crate::support::forward::{Client, Mode, message, record};
use crate::support::random::Random;
use crate::support::server::{Home, Server};

/// Sends until the connection ends; the acknowledged chunks come out of the receiver.
fn load(server: &Server) -> Receiver<String> {
    let mut client = Client::connect(server.forward).unwrap();
    let acks = client.acks();
    let (told, heard) = sync_channel(100_000);
    std::thread::spawn(move || acks.for_each(|ack| drop(told.send(ack))));
    std::thread::spawn(move || {
        for chunk in 0..3_000u64 {
            let text = chunk.to_string();
            let sent = client.send(&message(Mode::Message, "sig", &[record(&text, 0)], &text));
            if sent.is_err() {
                return;
            }
        }
        // Keeps the connection open for the acks.
        std::thread::park();
    });
    heard
}

fn messages(server: &Server) -> HashSet<String> {
    let found = server.everything();
    let messages: HashSet<String> = found.iter().map(|event| event.message.clone()).collect();
    assert_eq!(messages.len(), found.len(), "nothing is there twice");
    messages
}

/// S-067: a storm of signals that end nothing, and a pause like that of a suspended machine.
#[test]
fn signals_that_mean_nothing_change_nothing() {
    let home = Home::new();
    let server = home.start();
    let acks = load(&server);
    let mut acked: HashSet<String> = acks.iter().take(10).collect();
    for _ in 0..50 {
        server.signal("HUP");
        server.signal("PIPE");
        server.signal("XFSZ");
    }
    server.signal("STOP");
    let mut waiting = Client::connect(server.forward).unwrap();
    waiting.send(&message(Mode::Message, "sig", &[record("while stopped", 0)], "w")).unwrap();
    server.signal("CONT");
    assert_eq!(waiting.acks().next().as_deref(), Some("w"));
    acked.insert("while stopped".to_owned());
    acked.extend(acks.try_iter());
    assert_eq!(server.get("/ready").status, 200);
    assert!(acked.is_subset(&messages(&server)));
    server.end();
}

/// S-066: SIGTERM, and SIGKILL a moment later, wherever the ending has got to.
#[test]
fn an_ending_that_is_cut_short_loses_nothing() {
    let mut random = Random::announced();
    for _ in 0..5 {
        let home = Home::new();
        let server = home.start();
        let acks = load(&server);
        let mut acked: HashSet<String> = acks.iter().take(50).collect();
        server.terminate();
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        server.kill();
        acked.extend(acks.iter());
        let found = messages(&home.start());
        let lost: Vec<_> = acked.difference(&found).collect();
        assert!(lost.is_empty(), "{lost:?} of {}", acked.len());
    }
}
