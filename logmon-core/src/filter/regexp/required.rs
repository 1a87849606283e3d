//! Texts that an expression cannot do without.

use std::cmp::Reverse;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::filter::token::fold_char;

/// A shorter text is in too many messages to say much.
const SHORTEST_BYTES: usize = 3;

/// More alternatives than these are not worth looking for.
const MOST_TEXTS: usize = 16;

/// The widest class that is taken for the cases of one letter.
const MOST_CASES: usize = 8;

/// Folded texts of which one stands in the folded form of every text in which `source`, which
/// compiles, is found. Empty where there are none that are long enough.
pub(super) fn required(source: &str, ignores_case: bool) -> Box<[Box<str>]> {
    let parsed = ParserBuilder::new().case_insensitive(ignores_case).build().parse(source);
    let texts = parsed.ok().and_then(|hir| needed(&hir));
    texts.unwrap_or_default().into_iter().map(String::into_boxed_str).collect()
}

/// One of these is there, and each is long enough.
type Texts = Vec<String>;

fn needed(hir: &Hir) -> Option<Texts> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => long_enough(exact(hir)?),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub),
        HirKind::Concat(parts) => needed_of_sequence(parts),
        HirKind::Alternation(branches) => {
            let mut texts = Texts::new();
            for branch in branches {
                texts.extend(needed(branch)?);
            }
            (texts.len() <= MOST_TEXTS).then_some(texts)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The best of the texts that parts need, and of those that neighbours are together.
fn needed_of_sequence(parts: &[Hir]) -> Option<Texts> {
    let (mut found, mut run) = (Vec::new(), String::new());
    for part in parts {
        match exact(part) {
            Some(text) => run.push_str(&text),
            None => {
                found.extend(long_enough(std::mem::take(&mut run)));
                found.extend(needed(part));
            }
        }
    }
    found.extend(long_enough(run));
    let worth = |texts: &Texts| (texts.iter().map(String::len).min(), Reverse(texts.len()));
    found.into_iter().max_by_key(worth)
}

fn long_enough(text: String) -> Option<Texts> {
    (text.len() >= SHORTEST_BYTES).then(|| vec![text])
}

/// The one folded text that stands wherever this is found.
fn exact(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(String::new()),
        HirKind::Literal(literal) => {
            Some(std::str::from_utf8(&literal.0).ok()?.chars().map(fold_char).collect())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut chars = class.iter().flat_map(|range| range.start()..=range.end());
            let first = fold_char(chars.next()?);
            let mut others = chars.by_ref().take(MOST_CASES);
            let is_one = others.all(|c| fold_char(c) == first);
            (is_one && chars.next().is_none()).then(|| first.to_string())
        }
        HirKind::Capture(capture) => exact(&capture.sub),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Regexp;
    use super::*;
    use crate::filter::token::fold;

    #[test]
    fn texts_are_those_that_cannot_be_missing() {
        for (source, ignores_case, expected) in [
            ("timeout", false, &["timeout"][..]),
            ("time(d )?out", false, &["time"]),
            ("Time(d )?Out", true, &["time"]),
            ("(error|warning): [0-9]+", false, &["error", "warning"]),
            ("(error|w): [0-9]+", false, &[]),
            ("^a+bcd$", false, &["bcd"]),
            ("(abc)+", false, &["abc"]),
            ("(abc)*x", false, &[]),
            ("[Kk]elvin", false, &["kelvin"]),
            ("ab.cd", false, &[]),
            ("接続(失敗|中断)", false, &["接続"]),
            (".*", false, &[]),
            ("abc.{3}defg", false, &["defg"]),
        ] {
            let found = required(source, ignores_case);
            assert_eq!(found.iter().map(|text| &**text).collect::<Vec<_>>(), expected, "{source}");
        }
    }

    proptest! {
        #[test]
        fn whatever_an_expression_finds_has_one_of_them(
            source in "(\\(abc\\|bcd\\)|abc|\\(?i:kſs\\)|[KkS]el|\\(abc\\)\\+|接続|.\\?|a*|ABC|\\$|\\[a-c\\]){1,5}",
            ignores_case in any::<bool>(),
            text in "(abc|bcd|ABC|Kel|\u{212a}el|sel|kss|KſS|接続|[a-c ]){0,6}",
        ) {
            let Ok(regexp) = Regexp::new(&source, ignores_case) else { return Ok(()) };
            let needed = required(&source, ignores_case);
            if regexp.is_match(&text) && !needed.is_empty() {
                let folded = fold(&text);
                prop_assert!(needed.iter().any(|text| folded.contains(&**text)), "{needed:?}");
            }
        }
    }
}
