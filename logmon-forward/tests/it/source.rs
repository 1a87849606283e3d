//! The peer's address and name in records.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use logmon_core::{BoxFuture, Event as _, Journal, MemoryJournal, Value};
use logmon_forward::{HostNames, ListenerConfig};
use rmpv::Value as V;

use crate::common::*;
use crate::listener::memory;
use crate::server::Server;

/// The tag, the text and all else of the records, in order.
async fn stored(journal: &MemoryJournal) -> Vec<(String, String, String)> {
    let (mut from, mut all) = (journal.oldest(), Vec::new());
    while let Some(group) = journal.read(from, 1 << 20).await.unwrap() {
        all.extend(group.iter().map(|log| {
            let rest = Value::Map(log.to_log().metadata).to_json();
            (log.tag().to_owned(), log.message().into_owned(), rest)
        }));
        from = group.end();
    }
    all
}

fn with_address(config: &mut ListenerConfig) {
    config.source_address_key = Some("peer".into());
}

/// F-112: every mode, whatever the record says of it; and what is no event stays as it is.
#[tokio::test]
async fn the_address_is_put_in_in_every_mode() {
    let record = || map([("message", "x".into()), ("peer", V::from("forged")), ("k", 1.into())]);
    let entry = || array([1.into(), record()]);
    let with_metadata = array([array([event_time(1, 2), map([("m", V::from(3))])]), record()]);
    let bytes = packed(&[entry(), with_metadata]);
    let marker = |seconds| {
        array([array([event_time(seconds, 0), map([("g", V::from(4))])]), map([("b", V::from(5))])])
    };
    let group = array([marker(u32::MAX), entry(), marker(u32::MAX - 1)]);
    let signal = map([("fluent_signal", 1.into()), ("chunk", V::from("signal"))]);
    let messages = [
        encode(&array(["single".into(), 1.into(), record(), chunk("1")])),
        encode(&array(["forward".into(), array([entry()]), chunk("2")])),
        encode(&array(["packed".into(), V::Binary(bytes.clone()), chunk("3")])),
        encode(&array(["gzip".into(), V::Binary(gzip(&bytes)), chunk("4")])),
        encode(&array(["zstd".into(), V::Binary(zstd(&bytes)), chunk("5")])),
        encode(&array(["group".into(), group, chunk("6")])),
        encode(&array(["metrics".into(), V::Binary(bytes.clone()), signal])),
        // Binary and doubled keys.
        encode(&array([
            "bin".into(),
            1.into(),
            V::Map(vec![
                ("message".into(), "x".into()),
                (V::Binary(b"peer".to_vec()), 1.into()),
                ("k".into(), 1.into()),
                ("peer".into(), 2.into()),
            ]),
        ])),
    ]
    .concat();
    let journal = memory();
    let server = Server::start(journal.clone(), with_address);
    server.exchange(&messages).await;
    server.exchange(br#"["json",1,{"message":"x","peer":"forged","k":1}]"#).await;
    let figures = server.end().await;
    let found = stored(&journal).await;
    let tags: Vec<_> = found.iter().map(|(tag, ..)| tag.as_str()).collect();
    let expected = "single forward packed packed gzip gzip zstd zstd group bin json";
    assert_eq!(tags.join(" "), expected);
    for (tag, text, rest) in &found {
        assert_eq!(text, "x", "{tag}");
        assert!(rest.contains(r#""k":1"#), "{tag}: {rest}");
        assert_eq!(rest.matches("peer").count(), 1, "{tag}: {rest}");
        assert!(rest.contains(r#""peer":"127.0.0.1""#), "{tag}: {rest}");
    }
    assert_eq!((figures.appended, figures.group_markers, figures.signals_dropped), (11, 2, 1));
}

/// F-112: messages too big for memory; and a chunk is known again in spite of what was put in.
#[tokio::test]
async fn the_address_is_put_into_parts() {
    let events: Vec<V> = (0..2_000).map(|n| entry(1, &format!("{n:>100}"))).collect();
    let big = encode(&array(["big".into(), V::Binary(packed(&events)), chunk("big")]));
    let small = encode(&array(["t".into(), array([entry(1, "small")]), chunk("small")]));
    let journal = memory();
    let server = Server::start(journal.clone(), |config| {
        config.max_in_flight_bytes = 64 << 10;
        with_address(config);
    });
    for _ in 0..2 {
        server.exchange(&[big.clone(), small.clone()].concat()).await;
    }
    let figures = server.end().await;
    assert_eq!((figures.staged, figures.appended, figures.deduplicated), (2, 2_001, 2_001));
    let found = stored(&journal).await;
    assert_eq!(found.len(), 2_001);
    assert!(found.iter().all(|(.., rest)| rest == r#"{"peer":"127.0.0.1"}"#), "{:?}", found[0]);
}

/// Knows one name, or nothing for ever.
#[derive(Debug)]
struct Names(Option<&'static str>);

impl HostNames for Names {
    fn name(&self, _: IpAddr) -> BoxFuture<'_, io::Result<String>> {
        Box::pin(async {
            match self.0 {
                Some(name) => Ok(name.to_owned()),
                None => std::future::pending().await,
            }
        })
    }
}

fn with_name(config: &mut ListenerConfig, names: Names) {
    config.source_hostname_key = Some("host".into());
    config.host_names = Arc::new(names);
    with_address(config);
}

/// F-112: the name stands beside the address.
#[tokio::test]
async fn the_name_is_put_in() {
    let journal = memory();
    let server = Server::start(journal.clone(), |config| with_name(config, Names(Some("web-7"))));
    let message = encode(&array(["t".into(), array([entry(1, "x")])]));
    let wait = async {
        loop {
            server.exchange(&message).await;
            let (.., rest) = stored(&journal).await.pop().unwrap();
            if rest == r#"{"peer":"127.0.0.1","host":"web-7"}"# {
                return;
            }
            assert_eq!(rest, r#"{"peer":"127.0.0.1","host":"127.0.0.1"}"#);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
    server.end().await;
}

/// F-112: a resolver that does not answer holds nothing up.
#[tokio::test]
async fn the_address_stands_for_a_name_that_is_not_known() {
    let journal = memory();
    let server = Server::start(journal.clone(), |config| with_name(config, Names(None)));
    let message = encode(&array(["t".into(), array([entry(1, "x")])]));
    for _ in 0..100 {
        server.exchange(&message).await;
    }
    server.end().await;
    let found = stored(&journal).await;
    assert_eq!(found.len(), 100);
    let expected = r#"{"peer":"127.0.0.1","host":"127.0.0.1"}"#;
    assert!(found.iter().all(|(.., rest)| rest == expected), "{:?}", found[0]);
}
