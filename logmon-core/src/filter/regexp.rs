//! `/regular expressions/i` of a query.

mod required;

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

/// A regular expression, searched for anywhere in the original text.
///
/// The syntax is that of the crate `regex`; its time is linear in the text.
#[derive(Clone, Debug)]
pub struct Regexp {
    source: Box<str>,
    ignores_case: bool,
    /// Whether what it finds does not depend on what stands around it.
    is_local: bool,
    /// Folded texts of which one is wherever it is found, if there are such.
    required: Box<[Box<str>]>,
    regex: regex::Regex,
}

impl Regexp {
    /// Compiles `source`, without its slashes.
    ///
    /// # Errors
    ///
    /// What the engine says about a malformed expression, or one that is larger than
    /// [`MAX_REGEXP_BYTES`](super::MAX_REGEXP_BYTES) once compiled.
    pub fn new(source: &str, ignores_case: bool) -> Result<Self, String> {
        let built = regex::RegexBuilder::new(source)
            .case_insensitive(ignores_case)
            .size_limit(super::MAX_REGEXP_BYTES)
            .dfa_size_limit(super::MAX_REGEXP_BYTES)
            .build();
        match built {
            Ok(regex) => Ok(Self {
                source: source.into(),
                ignores_case,
                is_local: is_local(source),
                required: required::required(source, ignores_case),
                regex,
            }),
            Err(regex::Error::CompiledTooBig(limit)) => {
                Err(format!("compiled, it is larger than {limit} bytes"))
            }
            // The engine draws a picture; the last line of it says what is wrong.
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().next_back().unwrap_or_default();
                Err(last.trim_start_matches("error: ").to_owned())
            }
        }
    }

    /// The text between the slashes.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it was written with the flag `i`.
    pub fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// Where it is found first in `text`, in bytes, from the character boundary `start` on.
    pub fn find_at(&self, text: &str, start: usize) -> Option<std::ops::Range<usize>> {
        (start <= text.len()).then(|| self.regex.find_at(text, start))?.map(|found| found.range())
    }

    /// Whether a text in which it is found may stand in the middle of a longer one: it is then found
    /// in that, too, at the same place or before.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// Texts of which one stands, both folded, in every text in which it is found; empty if no such
    /// are known.
    pub fn required(&self) -> &[Box<str>] {
        &self.required
    }

    /// Tells whether it is found in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// Whether there is no look-around in an expression that compiles.
fn is_local(source: &str) -> bool {
    let hir = regex_syntax::parse(source);
    hir.is_ok_and(|hir| hir.properties().look_set().is_empty())
}

impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.ignores_case == other.ignores_case
    }
}

impl Eq for Regexp {}

impl Hash for Regexp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.source, self.ignores_case).hash(state);
    }
}

impl fmt::Display for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('/')?;
        let mut chars = self.source.chars();
        while let Some(c) = chars.next() {
            match c {
                '/' => f.write_str("\\/")?,
                '\\' => {
                    f.write_char(c)?;
                    chars.next().map_or(Ok(()), |escaped| f.write_char(escaped))?;
                }
                _ => f.write_char(c)?,
            }
        }
        f.write_str(if self.ignores_case { "/i" } else { "/" })
    }
}
