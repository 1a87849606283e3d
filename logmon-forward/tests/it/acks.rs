//! Acknowledgements over real sockets.

use std::sync::Arc;

use logmon_forward::codec::{AckWire, write_ack};
use rmpv::Value as V;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::*;
use crate::journals::{HandJournal, Lines};
use crate::listener::{Server, ack, batch, event, expect, memory, texts};

fn with_chunk(id: V) -> Vec<u8> {
    encode(&array(["t".into(), array([entry(1, "x")]), map([("chunk", id)])]))
}

/// The only bytes that an acknowledgement of a text may have.
fn bytes_of(head: &[u8], id: &[u8]) -> Vec<u8> {
    [b"\x81\xa3ack", head, id].concat()
}

/// F-062 to F-065, F-069, R-021: every form of an id comes back as it came, byte for byte.
#[tokio::test]
async fn ids_come_back_as_they_came() {
    let server = Server::start(memory(), |_| {});
    let mut client = server.connect().await;
    let (short, newline) = ("p8n9gmxTQQu/8h3C0sKeTA==", "p8n9gmxTQQu/8h3C0sKeTA==\n");
    let (hex, long_hex, longest) = ("0af1".repeat(8), "0af1".repeat(32), "a".repeat(503));
    for (id, expected) in [
        (short.into(), bytes_of(&[0xb8], short.as_bytes())),
        (newline.into(), bytes_of(&[0xb9], newline.as_bytes())),
        (hex.as_str().into(), bytes_of(&[0xd9, 32], hex.as_bytes())),
        (long_hex.as_str().into(), bytes_of(&[0xd9, 128], long_hex.as_bytes())),
        (longest.as_str().into(), bytes_of(&[0xda, 1, 0xf7], longest.as_bytes())),
        ("a".into(), bytes_of(&[0xa1], b"a")),
        ("not base64 \0 \u{6c7a}".into(), bytes_of(&[0xb0], "not base64 \0 \u{6c7a}".as_bytes())),
        (V::Binary(vec![0, 255, 128]), bytes_of(&[0xc4, 3], &[0, 255, 128])),
    ] {
        client.write_all(&with_chunk(id)).await.unwrap();
        expect(&mut client, &expected).await;
    }
    drop(client);
    assert_eq!(server.end().await.acks_sent, 8);
}

/// F-066, F-067, R-021: ids that cannot be acknowledged cost the acknowledgement and not the
/// events. A peer is told of once, in the log.
#[tokio::test]
async fn ids_without_an_ack_keep_their_events() {
    let (lines, _guard) = Lines::record();
    let journal = memory();
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    for id in ["".into(), V::Nil, 5.into(), "x".repeat(2_000).into(), "x".repeat(1 << 20).into()] {
        client.write_all(&with_chunk(id)).await.unwrap();
    }
    client.write_all(&event("end")).await.unwrap();
    expect(&mut client, &ack("end")).await;
    drop(client);
    let figures = server.end().await;
    assert_eq!((texts(&journal).await.len(), figures.acks_sent), (6, 1));
    let warnings = lines.of("WARN");
    assert!(warnings.iter().any(|line| line.contains("chunk_too_long")), "{warnings:?}");
    assert!(warnings.iter().any(|line| line.contains("chunk_type")), "{warnings:?}");
    assert!(warnings.len() <= 3, "{warnings:?}");
}

/// a peer with one chunk outstanding gets each acknowledgement with a write of its own, and
/// before it sends anything else.
#[tokio::test]
async fn one_chunk_one_ack_one_write() {
    let journal = Arc::new(HandJournal::default());
    let server = Server::start(journal.clone(), |_| {});
    let mut client = server.connect().await;
    for number in 0..50 {
        let id = format!("{number}.{}", "x".repeat(490));
        client.write_all(&batch(&id)).await.unwrap();
        journal.wait_for(number + 1).await;
        journal.resolve(number, Ok(()));
        let mut expected = Vec::new();
        write_ack(&mut expected, AckWire::Msgpack, id.as_bytes(), false);
        // What one read of 512 bytes gives is the whole of it and nothing else.
        let mut read = [0; 512];
        let len = client.read(&mut read).await.unwrap();
        assert_eq!(read[..len], expected);
    }
    drop(client);
    assert_eq!(server.end().await.acks_sent, 50);
}
