//! The decoder against the protocol's rows, F-001 to F-060 and the codec's part of F-111 to F-136.

mod compressed;
mod faults;
mod forward;
mod groups;
mod json;
mod limits;
mod message;
mod options;
mod packed;

use crate::common::*;
use logmon_core::TimeUnit;
use logmon_forward::codec::{
    AckWire, EmptyTag, InvalidEvent, Message, Mode, Settings, Signals, Warning,
};
use rmpv::Value as V;

const SECOND: i64 = 1_000_000_000;
const TIME: i64 = 1_441_588_984 * SECOND;
const TIME_AND_HALF: i64 = TIME + SECOND / 2;
const ID: &[u8] = b"p8n9gmxTQQu/8h3C0sKeTA==";

fn acks(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in decode(bytes) {
        message.chunks.write_acks(AckWire::Msgpack, &mut out);
    }
    out
}

fn times_and_texts(bytes: &[u8]) -> Vec<(i64, String)> {
    let found = events(&decode(bytes)).into_iter();
    found.map(|event| (event.nanos, event.message)).collect()
}

/// The times of single-event messages and of entries, which read the same.
fn time_of(time: V) -> i64 {
    let message = encode(&array(["t".into(), time.clone(), record("foo")]));
    let forward = encode(&array(["t".into(), array([array([time, record("foo")])])]));
    let (message, forward) = (times_and_texts(&message), times_and_texts(&forward));
    assert_eq!(message, forward);
    message[0].0
}

/// F-001, F-002, F-003, F-007, F-008, F-013, F-017, F-018, F-019, F-020, F-031.
#[test]
fn worked_examples_are_the_events_they_show() {
    let foo = |nanos| vec![(nanos, "foo".to_owned())];
    let both = vec![(TIME_AND_HALF, "foo".to_owned()), (TIME, "bar".to_owned())];
    for (name, mode, expected) in [
        ("message", Mode::Message, foo(TIME)),
        ("message-docker", Mode::Message, foo(TIME)),
        ("message-nil-option", Mode::Message, foo(TIME_AND_HALF)),
        ("message-chunk", Mode::Message, foo(TIME_AND_HALF)),
        ("forward", Mode::Forward, both.clone()),
        ("forward-fluent-bit", Mode::Forward, foo(TIME_AND_HALF)),
        ("packed-bin", Mode::Packed, both.clone()),
        ("packed-fluentd", Mode::Packed, both.clone()),
        ("packed-gzip", Mode::Gzip, both),
    ] {
        let bytes = example(name);
        let message = decode_one(&bytes);
        assert_eq!(message.mode, mode, "{name}");
        assert_eq!(message.wire_bytes, bytes.len() as u64);
        assert!(message.rejected.is_empty() && message.warnings.is_empty(), "{name}: {message:?}");
        let found = events(&[message]);
        assert!(found.iter().all(|event| event.tag == "app.web"));
        let found: Vec<_> = found.into_iter().map(|event| (event.nanos, event.message)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// F-062, F-063, F-069.
#[test]
fn acks_are_the_bytes_of_the_examples() {
    assert_eq!(acks(&example("message-chunk")), example("message-chunk-ack"));
    assert_eq!(acks(&example("packed-fluentd")), example("fluentd-ack"));
    assert_eq!(acks(&example("message-docker")), b"");
}

fn compressed(payload: &[u8], name: Option<&str>) -> Vec<u8> {
    let option =
        name.map_or(V::Nil, |name| map([("compressed", name.into()), ("chunk", "id".into())]));
    encode(&array(["t".into(), V::Binary(payload.to_vec()), option]))
}

/// F-044, F-045.
#[test]
fn heartbeats_are_nothing() {
    let nothing = [&[0xc0][..], &[0x90], b"\x92\xa0\x90", b"\x92\xa1t\x90", &[0xc0]];
    let bytes =
        [nothing.concat(), example("message"), nothing.concat(), example("message")].concat();
    let messages = decode(&bytes);
    assert_eq!(events(&messages).len(), 2);
    assert!(refused(&messages).is_empty());
    let asked = decode_one(&encode(&array(["".into(), V::Array(vec![]), chunk("id")])));
    assert_eq!((refused(&[asked]), ()), (vec![], ()));
}
