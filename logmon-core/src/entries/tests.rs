use super::*;
use crate::Level;
use crate::msgpack::tests::encode;
use proptest::prelude::*;
use rmpv::Value as V;

fn reading() -> Reading {
    Reading::new(Arc::default(), Timestamp::from_seconds(1_800_000_000, 0).unwrap())
}

fn record() -> V {
    V::Map(vec![("message".into(), "foo".into())])
}

fn push(entry: &V) -> Result<Index, EntryError> {
    let bytes = encode(entry);
    let mut index = Index::default();
    let end = index.push(&bytes, 0, &reading())?;
    assert_eq!(end, bytes.len());
    Ok(index)
}

fn time_of(time: V) -> Result<i64, EntryErrorKind> {
    push(&V::Array(vec![time, record()])).map(|index| index.times[0]).map_err(|error| error.kind)
}

fn event_time(seconds: u32, nanos: u32) -> V {
    V::Ext(0, [seconds.to_be_bytes(), nanos.to_be_bytes()].concat())
}

const SECOND: i64 = 1_000_000_000;

/// F-001, F-002, F-003, F-006, F-009, F-011: the forms of a time.
#[test]
fn reads_every_form_of_time() {
    assert_eq!(time_of(1_441_588_984u32.into()), Ok(1_441_588_984 * SECOND));
    assert_eq!(time_of(event_time(1_441_588_984, 500)), Ok(1_441_588_984 * SECOND + 500));
    assert_eq!(time_of(event_time(0x8000_0000, 0)), Ok(0x8000_0000 * SECOND));
    assert_eq!(time_of(1_441_588_984.5f64.into()), Ok(1_441_588_984 * SECOND + SECOND / 2));
    assert_eq!(time_of((-5i64).into()), Ok(-5 * SECOND));
    assert_eq!(time_of(V::Ext(-1, vec![0, 0, 0, 9])), Ok(9 * SECOND));
}

/// F-002: Go writes positive seconds with signed headers (`d2`).
#[test]
fn reads_signed_headers() {
    let bytes = [0x92, 0xd2, 0x55, 0xec, 0xe6, 0xf8, 0x80];
    let mut index = Index::default();
    index.push(&bytes, 0, &reading()).unwrap();
    assert_eq!(index.times[0], 1_441_588_984 * SECOND);
}

/// F-010: zero, nil and an empty `EventTime` mean the receive time. So does any time whose
/// seconds are zero, as Fluentd reads it.
#[test]
fn no_time_is_the_receive_time() {
    let received = reading().received.as_nanos();
    for time in [V::Nil, 0.into(), event_time(0, 0), event_time(0, 5), 0.0.into()] {
        assert_eq!(time_of(time.clone()), Ok(received), "{time}");
    }
}

/// what 64 bits of nanoseconds cannot hold is counted and gets the receive time.
#[test]
fn impossible_times_are_counted() {
    let received = reading().received.as_nanos();
    for time in [
        i64::MAX.into(),
        i64::MIN.into(),
        u64::MAX.into(),
        V::from(f64::NAN),
        V::from(f64::INFINITY),
        V::from(1e308),
    ] {
        let index = push(&V::Array(vec![time, record()])).unwrap();
        assert_eq!(index.times[0], received);
        assert_eq!(index.oddities().times_out_of_range, 1);
    }
}

/// F-012: by size, where that was asked for.
#[test]
fn reads_milliseconds_when_told_to() {
    let reading = Reading { time_unit: TimeUnit::Auto, ..reading() };
    for (number, nanos) in [
        (1_441_588_984i64, 1_441_588_984 * SECOND),
        (1_441_588_984_500, 1_441_588_984 * SECOND + SECOND / 2),
        (1_441_588_984_500_000, 1_441_588_984 * SECOND + SECOND / 2),
        (1_441_588_984_500_000_000, 1_441_588_984 * SECOND + SECOND / 2),
    ] {
        let bytes = encode(&V::Array(vec![number.into(), record()]));
        let mut index = Index::default();
        index.push(&bytes, 0, &reading).unwrap();
        assert_eq!(index.times[0], nanos);
    }
}

/// F-119, F-120, R-025.
#[test]
fn refuses_what_is_no_time() {
    for time in [
        "now".into(),
        V::Map(vec![]),
        true.into(),
        V::Ext(7, vec![0; 8]),
        V::Ext(0, vec![0; 7]),
        event_time(5, 1_000_000_000),
        event_time(5, u32::MAX),
    ] {
        assert_eq!(time_of(time.clone()), Err(EntryErrorKind::Time), "{time}");
    }
}

/// F-031, F-033, F-034 and 6.2 rows 16, 18.
#[test]
fn reads_metadata_headers() {
    let header = |items: Vec<V>| push(&V::Array(vec![V::Array(items), record()]));
    for items in [
        vec![5.into()],
        vec![5.into(), V::Nil],
        vec![5.into(), V::Map(vec![])],
        vec![5.into(), V::Map(vec![("k".into(), "v".into())])],
    ] {
        let index = header(items).unwrap();
        assert_eq!((index.times[0], index.oddities().extra_elements), (5 * SECOND, 0));
    }
    let index = header(vec![5.into(), V::Nil, 9.into()]).unwrap();
    assert_eq!(index.oddities().extra_elements, 1);
    assert_eq!(header(vec![]).unwrap_err().kind, EntryErrorKind::Shape);
    assert_eq!(header(vec![5.into(), "x".into()]).unwrap_err().kind, EntryErrorKind::Shape);
}

/// F-037: Fluent Bit's group markers are told apart from events.
#[test]
fn tells_group_markers() {
    for seconds in [0xffff_ffffu32, 0xffff_fffe] {
        assert_eq!(time_of(event_time(seconds, 0)), Err(EntryErrorKind::GroupMarker));
        assert!(time_of(event_time(seconds, 1)).is_ok());
    }
}

/// F-118, R-030 and 6.2 rows 15, 16: a wrong entry tells where the next one begins.
#[test]
fn a_wrong_entry_does_not_hide_the_next() {
    for (entry, kind) in [
        (V::Array(vec![5.into(), V::Nil]), EntryErrorKind::Record),
        (V::Array(vec![5.into(), V::Array(vec![1.into()])]), EntryErrorKind::Record),
        (V::Array(vec![5.into()]), EntryErrorKind::Shape),
        ("text".into(), EntryErrorKind::Shape),
        (V::Map(vec![]), EntryErrorKind::Shape),
    ] {
        let mut bytes = encode(&entry);
        let next = bytes.len();
        bytes.extend(encode(&V::Array(vec![5.into(), record()])));
        let mut index = Index::default();
        let error = index.push(&bytes, 0, &reading()).unwrap_err();
        assert_eq!((error.kind, error.end), (kind, Some(next)), "{entry}");
        assert!(index.is_empty());
        index.push(&bytes, next, &reading()).unwrap();
    }
}

/// F-127, R-009: depth 128 is stored, 129 is refused, and the end is still found.
#[test]
fn bounds_the_depth_of_a_record() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x92, 0x05];
        for _ in 1..depth {
            bytes.extend([0x81, 0xa1, b'k']);
        }
        bytes.push(0x80);
        Index::default().push(&bytes, 0, &reading()).map_err(|error| (error.kind, error.end))
    };
    let too_deep = EntryErrorKind::Framing(MsgpackErrorKind::TooDeep);
    assert!(nested(127).is_ok() && nested(128).is_ok());
    assert_eq!(nested(129), Err((too_deep, Some(2 + 128 * 3 + 1))));
    assert_eq!(nested(200_000), Err((too_deep, None)), "not even the end is looked for");
}

/// 6.1: the longest record.
#[test]
fn bounds_the_bytes_of_a_record() {
    let mut bytes = vec![0x92, 0x05, 0x81, 0xa1, b'k', 0xc6];
    bytes.extend(u32::try_from(MAX_RECORD_BYTES).unwrap().to_be_bytes());
    bytes.resize(bytes.len() + MAX_RECORD_BYTES, 0);
    let error = Index::default().push(&bytes, 0, &reading()).unwrap_err();
    assert_eq!((error.kind, error.end), (EntryErrorKind::RecordTooLong, Some(bytes.len())));
}

#[test]
fn reads_levels_of_every_kind() {
    for (value, level) in [
        (V::from("warning"), Some(Level::Warn)),
        (V::from(&b"ERROR"[..]), Some(Level::Error)),
        (V::from(30), Some(Level::Info)),
        (V::from("loud"), None),
        (V::from(1.5), None),
    ] {
        let record = V::Map(vec![("lvl".into(), value.clone())]);
        let index = push(&V::Array(vec![5.into(), record])).unwrap();
        assert_eq!(index.flags[0].level(), level, "{value}");
    }
}

proptest! {
    /// Whatever the bytes, an entry is read, or refused with an end that is an entry's end.
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut index = Index::default();
        match index.push(&bytes, 0, &reading()) {
            Ok(end) => prop_assert!(end <= bytes.len()),
            Err(error) => prop_assert!(error.end.is_none_or(|end| end <= bytes.len())),
        }
    }
}

/// Pieces are as long as they may be, cover everything, and know their times.
#[test]
fn pieces_cover_the_payload_in_order() {
    let mut payload = Vec::new();
    for (seconds, len) in [(5, 1), (3, 10), (9, 200), (4, 1), (1, 1)] {
        let record = V::Map(vec![("m".into(), "x".repeat(len).into())]);
        payload.extend_from_slice(&encode(&V::Array(vec![seconds.into(), record])));
    }
    let entries = Entries::read(payload.into(), &reading()).unwrap();
    for max in [0, 7, 8, 22, 23, 24, 50, 1000] {
        let pieces: Vec<Piece> = entries.pieces(max).collect();
        let joined: Vec<u8> = pieces.iter().flat_map(|piece| piece.payload.to_vec()).collect();
        assert_eq!(joined, entries.payload().to_vec(), "{max}");
        for piece in &pieces {
            assert!(piece.events == 1 || piece.payload.len() <= max, "{max}: {piece:?}");
            let read = Entries::read(piece.payload.clone(), &reading()).unwrap();
            assert_eq!((read.len(), read.time_range()), (piece.events, Some(piece.times)));
        }
        let next = pieces.windows(2).map(|two| (&two[0], &two[1].payload));
        for (piece, next) in next {
            let first = Entries::read(next.clone(), &reading()).unwrap().pieces(0).next().unwrap();
            assert!(piece.payload.len() + first.payload.len() > max, "{max}: one more had fit");
        }
    }
}

/// A selection is what reading the selected bytes gives.
#[test]
fn selects_entries() {
    let reading = Reading::new(Arc::default(), Timestamp::from_nanos(7));
    let texts = ["one", "two", "three"];
    let payloads = texts.map(|text| {
        let mut out = Vec::new();
        crate::Log::new(text).level(Level::Warn).source("s").write_entry(&mut out);
        out
    });
    let entries = Entries::read(payloads.concat().into(), &reading).unwrap();
    assert_eq!([0, 1, 2, 3].map(|at| entries.entry(at).len()), {
        [payloads[0].len(), payloads[1].len(), payloads[2].len(), 0]
    });
    for kept in [vec![], vec![1], vec![0, 2], vec![0, 1, 2]] {
        let selected = entries.select(|at| kept.contains(&at));
        let bytes: Vec<u8> = kept.iter().flat_map(|at| payloads[*at].clone()).collect();
        let expected = Entries::read(bytes.into(), &reading).unwrap();
        assert_eq!(format!("{selected:?}"), format!("{expected:?}"));
    }
}
