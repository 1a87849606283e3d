//! When connections are made, kept and ended.

use std::time::Duration;

use logmon_core::Retry;
use logmon_forward::sender::{FailureKind, SenderConfig};
use logmon_forward::{SendError, Sender};

use super::script::*;
use crate::common::*;

/// F-149: the end of an idle connection is noticed; the next chunk goes over a new one, and nothing
/// is counted as a failure.
#[tokio::test]
async fn an_idle_connection_that_ends_costs_nothing() {
    let script = Script::bind().await;
    let sender = Sender::new(config(script.address())).unwrap();
    for round in 1..=20 {
        let serving = async {
            let mut wire = script.accept().await;
            let id = wire.chunk().await.id;
            wire.ack(&id).await;
            wire
        };
        let (sent, wire) = tokio::join!(send(&sender, "a"), serving);
        sent.unwrap();
        // The next chunk may be there before the sender has been told.
        drop(wire);
        let stats = sender.stats();
        assert_eq!((stats.connects, stats.chunks, stats.resent), (round, round, 0));
    }
    assert!(sender.stats().failures.iter().all(|(_, count)| *count == 0));
}

/// F-149: the same where no acknowledgement would tell of the loss.
#[tokio::test]
async fn without_acks_an_idle_end_loses_nothing() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    config.require_ack = false;
    let sender = Sender::new(config).unwrap();
    for round in 0..20 {
        let (sent, mut wire) = tokio::join!(send(&sender, "a"), script.accept());
        sent.unwrap();
        assert_eq!(wire.chunk().await.tag, "t", "round {round}");
    }
}

/// F-149: a server that closes every connection at once is not called all the time.
#[tokio::test]
async fn there_is_no_busy_loop() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    config.retry = Retry { first: Duration::from_millis(40), most: Duration::from_millis(40) };
    config.retry_timeout = Some(Duration::from_millis(400));
    let sender = Sender::new(config).unwrap();
    let closing = async {
        loop {
            drop(script.accept().await);
        }
    };
    let sent = tokio::select! {
        sent = send(&sender, "a") => sent,
        () = closing => unreachable!(),
    };
    assert!(matches!(sent, Err(SendError::GaveUp { .. })), "{sent:?}");
    let stats = sender.stats();
    let failures: u64 = stats.failures.iter().map(|(_, count)| count).sum();
    assert_eq!(stats.connects, failures, "each connection was a failure");
    assert!((2..=100).contains(&failures), "{failures} in 400 ms at about 20 ms");
}

/// F-149, S-11: something unasked on an idle connection is the end of it.
#[tokio::test]
async fn an_idle_connection_that_speaks_is_dead() {
    let script = Script::bind().await;
    let sender = Sender::new(config(script.address())).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let id = wire.chunk().await.id;
        wire.send(&[ack(&id), ack("unasked")].concat()).await;
        assert!(wire.next().await.is_none());
        let mut wire = script.accept().await;
        let id = wire.chunk().await.id;
        wire.ack(&id).await;
    };
    let sending = async {
        send(&sender, "a").await.unwrap();
        send(&sender, "b").await.unwrap();
    };
    tokio::join!(sending, serving);
    assert_eq!((sender.stats().connects, sender.stats().chunks), (2, 2));
}

/// How many connections three chunks take.
async fn connects(change: impl FnOnce(&mut SenderConfig)) -> u64 {
    let script = Script::bind().await;
    let mut config = config(script.address());
    change(&mut config);
    let sender = Sender::new(config).unwrap();
    let (seen, mut ids) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(script.serve(seen));
    for _ in 0..3 {
        send(&sender, "a").await.unwrap();
        ids.recv().await.unwrap();
    }
    server.abort();
    assert_eq!(sender.stats().resent, 0);
    sender.stats().connects
}

/// S-11: keepalive, age and uses.
#[tokio::test]
async fn connections_live_as_long_as_they_are_told() {
    assert_eq!(connects(|_| {}).await, 1);
    assert_eq!(connects(|config| config.keepalive = false).await, 3);
    assert_eq!(connects(|config| config.max_uses = Some(2)).await, 2);
    assert_eq!(connects(|config| config.max_age = Duration::ZERO).await, 3);
}

/// S-11: the sender ends a connection nobody needs.
#[tokio::test]
async fn idle_connections_are_ended() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    config.idle_timeout = Duration::from_millis(20);
    let sender = Sender::new(config).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let id = wire.chunk().await.id;
        wire.ack(&id).await;
        assert!(wire.next().await.is_none());
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
    sent.unwrap();
}

/// S-17: closing waits for what is on its way.
#[tokio::test]
async fn closing_waits_for_acks() {
    let script = Script::bind().await;
    let sender = Sender::new(config(script.address())).unwrap();
    let closing = async {
        let mut wire = script.accept().await;
        let id = wire.chunk().await.id;
        let ending = async {
            wire.ack(&id).await;
            assert!(wire.next().await.is_none(), "a clean end");
        };
        tokio::join!(sender.close(), ending);
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), closing);
    sent.unwrap();
}

/// S-17: but not for ever.
#[tokio::test]
async fn closing_has_a_limit() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    config.close_timeout = Duration::from_millis(20);
    let sender = Sender::new(config).unwrap();
    let closing = async {
        let mut wire = script.accept().await;
        wire.chunk().await;
        sender.close().await;
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), closing);
    assert!(matches!(sent, Err(SendError::Closed)), "{sent:?}");
}

/// A sender that is dropped leaves no connection behind.
#[tokio::test]
async fn dropping_the_sender_ends_its_connections() {
    let script = Script::bind().await;
    let sender = Sender::new(config(script.address())).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        let id = wire.chunk().await.id;
        wire.ack(&id).await;
        wire
    };
    let (sent, mut wire) = tokio::join!(send(&sender, "a"), serving);
    sent.unwrap();
    drop(sender);
    assert!(wire.next().await.is_none());
}

/// S-18: a server that is down at the start is waited for.
#[tokio::test]
async fn a_server_may_come_later() {
    let script = Script::bind().await;
    let address = script.address();
    drop(script);
    let sender = Sender::new(config(address.clone())).unwrap();
    sender.verify().await.unwrap_err();
    let coming = async {
        while sender.stats().failures_of(FailureKind::Connect) < 2 {
            tokio::task::yield_now().await;
        }
        let listener = tokio::net::TcpListener::bind(address.to_string()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire::new(stream);
        let id = wire.chunk().await.id;
        wire.ack(&id).await;
    };
    let (sent, ()) = tokio::join!(sender.send("t", packed(&[entry(1, "a")]), 1), coming);
    sent.unwrap();
}
