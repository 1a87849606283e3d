//! Chunks that are sent again, over real sockets.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use logmon_core::{AppendError, Fingerprint, SeenChunk, Timestamp};
use logmon_forward::handshake::{ClientSecurity, SecuritySettings, User};
use logmon_forward::{DedupeMode, Snapshot};
use rmpv::Value as V;
use sha2::{Digest as _, Sha512};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::common::*;
use crate::handshake::{credentials, log_in, security};
use crate::journals::{HandJournal, Lines};
use crate::listener::{Server, ack, batch, event, expect, expect_end, memory, texts};

/// An id as Fluentd makes it.
const FLUENTD: &str = "p8n9gmxTQQu/8h3C0sKeTA==\n";

/// A batch with an id that is a hash, as Fluent Bit sends it.
fn hashed(id: &str, text: &str) -> Vec<u8> {
    let option = map([("chunk", id.into()), ("fluent_signal", V::from(0))]);
    encode(&array(["t".into(), array([entry(1, text)]), option]))
}

/// A batch of one event.
fn chunked(id: &str, text: &str) -> Vec<u8> {
    encode(&array(["t".into(), array([entry(1, text)]), chunk(id)]))
}

/// A single event.
fn single(id: &str, text: &str) -> Vec<u8> {
    encode(&array(["t".into(), 1.into(), record(text), chunk(id)]))
}

async fn send(client: &mut TcpStream, message: &[u8], id: &str) {
    client.write_all(message).await.unwrap();
    expect(client, &ack(id)).await;
}

/// A client with an address of its own, as long as it is on this machine.
async fn connect_from(server: &Server, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    socket.connect(server.addr).await.unwrap()
}

/// Ends a connection as a crash of the peer does.
fn reset(client: TcpStream) {
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
}

/// Waits until a counter is what it is to be.
async fn until(server: &Server, is_so: impl Fn(&Snapshot) -> bool) {
    let wait = async {
        while !is_so(&server.stats.snapshot()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
    assert!(waited.is_ok(), "{:?}", server.stats.snapshot());
}

/// Every event came to one end.
fn balance(figures: &Snapshot) {
    let Snapshot { events, appended, deduplicated, rejected_events, lost, unsettled, .. } = figures;
    let all = appended + deduplicated + rejected_events + lost + unsettled;
    assert_eq!(*events, all, "{figures:?}");
}

/// F-073: a sender that never read the acknowledgement sends again over another connection.
#[tokio::test]
async fn a_chunk_sent_again_is_stored_once_and_acknowledged_twice() {
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut first = server.connect().await;
    first.write_all(&chunked(FLUENTD, "once")).await.unwrap();
    until(&server, |figures| figures.acks_sent == 1).await;
    let mut second = server.connect().await;
    send(&mut second, &chunked(FLUENTD, "once"), FLUENTD).await;
    // Compressed otherwise it is the same chunk.
    let packed = V::Binary(gzip(&packed(&[entry(1, "once")])));
    let gzipped = encode(&array(["t".into(), packed, chunk(FLUENTD)]));
    send(&mut second, &gzipped, FLUENTD).await;
    drop((first, second));
    let figures = server.end().await;
    assert_eq!(texts(&journal).await, ["once"]);
    assert_eq!((figures.duplicates_suppressed, figures.deduplicated), (2, 2));
    assert_eq!((figures.acks_sent, figures.chunk_id_conflicts), (3, 0));
    balance(&figures);
}

/// F-074: while the first copy is not durable, the second waits for it.
#[tokio::test]
async fn a_copy_waits_for_the_first() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.write_all(&chunked(FLUENTD, "once")).await.unwrap();
    journal.wait_for(1).await;
    second.write_all(&[chunked(FLUENTD, "once"), batch("behind")].concat()).await.unwrap();
    journal.wait_for(2).await;
    // What comes behind the copy is durable first, and still acknowledged in its turn.
    journal.resolve(1, Ok(()));
    until(&server, |figures| figures.appended == 1).await;
    assert!(second.try_read(&mut [0; 1]).is_err());
    journal.resolve(0, Ok(()));
    expect(&mut first, &ack(FLUENTD)).await;
    expect(&mut second, &[ack(FLUENTD), ack("behind")].concat()).await;
    drop((first, second));
    let figures = server.end().await;
    assert_eq!((figures.appended, figures.deduplicated, figures.acks_sent), (2, 1, 3));
    balance(&figures);
}

/// Two connections that have copies of each other's chunks do not wait for each other for ever.
#[tokio::test]
async fn copies_of_each_other_do_not_block() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    one.write_all(&batch("a")).await.unwrap();
    two.write_all(&batch("b")).await.unwrap();
    journal.wait_for(2).await;
    one.write_all(&[batch("b"), batch("c")].concat()).await.unwrap();
    two.write_all(&[batch("a"), batch("d")].concat()).await.unwrap();
    journal.wait_for(4).await;
    one.write_all(&batch("d")).await.unwrap();
    two.write_all(&batch("c")).await.unwrap();
    until(&server, |figures| figures.messages == 8).await;
    (0..4).for_each(|batch| journal.resolve(batch, Ok(())));
    expect(&mut one, &["a", "b", "c", "d"].map(ack).concat()).await;
    expect(&mut two, &["b", "a", "d", "c"].map(ack).concat()).await;
    drop((one, two));
    let figures = server.end().await;
    assert_eq!((figures.appended, figures.deduplicated), (4, 4));
}

/// F-074 where the first connection ends before its chunk is durable: a copy finds it on its way.
#[tokio::test]
async fn a_chunk_on_its_way_outlives_its_connection() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |config| {
        config.close_timeout = Duration::from_millis(20);
    });
    let mut first = server.connect().await;
    first.write_all(&chunked(FLUENTD, "once")).await.unwrap();
    journal.wait_for(1).await;
    reset(first);
    until(&server, |figures| figures.connections_open == 0).await;
    let mut second = server.connect().await;
    second.write_all(&chunked(FLUENTD, "once")).await.unwrap();
    until(&server, |figures| figures.messages == 2).await;
    journal.resolve(0, Ok(()));
    expect(&mut second, &ack(FLUENTD)).await;
    drop(second);
    let figures = server.end().await;
    assert_eq!(journal.batches().len(), 1);
    assert_eq!((figures.appended, figures.deduplicated, figures.unsettled), (1, 1, 0));
    balance(&figures);
}

/// A copy of a chunk that the journal does not take after all is not acknowledged, and the next
/// one is new.
#[tokio::test]
async fn a_copy_of_what_failed_is_not_acknowledged() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.write_all(&chunked(FLUENTD, "once")).await.unwrap();
    journal.wait_for(1).await;
    second.write_all(&chunked(FLUENTD, "once")).await.unwrap();
    until(&server, |figures| figures.messages == 2).await;
    journal.resolve(0, Err(AppendError::Poisoned("disk".into())));
    expect_end(&mut first).await;
    expect_end(&mut second).await;
    let mut third = server.connect().await;
    third.write_all(&chunked(FLUENTD, "once")).await.unwrap();
    journal.wait_for(2).await;
    journal.resolve(1, Ok(()));
    expect(&mut third, &ack(FLUENTD)).await;
    drop((first, second, third));
    let figures = server.end().await;
    assert_eq!((figures.appended, figures.lost, figures.acks_sent), (1, 2, 1));
    balance(&figures);
}

/// F-075: equal events under a hash are no copy while their sender has its acknowledgements.
#[tokio::test]
async fn equal_batches_are_all_stored() {
    let journal = memory();
    let server = Server::start(journal.clone(), |config| config.linger = Duration::ZERO);
    let hex = "0123456789abcdef0123456789abcdef";
    let mut client = server.connect().await;
    for message in [hashed("h", "x"), chunked(hex, "x"), hashed("h", "x"), chunked(hex, "x")] {
        let id = if message == hashed("h", "x") { "h" } else { hex };
        send(&mut client, &message, id).await;
    }
    // The chunk behind it confirms it for other connections,
    send(&mut client, &batch("last"), "last").await;
    let mut other = server.connect().await;
    send(&mut other, &hashed("h", "x"), "h").await;
    assert_eq!(server.stats.snapshot().deduplicated, 0);
    // and so does the regular end of the connection, as soon as it is noticed.
    while server.stats.snapshot().appended < 7 {
        other.shutdown().await.unwrap();
        expect_end(&mut other).await;
        other = server.connect().await;
        send(&mut other, &hashed("h", "x"), "h").await;
        assert!(server.stats.snapshot().deduplicated < 1_000);
    }
    drop((client, other));
    server.end().await;
    assert_eq!(texts(&journal).await.len(), 7);
}

/// F-076: the old connection was reset before its acknowledgement was read. Every form of a hash.
#[tokio::test]
async fn a_hash_sent_again_after_a_reset_is_stored_once() {
    let entries = packed(&[entry(1, "x")]);
    let sum = Sha512::digest(&entries);
    let id = base64::engine::general_purpose::STANDARD.encode(&sum[..16]);
    let plain = encode(&array(["t".into(), V::Binary(entries), chunk(&id)]));
    let hex = "0123456789abcdef0123456789abcdef";
    for (message, id) in [(hashed("h", "x"), "h"), (chunked(hex, "x"), hex), (plain, &id)] {
        let journal = memory();
        let server = Server::start(journal.clone(), |_| {});
        let mut first = server.connect().await;
        first.write_all(&message).await.unwrap();
        until(&server, |figures| figures.acks_sent == 1).await;
        reset(first);
        let mut second = server.connect().await;
        send(&mut second, &message, id).await;
        // It is in the hands of this connection now, which goes on.
        send(&mut second, &message, id).await;
        // Another peer has equal events of its own.
        let mut other = connect_from(&server, 2).await;
        send(&mut other, &message, id).await;
        drop((second, other));
        let figures = server.end().await;
        assert_eq!((texts(&journal).await.len(), figures.deduplicated), (3, 1), "{id}");
    }
}

/// F-076 for a close with the acknowledgement unread, which the system makes a reset, and for a
/// chunk that is not durable yet.
#[tokio::test]
async fn a_hash_that_was_never_acknowledged_is_stored_once() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |config| config.linger = Duration::ZERO);
    let mut first = server.connect().await;
    first.write_all(&hashed("h", "x")).await.unwrap();
    journal.wait_for(1).await;
    drop(first);
    let mut second = server.connect().await;
    second.write_all(&hashed("h", "x")).await.unwrap();
    until(&server, |figures| figures.messages == 2).await;
    journal.resolve(0, Ok(()));
    until(&server, |figures| figures.deduplicated == 1).await;
    second.readable().await.unwrap();
    drop(second);
    until(&server, |figures| figures.connections_open == 0).await;
    let mut third = server.connect().await;
    send(&mut third, &hashed("h", "x"), "h").await;
    drop(third);
    assert_eq!(server.end().await.deduplicated, 2);
    assert_eq!(journal.batches().len(), 1);
}

/// F-077, D-3: other events under the id of an earlier chunk are stored, with one warning.
#[tokio::test]
async fn a_reused_id_costs_nothing() {
    let (lines, _guard) = Lines::record();
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    for text in ["one", "two", "three"] {
        send(&mut client, &chunked("id", text), "id").await;
    }
    // Another tag is another chunk.
    let elsewhere = encode(&array(["u".into(), array([entry(1, "three")]), chunk("id")]));
    send(&mut client, &elsewhere, "id").await;
    drop(client);
    let figures = server.end().await;
    assert_eq!(texts(&journal).await, ["one", "two", "three", "three"]);
    assert_eq!((figures.chunk_id_conflicts, figures.deduplicated), (2, 0));
    let warnings = lines.of("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("chunk=id"), "{warnings:?}");
}

/// The chunks of a journal that a later process reads.
fn chunks_of(journal: &HandJournal, received: Timestamp) -> Vec<SeenChunk> {
    let batches = journal.batches();
    let all = batches.iter().flat_map(|batch| &batch.fingerprints);
    all.map(|Fingerprint { digest, .. }| SeenChunk { digest: *digest, received }).collect()
}

/// F-078, D-6: a restart between the copies.
#[tokio::test]
async fn a_restart_forgets_nothing() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let early = [single("a", "a"), single("b", "b"), single("c", "c")].concat();
    client.write_all(&early).await.unwrap();
    until(&server, |_| journal.events() == 3).await;
    let gathered = journal.batches().len();
    client.write_all(&chunked(FLUENTD, "fluentd")).await.unwrap();
    journal.wait_for(gathered + 1).await;
    let mut other = server.connect().await;
    other.write_all(&[hashed("h1", "x"), hashed("h2", "x")].concat()).await.unwrap();
    journal.wait_for(gathered + 3).await;
    (0..gathered + 3).for_each(|batch| journal.resolve(batch, Ok(())));
    until(&server, |figures| figures.acks_sent == 6).await;
    drop((client, other));
    server.end().await;

    let chunks = chunks_of(&journal, Timestamp::now());
    assert_eq!(chunks.len(), 6);
    let journal = Arc::new(HandJournal::remembering(chunks.clone()));
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    send(&mut client, &chunked(FLUENTD, "fluentd"), FLUENTD).await;
    send(&mut client, &hashed("h2", "x"), "h2").await;
    client.write_all(&[early, single("d", "d")].concat()).await.unwrap();
    // The next chunk of its connection shows that this one was acknowledged.
    client.write_all(&hashed("h1", "x")).await.unwrap();
    until(&server, |figures| figures.events == 7 && journal.events() == 2).await;
    let left: Vec<_> = journal.batches().iter().map(|batch| batch.entries.len()).collect();
    assert_eq!(left, [1, 1], "d and h1");
    (0..2).for_each(|batch| journal.resolve(batch, Ok(())));
    drop(client);
    server.end().await;

    // What is too old is of no use.
    let old = Timestamp::now().saturating_add_nanos(-16 * 60 * 1_000_000_000);
    let chunks = chunks.into_iter().map(|chunk| SeenChunk { received: old, ..chunk }).collect();
    let journal = Arc::new(HandJournal::remembering(chunks));
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&chunked(FLUENTD, "fluentd")).await.unwrap();
    journal.wait_for(1).await;
    drop(client);
    journal.resolve(0, Ok(()));
    server.end().await;
}

/// F-079, D-5: without an id nothing is a copy.
#[tokio::test]
async fn without_an_id_everything_is_stored() {
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let plain = encode(&array(["t".into(), array([entry(1, "x")])]));
    let single = encode(&array(["t".into(), 1.into(), record("x")]));
    client.write_all(&[plain.clone(), single.clone(), plain, single].concat()).await.unwrap();
    send(&mut client, &batch("end"), "end").await;
    drop(client);
    server.end().await;
    assert_eq!(texts(&journal).await, ["x", "x", "x", "x", "end"]);
}

/// R-022: twice on one connection, in one read and not, on two, and from two peers.
#[tokio::test]
async fn an_id_may_come_twice_in_every_way() {
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let docker = "AAAAAAAAAAAAAAAAAAAAAA==";
    let one_read: Vec<u8> =
        [single("a", "a"), single("b", "b"), single("a", "a"), single(docker, "c")].concat();
    for _ in 0..2 {
        client.write_all(&[one_read.clone(), single(docker, "c")].concat()).await.unwrap();
        expect(&mut client, &["a", "b", "a", docker, docker].map(ack).concat()).await;
    }
    let mut other = connect_from(&server, 2).await;
    send(&mut other, &single("a", "a"), "a").await;
    send(&mut other, &single("a", "other"), "a").await;
    drop((client, other));
    let figures = server.end().await;
    assert_eq!(texts(&journal).await, ["a", "b", "c", "other"]);
    assert_eq!((figures.chunk_id_conflicts, figures.duplicates_suppressed), (1, 8));
    balance(&figures);
}

/// R-023: a hundred peers with equal events.
#[tokio::test]
async fn equal_batches_of_many_peers_are_all_stored() {
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    for last in 1..=100 {
        let mut client = connect_from(&server, last).await;
        send(&mut client, &hashed("h", "x"), "h").await;
        reset(client);
    }
    let figures = server.end().await;
    assert_eq!((texts(&journal).await.len(), figures.chunk_id_conflicts), (100, 0));
}

/// F-076: users behind one address have their own chunks, and each its own again.
#[tokio::test]
async fn users_behind_one_address_are_told_apart() {
    let journal = memory();
    let server = Server::start(journal.clone(), |config| {
        let users = ["alice", "bob"]
            .map(|name| User { username: name.into(), password: format!("of {name}").into() });
        config.security = Some(SecuritySettings { users: users.into(), ..security() });
    });
    let enter = async |name: &str| {
        let mut client = server.connect().await;
        let credentials = ClientSecurity {
            username: name.into(),
            password: format!("of {name}").into(),
            ..credentials("s3cret")
        };
        log_in(&mut client, credentials, b"").await.unwrap();
        client
    };
    for (name, stored, deduplicated) in [("alice", 1, 0), ("bob", 2, 0), ("alice", 2, 1)] {
        let mut client = enter(name).await;
        send(&mut client, &hashed("h", "x"), "h").await;
        let figures = server.stats.snapshot();
        assert_eq!((figures.appended, figures.deduplicated), (stored, deduplicated), "{name}");
        // It never learnt that its chunk has arrived.
        reset(client);
        until(&server, |figures| figures.connections_open == 0).await;
    }
    server.end().await;
    assert_eq!(texts(&journal).await, ["x", "x"]);
}

/// What is left of gathered events carries fingerprints that fit it.
#[tokio::test]
async fn a_batch_without_its_copies_is_whole() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&single("b", "b")).await.unwrap();
    journal.wait_for(1).await;
    let refused = encode(&array(["t".into(), 1.into(), 5.into(), chunk("r")]));
    let silent = encode(&array(["t".into(), 1.into(), record("silent")]));
    let parts =
        [single("a", "a"), single("b", "b"), silent, refused, single("c", "c"), single("a", "a")];
    client.write_all(&parts.concat()).await.unwrap();
    until(&server, |figures| figures.messages == 7 && journal.events() == 4).await;
    let rest: Vec<_> = journal.batches().into_iter().skip(1).collect();
    let events: Vec<_> = rest.iter().map(|batch| batch.entries.len()).collect();
    let marked = rest.iter().flat_map(|batch| &batch.fingerprints).count();
    assert_eq!((events.iter().sum::<usize>(), marked), (3, 2), "{rest:?}");
    for batch in &rest {
        let firsts: Vec<_> = batch.fingerprints.iter().map(|mark| mark.first).collect();
        assert!(firsts.is_sorted() && firsts.iter().all(|at| (*at as usize) < batch.entries.len()));
    }
    (0..=rest.len()).for_each(|batch| journal.resolve(batch, Ok(())));
    expect(&mut client, &["b", "a", "b", "r", "c", "a"].map(ack).concat()).await;
    drop(client);
    balance(&server.end().await);
}

/// Batches nested in a message: the last of them carries the fingerprint, so that where it is
/// durable the others are.
#[tokio::test]
async fn the_last_batch_stands_for_all() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let inner = |tag: &str| array([tag.into(), array([entry(1, tag)])]);
    let entries = array([entry(1, "outer"), inner("a"), inner("b")]);
    let message = encode(&array(["t".into(), entries, chunk("id")]));
    client.write_all(&message).await.unwrap();
    journal.wait_for(3).await;
    let marks: Vec<_> = journal.batches().iter().map(|batch| batch.fingerprints.len()).collect();
    assert_eq!(marks, [0, 0, 1]);
    (0..3).for_each(|batch| journal.resolve(batch, Ok(())));
    expect(&mut client, &ack("id")).await;
    send(&mut client, &message, "id").await;
    drop(client);
    let figures = server.end().await;
    assert_eq!((figures.appended, figures.deduplicated), (3, 3));
}

/// `dedupe = off` stores everything, and the journal is told of no chunk.
#[tokio::test]
async fn it_may_be_switched_off() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |config| config.dedupe = DedupeMode::Off);
    let mut client = server.connect().await;
    for number in 0..2 {
        client.write_all(&event("id")).await.unwrap();
        journal.wait_for(number + 1).await;
        journal.resolve(number, Ok(()));
        expect(&mut client, &ack("id")).await;
    }
    drop(client);
    assert_eq!(server.end().await.deduplicated, 0);
    assert!(journal.batches().iter().all(|batch| batch.fingerprints.is_empty()));
}

/// `dedupe = strict` keeps one of equal batches.
#[tokio::test]
async fn it_may_be_strict() {
    let journal = memory();
    let server = Server::start(journal.clone(), |config| config.dedupe = DedupeMode::Strict);
    let mut client = server.connect().await;
    send(&mut client, &hashed("h", "x"), "h").await;
    send(&mut client, &hashed("h", "x"), "h").await;
    let mut other = connect_from(&server, 2).await;
    send(&mut other, &hashed("h", "x"), "h").await;
    drop((client, other));
    assert_eq!(server.end().await.deduplicated, 2);
    assert_eq!(texts(&journal).await, ["x"]);
}

/// D-6: a chunk is remembered for so many others.
#[tokio::test]
async fn the_window_has_an_end() {
    let journal = memory();
    let server = Server::start(journal.clone(), |config| config.dedupe_max_ids = 10);
    let mut client = server.connect().await;
    for number in 0..11 {
        send(&mut client, &batch(&number.to_string()), &number.to_string()).await;
    }
    send(&mut client, &batch("10"), "10").await;
    send(&mut client, &batch("0"), "0").await;
    drop(client);
    let figures = server.end().await;
    assert_eq!((figures.appended, figures.deduplicated), (12, 1));
}

/// F-078: what a full journal takes in the end is marked as what it takes at once.
#[tokio::test]
async fn a_chunk_that_had_to_wait_for_room_is_known_after_a_restart() {
    let journal = Arc::new(HandJournal::default());
    let busy = || AppendError::Busy { queued_bytes: 1 };
    journal.refuse([busy(), busy()]);
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&chunked(FLUENTD, "a")).await.unwrap();
    journal.wait_for(1).await;
    journal.resolve(0, Ok(()));
    expect(&mut client, &ack(FLUENTD)).await;
    drop(client);
    assert_eq!(server.end().await.journal_busy, 2);
    let marks = journal.batches().into_iter().flat_map(|batch| batch.fingerprints);
    let received = Timestamp::now();
    let seen = marks.map(|Fingerprint { digest, .. }| SeenChunk { digest, received }).collect();
    let journal = Arc::new(HandJournal::remembering(seen));
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&chunked(FLUENTD, "a")).await.unwrap();
    let expected = ack(FLUENTD);
    tokio::select! {
        () = expect(&mut client, &expected) => {}
        () = journal.wait_for(1) => panic!("stored twice"),
    }
    drop(client);
    balance(&server.end().await);
}
