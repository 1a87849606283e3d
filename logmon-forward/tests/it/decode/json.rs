//! Connections that speak JSON.

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

/// F-133 and F-056: an oversize message is acknowledged in JSON, in any pieces, where its option
/// can be seen.
#[test]
fn oversize_messages_are_acknowledged() {
    let mut settings = Settings::default();
    settings.limits.max_message_bytes = 1_000;
    let long = "x".repeat(5_000);
    let single = format!(r#"["t",1,{{"message":"{long}"}},{{"chunk":"one"}}]"#);
    let many = format!(r#"["t",[{}[1,{{}}]],{{"chunk":"two"}}]"#, "[1,{}],".repeat(900));
    let unasked = format!(r#"["t",1,{{"chunk":"{long}"}}]"#);
    let text = [single, many, unasked, r#"["t",1,{},{"chunk":"last"}]"#.to_owned()].concat();
    for step in [1, 600, 10_000, 100_000] {
        let (messages, error) = decode_pieces(settings.clone(), text.as_bytes().chunks(step));
        assert_eq!((refused(&messages), error), (vec![("message_too_big", 1); 3], None));
        assert_eq!(chunks(&messages), [b"one".to_vec(), b"two".to_vec(), b"last".to_vec()]);
        let mut acks = Vec::new();
        messages.iter().for_each(|message| message.chunks.write_acks(AckWire::Json, &mut acks));
        assert_eq!(acks, br#"{"ack":"one"}{"ack":"two"}{"ack":"last"}"#);
    }
}

/// Section 1.7: a byte order mark may stand before any message, and be cut.
#[test]
fn byte_order_marks_are_passed_over() {
    let one = r#"["t",1,{"message":"a"}]"#;
    let text = format!("\u{feff}{one}\u{feff} \n\u{feff}{one} {one}\u{feff}");
    for step in [1, 2, 5, 1_000] {
        let (messages, error) = decode_pieces(Settings::default(), text.as_bytes().chunks(step));
        assert_eq!((events(&messages).len(), error), (3, None), "pieces of {step}");
    }
    let broken = [one.as_bytes(), b"\xef\xbb\xbe", one.as_bytes()].concat();
    let (messages, error) = decode_pieces(Settings::default(), [&broken[..]]);
    assert_eq!(events(&messages).len(), 1);
    assert_eq!(error.map(|error| error.reason.code()), Some("json_syntax"));
}
