//! A second evaluator, as slow and as plain as can be, to compare the first with.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::LazyLock;

use serde_json::Value;

use super::sample::Sample;
use super::*;
use crate::Level;

pub(super) fn matches(filter: &Filter, event: &Sample) -> bool {
    match filter {
        Filter::All => true,
        Filter::Atom(atom) => atom_matches(atom, event),
        Filter::Not(inner) => !matches(inner, event),
        Filter::And(operands) => operands.iter().filter(|each| !matches(each, event)).count() == 0,
        Filter::Or(operands) => operands.iter().filter(|each| matches(each, event)).count() > 0,
    }
}

fn atom_matches(atom: &Atom, event: &Sample) -> bool {
    match atom {
        Atom::Level(LevelTest::Absent) => event.level.is_none(),
        Atom::Level(LevelTest::Between(least, most)) => {
            let inside = Level::ALL.iter().filter(|level| **level >= *least && **level <= *most);
            inside.copied().map(Some).any(|level| level == event.level)
        }
        Atom::Time(test) => {
            let time = match test.clock {
                Clock::Timestamp => event.timestamp,
                Clock::Received => event.received,
            };
            let order = |end: &Instant| match end {
                Instant::At(end) => Some(time.cmp(end)),
                Instant::Now(_) => None,
            };
            inside(&test.lower, &test.upper, order)
        }
        Atom::Tag(pattern) => pattern.matches(&event.tag),
        Atom::Field(test) => match test.path() {
            None => event.source.iter().any(|text| value(test.test(), &Value::from(text.clone()))),
            Some(path) => event.values(path).into_iter().any(|found| value(test.test(), found)),
        },
        Atom::Words(words) => has_words(words, &event.message),
        Atom::Substring(substring) => fold(&event.message).contains(&fold(substring.text())),
        Atom::Regexp(regexp) => regex(regexp, &event.message),
    }
}

fn fold(text: &str) -> String {
    let folded = |c| unicode_case_mapping::case_folded(c).map(std::num::NonZero::get);
    text.chars().map(|c| folded(c).map_or(c, |folded| char::from_u32(folded).unwrap())).collect()
}

static SINGLE: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(r"[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}]").unwrap()
});

fn tokens(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for c in fold(text).chars() {
        if !(c.is_alphanumeric() || c == '_') {
            all.push(String::new());
        } else if SINGLE.is_match(&c.to_string()) {
            all.extend([c.to_string(), String::new()]);
        } else {
            all.last_mut().unwrap().push(c);
        }
    }
    all.retain(|token| !token.is_empty());
    all
}

fn has_words(words: &Words, message: &str) -> bool {
    let (wanted, found) = (tokens(words.text()), tokens(message));
    found.windows(wanted.len()).any(|window| {
        window.iter().zip(&wanted).enumerate().all(|(index, (found, wanted))| {
            let is_open = words.is_prefix() && index + 1 == window.len();
            found == wanted || (is_open && found.starts_with(wanted))
        })
    })
}

fn regex(regexp: &Regexp, text: &str) -> bool {
    let flags = if regexp.ignores_case() { "(?i)" } else { "" };
    regex::Regex::new(&format!("{flags}{}", regexp.source())).unwrap().is_match(text)
}

fn value(test: &ValueTest, found: &Value) -> bool {
    match (test, found) {
        (ValueTest::Exists, _) => !found.is_null(),
        (ValueTest::Equals(literal), Value::String(string)) => string == literal.text(),
        (ValueTest::Equals(Literal::Text(_)), _) => false,
        (ValueTest::Equals(literal), Value::Number(_)) => {
            order(literal, found) == Some(Ordering::Equal)
        }
        (ValueTest::Equals(literal), Value::Bool(_) | Value::Null) => {
            *found.to_string() == *literal.text()
        }
        (ValueTest::Range(range), _) => inside(&range.lower, &range.upper, |end| order(end, found)),
        (ValueTest::Regexp(regexp), Value::String(string)) => regex(regexp, string),
        (ValueTest::Wildcard(wildcard), Value::String(string)) => {
            glob(&wildcard.pieces().collect::<Vec<_>>(), string)
        }
        _ => false,
    }
}

/// Integers as integers; the other numbers of the tests are exact as floats.
fn order(end: &Literal, found: &Value) -> Option<Ordering> {
    match (end, found) {
        (Literal::Number(_), Value::Number(number)) => {
            if let (Some(found), Ok(end)) = (number.as_i128(), end.text().parse()) {
                return Some(found.cmp(&end));
            }
            number.as_f64()?.partial_cmp(&end.text().parse().ok()?)
        }
        (Literal::Text(end), Value::String(string)) => Some((**string).cmp(end)),
        _ => None,
    }
}

fn inside<T>(lower: &Bound<T>, upper: &Bound<T>, order: impl Fn(&T) -> Option<Ordering>) -> bool {
    let is = |end: &T, wanted: &[Ordering]| order(end).is_some_and(|found| wanted.contains(&found));
    let above = match lower {
        Bound::Included(end) => is(end, &[Ordering::Greater, Ordering::Equal]),
        Bound::Excluded(end) => is(end, &[Ordering::Greater]),
        Bound::Unbounded => true,
    };
    let below = match upper {
        Bound::Included(end) => is(end, &[Ordering::Less, Ordering::Equal]),
        Bound::Excluded(end) => is(end, &[Ordering::Less]),
        Bound::Unbounded => true,
    };
    above && below
}

fn glob(pieces: &[&str], text: &str) -> bool {
    match pieces {
        [] => false,
        [last] => text == *last,
        [first, rest @ ..] => text.strip_prefix(first).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| glob(rest, text.split_at(at).1))
        }),
    }
}
