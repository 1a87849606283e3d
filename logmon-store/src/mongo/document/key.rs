//! Keys of documents.
//!
//! A dot or a leading dollar in a key has a meaning in queries of MongoDB, and some versions refuse
//! them; a NUL cannot be written at all. Each has a stand-in that looks like it. A key that has one of
//! the stand-ins itself gets a backslash of the same family in front of it, so every key can be told.

use std::borrow::Cow;

/// What becomes of dots and leading dollars in keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they are replaced or they are not")]
pub enum DotsAndDollars {
    /// They are written as `．` (U+FF0E) and `＄` (U+FF04), and come back as they were. The default.
    #[default]
    Escape,
    /// They are written as they are. Servers before 5.0 refuse some of them, and queries of
    /// MongoDB's own do not find what is below a key with a dot.
    Keep,
}

const DOT: char = '\u{ff0e}';
const DOLLAR: char = '\u{ff04}';
const NUL: char = '\u{2400}';
const BACKSLASH: char = '\u{ff3c}';

/// Appends a key and its end.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, key: &str, keys: DotsAndDollars) {
    let bytes = key.as_bytes();
    // The stand-ins begin with these two bytes.
    let is_odd = |byte: &u8| matches!(byte, 0 | b'.' | 0xe2 | 0xef);
    if bytes.first() == Some(&b'$') || bytes.iter().any(is_odd) {
        out.extend_from_slice(escaped(key, keys).as_bytes());
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(0);
}

/// A key as it is written.
pub(in crate::mongo) fn escaped(key: &str, keys: DotsAndDollars) -> Cow<'_, str> {
    let replaces = keys == DotsAndDollars::Escape;
    let is_odd = |(at, c): (usize, char)| {
        matches!(c, '\0' | DOT | DOLLAR | NUL | BACKSLASH)
            || (replaces && (c == '.' || (at == 0 && c == '$')))
    };
    if !key.char_indices().any(is_odd) {
        return Cow::Borrowed(key);
    }
    let mut out = String::with_capacity(key.len() + 8);
    for (at, c) in key.char_indices() {
        match c {
            '\0' => out.push(NUL),
            '.' if replaces => out.push(DOT),
            '$' if replaces && at == 0 => out.push(DOLLAR),
            DOT | DOLLAR | NUL | BACKSLASH => out.extend([BACKSLASH, c]),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The key that was written so.
pub(super) fn unescaped(key: &str) -> Cow<'_, str> {
    if !key.contains([DOT, DOLLAR, NUL, BACKSLASH]) {
        return Cow::Borrowed(key);
    }
    let mut out = String::with_capacity(key.len());
    let mut chars = key.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            DOT => '.',
            DOLLAR => '$',
            NUL => '\0',
            BACKSLASH => chars.next().unwrap_or(BACKSLASH),
            c => c,
        });
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dots_dollars_and_nul_have_stand_ins() {
        let escape = |key| escaped(key, DotsAndDollars::Escape).into_owned();
        assert_eq!(escape("a.b"), "a．b");
        assert_eq!(escape("$set"), "＄set");
        assert_eq!(escape("us$"), "us$");
        assert_eq!(escape("a\0b"), "a␀b");
        assert_eq!(escape("a．b"), "a＼．b");
        assert_eq!(escape("__proto__"), "__proto__");
        assert_eq!(escaped("$a.b\0", DotsAndDollars::Keep), "$a.b␀");
    }

    proptest! {
        /// what is written comes back, and is written in one way only.
        #[test]
        fn every_key_comes_back(
            key in "[a$.\0．＄␀＼é]{0,8}|\\PC{0,8}",
            keep in any::<bool>(),
        ) {
            let keys = if keep { DotsAndDollars::Keep } else { DotsAndDollars::Escape };
            let mut out = Vec::new();
            put(&mut out, &key, keys);
            prop_assert_eq!(out.pop(), Some(0));
            prop_assert!(!out.contains(&0));
            let written = String::from_utf8(out).unwrap();
            prop_assert_eq!(&*escaped(&key, keys), &*written);
            prop_assert_eq!(unescaped(&written), key);
            if !keep {
                prop_assert!(!written.contains('.') && !written.starts_with('$'));
            }
        }
    }
}
