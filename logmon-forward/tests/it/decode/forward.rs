//! Entries in an array.

use super::*;

/// F-015, R-012, R-013: no entries, but an acknowledgement.
#[test]
fn no_entries_are_acknowledged() {
    for body in [V::Array(vec![]), V::Binary(vec![]), V::String("".into())] {
        let message = decode_one(&encode(&array(["t".into(), body, chunk("id")])));
        assert_eq!((message.events(), chunks(&[message])), (0, vec![b"id".to_vec()]));
    }
    for compressed in ["gzip", "zstd"] {
        let option = map([("compressed", compressed.into()), ("chunk", "id".into())]);
        let message = decode_one(&encode(&array(["t".into(), V::Binary(vec![]), option])));
        assert!(message.rejected.is_empty() && message.warnings.is_empty());
        assert_eq!(message.chunks.len(), 1);
    }
}

/// F-016.
#[test]
fn array_headers_may_be_wide() {
    let record = b"\x81\xa7message\xa3foo";
    let entry = [&b"\xdc\0\x02\xce\x55\xec\xe6\xf8"[..], record].concat();
    let bytes = [b"\xdd\0\0\0\x02\xa1t\xdd\0\0\0\x02", &entry[..], &entry].concat();
    let foo = (TIME, "foo".to_owned());
    assert_eq!(times_and_texts(&bytes), [foo.clone(), foo.clone()]);
    let bytes = [b"\xdc\0\x03\xa1t\xce\x55\xec\xe6\xf8", &record[..]].concat();
    assert_eq!(times_and_texts(&bytes), [foo]);
}

/// F-032, F-033, F-034: the header of an entry that Fluent Bit writes.
#[test]
fn entries_may_have_a_header() {
    for (header, metadata) in [
        (array([event_time(1, 0), map([("k", 1.into())])]), r#"{"k":1}"#),
        (array([event_time(1, 0), V::Map(vec![])]), "{}"),
        (array([event_time(1, 0), V::Nil]), "{}"),
        (array([event_time(1, 0)]), "{}"),
    ] {
        let entries = [array([header, record("foo")])];
        let payload = packed(&entries);
        for body in
            [V::Array(entries.to_vec()), V::Binary(payload.clone()), V::Binary(gzip(&payload))]
        {
            let found = events(&decode(&encode(&array(["t".into(), body]))));
            assert_eq!(found.len(), 1);
            assert_eq!((&found[0].message[..], &found[0].metadata[..]), ("foo", metadata));
            assert_eq!(found[0].entry, payload);
        }
    }
}

/// F-036: metadata in the option, for the events that have none of their own.
#[test]
fn metadata_of_the_option_goes_to_the_events() {
    let option = || map([("metadata", map([("k", 1.into())])), ("chunk", "id".into())]);
    let own = array([array([event_time(1, 0), map([("own", 2.into())])]), record("foo")]);
    let plain = array([event_time(1, 0), record("foo")]);
    let single = array(["t".into(), event_time(1, 0), record("foo"), option()]);
    let forward = array(["t".into(), array([plain.clone(), own.clone()]), option()]);
    let payload = V::Binary(packed(&[plain, own]));
    let packed = array(["t".into(), payload, option()]);
    for (message, expected) in [
        (single, &[r#"{"k":1}"#][..]),
        (forward, &[r#"{"k":1}"#, r#"{"own":2}"#]),
        (packed, &[r#"{"k":1}"#, r#"{"own":2}"#]),
    ] {
        let messages = decode(&encode(&message));
        let found: Vec<_> = events(&messages).into_iter().map(|event| event.metadata).collect();
        assert_eq!(found, expected);
        assert_eq!(messages[0].chunks.len(), 1);
    }
}

/// F-037: Fluent Bit's group markers are no events.
#[test]
fn group_markers_leave_no_event() {
    let end = array([array([event_time(0xffff_fffe, 0), V::Map(vec![])]), V::Map(vec![])]);
    let (start, end) = (example("group-start"), encode(&end));
    let (a, b) = (encode(&entry(1, "a")), encode(&entry(2, "b")));
    let payload = [&start[..], &a, &end, &start, &b].concat();
    let forward = [b"\x92\xa1t\x95", &payload[..]].concat();
    for bytes in [forward, encode(&array(["t".into(), V::Binary(payload)]))] {
        let message = decode_one(&bytes);
        assert_eq!(message.oddities.group_markers, 3);
        assert!(message.rejected.is_empty());
        let texts: Vec<_> = events(&[message]).into_iter().map(|event| event.message).collect();
        assert_eq!(texts, ["a", "b"]);
    }
}

/// F-041: unwrapped once, with its own tag; what is nested deeper is no entry.
#[test]
fn nested_batches_are_unwrapped() {
    let deepest = array(["deepest".into(), array([entry(4, "d")])]);
    let inner = array(["inner".into(), array([entry(2, "b"), deepest]), V::Nil]);
    let message = array(["outer".into(), array([entry(1, "a"), inner, entry(3, "c")])]);
    let message = decode_one(&encode(&message));
    assert_eq!(message.oddities.nested_batches, 1);
    assert_eq!(message.rejected.len(), 1);
    let found: Vec<_> =
        events(&[message]).into_iter().map(|event| (event.tag, event.message)).collect();
    let expected = [("outer", "a"), ("inner", "b"), ("outer", "c")];
    assert_eq!(found, expected.map(|(tag, text)| (tag.to_owned(), text.to_owned())));
}

/// F-118, F-119, F-120, 6.2-15 to 6.2-22: of five entries the wrong one is refused.
#[test]
fn wrong_entries_are_refused_alone() {
    let good = || entry(1, "a");
    for (wrong, reason) in [
        (array([1.into(), V::Nil]), "entry_record"),
        (array([1.into(), V::Array(vec![])]), "entry_record"),
        (array([1.into(), "x".into()]), "entry_record"),
        (array([1.into(), 7.into()]), "entry_record"),
        (array(["x".into(), record("a")]), "entry_time"),
        (array([V::Map(vec![]), record("a")]), "entry_time"),
        (array([V::Ext(7, vec![1]), record("a")]), "entry_time"),
        (array([V::Ext(0, vec![0; 7]), record("a")]), "entry_time"),
        (array([event_time(1, 1_000_000_000), record("a")]), "entry_time"),
        (array([event_time(1, u32::MAX), record("a")]), "entry_time"),
        (array([1.into()]), "entry_shape"),
        (V::Array(vec![]), "entry_shape"),
        (array([V::Array(vec![]), record("a")]), "entry_shape"),
        (array([array([1.into(), 2.into()]), record("a")]), "entry_shape"),
        (V::Nil, "entry_shape"),
    ] {
        let entries = [good(), good(), wrong.clone(), good(), good()];
        for body in [V::Array(entries.to_vec()), V::Binary(packed(&entries))] {
            let bytes = encode(&array(["t".into(), body, chunk("id")]));
            let messages = decode(&[bytes, example("message")].concat());
            assert_eq!(refused(&messages), [(reason, 1)], "{wrong}");
            assert_eq!(events(&messages).len(), 5);
            assert_eq!(chunks(&messages), [b"id"]);
            assert_eq!(messages[0].rejected[0].sample, encode(&wrong));
        }
    }
    let extra = array([1.into(), record("a"), 3.into()]);
    let message = decode_one(&encode(&array(["t".into(), array([extra])])));
    assert_eq!((message.events(), message.oddities.extra_elements), (1, 1));
}
