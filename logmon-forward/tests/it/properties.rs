//! What holds for every stream: the pieces it comes in do not matter, a plain decoder reads the
//! same, and nothing panics.

use std::collections::BTreeMap;

use logmon_forward::codec::{Class, DecodeError, Message, Settings};
use proptest::prelude::*;
use rmpv::Value as V;

use crate::common::*;
use crate::oracle::{Meaning, meaning, read_stream};

/// What a stream comes to, however it was cut.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    chunks: Vec<Vec<u8>>,
    refused: BTreeMap<&'static str, u32>,
    /// The original bytes of what was refused, by reason and message.
    kept: Vec<(&'static str, u64, Vec<u8>, u64)>,
    error: Option<(&'static str, u64)>,
    messages: u32,
}

fn outcome((messages, error): (Vec<Message>, Option<DecodeError>)) -> Outcome {
    let mut all = BTreeMap::new();
    for (reason, count) in refused(&messages) {
        *all.entry(reason).or_default() += count;
    }
    let rejects = messages.iter().flat_map(|message| &message.rejected);
    let mut kept: Vec<_> = rejects
        .map(|reject| {
            let offset = match reject.reason.class() {
                // Single-event messages are gathered, which depends on the pieces.
                Class::Entry => 0,
                _ => reject.offset,
            };
            (reject.reason.code(), offset, reject.bytes.to_vec(), reject.full_bytes)
        })
        .collect();
    kept = merged(kept);
    Outcome {
        kept,
        events: events(&messages),
        chunks: chunks(&messages),
        refused: all,
        error: error.map(|error| (error.reason.code(), error.offset)),
        messages: messages.iter().map(|message| message.messages).sum(),
    }
}

/// Refused entries that follow each other joined, wherever batches were cut.
fn merged(kept: Vec<(&'static str, u64, Vec<u8>, u64)>) -> Vec<(&'static str, u64, Vec<u8>, u64)> {
    let mut all: Vec<(&'static str, u64, Vec<u8>, u64)> = Vec::new();
    for (code, offset, bytes, full) in kept {
        let same = all.iter_mut().find(|known| (known.0, known.1, offset) == (code, 0, 0));
        match same {
            Some(known) => {
                known.2.extend(bytes);
                known.3 += full;
            }
            None => all.push((code, offset, bytes, full)),
        }
    }
    all.sort_by_key(|(code, offset, ..)| (*code, *offset));
    all
}

fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn small_limits() -> Settings {
    let mut settings = Settings::default();
    settings.limits.max_message_bytes = 200;
    settings.limits.max_gathered_messages = 3;
    settings
}

/// Nearly every message with entries is handed out in parts.
fn small_parts(mut settings: Settings) -> Settings {
    settings.limits.max_buffered_bytes = 20;
    settings.limits.part_bytes = 50;
    settings
}

/// The same, where messages may be held and some are not.
fn medium_parts(mut settings: Settings) -> Settings {
    settings.limits.max_buffered_bytes = 120;
    settings.limits.part_bytes = 1;
    settings
}

fn any_value() -> impl Strategy<Value = V> {
    let leaf = prop_oneof![
        Just(V::Nil),
        any::<bool>().prop_map(V::from),
        any::<i64>().prop_map(V::from),
        any::<u64>().prop_map(V::from),
        any::<f32>().prop_filter("comparable", |float| !float.is_nan()).prop_map(V::from),
        any::<f64>().prop_filter("comparable", |float| !float.is_nan()).prop_map(V::from),
        ".{0,40}".prop_map(V::from),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(V::Binary),
        (1i8.., prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, data)| V::Ext(kind, data)),
    ];
    leaf.prop_recursive(3, 20, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(V::Array),
            prop::collection::vec((".{0,6}".prop_map(V::from), inner), 0..6).prop_map(V::Map),
        ]
    })
}

fn any_record() -> impl Strategy<Value = V> {
    let key = prop_oneof![
        Just("message".to_owned()),
        Just("level".to_owned()),
        Just("source".to_owned()),
        "[a-z.]{0,8}",
    ];
    prop::collection::vec((key.prop_map(V::from), any_value()), 0..6).prop_map(V::Map)
}

fn any_time() -> impl Strategy<Value = V> {
    prop_oneof![
        Just(V::Nil),
        (-9_000_000_000i64..9_000_000_000).prop_map(V::from),
        (4i32..400_000_000).prop_map(|quarters| V::from(f64::from(quarters) / 4.0)),
        (0u32..0xffff_fff0, 0u32..1_000_000_000).prop_map(|(s, n)| event_time(s, n)),
    ]
}

fn any_entry() -> impl Strategy<Value = V> {
    let metadata = prop::collection::vec(("[a-z]{1,4}".prop_map(V::from), any_value()), 0..3);
    let header = prop_oneof![
        3 => any_time(),
        1 => (any_time(), metadata).prop_map(|(time, map)| array([time, V::Map(map)])),
    ];
    (header, any_record()).prop_map(|(header, record)| array([header, record]))
}

fn any_option() -> impl Strategy<Value = Option<V>> {
    prop_oneof![
        Just(None),
        Just(Some(V::Nil)),
        Just(Some(V::Map(vec![]))),
        ".{0,30}".prop_map(|id| Some(chunk(&id))),
        prop::collection::vec(any::<u8>(), 1..30)
            .prop_map(|id| Some(map([("size", 7.into()), ("chunk", V::Binary(id))]))),
    ]
}

/// A valid message in any mode, as bytes.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let tag =
        || prop_oneof![Just("app.web".to_owned()), "[a-z]{1,6}(\\.[a-z]{1,6})?"].prop_map(V::from);
    let single = (tag(), any_entry(), any_option()).prop_map(|(tag, entry, option)| {
        let V::Array(mut parts) = entry else { unreachable!() };
        parts.insert(0, tag);
        parts.extend(option);
        encode(&V::Array(parts))
    });
    let entries = || prop::collection::vec(any_entry(), 0..6);
    let forward = (tag(), entries(), any_option()).prop_map(|(tag, entries, option)| {
        encode(&array([tag, V::Array(entries)].into_iter().chain(option)))
    });
    let packing = (tag(), entries(), any_option(), 0..3, any::<bool>());
    let packing = packing.prop_map(|(tag, entries, option, compression, is_str)| {
        let plain = packed(&entries);
        let payload = match compression {
            0 => plain,
            1 => gzip(&plain),
            _ => zstd(&plain),
        };
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let elements = 2 + u8::from(option.is_some());
        let header = [&[if is_str { 0xdb } else { 0xc6 }][..], &len].concat();
        let option = option.map(|option| encode(&option)).unwrap_or_default();
        [&[0x90 | elements], &encode(&tag)[..], &header, &payload, &option].concat()
    });
    prop_oneof![4 => single, 3 => forward, 3 => packing, 1 => Just(vec![0xc0]), 1 => Just(vec![0x90])]
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any_message(), 0..8).prop_map(|messages| messages.concat())
}

/// Group markers of Fluent Bit between entries, and metadata in the option.
fn any_spread_message(has_metadata: bool) -> impl Strategy<Value = Vec<u8>> {
    let some = || prop::collection::vec(("[a-z]{1,4}".prop_map(V::from), any_value()), 0..3);
    let marker = |seconds| {
        (some(), any_record()).prop_map(move |(metadata, body)| {
            array([array([event_time(seconds, 0), V::Map(metadata)]), body])
        })
    };
    let entry = prop_oneof![
        6 => any_entry(),
        2 => marker(0xffff_ffff),
        1 => marker(0xffff_fffe),
        // A batch in the place of an entry has to be held, whatever the others are.
        1 => any_value().prop_filter("no batch", |value| !value.is_array()),
    ];
    let body = (prop::collection::vec(entry, 0..10), 0..4);
    let body = body.prop_map(|(entries, mode)| match mode {
        0 => V::Array(entries),
        1 => V::Binary(packed(&entries)),
        2 => V::Binary(gzip(&packed(&entries))),
        _ => V::Binary(zstd(&packed(&entries))),
    });
    (body, some()).prop_map(move |(body, metadata)| {
        let metadata = if has_metadata { V::Map(metadata) } else { V::Nil };
        let option = map([("chunk", "id".into()), ("metadata", metadata)]);
        encode(&array(["t".into(), body, option]))
    })
}

/// Messages that are well formed, but wrong, between right ones.
fn any_faulty_stream() -> impl Strategy<Value = Vec<u8>> {
    let wrong = prop_oneof![
        any_value().prop_map(|value| encode(&value)),
        (any_value(), any_value()).prop_map(|(a, b)| encode(&array([a, b]))),
        (any_value(), any_option()).prop_map(|(body, option)| encode(&array(
            ["t".into(), body].into_iter().chain(option)
        ))),
        prop::collection::vec(prop_oneof![any_entry(), any_value()], 0..6)
            .prop_map(|entries| encode(&array(["t".into(), V::Binary(packed(&entries))]))),
        prop::collection::vec(prop_oneof![any_entry(), any_value()], 0..6)
            .prop_map(|entries| encode(&array(["t".into(), V::Array(entries)]))),
    ];
    let first = Just(example("message"));
    let rest = prop::collection::vec(prop_oneof![any_message(), wrong], 0..8);
    (first, rest).prop_map(|(first, rest)| [first, rest.concat()].concat())
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..8)
}

proptest! {
    /// R-038, F-051: valid streams.
    #[test]
    fn pieces_do_not_matter(bytes in any_stream(), cuts in cuts()) {
        let whole = outcome(decode_pieces(Settings::default(), [&bytes[..]]));
        prop_assert_eq!(&whole.error, &None);
        prop_assert!(whole.refused.is_empty(), "{:?}", whole.refused);
        let pieces = outcome(decode_pieces(Settings::default(), cut(&bytes, &cuts)));
        prop_assert_eq!(&pieces, &whole);
        let bytewise = outcome(decode_pieces(Settings::default(), bytes.chunks(1)));
        prop_assert_eq!(&bytewise, &whole);
    }

    /// streams with faults, also where messages are beyond the limit.
    #[test]
    fn pieces_do_not_matter_to_faults(bytes in any_faulty_stream(), cuts in cuts()) {
        for settings in [Settings::default(), small_limits()] {
            let whole = outcome(decode_pieces(settings.clone(), [&bytes[..]]));
            let pieces = outcome(decode_pieces(settings.clone(), cut(&bytes, &cuts)));
            prop_assert_eq!(&pieces, &whole);
            let bytewise = outcome(decode_pieces(settings, bytes.chunks(1)));
            prop_assert_eq!(&bytewise, &whole);
        }
    }

    /// Any bytes at all, and valid streams with bytes changed: no panic, and the pieces do not
    /// matter either.
    #[test]
    fn any_bytes_are_survived(
        mut bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            any_stream(),
            "\\[\"t\",[0-9\\[\\]{},\"a-z]{0,60}".prop_map(String::into_bytes),
        ],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cuts in cuts(),
    ) {
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        for settings in [Settings::default(), small_limits()] {
            let whole = outcome(decode_pieces(settings.clone(), [&bytes[..]]));
            let pieces = outcome(decode_pieces(settings, cut(&bytes, &cuts)));
            prop_assert_eq!(pieces, whole);
        }
    }

    /// What is handed out in parts comes to the same as what is held, in any pieces: the same
    /// events in the same order, refusals with the same bytes, and ids.
    #[test]
    fn parts_are_the_same_as_a_whole(
        valid in any_stream(),
        faulty in any_faulty_stream(),
        damage in prop::option::of((any::<prop::sample::Index>(), 1u8..)),
        cuts in cuts(),
    ) {
        let mut bytes = [valid, faulty].concat();
        if let Some((at, change)) = damage {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        for settings in [Settings::default(), small_limits()] {
            let held = outcome(decode_pieces(settings.clone(), [&bytes[..]]));
            for parted in [small_parts(settings.clone()), medium_parts(settings.clone())] {
                let whole = outcome(decode_pieces(parted.clone(), [&bytes[..]]));
                prop_assert_eq!(&whole, &held);
                let pieces = outcome(decode_pieces(parted.clone(), cut(&bytes, &cuts)));
                prop_assert_eq!(&pieces, &held);
                let bytewise = outcome(decode_pieces(parted, bytes.chunks(1)));
                prop_assert_eq!(&bytewise, &held);
            }
        }
    }

    /// The same where group attributes are attached.
    #[test]
    fn groups_in_parts_are_the_same_as_a_whole(
        messages in prop::collection::vec(any_spread_message(false), 1..4),
        cuts in cuts(),
    ) {
        let bytes = messages.concat();
        let mut settings = Settings::default();
        settings.group_attributes_key = Some("group".to_owned());
        let held = outcome(decode_pieces(settings.clone(), [&bytes[..]]));
        for parted in [small_parts(settings.clone()), medium_parts(settings.clone())] {
            let pieces = outcome(decode_pieces(parted.clone(), cut(&bytes, &cuts)));
            prop_assert_eq!(&pieces, &held);
            let bytewise = outcome(decode_pieces(parted, bytes.chunks(1)));
            prop_assert_eq!(&bytewise, &held);
        }
    }

    /// The same where the option has metadata for the entries, and is there when they begin.
    #[test]
    fn metadata_in_parts_is_the_same_as_in_a_whole(
        messages in prop::collection::vec(any_spread_message(true), 1..4),
        has_groups in any::<bool>(),
        cuts in cuts(),
    ) {
        let bytes = messages.concat();
        let mut settings = Settings::default();
        settings.group_attributes_key = has_groups.then(|| "group".to_owned());
        let held = outcome(decode_pieces(settings.clone(), [&bytes[..]]));
        for (events, part_bytes) in [(2, 1), (3, 1), (2, 100)] {
            let mut parted = settings.clone();
            parted.limits.max_buffered_events = events;
            parted.limits.part_bytes = part_bytes;
            let pieces = outcome(decode_pieces(parted, cut(&bytes, &cuts)));
            prop_assert_eq!(&pieces, &held);
        }
    }

    /// The same events and ids as a decoder without any art.
    #[test]
    fn a_plain_decoder_reads_the_same(bytes in any_stream()) {
        let messages = decode(&bytes);
        let found: Vec<Meaning> = events(&messages)
            .into_iter()
            .map(|event| Meaning { nanos: event.nanos, ..meaning(&event.tag, &event.entry) })
            .collect();
        let (expected, ids) = read_stream(&bytes);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(chunks(&messages), ids);
    }
}
