//! Words: how text is folded and cut into tokens.
//!
//! This is the one tokenizer of logmon. The evaluator and every index use it; an index that cuts
//! text otherwise would lose rows. All of it is defined character by character:
//!
//! - **Folding** is Unicode's simple case folding (statuses C and S of `CaseFolding.txt`): one
//!   character becomes one character, in every language alike. `ẞ` is `ß` and not `ss`, final `ς`
//!   is `σ`, and `İ` stays itself, for its folding is several characters or a matter of Turkish.
//! - A **token** is a maximal run of letters, digits and `_`, except that each Han, Hiragana,
//!   Katakana or Hangul character is a token by itself. Letters and digits are those of
//!   [`char::is_alphanumeric`].
//!
//! Folding never changes which characters are of a token, so it does not matter which comes first.

use std::borrow::Cow;

/// The text with each character folded; borrowed where it is folded already.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        let is_folded = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        return if is_folded { text.into() } else { text.to_ascii_lowercase().into() };
    }
    let mut folded = String::new();
    let mut rest = text;
    // Most text stays as it is, and is copied run by run.
    while let Some((at, c)) = rest.char_indices().find(|&(_, c)| fold_char(c) != c) {
        let (same, changed) = rest.split_at(at);
        folded.reserve(rest.len());
        folded.push_str(same);
        folded.push(fold_char(c));
        rest = changed.split_at(c.len_utf8()).1;
    }
    if folded.is_empty() {
        return Cow::Borrowed(text);
    }
    folded.push_str(rest);
    Cow::Owned(folded)
}

/// The simple case folding of one character.
pub fn fold_char(c: char) -> char {
    match c {
        '\0'..='\x7f' => c.to_ascii_lowercase(),
        // Kana, Han and Hangul have no case; this spares their text the look-up.
        '\u{2d00}'..='\u{a63f}' | '\u{ac00}'..='\u{faff}' => c,
        _ => unicode_case_mapping::case_folded(c)
            .and_then(|folded| char::from_u32(folded.get()))
            .unwrap_or(c),
    }
}

/// What a character is to the tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Between tokens.
    Gap,
    /// Part of a run.
    Run,
    /// A token by itself.
    Single,
}

/// The class of `c`.
pub(super) fn class(c: char) -> Class {
    if c.is_ascii() {
        if is_run_byte(c as u8) { Class::Run } else { Class::Gap }
    } else if !c.is_alphanumeric() {
        Class::Gap
    } else if is_single(c) {
        Class::Single
    } else {
        Class::Run
    }
}

/// The class of a token, by its first character.
pub(super) fn class_of_first(token: &str) -> Class {
    token.chars().next().map_or(Class::Gap, class)
}

impl Class {
    /// Whether such characters run on.
    pub(super) fn is_run(self) -> bool {
        self == Self::Run
    }
}

pub(super) const fn is_run_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether the letter or digit `c` is Han, Hiragana, Katakana or Hangul, by its Unicode script
/// extensions; a test compares these ranges with the tables of the regular expression engine.
const fn is_single(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11ff}'
        | '\u{3005}'..='\u{30ff}'
        | '\u{3131}'..='\u{3195}'
        | '\u{31f0}'..='\u{3229}'
        | '\u{3280}'..='\u{3289}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97c}'
        | '\u{ac00}'..='\u{fad9}'
        | '\u{ff66}'..='\u{ffdc}'
        | '\u{16fe3}'..='\u{16fff}'
        | '\u{1aff0}'..='\u{1b167}'
        | '\u{1d360}'..='\u{1d371}'
        | '\u{20000}'..='\u{3fffd}'
    )
}

/// The tokens of `text`, in order, as slices of it.
///
/// Fold the text first where tokens are to be compared.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { rest: text }
}

/// The iterator of [`tokens`]. It allocates nothing and is linear in the text.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = skip(self.rest, Class::Gap);
        let rest = self.rest.get(start..)?;
        let first = rest.chars().next()?;
        let len =
            if class(first) == Class::Single { first.len_utf8() } else { skip(rest, Class::Run) };
        let (token, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(token)
    }
}

/// The length of the longest beginning of `text` that is all of one `kind`.
fn skip(text: &str, kind: Class) -> usize {
    let in_run = kind == Class::Run;
    let mut at = 0;
    loop {
        let ascii = text.as_bytes().iter().skip(at);
        at += ascii.take_while(|b| b.is_ascii() && is_run_byte(**b) == in_run).count();
        match text.get(at..).and_then(|rest| rest.chars().next()) {
            Some(c) if !c.is_ascii() && class(c) == kind => at += c.len_utf8(),
            _ => return at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<&str> {
        tokens(text).collect()
    }

    #[test]
    fn runs_are_letters_digits_and_underscores() {
        assert_eq!(cut("GET /a_b?x=1 10.0.0.1"), ["GET", "a_b", "x", "1", "10", "0", "0", "1"]);
        assert_eq!(cut("Straße déjà"), ["Straße", "déjà"]);
        assert_eq!(cut(" -> "), [""; 0]);
    }

    #[test]
    fn characters_of_east_asian_scripts_stand_alone() {
        assert_eq!(cut("接続失敗"), ["接", "続", "失", "敗"]);
        assert_eq!(cut("DBサーバー2、落"), ["DB", "サ", "ー", "バ", "ー", "2", "落"]);
        assert_eq!(cut("서버x"), ["서", "버", "x"]);
    }

    #[test]
    fn folding_is_simple() {
        assert_eq!(fold("ẞß İı ΣΑΣς \u{212a}"), "ßß İı σασσ k");
        assert_eq!(fold("ＡＢＣ ǅ Ⅷ"), "ａｂｃ ǆ ⅷ");
        assert!(matches!(fold("already folded 接続"), Cow::Borrowed(_)));
    }

    #[test]
    fn folding_is_idempotent_and_keeps_classes() {
        for c in '\0'..=char::MAX {
            let folded = fold_char(c);
            assert_eq!(fold_char(folded), folded, "{c:?}");
            assert_eq!(class(folded), class(c), "{c:?}");
            let table = unicode_case_mapping::case_folded(c);
            assert_eq!(u32::from(folded), table.map_or(u32::from(c), u32::from), "{c:?}");
        }
    }

    #[test]
    fn folding_agrees_with_the_regular_expression_engine() {
        for c in ('\0'..='\u{ffff}').filter(|c| fold_char(*c) != *c) {
            let source = format!("^(?i){}$", regex::escape(&c.to_string()));
            let folded = fold_char(c).to_string();
            assert!(regex::Regex::new(&source).unwrap().is_match(&folded), "{c:?}");
        }
    }

    #[test]
    fn single_characters_are_those_of_the_four_scripts() {
        // Characters that either table does not know yet are left out.
        let known = regex::Regex::new(r"[\pL\pN\p{Other_Alphabetic}]").unwrap();
        let scripts = r"[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}]";
        let scripts = regex::Regex::new(scripts).unwrap();
        let all: String = ('\0'..=char::MAX).filter(|c| c.is_alphanumeric()).collect();
        let all: String = known.find_iter(&all).map(|found| found.as_str()).collect();
        let singles: String = all.chars().filter(|c| class(*c) == Class::Single).collect();
        let expected: String = scripts.find_iter(&all).map(|found| found.as_str()).collect();
        assert_eq!(singles, expected);
    }

    proptest! {
        #[test]
        fn tokens_are_what_a_walk_over_the_characters_finds(text in "[a-cA-C_0 .ßé接ー、\u{301}]{0,24}") {
            let mut expected: Vec<String> = Vec::new();
            let mut last = Class::Gap;
            for c in text.chars() {
                match (class(c), last) {
                    (Class::Gap, _) => {}
                    (Class::Run, Class::Run) => expected.last_mut().unwrap().push(c),
                    _ => expected.push(c.to_string()),
                }
                last = class(c);
            }
            prop_assert_eq!(tokens(&text).collect::<Vec<_>>(), expected);
            let folded = fold(&text).into_owned();
            let after: Vec<_> = tokens(&folded).map(str::to_owned).collect();
            let before: Vec<_> = tokens(&text).map(|token| fold(token).into_owned()).collect();
            prop_assert_eq!(after, before);
        }
    }
}
