//! What is put into a block comes out of it, and what a block says of its events is true.

use std::sync::Arc;

use bytes::Bytes;
use logmon_core::filter::key;
use logmon_core::{
    Entries, Epoch, Event as _, FieldMap, FieldTally, Group, GroupBuilder, NewBatch, Reading, Tag,
    TimeUnit, Timestamp, Value, msgpack,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::paths::PathCount;
use super::*;
use crate::vfs::Vfs as _;
use crate::vfs::memory::MemoryVfs;

mod over;
mod queries;

pub(super) fn epoch() -> Epoch {
    Epoch::from_bytes([1, 2, 3, 4, 5, 6, 7])
}

/// Events of one batch, as the bytes of entries.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) tag: &'static str,
    pub(super) received: i64,
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) fields: usize,
    /// How many numbers are missing before it.
    pub(super) hole: u64,
}

pub(super) fn field_map(number: usize) -> Arc<FieldMap> {
    Arc::new(match number {
        0 => FieldMap::default(),
        1 => FieldMap::new(&["x"], &["m.a", "y"], &["m.b"]).unwrap(),
        _ => FieldMap::new(&["a.level", "level"], &["message"], &["y", "x"]).unwrap(),
    })
}

pub(super) fn group(cases: &[Case]) -> Group {
    let mut builder = GroupBuilder::with_capacity(epoch(), 0, 0, 0);
    let mut seq = 7;
    for case in cases {
        let received = Timestamp::from_nanos(case.received);
        let mut reading = Reading::new(field_map(case.fields), received);
        reading.time_unit = TimeUnit::Auto;
        let entries = Entries::read(Bytes::from(case.entries.concat()), &reading).unwrap();
        seq += case.hole;
        builder.push(&NewBatch::new(Tag::from(case.tag), entries), seq);
        seq += case.entries.len() as u64;
    }
    builder.finish()
}

/// One block with all events of a group, on a disk in memory.
pub(super) fn block_of(group: &Group) -> Block {
    let (info, bytes) = build(group);
    block_in(info, bytes)
}

pub(super) fn build(group: &Group) -> (BlockInfo, Vec<u8>) {
    let mut builder = BlockBuilder::new();
    for log in group.iter() {
        assert!(builder.push(log));
    }
    let unit = Unit { seqs: group.first_seq()..group.end_seq(), part: (0, 1) };
    let mut bytes = Vec::new();
    let info = builder.finish(unit, &mut bytes).unwrap();
    assert!(builder.is_empty());
    (info, bytes)
}

pub(super) fn block_in(info: BlockInfo, bytes: Vec<u8>) -> Block {
    let vfs = MemoryVfs::new();
    vfs.put("a.blocks", [vec![9; 5], bytes].concat());
    Block::new(Arc::new(info), vfs.open("a.blocks").unwrap(), "a.blocks".into(), 5)
}

fn json(group: &Group) -> Vec<String> {
    let each = group.iter().map(|log| {
        let mut out = Vec::new();
        log.write_json(&mut out);
        String::from_utf8(out).unwrap()
    });
    each.collect()
}

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => "[abAB .=_1]{0,12}",
        10 => "[aA接続ß😀İ ー]{0,8}",
        5 => Just("timeout after 30 ms".to_owned()),
        5 => Just("a".repeat(40)),
        5 => Just("b".repeat(300)),
        1 => Just("c".repeat(70_000)),
    ]
}

/// A value as a sender may write it, in bytes.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => Just(Value::Nil),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-3_i64..4).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::UInt),
        1 => any::<f64>().prop_map(Value::from),
        1 => (-2_i8..3).prop_map(|n| Value::from(f64::from(n))),
        1 => any::<i64>().prop_map(|n| Value::Time(Timestamp::from_nanos(n))),
        1 => vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
        1 => vec(any::<u8>(), 0..4).prop_map(|data| Value::Ext(5, data)),
        1 => Just(Value::from("WARN")),
        1 => Just(Value::from("warning")),
    ];
    let leaf = leaf.prop_map(|value| {
        let mut out = Vec::new();
        value.write_msgpack(&mut out);
        out
    });
    // Headers that are longer than they need be.
    let odd = prop_oneof![
        Just(vec![0xd9, 1, b'a']),
        Just(vec![0xda, 0, 1, b'a']),
        Just(vec![0xdb, 0, 0, 0, 2, b'h', b'i']),
        Just(vec![0xc5, 0, 2, b'h', b'i']),
        Just(vec![0xcd, 0, 1]),
        Just(vec![0xca, 0x3f, 0x80, 0, 0]),
        Just(vec![0xa2, 0xff, 0xfe]),
        Just(vec![0x80]),
        Just(vec![0x90]),
    ];
    prop_oneof![6 => leaf, 1 => odd].prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..3).prop_map(|items| {
                let mut out = Vec::new();
                msgpack::write_array_len(&mut out, u32::try_from(items.len()).unwrap());
                items.iter().for_each(|item| out.extend_from_slice(item));
                out
            }),
            2 => vec((key(), inner), 0..4).prop_map(|pairs| map(&pairs)),
        ]
    })
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let names = vec![
        "level",
        "message",
        "source",
        "msg",
        "severity",
        "metadata",
        "level_raw",
        "x",
        "y",
        "z",
        "m",
        "a",
        "b",
        "x.y",
        "m.a",
        "",
        "log.level",
        "log",
    ];
    let text = proptest::sample::select(names).prop_map(|name| {
        let mut out = Vec::new();
        msgpack::write_str(&mut out, name);
        out
    });
    prop_oneof![20 => text, 1 => Just(vec![7]), 1 => Just(vec![0xa1, 0xff])]
}

fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::write_map_len(&mut out, u32::try_from(pairs.len()).unwrap());
    for (key, value) in pairs {
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    out
}

fn time() -> impl Strategy<Value = Vec<u8>> {
    let event_time = |nanos: i64| {
        let mut out = Vec::new();
        msgpack::write_event_time(&mut out, Timestamp::from_nanos(nanos));
        out
    };
    prop_oneof![
        6 => (0_i64..5_000_000_000).prop_map(event_time),
        1 => any::<i64>().prop_map(event_time),
        1 => Just(event_time(i64::MIN)),
        1 => Just(event_time(4_102_444_800_000_000_000)),
        1 => Just(vec![0]),
        1 => Just(vec![0xc0]),
        1 => Just(vec![0xcb, 0x41, 0xd2, 0, 0, 0, 0, 0, 0]),
        1 => Just(vec![0xce, 0x65, 0, 0, 0]),
    ]
}

fn entry() -> impl Strategy<Value = Vec<u8>> {
    let record = vec((key(), value()), 0..7).prop_map(|pairs| map(&pairs));
    // A sender has few forms of records.
    let plain = (text(), text(), 0_i64..5, proptest::option::of(text())).prop_map(
        |(message, source, x, y)| {
            let mut record = logmon_core::Map::new();
            record.insert("level", if x == 0 { "warning" } else { "INFO" });
            record.insert("message", message);
            record.insert("source", source);
            record.insert("x", x);
            if let Some(y) = y {
                let mut inner = logmon_core::Map::new();
                inner.insert("z", y);
                record.insert("y", Value::Map(inner));
            }
            let mut out = Vec::new();
            Value::Map(record).write_msgpack(&mut out);
            out
        },
    );
    let header = prop_oneof![
        5 => Just(None),
        1 => vec((key(), value()), 0..3).prop_map(|pairs| Some(map(&pairs))),
        1 => Just(Some(vec![0xc0])),
    ];
    (time(), header, prop_oneof![record, plain], 0_u8..8).prop_map(|(time, header, record, odd)| {
        let mut out = vec![if odd == 0 { 0x93 } else { 0x92 }];
        match header {
            Some(header) => out.extend([&[0x92], &time[..], &header].concat()),
            None if odd == 1 => out.extend([&[0x91], &time[..]].concat()),
            None => out.extend(time),
        }
        out.extend(record);
        if odd == 0 {
            out.push(1);
        }
        out
    })
}

pub(super) fn cases() -> impl Strategy<Value = Vec<Case>> {
    let tags = proptest::sample::select(vec!["a", "a.b", "", "日本"]);
    let case = (tags, vec(entry(), 1..6), any::<bool>(), 0_i64..3, 0_usize..3, 0_u64..3).prop_map(
        |(tag, entries, is_odd, received, fields, hole)| {
            let received = if is_odd { received - 1 } else { 1_700_000_000_000_000_000 + received };
            Case { tag, received, entries, fields, hole }
        },
    );
    vec(case, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::effort::cases(128)))]

    #[test]
    fn events_come_out_as_they_went_in(cases in cases(), picks in vec(any::<bool>(), 48)) {
        let group = group(&cases);
        let block = block_of(&group);
        let mut scratch = Scratch::default();
        block.verify(&mut scratch).unwrap();
        let open = block.open(&mut scratch);
        let read = open.read_all().unwrap();
        prop_assert_eq!(json(&read), json(&group));
        for (log, original) in read.iter().zip(group.iter()) {
            prop_assert_eq!(log.message_bytes(), original.message_bytes());
            prop_assert_eq!(log.timestamp(), original.timestamp());
            prop_assert_eq!(log.to_log(), original.to_log());
            prop_assert_eq!(log.batch().fields(), original.batch().fields());
        }
        let rows: Vec<usize> = (0..group.len()).filter(|row| picks[row % 48]).collect();
        let few: Vec<u32> = rows.iter().map(|row| u32::try_from(*row).unwrap()).collect();
        prop_assert_eq!(json(&open.materialise(&few).unwrap()), json(&group.select(&rows)));
    }

    #[test]
    fn the_header_is_true_and_comes_back(cases in cases()) {
        let group = group(&cases);
        let (info, bytes) = build(&group);
        prop_assert_eq!(BlockInfo::parse(&bytes), Ok(info.clone()));
        prop_assert_eq!(info.len as usize, bytes.len());
        prop_assert_eq!(info.seqs.clone(), group.first_seq()..group.end_seq());
        let times: Vec<_> = group.iter().map(|log| log.timestamp()).collect();
        let received: Vec<_> = group.iter().map(|log| log.received()).collect();
        prop_assert_eq!(Some(info.times.0), times.iter().min().copied());
        prop_assert_eq!(Some(info.times.1), times.iter().max().copied());
        prop_assert_eq!(Some(info.received.0), received.iter().min().copied());
        prop_assert_eq!(Some(info.received.1), received.iter().max().copied());
        for level in [None].into_iter().chain(logmon_core::Level::ALL.map(Some)) {
            let count = group.iter().filter(|log| log.level() == level).count();
            prop_assert_eq!(info.count_of(level) as usize, count);
        }
    }

    #[test]
    fn every_key_of_every_event_is_found(cases in cases()) {
        let group = group(&cases);
        let block = block_of(&group);
        let mut scratch = Scratch::default();
        for log in group.iter() {
            let mut keys = Vec::new();
            key::each_token(&log.message(), |key| keys.push(key));
            log.each_metadata(&mut |path, value| {
                let path = key::path(path);
                keys.push(path);
                keys.extend(key::value(path, value));
            });
            for key in keys {
                prop_assert!(block.open(&mut scratch).may_have(key).unwrap(), "{log:?}");
            }
        }
    }

    #[test]
    fn paths_are_counted_as_queries_find_them(cases in cases()) {
        let group = group(&cases);
        let block = block_of(&group);
        let (mut expected, mut found) = (FieldTally::default(), FieldTally::default());
        group.iter().for_each(|log| expected.observe(&log));
        let counts = block.open(&mut Scratch::default()).paths().unwrap();
        for PathCount { path, events, kinds } in counts.paths {
            if let (Ok(path), 1..) = (str::from_utf8(&path), events) {
                found.add(path, events.into(), kinds);
            }
        }
        let catalogue = |tally| {
            let head = logmon_core::Position { epoch: epoch(), seq: 1 };
            let all = logmon_core::FieldCatalogue::new(tally, head, logmon_core::QueryStats::default());
            (all.fields, all.others)
        };
        prop_assert_eq!(catalogue(found), catalogue(expected));
        prop_assert!(!counts.is_truncated);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::effort::cases(24)))]

    /// whatever stands in a file, nothing panics or takes memory without bound.
    #[test]
    fn bytes_that_were_tampered_with_do_no_harm(
        cases in cases(), changes in vec((any::<u32>(), any::<u8>()), 1..12), cut in any::<u16>()
    ) {
        let (_, mut bytes) = build(&group(&cases));
        prop_assert_eq!(fuzz::read_block(&bytes).0, fuzz::read_block(&bytes).1);
        for (at, byte) in changes {
            let at = at as usize % bytes.len();
            bytes[at] = byte;
        }
        fuzz::read_block(&bytes);
        bytes.truncate(usize::from(cut) % bytes.len());
        fuzz::read_block(&bytes);
    }
}

/// A flipped bit anywhere costs what it stands in, and is told by its place.
#[test]
fn any_flip_is_seen() {
    let entries = (0..40).map(|n| {
        let mut out = Vec::new();
        logmon_core::write_entry(&mut out, Timestamp::from_nanos(n * 1_000_000_000), |out| {
            let mut map = logmon_core::Map::new();
            map.insert("message", format!("request {n} took {} ms", n * 7));
            map.insert("level", "INFO");
            Value::Map(map).write_msgpack(out);
        });
        out
    });
    let case = Case { tag: "a", received: 5, entries: entries.collect(), fields: 0, hole: 0 };
    let (info, bytes) = build(&group(&[case]));
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        if at < HEADER_BYTES {
            assert!(BlockInfo::parse(&flipped).is_err(), "byte {at}");
            continue;
        }
        let error = block_in(info.clone(), flipped).verify(&mut Scratch::default()).unwrap_err();
        let BlockError::Damage(damage) = error else { panic!("{error}") };
        let place = at as u64 + 5;
        assert!(
            (damage.offset..damage.offset + damage.len).contains(&place),
            "{damage} for {place}"
        );
    }
}

#[test]
fn many_events_take_many_pages_and_a_builder_is_as_new_afterwards() {
    let entry = |n: i64| {
        let mut out = Vec::new();
        logmon_core::write_entry(&mut out, Timestamp::from_nanos(n * 1_001), |out| {
            let mut map = logmon_core::Map::new();
            map.insert("message", "x".repeat(usize::try_from(n % 900).unwrap()));
            map.insert(format!("key{}", n % 1_500), n);
            Value::Map(map).write_msgpack(out);
        });
        out
    };
    let entries = (0..3_000).map(entry).collect();
    let group = group(&[Case { tag: "a", received: 5, entries, fields: 0, hole: 0 }]);
    let (info, bytes) = build(&group);
    let mut builder = BlockBuilder::new();
    for _ in 0..2 {
        assert!(group.iter().all(|log| builder.push(log)));
        assert!(!builder.push(group.get(0).unwrap()), "numbers ascend");
        let mut again = Vec::new();
        let unit = Unit { seqs: group.first_seq()..group.end_seq(), part: (0, 1) };
        assert_eq!(builder.finish(unit, &mut again), Some(info.clone()));
        assert_eq!(again, bytes);
    }
    let block = block_in(info, bytes);
    let mut scratch = Scratch::default();
    let open = block.open(&mut scratch);
    assert!(open.pages().unwrap().len() > 5);
    assert!(open.paths().unwrap().is_truncated);
    assert_eq!(json(&open.read_all().unwrap()), json(&group));
    let some = [0, 1, 511, 512, 2_999];
    let rows: Vec<usize> = some.iter().map(|row| *row as usize).collect();
    assert_eq!(json(&open.materialise(&some).unwrap()), json(&group.select(&rows)));
}
