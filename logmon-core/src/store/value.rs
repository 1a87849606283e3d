//! The values of fields, as they are counted.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::{Level, Scalar, Timestamp};

/// A value that events are counted by. Numbers are equal by value: 1 and 1.0 are one value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FieldValue {
    /// The event has no such field.
    Missing,
    /// A field without a value.
    Null,
    /// A level.
    Level(Level),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(Float),
    /// Text.
    Text(Box<str>),
    /// Bytes that are not text.
    Bytes(Box<[u8]>),
    /// An instant.
    Time(Timestamp),
}

impl FieldValue {
    /// The value of a scalar; `None` for a map, which is none.
    pub fn of(value: Scalar<'_>) -> Option<Self> {
        ValueRef::of(value).map(ValueRef::to_owned)
    }

    /// About how many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let more = match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        size_of::<Self>() + more
    }
}

/// The same, borrowed from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ValueRef<'a> {
    Missing,
    Null,
    Level(Level),
    Bool(bool),
    Int(i128),
    Float(Float),
    Text(&'a str),
    Bytes(&'a [u8]),
    Time(Timestamp),
}

impl FieldValue {
    pub(super) fn borrow(&self) -> ValueRef<'_> {
        match self {
            Self::Missing => ValueRef::Missing,
            Self::Null => ValueRef::Null,
            Self::Level(level) => ValueRef::Level(*level),
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Int(value) => ValueRef::Int(*value),
            Self::Float(value) => ValueRef::Float(*value),
            Self::Text(text) => ValueRef::Text(text),
            Self::Bytes(bytes) => ValueRef::Bytes(bytes),
            Self::Time(time) => ValueRef::Time(*time),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// `None` for a map.
    pub(super) fn of(value: Scalar<'a>) -> Option<Self> {
        Some(match value {
            Scalar::Nil => Self::Null,
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Int(value) => Self::Int(value),
            Scalar::Float(value) => Self::number(value),
            Scalar::Str(text) => Self::Text(text),
            Scalar::Bytes(bytes) => Self::Bytes(bytes),
            Scalar::Time(time) => Self::Time(time),
            Scalar::Map => return None,
        })
    }

    fn number(value: f64) -> Self {
        /// 2 to the power of 127, the first value beyond the integers.
        const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
        if value.fract() == 0.0 && (-BEYOND..BEYOND).contains(&value) {
            #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
            let whole = value as i128;
            Self::Int(whole)
        } else {
            Self::Float(Float(value))
        }
    }

    pub(super) fn to_owned(self) -> FieldValue {
        match self {
            Self::Missing => FieldValue::Missing,
            Self::Null => FieldValue::Null,
            Self::Level(level) => FieldValue::Level(level),
            Self::Bool(value) => FieldValue::Bool(value),
            Self::Int(value) => FieldValue::Int(value),
            Self::Float(value) => FieldValue::Float(value),
            Self::Text(text) => FieldValue::Text(text.into()),
            Self::Bytes(bytes) => FieldValue::Bytes(bytes.into()),
            Self::Time(time) => FieldValue::Time(time),
        }
    }
}

/// A floating number with a total order; all NaN are one value.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a number")]
pub struct Float(pub f64);

impl Float {
    const fn canonical(self) -> f64 {
        if self.0.is_nan() { f64::NAN } else { self.0 }
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.canonical().total_cmp(&other.canonical())
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Float {}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().to_bits().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value() {
        let of = |value| FieldValue::of(value).unwrap();
        assert_eq!(of(Scalar::Int(1)), of(Scalar::Float(1.0)));
        assert_eq!(of(Scalar::Int(0)), of(Scalar::Float(-0.0)));
        assert_ne!(of(Scalar::Int(1)), of(Scalar::Float(1.5)));
        assert_ne!(of(Scalar::Int(1)), of(Scalar::Str("1")));
        assert_eq!(of(Scalar::Float(f64::NAN)), of(Scalar::Float(-f64::NAN)));
        assert_ne!(of(Scalar::Float(f64::INFINITY)), of(Scalar::Float(f64::NEG_INFINITY)));
        assert_eq!(FieldValue::of(Scalar::Map), None);
    }
}
