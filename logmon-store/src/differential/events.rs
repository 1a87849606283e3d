//! Random batches of the odd events that there are.

pub(crate) mod batches {
    use bytes::Bytes;
    use logmon_core::{Entries, Map, NewBatch, Reading, Timestamp, Value, msgpack};
    use proptest::prelude::*;
    use proptest::sample::select;

    const MESSAGES: &[&str] = &[
        "",
        "charge failed",
        "Charge FAILED: タイムアウト after 10.0.0.1",
        "接続失敗しました",
        "connection reset by peer",
        "😀 emoji -> ok 😀",
        "STRASSE straße STRAẞE",
        "İstanbul ſ K ΟΔΟΣ",
        "GET /index.html 200",
        "time_out timeout TimeOut2",
        "ok",
        "line one\nline two\ttimeout",
    ];

    fn text(texts: &'static [&'static str]) -> impl Strategy<Value = Value> {
        select(texts).prop_map(Value::from)
    }

    fn list(values: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(values.into_iter().collect())
    }

    fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
        Value::Map(Map::from_iter(pairs))
    }

    fn a_message() -> impl Strategy<Value = Value> {
        prop_oneof![
            12 => text(MESSAGES),
            1 => Just(Value::Nil),
            1 => Just(Value::Int(-5)),
            1 => Just(map([("timeout", Value::Bool(true))])),
            1 => Just(Value::Bytes(b"timeout \xff\xfe".to_vec())),
            1 => (0_usize..3000).prop_map(|len| Value::Str("timeout ".repeat(len / 8))),
        ]
    }

    fn a_level() -> impl Strategy<Value = Value> {
        prop_oneof![
            6 => text(&["info", "INFO", "error", "Error", "warn", "debug", "fatal", "notice"]),
            1 => text(&["wat", ""]),
            1 => select(vec![Value::Nil, Value::Int(30), Value::Float(1.5)]),
        ]
    }

    fn a_source() -> impl Strategy<Value = Value> {
        prop_oneof![
            6 => text(&["web-1", "web-2", "billing-api", "日本", "", "WEB-1"]),
            1 => select(vec![Value::Nil, Value::Int(7), Value::Bytes(vec![0xff])]),
        ]
    }

    /// Numbers whose sums are exact, numbers that are not, and what looks like numbers.
    fn a_number() -> impl Strategy<Value = Value> {
        prop_oneof![
            4 => (-3_i64..600).prop_map(Value::from),
            2 => select(vec![
                Value::Float(42.0), Value::Float(0.25), Value::Float(-0.0),
                Value::UInt(u64::MAX), Value::Int(i64::MIN), Value::Float(9_007_199_254_740_993.0),
            ]),
            2 => text(&["42", "42.0", "500", "007", "1e3", "true", "null"]),
            1 => select(vec![Value::Float(f64::NAN), Value::Float(f64::INFINITY), Value::Nil]),
        ]
    }

    fn a_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            6 => a_number(),
            3 => text(&["alice", "Alice", "ユーザー", "", "/v1/pay", "a b"]),
            1 => any::<bool>().prop_map(Value::Bool),
            1 => select(vec![
                Value::Bytes(b"\xff\x00".to_vec()),
                Value::Bytes(b"text as bytes".to_vec()),
                Value::Ext(5, vec![1, 2, 3]),
                Value::Time(Timestamp::from_seconds(1_700_000_000, 5).unwrap()),
                list([]),
                map([]),
            ]),
            2 => prop::collection::vec(a_number(), 0..4).prop_map(list),
            1 => a_number().prop_map(|n| list([n.clone(), list([n, "a".into()])])),
        ]
    }

    /// Keys that nest, keys with dots, keys of other fields, a key twice, values that are no maps.
    fn a_pair() -> impl Strategy<Value = (String, Value)> {
        let keys = [
            "user",
            "n",
            "http.status",
            "tags",
            "metadata",
            "received",
            "a b",
            "時刻",
            "",
            ".",
            "x.",
            "level_raw",
            "msg",
        ];
        let nested = || (a_value(), a_value(), select(vec!["http", "list", "metadata", "user"]));
        prop_oneof![
            8 => (select(keys.to_vec()).prop_map(str::to_owned), a_value()),
            3 => nested().prop_map(|(a, b, key)| {
                (key.to_owned(), map([("status", a.clone()), ("user", b), ("level", a)]))
            }),
            1 => nested().prop_map(|(a, b, key)| {
                let (a, b) = (map([("status", a)]), map([("status", b.clone()), ("n", b)]));
                (key.to_owned(), list([a, list([b])]))
            }),
            1 => (100_usize..3000).prop_map(|len| ("padding".to_owned(), "p".repeat(len).into())),
        ]
    }

    fn record() -> impl Strategy<Value = Vec<u8>> {
        let message = prop::option::weighted(0.9, a_message());
        let level = prop::option::weighted(0.8, a_level());
        let source = prop::option::weighted(0.8, a_source());
        let size = prop::option::weighted(0.7, (0_u64..4000).prop_map(Value::UInt));
        let pairs = prop::collection::vec(a_pair(), 0..5);
        (message, level, source, size, pairs).prop_map(|(message, level, source, size, pairs)| {
            let named =
                [("message", message), ("level", level), ("source", source), ("size", size)];
            let named = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            let all: Vec<_> = pairs.into_iter().chain(named).collect();
            let mut out = Vec::new();
            msgpack::write_map_len(&mut out, u32::try_from(all.len()).unwrap());
            for (key, value) in all {
                // A key need not be text.
                if key == "msg" {
                    msgpack::write_int(&mut out, 12);
                } else {
                    msgpack::write_str(&mut out, &key);
                }
                value.write_msgpack(&mut out);
            }
            out
        })
    }

    /// Now, about now, and clocks that are far off.
    fn a_time() -> impl Strategy<Value = Timestamp> {
        let seconds = prop_oneof![
            8 => 1_800_000_000_i64..1_800_000_040,
            2 => Just(1_800_000_010_i64),
            2 => select(vec![
                0, 1, -1, -9_000_000_000, 9_000_000_000, 4_294_967_295, 4_294_967_296,
                1_800_000_000 - 7_200, 1_800_000_000 + 7_200,
            ]),
        ];
        (seconds, select(vec![0, 0, 0, 1, 999_999_999]))
            .prop_map(|(seconds, nanos)| Timestamp::from_seconds(seconds, nanos).unwrap())
    }

    fn an_entry() -> impl Strategy<Value = Vec<u8>> {
        let header = prop::option::weighted(0.1, prop::collection::vec(a_pair(), 0..3));
        (a_time(), header, record()).prop_map(|(time, header, record)| {
            let mut out = Vec::new();
            msgpack::write_array_len(&mut out, 2);
            if let Some(header) = header {
                msgpack::write_array_len(&mut out, 2);
                msgpack::write_event_time(&mut out, time);
                Value::Map(header.into_iter().collect()).write_msgpack(&mut out);
            } else {
                msgpack::write_event_time(&mut out, time);
            }
            out.extend(record);
            out
        })
    }

    /// Up to some events of one tag, received at one instant.
    pub(crate) fn a_batch() -> impl Strategy<Value = NewBatch> {
        let tag = select(vec!["app.web", "app.api", "app.web.x", "db", "タグ"]);
        let entries = prop::collection::vec(an_entry(), 1..6);
        let received = prop_oneof![
            4 => Just(1_800_000_020_i64),
            1 => select(vec![1_800_000_020 + 3_600, 1_800_000_020 - 100, 0, 4_000_000_000]),
        ];
        (tag, entries, received).prop_map(|(tag, entries, received)| {
            let received = Timestamp::from_seconds(received, 0).unwrap();
            let reading = Reading::new(std::sync::Arc::default(), received);
            let entries = Entries::read(Bytes::from(entries.concat()), &reading).unwrap();
            NewBatch::new(tag.into(), entries)
        })
    }
}
