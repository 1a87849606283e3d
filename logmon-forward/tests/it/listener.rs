//! The listener over real sockets.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::{AppendError, Event as _, Journal, MemoryJournal};
use logmon_forward::DedupeMode;
use logmon_forward::codec::{AckWire, write_ack};
use rmpv::Value as V;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::common::*;
use crate::journals::{HandJournal, Lines};

pub(crate) use crate::server::Server;

pub(crate) fn memory() -> Arc<MemoryJournal> {
    Arc::new(MemoryJournal::new(1 << 30))
}

/// The texts of all events, in order.
pub(crate) async fn texts(journal: &MemoryJournal) -> Vec<String> {
    let (mut from, mut texts) = (journal.oldest(), Vec::new());
    while let Some(group) = journal.read(from, 1 << 20).await.unwrap() {
        texts.extend(group.iter().map(|log| log.message().into_owned()));
        from = group.end();
    }
    texts
}

pub(crate) fn ack(id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_ack(&mut out, AckWire::Msgpack, id.as_bytes(), false);
    out
}

/// A single event whose text is its chunk id.
pub(crate) fn event(id: &str) -> Vec<u8> {
    encode(&array(["t".into(), 1.into(), record(id), chunk(id)]))
}

pub(crate) fn batch(id: &str) -> Vec<u8> {
    encode(&array(["t".into(), array([entry(1, id)]), chunk(id)]))
}

pub(crate) async fn expect(client: &mut TcpStream, bytes: &[u8]) {
    let mut found = vec![0; bytes.len()];
    client.read_exact(&mut found).await.unwrap();
    assert_eq!(found, bytes);
}

/// The server closes with FIN, not with RST.
pub(crate) async fn expect_end(client: &mut TcpStream) {
    assert_eq!(client.read(&mut [0; 64]).await.unwrap(), 0);
}

#[tokio::test]
async fn every_mode_is_stored_and_acknowledged() {
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&example("message-chunk")).await.unwrap();
    expect(&mut client, &example("message-chunk-ack")).await;
    client.write_all(&example("packed-gzip")).await.unwrap();
    client.write_all(&example("packed-fluentd")).await.unwrap();
    expect(&mut client, &example("fluentd-ack")).await;
    drop(client);
    let mut client = server.connect().await;
    client.write_all(br#"["t",1,{"message":"json"},{"chunk":"id"}]"#).await.unwrap();
    expect(&mut client, br#"{"ack":"id"}"#).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!(texts(&journal).await, ["foo", "foo", "bar", "foo", "bar", "json"]);
    assert_eq!((figures.events, figures.appended, figures.acks_sent), (6, 6, 3));
    assert_eq!((figures.connections, figures.connections_open), (2, 0));
}

/// A-1: nothing is acknowledged before it is durable; F-068: and in the order of arrival.
#[tokio::test]
async fn acks_follow_the_commits_in_order() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    for id in ["one", "two", "three"] {
        client.write_all(&batch(id)).await.unwrap();
    }
    journal.wait_for(3).await;
    journal.resolve(2, Ok(()));
    journal.resolve(1, Ok(()));
    // A whole message went by on another connection, and still nothing was acknowledged.
    let mut other = server.connect().await;
    other.write_all(&batch("other")).await.unwrap();
    journal.wait_for(4).await;
    journal.resolve(3, Ok(()));
    expect(&mut other, &ack("other")).await;
    assert!(client.try_read(&mut [0; 1]).is_err());
    assert_eq!(server.stats.snapshot().acks_sent, 1);
    journal.resolve(0, Ok(()));
    expect(&mut client, &[ack("one"), ack("two"), ack("three")].concat()).await;
    drop((client, other));
    assert_eq!(server.end().await.appended, 4);
}

/// F-052 over a socket, and gathered single events are acknowledged one by one.
#[tokio::test]
async fn many_messages_in_one_write() {
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let ids: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
    client.write_all(&ids.iter().flat_map(|id| event(id)).collect::<Vec<_>>()).await.unwrap();
    expect(&mut client, &ids.iter().flat_map(|id| ack(id)).collect::<Vec<_>>()).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!(texts(&journal).await, ids);
    assert_eq!((figures.messages, figures.acks_sent), (1_000, 1_000));
}

/// F-117 and 6.2-33: acknowledgements of what came before garbage arrive, then the end.
#[tokio::test]
async fn garbage_does_not_cost_earlier_acks() {
    let (lines, _guard) = Lines::record();
    let server = Server::start(memory(), |_| {});
    let mut client = server.connect().await;
    let ids: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let mut bytes: Vec<u8> = ids.iter().flat_map(|id| event(id)).collect();
    let at = bytes.len();
    bytes.extend(vec![0xc1; 100_000]);
    client.write_all(&bytes).await.unwrap();
    expect(&mut client, &ids.iter().flat_map(|id| ack(id)).collect::<Vec<_>>()).await;
    expect_end(&mut client).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!(figures.rejected.get("reserved_byte"), Some(&1));
    let warnings = lines.of("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for part in ["reason=\"reserved_byte\"", "peer=127.0.0.1:", &format!("offset={at}"), "c1c1"] {
        assert!(warnings[0].contains(part), "{part} in {}", warnings[0]);
    }
}

/// F-116, A-7: the message cut off is thrown away, with one line per peer that is no warning.
#[tokio::test]
async fn a_cut_message_is_discarded() {
    let (lines, _guard) = Lines::record();
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let mut bytes: Vec<u8> = (0..10).flat_map(|_| example("message")).collect();
    bytes.extend(&example("message")[..20]);
    client.write_all(&bytes).await.unwrap();
    client.shutdown().await.unwrap();
    expect_end(&mut client).await;
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.write_all(&example("message")[..5]).await.unwrap();
        client.shutdown().await.unwrap();
        expect_end(&mut client).await;
    }
    let figures = server.end().await;
    assert_eq!((texts(&journal).await.len(), figures.truncated), (10, 3));
    let told: Vec<_> =
        lines.of("INFO").into_iter().filter(|line| line.contains("inside a message")).collect();
    assert_eq!((told.len(), lines.of("WARN").len()), (1, 0));
    assert!(told[0].contains("bytes=20"), "{told:?}");
}

/// F-104, R-001: health checks are counted and not worth a line.
#[tokio::test]
async fn connections_without_a_byte_are_heartbeats() {
    let (lines, _guard) = Lines::record();
    let server = Server::start(memory(), |_| {});
    for _ in 0..200 {
        drop(server.connect().await);
    }
    let mut client = server.connect().await;
    client.write_all(&event("id")).await.unwrap();
    expect(&mut client, &ack("id")).await;
    client.shutdown().await.unwrap();
    expect_end(&mut client).await;
    let figures = server.end().await;
    assert_eq!((figures.heartbeats, figures.connections_open), (200, 0));
    assert!(lines.of("WARN").is_empty());
}

/// F-108, F-134, R-003, R-004: one line says what came, and the connection ends.
#[tokio::test]
async fn strangers_are_named_once() {
    for (bytes, name) in [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "HTTP"),
        (b"\x16\x03\x01\x02\0\x01\0".to_vec(), "TLS"),
        (b"<13>Nov 22 16:00:00 host app: x\n".to_vec(), "syslog"),
        ("plain text, line by line\n".repeat(40_000).into_bytes(), "plain text"),
    ] {
        let (lines, _guard) = Lines::record();
        let server = Server::start(memory(), |_| {});
        let mut client = server.connect().await;
        // The server may have closed before all is written.
        let _written = client.write_all(&bytes).await;
        assert_eq!(client.read(&mut [0; 64]).await.unwrap_or(0), 0);
        drop(client);
        let figures = server.end().await;
        assert_eq!(figures.rejected.get("not_forward"), Some(&1));
        let warnings = lines.of("WARN");
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains(name), "{warnings:?}");
    }
}

/// F-136: a refusal is one line with all that is known, and a counter.
#[tokio::test]
async fn refusals_are_told_once_per_peer_and_reason() {
    let (lines, _guard) = Lines::record();
    let server = Server::start(memory(), |_| {});
    let mut client = server.connect().await;
    let wrong = |id: &str| {
        encode(&array([
            "app.web".into(),
            array([entry(1, "a"), array([1.into(), 2.into()])]),
            chunk(id),
        ]))
    };
    client.write_all(&[wrong("a"), wrong("b"), wrong("c")].concat()).await.unwrap();
    expect(&mut client, &[ack("a"), ack("b"), ack("c")].concat()).await;
    let refused = encode(&array([5.into(), array([entry(1, "a")]), chunk("d")]));
    client.write_all(&refused).await.unwrap();
    expect(&mut client, &ack("d")).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!((figures.events, figures.appended, figures.rejected_events), (6, 3, 3));
    assert_eq!(figures.rejected_acked, 1);
    assert_eq!(
        figures.rejected.into_iter().collect::<Vec<_>>(),
        [("entry_record", 3), ("tag_type", 1)]
    );
    let warnings = lines.of("WARN");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for part in ["reason=\"entry_record\"", "tag=app.web", "mode=\"forward\"", "offset=0", "920102"]
    {
        assert!(warnings[0].contains(part), "{part} in {}", warnings[0]);
    }
}

/// F-072, A-3: a peer that never reads its acknowledgements is read on, in bounded memory.
#[tokio::test]
async fn unread_acks_never_stop_the_reading() {
    let (lines, _guard) = Lines::record();
    let journal = memory();
    let server = Server::start(journal.clone(), |config| {
        config.dedupe = DedupeMode::Off;
        config.max_ack_bytes = 10_000;
        config.close_timeout = Duration::from_millis(50);
    });
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut client = socket.connect(server.addr).await.unwrap();
    let id = "x".repeat(503);
    let some: Vec<u8> = (0..100).flat_map(|_| event(&id)).collect();
    let mut sent = 0;
    while server.stats.snapshot().acks_dropped == 0 {
        client.write_all(&some).await.unwrap();
        sent += 100;
        assert!(sent < 1_000_000, "the socket takes every acknowledgement");
    }
    client.write_all(&event("last")).await.unwrap();
    journal.advanced(sent + 1).await;
    assert_eq!(texts(&journal).await.last().unwrap(), "last");
    drop(client);
    server.end().await;
    let warnings = lines.of("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("does not read them"));
}

/// F-080: a full journal stops the reading and costs nothing.
#[tokio::test]
async fn a_full_journal_is_waited_for() {
    let journal = Arc::new(HandJournal::default());
    journal.refuse([AppendError::Busy { queued_bytes: 1 }, AppendError::Busy { queued_bytes: 1 }]);
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&[batch("one"), batch("two")].concat()).await.unwrap();
    journal.wait_for(2).await;
    journal.resolve(0, Ok(()));
    journal.resolve(1, Ok(()));
    expect(&mut client, &[ack("one"), ack("two")].concat()).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!((figures.journal_busy, figures.appended, figures.lost), (2, 2, 0));
    assert_eq!(journal.events(), 2);
}

/// A journal that is broken or closed is never acknowledged for.
#[tokio::test]
async fn a_broken_journal_ends_connections_without_acks() {
    let poisoned = || AppendError::Poisoned("disk".into());
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    // At once,
    journal.refuse([poisoned()]);
    let mut client = server.connect().await;
    client.write_all(&batch("one")).await.unwrap();
    expect_end(&mut client).await;
    // and later, with an earlier chunk that is safe and a later one that is not.
    let mut client = server.connect().await;
    client.write_all(&[batch("safe"), batch("lost"), batch("later")].concat()).await.unwrap();
    journal.wait_for(3).await;
    journal.resolve(0, Ok(()));
    expect(&mut client, &ack("safe")).await;
    journal.resolve(1, Err(poisoned()));
    expect_end(&mut client).await;
    journal.resolve(2, Ok(()));
    assert_eq!(server.end().await.acks_sent, 1);
}

/// A-4: what is read and not yet durable is bounded; reading goes on as commits come.
#[tokio::test]
async fn reading_waits_for_commits() {
    let journal = Arc::new(HandJournal::default());
    let limit = 64 << 10;
    let server = Server::start(journal.clone(), |config| {
        config.dedupe = DedupeMode::Off;
        config.max_in_flight_bytes = limit;
    });
    let client = server.connect().await;
    let payload = packed(&vec![entry(1, &"x".repeat(1_000)); 10]);
    let message = encode(&array(["t".into(), V::Binary(payload.clone()), chunk("id")]));
    let (mut reader, mut writer) = client.into_split();
    let writing = tokio::spawn(async move {
        for _ in 0..500 {
            writer.write_all(&message).await.unwrap();
        }
        writer
    });
    for number in 0..500 {
        journal.wait_for(number + 1).await;
        journal.resolve(number, Ok(()));
        let mut found = vec![0; ack("id").len()];
        reader.read_exact(&mut found).await.unwrap();
    }
    let most = journal.most_unresolved_bytes();
    assert!(most > payload.len() && most <= limit, "{most}");
    drop((reader, writing.await.unwrap()));
    assert_eq!(server.end().await.appended, 5_000);
}

/// A message beyond what a connection may hold, and beyond the whole budget, is let through
/// alone; so is one that only grows when it is decompressed.
#[tokio::test]
async fn a_big_message_is_let_through_alone() {
    let journal = memory();
    let server = Server::start(journal.clone(), |config| {
        config.dedupe = DedupeMode::Off;
        config.max_in_flight_bytes = 64 << 10;
        config.max_memory_bytes = 256 << 10;
    });
    let payload = packed(&vec![entry(1, &"x".repeat(1_000)); 2_000]);
    let small = zstd(&payload);
    assert!(small.len() < 10_000);
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let bytes = if number % 2 == 0 { payload.clone() } else { small.clone() };
            let (addr, message) = (server.addr, array(["t".into(), V::Binary(bytes), chunk("id")]));
            tokio::spawn(async move {
                let mut client = TcpStream::connect(addr).await.unwrap();
                client.write_all(&encode(&message)).await.unwrap();
                expect(&mut client, &ack("id")).await;
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(server.end().await.appended, 12_000);
}

/// Messages half here that take up the whole budget do not block each other.
#[tokio::test]
async fn half_messages_do_not_block_each_other() {
    let server = Server::start(memory(), |config| {
        config.dedupe = DedupeMode::Off;
        config.max_in_flight_bytes = 400 << 10;
        config.max_memory_bytes = 500 << 10;
    });
    let message =
        encode(&array(["t".into(), V::Binary(packed(&vec![entry(1, "x"); 20_000])), chunk("id")]));
    assert!(message.len() > 200 << 10 && message.len() < 300 << 10, "{}", message.len());
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        client.write_all(&message[..message.len() / 2]).await.unwrap();
        clients.push(client);
    }
    for client in &mut clients {
        client.write_all(&message[message.len() / 2..]).await.unwrap();
    }
    for client in &mut clients {
        expect(client, &ack("id")).await;
    }
    drop(clients);
    assert_eq!(server.end().await.appended, 8 * 20_000);
}

/// F-081, A-6: what is pending at a shutdown is committed and acknowledged, then FIN.
#[tokio::test]
async fn a_shutdown_drains() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let half = event("two");
    let (start, rest) = half.split_at(half.len() / 2);
    client.write_all(&[&batch("one"), start].concat()).await.unwrap();
    let mut idle = server.connect().await;
    journal.wait_for(1).await;
    drop(server.shutdown);
    // An idle connection ends at once; one inside a message is read to its end.
    expect_end(&mut idle).await;
    client.write_all(rest).await.unwrap();
    journal.wait_for(2).await;
    // Nobody reads this any more, and it must not turn the end into a reset.
    client.write_all(&batch("three")).await.unwrap();
    journal.resolve(0, Ok(()));
    journal.resolve(1, Ok(()));
    expect(&mut client, &[ack("one"), ack("two")].concat()).await;
    expect_end(&mut client).await;
    drop((client, idle));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err(), "nothing listens any more");
    assert_eq!(journal.batches().len(), 2);
}

/// F-137: a connection over the limit is closed, those within go on.
#[tokio::test]
async fn connections_are_limited() {
    let server = Server::start(memory(), |config| config.max_connections_per_ip = 2);
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    one.write_all(&event("one")).await.unwrap();
    expect(&mut one, &ack("one")).await;
    two.write_all(&event("two")).await.unwrap();
    expect(&mut two, &ack("two")).await;
    let mut three = server.connect().await;
    assert_eq!(three.read(&mut [0; 1]).await.unwrap_or(0), 0);
    one.write_all(&event("again")).await.unwrap();
    expect(&mut one, &ack("again")).await;
    one.shutdown().await.unwrap();
    expect_end(&mut one).await;
    drop((two, three));
    assert_eq!(server.end().await.connections_refused, 1);
}

/// F-126, R-006: silence inside a message ends the connection; between messages it does not.
#[tokio::test]
async fn a_stalled_message_ends_the_connection() {
    let server = Server::start(memory(), |config| config.stall_timeout = Duration::from_millis(30));
    let mut idle = server.connect().await;
    let mut client = server.connect().await;
    client.write_all(b"\x93\xa1t\xdd\xff\xff\xff\xff").await.unwrap();
    expect_end(&mut client).await;
    // Far more than the limit has passed.
    idle.write_all(&event("id")).await.unwrap();
    expect(&mut idle, &ack("id")).await;
    drop((client, idle));
    assert_eq!(server.end().await.rejected.get("stalled"), Some(&1));
}

/// F-051 over a socket: every byte a segment of its own.
#[tokio::test]
async fn a_message_may_come_byte_by_byte() {
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    client.set_nodelay(true).unwrap();
    for byte in example("packed-fluentd") {
        client.write_all(&[byte]).await.unwrap();
    }
    expect(&mut client, &example("fluentd-ack")).await;
    assert_eq!(texts(&journal).await, ["foo", "bar"]);
}

/// F-138 in small: connections do not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_do_not_wait_for_each_other() {
    let server = Server::start(memory(), |_| {});
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let addr = server.addr;
            tokio::spawn(async move {
                let mut client = TcpStream::connect(addr).await.unwrap();
                for round in 0..50 {
                    let id = format!("{number}.{round}");
                    client.write_all(&batch(&id)).await.unwrap();
                    expect(&mut client, &ack(&id)).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(server.end().await.appended, 1_000);
}

/// A message with batches nested in it is acknowledged when the last of them is durable.
#[tokio::test]
async fn nested_batches_are_acknowledged_once() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let inner = |tag: &str| array([tag.into(), array([entry(1, tag)])]);
    let entries = array([entry(1, "outer"), inner("a"), inner("b")]);
    client.write_all(&encode(&array(["t".into(), entries, chunk("id")]))).await.unwrap();
    journal.wait_for(3).await;
    for batch in 0..3 {
        journal.resolve(batch, Ok(()));
        // Every promise is looked at by itself.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    expect(&mut client, &ack("id")).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!((figures.appended, figures.acks_sent), (3, 1));
}

/// A big message that is refused does not keep others from being read, whatever follows it.
#[tokio::test]
async fn a_refused_big_message_lets_go_of_the_pass() {
    let server = Server::start(memory(), |config| config.max_in_flight_bytes = 64 << 10);
    let big = |tag: V, option| {
        let payload = V::Binary(packed(&vec![entry(1, &"x".repeat(1_000)); 200]));
        encode(&array([tag, payload, option]))
    };
    let mut one = server.connect().await;
    one.write_all(&[big(1.into(), V::Nil), vec![0x93]].concat()).await.unwrap();
    while server.stats.snapshot().messages == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut two = server.connect().await;
    two.write_all(&big("t".into(), chunk("id"))).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), expect(&mut two, &ack("id"))).await.unwrap();
    drop((one, two));
    server.end().await;
}

/// A shutdown ends although the journal keeps no promise and a connection waits for that.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |config| {
        config.dedupe = DedupeMode::Off;
        config.close_timeout = Duration::from_millis(50);
    });
    let mut client = server.connect().await;
    let many: Vec<u8> = (0..1_500).flat_map(|_| batch("id")).collect();
    client.write_all(&many).await.unwrap();
    journal.wait_for(1_024).await;
    drop(server.shutdown);
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap();
    let figures = server.stats.snapshot();
    assert_eq!((figures.appended, figures.acks_sent, figures.connections_open), (0, 0, 0));
}

/// Whatever becomes of events between decoding and durability, they are counted.
#[tokio::test]
async fn events_without_an_answer_are_counted() {
    let poisoned = || AppendError::Poisoned("disk".into());
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |config| {
        config.close_timeout = Duration::from_millis(50);
    });
    // The second of three batches of one message does not become durable,
    let inner = |tag: &str| array([tag.into(), array([entry(1, tag)])]);
    let entries = array([entry(1, "outer"), inner("a"), inner("b")]);
    journal.refuse([AppendError::Busy { queued_bytes: 1 }]);
    let mut client = server.connect().await;
    let nested = encode(&array(["t".into(), entries]));
    client.write_all(&nested).await.unwrap();
    journal.wait_for(3).await;
    journal.resolve(0, Ok(()));
    journal.resolve(1, Err(poisoned()));
    expect_end(&mut client).await;
    let figures = server.stats.snapshot();
    assert_eq!((figures.events, figures.appended, figures.lost), (3, 1, 1));
    // and one is still on its way when the connection has to end.
    let mut client = server.connect().await;
    client.write_all(&batch("late")).await.unwrap();
    journal.wait_for(4).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!((figures.events, figures.appended, figures.lost), (4, 1, 1));
    assert_eq!((figures.unsettled, figures.connections_open), (2, 0));
}

/// A listener that is dropped leaves no connection counted as open.
#[tokio::test]
async fn dropped_connections_are_not_open() {
    let server = Server::start(memory(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&event("one")).await.unwrap();
    expect(&mut client, &ack("one")).await;
    assert_eq!(server.stats.snapshot().connections_open, 1);
    server.task.abort();
    assert!(server.task.await.is_err());
    expect_end(&mut client).await;
    assert_eq!(server.stats.snapshot().connections_open, 0);
}

/// Acknowledgements due at one time are written, however many they are, to a peer that reads.
#[tokio::test]
async fn acks_due_at_once_are_not_dropped() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |config| {
        config.dedupe = DedupeMode::Off;
        config.max_ack_bytes = 1_000;
    });
    let mut client = server.connect().await;
    let id = "x".repeat(100);
    client.write_all(&event(&id).repeat(20)).await.unwrap();
    journal.wait_for(1).await;
    client.write_all(&event(&id).repeat(20)).await.unwrap();
    journal.wait_for(2).await;
    journal.resolve(1, Ok(()));
    journal.resolve(0, Ok(()));
    let all = ack(&id).repeat(40);
    let read = tokio::time::timeout(Duration::from_secs(5), expect(&mut client, &all));
    read.await.unwrap();
    drop(client);
    assert_eq!(server.end().await.acks_dropped, 0);
}

/// What the index takes counts like the bytes it is over: a payload of tiny entries stops the
/// reading as early as a long one.
#[tokio::test]
async fn the_index_counts_as_memory() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |config| {
        config.dedupe = DedupeMode::Off;
        config.max_in_flight_bytes = 64 << 10;
    });
    let payload = b"\x92\xc0\x80".repeat(100);
    let message = encode(&array(["t".into(), V::Binary(payload.clone()), chunk("id")]));
    let (mut reader, mut writer) = server.connect().await.into_split();
    let writing = tokio::spawn(async move {
        for _ in 0..500 {
            writer.write_all(&message).await.unwrap();
        }
        writer
    });
    for number in 0..500 {
        journal.wait_for(number + 1).await;
        journal.resolve(number, Ok(()));
        let mut found = vec![0; ack("id").len()];
        reader.read_exact(&mut found).await.unwrap();
    }
    // What two reads of a quarter of it brought may go beyond it, by the index over that.
    let most = journal.most_unresolved_bytes() / payload.len();
    assert!(most > 1 && most < 100, "{most} messages of {} bytes", payload.len());
    drop((reader, writing.await.unwrap()));
    assert_eq!(server.end().await.appended, 50_000);
}
