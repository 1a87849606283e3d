//! Single-event messages.

use super::*;

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
