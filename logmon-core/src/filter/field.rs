//! Atoms about the value of a field: `source:web*`, `http.status>=500`, `user:*`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::literal::Literal;
use super::print;
use super::regexp::Regexp;
use crate::{Event, Scalar};

/// What stands before the colon or the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `level`.
    Level,
    /// `message`.
    Message,
    /// Any other name, and every `metadata.x`: the path below the metadata.
    Metadata(Arc<str>),
    /// `received`.
    Received,
    /// `source`.
    Source,
    /// `tag`.
    Tag,
    /// `timestamp`.
    Timestamp,
}

impl Field {
    /// The field of an unescaped name.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "level" => Self::Level,
            "message" => Self::Message,
            "received" => Self::Received,
            "source" => Self::Source,
            "tag" => Self::Tag,
            "timestamp" => Self::Timestamp,
            _ => Self::Metadata(name.strip_prefix("metadata.").unwrap_or(name).into()),
        }
    }

    /// Whether the metadata `path` needs the prefix to be told from something else.
    pub(super) fn is_reserved(path: &str) -> bool {
        Self::named(path) != Self::Metadata(path.into())
    }
}

impl fmt::Display for Field {
    /// Writes the name as a query has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level => f.write_str("level"),
            Self::Message => f.write_str("message"),
            Self::Metadata(path) => print::metadata_path(path, f),
            Self::Received => f.write_str("received"),
            Self::Source => f.write_str("source"),
            Self::Tag => f.write_str("tag"),
            Self::Timestamp => f.write_str("timestamp"),
        }
    }
}

/// A test of the source, or of the values at a metadata path: true if one of them passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldTest {
    /// `None` is the source.
    path: Option<Arc<str>>,
    test: ValueTest,
}

impl FieldTest {
    /// The test of the source.
    pub fn source(test: ValueTest) -> Self {
        Self { path: None, test }
    }

    /// The test of the values at `path` below the metadata.
    pub fn metadata(path: impl Into<Arc<str>>, test: ValueTest) -> Self {
        Self { path: Some(path.into()), test }
    }

    /// The path below the metadata; `None` is the source.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// What is tested.
    pub fn test(&self) -> &ValueTest {
        &self.test
    }

    pub(super) fn matches<E: Event + ?Sized>(&self, event: &E) -> bool {
        match &self.path {
            Some(path) => event.visit_metadata(path, &mut |value| self.test.accepts(value)),
            None => event.source().is_some_and(|source| self.test.accepts(Scalar::Str(&source))),
        }
    }
}

impl fmt::Display for FieldTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => print::metadata_path(path, f)?,
            None => f.write_str("source")?,
        }
        match &self.test {
            ValueTest::Exists => f.write_str(":*"),
            ValueTest::Equals(literal) => write!(f, ":{literal}"),
            ValueTest::Range(range) => {
                print::interval(&range.lower, &range.upper, f, fmt::Display::fmt)
            }
            ValueTest::Regexp(regexp) => write!(f, ":{regexp}"),
            ValueTest::Wildcard(wildcard) => write!(f, ":{wildcard}"),
        }
    }
}

/// What may be asked of one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueTest {
    /// `x:*`: there is a value other than nil.
    Exists,
    /// `x:42`.
    Equals(Literal),
    /// `x>=500`, `x:[400 TO 499]`.
    Range(Range),
    /// `x:/regex/`, on text.
    Regexp(Regexp),
    /// `x:web*`, on text.
    Wildcard(Wildcard),
}

impl ValueTest {
    /// Tells whether `value` passes.
    pub fn accepts(&self, value: Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Exists, _) => value != Scalar::Nil,
            (Self::Equals(literal), _) => literal.equals(value),
            (Self::Range(range), _) => range.contains(value),
            (Self::Regexp(regexp), Scalar::Str(text)) => regexp.is_match(text),
            (Self::Wildcard(wildcard), Scalar::Str(text)) => wildcard.matches(text),
            _ => false,
        }
    }
}

/// Values between two ends: numbers between numbers, text between texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// Where it begins.
    pub lower: Bound<Literal>,
    /// Where it ends.
    pub upper: Bound<Literal>,
}

impl Range {
    /// Whether its ends, as far as it has any, are numbers.
    pub(super) fn is_of_numbers(&self) -> bool {
        let is_number = |end: &Bound<Literal>| {
            !matches!(end, Bound::Included(literal) | Bound::Excluded(literal)
                if !matches!(literal, Literal::Number(_)))
        };
        is_number(&self.lower) && is_number(&self.upper)
    }

    fn contains(&self, value: Scalar<'_>) -> bool {
        let after_lower = match &self.lower {
            Bound::Included(end) => end.order(value).is_some_and(Ordering::is_ge),
            Bound::Excluded(end) => end.order(value).is_some_and(Ordering::is_gt),
            Bound::Unbounded => true,
        };
        after_lower
            && match &self.upper {
                Bound::Included(end) => end.order(value).is_some_and(Ordering::is_le),
                Bound::Excluded(end) => end.order(value).is_some_and(Ordering::is_lt),
                Bound::Unbounded => true,
            }
    }
}

/// Text with gaps: `web*`, `*.example.com`, `a*b*c`.
#[derive(Clone)]
pub struct Wildcard {
    pieces: Box<[Piece]>,
}

#[derive(Clone)]
struct Piece {
    text: Box<str>,
    finder: Finder<'static>,
}

impl Wildcard {
    /// The pieces of text around the stars; the first and the last may be empty.
    pub fn new<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let piece = |text: &str| Piece {
            text: text.into(),
            finder: Finder::new(text.as_bytes()).into_owned(),
        };
        Self { pieces: pieces.into_iter().map(piece).collect() }
    }

    /// The pieces of text around the stars.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = &str> {
        self.pieces.iter().map(|piece| &*piece.text)
    }

    /// Linear in the text: the earliest place for each piece leaves the most room for the next.
    fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.pieces else {
            return self.pieces().eq([text]);
        };
        let Some(mut rest) = text.strip_prefix(&*first.text) else { return false };
        for piece in middle {
            let found = piece.finder.find(rest.as_bytes());
            let Some(after) = found.and_then(|at| rest.get(at + piece.text.len()..)) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(&*last.text)
    }
}

impl PartialEq for Wildcard {
    fn eq(&self, other: &Self) -> bool {
        self.pieces().eq(other.pieces())
    }
}

impl Eq for Wildcard {}

impl Hash for Wildcard {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for piece in self.pieces() {
            piece.hash(state);
        }
    }
}

impl fmt::Debug for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wildcard").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.pieces().enumerate() {
            if index > 0 {
                f.write_str("*")?;
            }
            print::escaped(piece, f)?;
        }
        Ok(())
    }
}
