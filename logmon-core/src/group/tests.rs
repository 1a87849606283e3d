use std::ops::Bound;

use super::*;
use crate::event::{Event, Scalar};
use crate::filter::{Atom, FieldTest, Filter, FilterSet, Literal, Range, ValueTest};
use crate::msgpack::tests::encode;
use crate::{Level, Log, Reading};
use crate::{Map, Value};
use bytes::Bytes;
use proptest::prelude::*;
use rmpv::Value as V;

fn epoch() -> Epoch {
    Epoch::from_bytes([1, 2, 3, 4, 5, 6, 7])
}

fn reading() -> Reading {
    Reading::new(Arc::default(), Timestamp::from_seconds(1_800_000_000, 0).unwrap())
}

fn batch(tag: &str, entries: &[V]) -> NewBatch {
    let payload: Vec<u8> = entries.iter().flat_map(encode).collect();
    NewBatch::new(tag.into(), Entries::read(Bytes::from(payload), &reading()).unwrap())
}

fn group_of(entries: &[V]) -> Group {
    GroupBuilder::single(epoch(), &batch("app.web", entries), 10)
}

fn map(pairs: &[(&str, V)]) -> V {
    V::Map(pairs.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
}

fn entry(record: V) -> V {
    V::Array(vec![1_441_588_984.into(), record])
}

fn json_of(entry: V) -> serde_json::Value {
    let mut out = Vec::new();
    group_of(&[entry]).get(0).unwrap().write_json(&mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn writes_the_form_of_the_api() {
    let json = json_of(entry(map(&[
        ("level", "error".into()),
        ("message", "charge failed".into()),
        ("source", "billing-api".into()),
        ("http", map(&[("status", 502.into())])),
        ("metadata", map(&[("user", "u-17".into())])),
    ])));
    assert_eq!(
        json,
        serde_json::json!({
            "id": "01020304050607000000000a",
            "seq": "10",
            "timestamp": "2015-09-07T01:23:04.000000000Z",
            "received": "2027-01-15T08:00:00.000000000Z",
            "tag": "app.web",
            "level": "ERROR",
            "source": "billing-api",
            "message": "charge failed",
            "metadata": {"http": {"status": 502}, "user": "u-17"},
        })
    );
}

/// The order of merging: record, its `metadata` map, the header's map; a loser stays reachable.
#[test]
fn merges_metadata_and_keeps_the_losers() {
    let header = V::Array(vec![5.into(), map(&[("a", 3.into()), ("c", 4.into())])]);
    let record = map(&[
        ("a", 1.into()),
        ("metadata", map(&[("a", 2.into()), ("b", 2.into())])),
        ("message", "m".into()),
    ]);
    let json = json_of(V::Array(vec![header, record]));
    assert_eq!(
        json["metadata"],
        serde_json::json!({"a": 1, "b": 2, "c": 4, "metadata": {"a": 2, "a_2": 3}})
    );
}

/// A name made for a loser may be taken as well; every value stays.
#[test]
fn every_loser_keeps_a_name_of_its_own() {
    let header = V::Array(vec![5.into(), map(&[("a", 3.into())])]);
    let inner = map(&[("a", 2.into()), ("a_2", 4.into())]);
    let record = map(&[
        ("a", 1.into()),
        ("a_2", 1.into()),
        ("metadata", 7.into()),
        ("metadata_2", 8.into()),
        ("metadata", inner),
    ]);
    let losers = serde_json::json!({"a": 2, "a_2": 4, "a_3": 3});
    let metadata =
        serde_json::json!({"a": 1, "a_2": 1, "metadata": 7, "metadata_2": 8, "metadata_3": losers});
    assert_eq!(json_of(V::Array(vec![header, record]))["metadata"], metadata);
}

/// Finding the losers among so many keys was quadratic: minutes for one record.
#[test]
fn wide_metadata_is_merged_in_linear_time() {
    let keys = |value: u32| V::Map((0..200_000).map(|key| (key.into(), value.into())).collect());
    let header = V::Array(vec![5.into(), keys(2)]);
    let record = map(&[("0", 0.into()), ("metadata", keys(1)), ("message", "m".into())]);
    let group = group_of(&[V::Array(vec![header, record])]);
    let log = group.get(0).unwrap();
    assert_eq!(found(&log, "7"), ["Int(1)"]);
    assert_eq!(found(&log, "metadata.7"), ["Int(2)"]);
    assert_eq!(log.to_log().metadata.len(), 200_001);
}

#[test]
fn a_metadata_key_that_is_no_map_is_an_ordinary_key() {
    let json = json_of(entry(map(&[("metadata", 5.into()), ("message", "m".into())])));
    assert_eq!(json["metadata"], serde_json::json!({"metadata": 5}));
}

#[test]
fn a_level_that_says_more_or_nothing_stays_readable() {
    let level = |value: V| {
        let json = json_of(entry(map(&[("level", value), ("message", "m".into())])));
        (json["level"].clone(), json["metadata"].clone())
    };
    assert_eq!(level("Error".into()), ("ERROR".into(), serde_json::json!({})));
    assert_eq!(level("notice".into()), ("INFO".into(), serde_json::json!({"level_raw": "notice"})));
    assert_eq!(level(30.into()), ("INFO".into(), serde_json::json!({"level_raw": 30})));
    let unreadable = serde_json::json!({"level": "loud"});
    assert_eq!(level("loud".into()), (serde_json::Value::Null, unreadable));
}

#[test]
fn the_first_key_of_a_list_wins_and_the_others_are_metadata() {
    let json = json_of(entry(map(&[
        ("msg", "second".into()),
        ("log", map(&[("level", "warn".into()), ("file", "x".into())])),
        ("message", "first".into()),
        ("service.name", "web".into()),
    ])));
    assert_eq!(json["message"], "first");
    assert_eq!(json["level"], "WARN", "log.level, nested");
    assert_eq!(json["source"], "web", "service.name, the literal key");
    assert_eq!(
        json["metadata"],
        serde_json::json!({"msg": "second", "log": {"level": "warn", "file": "x"}})
    );
}

#[test]
fn a_message_that_is_no_text_is_its_json() {
    let message = |record| json_of(entry(record))["message"].clone();
    assert_eq!(message(map(&[("message", map(&[("a", 1.into())]))])), r#"{"a":1}"#);
    assert_eq!(message(map(&[("message", 5.into())])), "5");
    assert_eq!(message(map(&[("k", "v".into())])), r#"{"k":"v"}"#, "no message: the record");
    assert_eq!(message(map(&[("message", V::Nil), ("msg", "x".into())])), "x");
}

/// F-047: of equal keys the last counts, for the fields as for metadata.
#[test]
fn the_last_of_equal_keys_counts() {
    let json = json_of(entry(map(&[
        ("message", "old".into()),
        ("k", 1.into()),
        ("message", "new".into()),
        ("k", 2.into()),
    ])));
    assert_eq!(
        (&json["message"], &json["metadata"]),
        (&"new".into(), &serde_json::json!({"k": 2}))
    );
}

/// F-046, F-048: keys that are bytes are text, other keys are their JSON text.
#[test]
fn keys_need_not_be_text() {
    let record = V::Map(vec![
        (V::from(&b"message"[..]), "m".into()),
        (V::from(7), "int".into()),
        (V::Nil, V::Map(vec![(V::from(&b"deep"[..]), 1.into())])),
    ]);
    let json = json_of(entry(record));
    assert_eq!(json["message"], "m");
    assert_eq!(json["metadata"], serde_json::json!({"7": "int", "null": {"deep": 1}}));
}

/// F-124: bytes that are no UTF-8 are kept, shown as U+FFFD, and told.
#[test]
fn invalid_utf8_is_told() {
    let mut payload = encode(&V::Array(vec![5.into(), map(&[("message", "ab".into())])]));
    let at = payload.len() - 1;
    payload[at] = 0xff;
    let entries = Entries::read(Bytes::from(payload), &reading()).unwrap();
    let group = GroupBuilder::single(epoch(), &NewBatch::new("t".into(), entries), 0);
    let log = group.get(0).unwrap();
    assert_eq!(log.message_bytes(), Some(&b"a\xff"[..]));
    let mut out = Vec::new();
    log.write_json(&mut out);
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&json["message"], &json["encoding"]), (&"a\u{fffd}".into(), &"lossy".into()));
}

/// A message that is no text is shown with U+FFFD as well, and that is told as well.
#[test]
fn invalid_utf8_inside_a_message_that_is_no_text_is_told() {
    for key in ["message", "source"] {
        let record = map(&[(key, V::Array(vec!["ab".into()])), ("m", "x".into())]);
        let mut payload = encode(&V::Array(vec![5.into(), record]));
        let at = payload.windows(2).position(|pair| pair == b"ab").unwrap();
        payload[at] = 0xff;
        let entries = Entries::read(Bytes::from(payload), &reading()).unwrap();
        let group = GroupBuilder::single(epoch(), &NewBatch::new("t".into(), entries), 0);
        let mut out = Vec::new();
        group.get(0).unwrap().write_json(&mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json[key], "[\"\u{fffd}b\"]");
        assert_eq!(json["encoding"], "lossy", "{json}");
    }
}

/// The limit of items is one of each value of a record; the record as a whole may hold more.
#[test]
fn a_big_record_without_a_message_is_its_json() {
    let value = || V::Array((0..600_000).map(|_| V::Nil).collect());
    let group = group_of(&[entry(map(&[("a", value()), ("b", value())]))]);
    let message = group.get(0).unwrap().message().into_owned();
    assert!(
        message.starts_with("{\"a\":[null,") && message.ends_with("null]}"),
        "{}",
        message.len()
    );
}

fn found(log: &impl Event, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    log.visit_metadata(path, &mut |scalar| {
        found.push(format!("{scalar:?}"));
        false
    });
    found
}

#[test]
fn paths_reach_nested_maps_literal_dots_and_arrays() {
    let group = group_of(&[entry(map(&[
        ("a", map(&[("b", 1.into()), ("c.d", 2.into())])),
        ("a.b", 3.into()),
        ("list", V::Array(vec![4.into(), V::Array(vec![5.into()]), map(&[("x", 6.into())])])),
        ("metadata", map(&[("a", "lost".into())])),
        ("message", "m".into()),
    ]))]);
    let log = group.get(0).unwrap();
    assert_eq!(found(&log, "a.b"), ["Int(1)", "Int(3)"]);
    assert_eq!(found(&log, "a.c.d"), ["Int(2)"]);
    assert_eq!(found(&log, "list"), ["Int(4)", "Int(5)", "Map"]);
    assert_eq!(found(&log, "list.x"), ["Int(6)"]);
    assert_eq!(found(&log, "metadata.a"), ["Str(\"lost\")"]);
    assert_eq!(found(&log, "metadata"), ["Map"], "the map of the losers");
    assert_eq!(found(&log, "message"), [""; 0], "a field, not metadata");
    assert_eq!(found(&log, "a."), [""; 0]);
}

#[test]
fn numbers_and_indices_belong_together() {
    let mut builder = GroupBuilder::with_capacity(epoch(), 5, 2, 1000);
    let record = || entry(map(&[("message", "m".into())]));
    builder.push(&batch("a", &[record(), record()]), 100);
    builder.push(&batch("b", &[record(), record(), record()]), 110); // a hole before it
    let group = builder.finish();
    assert_eq!((group.first_seq(), group.end_seq(), group.len()), (100, 113, 5));
    assert_eq!(group.iter().map(|log| log.seq()).collect::<Vec<_>>(), [100, 101, 110, 111, 112]);
    for at in 0..5 {
        assert_eq!(group.get(at).unwrap().seq(), group.iter().nth(at).unwrap().seq());
    }
    for (seq, at) in [(0, 0), (100, 0), (101, 1), (102, 2), (109, 2), (110, 2), (112, 4), (113, 5)]
    {
        assert_eq!(group.index_of(seq), at, "{seq}");
    }
    let tags: Vec<_> =
        group.batches().map(|batch| (batch.tag().to_string(), batch.range())).collect();
    assert_eq!(tags, [("a".to_owned(), 0..2), ("b".to_owned(), 2..5)]);
    assert!(
        group.iter().all(|log| log.entry().len() == log.entry().len() && !log.entry().is_empty())
    );
}

fn any_record() -> impl Strategy<Value = V> {
    let key = prop_oneof![
        Just("message"),
        Just("level"),
        Just("source"),
        Just("metadata"),
        Just("msg"),
        Just("k")
    ];
    prop::collection::vec((key.prop_map(V::from), msgpack::tests::any_value()), 0..8)
        .prop_map(V::Map)
}

proptest! {
    /// The pairs are those of the owned form, whether something had to be merged or not.
    #[test]
    fn pairs_are_those_of_the_owned_form(record in any_record()) {
        let group = group_of(&[entry(record)]);
        let log = group.get(0).unwrap();
        let mut pairs = Map::new();
        log.each_pair(&mut |key, value| {
            pairs.insert(String::from_utf8_lossy(key), Value::from_msgpack(value).unwrap());
        });
        let json = |map: Map| Value::Map(map).to_json();
        prop_assert_eq!(json(pairs), json(log.to_log().metadata));
    }

    /// Bytes that stand in the arena already give the group that pushing gives.
    #[test]
    fn stored_bytes_give_the_same_group(records in prop::collection::vec(any_record(), 1..8)) {
        let entries: Vec<V> = records.into_iter().map(entry).collect();
        let pushed = group_of(&entries);
        let payload: Vec<u8> = entries.iter().flat_map(encode).collect();
        let len = payload.len();
        let mut builder = GroupBuilder::over(epoch(), payload, entries.len());
        builder.add_stored("app.web".into(), RouteSet::ALL, 10, (0..len, &reading())).unwrap();
        let stored = builder.finish();
        let text = |group: &Group| format!("{:?}", group.iter().collect::<Vec<_>>());
        prop_assert_eq!(text(&pushed), text(&stored));
    }

    /// The JSON is JSON and says what the accessors say.
    #[test]
    fn json_agrees_with_the_accessors(record in any_record()) {
        let group = group_of(&[entry(record)]);
        let log = group.get(0).unwrap();
        let mut out = Vec::new();
        log.write_json(&mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(json["message"].as_str(), Some(&*log.message()));
        let source = log.source();
        prop_assert_eq!(json["source"].as_str(), source.as_deref());
        prop_assert_eq!(json["level"].as_str(), log.level().map(Level::as_str));
    }

    /// The walk over all metadata shows at each path what a query for the path finds.
    #[test]
    fn each_path_is_shown_with_what_a_query_finds_there(
        record in any_record(),
        header in prop::option::of(any_record()),
    ) {
        let time = V::from(1_441_588_984);
        let time = header.map_or(time.clone(), |header| V::Array(vec![time, header]));
        let group = group_of(&[V::Array(vec![time, record])]);
        let log = group.get(0).unwrap();
        let mut shown = std::collections::BTreeMap::<Vec<u8>, Vec<String>>::new();
        log.each_metadata(&mut |path, value| {
            shown.entry(path.to_vec()).or_default().push(format!("{value:?}"));
        });
        for (path, mut values) in shown {
            let Ok(path) = String::from_utf8(path) else { continue };
            let mut expected = found(&log, &path);
            values.sort();
            expected.sort();
            prop_assert_eq!(values, expected, "{}", path);
        }
    }
}

proptest! {
    /// Many filters about the metadata, answered by one walk, say what each says by itself.
    #[test]
    fn a_set_of_filters_about_metadata_agrees_with_each(
        records in prop::collection::vec(any_record(), 1..5),
    ) {
        let entries: Vec<V> = records.into_iter().map(entry).collect();
        let group = group_of(&entries);
        let mut tests = vec![("none".to_owned(), ValueTest::Exists)];
        for log in group.iter() {
            log.each_metadata(&mut |path, value| {
                let path = String::from_utf8_lossy(path).into_owned();
                let literal = match value {
                    Scalar::Int(number) => Literal::bare(&number.to_string()),
                    Scalar::Str(text) => Literal::Text(text.into()),
                    _ => Literal::Null,
                };
                let range = Range { lower: Bound::Included(literal.clone()), upper: Bound::Unbounded };
                let forms = [ValueTest::Exists, ValueTest::Equals(literal), ValueTest::Range(range)];
                tests.extend(forms.map(|test| (path.clone(), test)));
            });
        }
        let mut set = FilterSet::new();
        let mut filters = std::collections::BTreeMap::new();
        for (path, test) in tests {
            let filter = Filter::from(Atom::Field(FieldTest::metadata(path, test)));
            filters.insert(set.register(&filter), filter);
        }
        let mut found = set.evaluate(group.iter()).into_iter().peekable();
        for (id, filter) in filters {
            let accepted = (0_u32..).zip(group.iter()).filter(|(_, log)| filter.matches(log));
            let expected: Vec<u32> = accepted.map(|(at, _)| at).collect();
            let events = found.next_if(|matches| matches.filter == id);
            prop_assert_eq!(events.map(|matches| matches.events).unwrap_or_default(), expected, "{}", filter);
        }
        prop_assert_eq!(found.next(), None);
    }
}

#[test]
fn an_owned_log_comes_back_as_itself() {
    let log = Log::new("hello")
        .level(Level::Warn)
        .source("web")
        .field("level", "shadow")
        .field("service", "other")
        .field("nested", Map::from_iter([("a", Value::Array(vec![1.into(), "x".into()]))]));
    // 1 is written without a sign, hence read as an unsigned integer.
    let expected = Log { received: log.received, ..log.clone() };
    let group = GroupBuilder::single(epoch(), &log.to_batch().unwrap(), 0);
    let back = group.get(0).unwrap().to_log();
    assert_eq!(format!("{back:?}").replace("UInt(1)", "Int(1)"), format!("{expected:?}"));
    assert_eq!(found(&log, "nested.a"), ["Int(1)", "Str(\"x\")"]);
}

#[test]
fn a_selection_has_the_events_and_nothing_else() {
    let many: Vec<V> = (0..5)
        .map(|n| entry(map(&[("k", n.into()), ("source", "s".into()), ("message", n.into())])))
        .collect();
    let (one, two) = (batch("a", &many), batch("b", &many[..2]));
    let mut builder = GroupBuilder::with_capacity(epoch(), 7, 2, 1000);
    builder.push(&one, 10);
    builder.push(&two, 20);
    let group = builder.finish();
    for indices in [&[][..], &[3], &[0, 1, 4, 5, 6], &[2, 6], &[0, 1, 2, 3, 4, 5, 6], &[6, 99]] {
        let selected = group.select(indices);
        let wanted: Vec<_> = indices.iter().filter_map(|at| group.get(*at)).collect();
        assert_eq!(selected.len(), wanted.len());
        for (copy, log) in selected.iter().zip(wanted) {
            assert_eq!((copy.id(), copy.to_log()), (log.id(), log.to_log()));
            assert_eq!(copy.entry(), log.entry());
            assert_eq!(selected.index_of(log.seq()), copy.index());
        }
    }
    assert_eq!(group.select(&[0, 1, 4, 5]).batches().len(), 3);
    assert_eq!(group.select(&[2]).end_seq(), 13);
    assert!(group.select(&[1]).memory() < group.memory());
}

/// Events of another journal keep the ids they have there, whatever number they get here.
#[test]
fn foreign_events_keep_their_ids() {
    let (own, foreign) = (batch("a", &[entry(map(&[]))]), vec![entry(map(&[])); 4]);
    let entries = batch("a", &foreign).entries;
    let first = EventId::new(Epoch::from_bytes([9; 7]), (1 << 40) - 2);
    let mut builder = GroupBuilder::with_capacity(epoch(), 5, 2, 1000);
    builder.push(&own, 10);
    builder.push(&NewBatch::foreign("b".into(), entries, first), 11);
    let group = builder.finish();
    let ids: Vec<_> = group.iter().map(|log| (log.is_foreign(), log.id())).collect();
    let other = |at| (true, first.plus(at));
    let own = (false, EventId::new(epoch(), 10));
    assert_eq!(ids, [own, other(0), other(1), other(2), other(3)]);
    assert_eq!(ids[3].1, EventId::new(Epoch::from_bytes([9; 7]), 0), "of 40 bits");
    for indices in [&[0, 2, 3][..], &[4], &[1, 3]] {
        let selected = group.select(indices);
        let copied: Vec<_> = selected.iter().map(|log| (log.is_foreign(), log.id())).collect();
        let wanted: Vec<_> = indices.iter().map(|at| ids[*at]).collect();
        assert_eq!(copied, wanted);
    }
    let routes: Vec<_> = group.batches().map(|batch| batch.route()).collect();
    assert_eq!(routes, [RouteSet::ALL, RouteSet::LIVE]);
}

#[test]
fn a_group_can_end_behind_its_last_event() {
    let mut builder = GroupBuilder::with_capacity(epoch(), 0, 0, 0);
    builder.end_at(9);
    let group = builder.finish();
    assert_eq!((group.len(), group.first_seq(), group.end_seq()), (0, 9, 9));
}

/// F-153: whole batches keep the form in which they came, cut ones do not.
#[test]
fn joined_groups_keep_compressed_forms_of_whole_batches() {
    let many: Vec<V> = (0..3).map(|n| entry(map(&[("k", n.into())]))).collect();
    let form = |text: &'static str| Compressed { codec: Codec::Gzip, bytes: text.into() };
    let group = |first: u64, texts: [&'static str; 2]| {
        let mut builder = GroupBuilder::with_capacity(epoch(), 6, 2, 1000);
        for (seq, text) in (first..).step_by(3).zip(texts) {
            let mut batch = batch("a", &many);
            batch.compressed = (!text.is_empty()).then(|| form(text));
            builder.push(&batch, seq);
        }
        builder.finish()
    };
    let parts = [(group(1, ["one", "two"]), 1..6), (group(7, ["", "four"]), 0..6)];
    let joined = Group::join(&parts).unwrap();
    let forms: Vec<_> = joined.batches().map(|batch| batch.compressed().cloned()).collect();
    assert_eq!(forms, [None, Some(form("two")), None, Some(form("four"))]);
    assert_eq!(joined.get(2).unwrap().batch().range(), 2..5);
    let cut = Group::join(&[(group(1, ["one", "two"]), 0..5), (group(7, ["x", "y"]), 3..4)]);
    let cut = cut.unwrap();
    let forms: Vec<_> = cut.batches().map(|batch| batch.compressed().cloned()).collect();
    assert_eq!(forms, [Some(form("one")), None, None]);
    assert!(cut.select(&[0, 1, 2]).batches().all(|batch| batch.compressed().is_none()));
}
