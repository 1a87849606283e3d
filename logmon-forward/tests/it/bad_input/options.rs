//! Options that are wrong or odd: they cost no event.

use rmpv::Value as V;

use super::{Row, ack};
use crate::common::*;

fn with(option: V) -> Vec<u8> {
    encode(&array(["t".into(), array([entry(1, "a")]), option]))
}

pub(super) fn rows() -> Vec<Row> {
    let unheard = |(name, option, warning): (_, V, _)| {
        Row::new(name, with(option)).stores(&["a"]).warns(warning)
    };
    let mut rows: Vec<_> = [
        ("R-041, 6.2-25, F-132: option text", "x".into(), "option_type"),
        ("R-041, 6.2-25, F-132: option a number", 5.into(), "option_type"),
        ("R-041, 6.2-25, F-132: option an array", array([1.into()]), "option_type"),
        ("6.1: option of too many keys", many_keys(65), "option_too_big"),
        ("6.1: option too long", long_option(), "option_too_big"),
        ("R-021, F-067: chunk of 504 bytes", chunk(&"c".repeat(504)), "chunk_too_long"),
        ("R-021: chunk of 60 kB", chunk(&"c".repeat(60_000)), "chunk_too_long"),
        ("R-021: chunk of 1 MB", chunk(&"c".repeat(1_000_000)), "option_too_big"),
        ("R-021, 6.2-26: chunk a number", map([("chunk", 7.into())]), "chunk_type"),
        ("R-021, 6.2-26: chunk an array", map([("chunk", array([]))]), "chunk_type"),
    ]
    .map(unheard)
    .into();
    rows.extend(odd());
    rows.extend(signals());
    rows
}

fn many_keys(count: u32) -> V {
    let keys = (1..count).map(|number| (number.into(), V::Nil));
    V::Map(keys.chain([("chunk".into(), "id".into())]).collect())
}

fn long_option() -> V {
    map([("chunk", "id".into()), ("x", "y".repeat(64 << 10).into())])
}

/// Options that are heard.
fn odd() -> Vec<Row> {
    let row = |name, option| Row::new(name, with(option)).stores(&["a"]);
    let of = |id: &V| encode(&map([("ack", id.clone())]));
    let mut rows = vec![
        row("6.2-24: option nil", V::Nil),
        row("6.2-24: option empty", V::Map(vec![])),
        row("R-021, F-066: chunk nil", map([("chunk", V::Nil)])),
        row("R-021, F-066: chunk empty", chunk("")),
        row("R-041: unknown keys", map([("x", array([V::Nil])), ("chunk", "id".into())])).acked(),
        row("1.4: keys that are no text", many_keys(3)).acked(),
        row("6.1: option of the most keys", many_keys(64)).acked(),
    ];
    for id in [
        V::from("c"),
        "p8n9gmxTQQu/8h3C0sKeTA==".into(),
        "with a newline\n".into(),
        "not base64!".into(),
        "c".repeat(503).into(),
        V::Binary(b"\x00\xff".to_vec()),
    ] {
        rows.push(
            row("R-021, F-063: chunk as it is", map([("chunk", id.clone())])).answered(of(&id)),
        );
    }
    rows
}

fn signals() -> Vec<Row> {
    let blob = || V::Binary(vec![0x83, 0x01, 0xff]);
    let signal = |body: V, signal: i64| {
        let option = map([("fluent_signal", signal.into()), ("chunk", "id".into())]);
        encode(&array(["t".into(), body, option]))
    };
    let logs = || array([entry(1, "a")]);
    vec![
        Row::new("F-038: metrics", signal(blob(), 1)).acked(),
        Row::new("F-038: traces", signal(logs(), 2)).acked(),
        Row::new("6.2-27: an unknown signal of logs", signal(logs(), 9)).acked().stores(&["a"]),
        Row::new("6.2-27: an unknown signal", signal(blob(), -1))
            .keeps_it_all()
            .answered(ack("id"))
            .refuses("signal_unknown", 1),
    ]
}
