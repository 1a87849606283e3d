use super::*;
use proptest::prelude::*;

/// Any msgpack value, by way of rmpv, the independent implementation.
pub(crate) fn any_value() -> impl Strategy<Value = rmpv::Value> {
    let leaf = prop_oneof![
        Just(rmpv::Value::Nil),
        any::<bool>().prop_map(rmpv::Value::from),
        any::<i64>().prop_map(rmpv::Value::from),
        any::<u64>().prop_map(rmpv::Value::from),
        any::<f32>().prop_map(rmpv::Value::from),
        any::<f64>().prop_map(rmpv::Value::from),
        ".{0,40}".prop_map(rmpv::Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(rmpv::Value::from),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, data)| rmpv::Value::Ext(kind, data)),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(rmpv::Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..20).prop_map(rmpv::Value::Map),
        ]
    })
}

pub(crate) fn encode(value: &rmpv::Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

/// Rebuilds an rmpv value through our cursor.
fn rebuild(cursor: &mut Cursor<'_>) -> rmpv::Value {
    match cursor.head().unwrap() {
        Head::Nil => rmpv::Value::Nil,
        Head::Bool(value) => value.into(),
        Head::UInt(value) => value.into(),
        Head::Int(value) => value.into(),
        Head::Float(value) => value.into(),
        Head::Str(len) => {
            rmpv::Value::from(String::from_utf8(cursor.take(len).unwrap().to_vec()).unwrap())
        }
        Head::Bin(len) => cursor.take(len).unwrap().to_vec().into(),
        Head::Ext(kind, len) => rmpv::Value::Ext(kind, cursor.take(len).unwrap().to_vec()),
        Head::Array(len) => rmpv::Value::Array((0..len).map(|_| rebuild(cursor)).collect()),
        Head::Map(len) => {
            rmpv::Value::Map((0..len).map(|_| (rebuild(cursor), rebuild(cursor))).collect())
        }
    }
}

/// f32 and f64 of one number are the same value to us.
fn widen(value: rmpv::Value) -> rmpv::Value {
    match value {
        rmpv::Value::F32(float) => rmpv::Value::F64(f64::from(float)),
        rmpv::Value::Array(items) => rmpv::Value::Array(items.into_iter().map(widen).collect()),
        rmpv::Value::Map(pairs) => {
            rmpv::Value::Map(pairs.into_iter().map(|(k, v)| (widen(k), widen(v))).collect())
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn reads_what_rmpv_wrote(value in any_value()) {
        let bytes = encode(&value);
        let mut cursor = Cursor::new(&bytes);
        let back = rebuild(&mut cursor);
        prop_assert!(cursor.is_at_end());
        // NaN is not equal to itself; its text is.
        prop_assert_eq!(format!("{back:?}"), format!("{:?}", widen(value)));
        let mut skipper = Cursor::new(&bytes);
        skipper.skip().unwrap();
        prop_assert!(skipper.is_at_end());
    }

    #[test]
    fn a_cut_value_is_an_error_and_never_a_panic(value in any_value(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&value);
        let cut = cut.index(bytes.len());
        let error = Cursor::new(&bytes[..cut]).skip().unwrap_err();
        prop_assert_eq!(error.kind, MsgpackErrorKind::Truncated);
    }

    #[test]
    fn agrees_with_rmpv_on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut ours = Cursor::new(&bytes);
        let mut theirs = std::io::Cursor::new(&bytes[..]);
        let oracle = rmpv::decode::read_value_ref(&mut &bytes[..]).is_ok()
            && rmpv::decode::read_value(&mut theirs).is_ok();
        // rmpv reads the reserved byte c1 as nil; we refuse it.
        if ours.skip().is_ok() {
            prop_assert!(oracle);
            prop_assert_eq!(ours.position() as u64, theirs.position());
        } else if oracle {
            prop_assert!(bytes[..usize::try_from(theirs.position()).unwrap()].contains(&0xc1));
        }
    }

    #[test]
    fn writes_what_rmpv_writes(int: i64, uint: u64, float: f64, text in ".{0,300}", bin in prop::collection::vec(any::<u8>(), 0..300), kind: i8) {
        let mut ours = Vec::new();
        write_nil(&mut ours);
        write_bool(&mut ours, true);
        write_int(&mut ours, int);
        write_uint(&mut ours, uint);
        write_float(&mut ours, float);
        write_str(&mut ours, &text);
        write_bin(&mut ours, &bin);
        write_ext(&mut ours, kind, &bin);
        let mut theirs = Vec::new();
        for value in [
            rmpv::Value::Nil,
            true.into(),
            int.into(),
            uint.into(),
            float.into(),
            text.as_str().into(),
            bin.clone().into(),
            rmpv::Value::Ext(kind, bin),
        ] {
            theirs.extend(encode(&value));
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn times_survive(nanos: i64) {
        let time = Timestamp::from_nanos(nanos);
        let mut out = Vec::new();
        write_event_time(&mut out, time);
        let mut cursor = Cursor::new(&out);
        let Head::Ext(kind, len) = cursor.head().unwrap() else { panic!("not an ext") };
        prop_assert_eq!(ext_time(kind, cursor.take(len).unwrap()), Some(time));
    }
}

#[test]
fn container_headers_have_three_widths() {
    for (len, header) in [(15u32, 1), (16, 3), (65_535, 3), (65_536, 5)] {
        let mut out = Vec::new();
        write_array_len(&mut out, len);
        assert_eq!(out.len(), header);
        assert_eq!(Cursor::new(&out).head(), Ok(Head::Array(len)));
        out.clear();
        write_map_len(&mut out, len);
        assert_eq!(Cursor::new(&out).head(), Ok(Head::Map(len)));
    }
}

/// depth 128 is fine, 129 is not, and a million levels cost no stack.
#[test]
fn bounds_the_depth() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x91; depth - 1];
        bytes.push(0x90);
        Cursor::new(&bytes).skip().map_err(|error| error.kind)
    };
    assert_eq!(nested(128), Ok(()));
    assert_eq!(nested(129), Err(MsgpackErrorKind::TooDeep));
    assert_eq!(nested(1_000_000), Err(MsgpackErrorKind::TooDeep));
}

/// a declared length beyond the bytes costs nothing.
#[test]
fn refuses_lengths_that_are_not_there() {
    for bytes in [
        &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff, 0x00],
    ] {
        let error = Cursor::new(bytes).skip().unwrap_err();
        assert_eq!(error.kind, MsgpackErrorKind::Truncated, "{bytes:02x?}");
    }
}

///
#[test]
fn refuses_the_reserved_byte() {
    let error = Cursor::new(&[0x92, 0x01, 0xc1]).skip().unwrap_err();
    assert_eq!((error.offset, error.kind), (2, MsgpackErrorKind::Reserved));
}

#[test]
fn bounds_the_items() {
    let mut bytes = vec![0xdd];
    bytes.extend(1_000_001u32.to_be_bytes());
    bytes.resize(bytes.len() + 1_000_001, 0xc0);
    assert_eq!(Cursor::new(&bytes).skip().unwrap_err().kind, MsgpackErrorKind::TooManyItems);
}

/// F-120, R-025, R-026: malformed times are no times.
#[test]
fn refuses_malformed_times() {
    let nanos = |nanos: u32| [&1u32.to_be_bytes()[..], &nanos.to_be_bytes()].concat();
    assert!(ext_time(0, &nanos(999_999_999)).is_some());
    assert_eq!(ext_time(0, &nanos(1_000_000_000)), None);
    assert_eq!(ext_time(0, &nanos(u32::MAX)), None);
    assert_eq!(ext_time(0, &[0; 7]), None);
    assert_eq!(ext_time(1, &[0; 8]), None);
    assert_eq!(ext_time(-1, &[0; 5]), None);
}
