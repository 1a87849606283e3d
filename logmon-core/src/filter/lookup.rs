//! How a set of many filters finds the events that pass an atom.

use std::ops::Bound;

use super::{FieldTest, Filter, Range, Regexp, Substring, TimeTest, ValueTest, Words};

/// What finds the events that pass an atom.
pub(super) enum Lookup<'t> {
    /// The index of levels.
    Level,
    /// The index of its clock.
    Time,
    /// The index of tags.
    Tag,
    /// The index of sources.
    Source,
    /// The index of the message's tokens.
    Token(&'t str),
    /// The index of texts in the message.
    Needle(&'t str),
    /// The index of the values at a path.
    Path(&'t str),
    /// None: events are tested one by one, if they pass this filter, as every event does that passes
    /// the atom.
    Alone {
        /// The filter, of atoms that have an index.
        among: Filter,
    },
}

const EACH: Lookup<'_> = Lookup::Alone { among: Filter::All };

pub(super) fn time(test: &TimeTest) -> Lookup<'_> {
    if test.uses_now() { EACH } else { Lookup::Time }
}

pub(super) fn field(test: &FieldTest) -> Lookup<'_> {
    let Some(path) = test.path() else { return Lookup::Source };
    match test.test() {
        ValueTest::Exists | ValueTest::Equals(_) => Lookup::Path(path),
        ValueTest::Range(Range { lower: Bound::Unbounded, upper: Bound::Unbounded }) => EACH,
        ValueTest::Range(range) if range.is_of_numbers() => Lookup::Path(path),
        ValueTest::Range(_) | ValueTest::Regexp(_) | ValueTest::Wildcard(_) => {
            let exists = FieldTest::metadata(path, ValueTest::Exists);
            Lookup::Alone { among: super::Atom::Field(exists).into() }
        }
    }
}

/// A phrase is looked for where its longest token is, the beginning of a token where it stands.
pub(super) fn words(words: &Words) -> Lookup<'_> {
    let whole = words.tokens().len() - usize::from(words.is_prefix());
    let longest = words.tokens().take(whole).max_by_key(|token| token.len());
    match longest {
        Some(token) if words.tokens().len() == 1 => Lookup::Token(token),
        Some(token) => Lookup::Alone {
            among: Words::new(token, false)
                .map_or(Filter::All, |token| super::Atom::Words(token).into()),
        },
        None => Lookup::Alone { among: any_text(words.tokens()) },
    }
}

pub(super) fn substring(substring: &Substring) -> Lookup<'_> {
    if substring.text().is_empty() { EACH } else { Lookup::Needle(substring.text()) }
}

/// An expression is looked for where a text is that it cannot do without.
pub(super) fn regexp(regexp: &Regexp) -> Lookup<'_> {
    match regexp.required() {
        [] => EACH,
        texts => Lookup::Alone { among: any_text(texts.iter().map(|text| &**text)) },
    }
}

fn any_text<'t>(texts: impl Iterator<Item = &'t str>) -> Filter {
    let mut texts = texts.map(|text| Filter::from(super::Atom::Substring(Substring::new(text))));
    let first = texts.next().unwrap_or_default();
    texts.fold(first, Filter::or)
}
