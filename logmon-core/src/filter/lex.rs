//! The characters of a query, read one element at a time.
//!
//! What an element is depends on where it stands, so the parser asks for what it expects.

use std::ops::Range;

use super::error::ParseFilterError;

type Result<T> = std::result::Result<T, ParseFilterError>;

/// Hint for whoever did not mean a regular expression.
pub(super) const SLASH_HINT: &str =
    "a slash begins a regular expression; to find a path, quote it: \"/var/log\"";

/// A place in the text.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Unquoted text.
#[derive(Debug)]
pub(super) struct Bare<'a> {
    /// As it stands, backslashes included.
    pub(super) raw: &'a str,
    /// Between the stars, backslashes applied. At least one; inner ones are never empty.
    pub(super) pieces: Vec<String>,
    pub(super) span: Range<usize>,
}

/// A regular expression.
#[derive(Debug)]
pub(super) struct Slashed<'a> {
    /// From the first slash to the last flag.
    pub(super) raw: &'a str,
    /// Between the slashes, `\/` read as `/`.
    pub(super) source: String,
    pub(super) flags: &'a str,
    pub(super) span: Range<usize>,
}

/// What an unquoted clause begins with.
pub(super) enum Head {
    /// A name of this many bytes and `:`.
    Field(usize),
    /// A name of this many bytes and `<` or `>`.
    Comparison(usize),
    /// A name of this many bytes and `=` or `!=`.
    Equation(usize),
    /// Text.
    Text,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// The text from `start` to here.
    pub(super) fn text_from(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or("")
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, expected: char) -> bool {
        let is_next = self.peek() == Some(expected);
        if is_next {
            self.at += expected.len_utf8();
        }
        is_next
    }

    pub(super) fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Goes over the next `len` bytes and returns them.
    pub(super) fn take(&mut self, len: usize) -> &'a str {
        let taken = self.rest().get(..len).unwrap_or("");
        self.at += taken.len();
        taken
    }

    /// The place of the next character.
    pub(super) fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    /// The run of characters that are not special, whatever they mean.
    pub(super) fn word(&self) -> &'a str {
        let rest = self.rest();
        rest.get(..rest.find(ends_text).unwrap_or(rest.len())).unwrap_or("")
    }

    /// Goes over `keyword` if it is the whole word that comes next.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let is_next = self.word() == keyword;
        if is_next {
            self.at += keyword.len();
        }
        is_next
    }

    /// Looks whether a name and an operator come next.
    pub(super) fn head(&self) -> Head {
        let rest = self.rest();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            let (name, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
            match c {
                '\\' => {
                    chars.next();
                }
                // The text of an address, not a field called `http`.
                ':' if tail.starts_with("://") => return Head::Text,
                ':' => return Head::Field(at),
                '<' | '>' if is_name(name) => return Head::Comparison(at),
                '=' if is_name(name.trim_end_matches('!')) => return Head::Equation(at),
                '<' | '>' | '=' => return Head::Text,
                _ if ends_text(c) => return Head::Text,
                _ => {}
            }
        }
        Head::Text
    }

    /// Reads unquoted text up to a blank, a parenthesis, a quote, a bar, or what `is_end` says.
    pub(super) fn bare(&mut self, is_end: fn(char) -> bool) -> Result<Bare<'a>> {
        let start = self.at;
        let mut pieces = Vec::from([String::new()]);
        while let Some(c) = self.peek().filter(|&c| !ends_text(c) && !is_end(c)) {
            match c {
                '\\' => last(&mut pieces).push(self.escape()?),
                '*' => {
                    self.next();
                    // Two stars in a row are one.
                    if pieces.len() == 1 || !last(&mut pieces).is_empty() {
                        pieces.push(String::new());
                    }
                }
                _ => last(&mut pieces).extend(self.next()),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or("");
        Ok(Bare { raw, pieces, span: start..self.at })
    }

    /// Reads text between quotes; the cursor is at the first one.
    pub(super) fn quoted(&mut self) -> Result<String> {
        let opening = self.here();
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                Some('"') => break,
                Some('\\') => text.push(self.escape()?),
                Some(_) => text.extend(self.next()),
                None => {
                    return Err(ParseFilterError::syntax(opening, "the quote is not closed")
                        .expecting(&["\""]));
                }
            }
        }
        self.next();
        Ok(text)
    }

    /// Reads a regular expression; the cursor is at its first slash.
    pub(super) fn slashed(&mut self) -> Result<Slashed<'a>> {
        let opening = self.here();
        self.next();
        let mut source = String::new();
        loop {
            match self.next() {
                Some('/') => break,
                Some('\\') => match self.next() {
                    Some('/') => source.push('/'),
                    escaped => {
                        source.push('\\');
                        source.extend(escaped);
                    }
                },
                Some(c) => source.push(c),
                None => {
                    let detail = "the regular expression is not closed";
                    return Err(ParseFilterError::syntax(opening, detail)
                        .expecting(&["/"])
                        .hinting(SLASH_HINT));
                }
            }
        }
        let flags = self.take(self.word().len());
        let raw = self.text.get(opening.start..self.at).unwrap_or("");
        Ok(Slashed { raw, source, flags, span: opening.start..self.at })
    }

    /// Reads a backslash and what it stands for.
    fn escape(&mut self) -> Result<char> {
        let start = self.at;
        self.next();
        let escaped = match self.next() {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => self.code_point(),
            Some(c) => Some(c).filter(|c| !c.is_alphanumeric()),
            None => None,
        };
        escaped.ok_or_else(|| {
            ParseFilterError::syntax(start..self.at, "a backslash here means nothing")
                .expecting(&["\\n", "\\r", "\\t", "\\u{1F600}", "a backslash and punctuation"])
                .hinting("a backslash itself is written \\\\")
        })
    }

    fn code_point(&mut self) -> Option<char> {
        let digits = self.rest().strip_prefix('{')?.split_once('}')?.0;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
        self.take(digits.len() + 2);
        char::from_u32(value)
    }
}

/// The last of the pieces, of which there is always one.
fn last(pieces: &mut Vec<String>) -> &mut String {
    if pieces.is_empty() {
        pieces.push(String::new());
    }
    let end = pieces.len() - 1;
    &mut pieces[end]
}

/// Whether no unquoted text goes on at `c`.
pub(super) fn ends_text(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"' | '|')
}

/// Whether `name` can be the beginning of the name of a field.
pub(super) fn begins_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '$' | '\\'))
}

/// Whether text before `<`, `>` or `=` is meant as a name; otherwise it is `a->b` or the like.
fn is_name(text: &str) -> bool {
    let ends_well = text.ends_with(|c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii());
    begins_name(text) && (ends_well || text.contains('\\'))
}
