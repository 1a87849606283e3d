//! The values a query names, and how they compare with those of an event.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::print;
use crate::{Scalar, Timestamp};

/// A value written in a query.
///
/// Each kind of value in an event is compared in its own way; what cannot be compared is neither
/// equal nor ordered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Literal {
    /// `true` or `false`: that truth value, or the same text.
    Bool(bool),
    /// `null`: no value, or the same text.
    Null,
    /// `42`, `-0.5`, `1e3`: numbers of this value, or the same text.
    Number(Number),
    /// Any other text, and all quoted text: the same text, or the instant it names.
    Text(Box<str>),
}

impl Literal {
    /// The literal of unquoted text.
    pub fn bare(text: &str) -> Self {
        match text {
            "null" => Self::Null,
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ => Number::new(text).map_or_else(|| Self::Text(text.into()), Self::Number),
        }
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        match self {
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Null => "null",
            Self::Number(number) => &number.text,
            Self::Text(text) => text,
        }
    }

    /// The value other than text that this is equal to, if there is one.
    pub fn as_scalar(&self) -> Option<Scalar<'static>> {
        Some(match self {
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Null => Scalar::Nil,
            Self::Number(number) => match number.value {
                NumberValue::Int(value) => Scalar::Int(value),
                NumberValue::Float(value) => Scalar::Float(value),
            },
            Self::Text(text) => Scalar::Time(text.parse().ok()?),
        })
    }

    /// Tells whether `value` is this one.
    pub(super) fn equals(&self, value: Scalar<'_>) -> bool {
        match (value, self) {
            (Scalar::Str(found), _) => found == self.text(),
            (Scalar::Nil, Self::Null) => true,
            (Scalar::Bool(found), Self::Bool(wanted)) => found == *wanted,
            _ => self.order(value) == Some(Ordering::Equal),
        }
    }

    /// How `value` is ordered relative to this one: numbers by value, text by its code points,
    /// instants by time.
    pub(super) fn order(&self, value: Scalar<'_>) -> Option<Ordering> {
        match (self, value) {
            (Self::Number(number), Scalar::Int(_) | Scalar::Float(_)) => {
                NumberValue::of(value)?.partial_cmp(&number.value)
            }
            (Self::Text(text), Scalar::Str(found)) => Some(found.cmp(text)),
            (Self::Text(text), Scalar::Time(found)) => {
                text.parse::<Timestamp>().ok().map(|time| found.cmp(&time))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if Self::bare(text) == *self => print::text(text, f),
            Self::Text(text) => print::quoted(text, f),
            _ => f.write_str(self.text()),
        }
    }
}

/// A number, with the text it was written as.
///
/// Two are equal if their texts are: they match different text.
#[derive(Clone, Debug)]
pub struct Number {
    text: Box<str>,
    value: NumberValue,
}

impl Number {
    /// The number that `text` is in JSON; `None` if it is none, or has no finite value.
    pub fn new(text: &str) -> Option<Self> {
        if !is_json_number(text) {
            return None;
        }
        let value = match text.parse() {
            Ok(int) => NumberValue::Int(int),
            Err(_) => {
                NumberValue::Float(text.parse().ok().filter(|float: &f64| float.is_finite())?)
            }
        };
        Some(Self { text: text.into(), value })
    }

    pub(super) const fn value(&self) -> NumberValue {
        self.value
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| -> usize { text.bytes().take_while(u8::is_ascii_digit).count() };
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or("");
    if let Some(fraction) = rest.strip_prefix('.') {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = fraction.get(len..).unwrap_or("");
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// The value of a number. Integers and floats compare exactly, without rounding either.
#[derive(Clone, Copy, Debug)]
pub(super) enum NumberValue {
    Int(i128),
    Float(f64),
}

impl NumberValue {
    /// The number that a value of an event is, if it is one.
    pub(super) const fn of(value: Scalar<'_>) -> Option<Self> {
        match value {
            Scalar::Int(value) => Some(Self::Int(value)),
            Scalar::Float(value) => Some(Self::Float(value)),
            _ => None,
        }
    }
}

impl PartialEq for NumberValue {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for NumberValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (*self, *other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => order_int_float(a, b),
            (Self::Float(a), Self::Int(b)) => order_int_float(b, a).map(Ordering::reverse),
        }
    }
}

fn order_int_float(int: i128, float: f64) -> Option<Ordering> {
    /// 2 to the power of 127, the first value beyond the integers.
    const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if float.is_nan() {
        return None;
    }
    if float >= BEYOND {
        return Some(Ordering::Less);
    }
    if float < -BEYOND {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range, checked above")]
    let whole = float.trunc() as i128;
    Some(int.cmp(&whole).then_with(|| 0.0_f64.total_cmp(&(float.fract() + 0.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for text in
            ["0", "-0", "42", "-1.5", "1e3", "2E-2", "170141183460469231731687303715884105728"]
        {
            assert!(Number::new(text).is_some(), "{text}");
        }
        for text in ["", "-", "007", "1.", ".5", "+1", "1e", "0x1", "1e999", "NaN", "1_000", "１"]
        {
            assert!(Number::new(text).is_none(), "{text}");
        }
    }

    #[test]
    fn integers_and_floats_compare_without_rounding() {
        let order = |text: &str, value| Literal::bare(text).order(value);
        let big = 9_007_199_254_740_993_i128; // 2^53 + 1, which no f64 is
        assert_eq!(order("9007199254740992.0", Scalar::Int(big)), Some(Ordering::Greater));
        assert_eq!(order("1.5", Scalar::Int(1)), Some(Ordering::Less));
        assert_eq!(order("-1.5", Scalar::Int(-1)), Some(Ordering::Greater));
        assert_eq!(order("1", Scalar::Float(1.0)), Some(Ordering::Equal));
        assert_eq!(order("-0", Scalar::Float(0.0)), Some(Ordering::Equal));
        assert_eq!(order("0", Scalar::Float(-0.0)), Some(Ordering::Equal));
        assert_eq!(order("1e300", Scalar::Int(i128::MAX)), Some(Ordering::Less));
        assert_eq!(order("1", Scalar::Float(f64::NEG_INFINITY)), Some(Ordering::Less));
        assert_eq!(order("1", Scalar::Float(f64::NAN)), None);
    }
}
