//! Owned values, for building events and for handing them out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::Timestamp;
use crate::json::{self, Lossy};
use crate::msgpack::{self, Cursor, Head, MsgpackError};

/// One owned value: what msgpack can say.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value.
    Nil,
    /// True or false.
    Bool(bool),
    /// A negative integer, or one written with a signed header.
    Int(i64),
    /// An integer that is not negative.
    UInt(u64),
    /// A floating number.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes, also text that is not UTF-8.
    Bytes(Vec<u8>),
    /// An instant.
    Time(Timestamp),
    /// An extension of any other type.
    Ext(i8, Vec<u8>),
    /// Values in order.
    Array(Vec<Self>),
    /// Keys and values in order.
    Map(Map),
}

/// Keys and values in the order they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Vec<(String, Value)>);

impl Map {
    /// A map without pairs.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Sets `key` to `value`, in its old place if it was there.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let key = key.into();
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, slot)) => *slot = value.into(),
            None => self.0.push((key, value.into())),
        }
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn write_msgpack(&self, out: &mut Vec<u8>) {
        msgpack::write_map_len(out, u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for (key, value) in &self.0 {
            msgpack::write_str(out, key);
            value.write_msgpack(out);
        }
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = Self::new();
        // Of the keys, so that many pairs are not compared each with each.
        let mut places: HashMap<String, usize> = HashMap::new();
        for (key, value) in pairs {
            let (key, value) = (key.into(), value.into());
            match places.entry(key.clone()) {
                Entry::Occupied(place) => map.0[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    place.insert(map.len());
                    map.0.push((key, value));
                }
            }
        }
        map
    }
}

impl Value {
    /// Reads the one msgpack value in `bytes`.
    ///
    /// Text that is not UTF-8 becomes [`Value::Bytes`], bytes that are UTF-8 stay bytes, keys that
    /// are not text become their JSON text, and the last of equal keys wins.
    ///
    /// # Errors
    /// `bytes` is not one whole value within the limits of [`msgpack`].
    pub fn from_msgpack(bytes: &[u8]) -> Result<Self, MsgpackError> {
        Cursor::new(bytes).skip()?;
        Self::read_checked(bytes)
    }

    /// Reads a value whose depth has been checked; recursion is bounded by it.
    pub(crate) fn read_checked(bytes: &[u8]) -> Result<Self, MsgpackError> {
        let mut cursor = Cursor::new(bytes);
        Ok(match cursor.head()? {
            Head::Nil => Self::Nil,
            Head::Bool(value) => Self::Bool(value),
            Head::Int(value) => Self::Int(value),
            Head::UInt(value) => Self::UInt(value),
            Head::Float(value) => Self::Float(value),
            Head::Str(len) => {
                let bytes = cursor.take(len)?;
                std::str::from_utf8(bytes)
                    .map_or_else(|_| Self::Bytes(bytes.into()), |text| Self::Str(text.into()))
            }
            Head::Bin(len) => Self::Bytes(cursor.take(len)?.into()),
            Head::Ext(kind, len) => {
                let data = cursor.take(len)?;
                msgpack::ext_time(kind, data)
                    .map_or_else(|| Self::Ext(kind, data.into()), Self::Time)
            }
            Head::Array(len) => Self::Array(
                (0..len)
                    .map(|_| Self::read_checked(cursor.value()?))
                    .collect::<Result<_, MsgpackError>>()?,
            ),
            Head::Map(_) => Self::Map(Map(crate::map::Pairs::read(bytes)?
                .into_iter()
                .map(|(key, value)| Ok((key.to_text(), Self::read_checked(value)?)))
                .collect::<Result<_, MsgpackError>>()?)),
        })
    }

    /// Appends the value as msgpack.
    pub fn write_msgpack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => msgpack::write_nil(out),
            Self::Bool(value) => msgpack::write_bool(out, *value),
            Self::Int(value) => msgpack::write_int(out, *value),
            Self::UInt(value) => msgpack::write_uint(out, *value),
            Self::Float(value) => msgpack::write_float(out, *value),
            Self::Str(text) => msgpack::write_str(out, text),
            Self::Bytes(bytes) => msgpack::write_bin(out, bytes),
            Self::Time(time) => msgpack::write_event_time(out, *time),
            Self::Ext(kind, data) => msgpack::write_ext(out, *kind, data),
            Self::Array(items) => {
                let len = u32::try_from(items.len()).unwrap_or(u32::MAX);
                msgpack::write_array_len(out, len);
                items.iter().for_each(|item| item.write_msgpack(out));
            }
            Self::Map(map) => map.write_msgpack(out),
        }
    }

    /// The JSON text, in the forms of [`json`].
    pub fn to_json(&self) -> String {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        self.write_msgpack(&mut bytes);
        match json::write_value(&mut out, &bytes, &mut Lossy::default()) {
            Ok(()) => String::from_utf8(out).unwrap_or_default(),
            Err(_) => "null".to_owned(), // nested deeper than anything that can be stored
        }
    }
}

macro_rules! from {
    ($($from:ty => |$value:ident| $make:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $make
            }
        }
    )*};
}

from! {
    bool => |value| Self::Bool(value);
    i32 => |value| Self::Int(i64::from(value));
    i64 => |value| Self::Int(value);
    u32 => |value| Self::UInt(u64::from(value));
    u64 => |value| Self::UInt(value);
    f64 => |value| Self::Float(value);
    &str => |value| Self::Str(value.to_owned());
    String => |value| Self::Str(value);
    Timestamp => |value| Self::Time(value);
    Vec<Self> => |value| Self::Array(value);
    Map => |value| Self::Map(value);
}

#[cfg(feature = "serde")]
impl serde::Serialize for Value {
    /// As JSON has it: bytes, times and extensions in the forms of [`json`].
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::UInt(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Time(time) => serializer.collect_str(time),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => {
                    let mut map = serializer.serialize_map(Some(1))?;
                    map.serialize_entry("$bin", &json::base64(bytes))?;
                    map.end()
                }
            },
            Self::Ext(kind, data) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("$ext", &(kind, json::base64(data)))?;
                map.end()
            }
            Self::Array(items) => serializer.collect_seq(items),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Map {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn maps_keep_their_order_and_one_value_a_key() {
        let mut map = Map::new();
        map.insert("b", 1);
        map.insert("a", true);
        map.insert("b", "two");
        assert_eq!(Value::Map(map).to_json(), r#"{"b":"two","a":true}"#);
    }

    proptest! {
        #[test]
        fn has_the_json_of_its_bytes(value in msgpack::tests::any_value()) {
            let bytes = msgpack::tests::encode(&value);
            let mut direct = Vec::new();
            json::write_value(&mut direct, &bytes, &mut Lossy::default()).unwrap();
            prop_assert_eq!(
                Value::from_msgpack(&bytes).unwrap().to_json(),
                String::from_utf8(direct).unwrap()
            );
        }
    }
}
