//! JSON text to msgpack.

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

use crate::msgpack;

/// JSON text that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(#[from] serde_json::Error);

impl JsonError {
    /// Line (from 1) and column (in bytes, from 1) of the fault.
    pub fn position(&self) -> (usize, usize) {
        (self.0.line(), self.0.column())
    }

    /// Whether the text only ends too early.
    pub fn is_eof(&self) -> bool {
        self.0.is_eof()
    }
}

/// The msgpack bytes of one JSON text with nothing but blanks around it.
///
/// Keys keep their order, and equal keys are all kept. Integers beyond 64 bits become floats.
/// Arrays and objects may nest 127 deep.
///
/// # Errors
/// `text` is not one JSON value.
pub fn to_msgpack(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(text.len());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Transcode(&mut out).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(out)
}

/// Appends what [`to_msgpack`] gives for the value that `deserializer` reads next.
///
/// # Errors
/// The text is not JSON; `out` then ends in the middle of a value.
pub fn write_json_as_msgpack<'de, R: serde_json::de::Read<'de>>(
    out: &mut Vec<u8>,
    deserializer: &mut serde_json::Deserializer<R>,
) -> Result<(), JsonError> {
    Ok(Transcode(out).deserialize(deserializer)?)
}

/// Appends one value to the bytes.
struct Transcode<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Transcode<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        msgpack::write_nil(self.0);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        msgpack::write_bool(self.0, value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        msgpack::write_int(self.0, value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        msgpack::write_uint(self.0, value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        msgpack::write_float(self.0, value);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        msgpack::write_str(self.0, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut container = Container::open(self.0);
        while items.next_element_seed(Transcode(container.out))?.is_some() {
            container.count += 1;
        }
        container.close(msgpack::write_array_len).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let mut container = Container::open(self.0);
        while pairs.next_key_seed(Transcode(container.out))?.is_some() {
            pairs.next_value_seed(Transcode(container.out))?;
            container.count += 1;
        }
        container.close(msgpack::write_map_len).map_err(A::Error::custom)
    }
}

/// A container whose length is known only at its end: one byte is left for the header, and the
/// items move up where it needs more.
struct Container<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    count: usize,
}

impl<'o> Container<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(0);
        Self { out, start, count: 0 }
    }

    fn close(self, write_len: fn(&mut Vec<u8>, u32)) -> Result<(), &'static str> {
        let count = u32::try_from(self.count).map_err(|_| "too many items in one container")?;
        let mut header = Vec::with_capacity(5);
        write_len(&mut header, count);
        self.out.splice(self.start..=self.start, header);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Lossy, write_value};
    use proptest::prelude::*;

    #[test]
    fn tells_where_the_fault_is() {
        let error = to_msgpack(b"{\n  \"a\": }").unwrap_err();
        assert_eq!(error.position(), (2, 8));
        assert!(to_msgpack(b"[1").unwrap_err().is_eof());
        assert!(to_msgpack(b"1 2").is_err());
    }

    /// nested too deep is an error, not a crash.
    #[test]
    fn bounds_the_depth() {
        let deep = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(to_msgpack(&deep(120)).is_ok());
        assert!(to_msgpack(&deep(10_000)).is_err());
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<u64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            ".{0,40}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(serde_json::Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..20)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn comes_back_as_the_same_json(value in any_json()) {
            let bytes = to_msgpack(value.to_string().as_bytes()).unwrap();
            let mut out = Vec::new();
            write_value(&mut out, &bytes, &mut Lossy::default()).unwrap();
            let back: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back, value);
        }
    }
}
