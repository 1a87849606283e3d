//! The filter language: which events someone wants to see.
//!
//! A [`Filter`] is a total, two-valued function of one event, so the laws of Boolean algebra hold
//! for filters. `docs/filters.md` describes the language.

mod atom;
mod error;
mod eval;
mod field;
pub mod key;
#[cfg(test)]
mod laws;
mod lex;
mod literal;
mod lookup;
#[cfg(test)]
mod naive;
mod parse;
mod print;
mod prune;
mod regexp;
#[cfg(test)]
mod sample;
mod set;
mod severity;
mod simplify;
#[cfg(test)]
mod tests;
pub mod token;
mod when;
mod words;

use std::str::FromStr;
use std::sync::Arc;

pub use atom::{Atom, Translate};
pub use error::{ParseFilterError, ParseFilterErrorKind};
pub use field::{FieldTest, Range, ValueTest, Wildcard};
pub use literal::{Literal, Number};
pub use prune::{Facts, Possible};
pub use regexp::Regexp;
pub(crate) use set::{Canonical, Interner, Matcher};
pub use set::{FilterId, FilterSet, Matches};
pub use severity::LevelTest;
pub use when::{Clock, Instant, TimeTest};
pub use words::{Substring, Words};

use crate::Timestamp;

/// The longest text of a filter, in bytes, as typed and as printed.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 64;

/// The most atoms of one filter.
pub const MAX_ATOMS: usize = 1_000;

/// The most regular expressions of one filter, as each may take [`MAX_REGEXP_BYTES`].
pub const MAX_REGEXPS: usize = 64;

/// The largest compiled regular expression, in bytes of memory.
pub const MAX_REGEXP_BYTES: usize = 1 << 20;

/// The longest name of a field, in bytes.
pub const MAX_NAME_BYTES: usize = 512;

/// Whether a path below the metadata needs the prefix `metadata.` to be told from another field.
pub(crate) fn is_reserved(path: &str) -> bool {
    field::Field::is_reserved(path)
}

/// A filter of events.
///
/// `Display` writes the canonical text, which parses to the same filter. Two filters are equal if
/// they are written alike, save for what the canonical text leaves out; `timeout` and `"Timeout"`
/// are equal.
///
/// # Examples
///
/// ```
/// use logmon_core::Filter;
///
/// let filter: Filter = "level>=warn Timeout -source:(web* OR test)".parse()?;
/// assert_eq!(
///     filter.to_string(),
///     "level>=warn AND timeout AND NOT (source:web* OR source:test)",
/// );
///
/// let error = Filter::parse("level:").unwrap_err();
/// assert_eq!(error.to_string(), "expected a value after `level:` at byte 6 (to find events that have the field at all, write `level:*`)");
/// # Ok::<(), logmon_core::ParseFilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filter {
    /// `*` or nothing: every event.
    #[default]
    All,
    /// One test.
    Atom(Arc<Atom>),
    /// `NOT x`: the complement.
    Not(Box<Self>),
    /// `x AND y`, `x y`: all of two or more.
    And(Vec<Self>),
    /// `x OR y`: any of two or more.
    Or(Vec<Self>),
}

impl Filter {
    /// Reads a filter. Text without anything in it is [`Filter::All`].
    ///
    /// Relative times stay relative; see [`Filter::resolve`].
    ///
    /// # Errors
    ///
    /// One [`ParseFilterError`] for the first mistake; all are mistakes of the writer.
    pub fn parse(text: &str) -> Result<Self, ParseFilterError> {
        parse::parse(text)
    }

    /// The filter that every event passes.
    pub fn all() -> Self {
        Self::All
    }

    /// The events that pass both; operands of conjunctions are joined to one list.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (Self::And(mut operands), Self::And(more)) => {
                operands.extend(more);
                Self::And(operands)
            }
            (Self::And(mut operands), filter) => {
                operands.push(filter);
                Self::And(operands)
            }
            (filter, Self::And(mut operands)) => {
                operands.insert(0, filter);
                Self::And(operands)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// The events that pass one of both; operands of disjunctions are joined to one list.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Or(mut operands), Self::Or(more)) => {
                operands.extend(more);
                Self::Or(operands)
            }
            (Self::Or(mut operands), filter) => {
                operands.push(filter);
                Self::Or(operands)
            }
            (filter, Self::Or(mut operands)) => {
                operands.insert(0, filter);
                Self::Or(operands)
            }
            (one, other) => Self::Or(vec![one, other]),
        }
    }

    /// The events that do not pass.
    pub fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            filter => Self::Not(Box::new(filter)),
        }
    }

    /// Whether it is relative to the present. A live context refuses such a filter, a search
    /// [resolves](Filter::resolve) it.
    pub fn uses_now(&self) -> bool {
        match self {
            Self::All => false,
            Self::Atom(atom) => matches!(&**atom, Atom::Time(test) if test.uses_now()),
            Self::Not(inner) => inner.uses_now(),
            Self::And(operands) | Self::Or(operands) => operands.iter().any(Self::uses_now),
        }
    }

    /// The filter with `now` fixed, held at the ends of what a [`Timestamp`] reaches.
    pub fn resolve(&self, now: Timestamp) -> Self {
        let all = |operands: &[Self]| operands.iter().map(|each| each.resolve(now)).collect();
        match self {
            Self::All => Self::All,
            Self::Atom(atom) => match &**atom {
                Atom::Time(test) => Atom::Time(test.resolve(now)).into(),
                _ => self.clone(),
            },
            Self::Not(inner) => Self::Not(Box::new(inner.resolve(now))),
            Self::And(operands) => Self::And(all(operands)),
            Self::Or(operands) => Self::Or(all(operands)),
        }
    }
}

impl From<Atom> for Filter {
    fn from(atom: Atom) -> Self {
        Self::Atom(Arc::new(atom))
    }
}

impl FromStr for Filter {
    type Err = ParseFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Filter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Filter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
