//! What Fluent Bit says of a group of events.

use super::*;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.group_attributes_key = Some("group".to_owned());
    settings
}

/// Everything is handed out in parts of about an entry.
fn in_parts() -> Settings {
    let mut settings = settings();
    settings.limits.max_buffered_bytes = 20;
    settings.limits.part_bytes = 1;
    settings
}

fn begin(metadata: V, body: V) -> V {
    array([array([event_time(0xffff_ffff, 0), metadata]), body])
}

fn end() -> V {
    array([array([event_time(0xffff_fffe, 0), V::Map(vec![])]), V::Map(vec![])])
}

/// Metadata of all events, by how their message is read.
fn metadata_of(bytes: &[u8]) -> Vec<Vec<String>> {
    let of = |settings, step| {
        let (messages, error) = decode_pieces(settings, bytes.chunks(step));
        assert_eq!((error, refused(&messages)), (None, vec![]));
        events(&messages).into_iter().map(|event| event.metadata).collect()
    };
    vec![of(settings(), usize::MAX), of(in_parts(), usize::MAX), of(in_parts(), 1)]
}

/// F-037: `group_attributes_key` gives each event what its group says, beside its own metadata, in
/// every mode, held or in parts.
#[test]
fn group_attributes_are_attached() {
    let own = array([array([2.into(), map([("own", 1.into())])]), record("c")]);
    let resource = map([("resource", map([("host", "a".into())]))]);
    let entries = [
        entry(1, "a"),
        begin(map([("schema", "s".into())]), resource),
        entry(2, "b"),
        own,
        begin(V::Map(vec![]), map([("second", true.into())])),
        entry(3, "d"),
        end(),
        entry(4, "e"),
    ];
    let first = r#""group":{"metadata":{"schema":"s"},"body":{"resource":{"host":"a"}}}"#;
    let expected = [
        "{}".to_owned(),
        format!("{{{first}}}"),
        format!(r#"{{"own":1,{first}}}"#),
        r#"{"group":{"metadata":{},"body":{"second":true}}}"#.to_owned(),
        "{}".to_owned(),
    ];
    let payload = packed(&entries);
    for body in [
        V::Array(entries.to_vec()),
        V::Binary(payload.clone()),
        V::Binary(gzip(&payload)),
        V::Binary(zstd(&payload)),
    ] {
        for found in metadata_of(&encode(&array(["t".into(), body]))) {
            assert_eq!(found, expected);
        }
    }
}

/// A group that is not ended ends with its message, and none is remembered without the key.
#[test]
fn groups_end_with_their_message() {
    let open = [begin(V::Map(vec![]), map([("k", 1.into())])), entry(1, "a")];
    let of = |entries: &[V]| encode(&array(["t".into(), V::Array(entries.to_vec())]));
    let bytes = [of(&open), of(&[entry(2, "b"), entry(3, "c")])].concat();
    for found in metadata_of(&bytes) {
        assert_eq!(found, [r#"{"group":{"metadata":{},"body":{"k":1}}}"#, "{}", "{}"]);
    }
    assert!(events(&decode(&bytes)).iter().all(|event| event.metadata == "{}"));
}

/// What is said of a group stands beside the metadata of the option.
#[test]
fn groups_and_the_option_do_not_exclude_each_other() {
    let entries = [begin(V::Map(vec![]), map([("k", 1.into())])), entry(1, "a")];
    let option = map([("metadata", map([("m", 2.into())]))]);
    let bytes = encode(&array(["t".into(), V::Array(entries.to_vec()), option]));
    let mut many = settings();
    many.limits.max_buffered_events = 0;
    for settings in [settings(), many] {
        let (messages, _) = decode_pieces(settings, [&bytes[..]]);
        let found = events(&messages);
        assert_eq!(found[0].metadata, r#"{"m":2,"group":{"metadata":{},"body":{"k":1}}}"#);
    }
}

/// Attributes too long to be copied into every event are left out, and counted.
#[test]
fn long_attributes_are_left_out() {
    let long = map([("k", "x".repeat(17 << 10).into())]);
    let entries = [begin(V::Map(vec![]), long), entry(1, "a")];
    let bytes = encode(&array(["t".into(), V::Array(entries.to_vec())]));
    let (messages, _) = decode_pieces(settings(), [&bytes[..]]);
    assert_eq!(messages[0].oddities.groups_too_long, 1);
    assert_eq!(events(&messages)[0].metadata, "{}");
}

/// What is added to tiny events does not make a part bigger than parts are, however many of them
/// come at once.
#[test]
fn what_is_added_is_bounded_in_parts() {
    use logmon_forward::codec::Next;
    let tiny = b"\x92\xc0\x80".repeat(20_000);
    let long = map([("k", "x".repeat(16_000).into())]);
    let begun = [encode(&begin(V::Map(vec![]), long.clone())), tiny.clone()].concat();
    let option = map([("metadata", long)]);
    let grouped = encode(&array(["t".into(), V::Binary(begun.clone())]));
    let spread = encode(&array(["t".into(), V::Binary(tiny.clone()), option.clone()]));
    let compressed = encode(&array(["t".into(), V::Binary(gzip(&begun))]));
    let spread_compressed = encode(&array(["t".into(), V::Binary(gzip(&tiny)), option]));
    for bytes in [grouped, spread, compressed, spread_compressed] {
        let mut decoder = decoder(settings());
        decoder.buffer().extend_from_slice(&bytes);
        let (mut parted, mut most) = (0, 0);
        let message = loop {
            let next = decoder.next_message(logmon_core::Timestamp::EPOCH, usize::MAX);
            most = most.max(decoder.held());
            match next.unwrap() {
                Next::Part(batch) => {
                    parted += batch.entries.len();
                    most = most.max(batch.entries.payload().len());
                }
                Next::Message(message) => break message,
                next => panic!("{next:?}"),
            }
        };
        assert_eq!((parted, message.parted, message.rejected), (20_000, 20_000, vec![]));
        assert!(most < 3 << 20, "{most} bytes");
    }
}

/// The same for a batch that stands in the place of an entry.
#[test]
fn what_is_added_is_bounded_in_nested_batches() {
    let marker = begin(V::Map(vec![]), map([("k", "x".repeat(16_000).into())]));
    let inner = |count| {
        array([
            "inner".into(),
            array([vec![marker.clone()], vec![array([V::Nil, V::Map(vec![])]); count]].concat()),
        ])
    };
    let of = |count| encode(&array(["t".into(), array([inner(count)]), chunk("id")]));
    let bytes = [of(100), of(2_000)].concat();
    let (messages, error) = decode_pieces(settings(), [&bytes[..]]);
    assert_eq!((error, messages[0].events(), messages[1].events()), (None, 100, 0));
    assert_eq!(refused(&messages), [("metadata_too_big", 1)]);
    assert_eq!(chunks(&messages).len(), 2);
}
