//! Globs as a small automaton, all of whose paths are followed at once.
//!
//! A regular expression would not do: "a dot or the end comes next" is look-ahead, which the
//! linear engine does not have.

use super::glob::Node;

/// A compiled glob. Matching takes at most the length of the tag times that of the program.
#[derive(Clone, Debug)]
pub(super) struct Program(Vec<Op>);

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Takes this character.
    Char(char),
    /// Takes any character but a dot.
    NotDot,
    /// Takes any character but a line feed.
    NotLineFeed,
    /// Goes on at the start of the tag only.
    AtStart,
    /// Goes on where a dot or the end of the tag comes next.
    BeforeDotOrEnd,
    /// Goes on at both places.
    Fork(usize, usize),
    /// Goes on at this place.
    Jump(usize),
    /// Ends this path.
    Never,
    /// Accepts, at the end of the tag or before a final line feed.
    Accept,
}

impl Program {
    pub(super) fn new(nodes: &[Node]) -> Self {
        let mut program = Self(Vec::new());
        program.sequence(nodes);
        program.push(Op::Accept);
        program
    }

    fn push(&mut self, op: Op) -> usize {
        self.0.push(op);
        self.0.len() - 1
    }

    fn sequence(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Char(c) => {
                self.push(Op::Char(*c));
            }
            Node::RunInPart => self.run(Op::NotDot),
            Node::Run => self.run(Op::NotLineFeed),
            Node::RunToDot => self.run_to_dot(),
            Node::BeforeDotOrEnd => {
                self.push(Op::BeforeDotOrEnd);
            }
            Node::Either(alternatives) => self.either(alternatives),
            Node::Never => {
                self.push(Op::Never);
            }
        }
    }

    /// `fork: take; jump fork`
    fn run(&mut self, take: Op) {
        let fork = self.0.len();
        self.push(Op::Fork(fork + 1, fork + 3));
        self.push(take);
        self.push(Op::Jump(fork));
    }

    /// `fork: run; dot; jump end` or `at start`
    fn run_to_dot(&mut self) {
        let fork = self.push(Op::Never);
        self.run(Op::NotLineFeed);
        self.push(Op::Char('.'));
        let jump = self.push(Op::Never);
        let start = self.push(Op::AtStart);
        self.set(fork, Op::Fork(fork + 1, start));
        self.set(jump, Op::Jump(start + 1));
    }

    /// `fork: first; jump end`, and so on for each but the last.
    fn either(&mut self, alternatives: &[Vec<Node>]) {
        let mut jumps = Vec::new();
        if let Some((last, others)) = alternatives.split_last() {
            for nodes in others {
                let fork = self.push(Op::Never);
                self.sequence(nodes);
                jumps.push(self.push(Op::Never));
                let next = self.0.len();
                self.set(fork, Op::Fork(fork + 1, next));
            }
            self.sequence(last);
        }
        let end = self.0.len();
        for jump in jumps {
            self.set(jump, Op::Jump(end));
        }
    }

    fn set(&mut self, at: usize, op: Op) {
        if let Some(slot) = self.0.get_mut(at) {
            *slot = op;
        }
    }

    pub(super) fn matches(&self, tag: &str) -> bool {
        let mut now = Places::new(self.0.len());
        let mut next = Places::new(self.0.len());
        self.reach(&mut now, 0, true, tag);
        let mut chars = tag.chars();
        loop {
            let rest = chars.as_str();
            let may_accept = rest.is_empty() || rest == "\n";
            if may_accept && now.list.iter().any(|&at| matches!(self.0.get(at), Some(Op::Accept))) {
                return true;
            }
            let Some(c) = chars.next() else { return false };
            next.clear();
            for &at in &now.list {
                let takes = match self.0.get(at) {
                    Some(Op::Char(wanted)) => *wanted == c,
                    Some(Op::NotDot) => c != '.',
                    Some(Op::NotLineFeed) => c != '\n',
                    _ => false,
                };
                if takes {
                    self.reach(&mut next, at + 1, false, chars.as_str());
                }
            }
            if next.list.is_empty() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
        }
    }

    /// Adds `from`, and all that is reached from there without taking a character, to `places`.
    fn reach(&self, places: &mut Places, from: usize, at_start: bool, rest: &str) {
        let mut todo = vec![from];
        while let Some(at) = todo.pop() {
            if !places.insert(at) {
                continue;
            }
            match self.0.get(at) {
                Some(Op::Fork(one, other)) => todo.extend([*one, *other]),
                Some(Op::Jump(to)) => todo.push(*to),
                Some(Op::AtStart) if at_start => todo.push(at + 1),
                Some(Op::BeforeDotOrEnd) if rest.is_empty() || rest.starts_with('.') => {
                    todo.push(at + 1);
                }
                _ => {}
            }
        }
    }
}

/// A set of places in a program, in the order of insertion.
struct Places {
    list: Vec<usize>,
    is_in: Vec<bool>,
}

impl Places {
    fn new(len: usize) -> Self {
        Self { list: Vec::with_capacity(len), is_in: vec![false; len] }
    }

    fn insert(&mut self, at: usize) -> bool {
        match self.is_in.get_mut(at) {
            Some(is_in) if !*is_in => {
                *is_in = true;
                self.list.push(at);
                true
            }
            _ => false,
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.is_in.fill(false);
    }
}
