//! Words, phrases, prefixes and substrings of the message.

use std::fmt;
use std::hash::{Hash, Hasher};

use memchr::memmem::Finder;

use super::print;
use super::token::{Class, class, fold, tokens};

/// Tokens that stand next to each other in the message: `timeout`, `"connection reset"`, `time*`.
#[derive(Clone)]
pub struct Words {
    /// As written, folded.
    text: Box<str>,
    /// The tokens of `text`; never empty.
    tokens: Box<[Box<str>]>,
    /// The last token is the beginning of one; then `text` ends with it.
    is_prefix: bool,
    /// Finds the first token, as mere text.
    first: Finder<'static>,
    /// For each n, how many tokens at the end of the first n are also their beginning (the table
    /// of Knuth, Morris and Pratt).
    borders: Box<[usize]>,
}

impl Words {
    /// The words of `text`, the last one a prefix if `is_prefix` and nothing follows it in `text`;
    /// `None` if there are no tokens in it.
    pub fn new(text: &str, is_prefix: bool) -> Option<Self> {
        let text = fold(text);
        let tokens: Box<[Box<str>]> = tokens(&text).map(Box::from).collect();
        let first = Finder::new(tokens.first()?.as_bytes()).into_owned();
        let is_prefix = is_prefix && text.ends_with(&**tokens.last()?);
        let borders = borders(&tokens);
        Some(Self { text: text.into(), tokens, is_prefix, first, borders })
    }

    /// The folded text, with whatever stands between the tokens.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folded tokens, at least one.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tokens.iter().map(|token| &**token)
    }

    /// Whether the last token is the beginning of one.
    pub fn is_prefix(&self) -> bool {
        self.is_prefix
    }

    /// Tells whether the tokens stand in the [folded](super::token::fold) text in sequence; linear
    /// in its length.
    pub fn matches(&self, folded: &str) -> bool {
        match self.find_first(folded) {
            None => false,
            Some(_) if self.tokens.len() == 1 => true,
            Some(at) => folded.get(at..).is_some_and(|rest| self.matches_sequence(rest)),
        }
    }

    /// Where the first token begins.
    ///
    /// Occurrences may not overlap, and need not: where one overlaps the next, the next has a
    /// character of a run before it and is not the beginning of a token.
    fn find_first(&self, folded: &str) -> Option<usize> {
        let len = self.first.needle().len();
        let is_open = self.is_prefix && self.tokens.len() == 1;
        self.first.find_iter(folded.as_bytes()).find(|&at| {
            let end = at + len;
            is_boundary(folded, at) && (is_open || is_boundary(folded, end))
        })
    }

    fn matches_sequence(&self, folded: &str) -> bool {
        let last = self.tokens.len() - 1;
        let mut matched = 0;
        for token in tokens(folded) {
            while !self.accepts(matched, token) {
                match matched {
                    0 => break,
                    n => matched = self.borders.get(n - 1).copied().unwrap_or(0),
                }
            }
            if self.accepts(matched, token) {
                if matched == last {
                    return true;
                }
                matched += 1;
            }
        }
        false
    }

    fn accepts(&self, index: usize, token: &str) -> bool {
        self.tokens.get(index).is_some_and(|wanted| {
            let is_last = index + 1 == self.tokens.len();
            **wanted == *token || (self.is_prefix && is_last && token.starts_with(&**wanted))
        })
    }
}

/// Whether a token may begin or end at `at`: no run goes across.
fn is_boundary(text: &str, at: usize) -> bool {
    let Some((before, after)) = text.split_at_checked(at) else { return false };
    let is_run = |c: Option<char>| c.is_some_and(|c| class(c) == Class::Run);
    !(is_run(before.chars().next_back()) && is_run(after.chars().next()))
}

fn borders(tokens: &[Box<str>]) -> Box<[usize]> {
    let mut borders = vec![0; tokens.len()];
    let mut matched = 0;
    for (index, token) in tokens.iter().enumerate().skip(1) {
        while matched > 0 && tokens[matched] != *token {
            matched = borders[matched - 1];
        }
        matched += usize::from(tokens[matched] == *token);
        borders[index] = matched;
    }
    borders.into()
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.is_prefix == other.is_prefix
    }
}

impl Eq for Words {}

impl Hash for Words {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.text, self.is_prefix).hash(state);
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Words").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_prefix {
            print::escaped(&self.text, f)?;
            f.write_str("*")
        } else {
            print::text(&self.text, f)
        }
    }
}

/// Text anywhere in the message, inside words too: `*timeout*`.
#[derive(Clone)]
pub struct Substring {
    finder: Finder<'static>,
    text: Box<str>,
}

impl Substring {
    /// The substring `text`, in any case.
    pub fn new(text: &str) -> Self {
        let text = fold(text);
        Self { finder: Finder::new(text.as_bytes()).into_owned(), text: text.into() }
    }

    /// The folded text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether it stands in the [folded](super::token::fold) text.
    pub fn matches(&self, folded: &str) -> bool {
        self.finder.find(folded.as_bytes()).is_some()
    }
}

impl PartialEq for Substring {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Substring {}

impl Hash for Substring {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Substring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Substring").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for Substring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*")?;
        print::escaped(&self.text, f)?;
        f.write_str("*")
    }
}
