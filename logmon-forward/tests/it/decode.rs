//! The decoder against the protocol's rows, F-001 to F-060 and the codec's part of F-111 to F-136.

use crate::common::*;

use logmon_core::TimeUnit;
use logmon_forward::codec::{AckWire, EmptyTag, InvalidEvent, Message, Mode, Settings, Warning};
use rmpv::Value as V;

const SECOND: i64 = 1_000_000_000;
const TIME: i64 = 1_441_588_984 * SECOND;
const TIME_AND_HALF: i64 = TIME + SECOND / 2;
const ID: &[u8] = b"p8n9gmxTQQu/8h3C0sKeTA==";

fn acks(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in decode(bytes) {
        message.chunks.write_acks(AckWire::Msgpack, &mut out);
    }
    out
}

fn times_and_texts(bytes: &[u8]) -> Vec<(i64, String)> {
    let found = events(&decode(bytes)).into_iter();
    found.map(|event| (event.nanos, event.message)).collect()
}

/// The times of single-event messages and of entries, which read the same.
fn time_of(time: V) -> i64 {
    let message = encode(&array(["t".into(), time.clone(), record("foo")]));
    let forward = encode(&array(["t".into(), array([array([time, record("foo")])])]));
    let (message, forward) = (times_and_texts(&message), times_and_texts(&forward));
    assert_eq!(message, forward);
    message[0].0
}

/// F-001, F-002, F-003, F-007, F-008, F-013, F-017, F-018, F-019, F-020, F-031.
#[test]
fn worked_examples_are_the_events_they_show() {
    let foo = |nanos| vec![(nanos, "foo".to_owned())];
    let both = vec![(TIME_AND_HALF, "foo".to_owned()), (TIME, "bar".to_owned())];
    for (name, mode, expected) in [
        ("message", Mode::Message, foo(TIME)),
        ("message-docker", Mode::Message, foo(TIME)),
        ("message-nil-option", Mode::Message, foo(TIME_AND_HALF)),
        ("message-chunk", Mode::Message, foo(TIME_AND_HALF)),
        ("forward", Mode::Forward, both.clone()),
        ("forward-fluent-bit", Mode::Forward, foo(TIME_AND_HALF)),
        ("packed-bin", Mode::Packed, both.clone()),
        ("packed-fluentd", Mode::Packed, both.clone()),
        ("packed-gzip", Mode::Gzip, both),
    ] {
        let bytes = example(name);
        let message = decode_one(&bytes);
        assert_eq!(message.mode, mode, "{name}");
        assert_eq!(message.wire_bytes, bytes.len() as u64);
        assert!(message.rejected.is_empty() && message.warnings.is_empty(), "{name}: {message:?}");
        let found = events(&[message]);
        assert!(found.iter().all(|event| event.tag == "app.web"));
        let found: Vec<_> = found.into_iter().map(|event| (event.nanos, event.message)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// F-062, F-063, F-069.
#[test]
fn acks_are_the_bytes_of_the_examples() {
    assert_eq!(acks(&example("message-chunk")), example("message-chunk-ack"));
    assert_eq!(acks(&example("packed-fluentd")), example("fluentd-ack"));
    assert_eq!(acks(&example("message-docker")), b"");
}

/// Payloads are slices of what was read, not copies (the fast path of packed and forward).
#[test]
fn packed_payloads_are_kept_as_they_came() {
    let payload = packed(&[entry(1, "a"), entry(2, "b")]);
    for message in [
        array(["t".into(), V::Binary(payload.clone())]),
        array(["t".into(), array([entry(1, "a"), entry(2, "b")]), map([("size", 2.into())])]),
    ] {
        let bytes = encode(&message);
        let message = decode_one(&bytes);
        assert_eq!(message.batches[0].entries.payload(), &payload);
    }
}

/// F-004, F-005: the length of an `EventTime` may be told in any way.
#[test]
fn event_time_has_four_headers() {
    let data = [0x55, 0xec, 0xe6, 0xf8, 0x1d, 0xcd, 0x65, 0x00];
    for header in [&[0xd7, 0][..], &[0xc7, 8, 0], &[0xc8, 0, 8, 0], &[0xc9, 0, 0, 0, 8, 0]] {
        let bytes = [b"\x93\xa1t", header, &data, b"\x81\xa7message\xa3foo"].concat();
        assert_eq!(times_and_texts(&bytes), [(TIME_AND_HALF, "foo".to_owned())]);
    }
}

/// F-002, F-006, F-009, F-010, F-011.
#[test]
fn times_mean_the_same_in_every_mode() {
    let signed = b"\x93\xa1t\xd3\0\0\0\0\x55\xec\xe6\xf8\x81\xa7message\xa3foo";
    assert_eq!(times_and_texts(signed), [(TIME, "foo".to_owned())]);
    assert_eq!(time_of(event_time(0x8000_0000, 0)), 0x8000_0000 * SECOND);
    assert_eq!(time_of(1_441_588_984.5.into()), TIME_AND_HALF);
    assert_eq!(time_of((-1).into()), -SECOND);
    for none in [V::Nil, 0.into(), event_time(0, 0)] {
        assert_eq!(time_of(none), RECEIVED);
    }
}

/// F-012: integer milliseconds. As seconds they are beyond any date, so the receive time stands
/// in, with a warning; `auto` reads them.
#[test]
fn milliseconds_are_told_or_read() {
    let bytes = encode(&array(["t".into(), 1_700_000_000_123u64.into(), record("foo")]));
    let message = decode_one(&bytes);
    assert_eq!(message.warnings, [Warning::TimeOutOfRange]);
    assert_eq!(events(&[message])[0].nanos, RECEIVED);
    let mut settings = Settings::default();
    settings.time_unit = TimeUnit::Auto;
    let (messages, _) = decode_pieces(settings, [&bytes[..]]);
    assert_eq!(events(&messages)[0].nanos, 1_700_000_000_123_000_000);
}

/// F-014, F-042, F-043, F-066: options that say nothing, or nothing that matters.
#[test]
fn options_that_do_not_matter() {
    let payload = V::Binary(packed(&[entry(1, "a")]));
    let entries = array([entry(1, "a")]);
    for body in [payload, entries] {
        for (option, ids) in [
            (V::Nil, 0),
            (V::Map(vec![]), 0),
            (map([("size", 77.into())]), 0),
            (map([("size", "x".into())]), 0),
            (map([("size", (-1).into())]), 0),
            (chunk(""), 0),
            (map([("chunk", V::Nil)]), 0),
            (V::Map(vec![(5.into(), 6.into()), ("chunk".into(), "id".into())]), 1),
            (map([("x", array([V::Nil])), ("chunk", "id".into())]), 1),
            (map([("chunk", V::Binary(b"id".to_vec()))]), 1),
        ] {
            let bytes = encode(&array(["t".into(), body.clone(), option]));
            let message = decode_one(&bytes);
            assert_eq!(message.events(), 1);
            assert!(message.warnings.is_empty(), "{message:?}");
            assert_eq!(message.chunks.len(), ids);
        }
    }
}

/// F-067, F-132 and 6.2-26: options that are wrong; the events are taken, and a person is told.
#[test]
fn wrong_options_cost_only_the_ack() {
    for (option, warning) in [
        ("x".into(), Warning::OptionType),
        (5.into(), Warning::OptionType),
        (array([1.into()]), Warning::OptionType),
        (chunk(&"c".repeat(2_000)), Warning::ChunkTooLong),
        (map([("chunk", 7.into())]), Warning::ChunkType),
        (V::Map((0..65).map(|n| (n.into(), V::Nil)).collect()), Warning::OptionTooBig),
        (map([("chunk", "a".into()), ("x", "y".repeat(65 << 10).into())]), Warning::OptionTooBig),
    ] {
        for body in [V::Binary(packed(&[entry(1, "a")])), array([entry(1, "a")])] {
            let bytes = encode(&array(["t".into(), body, option.clone()]));
            let message = decode_one(&bytes);
            assert_eq!((message.events(), message.warnings.clone()), (1, vec![warning]));
            assert!(message.chunks.is_empty());
        }
        let bytes = encode(&array(["t".into(), 1.into(), record("a"), option]));
        assert_eq!(decode_one(&bytes).warnings, [warning]);
    }
}

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

/// F-017, F-018, F-021: each header of bin and str.
#[test]
fn payloads_have_six_headers() {
    let entry = packed(&[array([1.into(), map([("message", V::Binary(vec![0xff; 9]))])])]);
    let long: Vec<u8> = entry.iter().copied().cycle().take(entry.len() * 2_000).collect();
    for payload in [&entry, &gzip(&entry), &long] {
        let len = u32::try_from(payload.len()).unwrap();
        let [_, _, short @ ..] = len.to_be_bytes();
        let events = if payload.len() > 100 { 2_000 } else { 1 };
        let mut headers = vec![
            [&[0xc6][..], &len.to_be_bytes()].concat(),
            [&[0xdb][..], &len.to_be_bytes()].concat(),
        ];
        if let Ok(short_len) = u16::try_from(len) {
            assert_eq!(short, short_len.to_be_bytes());
            headers.push([&[0xc5][..], &short].concat());
            headers.push([&[0xda][..], &short].concat());
        }
        if let Ok(byte) = u8::try_from(len) {
            headers.extend([vec![0xc4, byte], vec![0xd9, byte]]);
        }
        for header in headers {
            let bytes = [b"\x92\xa1t", &header[..], payload].concat();
            assert_eq!(decode_one(&bytes).events(), events);
        }
    }
}

fn compressed(payload: &[u8], name: Option<&str>) -> Vec<u8> {
    let option =
        name.map_or(V::Nil, |name| map([("compressed", name.into()), ("chunk", "id".into())]));
    encode(&array(["t".into(), V::Binary(payload.to_vec()), option]))
}

/// F-022, F-024, R-017: any number of members, an empty one among them, cut through an entry.
#[test]
fn gzip_members_are_one_payload() {
    let entries = packed(&[entry(1, "a"), entry(2, "b"), entry(3, "c")]);
    let (start, rest) = entries.split_at(20);
    let (middle, end) = rest.split_at(3);
    for members in [
        [gzip(start), gzip(rest)].concat(),
        [gzip(start), gzip(middle), gzip(end)].concat(),
        [gzip(start), gzip(b""), gzip(rest)].concat(),
    ] {
        let message = decode_one(&compressed(&members, Some("gzip")));
        assert_eq!((message.mode, message.events()), (Mode::Gzip, 3));
        assert!(message.rejected.is_empty());
    }
}

/// F-023: the first bytes of a member inside a member's data are data.
#[test]
fn gzip_data_may_look_like_a_member() {
    let text = "\u{1f}\u{8b}\u{8}";
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::none());
    let raw = map([("message", V::Binary(b"\x1f\x8b\x08\x1f\x8b\x08".to_vec()))]);
    let payload = packed(&[array([1.into(), raw]), entry(2, text)]);
    std::io::Write::write_all(&mut encoder, &payload).unwrap();
    let bytes = encoder.finish().unwrap();
    assert!(bytes.windows(3).skip(1).any(|window| window == b"\x1f\x8b\x08"));
    assert_eq!(decode_one(&compressed(&bytes, Some("gzip"))).events(), 2);
}

/// F-025, F-026.
#[test]
fn zstd_frames_are_one_payload() {
    let message = decode_one(&compressed(&example("zstd-payload"), Some("zstd")));
    assert_eq!((message.mode, message.events()), (Mode::Zstd, 2));
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0xyz";
    let entries = packed(&[entry(1, "a"), entry(2, "b")]);
    let (start, end) = entries.split_at(9);
    for frames in [
        [&zstd(start)[..], skippable, &zstd(end)].concat(),
        [skippable, &zstd(start)[..], &zstd(end)].concat(),
    ] {
        assert_eq!(decode_one(&compressed(&frames, Some("zstd"))).events(), 2);
    }
}

/// F-027, F-028, F-029, R-016: the bytes themselves tell what they are.
#[test]
fn first_bytes_win_over_the_option() {
    let entries = packed(&[entry(1, "a")]);
    for (payload, name, mode) in [
        (gzip(&entries), None, Mode::Gzip),
        (gzip(&entries), Some("text"), Mode::Gzip),
        (zstd(&entries), Some("gzip"), Mode::Zstd),
        (entries.clone(), Some("gzip"), Mode::Packed),
        (entries.clone(), Some("lz4"), Mode::Packed),
        (gzip(&entries), Some("br"), Mode::Gzip),
    ] {
        let message = decode_one(&compressed(&payload, name));
        assert_eq!((message.mode, message.events()), (mode, 1));
        assert_eq!(message.warnings, [Warning::CompressionMismatch]);
    }
}

/// F-030, F-130, R-019, 6.2-11 and 6.2-12: nothing of a damaged payload is taken, and the peer is
/// told not to send it again.
#[test]
fn damaged_payloads_are_refused_whole() {
    let entries = packed(&[entry(1, "a"), entry(2, "b")]);
    let mut bad_sum = [gzip(&entries), gzip(&entries)].concat();
    let at = bad_sum.len() - 8;
    bad_sum[at] ^= 1;
    let cut = &gzip(&entries)[..gzip(&entries).len() - 3];
    let cut_zstd = &zstd(&entries)[..zstd(&entries).len() - 3];
    let lz4 = b"\x04\x22\x4d\x18\x64\x40\xa7";
    for (payload, name, reason) in [
        (&bad_sum[..], "gzip", "corrupt_compression"),
        (cut, "gzip", "corrupt_compression"),
        (cut_zstd, "zstd", "corrupt_compression"),
        (lz4, "lz4", "unsupported_compression"),
        (b"plain", "gzip", "corrupt_compression"),
    ] {
        let bytes = [compressed(payload, Some(name)), example("message")].concat();
        let messages = decode(&bytes);
        assert_eq!(refused(&messages), [(reason, 1)], "{name}");
        assert_eq!(chunks(&messages), [b"id"]);
        assert_eq!(events(&messages).len(), 1, "the connection goes on");
    }
    let twice = decode_one(&compressed(&gzip(&gzip(&entries)), Some("gzip")));
    assert_eq!((twice.events(), refused(&[twice])), (0, vec![("trailing_garbage", 1)]));
}

/// F-128, F-129, R-018: the cap is on what is made, not on what is declared.
#[test]
fn bombs_stop_at_the_cap() {
    let mut settings = Settings::default();
    settings.limits.max_decompressed_bytes = 1 << 20;
    let zeros = vec![0; 64 << 20];
    for (payload, name) in [(gzip(&zeros), "gzip"), (zstd(&zeros), "zstd")] {
        let bytes = compressed(&payload, Some(name));
        let (messages, error) = decode_pieces(settings.clone(), [&bytes[..]]);
        assert_eq!(error, None);
        assert_eq!(refused(&messages), [("decompressed_too_big", 1)]);
        assert_eq!(chunks(&messages), [b"id"]);
    }
    // A window of 2 GiB, and a content of 2^63 bytes.
    for head in [&[0x00, 0xa8][..], &[0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80]] {
        let frame = [b"\x28\xb5\x2f\xfd", head, &[0x01, 0, 0]].concat();
        let message = decode_one(&compressed(&frame, Some("zstd")));
        assert_eq!(refused(&[message]), [("corrupt_compression", 1)]);
    }
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

/// F-035: told from two entries by the families of what is inside and behind.
#[test]
fn a_single_event_may_have_a_header() {
    let header = || array([event_time(1, 0), map([("k", 1.into())])]);
    for (message, mode) in [
        (array(["t".into(), header(), record("foo")]), Mode::Message),
        (array(["t".into(), header(), record("foo"), chunk("id")]), Mode::Message),
        (array(["t".into(), array([1.into()]), record("foo")]), Mode::Message),
        (array(["t".into(), array([entry(1, "foo")]), chunk("id")]), Mode::Forward),
    ] {
        let message = decode_one(&encode(&message));
        assert_eq!((message.mode, message.events()), (mode, 1), "{message:?}");
        assert_eq!(events(&[message])[0].message, "foo");
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

/// F-038, F-039, F-040 and 6.2-27: other signals never reach the log path.
#[test]
fn signals_are_dropped_and_acknowledged() {
    let option = |signal: V| map([("fluent_signal", signal), ("chunk", "id".into())]);
    let blob = || V::Binary(vec![0x83, 0x01, 0xff]);
    let metrics = || array([array([1.into(), array([blob()])])]);
    for (body, signal) in [(blob(), 1), (blob(), 2), (metrics(), 1), (array([entry(1, "a")]), 2)] {
        let message = decode_one(&encode(&array(["t".into(), body, option(signal.into())])));
        assert_eq!((message.events(), message.oddities.signals), (0, 1));
        assert!(message.rejected.is_empty());
        assert_eq!(chunks(&[message]), [b"id"]);
    }
    for signal in [0.into(), 9.into(), "x".into(), V::Nil] {
        let bytes = encode(&array(["t".into(), array([entry(1, "a")]), option(signal)]));
        assert_eq!(decode_one(&bytes).events(), 1);
    }
    let unknown = decode_one(&encode(&array(["t".into(), blob(), option(9.into())])));
    assert_eq!(refused(&[unknown]), [("signal_unknown", 1)]);
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

/// F-044, F-045.
#[test]
fn heartbeats_are_nothing() {
    let nothing = [&[0xc0][..], &[0x90], b"\x92\xa0\x90", b"\x92\xa1t\x90", &[0xc0]];
    let bytes =
        [nothing.concat(), example("message"), nothing.concat(), example("message")].concat();
    let messages = decode(&bytes);
    assert_eq!(events(&messages).len(), 2);
    assert!(refused(&messages).is_empty());
    let asked = decode_one(&encode(&array(["".into(), V::Array(vec![]), chunk("id")])));
    assert_eq!((refused(&[asked]), ()), (vec![], ()));
}

/// F-046, F-047, F-048, F-049, F-050, F-124: records are kept byte for byte, whatever is in them.
#[test]
fn records_are_kept_as_they_came() {
    let bin = |text: &str| V::Binary(text.as_bytes().to_vec());
    let inner = V::Map(vec![(bin("b"), V::Map(vec![(bin("c"), 1.into())]))]);
    let raw_text = V::String(rmpv::Utf8String::from("x"));
    for record in [
        V::Map(vec![(bin("message"), bin("text")), (bin("a"), inner)]),
        V::Map(vec![("a".into(), 1.into()), ("a".into(), 2.into())]),
        V::Map(vec![(1.into(), raw_text), (V::Nil, V::Nil)]),
        map([("u", u64::MAX.into()), ("i", i64::MIN.into()), ("f", 1.5f32.into())]),
        map([("n", f64::NAN.into()), ("b", V::Binary(vec![0xff])), ("e", V::Ext(5, vec![1]))]),
        map([("t", V::Ext(-1, vec![0, 0, 0, 9]))]),
    ] {
        let entry = array([event_time(1, 0), record.clone()]);
        let bytes = encode(&array([bin("t"), event_time(1, 0), record]));
        let found = events(&decode(&bytes));
        assert_eq!((&found[0].tag[..], &found[0].entry), ("t", &encode(&entry)));
    }
    let invalid = b"\x93\xa1t\x01\x81\xa2k\xff\xa2\xffv";
    assert_eq!(events(&decode(invalid))[0].entry, b"\x92\x01\x81\xa2k\xff\xa2\xffv");
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

/// F-131, R-014, R-017: what is whole is taken, the rest of the bytes is not.
#[test]
fn a_cut_payload_keeps_its_whole_entries() {
    let mut payload = packed(&[entry(1, "a"), entry(2, "b"), entry(3, "c")]);
    payload.truncate(payload.len() - 4);
    let text = [packed(&[entry(1, "a"), entry(2, "b")]), b"garbage".to_vec()].concat();
    let behind = [gzip(&packed(&[entry(1, "a"), entry(2, "b")])), b"garbage".to_vec()].concat();
    for payload in [payload.clone(), gzip(&payload), text, behind] {
        let message = decode_one(&compressed(&payload, Some("text")));
        assert_eq!(message.events(), 2);
        assert_eq!((refused(&[message])), [("trailing_garbage", 1)]);
    }
}

/// F-127, R-009: depth 128 is taken, 129 refused; a million levels end the connection.
#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        let inside = (1..depth).fold(V::Nil, |inside, _| array([inside]));
        map([("k", inside)])
    };
    for (depth, reasons) in [(127, vec![]), (128, vec![]), (129, vec![("entry_too_deep", 1)])] {
        let bytes = encode(&array(["t".into(), 1.into(), nested(depth), chunk("id")]));
        let messages = decode(&bytes);
        assert_eq!(refused(&messages), reasons, "{depth}");
        assert_eq!(chunks(&messages), [b"id"]);
    }
    let bomb = vec![0x91; 1_000_000];
    let (_, error) = decode_pieces(Settings::default(), [&bomb[..]]);
    assert_eq!(error.unwrap().reason.code(), "nesting_too_deep");
    let inside = encode(&array(["t".into(), V::Binary(bomb), chunk("id")]));
    assert_eq!(refused(&decode(&inside)), [("trailing_garbage", 1)]);
}

/// F-121, F-122, F-123, F-125, 6.2-4: wrong messages are refused and acknowledged.
#[test]
fn wrong_messages_are_refused_alone() {
    let body = || array([entry(1, "a")]);
    for (message, reason, is_acked) in [
        (array([5.into(), body(), chunk("id")]), "tag_type", true),
        (array([V::Nil, body(), chunk("id")]), "tag_type", true),
        (array([V::Map(vec![]), body(), chunk("id")]), "tag_type", true),
        (array([5.into(), 1.into(), record("a"), chunk("id")]), "tag_type", true),
        (array(["".into(), body(), chunk("id")]), "tag_empty", true),
        (array([V::Binary(vec![0xff]), body(), chunk("id")]), "tag_encoding", true),
        (array(["x".repeat(5_000).into(), body(), chunk("id")]), "tag_too_long", true),
        (array(["t".into(), V::Map(vec![]), chunk("id")]), "payload_type", true),
        (array(["t".into(), true.into(), record("a"), chunk("id")]), "payload_type", true),
        (array(["t".into()]), "message_shape", false),
        (array(["t".into(), 1.into()]), "message_shape", false),
        (V::Map(vec![]), "message_shape", false),
        (7.into(), "message_shape", false),
        ("text".into(), "message_shape", false),
    ] {
        let bytes = [example("message"), encode(&message), example("message")].concat();
        let messages = decode(&bytes);
        assert_eq!(refused(&messages), [(reason, 1)], "{message}");
        assert_eq!(chunks(&messages).len(), usize::from(is_acked), "{message}");
        assert_eq!(events(&messages).len(), 2, "the connection goes on");
        let reject = &messages[1].rejected[0];
        assert_eq!(reject.offset, 27);
    }
    let odd = "../../etc/x\0\n${x} %00 日本";
    let found = events(&decode(&encode(&array([odd.into(), 1.into(), record("a")]))));
    assert_eq!(found[0].tag, odd);
    let mut settings = Settings::default();
    settings.empty_tag = EmptyTag::Replace("none".into());
    let (messages, _) = decode_pieces(settings, [&encode(&array(["".into(), body()]))[..]]);
    assert_eq!(events(&messages)[0].tag, "none");
}

/// `invalid_event = close`: nothing of the message is taken; what came before is.
#[test]
fn wrong_events_may_end_the_connection() {
    let mut settings = Settings::default();
    settings.invalid_event = InvalidEvent::Close;
    let single = encode(&array(["app.web".into(), 1.into(), V::Nil, chunk("id")]));
    let many = encode(&array(["t".into(), array([entry(1, "a"), V::Nil]), chunk("id")]));
    for (wrong, reason) in [(single, "entry_record"), (many, "entry_shape")] {
        let bytes = [example("message"), wrong].concat();
        let (messages, error) = decode_pieces(settings.clone(), [&bytes[..]]);
        assert_eq!(events(&messages).len(), 1);
        assert!(chunks(&messages).is_empty());
        let error = error.unwrap();
        assert_eq!((error.reason.code(), error.offset), (reason, 27));
    }
}

/// F-117, R-010, 6.2-35 and F-134: what ends a connection.
#[test]
fn bytes_that_are_no_messages_end_the_connection() {
    let message = example("message");
    for (bytes, reason, events_before) in [
        (vec![0xc1], "reserved_byte", 0),
        ([&message[..], &[0xc1]].concat(), "reserved_byte", 1),
        ([&message[..], b"\x93\xa1t\xc1"].concat(), "reserved_byte", 1),
        ([&message[..], b"[\"t\",1,{}]"].concat(), "not_forward", 1),
        (b"GET / HTTP/1.1\r\n".to_vec(), "not_forward", 0),
        (b"\x16\x03\x01\x00".to_vec(), "not_forward", 0),
        (vec![b'x'; 1_000_000], "not_forward", 0),
        (vec![0x80], "not_forward", 0),
        (b"  93".to_vec(), "not_forward", 0),
        ([b"[\"t\",1,{}]", &message[..]].concat(), "json_syntax", 1),
    ] {
        let (messages, error) = decode_pieces(Settings::default(), [&bytes[..]]);
        let error = error.unwrap();
        assert_eq!((error.reason.code(), events(&messages).len()), (reason, events_before));
        assert!(error.sample.len() <= 32);
    }
}

/// F-133: an oversize message is read over, in any pieces; its chunk id is seen all the same.
#[test]
fn oversize_messages_are_refused_and_acknowledged() {
    let mut settings = Settings::default();
    settings.limits.max_message_bytes = 1_000;
    let big = |len| V::Binary(vec![0x92; len]);
    let many = || V::Array((0..500).map(|n| entry(n, "a")).collect());
    let long = || record(&"x".repeat(5_000));
    let header = || array([1.into(), V::Nil]);
    for (message, is_acked) in [
        (array(["t".into(), big(5_000), chunk("id")]), true),
        (array(["t".into(), many(), chunk("id")]), true),
        (array(["t".into(), 1.into(), long(), chunk("id")]), true),
        (array(["t".into(), header(), long(), chunk("id")]), true),
        (array(["t".into(), big(5_000)]), false),
        (array(["t".into(), 1.into(), long()]), false),
        (array(["x".repeat(5_000).into(), big(5), chunk("id")]), true),
        (array(["t".into(), big(5_000), map([("chunk", "id".into()), ("x", big(70_000))])]), false),
    ] {
        let bytes = [encode(&message), example("message")].concat();
        for step in [1, 7, 999, 1_000_000] {
            let (messages, error) = decode_pieces(settings.clone(), bytes.chunks(step));
            assert_eq!(error, None);
            assert_eq!(refused(&messages), [("message_too_big", 1)]);
            assert_eq!(chunks(&messages).len(), usize::from(is_acked), "{message} by {step}");
            assert_eq!(events(&messages).len(), 1);
        }
    }
}

/// What is read over is not kept.
#[test]
fn oversize_messages_take_no_memory() {
    let mut settings = Settings::default();
    settings.limits.max_message_bytes = 1_000;
    let mut decoder = decoder(settings);
    decoder.buffer().extend_from_slice(b"\x93\xa1t\xc6\xff\xff\xff\xff");
    for _ in 0..1_000 {
        decoder.buffer().extend_from_slice(&[0; 4_096]);
        let next = decoder.next_message(logmon_core::Timestamp::EPOCH, usize::MAX);
        assert!(matches!(next, Ok(logmon_forward::codec::Next::NeedsBytes)));
        assert_eq!(decoder.buffered(), 0);
    }
    assert!(decoder.is_inside_message());
}

/// F-135.
#[test]
fn too_much_garbage_ends_the_connection() {
    let wrong = encode(&array(["t".into(), true.into(), chunk("id")]));
    let bytes = wrong.repeat(150);
    let (messages, error) = decode_pieces(Settings::default(), [&bytes[..]]);
    assert_eq!(messages.len(), 101);
    assert_eq!(chunks(&messages).len(), 101);
    assert_eq!(error.unwrap().reason.code(), "persistent_garbage");
}

/// F-052: order is kept, and single events of one tag become one batch, each with its own id.
#[test]
fn single_events_are_gathered() {
    let message = |tag: &str, n: u32| {
        let id = format!("{n}");
        encode(&array([tag.into(), n.into(), record(&id), chunk(&id)]))
    };
    let bytes: Vec<u8> = (1..=1_000).flat_map(|n| message("a", n)).collect();
    let messages = decode(&bytes);
    assert_eq!((messages.len(), messages[0].batches.len(), messages[0].messages), (1, 1, 1_000));
    let texts: Vec<_> = events(&messages).into_iter().map(|event| event.message).collect();
    assert_eq!(texts, (1..=1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    let ids = chunks(&messages);
    assert_eq!(ids, texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
    let firsts: Vec<_> = messages[0].chunks.iter().map(|chunk| chunk.first).collect();
    assert_eq!(firsts, (0..1_000).collect::<Vec<_>>());

    let mixed = [message("a", 1), message("a", 2), message("b", 3), message("a", 4)].concat();
    let sizes: Vec<_> = decode(&mixed).iter().map(|message| message.messages).collect();
    assert_eq!(sizes, [2, 1, 1]);

    let mut settings = Settings::default();
    settings.limits.max_gathered_messages = 300;
    let (messages, _) = decode_pieces(settings.clone(), [&bytes[..]]);
    assert_eq!(messages.len(), 4);
    settings.limits.max_gathered_bytes = 1_000;
    let (messages, _) = decode_pieces(settings, [&bytes[..]]);
    assert!(messages.iter().all(|message| message.batches[0].entries.payload().len() <= 1_000));
}

/// A compressed payload says how much room it may take before it takes it.
#[test]
fn decompression_waits_for_room() {
    use logmon_forward::codec::Next;
    let payload = zstd(&packed(&vec![entry(1, &"x".repeat(1_000)); 20_000]));
    let mut settings = Settings::default();
    settings.limits.max_buffered_bytes = 64 << 20;
    let mut decoder = decoder(settings);
    decoder.buffer().extend_from_slice(&compressed(&payload, Some("zstd")));
    let now = logmon_core::Timestamp::EPOCH;
    let (mut room, mut asked) = (0, Vec::new());
    let message = loop {
        match decoder.next_message(now, room).unwrap() {
            Next::Message(message) => break message,
            Next::NeedsRoom(more) => {
                asked.push(more);
                room = more;
            }
            next => panic!("{next:?}"),
        }
    };
    assert_eq!(message.events(), 20_000);
    assert_eq!(asked[0], 64 << 10);
    assert!(asked.windows(2).all(|pair| pair[1] == (pair[0] * 4).min(64 << 20)), "{asked:?}");
    decoder.buffer().extend_from_slice(&example("packed-gzip"));
    let Ok(Next::NeedsRoom(little)) = decoder.next_message(now, 0) else { panic!() };
    assert_eq!(little, 54 * 1032);
}

/// Makes a message of so many events.
type Make<'a> = &'a dyn Fn(usize) -> Vec<u8>;

/// A payload of tiny events, whose index would take ten times its bytes, is refused as a whole in
/// every mode, and the connection goes on.
#[test]
fn events_of_a_message_are_limited() {
    let tiny = |count: usize| b"\x92\xc0\x80".repeat(count);
    let forward = |bytes: Vec<u8>| {
        let count = u16::try_from(bytes.len() / 3).unwrap().to_be_bytes();
        [b"\x93\xa1t\xdc", &count[..], &bytes, &encode(&chunk("id"))].concat()
    };
    let pack = |bytes: Vec<u8>| encode(&array(["t".into(), V::Binary(bytes), chunk("id")]));
    let json = |count| {
        let entries = vec!["[0,{}]"; count].join(",");
        format!(r#"["t",[{entries}],{{"chunk":"id"}}]"#).into_bytes()
    };
    let nested = |count: usize| {
        let inner = array(["n".into(), V::Array(vec![entry(1, "a"); count / 2])]);
        let outer = vec![entry(1, "a"); count - count / 2];
        encode(&array(["t".into(), V::Array([outer, vec![inner]].concat()), chunk("id")]))
    };
    let with_metadata = |count: usize| {
        let option = map([("metadata", map([("k", V::from(1))])), ("chunk", "id".into())]);
        encode(&array(["t".into(), V::Binary(tiny(count)), option]))
    };
    let mut settings = Settings::default();
    settings.limits.max_message_events = 1_000;
    let modes: [(&str, Make<'_>); 7] = [
        ("forward", &|count| forward(tiny(count))),
        ("packed", &|count| pack(tiny(count))),
        ("gzip", &|count| pack(gzip(&tiny(count)))),
        ("zstd", &|count| pack(zstd(&tiny(count)))),
        ("metadata", &with_metadata),
        ("nested", &nested),
        ("json", &json),
    ];
    for (name, message) in modes {
        let bytes = [message(1_000), message(1_001), message(1)].concat();
        let (messages, error) = decode_pieces(settings.clone(), [&bytes[..]]);
        let events: Vec<_> = messages.iter().map(Message::events).collect();
        assert_eq!((error, events), (None, vec![1_000, 0, 1]), "{name}");
        assert_eq!(refused(&messages), [("too_many_events", 1)], "{name}");
        assert!(messages[1].is_refused() && messages[1].batches.is_empty());
        assert_eq!(chunks(&messages).len(), 3, "{name}");
    }
}

/// Every nested batch costs far more memory than its bytes, so their number is bounded.
#[test]
fn nested_batches_are_limited() {
    let inner = || array(["n".into(), array([entry(1, "a")])]);
    let outer = |count| array(["t".into(), V::Array(vec![inner(); count]), chunk("id")]);
    let mut settings = Settings::default();
    settings.limits.max_nested_batches = 10;
    let bytes = [encode(&outer(10)), encode(&outer(11)), encode(&outer(1))].concat();
    let (messages, error) = decode_pieces(settings, [&bytes[..]]);
    let batches: Vec<_> = messages.iter().map(|message| message.batches.len()).collect();
    assert_eq!((error, batches), (None, vec![10, 0, 1]));
    assert_eq!(refused(&messages), [("too_many_batches", 1)]);
    assert_eq!(chunks(&messages).len(), 3);
}

/// Blanks without end are no beginning, in any pieces.
#[test]
fn endless_blanks_are_no_beginning() {
    let blanks = vec![b' '; 100_000];
    for step in [1_000, 100_000] {
        let (messages, error) = decode_pieces(Settings::default(), blanks.chunks(step));
        assert!(messages.is_empty());
        assert_eq!(error.map(|error| error.reason.code()), Some("not_forward"));
    }
}

/// Metadata of the option, which every entry gets, makes no payload bigger than a compressed one
/// may become, and asks for the room before it takes it.
#[test]
fn metadata_does_not_grow_without_bound() {
    use logmon_forward::codec::Next;
    let settings = || {
        let mut settings = Settings::default();
        settings.limits.max_message_bytes = 100_000;
        settings.limits.max_decompressed_bytes = 100_000;
        settings
    };
    let metadata = map([("k", "x".repeat(1_000).into())]);
    let option = map([("chunk", "id".into()), ("metadata", metadata)]);
    for count in [50, 1_000] {
        let entries = vec![entry(1, "a"); count];
        let bytes = packed(&entries);
        for payload in [
            V::Array(entries),
            V::Binary(bytes.clone()),
            V::Binary(gzip(&bytes)),
            V::Binary(zstd(&bytes)),
        ] {
            let message = encode(&array(["t".into(), payload, option.clone()]));
            let (messages, error) = decode_pieces(settings(), [&message[..]]);
            assert_eq!((error, chunks(&messages).len()), (None, 1));
            if count == 50 {
                assert_eq!(messages[0].events(), 50);
                let mut decoder = decoder(settings());
                decoder.buffer().extend_from_slice(&message);
                let mut room = 0;
                while let Next::NeedsRoom(more) =
                    decoder.next_message(logmon_core::Timestamp::EPOCH, room).unwrap()
                {
                    room = more;
                }
                assert!(room > 50_000, "{room}");
            } else {
                assert_eq!(refused(&messages), [("metadata_too_big", 1)]);
                assert_eq!(messages[0].events(), 0);
            }
        }
    }
}

/// A batch of single events takes about what it is, whatever else waits in the buffer.
#[test]
fn gathered_batches_take_what_they_are() {
    let message = |tag: &str| encode(&array([tag.into(), 1.into(), record("foo")]));
    let bytes = [message("a"), message("b")].concat().repeat(5_000);
    for message in decode(&bytes) {
        let payload = message.batches[0].entries.payload().clone();
        drop(message);
        assert!(payload.try_into_mut().unwrap().capacity() <= 4_096);
    }
}

mod json {
    use super::*;

    fn decode_json(text: &str) -> Vec<Message> {
        decode(text.as_bytes())
    }

    /// F-054, F-055, F-058 and the byte order mark of section 1.7.
    #[test]
    fn reads_texts_with_and_without_blanks_between() {
        let one = r#"["app.web",1441588984,{"message":"foo"}]"#;
        let two = r#"["app.web",[[1441588984.5,{"message":"a"}],[1,{"message":"b"}]]]"#;
        for text in [format!("{one}{two}"), format!("\u{feff} {one}\n\n{two}\n")] {
            let messages = decode_json(&text);
            let found: Vec<_> =
                events(&messages).into_iter().map(|event| (event.nanos, event.message)).collect();
            let expected = [(TIME, "foo"), (TIME_AND_HALF, "a"), (SECOND, "b")];
            assert_eq!(found, expected.map(|(time, text)| (time, text.to_owned())));
        }
    }

    /// F-056: the acknowledgement is JSON, too.
    #[test]
    fn acknowledges_in_json() {
        let id = std::str::from_utf8(ID).unwrap();
        let text = format!(r#"["app.web",1441588984,{{"message":"foo"}},{{"chunk":"{id}"}}]"#);
        let mut decoder = decoder(Settings::default());
        decoder.buffer().extend_from_slice(text.as_bytes());
        let next = decoder.next_message(logmon_core::Timestamp::EPOCH, usize::MAX);
        let Ok(logmon_forward::codec::Next::Message(message)) = next else { panic!() };
        let mut out = Vec::new();
        message.chunks.write_acks(decoder.wire(), &mut out);
        assert_eq!(out, format!(r#"{{"ack":"{id}"}}"#).into_bytes());
    }

    /// F-057.
    #[test]
    fn may_be_cut_inside_a_character() {
        let text = r#"["t",1,{"message":"日本"}]"#.as_bytes();
        for cut in 0..text.len() {
            let (start, end) = text.split_at(cut);
            let (messages, error) = decode_pieces(Settings::default(), [start, end]);
            assert_eq!((events(&messages)[0].message.as_str(), error), ("日本", None));
        }
    }

    /// F-059, and a packed payload, which JSON cannot have.
    #[test]
    fn refuses_wrong_messages_alone() {
        let good = r#"["t",1,{"message":"a"}]"#;
        let deep = format!("[\"t\",1,{{\"a\":{}{}}}]", "[".repeat(200), "]".repeat(200));
        for (wrong, reason) in [
            (r#"{"a":1}"#, "message_shape"),
            (r#"["t","packed"]"#, "payload_type"),
            (&deep, "json_too_deep"),
        ] {
            let messages = decode_json(&format!("{good}{wrong}{good}"));
            assert_eq!(refused(&messages), [(reason, 1)]);
            assert_eq!(events(&messages).len(), 2);
        }
    }

    /// F-060: earlier events are kept, and the place is told.
    #[test]
    fn syntax_errors_end_the_connection() {
        let text = "[\"t\",1,{}]\n[\"t\",\n 1 {}]";
        let (messages, error) = decode_pieces(Settings::default(), [text.as_bytes()]);
        assert_eq!(events(&messages).len(), 1);
        let error = error.unwrap();
        assert_eq!((error.reason.code(), error.offset), ("json_syntax", 11));
        assert!(error.to_string().contains("line 2, column 4"), "{error}");
    }

    /// R-039.
    #[test]
    fn endless_texts_are_read_over() {
        let mut settings = Settings::default();
        settings.limits.max_message_bytes = 1_000;
        let text = format!(r#"["t",1,{{"message":"{}"}}]["t",1,{{}}]"#, "x".repeat(5_000));
        for step in [1, 600, 10_000] {
            let (messages, error) = decode_pieces(settings.clone(), text.as_bytes().chunks(step));
            assert_eq!((refused(&messages), error), (vec![("message_too_big", 1)], None));
            assert_eq!(events(&messages).len(), 1);
        }
    }
}
