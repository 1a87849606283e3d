//! Entries that are wrong between entries that are right.

use rmpv::Value as V;

use super::{Row, message};
use crate::common::*;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = wrong();
    rows.extend(odd());
    rows.extend(odd_times());
    rows.extend(odd_records());
    rows.extend(limits());
    rows
}

fn batch(middle: V) -> Vec<u8> {
    let entries = array([entry(1, "a"), middle, entry(2, "b")]);
    encode(&array(["t".into(), entries, chunk("id")]))
}

fn nested(depth: usize) -> V {
    let inside = (2..depth).fold(V::Nil, |inside, _| array([inside]));
    map([("message", "deep".into()), ("k", array([inside]))])
}

fn wrong() -> Vec<Row> {
    let timed = |time: V| array([time, record("no")]);
    let with = |record: V| array([1.into(), record]);
    let ext = |kind, len| timed(V::Ext(kind, vec![0; len]));
    let row = |(name, wrong, code): (_, V, _)| {
        let row = Row::new(name, batch(wrong.clone())).stores(&["a", "b"]);
        row.keeps(encode(&wrong)).acked().refuses(code, 1)
    };
    [
        ("R-030, 6.2-15, F-118: record nil", with(V::Nil), "entry_record"),
        ("R-030, 6.2-15, F-118: record an array", with(array([])), "entry_record"),
        ("R-030, 6.2-15, F-118: record text", with("x".into()), "entry_record"),
        ("R-030, 6.2-15, F-118: record a number", with(7.into()), "entry_record"),
        ("6.2-16: one element", array([1.into()]), "entry_shape"),
        ("6.2-16: no element", array([]), "entry_shape"),
        ("6.2-15: nil for an entry", V::Nil, "entry_shape"),
        ("6.2-15: a map for an entry", V::Map(vec![]), "entry_shape"),
        ("6.2-18: empty header", timed(array([])), "entry_shape"),
        ("6.2-18: header with no map", timed(array([1.into(), 2.into()])), "entry_shape"),
        ("R-027, F-119: time text", timed("x".into()), "entry_time"),
        ("R-027, F-119: time a map", timed(V::Map(vec![])), "entry_time"),
        ("R-027: time true", timed(true.into()), "entry_time"),
        ("R-025, 6.2-20, F-119: time ext 7", ext(7, 8), "entry_time"),
        ("R-025: time ext 1", ext(1, 8), "entry_time"),
        ("R-025, 6.2-22: EventTime of 7", ext(0, 7), "entry_time"),
        ("R-025, 6.2-22: EventTime of 9", ext(0, 9), "entry_time"),
        ("R-026, 6.2-22, F-120: 10^9 ns", timed(event_time(1, 1_000_000_000)), "entry_time"),
        ("R-026, 6.2-22, F-120: 2^32-1 ns", timed(event_time(1, u32::MAX)), "entry_time"),
        ("R-009, 6.2-9, F-127: depth 129", with(nested(129)), "entry_too_deep"),
    ]
    .map(row)
    .into()
}

/// A batch whose entry in the middle is odd, and taken.
fn odd() -> Vec<Row> {
    let row = |(name, entry): (_, V), text: &[&str]| {
        let texts = [&["a"], text, &["b"]].concat();
        Row::new(name, batch(entry)).acked().stores(&texts)
    };
    let three = array([1.into(), record("c"), 5.into()]);
    let header = array([array([1.into(), map([("k", 1.into())])]), record("c")]);
    let long = array([array([1.into(), V::Nil, 5.into()]), record("c")]);
    let marker = array([array([event_time(u32::MAX, 0), V::Map(vec![])]), V::Map(vec![])]);
    let inner = array(["inner".into(), array([entry(1, "c")])]);
    vec![
        row(("6.2-16: three elements", three), &["c"]),
        row(("6.2-17: a header with metadata", header), &["c"]),
        row(("6.2-18: a header of three", long), &["c"]),
        row(("R-026: a group marker", marker), &[]),
        row(("F-041: a batch for an entry", inner), &["c"]),
        row(("R-009, F-127: depth 128", array([1.into(), nested(128)])), &["deep"]),
        Row::new("R-011: a single event", message("c", "id")).acked().stores(&["c"]),
    ]
}

fn odd_times() -> Vec<Row> {
    let row = |(name, time): (_, V)| {
        let entry = array([time, record("c")]);
        Row::new(name, batch(entry)).acked().stores(&["a", "c", "b"])
    };
    let mut rows: Vec<_> = [
        ("R-027: time nil", V::Nil),
        ("R-027: time negative", (-1).into()),
        ("R-025: EventTime", event_time(1, 999_999_999)),
        ("R-026: EventTime zero", event_time(0, 0)),
    ]
    .map(row)
    .into();
    let beyond = [
        ("R-027: time i64 min", i64::MIN.into()),
        ("R-027: time i64 max", i64::MAX.into()),
        ("R-027: time u64 max", u64::MAX.into()),
        ("R-027, 6.2-23: time NaN", f64::NAN.into()),
        ("R-027, 6.2-23: time infinite", f64::NEG_INFINITY.into()),
        ("R-027, 6.2-23: time 1e308", 1e308.into()),
    ];
    rows.extend(beyond.map(|beyond| row(beyond).warns("time_out_of_range")));
    rows
}

/// Records that are stored whatever is in them.
fn odd_records() -> Vec<Row> {
    let row = |(name, mut pairs): (_, Vec<(V, V)>)| {
        pairs.push(("message".into(), "c".into()));
        let entry = array([1.into(), V::Map(pairs)]);
        Row::new(name, batch(entry)).acked().stores(&["a", "c", "b"])
    };
    let key = |key: &str| (V::from(key), V::from(1));
    let invalid = V::String(rmpv::Utf8String::from(""));
    [
        ("R-031: keys twice", vec![key("k"), key("k")]),
        ("R-032: keys that are no text", vec![(1.into(), 1.into()), (V::Nil, V::Nil)]),
        (
            "R-032: a map and bin for keys",
            vec![(V::Map(vec![]), invalid), (V::Binary(b"k".to_vec()), 1.into())],
        ),
        (
            "R-035: numbers at their ends",
            vec![
                ("i".into(), i64::MIN.into()),
                ("u".into(), u64::MAX.into()),
                ("n".into(), f64::NAN.into()),
                ("z".into(), (-0.0).into()),
            ],
        ),
        (
            "R-036, 6.2-19, F-124: bytes that are no text",
            vec![(V::Binary(vec![0xff, 0xfe]), V::Binary(vec![0xc3, 0x28]))],
        ),
        (
            "R-037: keys that mean something elsewhere",
            vec![key("$set"), key("a.b"), key("_id"), key("__proto__"), key(""), key("a\0b")],
        ),
        ("6.2-21: an unknown ext", vec![("e".into(), V::Ext(77, vec![1, 2, 3]))]),
    ]
    .map(row)
    .into()
}

fn limits() -> Vec<Row> {
    let items = V::Array(vec![V::Nil; 1_000_001]);
    let long = "x".repeat(3 << 20);
    let row = |name, record: V, code| {
        let row = Row::new(name, batch(array([1.into(), record]))).acked();
        row.stores(&["a", "b"]).refuses(code, 1)
    };
    vec![
        row("R-033: too many items", map([("k", items)]), "entry_too_many_items"),
        row("R-033, R-034: too long", record(&long), "entry_record_too_long"),
    ]
}
