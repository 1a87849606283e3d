//! The grammar of a query.
//!
//! ```text
//! filter      = [ disjunction ]
//! disjunction = conjunction { "OR" conjunction }
//! conjunction = clause { [ "AND" ] clause }
//! clause      = "NOT" clause | "-" clause | "(" disjunction ")" | term
//! term        = text | name ":" ( value | "(" disjunction ")" ) | name operator value
//! ```
//!
//! Inside `name:( ... )` the terms are values of that name.

mod value;

use super::error::ParseFilterError;
use super::field::Field;
use super::lex::{Cursor, Head, begins_name, ends_text};
use super::{Filter, MAX_ATOMS, MAX_DEPTH, MAX_NAME_BYTES, MAX_TEXT_BYTES};

type Result<T> = std::result::Result<T, ParseFilterError>;

/// Reads a filter.
pub(super) fn parse(text: &str) -> Result<Filter> {
    if text.len() > MAX_TEXT_BYTES {
        let detail = format!("the filter is longer than {MAX_TEXT_BYTES} bytes");
        return Err(ParseFilterError::limit(0..0, detail));
    }
    let mut parser =
        Parser { cursor: Cursor::new(text), group: None, depth: 0, atoms: 0, regexps: 0 };
    parser.cursor.skip_blanks();
    if parser.cursor.peek().is_none() {
        return Ok(Filter::All);
    }
    let filter = parser.disjunction()?;
    if parser.cursor.peek().is_some() {
        return Err(ParseFilterError::syntax(
            parser.cursor.here(),
            "nothing is open that `)` closes",
        ));
    }
    if filter.to_string().len() > MAX_TEXT_BYTES {
        let detail = format!("written out, the filter is longer than {MAX_TEXT_BYTES} bytes");
        return Err(ParseFilterError::limit(0..text.len(), detail));
    }
    Ok(filter)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// The field whose parentheses we are in.
    group: Option<Field>,
    depth: usize,
    atoms: usize,
    regexps: usize,
}

impl Parser<'_> {
    fn disjunction(&mut self) -> Result<Filter> {
        let mut operands = vec![self.conjunction()?];
        while self.cursor.eat_keyword("OR") {
            operands.push(self.conjunction()?);
        }
        Ok(one_or(operands, Filter::Or))
    }

    /// Leaves the cursor at the end, at `)` or at `OR`.
    fn conjunction(&mut self) -> Result<Filter> {
        let mut operands = vec![self.clause()?];
        loop {
            self.cursor.skip_blanks();
            if self.cursor.eat_keyword("AND") {
                operands.push(self.clause()?);
            } else if matches!(self.cursor.peek(), None | Some(')')) || self.cursor.word() == "OR" {
                return Ok(one_or(operands, Filter::And));
            } else {
                operands.push(self.clause()?);
            }
        }
    }

    fn clause(&mut self) -> Result<Filter> {
        self.cursor.skip_blanks();
        if self.cursor.eat_keyword("NOT") {
            return self.nested(Self::clause).map(not);
        }
        match self.cursor.peek() {
            None | Some(')') => Err(self.expected_term()),
            Some('(') => self.parentheses(),
            Some('-') => self.minus(),
            Some('|') => Err(self.pipe()),
            Some(_) if matches!(self.cursor.word(), "AND" | "OR") => Err(self.expected_term()),
            Some(_) => self.term(),
        }
    }

    fn parentheses(&mut self) -> Result<Filter> {
        let opening = self.cursor.here();
        self.cursor.next();
        let inner = self.nested(Self::disjunction)?;
        if self.cursor.eat(')') {
            return Ok(inner);
        }
        Err(ParseFilterError::syntax(opening, "the parenthesis is not closed").expecting(&[")"]))
    }

    fn minus(&mut self) -> Result<Filter> {
        let sign = self.cursor.here();
        self.cursor.next();
        let negates = self.cursor.peek().is_some_and(|c| {
            c.is_alphanumeric() || !(c.is_ascii() || c.is_whitespace()) || "_@$\\\"/(*".contains(c)
        });
        if negates {
            return self.nested(Self::clause).map(not);
        }
        let detail = "expected what to exclude right after `-`";
        Err(ParseFilterError::syntax(sign, detail)
            .expecting(&["word", "\"phrase\"", "field:value", "("])
            .hinting("to find a text that begins with `-`, quote it"))
    }

    /// Counts a level of nesting around `read`.
    fn nested(&mut self, read: fn(&mut Self) -> Result<Filter>) -> Result<Filter> {
        if self.depth >= MAX_DEPTH {
            let detail = format!("parentheses and negations are nested deeper than {MAX_DEPTH}");
            return Err(ParseFilterError::limit(self.cursor.here(), detail));
        }
        self.depth += 1;
        let inner = read(self);
        self.depth -= 1;
        inner
    }

    fn term(&mut self) -> Result<Filter> {
        self.atoms += 1;
        if self.atoms > MAX_ATOMS {
            let detail = format!("the filter has more than {MAX_ATOMS} tests");
            return Err(ParseFilterError::limit(self.cursor.here(), detail));
        }
        if let Some(field) = self.group.clone() {
            return self.value(&field);
        }
        if self.cursor.peek().is_some_and(|c| c == '"' || c == '/') {
            return self.value(&Field::Message);
        }
        match self.cursor.head() {
            Head::Field(len) => self.field(len),
            Head::Comparison(len) => {
                let field = self.name(len)?;
                self.comparison(&field)
            }
            Head::Equation(len) => Err(self.equation(len)),
            Head::Text => self.text(),
        }
    }

    /// Text that is sought in the message.
    fn text(&mut self) -> Result<Filter> {
        let start = self.cursor.at();
        let word = self.cursor.word();
        let span = start..start + word.len();
        if word == "&&" {
            return Err(ParseFilterError::syntax(span, "`&&` is not an operator")
                .expecting(&["AND"])
                .hinting("write AND, or nothing at all"));
        }
        if word.starts_with('!') {
            return Err(ParseFilterError::syntax(span, "`!` is not an operator")
                .expecting(&["NOT", "-"])
                .hinting("write NOT x or -x; to find a text that begins with `!`, quote it"));
        }
        if word.bytes().all(|b| b"<>=!".contains(&b)) {
            return Err(ParseFilterError::syntax(span, "an operator stands alone")
                .expecting(&["field>=value"])
                .hinting("write it between field and value, without blanks"));
        }
        self.value(&Field::Message)
    }

    fn field(&mut self, len: usize) -> Result<Filter> {
        let name_start = self.cursor.at();
        let field = self.name(len)?;
        self.cursor.next();
        match self.cursor.peek() {
            Some('<' | '>') => self.comparison(&field),
            Some('(') => {
                self.atoms -= 1;
                self.group = Some(field);
                let filter = self.parentheses();
                self.group = None;
                filter
            }
            Some(c) if !ends_text(c) || c == '"' => self.value(&field),
            _ => Err(self.expected_value(name_start)),
        }
    }

    /// Reads the `len` bytes of a name.
    fn name(&mut self, len: usize) -> Result<Field> {
        let start = self.cursor.at();
        let span = start..start + len;
        let raw = self.cursor.rest().get(..len).unwrap_or("");
        if len > MAX_NAME_BYTES {
            let detail = format!("the name of the field is longer than {MAX_NAME_BYTES} bytes");
            return Err(ParseFilterError::limit(span, detail));
        }
        if !begins_name(raw) {
            let whole = start..start + self.cursor.word().len();
            let detail = if raw.is_empty() {
                "expected a name before `:`"
            } else {
                "this is not the name of a field"
            };
            return Err(ParseFilterError::syntax(whole, detail)
                .expecting(&["field", "\"text\""])
                .hinting(
                    "to find this text, quote it; a field of such a name is written metadata.name",
                ));
        }
        let mut name = Cursor::new(raw);
        let bare = name.bare(|_| false).map_err(|error| error.moved(start))?;
        let ([name], true) = (&*bare.pieces, bare.raw.len() == len) else {
            return Err(ParseFilterError::syntax(span, "a name has no wildcards")
                .hinting("a star that is part of the name is written \\*"));
        };
        let field = Field::named(name);
        if field == Field::Metadata("".into()) {
            return Err(ParseFilterError::syntax(span, "expected a name after `metadata.`"));
        }
        self.cursor.take(len);
        Ok(field)
    }

    fn equation(&mut self, len: usize) -> ParseFilterError {
        let start = self.cursor.at() + len;
        let name = self.cursor.take(len).trim_end_matches('!');
        let word: String = self.cursor.word().chars().take(64).collect();
        ParseFilterError::syntax(start..start + 1, "`=` is not an operator")
            .expecting(&[":", ">=", "<="])
            .hinting(format!(
                "for a field write {name}:value; to find this text, quote it: \"{name}{word}\""
            ))
    }

    fn pipe(&self) -> ParseFilterError {
        let detail = "pipes (`| ...`) come later and are not part of a filter";
        ParseFilterError::syntax(self.cursor.here(), detail)
            .expecting(&["AND", "OR", "end"])
            .hinting("for alternatives write OR; to find a bar, quote it: \"|\"")
    }

    fn expected_term(&self) -> ParseFilterError {
        let start = self.cursor.at();
        let end = start + self.cursor.word().len();
        ParseFilterError::syntax(start..end, "expected a term")
            .expecting(&["word", "\"phrase\"", "/regex/", "field:value", "NOT", "("])
            .hinting("to find a word like AND itself, write it in lower case or quoted")
    }

    fn expected_value(&self, name_start: usize) -> ParseFilterError {
        let name = self.cursor.text_from(name_start);
        ParseFilterError::syntax(self.cursor.here(), format!("expected a value after `{name}`"))
            .expecting(&["word", "\"phrase\"", "/regex/", "[", "(", ">=", "*"])
            .hinting(format!("to find events that have the field at all, write `{name}*`"))
    }
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

/// The only operand, or all of them joined.
fn one_or(mut operands: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match (operands.len(), operands.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            operands.extend(last);
            join(operands)
        }
    }
}
