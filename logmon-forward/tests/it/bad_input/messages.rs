//! Messages that are whole, and wrong.

use rmpv::Value as V;

use super::{Row, ack, message};
use crate::common::*;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = shapes();
    rows.extend(tags());
    rows.extend(good_tags());
    rows.extend(oversize());
    rows
}

/// `[tag, [["a"]], {"chunk": "id"}]`.
fn tagged(tag: impl Into<V>) -> Vec<u8> {
    encode(&array([tag.into(), array([entry(1, "a")]), chunk("id")]))
}

fn shapes() -> Vec<Row> {
    let after = |name, wrong: V| {
        let (good, wrong) = (message("a", "1"), encode(&wrong));
        let row = Row::new(name, [&good[..], &wrong].concat()).stores(&["a"]).keeps(wrong);
        row.answered(ack("1")).refuses("message_shape", 1)
    };
    let body = |name, body: V| {
        let wrong = encode(&array(["t".into(), body, chunk("id")]));
        Row::new(name, wrong).keeps_it_all().acked().refuses("payload_type", 1)
    };
    let wrong = encode(&array(["t".into(), true.into(), chunk("id")]));
    vec![
        after("6.2-3: a number between messages", 7.into()),
        after("6.2-3: text between messages", "text".into()),
        after("6.2-3: a map between messages", map([("a", 1.into())])),
        after("6.2-4: one element", array(["t".into()])),
        after("6.2-4: a time and no record", array(["t".into(), 1.into()])),
        body("6.2-5: a map for entries", map([("a", 1.into())])),
        body("6.2-5: true for entries", true.into()),
        Row::new(
            "R-041: elements behind the option",
            encode(&array(["t".into(), 1.into(), record("a"), chunk("id"), 5.into(), 6.into()])),
        )
        .acked()
        .stores(&["a"]),
        Row::new("F-135: too many wrong ones", wrong.repeat(150))
            .answered(ack("id").repeat(101))
            .refuses("payload_type", 101)
            .closes("persistent_garbage"),
    ]
}

fn tags() -> Vec<Row> {
    let row =
        |name, tag: V, code| Row::new(name, tagged(tag)).keeps_it_all().acked().refuses(code, 1);
    vec![
        row("R-028, 6.2-5, F-121: tag nil", V::Nil, "tag_type"),
        row("6.2-5, F-121: tag a number", 5.into(), "tag_type"),
        row("6.2-5, F-121: tag an array", array([]), "tag_type"),
        row("6.2-5, F-121: tag a map", V::Map(vec![]), "tag_type"),
        row("R-028, 6.2-6, F-122: empty tag", "".into(), "tag_empty"),
        row("R-028, 6.2-7, F-123: tag no UTF-8", V::Binary(vec![b'a', 0xff]), "tag_encoding"),
        row("R-028: tag too long", "x".repeat(4_097).into(), "tag_too_long"),
        row("R-029: tag of ten thousand dots", ".".repeat(10_000).into(), "tag_too_long"),
        Row::new("R-028: tag of 1 MB", tagged("x".repeat(1_000_000)))
            .acked()
            .refuses("tag_too_long", 1),
    ]
}

fn good_tags() -> Vec<Row> {
    let row = |name, tag: V| Row::new(name, tagged(tag)).acked().stores(&["a"]);
    let empty = encode(&array(["".into(), V::Array(vec![]), chunk("id")]));
    vec![
        row("6.2-5: tag as bin", V::Binary(b"t".to_vec())),
        row("R-028: tag of the greatest length", "x".repeat(4_096).into()),
        row("R-028, F-125: tag a path", "../../etc/passwd".into()),
        row("R-028, F-125: tag with control characters", "a\0b\nc\r\u{1b}[31m".into()),
        row("R-028: tag a template", "${x}{{x}}%00".into()),
        row("R-028: tag in other scripts", "🦀.\u{202e}abc.日本".into()),
        Row::new("6.2-6: empty tag without entries", empty).acked(),
    ]
}

fn oversize() -> Vec<Row> {
    let row = |name, message: V| {
        let bytes = encode(&message);
        let start = bytes[..64 << 10].to_vec();
        Row::new(name, bytes).keeps(start).acked().refuses("message_too_big", 1)
    };
    let big = || "x".repeat(5 << 20);
    vec![
        row(
            "6.2-8, F-133: oversize payload",
            array(["t".into(), V::Binary(vec![0x92; 5 << 20]), chunk("id")]),
        ),
        row(
            "6.2-8, F-133: oversize array",
            array(["t".into(), array([entry(1, &big())]), chunk("id")]),
        ),
        row(
            "6.2-8, F-133: oversize event",
            array(["t".into(), 1.into(), record(&big()), chunk("id")]),
        ),
        row(
            "6.2-8, F-133: an event longer than an entry may be",
            array(["t".into(), 1.into(), record(&"x".repeat(3 << 20)), chunk("id")]),
        ),
    ]
}
