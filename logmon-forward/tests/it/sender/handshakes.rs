//! Logging in at servers, honest and not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use logmon_core::Retry;
use logmon_forward::handshake::{
    ClientSecurity, PeerInfo, Progress, Security, SecuritySettings, Server, User,
};
use logmon_forward::sender::{FailureKind, NodeState, SenderConfig};
use logmon_forward::{SendError, Sender};
use rmpv::Value as V;
use tokio::io::AsyncReadExt as _;

use super::script::*;
use crate::common::*;

fn secured(script: &Script, key: &str) -> SenderConfig {
    let mut config = config(script.address());
    config.security = Some(ClientSecurity {
        self_hostname: "client.example".into(),
        shared_key: key.into(),
        username: "alice".into(),
        password: "pa55".into(),
    });
    config
}

/// The server's half of the handshake, said in so many pieces.
async fn let_in(wire: &mut Wire, keepalive: bool, pieces: usize) -> bool {
    let settings = SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("s3cret".into()),
        users: vec![User { username: "alice".into(), password: "pa55".into() }],
        ..SecuritySettings::default()
    };
    let security = Arc::new(Security::new(settings).unwrap());
    let peer = PeerInfo { keepalive, ..PeerInfo::default() };
    let mut server = Server::new(security, peer).unwrap();
    wire.send_pieces(&server.helo(), pieces).await;
    let mut buffer = BytesMut::new();
    loop {
        match server.feed(&mut buffer) {
            Progress::NeedsBytes => {
                assert!(wire.stream.read_buf(&mut buffer).await.unwrap() > 0);
            }
            Progress::Accepted { pong, .. } => {
                wire.send_pieces(&pong, pieces).await;
                return true;
            }
            Progress::Refused(refused) => {
                wire.send(&refused.pong).await;
                return false;
            }
        }
    }
}

/// F-144: HELO and PONG in five pieces.
#[tokio::test]
async fn a_helo_may_come_in_pieces() {
    for pieces in [1, 5] {
        let script = Script::bind().await;
        let sender = Sender::new(secured(&script, "s3cret")).unwrap();
        let serving = async {
            let mut wire = script.accept().await;
            assert!(let_in(&mut wire, true, pieces).await);
            for _ in 0..2 {
                let id = wire.chunk().await.id;
                wire.ack(&id).await;
            }
        };
        let sending = async {
            send(&sender, "a").await.unwrap();
            send(&sender, "b").await.unwrap();
        };
        tokio::join!(sending, serving);
        assert_eq!(sender.stats().connects, 1);
    }
}

/// F-152: a server whose HELO says so gets one message on each connection.
#[tokio::test]
async fn a_helo_without_keepalive_means_one_message() {
    let script = Script::bind().await;
    let sender = Sender::new(secured(&script, "s3cret")).unwrap();
    let serving = async {
        for _ in 0..3 {
            let mut wire = script.accept().await;
            assert!(let_in(&mut wire, false, 1).await);
            let id = wire.chunk().await.id;
            wire.ack(&id).await;
            assert!(wire.next().await.is_none(), "the sender ends it");
        }
    };
    let sending = async {
        for text in ["a", "b", "c"] {
            send(&sender, text).await.unwrap();
        }
        sender.close().await;
    };
    tokio::join!(sending, serving);
    let stats = sender.stats();
    assert_eq!((stats.connects, stats.chunks, stats.resent), (3, 3, 0));
}

/// S-8: a server that refuses the login is named with its reason, and left alone for a while.
#[tokio::test]
async fn a_refused_login_is_not_repeated_at_once() {
    let script = Script::bind().await;
    let mut config = secured(&script, "wrong");
    config.retry_timeout = Some(Duration::ZERO);
    // Any other failure would allow another try at once.
    config.retry = Retry { first: Duration::ZERO, most: Duration::ZERO };
    let sender = Sender::new(config).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        assert!(!let_in(&mut wire, true, 1).await);
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
    let error = sent.unwrap_err();
    let text = format!("{:?}", anyhow_like(&error));
    assert!(text.contains("shared_key mismatch"), "{text}");
    let stats = sender.stats();
    assert_eq!(stats.nodes[0].state, NodeState::Down);
    assert!(matches!(send(&sender, "b").await, Err(SendError::NoNode(_))));
    assert_eq!(stats.failures_of(FailureKind::Login), 1);
    assert!(format!("{sender:?}").contains("***") && !format!("{sender:?}").contains("wrong"));
}

/// An error and its causes.
fn anyhow_like(error: &dyn std::error::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts
}

/// S-9: a server that wants a key says HELO to a sender without one, in pieces too.
#[tokio::test]
async fn a_server_that_requires_a_key_is_recognised() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    config.retry_timeout = Some(Duration::ZERO);
    let sender = Sender::new(config).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        wire.send_pieces(b"\x92\xa4HELO\x81\xa5nonce\xc4\x04abcd", 5).await;
        wire.next().await;
    };
    let (sent, ()) = tokio::join!(send(&sender, "a"), serving);
    assert!(anyhow_like(&sent.unwrap_err()).concat().contains("requires a shared key"));
    assert_eq!(sender.stats().failures_of(FailureKind::SecurityRequired), 1);
}

/// The answer of an evil server to a sender that knows the key.
async fn evil(answer: impl AsyncFnOnce(&mut Wire)) -> (FailureKind, String) {
    let script = Script::bind().await;
    let mut config = secured(&script, "s3cret");
    config.handshake_timeout = Duration::from_millis(50);
    let sender = Sender::new(config).unwrap();
    let serving = async {
        let mut wire = script.accept().await;
        answer(&mut wire).await;
        wire
    };
    let (verified, _wire) = tokio::join!(sender.verify(), serving);
    let (_, failure) = verified.unwrap_err();
    (failure.kind, anyhow_like(&failure).join(": "))
}

const HELO: &[u8] = b"\x92\xa4HELO\x82\xa5nonce\xc4\x100123456789abcdef\xa4auth\xc4\x00";

/// F-144, R-045: whatever comes in the place of a HELO or a PONG is an error and nothing worse.
#[tokio::test]
async fn malicious_servers_are_refused() {
    let huge_nonce = b"\x92\xa4HELO\x81\xa5nonce\xc6\x80\x00\x00\x00".to_vec();
    let many_pairs = b"\x92\xa4HELO\xdf\xff\xff\xff\xff".to_vec();
    let wrong_types = b"\x92\xa4HELO\x81\xa5nonce\x2a".to_vec();
    let no_array = b"\x81\xa4HELO\x80".to_vec();
    let hundred = [b"\xdc\x00\x64\xa4PONG".to_vec(), vec![0xc3; 99]].concat();
    let event = b"\x93\xa1t\x01\x80".to_vec();
    for helo in [huge_nonce, many_pairs, wrong_types, no_array, vec![0xc1], event, b"HTTP".to_vec()]
    {
        let (kind, text) = evil(async |wire| wire.send(&helo).await).await;
        assert_eq!(kind, FailureKind::Handshake, "{helo:?}: {text}");
    }
    for pong in [vec![0x90], hundred, b"\x95\xa4PONG\x01\xa0\xa0\xa0".to_vec(), vec![0xc0]] {
        let (kind, text) = evil(async |wire| {
            wire.send(HELO).await;
            wire.stream.read_u8().await.unwrap();
            wire.send(&pong).await;
        })
        .await;
        assert_eq!(kind, FailureKind::Handshake, "{pong:?}: {text}");
    }
}

/// a server that never answers, before and after the PING.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let begun = Instant::now();
    let (kind, text) = evil(async |_| {}).await;
    assert_eq!(kind, FailureKind::Timeout, "{text}");
    let (kind, _) = evil(async |wire| wire.send(HELO).await).await;
    assert_eq!(kind, FailureKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// F-145: a server that gives itself our name and sends our digest back.
#[tokio::test]
async fn a_reflection_is_refused() {
    let (kind, text) = evil(async |wire| {
        wire.send(HELO).await;
        let mut buffer = Vec::new();
        let ping = loop {
            wire.stream.read_buf(&mut buffer).await.unwrap();
            if let Ok(V::Array(parts)) = rmpv::decode::read_value(&mut &buffer[..]) {
                break parts;
            }
        };
        let (hostname, digest) = (ping[1].clone(), ping[3].clone());
        assert_eq!(hostname, V::from("client.example"));
        let answer = array(["PONG".into(), true.into(), "".into(), hostname, digest]);
        wire.send(&encode(&answer)).await;
    })
    .await;
    assert_eq!(kind, FailureKind::Handshake);
    assert!(text.contains("our own hostname"), "{text}");
}

/// A wrong digest in the PONG: the server does not know the key.
#[tokio::test]
async fn a_server_that_does_not_know_the_key_is_refused() {
    let (kind, text) = evil(async |wire| {
        wire.send(HELO).await;
        wire.stream.read_u8().await.unwrap();
        let digest = "0".repeat(128);
        let pong = ["PONG".into(), true.into(), "".into(), "other".into(), digest.as_str().into()];
        wire.send(&encode(&array(pong))).await;
    })
    .await;
    assert_eq!(kind, FailureKind::Handshake);
    assert!(text.contains("does not know the shared key"), "{text}");
}
