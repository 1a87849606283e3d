use super::*;
use crate::{Epoch, Group, GroupBuilder, Log, Map, Value};

fn group(log: &Log) -> Group {
    GroupBuilder::single(Epoch::from_bytes([1; 7]), &log.to_batch().unwrap(), 0)
}

fn observe(tally: &mut FieldTally, log: &Log) {
    tally.observe(&group(log).get(0).unwrap());
}

fn names(fields: &[FieldStats]) -> Vec<(&str, u64, String)> {
    let kinds = |kinds: ValueKinds| kinds.names().collect::<Vec<_>>().join("+");
    fields.iter().map(|field| (&*field.path, field.events, kinds(field.kinds))).collect()
}

fn wide(from: usize, to: usize) -> Log {
    let mut log = Log::new("m");
    log.metadata = (from..to).map(|key| (format!("k{key:06}"), 1)).collect::<Map>();
    log
}

#[test]
fn an_event_counts_once_for_each_path() {
    let mut tally = FieldTally::default();
    let inner = |value: Value| Value::Map(Map::from_iter([("status", value)]));
    let list = Value::Array(vec![inner(500.into()), inner("bad".into()), Value::Array(vec![])]);
    observe(&mut tally, &Log::new("m").field("http", list).field("level", "odd"));
    observe(&mut tally, &Log::new("m").field("http", Value::Nil));
    let (fields, others) = tally.finish();
    let expected = [
        ("http", 2, "null+object".to_owned()),
        ("http.status", 1, "number+text".to_owned()),
        ("metadata.level", 1, "text".to_owned()),
    ];
    assert_eq!(names(&fields), expected);
    assert_eq!(others, 0);
}

#[test]
fn ten_thousand_paths_are_kept_and_the_rest_is_counted() {
    let mut tally = FieldTally::default();
    observe(&mut tally, &wide(0, 12_000));
    // Met late, but in most events.
    observe(&mut tally, &wide(11_000, 12_500));
    let (fields, others) = tally.finish();
    assert_eq!(fields.len(), MAX_FIELDS);
    assert_eq!(names(&fields)[0], ("k011000", 2, "number".to_owned()));
    assert!(fields[..1_000].iter().all(|field| field.events == 2));
    assert_eq!(fields.iter().map(|field| field.events).sum::<u64>() + others, 13_500);
}

#[test]
fn nothing_met_is_lost_beyond_the_memory() {
    let mut tally = FieldTally::with_memory(100 * (7 + PATH_OVERHEAD));
    let twice = Value::Array(vec![1.into(), 2.into()]);
    for _ in 0..3 {
        observe(&mut tally, &wide(0, 150).field("twice", twice.clone()));
    }
    let mut other = FieldTally::default();
    observe(&mut other, &wide(0, 10));
    observe(&mut other, &Log::new("m").field("x".repeat(MAX_PATH_BYTES + 1), twice));
    tally.merge(other);
    let (fields, others) = tally.finish();
    assert_eq!(fields.len(), 100);
    assert_eq!((&*fields[0].path, fields[0].events), ("k000000", 4));
    // 50 paths and the one with two values in three events, then a long one.
    assert_eq!(others, 3 * 51 + 1);
}
