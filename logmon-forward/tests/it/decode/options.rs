//! What the option says, in every mode.

use super::*;

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

/// F-038: `signals = reject` refuses them and keeps their bytes, held or in parts.
#[test]
fn signals_may_be_refused() {
    let option = |signal: u32| map([("fluent_signal", signal.into()), ("chunk", "id".into())]);
    let metrics = || array([array([1.into(), array([V::Binary(vec![1])])])]);
    let logs = || V::Array((0..9).map(|number| entry(number, "a")).collect());
    let mut held = Settings::default();
    held.signals = Signals::Reject;
    let mut parted = held.clone();
    parted.limits.max_buffered_bytes = 10;
    parted.limits.part_bytes = 1;
    for body in [V::Binary(vec![0x83, 0x01, 0xff]), metrics(), logs()] {
        for signal in [1, 2] {
            let bytes = encode(&array(["t".into(), body.clone(), option(signal)]));
            let stream = [&bytes[..], &example("message")].concat();
            for settings in [held.clone(), parted.clone()] {
                let (messages, error) = decode_pieces(settings, [&stream[..]]);
                assert_eq!((error, refused(&messages)), (None, vec![("signal_unsupported", 1)]));
                assert_eq!(
                    (&messages[0].rejected[0].bytes[..], events(&messages).len()),
                    (&bytes[..], 1)
                );
                assert_eq!((messages[0].oddities.signals, chunks(&messages).len()), (0, 1));
            }
        }
        let bytes = encode(&array(["t".into(), logs(), option(0)]));
        assert_eq!(decode_one(&bytes).events(), 9, "logs are logs");
    }
}
