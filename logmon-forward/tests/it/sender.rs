//! The sender against our listener and against servers that misbehave.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::{Event as _, Journal as _, Log, MemoryJournal};
use logmon_forward::codec::{AckParser, AckWire, Decoder, Next, Packed, write_ack};
use logmon_forward::{Listener, ListenerConfig, SendError, Sender, SenderConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::common::*;

#[tokio::test]
async fn what_is_sent_is_what_arrives() {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    let mut config = ListenerConfig::default();
    config.listen.set_port(0);
    let listener = Listener::bind(config, journal.clone()).unwrap();
    let addr = listener.local_addr();
    let (shutdown, wanted) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(listener.run(async {
        let _dropped = wanted.await;
    }));
    let logs = [
        Log::new("one").tag("a").field("status", 502).source("billing"),
        Log::new("two").tag("a"),
        Log::new("three").tag("b").level(logmon_core::Level::Warn),
    ];
    let mut sender = Sender::connect(addr, SenderConfig::default()).await.unwrap();
    sender.send_logs(&logs).await.unwrap();
    sender.send("c", &packed(&[entry(1, "four")]), 1).await.unwrap();
    let mut unasked = SenderConfig::default();
    unasked.require_ack = false;
    let mut careless = Sender::connect(addr, unasked).await.unwrap();
    careless.send_logs(&[Log::new("five").tag("d")]).await.unwrap();
    careless.close().await.unwrap();
    sender.close().await.unwrap();
    drop(shutdown);
    server.await.unwrap();
    let (mut from, mut found) = (journal.oldest(), Vec::new());
    while let Some(group) = journal.read(from, 1 << 20).await.unwrap() {
        found.extend(group.iter().map(|log| log.to_log()));
        from = group.end();
    }
    assert_eq!(found.len(), 5);
    for (log, found) in logs.iter().zip(&found) {
        assert_eq!(
            (&log.message, log.tag(), log.timestamp()),
            (&found.message, found.tag(), found.timestamp())
        );
        assert_eq!((json(log), &log.source, log.level), (json(found), &found.source, found.level));
    }
}

fn json(log: &Log) -> String {
    logmon_core::Value::Map(log.metadata.clone()).to_json()
}

/// What a server does with the id of the chunk it got.
type Answer = fn(&[u8]) -> Vec<Vec<u8>>;

/// A server that reads one chunk and answers with these writes, then waits for the end.
async fn answer_with(answer: Answer) -> Result<(), SendError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let id = read_chunk(&mut stream).await;
        for piece in answer(&id) {
            stream.write_all(&piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.shutdown().await.unwrap();
        let _end = stream.read(&mut [0; 1]).await;
    });
    let mut sender = Sender::connect(addr, SenderConfig::default()).await.unwrap();
    let sent = sender.send("t", &packed(&[entry(1, "a")]), 1).await;
    if sent.is_err() {
        let again = sender.send("t", &packed(&[entry(1, "a")]), 1).await;
        assert!(matches!(again, Err(SendError::Spoiled)));
    }
    drop(sender);
    server.await.unwrap();
    sent
}

async fn read_chunk(stream: &mut TcpStream) -> Vec<u8> {
    let mut decoder = Decoder::new(Arc::default());
    loop {
        stream.read_buf(decoder.buffer()).await.unwrap();
        let next = decoder.next_message(logmon_core::Timestamp::EPOCH, usize::MAX).unwrap();
        if let Next::Message(message) = next {
            let chunk = message.chunks.iter().next().unwrap();
            assert_eq!((chunk.bytes.len(), chunk.is_bin), (24, false));
            return chunk.bytes.to_vec();
        }
    }
}

fn ack(id: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_ack(&mut out, AckWire::Msgpack, id, false);
    out
}

/// F-142.
#[tokio::test]
async fn an_ack_may_come_in_pieces() {
    answer_with(|id| ack(id).chunks(7).map(<[u8]>::to_vec).collect()).await.unwrap();
}

/// F-143, F-144, R-045: each is an error of its own, and the connection is not used again.
#[tokio::test]
async fn wrong_answers_are_errors() {
    assert!(matches!(answer_with(|_| vec![ack(b"other")]).await, Err(SendError::WrongChunk)));
    assert!(matches!(answer_with(|_| vec![vec![0x80]]).await, Err(SendError::Refused)));
    assert!(matches!(answer_with(|_| vec![]).await, Err(SendError::Closed)));
    assert!(matches!(answer_with(|_| vec![vec![0xc1]]).await, Err(SendError::Answer(_))));
    let helo = answer_with(|_| vec![b"\x92\xa4HELO\x80".to_vec()]).await;
    assert!(matches!(helo, Err(SendError::Handshake)), "{helo:?}");
}

/// F-143: a server that never answers.
#[tokio::test]
async fn silence_has_a_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = SenderConfig::default();
    config.ack_timeout = Duration::from_millis(20);
    let mut sender = Sender::connect(listener.local_addr().unwrap(), config).await.unwrap();
    let sent = sender.send("t", &packed(&[entry(1, "a")]), 1).await;
    assert!(matches!(sent, Err(SendError::Timeout(_))));
}

/// S-7: a connection the server has closed is noticed before anything is written.
#[tokio::test]
async fn a_closed_connection_is_noticed_before_writing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut sender = Sender::connect(addr, SenderConfig::default()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    drop(stream);
    let message = Packed { tag: "t", entries: &[], events: 0, chunk: None };
    // The end of the connection travels through the system on its own time.
    while sender.send_chunk(&message).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(sender.send_chunk(&message).await, Err(SendError::Spoiled)));
    assert!(!AckParser::default().has_rest());
}
