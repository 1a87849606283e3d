//! What is written as a document is read back as the same event.

use bytes::Bytes;
use logmon_core::{
    Entries, Epoch, Event as _, Group, GroupBuilder, NewBatch, Reading, Timestamp, Value, msgpack,
};
use mongodb::bson::{Bson, Document, RawDocument};

use super::*;
use crate::differential::{batches, with_cases};

fn group_of(batch: &NewBatch) -> Group {
    GroupBuilder::single(Epoch::from_bytes([7, 6, 5, 4, 3, 2, 1]), batch, 41)
}

/// A group with one event, whose record has these pairs.
fn event(pairs: &[(&str, Value)]) -> Group {
    event_of(|out| {
        msgpack::write_map_len(out, u32::try_from(pairs.len()).unwrap());
        for (key, value) in pairs {
            msgpack::write_str(out, key);
            value.write_msgpack(out);
        }
    })
}

fn event_of(record: impl FnOnce(&mut Vec<u8>)) -> Group {
    let mut out = Vec::new();
    let time = Timestamp::from_nanos(1_700_000_000_123_456_789);
    logmon_core::write_entry(&mut out, time, record);
    let reading = Reading::new(<_>::default(), Timestamp::from_nanos(1_700_000_001_000_000_001));
    let entries = Entries::read(Bytes::from(out), &reading).unwrap();
    group_of(&NewBatch::new("app.web".into(), entries))
}

fn document_of(group: &Group) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, &group.get(0).unwrap(), Style::default()).unwrap();
    out
}

fn bson(bytes: &[u8]) -> Document {
    RawDocument::from_bytes(bytes).unwrap().try_into().unwrap()
}

fn read(bytes: &[u8]) -> Group {
    Stored::read(RawDocument::from_bytes(bytes).unwrap()).unwrap().into_group().unwrap()
}

/// The metadata of the document of an event with this value under `v`.
fn metadata(value: Value) -> (Bson, bool) {
    let group = event(&[("message", "x".into()), ("v", value)]);
    let document = bson(&document_of(&group));
    let metadata = document.get_document("metadata").unwrap();
    (metadata.get("v").unwrap().clone(), document.get_bool("opaque").unwrap_or(false))
}

#[test]
fn a_document_has_the_fields_of_an_event() {
    let group = event(&[
        ("level", "error".into()),
        ("message", "charge failed".into()),
        ("source", "billing".into()),
        ("status", Value::UInt(502)),
    ]);
    let log = group.get(0).unwrap();
    let document = bson(&document_of(&group));
    let keys: Vec<&str> = document.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "_id",
            "timestamp",
            "timestampNs",
            "level",
            "message",
            "source",
            "tag",
            "metadata",
            "createdAt",
            "createdAtNs",
            "seq"
        ]
    );
    assert_eq!(document.get_object_id("_id").unwrap().to_hex(), log.id().to_string());
    assert_eq!(document.get_datetime("timestamp").unwrap().timestamp_millis(), 1_700_000_000_123);
    assert_eq!(document.get_i32("timestampNs").unwrap(), 456_789);
    assert_eq!(document.get_str("level").unwrap(), "ERROR");
    assert_eq!(document.get_i64("seq").unwrap(), 41);
    assert_eq!(document.get_document("metadata").unwrap().get_i32("status").unwrap(), 502);
}

/// R-035, R-036 and what else BSON says otherwise.
#[test]
fn values_have_the_nearest_form() {
    assert_eq!(metadata(Value::Int(i64::MIN)), (Bson::Int64(i64::MIN), false));
    let (large, is_opaque) = metadata(Value::UInt(u64::MAX));
    assert_eq!((large.to_string(), is_opaque), (u64::MAX.to_string(), false));
    assert!(matches!(metadata(Value::Float(f64::NAN)), (Bson::Double(nan), false) if nan.is_nan()));
    let second = Timestamp::from_seconds(1_700_000_000, 5_000_000).unwrap();
    assert!(matches!(metadata(Value::Time(second)), (Bson::DateTime(_), false)));
    let finer = Timestamp::from_seconds(1_700_000_000, 5).unwrap();
    assert!(matches!(metadata(Value::Time(finer)), (Bson::Binary(_), true)));
    assert!(matches!(metadata(Value::Ext(5, vec![1])), (Bson::Binary(_), true)));
    assert!(matches!(metadata(Value::Bytes(vec![0xff])), (Bson::Binary(_), false)));
    let list = |values| Value::Array(values);
    assert!(matches!(metadata(list(vec![1.into()])), (Bson::Array(_), false)));
    assert!(matches!(metadata(list(vec![list(vec![])])), (Bson::Array(_), true)));
}

/// What is nested beyond what the server takes is kept as bytes, and comes back.
#[test]
fn deep_values_are_kept() {
    for depth in [80, 89, 90, 91, 120] {
        let mut value = Value::from("bottom");
        for level in 0..depth {
            value = if level % 2 == 0 {
                Value::Map([("k", value)].into_iter().collect())
            } else {
                Value::Array(vec![value])
            };
        }
        let group = event(&[("message", "x".into()), ("v", value)]);
        let bytes = document_of(&group);
        let mut nested = bson(&bytes).get_document("metadata").unwrap().get("v").cloned();
        let mut levels = 1;
        while let Some(inner) = match &nested {
            Some(Bson::Document(map)) => Some(map.values().next().cloned()),
            Some(Bson::Array(list)) => Some(list.first().cloned()),
            _ => None,
        } {
            nested = inner;
            levels += 1;
        }
        assert!(levels < 100, "{depth}");
        assert_eq!(
            read(&bytes).get(0).unwrap().to_log(),
            group.get(0).unwrap().to_log(),
            "{depth}"
        );
    }
}

/// R-034: what is too large as a document is refused, and what is just not is written.
#[test]
fn a_document_has_sixteen_mebibytes_at_most() {
    let of = |len: usize| event(&[("message", "m".repeat(len).into())]);
    let beside = document_of(&of(0)).len();
    let largest = of(MAX_DOCUMENT_BYTES - beside);
    assert_eq!(document_of(&largest).len(), MAX_DOCUMENT_BYTES);
    let mut out = b"before".to_vec();
    let refused =
        write(&mut out, &of(MAX_DOCUMENT_BYTES - beside + 1).get(0).unwrap(), Style::default());
    assert_eq!(refused, Err(Unfit::TooLarge(MAX_DOCUMENT_BYTES + 1)));
    assert_eq!(out, b"before");
}

/// R-037: keys of a user that mean something to MongoDB, equal keys, keys that are no text.
#[test]
fn keys_mean_nothing_to_the_server() {
    let group = event(&[
        ("message", "x".into()),
        ("_id", 7.into()),
        ("$set", 1.into()),
        ("a.b", 2.into()),
        ("", 3.into()),
        ("k\0y", 4.into()),
        ("seq", "mine".into()),
        ("opaque", "mine".into()),
        ("twice", 1.into()),
        ("twice", 2.into()),
    ]);
    let bytes = document_of(&group);
    let document = bson(&bytes);
    let keys: Vec<&str> =
        document.get_document("metadata").unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["_id", "＄set", "a．b", "", "k␀y", "seq", "opaque", "twice"]);
    assert_eq!(read(&bytes).get(0).unwrap().to_log(), group.get(0).unwrap().to_log());
    // A nested map with a key twice, and one with a key that is no UTF-8.
    let group = event_of(|out| {
        msgpack::write_map_len(out, 2);
        msgpack::write_str(out, "twice");
        out.extend([0x83, 0xa1, b'a', 1, 0xa1, b'b', 2, 0xa1, b'a', 3]);
        msgpack::write_str(out, "bytes");
        out.extend([0x81, 0xa1, 0xff, 1]);
    });
    let bytes = document_of(&group);
    let document = bson(&bytes);
    let metadata = document.get_document("metadata").unwrap();
    assert_eq!(metadata.get_document("twice").unwrap().to_string(), r#"{ "b": 2, "a": 3 }"#);
    assert!(matches!(metadata.get("bytes"), Some(Bson::Binary(_))));
    assert!(document.get_bool("opaque").unwrap());
    assert_eq!(read(&bytes).get(0).unwrap().to_log(), group.get(0).unwrap().to_log());
}

/// Documents of other writers: what is not known is metadata.
#[test]
fn documents_of_others_are_events() {
    let mut other = mongodb::bson::doc! {
        "_id": ObjectId::from_bytes([9; 12]),
        "timestamp": bson::DateTime::from_millis(5),
        "level": "warn",
        "message": "hello",
        "host": "a",
        "metadata": { "user": 7 },
    };
    let read_one = |document: &Document| {
        let bytes = document.to_vec().unwrap();
        Stored::read(RawDocument::from_bytes(&bytes).unwrap())
            .map(|stored| stored.into_group().unwrap())
    };
    let group = read_one(&other).unwrap();
    let log = group.get(0).unwrap();
    assert_eq!(log.id().to_string(), "09".repeat(12));
    assert_eq!((log.level(), &*log.message()), (Some(logmon_core::Level::Warn), "hello"));
    assert_eq!(Value::Map(log.to_log().metadata).to_json(), r#"{"user":7,"host":"a"}"#);
    other.insert("level", "loud");
    let group = read_one(&other).unwrap();
    assert_eq!(group.get(0).unwrap().level(), None);
    other.insert("timestamp", "yesterday");
    assert!(read_one(&other).unwrap_err().to_string().contains("no date `timestamp`"));
}

/// Any event, with everything that is odd about it, comes back, and every reader of BSON reads it.
#[test]
fn every_event_comes_back() {
    with_cases(600, batches::a_batch(), |batch| {
        let group = group_of(&batch);
        for log in group.iter() {
            let mut bytes = Vec::new();
            write(&mut bytes, &log, Style::default()).unwrap();
            bson(&bytes);
            let back = read(&bytes);
            let back = back.get(0).unwrap();
            assert_eq!((back.id(), back.seq()), (log.id(), log.seq()));
            let json = |log: &LogRef<'_>| {
                let mut json = Vec::new();
                log.write_json(&mut json);
                // A message that stands for a value which is not text does not say so any more.
                String::from_utf8(json).unwrap().replace(",\"encoding\":\"lossy\"", "")
            };
            assert_eq!(json(&back), json(&log));
        }
    });
}

/// Values become dates and ObjectIds where that is asked for, and stay what they are where they are
/// none.
#[test]
fn values_are_converted_where_that_is_asked_for() {
    let nested: Value =
        Value::Map([("born", Value::from("1970-01-01T00:00:01.5Z"))].into_iter().collect());
    let group = event(&[
        ("seen", Value::from("2026-11-22T10:00:00+09:00")),
        ("unix", Value::Int(1_700_000_000)),
        ("millis", Value::UInt(1_700_000_000_123)),
        ("fraction", Value::Float(0.25)),
        ("user", nested),
        ("no", Value::from("tomorrow")),
        ("account", Value::from("507f1f77bcf86cd799439011")),
        ("name", Value::from("alice")),
        ("other", Value::from("2026-11-22T10:00:00Z")),
    ]);
    let dates = ["seen", "unix", "millis", "fraction", "user.born", "no"].map(str::to_owned);
    let object_ids = ["account", "name"].map(str::to_owned);
    let style = Style { dates: &dates, object_ids: &object_ids, ..Style::default() };
    let mut out = Vec::new();
    write(&mut out, &group.get(0).unwrap(), style).unwrap();
    let document = Document::from_reader(&*out).unwrap();
    let metadata = document.get_document("metadata").unwrap();
    let date = |document: &Document, key: &str| {
        document.get_datetime(key).map(|date| date.timestamp_millis()).ok()
    };
    assert_eq!(date(metadata, "seen"), Some(1_795_309_200_000));
    assert_eq!(date(metadata, "unix"), Some(1_700_000_000_000));
    assert_eq!(date(metadata, "millis"), Some(1_700_000_000_123));
    assert_eq!(date(metadata, "fraction"), Some(250));
    assert_eq!(date(metadata.get_document("user").unwrap(), "born"), Some(1_500));
    assert_eq!(metadata.get_str("no").unwrap(), "tomorrow");
    let account = metadata.get_object_id("account").unwrap();
    assert_eq!(account.to_hex(), "507f1f77bcf86cd799439011");
    assert_eq!(metadata.get_str("name").unwrap(), "alice");
    assert_eq!(metadata.get_str("other").unwrap(), "2026-11-22T10:00:00Z");
    // They come back as a time and as the digits.
    let raw = RawDocument::from_bytes(&out).unwrap();
    let read = Stored::read(raw).and_then(Stored::into_group).unwrap();
    let log = read.get(0).unwrap().to_log();
    assert_eq!(log.metadata.get("account"), Some(&Value::from("507f1f77bcf86cd799439011")));
    let unix = Timestamp::from_nanos(1_700_000_000_000_000_000);
    assert_eq!(log.metadata.get("unix"), Some(&Value::Time(unix)));
}

/// What could not be read back is not written: it would be in the database, and in no answer.
#[test]
fn what_nests_to_the_limit_is_refused() {
    let nested = |depth: usize| {
        let value = (0..depth).fold(Value::Int(1), |inner, _| Value::Array(vec![inner]));
        event(&[("deep", value)])
    };
    let write_one =
        |group: &Group| write(&mut Vec::new(), &group.get(0).unwrap(), Style::default());
    assert_eq!(write_one(&nested(126)), Ok(()));
    let mut out = b"before".to_vec();
    let refused = write(&mut out, &nested(127).get(0).unwrap(), Style::default());
    assert!(matches!(refused, Err(Unfit::Unreadable(_))), "{refused:?}");
    assert_eq!(out, b"before");
}
