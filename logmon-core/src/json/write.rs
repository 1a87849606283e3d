//! msgpack to JSON text.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::map::{Key, Pairs};
use crate::msgpack::{self, Cursor, Head, MsgpackError};

/// Whether bytes that are not UTF-8 were replaced by U+FFFD on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lossy(pub bool);

/// Appends the JSON text of one msgpack value.
///
/// # Errors
/// `value` is not one whole msgpack value within the limits of [`msgpack`]; `out` then ends
/// somewhere in the middle.
pub fn write_value(out: &mut Vec<u8>, value: &[u8], lossy: &mut Lossy) -> Result<(), MsgpackError> {
    // One bounded pass first: it limits the depth of the recursion below.
    Cursor::new(value).skip()?;
    write_checked(out, value, lossy)
}

/// As [`write_value`], of a value whose depth has been checked; recursion is bounded by it.
pub(crate) fn write_checked(
    out: &mut Vec<u8>,
    value: &[u8],
    lossy: &mut Lossy,
) -> Result<(), MsgpackError> {
    let mut cursor = Cursor::new(value);
    match cursor.head()? {
        Head::Nil => out.extend_from_slice(b"null"),
        Head::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Head::UInt(number) => display(out, format_args!("{number}")),
        Head::Int(number) => display(out, format_args!("{number}")),
        Head::Float(number) if number.is_finite() => display(out, format_args!("{number:?}")),
        Head::Float(_) => out.extend_from_slice(b"null"),
        Head::Str(len) => write_text(out, cursor.take(len)?, lossy),
        Head::Bin(len) => write_bin(out, cursor.take(len)?),
        Head::Ext(kind, len) => write_ext(out, kind, cursor.take(len)?),
        Head::Array(len) => {
            out.push(b'[');
            for item in 0..len {
                if item > 0 {
                    out.push(b',');
                }
                write_checked(out, cursor.value()?, lossy)?;
            }
            out.push(b']');
        }
        Head::Map(_) => {
            out.push(b'{');
            for (item, (key, value)) in Pairs::read(value)?.into_iter().enumerate() {
                if item > 0 {
                    out.push(b',');
                }
                write_key(out, &key, lossy);
                write_checked(out, value, lossy)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends the key and its colon.
pub(crate) fn write_key(out: &mut Vec<u8>, key: &Key<'_>, lossy: &mut Lossy) {
    write_text(out, key.as_bytes(), lossy);
    out.push(b':');
}

/// Appends bytes as a JSON string; what is not UTF-8 becomes U+FFFD and is told in `lossy`.
pub fn write_text(out: &mut Vec<u8>, bytes: &[u8], lossy: &mut Lossy) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        write_string(out, text);
    } else {
        lossy.0 = true;
        write_string(out, &String::from_utf8_lossy(bytes));
    }
}

/// Appends a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(clean..at).unwrap_or_default());
        clean = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => display(out, format_args!("\\u{control:04x}")),
        }
    }
    out.extend_from_slice(bytes.get(clean..).unwrap_or_default());
    out.push(b'"');
}

fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return write_string(out, text);
    }
    display(out, format_args!("{{\"$bin\":\"{}\"}}", base64(bytes)));
}

fn write_ext(out: &mut Vec<u8>, kind: i8, data: &[u8]) {
    match msgpack::ext_time(kind, data) {
        Some(time) => {
            out.push(b'"');
            time.write_rfc3339(out);
            out.push(b'"');
        }
        None => {
            display(out, format_args!("{{\"$ext\":[{kind},\"{}\"]}}", base64(data)));
        }
    }
}

/// The standard base64 text of `bytes`.
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn display(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _always_ok = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(value: &rmpv::Value) -> String {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        let mut out = Vec::new();
        write_value(&mut out, &bytes, &mut Lossy::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_has_its_form() {
        use rmpv::Value as V;
        for (value, text) in [
            (V::Nil, "null"),
            (V::from(true), "true"),
            (V::from(u64::MAX), "18446744073709551615"),
            (V::from(i64::MIN), "-9223372036854775808"),
            (V::from(1.5f32), "1.5"),
            (V::from(1e300), "1e300"),
            (V::from(-0.0), "-0.0"),
            (V::from(f64::NAN), "null"),
            (V::from(f64::NEG_INFINITY), "null"),
            (V::from("a\"\\\u{1}\n\u{2028}é"), "\"a\\\"\\\\\\u0001\\n\u{2028}é\""),
            (V::from(&b"text"[..]), "\"text\""),
            (V::from(&[0xff, 0x00][..]), "{\"$bin\":\"/wA=\"}"),
            (V::Ext(5, vec![1, 2]), "{\"$ext\":[5,\"AQI=\"]}"),
            (V::Ext(-1, vec![0, 0, 0, 1]), "\"1970-01-01T00:00:01.000000000Z\""),
            (V::Ext(0, vec![0; 8]), "\"1970-01-01T00:00:00.000000000Z\""),
            (V::Array(vec![1.into(), V::Array(vec![])]), "[1,[]]"),
            (
                V::Map(vec![
                    (1.into(), 2.into()),
                    (V::Nil, V::Ext(1, vec![])),
                    (V::Array(vec!["k".into()]), V::Map(vec![])),
                    (V::from(&b"bin"[..]), V::Nil),
                ]),
                "{\"1\":2,\"null\":{\"$ext\":[1,\"\"]},\"[\\\"k\\\"]\":{},\"bin\":null}",
            ),
        ] {
            assert_eq!(json(&value), text);
        }
    }

    /// F-047, R-031.
    #[test]
    fn of_equal_keys_the_last_one_counts() {
        let pair = |key: &str, value: i32| (rmpv::Value::from(key), rmpv::Value::from(value));
        let map = rmpv::Value::Map(vec![pair("a", 1), pair("b", 2), pair("a", 3)]);
        assert_eq!(json(&map), "{\"b\":2,\"a\":3}");
    }

    /// F-124, R-036.
    #[test]
    fn invalid_utf8_is_replaced_and_told() {
        let mut lossy = Lossy::default();
        let mut out = Vec::new();
        write_value(&mut out, &[0xa3, b'a', 0xff, b'b'], &mut lossy).unwrap();
        assert_eq!(out, "\"a\u{fffd}b\"".as_bytes());
        assert_eq!(lossy, Lossy(true));
    }

    proptest! {
        #[test]
        fn is_always_json(value in msgpack::tests::any_value()) {
            let text = json(&value);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn strings_read_back(text in "(.|\\PC){0,60}") {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
