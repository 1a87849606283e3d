//! Messages and connections that are refused.

use super::*;

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
