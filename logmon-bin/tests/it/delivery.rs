//! What an acknowledgement of the whole program is worth.

use crate::support::forward::{Client, Mode, message, record};
use crate::support::server::{Home, Server};
use crate::support::until;

/// F-070: killed right after the acknowledgement is seen, in every mode.
#[test]
fn an_acknowledged_event_survives_a_kill() {
    let home = Home::new();
    let mut sent = Vec::new();
    for (round, mode) in [Mode::Message, Mode::Forward, Mode::Packed].into_iter().enumerate() {
        let server = home.start();
        let mut client = Client::connect(server.forward).unwrap();
        let mut acks = client.acks();
        let text = format!("round {round}");
        client.send(&message(mode, "app", &[record(&text, 0)], &text)).unwrap();
        assert_eq!(acks.next(), Some(text.clone()));
        server.kill();
        sent.push(text);
    }
    let server = home.start();
    let mut found: Vec<_> = server.everything().into_iter().map(|event| event.message).collect();
    found.sort();
    assert_eq!(found, sent);
}

/// F-073 with the figures that say so: the sender never read the acknowledgement.
#[test]
fn a_chunk_sent_again_is_stored_once() {
    let home = Home::new();
    let server = home.start();
    let chunk = message(Mode::Packed, "app", &[record("a", 0), record("b", 1)], "chunk");
    let mut first = Client::connect(server.forward).unwrap();
    first.send(&chunk).unwrap();
    until("the first copy", || (server.messages("").len() == 2).then_some(()));
    drop(first);
    let mut second = Client::connect(server.forward).unwrap();
    second.send(&chunk).unwrap();
    assert_eq!(second.acks().next().as_deref(), Some("chunk"));
    assert_eq!(server.everything().len(), 2);
    let forward = &server.get("/health").ok()["figures"]["forward"];
    assert_eq!(
        (&forward["duplicates_suppressed"], &forward["deduplicated"]),
        (&1.into(), &2.into())
    );
    assert_eq!((&forward["events"], &forward["appended"]), (&4.into(), &2.into()));
}

/// F-078: killed between the two copies of every chunk. Those of the first segment, one that was
/// too big for memory and is a segment of its own, and those of the last are all known.
#[test]
fn chunks_are_known_after_a_kill_whatever_segment_they_are_in() {
    let home = Home::new();
    let server = home.start();
    let small = |id: &str| {
        let records = [record(id, 0), record(id, 1)];
        let mode = if id == "gathered" { Mode::Message } else { Mode::Packed };
        message(mode, "app", &records, id)
    };
    // More than is kept of a message in memory, and together more than a segment.
    let big = |id: &str, bytes: usize| {
        let line = "x".repeat(64 << 10);
        let records: Vec<_> = (0..bytes as u64 / (64 << 10)).map(|n| record(&line, n)).collect();
        message(Mode::Packed, "app", &records, id)
    };
    let mut chunks = vec![("first", small("first")), ("gathered", small("gathered"))];
    chunks.push(("staged", big("staged", 24 << 20)));
    let fill = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11"];
    chunks.extend(fill.map(|id| (id, big(id, 6 << 20))));
    chunks.push(("last", small("last")));
    send_all(&server, &chunks);
    let segments = &server.get("/health").ok()["figures"]["journal"]["segments"];
    assert!(segments.as_u64().unwrap() > 3, "{segments} segments");
    let events = server.forward_figure("events");
    assert_eq!(server.forward_figure("appended"), events);
    server.kill();
    // The second time nothing of what the first restart knew is in the segment it writes.
    for _ in 0..2 {
        let server = home.start();
        send_all(&server, &chunks);
        let figures = ["events", "deduplicated", "appended", "duplicates_suppressed"];
        let found = figures.map(|name| server.forward_figure(name));
        assert_eq!(found, [events, events, 0, chunks.len() as u64]);
        server.kill();
    }
}

/// Sends chunks, each as soon as the one before is acknowledged.
fn send_all(server: &Server, chunks: &[(&str, Vec<u8>)]) {
    let mut client = Client::connect(server.forward).unwrap();
    let mut acks = client.acks();
    for (id, chunk) in chunks {
        client.send(chunk).unwrap();
        assert_eq!(acks.next().as_deref(), Some(*id));
    }
}

/// F-081: what was sent before SIGTERM is acknowledged, and the connections end well.
#[test]
fn a_stopped_server_acknowledges_what_it_has() {
    let home = Home::new();
    let server = home.start();
    let mut client = Client::connect(server.forward).unwrap();
    let mut acks = client.acks();
    let ids: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for id in &ids {
        client.send(&message(Mode::Forward, "app", &[record(id, 0)], id)).unwrap();
    }
    assert_eq!(acks.next().as_ref(), ids.first());
    server.terminate();
    // Whatever was read is acknowledged in order; the stream then ends and is not reset.
    let got: Vec<_> = acks.by_ref().collect();
    assert_eq!(got, ids[1..=got.len()]);
    assert!(acks.has_ended_well());
    drop((acks, client));
    assert!(server.wait().success());
    let server = home.start();
    assert!(server.everything().len() > got.len());
}

/// F-138: what one connection brings is decoded by one thread and written by another, in order.
#[test]
#[cfg(target_os = "linux")]
fn one_busy_connection_keeps_more_than_one_thread_busy() {
    let home = Home::new();
    let server = home.start();
    let mut client = Client::connect(server.forward).unwrap();
    let acks = client.acks();
    let (chunks, of_chunk) = (200, 1_000);
    let reading = std::thread::spawn(move || acks.take(chunks).collect::<Vec<_>>());
    for at in 0..chunks as u64 {
        let numbers = at * of_chunk..(at + 1) * of_chunk;
        let line = "a line of a program that says a lot about itself ".repeat(4);
        let records: Vec<_> = numbers.map(|n| record(&line, n)).collect();
        client.send(&message(Mode::Packed, "app", &records, &at.to_string())).unwrap();
    }
    let in_order: Vec<_> = (0..chunks).map(|at| at.to_string()).collect();
    assert_eq!(reading.join().unwrap(), in_order);
    let ticks = server.ticks_by_thread();
    let journal: u64 =
        ticks.iter().filter(|(name, _)| name == "logmon-journal").map(|(_, ticks)| ticks).sum();
    let all: u64 = ticks.iter().map(|(_, ticks)| ticks).sum();
    // The journal's part is its own thread's, and decoding is not done there.
    assert!(journal > 0 && all - journal > journal / 10, "{ticks:?}");
}
