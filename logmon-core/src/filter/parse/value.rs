//! Values: what stands behind a field, and what that field makes of it.

use std::ops::{Bound, Range as Span};

use super::super::error::ParseFilterError;
use super::super::field::{Field, FieldTest, Range, ValueTest, Wildcard};
use super::super::lex::{Bare, SLASH_HINT, Slashed, ends_text};
use super::super::literal::Literal;
use super::super::regexp::Regexp;
use super::super::severity::LevelTest;
use super::super::when::{Clock, Instant, TimeTest};
use super::super::words::{Substring, Words};
use super::super::{Atom, Filter, MAX_REGEXPS};
use super::{Parser, Result};
use crate::{Level, TagPattern};

/// The words that name a level, as an error lists them.
const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal", "none", "*"];

/// What an error lists where a time is expected.
const TIMES: &[&str] = &["\"2026-11-22T00:00:00Z\"", "1795305600", "now", "now-15m"];

/// One end of a range.
struct End {
    text: String,
    is_quoted: bool,
    span: Span<usize>,
}

/// What stands at the place of a value.
enum Value<'a> {
    Bare(Bare<'a>),
    Quoted(String),
    Slashed(Slashed<'a>),
    Range(Bound<End>, Bound<End>),
}

impl Parser<'_> {
    /// Reads a value of `field`.
    pub(super) fn value(&mut self, field: &Field) -> Result<Filter> {
        let start = self.cursor.at();
        let value = match self.cursor.peek() {
            Some('"') => {
                let text = self.cursor.quoted()?;
                self.expect_end("quoted text")?;
                Value::Quoted(text)
            }
            Some('/') => {
                let slashed = self.cursor.slashed()?;
                self.expect_end("a regular expression")?;
                Value::Slashed(slashed)
            }
            Some('<' | '>') if self.group.is_some() => return self.comparison(field),
            Some('[' | '{') if !matches!(field, Field::Message | Field::Tag) => self.range()?,
            _ => Value::Bare(self.cursor.bare(|_| false)?),
        };
        let span = start..self.cursor.at();
        match field {
            Field::Level => level(value, span),
            Field::Message => self.message(value, span),
            Field::Received => time(Clock::Received, value, span),
            Field::Timestamp => time(Clock::Timestamp, value, span),
            Field::Tag => tag(&value, span),
            Field::Source => {
                if let Value::Range(..) = value {
                    return Err(unordered(field, span));
                }
                self.test(value, span).map(|test| Atom::Field(FieldTest::source(test)).into())
            }
            Field::Metadata(path) => self
                .test(value, span)
                .map(|test| Atom::Field(FieldTest::metadata(path.clone(), test)).into()),
        }
    }

    /// Reads `>=value` and the like.
    pub(super) fn comparison(&mut self, field: &Field) -> Result<Filter> {
        let start = self.cursor.at();
        let is_greater = self.cursor.next() == Some('>');
        let is_included = self.cursor.eat('=');
        let operator = self.cursor.text_from(start);
        if self.cursor.peek().is_none_or(|c| ends_text(c) && c != '"') {
            let detail = format!("expected a value after `{operator}`");
            return Err(ParseFilterError::syntax(self.cursor.here(), detail)
                .expecting(&["number", "word", "\"text\""]));
        }
        let end = self.end(|_| false)?;
        let bound = if is_included { Bound::Included(end) } else { Bound::Excluded(end) };
        let (lower, upper) =
            if is_greater { (bound, Bound::Unbounded) } else { (Bound::Unbounded, bound) };
        let span = start..self.cursor.at();
        let value = Value::Range(lower, upper);
        match field {
            Field::Level => level(value, span),
            Field::Received => time(Clock::Received, value, span),
            Field::Timestamp => time(Clock::Timestamp, value, span),
            Field::Metadata(path) => self
                .test(value, span)
                .map(|test| Atom::Field(FieldTest::metadata(path.clone(), test)).into()),
            Field::Message | Field::Source | Field::Tag => Err(unordered(field, span)),
        }
    }

    /// Reads `[a TO b]` or `{a TO b}`, or one of each; the cursor is at the opening bracket.
    fn range(&mut self) -> Result<Value<'static>> {
        let opening = self.cursor.here();
        let includes_lower = self.cursor.next() == Some('[');
        let lower = self.range_end(&opening)?;
        self.cursor.skip_blanks();
        if !self.cursor.eat_keyword("TO") {
            return Err(ParseFilterError::syntax(self.cursor.here(), "expected `TO` in the range")
                .expecting(&["TO"])
                .hinting("a range is written [400 TO 499]"));
        }
        let upper = self.range_end(&opening)?;
        self.cursor.skip_blanks();
        let includes_upper = self.cursor.peek() == Some(']');
        if !self.cursor.eat(']') && !self.cursor.eat('}') {
            return Err(ParseFilterError::syntax(opening, "the range is not closed")
                .expecting(&["]", "}"])
                .hinting("a range is written [400 TO 499]"));
        }
        self.expect_end("a range")?;
        let bound = |end: Option<End>, is_included| match end {
            None => Bound::Unbounded,
            Some(end) if is_included => Bound::Included(end),
            Some(end) => Bound::Excluded(end),
        };
        Ok(Value::Range(bound(lower, includes_lower), bound(upper, includes_upper)))
    }

    /// Reads one end of a range; `None` is `*`.
    fn range_end(&mut self, opening: &Span<usize>) -> Result<Option<End>> {
        self.cursor.skip_blanks();
        if self.cursor.peek().is_none() {
            return Err(ParseFilterError::syntax(opening.clone(), "the range is not closed")
                .expecting(&["value", "*"])
                .hinting("a range is written [400 TO 499]"));
        }
        let is_bracket = |c| matches!(c, ']' | '}');
        let mut ahead = self.cursor.clone();
        if ahead.eat('*') && ahead.peek().is_none_or(|c| ends_text(c) || is_bracket(c)) {
            self.cursor = ahead;
            return Ok(None);
        }
        self.end(is_bracket).map(Some)
    }

    fn end(&mut self, is_end: fn(char) -> bool) -> Result<End> {
        let start = self.cursor.at();
        let is_quoted = self.cursor.peek() == Some('"');
        let text = if is_quoted {
            Some(self.cursor.quoted()?)
        } else {
            let bare = self.cursor.bare(is_end)?;
            <[String; 1]>::try_from(bare.pieces).ok().map(|[text]| text)
        };
        let span = start..self.cursor.at();
        let text = text.filter(|text| is_quoted || !text.is_empty()).ok_or_else(|| {
            ParseFilterError::syntax(span.clone(), "expected a value to compare with")
                .expecting(&["number", "word", "\"text\""])
        })?;
        Ok(End { text, is_quoted, span })
    }

    /// Refuses what is glued to the end of a `thing`.
    fn expect_end(&self, thing: &str) -> Result<()> {
        match self.cursor.peek() {
            Some(c) if !ends_text(c) => {
                let detail = format!("expected a blank after {thing}");
                let hint = if c == ':' {
                    "the name of a field is not quoted; odd characters in it take a backslash"
                } else if thing.ends_with("expression") {
                    SLASH_HINT
                } else {
                    "distances and weights such as ~2 or ^3 are not supported"
                };
                Err(ParseFilterError::syntax(self.cursor.here(), detail)
                    .expecting(&["blank", ")", "end"])
                    .hinting(hint))
            }
            _ => Ok(()),
        }
    }

    fn regexp(&mut self, slashed: &Slashed<'_>) -> Result<Regexp> {
        let ignores_case = match slashed.flags {
            "" => false,
            "i" => true,
            _ => {
                let end = slashed.span.end;
                let detail = "the only flag of a regular expression is `i`";
                return Err(ParseFilterError::syntax(end - slashed.flags.len()..end, detail)
                    .expecting(&["i", "blank"])
                    .hinting(SLASH_HINT));
            }
        };
        self.regexps += 1;
        if self.regexps > MAX_REGEXPS {
            let detail = format!("the filter has more than {MAX_REGEXPS} regular expressions");
            return Err(ParseFilterError::limit(slashed.span.clone(), detail));
        }
        if slashed.source.is_empty() {
            let detail = "the regular expression is empty";
            return Err(ParseFilterError::syntax(slashed.span.clone(), detail).hinting(SLASH_HINT));
        }
        Regexp::new(&slashed.source, ignores_case).map_err(|reason| {
            let detail = format!("the regular expression cannot be used: {reason}");
            ParseFilterError::syntax(slashed.span.clone(), detail)
        })
    }

    fn message(&mut self, value: Value<'_>, span: Span<usize>) -> Result<Filter> {
        let words = |text: &str, is_prefix| match Words::new(text, is_prefix) {
            Some(words) => Atom::Words(words).into(),
            None if text.is_empty() => Filter::All,
            None => Atom::Substring(Substring::new(text)).into(),
        };
        match value {
            Value::Quoted(text) => Ok(words(&text, false)),
            Value::Slashed(slashed) => Ok(Atom::Regexp(self.regexp(&slashed)?).into()),
            Value::Range(..) => Err(unordered(&Field::Message, span)),
            Value::Bare(bare) => {
                let pieces: Vec<&str> = bare.pieces.iter().map(String::as_str).collect();
                match *pieces {
                    [text] => Ok(words(text, false)),
                    ["", ""] => Ok(Filter::All),
                    [prefix, ""] => Ok(words(prefix, true)),
                    ["", text, ""] => Ok(Atom::Substring(Substring::new(text)).into()),
                    _ => Err(ParseFilterError::syntax(
                        bare.span,
                        "in the message a star stands at the end of a word or at both ends",
                    )
                    .expecting(&["word*", "*text*", "/regex/"])
                    .hinting("for other patterns write a regular expression: /time\\w*out/i")),
                }
            }
        }
    }

    fn test(&mut self, value: Value<'_>, span: Span<usize>) -> Result<ValueTest> {
        match value {
            Value::Quoted(text) => Ok(ValueTest::Equals(Literal::Text(text.into()))),
            Value::Slashed(slashed) => self.regexp(&slashed).map(ValueTest::Regexp),
            Value::Range(Bound::Unbounded, Bound::Unbounded) => Ok(ValueTest::Exists),
            Value::Range(lower, upper) => {
                let (lower, upper) = (lower.map(ordered_literal), upper.map(ordered_literal));
                if let (
                    Bound::Included(one) | Bound::Excluded(one),
                    Bound::Included(other) | Bound::Excluded(other),
                ) = (&lower, &upper)
                    && matches!(one, Literal::Number(_)) != matches!(other, Literal::Number(_))
                {
                    let detail = "a range goes from a number to a number or from text to text";
                    return Err(ParseFilterError::type_mismatch(span, detail));
                }
                Ok(ValueTest::Range(Range { lower, upper }))
            }
            Value::Bare(bare) => match &*bare.pieces {
                [text] => Ok(ValueTest::Equals(Literal::bare(text))),
                [first, last] if first.is_empty() && last.is_empty() => Ok(ValueTest::Exists),
                pieces => Ok(ValueTest::Wildcard(Wildcard::new(pieces.iter().map(|p| &**p)))),
            },
        }
    }
}

/// Only numbers and text have an order.
fn ordered_literal(end: End) -> Literal {
    match Literal::bare(&end.text) {
        number @ Literal::Number(_) if !end.is_quoted => number,
        _ => Literal::Text(end.text.into()),
    }
}

fn unordered(field: &Field, span: Span<usize>) -> ParseFilterError {
    ParseFilterError::type_mismatch(span, format!("`{field}` cannot be compared by order"))
        .expecting(&[":"])
        .hinting(format!("write {field}:value"))
}

fn level(value: Value<'_>, span: Span<usize>) -> Result<Filter> {
    let read = |text: &str, span: Span<usize>| {
        Level::from_word(text).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            ParseFilterError::type_mismatch(span, format!("`{shown}` is not a level"))
                .expecting(LEVELS)
        })
    };
    let only = |text: &str, span: Span<usize>| {
        if text.eq_ignore_ascii_case("none") {
            return Ok(LevelTest::Absent);
        }
        read(text, span).map(|level| LevelTest::Between(level, level))
    };
    let test = match value {
        Value::Bare(bare) => match &*bare.pieces {
            [text] => Some(only(text, span.clone())?),
            [first, last] if first.is_empty() && last.is_empty() => {
                LevelTest::new(Bound::Unbounded, Bound::Unbounded)
            }
            _ => return Err(no_patterns("level", span, LEVELS)),
        },
        Value::Quoted(text) => Some(only(&text, span.clone())?),
        Value::Slashed(slashed) => return Err(no_patterns("level", slashed.span, LEVELS)),
        Value::Range(lower, upper) => {
            let read = |end: Bound<End>| transpose(end.map(|end| read(&end.text, end.span)));
            LevelTest::new(read(lower)?, read(upper)?)
        }
    };
    test.map(|test| Atom::Level(test).into()).ok_or_else(|| {
        ParseFilterError::type_mismatch(span, "no level is in this range").expecting(LEVELS)
    })
}

fn time(clock: Clock, value: Value<'_>, span: Span<usize>) -> Result<Filter> {
    let name = if clock == Clock::Received { "received" } else { "timestamp" };
    let read = |text: &str, span: Span<usize>| {
        Instant::parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            ParseFilterError::type_mismatch(span, format!("`{shown}` is not a time"))
                .expecting(TIMES)
                .hinting("a date needs a time of day and an offset: 2026-11-22T00:00:00Z")
        })
    };
    let (lower, upper) = match value {
        Value::Bare(Bare { pieces, span, .. }) => match &*pieces {
            [text] => {
                let instant = read(text, span)?;
                (Bound::Included(instant), Bound::Included(instant))
            }
            [first, last] if first.is_empty() && last.is_empty() => {
                (Bound::Unbounded, Bound::Unbounded)
            }
            _ => return Err(no_patterns(name, span, TIMES)),
        },
        Value::Quoted(text) => {
            let instant = read(&text, span)?;
            (Bound::Included(instant), Bound::Included(instant))
        }
        Value::Slashed(slashed) => return Err(no_patterns(name, slashed.span, TIMES)),
        Value::Range(lower, upper) => {
            let read = |end: Bound<End>| transpose(end.map(|end| read(&end.text, end.span)));
            (read(lower)?, read(upper)?)
        }
    };
    Ok(match (lower, upper) {
        // Every event has both times.
        (Bound::Unbounded, Bound::Unbounded) => Filter::All,
        (lower, upper) => Atom::Time(TimeTest { clock, lower, upper }).into(),
    })
}

fn tag(value: &Value<'_>, span: Span<usize>) -> Result<Filter> {
    let pattern = match value {
        Value::Bare(bare) => TagPattern::parse(bare.raw),
        Value::Quoted(text) => TagPattern::parse(text),
        Value::Slashed(slashed) => TagPattern::parse(slashed.raw),
        Value::Range(..) => return Err(unordered(&Field::Tag, span)),
    };
    pattern.map(|pattern| Atom::Tag(pattern).into()).map_err(|error| {
        ParseFilterError::syntax(span, error.to_string())
            .hinting("patterns of tags are those of Fluentd: app.**, app.{web,api}")
    })
}

fn no_patterns(
    field: &str,
    span: Span<usize>,
    expected: &'static [&'static str],
) -> ParseFilterError {
    ParseFilterError::type_mismatch(span, format!("`{field}` has no patterns")).expecting(expected)
}

fn transpose<T>(bound: Bound<Result<T>>) -> Result<Bound<T>> {
    Ok(match bound {
        Bound::Included(end) => Bound::Included(end?),
        Bound::Excluded(end) => Bound::Excluded(end?),
        Bound::Unbounded => Bound::Unbounded,
    })
}
