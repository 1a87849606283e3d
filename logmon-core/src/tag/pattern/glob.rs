//! The text of one glob, read into nodes.
//!
//! The one subtlety is the dot: it waits until the next element decides what becomes of it. `**`
//! turns it into a condition, any other element writes it, the end of the pattern drops it.

use std::iter::Peekable;
use std::str::Chars;

use super::{MAX_TAG_PATTERN_DEPTH, TagPatternError, TagPatternWarning};

/// One element of a glob.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    /// This character.
    Char(char),
    /// `*`: any run without a dot.
    RunInPart,
    /// `**`: any run without a line break.
    Run,
    /// `**.`: the start of the tag, or any run that ends in a dot.
    RunToDot,
    /// `.` before `**`: a dot, or the end of the tag, comes next.
    BeforeDotOrEnd,
    /// `{...}`: one of these.
    Either(Vec<Vec<Self>>),
    /// What no tag matches.
    Never,
}

/// Reads the glob `part`; appends what is suspicious about it to `warnings`.
pub(super) fn parse(
    part: &str,
    warnings: &mut Vec<TagPatternWarning>,
) -> Result<Vec<Node>, TagPatternError> {
    let mut reader =
        Reader { part, chars: part.chars().peekable(), dot: false, open: None, comma: false };
    let mut nodes = Vec::new();
    reader.sequence(&mut nodes, 0)?;
    if reader.comma {
        warnings.push(TagPatternWarning::Comma(part.to_owned()));
    }
    match reader.open {
        Some(Open::Plain) => warnings.push(TagPatternWarning::BraceOpen(part.to_owned())),
        Some(Open::Never) => warnings.push(TagPatternWarning::BraceOpenNever(part.to_owned())),
        None => {}
    }
    Ok(nodes)
}

struct Reader<'a> {
    part: &'a str,
    chars: Peekable<Chars<'a>>,
    /// A dot was read and not written yet.
    dot: bool,
    /// A brace was still open at the end.
    open: Option<Open>,
    /// A comma stood outside all braces.
    comma: bool,
}

#[derive(Clone, Copy)]
enum Open {
    Plain,
    Never,
}

/// What ended a sequence.
#[derive(PartialEq)]
enum End {
    Brace,
    Comma,
    Text,
}

impl Reader<'_> {
    /// Reads up to the end of the alternative at this `depth` of braces.
    fn sequence(&mut self, nodes: &mut Vec<Node>, depth: usize) -> Result<End, TagPatternError> {
        while let Some(c) = self.chars.next() {
            if c == '*' && self.chars.next_if_eq(&'*').is_some() {
                self.run(nodes);
                continue;
            }
            if std::mem::take(&mut self.dot) {
                nodes.push(Node::Char('.'));
            }
            match c {
                '.' => self.dot = true,
                '*' => nodes.push(Node::RunInPart),
                '\\' => nodes.extend(self.chars.next().map(Node::Char)),
                '{' => nodes.push(self.braces(depth + 1)?),
                '}' if depth > 0 => return Ok(End::Brace),
                ',' if depth > 0 => return Ok(End::Comma),
                _ => {
                    self.comma |= c == ',';
                    nodes.push(Node::Char(c));
                }
            }
        }
        Ok(End::Text)
    }

    fn run(&mut self, nodes: &mut Vec<Node>) {
        if std::mem::take(&mut self.dot) {
            nodes.push(Node::BeforeDotOrEnd);
        }
        let to_dot = self.chars.next_if_eq(&'.').is_some();
        nodes.push(if to_dot { Node::RunToDot } else { Node::Run });
    }

    fn braces(&mut self, depth: usize) -> Result<Node, TagPatternError> {
        if depth > MAX_TAG_PATTERN_DEPTH {
            return Err(TagPatternError::TooDeep(self.part.to_owned()));
        }
        let mut alternatives = Vec::new();
        loop {
            let mut nodes = Vec::new();
            let end = self.sequence(&mut nodes, depth)?;
            alternatives.push(nodes);
            match end {
                End::Comma => {}
                End::Brace => break,
                End::Text => {
                    self.close_at_end(&mut alternatives);
                    break;
                }
            }
        }
        Ok(Node::Either(alternatives))
    }

    /// Fluentd escapes the alternatives of an unclosed brace twice, so that only those of plain
    /// text still mean themselves.
    fn close_at_end(&mut self, alternatives: &mut [Vec<Node>]) {
        let was_never = matches!(self.open, Some(Open::Never));
        self.open = Some(if was_never { Open::Never } else { Open::Plain });
        for nodes in alternatives {
            if !nodes.iter().all(|node| matches!(node, Node::Char(c) if is_plain(*c))) {
                *nodes = vec![Node::Never];
                self.open = Some(Open::Never);
            }
        }
    }
}

/// Whether Ruby's `Regexp.escape` leaves the character alone.
fn is_plain(c: char) -> bool {
    !super::is_blank(c) && !r"[]{}()|-*.\?+^$#".contains(c)
}
