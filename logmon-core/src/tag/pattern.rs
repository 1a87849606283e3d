//! Fluentd's match patterns: `app.**`, `app.{web,api}`, `/regex/`, alternatives between blanks.

mod glob;
mod program;
mod regexp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use glob::Node;
use program::Program;
use regexp::Regexp;

/// The longest text of a pattern, in bytes, its alternatives included.
///
/// Matching costs at most this times the length of the tag.
pub const MAX_TAG_PATTERN_BYTES: usize = 4096;

/// The deepest nesting of braces in a pattern.
pub const MAX_TAG_PATTERN_DEPTH: usize = 32;

/// A pattern of tags, with the meaning Fluentd gives it.
///
/// The text is split on white space; a tag matches if any of the parts does. `*` is any run of
/// characters without a dot, `**` any run, `{a,b}` a choice, `\x` the character x, and a part
/// between slashes a regular expression over the whole tag. `docs/filters.md` has the details.
///
/// # Examples
///
/// ```
/// use logmon_core::TagPattern;
///
/// let pattern = TagPattern::parse("app.** web.{access,error}")?;
/// assert!(pattern.matches("app") && pattern.matches("app.a.b") && pattern.matches("web.error"));
/// assert!(!pattern.matches("application"));
/// # Ok::<(), logmon_core::TagPatternError>(())
/// ```
#[derive(Clone)]
pub struct TagPattern {
    source: Box<str>,
    alternatives: Vec<Alternative>,
    warnings: Vec<TagPatternWarning>,
}

/// What a tag has to be like to be accepted by a part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagBound<'p> {
    /// This tag, perhaps with a line feed behind it. Without one it is accepted.
    Exact(&'p str),
    /// This tag, or one that begins with it and a dot.
    Below(&'p str),
}

/// One of the parts between blanks.
#[derive(Clone)]
enum Alternative {
    /// `**`: every tag.
    Any,
    /// `app.**`: this tag and all below it.
    Below(Box<str>),
    /// `app.web`: this tag.
    Exact(Box<str>),
    Glob(Program),
    Regexp(Regexp),
}

/// A text that is not a tag pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagPatternError {
    /// Braces are nested too deep.
    #[error("tag pattern `{0}` nests braces deeper than {MAX_TAG_PATTERN_DEPTH}")]
    TooDeep(String),
    /// There is nothing but white space.
    #[error("tag pattern is empty; `**` accepts every tag")]
    Empty,
    /// It begins with a slash and does not end with one.
    #[error("tag pattern `{0}` begins with a slash, so it must end with one and has no flags")]
    HalfRegexp(String),
    /// The text is longer than [`MAX_TAG_PATTERN_BYTES`].
    #[error("tag pattern has {0} bytes, more than {MAX_TAG_PATTERN_BYTES}")]
    TooLong(usize),
    /// The regular expression cannot be compiled.
    #[error("regular expression of tag pattern `{pattern}` cannot be used: {reason}")]
    Regexp {
        /// The part between blanks, with its slashes.
        pattern: String,
        /// What the regular expression engine says.
        reason: String,
    },
}

/// Something in a pattern that is legal and rarely meant.
///
/// `Display` says what it means to the reader of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagPatternWarning {
    /// W-BRACE-SPACE: white space inside braces ends the pattern there.
    BraceSpace,
    /// W-BRACE-OPEN: a brace is not closed; it is closed at the end.
    BraceOpen(String),
    /// E-BRACE-OPEN: a brace is not closed, and one of its alternatives can match no tag.
    BraceOpenNever(String),
    /// W-COMMA-PATTERN: a comma outside braces is an ordinary character.
    Comma(String),
    /// W-REGEX-TOP-ALT: a `|` outside all groups escapes the anchors.
    TopAlternation(String),
}

impl TagPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// One [`TagPatternError`] per reason; all are mistakes of the writer of the pattern. Without
    /// the feature `lookaround`, a regular expression with look-around is one of them.
    pub fn parse(source: &str) -> Result<Self, TagPatternError> {
        if source.len() > MAX_TAG_PATTERN_BYTES {
            return Err(TagPatternError::TooLong(source.len()));
        }
        let mut warnings = Vec::new();
        if has_blank_in_braces(source) {
            warnings.push(TagPatternWarning::BraceSpace);
        }
        let parts = source.split(is_blank).filter(|part| !part.is_empty());
        let alternatives = parts
            .map(|part| Alternative::parse(part, &mut warnings))
            .collect::<Result<Vec<_>, _>>()?;
        if alternatives.is_empty() {
            return Err(TagPatternError::Empty);
        }
        Ok(Self { source: source.into(), alternatives, warnings })
    }

    /// Tells whether the pattern accepts `tag`.
    ///
    /// The cost is at most the length of the tag times that of the pattern; where few tags come
    /// often, keep the answers. A regular expression with look-around that exceeds its step limit
    /// accepts nothing.
    pub fn matches(&self, tag: &str) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(tag))
    }

    /// What every tag that the pattern accepts is like, one of these; `None` where that is not known.
    pub fn bounds(&self) -> Option<Vec<TagBound<'_>>> {
        self.alternatives.iter().map(Alternative::bound).collect()
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// What is suspicious about the pattern, in the order of its text.
    pub fn warnings(&self) -> &[TagPatternWarning] {
        &self.warnings
    }
}

impl Alternative {
    fn parse(part: &str, warnings: &mut Vec<TagPatternWarning>) -> Result<Self, TagPatternError> {
        if part == "**" {
            return Ok(Self::Any);
        }
        if let Some(rest) = part.strip_prefix('/') {
            // A lone slash is both ends of an empty expression.
            let expression = if rest.is_empty() { Some("") } else { rest.strip_suffix('/') };
            let expression =
                expression.ok_or_else(|| TagPatternError::HalfRegexp(part.to_owned()))?;
            if regexp::has_top_alternation(expression) {
                warnings.push(TagPatternWarning::TopAlternation(part.to_owned()));
            }
            return Regexp::new(expression)
                .map(Self::Regexp)
                .map_err(|reason| TagPatternError::Regexp { pattern: part.to_owned(), reason });
        }
        Ok(Self::of_nodes(&glob::parse(part, warnings)?))
    }

    /// The common kinds need no automaton.
    fn of_nodes(nodes: &[Node]) -> Self {
        let text = |nodes: &[Node]| -> Option<Box<str>> {
            let char = |node: &Node| if let Node::Char(c) = node { Some(*c) } else { None };
            nodes.iter().map(char).collect::<Option<String>>().map(String::into_boxed_str)
        };
        let special = match nodes {
            [head @ .., Node::BeforeDotOrEnd, Node::Run] => text(head).map(Self::Below),
            _ => text(nodes).map(Self::Exact),
        };
        special.unwrap_or_else(|| Self::Glob(Program::new(nodes)))
    }

    fn bound(&self) -> Option<TagBound<'_>> {
        match self {
            Self::Below(parent) => Some(TagBound::Below(parent)),
            Self::Exact(text) => Some(TagBound::Exact(text)),
            Self::Any | Self::Glob(_) | Self::Regexp(_) => None,
        }
    }

    fn matches(&self, tag: &str) -> bool {
        // One final line feed is tolerated, as the end of a Ruby expression does.
        let line = || tag.strip_suffix('\n').unwrap_or(tag);
        match self {
            Self::Any => true,
            Self::Below(parent) => match tag.strip_prefix(&**parent) {
                Some("") => true,
                Some(rest) => rest.starts_with('.') && !line().contains('\n'),
                None => false,
            },
            Self::Exact(text) => **text == *tag || **text == *line(),
            Self::Glob(program) => program.matches(tag),
            Self::Regexp(regexp) => regexp.matches(tag),
        }
    }
}

/// White space as Ruby's `\s` has it, on which an argument is split.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Whether a blank stands between an opening brace and the one that was meant to close it.
fn has_blank_in_braces(source: &str) -> bool {
    let (mut depth, mut escaped) = (0_usize, false);
    for c in source.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth > 0 && is_blank(c) => return true,
            _ => {}
        }
    }
    false
}

impl TagPatternWarning {
    /// The code under which documentation and tools know it, such as `W-BRACE-OPEN`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BraceSpace => "W-BRACE-SPACE",
            Self::BraceOpen(_) => "W-BRACE-OPEN",
            Self::BraceOpenNever(_) => "E-BRACE-OPEN",
            Self::Comma(_) => "W-COMMA-PATTERN",
            Self::TopAlternation(_) => "W-REGEX-TOP-ALT",
        }
    }
}

impl fmt::Display for TagPatternWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BraceSpace => write!(
                f,
                "white space inside braces splits the pattern in two; write the alternatives \
                 without blanks"
            ),
            Self::BraceOpen(part) => {
                write!(f, "the brace in `{part}` is not closed; it ends with the pattern")
            }
            Self::BraceOpenNever(part) => write!(
                f,
                "the brace in `{part}` is not closed, so an alternative that holds more than \
                 plain text can match no tag"
            ),
            Self::Comma(part) => write!(
                f,
                "the comma in `{part}` is an ordinary character; write `{{a,b}}` or separate \
                 patterns by a blank"
            ),
            Self::TopAlternation(part) => {
                let inner = part.trim_matches('/');
                write!(
                    f,
                    "`|` in `{part}` frees its sides from one end of the tag each; write \
                     `/(?:{inner})/` to compare whole tags"
                )
            }
        }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TagPattern").field(&self.source).finish()
    }
}

impl PartialEq for TagPattern {
    /// Compares the texts.
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for TagPattern {}

impl std::hash::Hash for TagPattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl FromStr for TagPattern {
    type Err = TagPatternError;

    fn from_str(source: &str) -> Result<Self, Self::Err> {
        Self::parse(source)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for TagPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for TagPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
