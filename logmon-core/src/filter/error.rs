//! Why a text is not a filter.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A text that is not a filter: where the mistake is, what was expected there, and what may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseFilterError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: ParseFilterErrorKind,
    span: Range<usize>,
    detail: String,
    expected: Vec<&'static str>,
    hint: Option<Cow<'static, str>>,
}

/// The kind of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseFilterErrorKind {
    /// A limit of this module is exceeded.
    Limit,
    /// The text does not follow the grammar.
    Syntax,
    /// The field cannot be compared in this way.
    Type,
}

impl ParseFilterError {
    fn new(kind: ParseFilterErrorKind, span: Range<usize>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Inner { kind, span, detail, expected: Vec::new(), hint: None }))
    }

    pub(super) fn limit(span: Range<usize>, detail: impl Into<String>) -> Self {
        Self::new(ParseFilterErrorKind::Limit, span, detail)
    }

    pub(super) fn syntax(span: Range<usize>, detail: impl Into<String>) -> Self {
        Self::new(ParseFilterErrorKind::Syntax, span, detail)
    }

    pub(super) fn type_mismatch(span: Range<usize>, detail: impl Into<String>) -> Self {
        Self::new(ParseFilterErrorKind::Type, span, detail)
    }

    pub(super) fn expecting(mut self, expected: &[&'static str]) -> Self {
        self.0.expected = expected.to_vec();
        self
    }

    pub(super) fn hinting(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same mistake, where the text begins at `start` of a longer one.
    pub(super) fn moved(mut self, start: usize) -> Self {
        let Range { start: from, end: to } = self.0.span;
        self.0.span = from + start..to + start;
        self
    }

    /// The kind of mistake.
    pub fn kind(&self) -> ParseFilterErrorKind {
        self.0.kind
    }

    /// Where the mistake begins, in bytes; at most the length of the text, and never inside a
    /// character.
    pub fn offset(&self) -> usize {
        self.0.span.start
    }

    /// How many bytes it covers; 0 where something is missing.
    pub fn length(&self) -> usize {
        self.0.span.len()
    }

    /// What is wrong, without the place.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What could stand at the offset, where there are few possibilities.
    pub fn expected(&self) -> &[&'static str] {
        &self.0.expected
    }

    /// How to write what was probably meant.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.detail, self.span.start)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
