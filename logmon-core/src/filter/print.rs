//! The canonical text of a filter.

use std::fmt::{self, Write as _};
use std::ops::Bound;

use super::Filter;

/// How strongly an operator binds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Strength {
    Or,
    And,
    Not,
}

impl fmt::Display for Filter {
    /// Writes the canonical text: it parses to the same filter again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Atom(atom) => fmt::Display::fmt(atom, f),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                operand(inner, Strength::Not, f)
            }
            Self::And(operands) => joined(operands, " AND ", Strength::And, f),
            Self::Or(operands) => joined(operands, " OR ", Strength::Or, f),
        }
    }
}

fn joined(
    operands: &[Filter],
    operator: &str,
    strength: Strength,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (index, each) in operands.iter().enumerate() {
        if index > 0 {
            f.write_str(operator)?;
        }
        operand(each, strength, f)?;
    }
    match (operands, strength) {
        // The parser makes no empty lists; whoever does reads what they mean.
        ([], Strength::And) => f.write_str("*"),
        ([], _) => f.write_str("NOT *"),
        _ => Ok(()),
    }
}

fn operand(filter: &Filter, outer: Strength, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let needs_parentheses = match filter {
        Filter::All | Filter::Atom(_) | Filter::Not(_) => false,
        Filter::And(_) => outer >= Strength::And,
        Filter::Or(_) => true,
    };
    if needs_parentheses { write!(f, "({filter})") } else { fmt::Display::fmt(filter, f) }
}

/// Writes `text` bare where it can be read back as the same word, else quoted.
pub(super) fn text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_bare(text) { f.write_str(text) } else { quoted(text, f) }
}

fn is_bare(text: &str) -> bool {
    let is_keyword = matches!(text, "AND" | "OR" | "NOT" | "TO");
    let starts_well = text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    starts_well && !is_keyword && text.chars().all(|c| is_ordinary(c) || c == '-')
}

/// Whether a character means itself wherever it stands.
fn is_ordinary(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | ',')
}

/// Writes `text` between quotes.
pub(super) fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            _ => character(c, f)?,
        }
    }
    f.write_char('"')
}

/// Writes `text` with a backslash before each character that could mean something.
pub(super) fn escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, c) in text.char_indices() {
        match c {
            '-' | '/' if at > 0 => f.write_char(c)?,
            ' ' => f.write_str("\\ ")?,
            _ if c.is_whitespace() && !c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            _ if is_ordinary(c) || !c.is_ascii() || c.is_control() => character(c, f)?,
            _ => write!(f, "\\{c}")?,
        }
    }
    Ok(())
}

/// Writes control characters by their escapes, so that the text stays one line.
fn character(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        _ if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c)),
        _ => f.write_char(c),
    }
}

/// Writes the name of a metadata field, with the prefix `metadata.` where it would otherwise be
/// read as something else.
pub(super) fn metadata_path(path: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_reserved = super::field::Field::is_reserved(path);
    if is_reserved || !super::lex::begins_name(path) {
        f.write_str("metadata.")?;
    }
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        let is_last = chars.peek().is_none();
        if c.is_alphanumeric() || c == '_' || (!is_last && matches!(c, '.' | '-' | '@' | '/')) {
            f.write_char(c)?;
        } else if c.is_ascii_punctuation() {
            write!(f, "\\{c}")?;
        } else {
            escaped(c.encode_utf8(&mut [0; 4]), f)?;
        }
    }
    Ok(())
}

/// Writes the comparison or the range of `lower` and `upper` behind the name of a field.
pub(super) fn interval<T>(
    lower: &Bound<T>,
    upper: &Bound<T>,
    f: &mut fmt::Formatter<'_>,
    mut end: impl FnMut(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    let (operator, value) = match (lower, upper) {
        (Bound::Included(value), Bound::Unbounded) => (">=", value),
        (Bound::Excluded(value), Bound::Unbounded) => (">", value),
        (Bound::Unbounded, Bound::Included(value)) => ("<=", value),
        (Bound::Unbounded, Bound::Excluded(value)) => ("<", value),
        (Bound::Unbounded, Bound::Unbounded) => return f.write_str(":*"),
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => {
            f.write_str(if matches!(lower, Bound::Included(_)) { ":[" } else { ":{" })?;
            end(low, f)?;
            f.write_str(" TO ")?;
            end(high, f)?;
            return f.write_str(if matches!(upper, Bound::Included(_)) { "]" } else { "}" });
        }
    };
    f.write_str(operator)?;
    end(value, f)
}

/// Writes the test of the tag by `pattern`.
pub(super) fn tag(pattern: &crate::TagPattern, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let source = pattern.as_str();
    let is_bare = source.starts_with(|c: char| c.is_alphanumeric() || "_*{".contains(c))
        && source.chars().all(|c| c.is_alphanumeric() || "_.-@*{},".contains(c));
    f.write_str("tag:")?;
    if is_bare { f.write_str(source) } else { quoted(source, f) }
}
