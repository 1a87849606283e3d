//! Acknowledgements in every shape, and what happens without one.

use std::time::Duration;

use logmon_forward::sender::{FailureKind, NodeState};
use logmon_forward::{SendError, Sender};

use super::script::*;
use crate::common::*;

/// F-142: one acknowledgement in pieces.
#[tokio::test]
async fn an_ack_may_come_in_pieces() {
    for pieces in [2, 5, 30] {
        let script = Script::bind().await;
        let sender = Sender::new(config(script.address())).unwrap();
        let serving = async {
            let mut wire = script.accept().await;
            let id = wire.chunk().await.id;
            assert_eq!(id.len(), 24);
            wire.send_pieces(&ack(&id), pieces).await;
        };
        let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
        sent.unwrap();
        let stats = sender.stats();
        assert_eq!((stats.chunks, stats.events, stats.acks, stats.resent), (1, 1, 1, 0));
    }
}

/// F-142, F-068: two acknowledgements in one write, and in another order than the chunks.
#[tokio::test]
async fn acks_may_come_together_and_in_any_order() {
    let script = Script::bind().await;
    let sender = Sender::new(pipelined(script.address())).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let (one, two) = (wire.chunk().await.id, wire.chunk().await.id);
        assert_ne!(one, two);
        wire.send(&[ack(&two), ack(&one)].concat()).await;
    };
    let (one, two, ()) = tokio::join!(send(&sender, "a"), send(&sender, "b"), serving);
    one.unwrap();
    two.unwrap();
    assert_eq!(sender.stats().connects, 1);
}

/// F-143: whatever is no acknowledgement of the chunk ends the connection; the chunk is sent again
/// under the same id on a new one.
#[tokio::test]
async fn a_chunk_that_is_not_acknowledged_is_sent_again() {
    let answers: [(&[u8], FailureKind); 6] = [
        (&ack("another"), FailureKind::WrongChunk),
        (&[0x80], FailureKind::NotDelivered),
        (&[], FailureKind::Closed),
        (&[0xc1], FailureKind::Answer),
        (&[0xc0], FailureKind::Answer),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", FailureKind::Answer),
    ];
    for (answer, kind) in answers {
        let script = Script::bind().await;
        let sender = Sender::new(config(script.address())).unwrap();
        let serving = async {
            let mut wire = script.accept().await;
            let first = wire.chunk().await;
            wire.send(answer).await;
            if answer.is_empty() {
                drop(wire);
            } else {
                assert!(wire.next().await.is_none(), "the connection is not used again");
            }
            let mut wire = script.accept().await;
            let second = wire.chunk().await;
            assert_eq!((&first.id, &first.payload), (&second.id, &second.payload), "{kind:?}");
            wire.ack(&second.id).await;
        };
        let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
        sent.unwrap();
        let stats = sender.stats();
        assert_eq!((stats.failures_of(kind), stats.resent), (1, 1), "{kind:?}: {stats:?}");
        assert_eq!(stats.nodes[0].state, NodeState::Up, "it is back");
    }
}

/// F-143: a server that says nothing.
#[tokio::test]
async fn silence_has_a_limit() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    config.ack_timeout = Duration::from_millis(30);
    let sender = Sender::new(config).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let first = wire.chunk().await.id;
        let mut second = script.accept().await;
        assert_eq!(second.chunk().await.id, first);
        // Too late, and on a connection that is no more.
        let _late = tokio::io::AsyncWriteExt::write_all(&mut wire.stream, &ack(&first)).await;
        second.ack(&first).await;
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
    sent.unwrap();
    assert_eq!(sender.stats().failures_of(FailureKind::Timeout), 1);
}

/// F-143: what failed goes before what came later.
#[tokio::test]
async fn what_failed_is_sent_first() {
    let script = Script::bind().await;
    let sender = Sender::new(pipelined(script.address())).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let ids = [wire.chunk().await.id, wire.chunk().await.id, wire.chunk().await.id];
        drop(wire);
        let mut wire = script.accept().await;
        // The first is a probe, the others follow when it is acknowledged.
        for id in ids {
            assert_eq!(wire.chunk().await.id, id);
            wire.ack(&id).await;
        }
        let last = wire.chunk().await.id;
        wire.ack(&last).await;
    };
    let late = async {
        while sender.stats().resent == 0 {
            tokio::task::yield_now().await;
        }
        send(&sender, "late").await
    };
    let (a, b, c) = (send(&sender, "a"), send(&sender, "b"), send(&sender, "c"));
    let (a, b, c, late, ()) = tokio::join!(a, b, c, late, serving);
    assert!([a, b, c, late].iter().all(Result::is_ok));
    let stats = sender.stats();
    assert_eq!((stats.chunks, stats.resent, stats.failures_of(FailureKind::Closed)), (4, 3, 1));
}

/// Rule S-5: strangers get one chunk at a time.
#[tokio::test]
async fn strangers_get_one_chunk_at_a_time() {
    let script = Script::bind().await;
    let sender = Sender::new(config(script.address())).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        for _ in 0..2 {
            let id = wire.chunk().await.id;
            assert_eq!(sender.stats().nodes[0].in_flight, 1);
            wire.ack(&id).await;
        }
    };
    let (one, two, ()) = tokio::join!(send(&sender, "a"), send(&sender, "b"), serving);
    one.and(two).unwrap();
    assert_eq!(sender.stats().connects, 1);
}

/// A chunk whose sender went away is written to its end, and the next one is fine.
#[tokio::test]
async fn dropping_a_send_cuts_no_message() {
    let script = Script::bind().await;
    let sender = Sender::new(config(script.address())).unwrap();
    // More than the buffers of a socket take, so that it is half written when it is dropped.
    let big = packed(&[entry(1, &"x".repeat(16 << 20))]);
    let sending = tokio::spawn({
        let (sender, big) = (sender.clone(), big.clone());
        async move { sender.send("t", big, 1).await }
    });
    let mut wire = script.accept().await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    let first = wire.chunk().await;
    assert_eq!(first.bytes(), big);
    wire.ack(&first.id).await;
    let serving = async {
        let chunk = wire.chunk().await;
        wire.ack(&chunk.id).await;
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
    sent.unwrap();
    let stats = sender.stats();
    assert_eq!((stats.chunks, stats.connects, stats.nodes[0].in_flight), (2, 1, 0));
}

/// What is in flight is bounded in bytes, whatever window there is.
#[tokio::test]
async fn bytes_in_flight_are_bounded() {
    let script = Script::bind().await;
    let mut config = pipelined(script.address());
    config.max_in_flight_bytes = 100;
    let sender = Sender::new(config).unwrap();
    let text = "x".repeat(70);
    let serving = async {
        let mut wire = script.accept().await;
        for _ in 0..2 {
            let chunk = wire.chunk().await;
            assert_eq!(sender.stats().nodes[0].in_flight, 1);
            wire.ack(&chunk.id).await;
        }
    };
    let (one, two, ()) = tokio::join!(send(&sender, &text), send(&sender, &text), serving);
    one.and(two).unwrap();
}

/// F-143: with a limit, a chunk is given up, and the error says where and why.
#[tokio::test]
async fn a_chunk_may_be_given_up() {
    let script = Script::bind().await;
    let address = script.address();
    drop(script);
    let mut config = config(address.clone());
    config.retry_timeout = Some(Duration::ZERO);
    let sender = Sender::new(config).unwrap();
    let Err(SendError::GaveUp { node, attempts, failure, .. }) = send(&sender, "a").await else {
        panic!("given up")
    };
    assert_eq!((node, attempts, failure.kind), (address.to_string(), 1, FailureKind::Connect));
    sender.close().await;
    assert!(matches!(send(&sender, "a").await, Err(SendError::Closed)));
}

/// Without acknowledgements there is no id, and nothing is waited for.
#[tokio::test]
async fn acks_may_be_left_out() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    config.require_ack = false;
    let sender = Sender::new(config).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let chunk = wire.chunk().await;
        assert_eq!(chunk.option("chunk"), None);
        assert_eq!(chunk.option("size"), Some(&1.into()));
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
    sent.unwrap();
    assert_eq!((sender.stats().chunks, sender.stats().acks), (1, 0));
}
