use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{Buckets, Epoch, GroupBuilder, Key, Level, Log, Measure, Row, Value};

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds, 0).unwrap()
}

fn spec(keys: &[&str]) -> TableSpec {
    TableSpec::by(keys.iter().map(|key| Key::named(key)))
}

/// What a row is to have, by the text of its values.
type Naive = HashMap<String, (u64, f64, Timestamp, Timestamp, Vec<u64>)>;

fn naive_of(rows: &[Row]) -> Naive {
    let figures = |row: &Row| (row.count, row.sum, row.first, row.last, row.buckets.clone());
    rows.iter().map(|row| (format!("{:?}", row.key), figures(row))).collect()
}

fn a_log() -> impl Strategy<Value = Log> {
    let level = prop::sample::select(vec![None, Some(Level::Info), Some(Level::Error)]);
    let source = prop::sample::select(vec![None, Some("web"), Some("日本"), Some("")]);
    let number = prop_oneof![
        (0_i64..3).prop_map(Value::from),
        Just(Value::Float(1.0)),
        Just(Value::Float(0.5)),
        Just(Value::Str("1".into())),
        Just(Value::Nil),
    ];
    let values = prop::collection::vec(number, 0..4);
    (level, source, values, -3_i64..12, 0_i64..50).prop_map(|(level, source, values, at, size)| {
        let mut log = Log::new("m").timestamp(time(at)).field("size", size);
        log.level = level;
        log.source = source.map(str::to_owned);
        match values.len() {
            0 => log,
            1 => log.field("n", values[0].clone()),
            _ => log.field("n", Value::Array(values)),
        }
    })
}

/// The distinct values of a field, told from the owned event and not from the packed one.
fn values(log: &Log, key: &str) -> Vec<FieldValue> {
    let flat = |value: &Value| match value {
        Value::Int(number) => FieldValue::Int(i128::from(*number)),
        Value::UInt(number) => FieldValue::Int(i128::from(*number)),
        Value::Float(number) if number.fract() == 0.0 => FieldValue::Int(1),
        Value::Float(_) => FieldValue::Float(crate::Float(0.5)),
        Value::Str(text) => FieldValue::Text(text.as_str().into()),
        _ => FieldValue::Null,
    };
    let mut values = match key {
        "level" => log.level.map(FieldValue::Level).into_iter().collect(),
        "source" => {
            log.source.iter().map(|source| FieldValue::Text(source.as_str().into())).collect()
        }
        _ => match log.metadata.get(key) {
            Some(Value::Array(values)) => values.iter().map(flat).collect(),
            value => value.map(flat).into_iter().collect::<Vec<_>>(),
        },
    };
    let mut met = Vec::new();
    values.retain(|value| !met.contains(value) && (met.push(value.clone()), true).1);
    if values.is_empty() { vec![FieldValue::Missing] } else { values }
}

fn naive(logs: &[Log], keys: &[&str]) -> Naive {
    let mut rows = Naive::new();
    for log in logs {
        let mut combinations = vec![Vec::new()];
        for key in keys {
            let with = |row: &Vec<FieldValue>| {
                let row = row.clone();
                values(log, key).into_iter().map(move |value| [row.clone(), vec![value]].concat())
            };
            combinations = combinations.iter().flat_map(with).collect();
        }
        for key in combinations {
            let empty = (0, 0.0, Timestamp::MAX, Timestamp::MIN, vec![0; 2]);
            let row = rows.entry(format!("{key:?}")).or_insert(empty);
            row.0 += 1;
            let Some(Value::Int(size)) = log.metadata.get("size") else { panic!("{log:?}") };
            row.1 += f64::from(i32::try_from(*size).unwrap());
            (row.2, row.3) = (row.2.min(log.timestamp), row.3.max(log.timestamp));
            match log.timestamp.as_nanos() / 1_000_000_000 {
                0..=4 => row.4[0] += 1,
                5..=9 => row.4[1] += 1,
                _ => {}
            }
        }
    }
    rows
}

proptest! {
    /// Below the limits: counting every event in a map of its own.
    #[test]
    fn counts_what_a_map_counts(logs in prop::collection::vec(a_log(), 0..40), threads in 1_usize..4) {
        let keys: [&[&str]; 5] = [&[], &["level"], &["source", "level"], &["n"], &["n", "source", "n"]];
        let specs: Vec<_> = keys.iter().map(|keys| {
            let mut spec = spec(keys);
            spec.buckets = Buckets::between([time(0), time(5), time(10)]);
            spec.measure = Measure::Sum("size".into());
            spec
        }).collect();
        let shared = Arc::new(Mutex::new(Tables::new(specs)));
        // So little that they have to put rows into the shared ones while they count.
        let mut workers: Vec<_> = (0..threads).map(|_| Tables::beside(&shared, 4_000)).collect();
        for (at, log) in logs.iter().enumerate() {
            let group = GroupBuilder::single(Epoch::from_bytes([1; 7]), &log.to_batch().unwrap(), 0);
            workers[at % threads].observe(&group.get(0).unwrap());
        }
        for worker in workers {
            lock(&shared).merge(worker);
        }
        let tables = Arc::into_inner(shared).unwrap().into_inner().unwrap().finish();
        for (table, keys) in tables.iter().zip(keys) {
            prop_assert_eq!(table.error, None);
            prop_assert_eq!(naive_of(&table.rows), naive(&logs, keys));
            let is_sorted = table.rows.is_sorted_by(|a, b| {
                a.count > b.count || a.count == b.count && a.key < b.key
            });
            prop_assert!(is_sorted);
        }
    }

    /// Beyond the limits: the bounds of Space-Saving, whoever counted what.
    #[test]
    fn counts_within_its_error_what_does_not_fit(
        stream in prop::collection::vec((0_u32..4_000, 1_u64..4), 1..1_500),
        kept in 20_usize..60,
        threads in 1_usize..4,
        is_shared in any::<bool>(),
    ) {
        let bytes = RowKey::memory(&[FieldValue::Int(0)][..], 0);
        let specs: Arc<[TableSpec]> = vec![spec(&["n"])].into();
        let shared = Arc::new(Mutex::new(Tables::within(specs.clone(), kept * bytes)));
        let alone = || Tables::within(specs.clone(), kept * bytes);
        let beside = || Tables::beside(&shared, 10 * bytes);
        let mut workers: Vec<_> =
            (0..threads).map(|_| if is_shared { beside() } else { alone() }).collect();
        let (mut truth, mut all) = (HashMap::<i128, u64>::new(), 0);
        for (at, (draw, count)) in stream.iter().enumerate() {
            // Few values often, many of them seldom.
            let value = i128::from(draw * draw / 40_000);
            let tally = Tally { count: *count, sum: 0.0, times: (time(0), time(0)), bucket: None };
            workers[at % threads].add(0, &[FieldValue::Int(value)], &tally);
            *truth.entry(value).or_default() += count;
            all += count;
        }
        for worker in workers {
            lock(&shared).merge(worker);
        }
        let table = Arc::into_inner(shared).unwrap().into_inner().unwrap().finish().remove(0);
        let error = table.error.unwrap_or(0);
        prop_assert!(table.rows.len() <= kept);
        prop_assert_eq!(table.error.is_none(), table.rows.len() == truth.len() && error == 0);
        if threads == 1 || is_shared {
            // Of rows that stay when others go, each has more than what is lost.
            prop_assert!(error * (kept - kept.div_ceil(16)) as u64 <= all, "{} of {}", error, all);
        }
        for row in &table.rows {
            let FieldValue::Int(value) = row.key[0] else { panic!("{row:?}") };
            let count = truth.remove(&value).unwrap();
            prop_assert!((count..=count + error).contains(&row.count), "{} {:?} {}", count, row, error);
        }
        // What has no row had no more than that.
        for (value, count) in truth {
            prop_assert!(count <= error, "{} {} {}", value, count, error);
        }
    }
}

#[test]
fn rows_that_were_asked_for_are_kept_and_the_rest_is_counted() {
    let mut by_level = spec(&["level"]);
    let row = |level| Box::from([FieldValue::Level(level)]);
    by_level.only = Some(vec![row(Level::Error), row(Level::Warn), row(Level::Error)].into());
    let mut tables = Tables::within(vec![by_level], 0);
    for level in [Level::Error, Level::Info, Level::Error, Level::Debug] {
        tables.observe(&Log::new("m").level(level));
    }
    let mut other = Tables::within(tables.specs().clone(), 0);
    other.observe(&Log::new("m"));
    tables.merge(other);
    let table = tables.finish().remove(0);
    let rows: Vec<_> = table.rows.iter().map(|row| (&row.key[0], row.count)).collect();
    assert_eq!(rows, [(&FieldValue::Level(Level::Error), 2)]);
    assert_eq!((table.rest.map(|rest| rest.count), table.error), (Some(3), None));
}

/// An event with wide arrays would be in a thousand million rows.
#[test]
fn one_event_is_in_so_many_rows_at_most() {
    let wide = |from: i64| Value::Array((from..from + 5_000).map(Value::from).collect());
    let log = Log::new("m").field("a", wide(0)).field("b", wide(0)).field("c", wide(0));
    let specs = vec![spec(&["a"]), spec(&["a", "b", "c"])];
    let mut tables = Tables::new(specs);
    tables.observe(&log);
    let rows: Vec<_> = tables.finish().iter().map(|table| table.rows.len()).collect();
    assert_eq!(rows, [1_000, MAX_ROWS_OF_EVENT]);
}
