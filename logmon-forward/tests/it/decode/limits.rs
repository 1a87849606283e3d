//! What is too much.

use super::*;

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
