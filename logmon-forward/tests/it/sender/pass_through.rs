//! Compressed payloads that arrive at our listener and are sent on as they came.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use logmon_core::{Cursor as _, CursorState, Journal as _, MemoryCursor, Runner, RunnerConfig};
use logmon_forward::Sender;
use logmon_forward::sender::{Compression, Metadata, Peer, SenderConfig, SenderStats};
use rmpv::Value as V;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::outputs::{Server, Shelf};
use super::script::*;
use crate::common::*;

/// What a client sends: a tag, a payload and the name of its compression.
type Sent<'a> = (&'a str, &'a [u8], &'a str);

/// Sends payloads to our listener and what it stored to a scripted server; gives what came there.
async fn relay(
    sent: &[Sent<'_>],
    change: impl FnOnce(&mut SenderConfig),
) -> (Vec<Chunk>, SenderStats) {
    let server = Server::start(|_| {});
    let (journal, cursor) = (server.journal.clone(), Arc::new(MemoryCursor::default()));
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    for message in sent {
        client(&server, message).await;
    }
    let script = Script::bind().await;
    let mut config = config(script.address());
    change(&mut config);
    let sender = Sender::new(config).unwrap();
    let (output, shelf) = (Arc::new(sender.clone()), Arc::new(Shelf::default()));
    let config = RunnerConfig::default();
    let runner = Runner::new(journal.clone(), output, cursor.clone(), shelf, config);
    let head = journal.head();
    let done = async {
        while cursor.load().await.unwrap().map(|state| state.position) != Some(head) {
            tokio::task::yield_now().await;
        }
    };
    let serving = async {
        let (mut wire, mut chunks) = (script.accept().await, Vec::new());
        while chunks.len() < sent.len() {
            let chunk = wire.chunk().await;
            wire.ack(&chunk.id).await;
            chunks.push(chunk);
        }
        chunks
    };
    let (ran, mut chunks) = tokio::join!(runner.run(done), serving);
    ran.unwrap();
    chunks.sort_by(|a, b| a.tag.cmp(&b.tag));
    server.stop().await;
    (chunks, sender.stats())
}

/// Sends one message and waits until it is stored.
async fn client(server: &Server, (tag, payload, compressed): &Sent<'_>) {
    let mut stream = TcpStream::connect(server.address.to_string()).await.unwrap();
    let option = map([("compressed", V::from(*compressed)), ("chunk", (*tag).into())]);
    let message = encode(&array([(*tag).into(), V::Binary(payload.to_vec()), option]));
    tokio::io::AsyncWriteExt::write_all(&mut stream, &message).await.unwrap();
    let mut answer = ack(tag);
    let expected = answer.clone();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, expected);
}

fn entries(text: &str) -> Vec<u8> {
    let entry = |n| array([event_time(1_441_588_984, n), record(&format!("{text} {n}"))]);
    packed(&(0..50).map(entry).collect::<Vec<_>>())
}

/// Two gzip members, the first with a name, as our sender never makes them.
fn named_gzip(payload: &[u8]) -> Vec<u8> {
    let (start, end) = payload.split_at(payload.len() / 3);
    let level = flate2::Compression::fast();
    let mut encoder = flate2::GzBuilder::new().filename("chunk").mtime(77).write(Vec::new(), level);
    encoder.write_all(start).unwrap();
    [encoder.finish().unwrap(), gzip(end)].concat()
}

fn unpacked(chunk: &Chunk) -> Vec<u8> {
    match chunk.option("compressed").map(|name| name.as_str().unwrap()) {
        None => chunk.bytes().to_vec(),
        Some("gzip") => {
            let mut out = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(chunk.bytes());
            decoder.read_to_end(&mut out).unwrap();
            out
        }
        Some("zstd") => ::zstd::stream::decode_all(chunk.bytes()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// F-153: gzip in, gzip out, and the same of zstd: the same bytes. What stands beside them in the
/// same unit and came in another form is compressed.
#[tokio::test]
async fn a_compressed_payload_is_sent_on_as_it_came() {
    let (a, b, c) = (entries("a"), entries("b"), entries("c"));
    let (zipped, stored) = (named_gzip(&a), ::zstd::bulk::compress(&b, 19).unwrap());
    let sent = [("a", &zipped[..], "gzip"), ("b", &stored, "zstd"), ("c", &c, "text")];
    for (compression, name, same) in
        [(Compression::gzip(), "gzip", 0), (Compression::zstd(), "zstd", 1)]
    {
        let (chunks, stats) = relay(&sent, |config| config.compression = compression).await;
        for (at, (chunk, payload)) in chunks.iter().zip([&a, &b, &c]).enumerate() {
            assert_eq!(chunk.option("compressed"), Some(&name.into()));
            assert_eq!(chunk.option("size"), Some(&50.into()));
            assert_eq!(&unpacked(chunk), payload);
            assert_eq!(chunk.bytes() == sent[at].1, at == same, "{name} {at}");
        }
        assert_eq!((stats.chunks, stats.passed_through), (3, 1));
    }
}

/// F-153: where something is to be changed on the way, the payload is made anew.
#[tokio::test]
async fn what_is_rewritten_is_compressed_again() {
    let plain = entries("a");
    let with_metadata = packed(&[array([
        array([event_time(1_441_588_984, 5), map([("key", V::from("value".repeat(50)))])]),
        record("long enough to be smaller when it is compressed"),
    ])]);
    let zipped = [named_gzip(&plain), named_gzip(&with_metadata)];
    let gzip = |config: &mut SenderConfig| config.compression = Compression::gzip();
    let one = async |payload: &[u8], change: fn(&mut SenderConfig)| {
        let (chunks, stats) = relay(&[("a", payload, "gzip")], |config| {
            gzip(config);
            change(config);
        })
        .await;
        let is_same = chunks[0].bytes() == payload;
        assert_eq!(stats.passed_through, u64::from(is_same));
        (is_same, unpacked(&chunks[0]))
    };
    assert_eq!(one(&zipped[0], |_| {}).await, (true, plain.clone()));
    assert_eq!(one(&zipped[1], |config| config.peer = Peer::Logmon).await, (true, with_metadata));
    let dropped = packed(&[array([
        event_time(1_441_588_984, 5),
        record("long enough to be smaller when it is compressed"),
    ])]);
    assert_eq!(one(&zipped[1], |_| {}).await, (false, dropped));
    let inject = |config: &mut SenderConfig| config.metadata = Some(Metadata::Inject("m".into()));
    let (is_same, injected) = one(&zipped[1], inject).await;
    assert!(!is_same && injected.windows(2).any(|pair| pair == b"\xa1m"), "{injected:?}");
    let (is_same, whole) = one(&zipped[0], |config| config.time_as_integer = true).await;
    assert!(!is_same && whole.starts_with(b"\x92\xce"), "{whole:?}");
    // Cut into several, or too long: never a payload that is more than was wanted.
    let (is_same, all) = one(&zipped[0], |config| config.max_chunk_bytes = 100).await;
    assert!(!is_same && all == plain);
    let none = relay(&[("a", &zipped[0], "gzip")], |_| {}).await;
    assert_eq!((none.0[0].bytes(), none.1.passed_through), (&plain[..], 0));
}
