//! `/regex/` parts of a tag pattern: Ruby's reading, on a linear engine where that is possible.

/// The most memory a compiled expression may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// The most steps of one match of an expression with look-around.
#[cfg(feature = "lookaround")]
const BACKTRACK_LIMIT: usize = 100_000;

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) enum Regexp {
    Linear(regex::Regex),
    #[cfg(feature = "lookaround")]
    Backtracking(fancy_regex::Regex),
}

impl Regexp {
    /// Compiles the text between the slashes, or says why that cannot be done.
    pub(super) fn new(expression: &str) -> Result<Self, String> {
        // Not grouped, as Fluentd does not: a `|` outside all groups escapes the anchors. In Ruby
        // `^` and `$` are always the ends of a line, and the end allows one final line feed.
        let anchored = format!(r"\A{expression}\n?\z");
        let linear = regex::RegexBuilder::new(&anchored)
            .multi_line(true)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build();
        match linear {
            Ok(regex) => Ok(Self::Linear(regex)),
            Err(regex::Error::CompiledTooBig(limit)) => {
                Err(format!("compiled, it is larger than {limit} bytes"))
            }
            Err(error) => Self::backtracking(&anchored, &error),
        }
    }

    #[cfg(feature = "lookaround")]
    fn backtracking(anchored: &str, _linear: &regex::Error) -> Result<Self, String> {
        fancy_regex::RegexBuilder::new(anchored)
            .multi_line(true)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(SIZE_LIMIT)
            .build()
            .map(Self::Backtracking)
            .map_err(|error| error.to_string())
    }

    #[cfg(not(feature = "lookaround"))]
    fn backtracking(_anchored: &str, linear: &regex::Error) -> Result<Self, String> {
        Err(format!("{linear} (look-around needs the feature `lookaround`)"))
    }

    pub(super) fn matches(&self, tag: &str) -> bool {
        match self {
            Self::Linear(regex) => regex.is_match(tag),
            #[cfg(feature = "lookaround")]
            Self::Backtracking(regex) => regex.is_match(tag).unwrap_or(false),
        }
    }
}

/// Whether a `|` stands outside all groups and classes.
pub(super) fn has_top_alternation(expression: &str) -> bool {
    let (mut groups, mut classes, mut escaped) = (0_usize, 0_usize, false);
    for c in expression.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => classes += 1,
            ']' => classes = classes.saturating_sub(1),
            _ if classes > 0 => {}
            '(' => groups += 1,
            ')' => groups = groups.saturating_sub(1),
            '|' if groups == 0 => return true,
            _ => {}
        }
    }
    false
}
