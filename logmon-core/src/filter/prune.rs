//! What a filter can say about many events at once, from little that is known of them.

use super::key;
use super::literal::Literal;
use super::token::{class_of_first, tokens};
use super::{Atom, Clock, FieldTest, Filter, LevelTest, Substring, TimeTest, ValueTest, Words};
use crate::{Level, Scalar, Timestamp};

/// How many of some events may pass a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the answers of a quick look")]
pub enum Possible {
    /// None of them does, for sure.
    None,
    /// Any number of them may.
    Some,
    /// All of them do, for sure.
    All,
}

/// What is known of some events (a block, a segment) without looking at them one by one.
///
/// Every method may answer "perhaps": what is claimed must be true, and more need not be claimed.
/// The provided methods claim nothing.
pub trait Facts {
    /// Bounds of one of the two times, both included.
    #[expect(unused_variables, reason = "it claims nothing")]
    fn times(&self, clock: Clock) -> (Timestamp, Timestamp) {
        (Timestamp::MIN, Timestamp::MAX)
    }

    /// Whether an event of this level may be among them; `None` stands for events without one.
    #[expect(unused_variables, reason = "it claims nothing")]
    fn may_have_level(&self, level: Option<Level>) -> bool {
        true
    }

    /// Which of the events have a tag that `accepts` takes.
    #[expect(unused_variables, reason = "it claims nothing")]
    fn tags(&self, accepts: &dyn Fn(&str) -> bool) -> Possible {
        Possible::Some
    }

    /// Which of the events have a source, or none, that `accepts` takes.
    #[expect(unused_variables, reason = "it claims nothing")]
    fn sources(&self, accepts: &dyn Fn(Option<&str>) -> bool) -> Possible {
        Possible::Some
    }

    /// Whether an event with this [key] may be among them.
    #[expect(unused_variables, reason = "it claims nothing")]
    fn may_have(&self, key: u64) -> bool {
        true
    }
}

impl Possible {
    /// That of the complement.
    pub const fn negated(self) -> Self {
        match self {
            Self::None => Self::All,
            Self::Some => Self::Some,
            Self::All => Self::None,
        }
    }

    /// From whether an event that passes, and one that does not, may be among them.
    pub const fn of(may_pass: bool, may_fail: bool) -> Self {
        match (may_pass, may_fail) {
            (false, _) => Self::None,
            (true, true) => Self::Some,
            (true, false) => Self::All,
        }
    }

    const fn unless_absent(may_have: bool) -> Self {
        if may_have { Self::Some } else { Self::None }
    }
}

impl Filter {
    /// How many of the events that `facts` are known of may pass. Operands are asked in order until
    /// one decides, so a [simplified](Filter::simplify) filter asks what is cheap first.
    pub fn prune(&self, facts: &(impl Facts + ?Sized)) -> Possible {
        match self {
            Self::All => Possible::All,
            Self::Atom(atom) => atom.prune(facts),
            Self::Not(inner) => inner.prune(facts).negated(),
            Self::And(operands) => all(operands.iter().map(|operand| operand.prune(facts))),
            Self::Or(operands) => {
                all(operands.iter().map(|operand| operand.prune(facts).negated())).negated()
            }
        }
    }
}

fn all(mut each: impl Iterator<Item = Possible>) -> Possible {
    each.try_fold(Possible::All, |sum, next| match (sum, next) {
        (_, Possible::None) => None,
        (Possible::All, Possible::All) => Some(Possible::All),
        _ => Some(Possible::Some),
    })
    .unwrap_or(Possible::None)
}

pub(super) fn level(test: LevelTest, facts: &(impl Facts + ?Sized)) -> Possible {
    let levels = [None].into_iter().chain(Level::ALL.map(Some));
    let (mut may_pass, mut may_fail) = (false, false);
    for level in levels.filter(|level| facts.may_have_level(*level)) {
        *if test.accepts(level) { &mut may_pass } else { &mut may_fail } = true;
    }
    Possible::of(may_pass, may_fail)
}

pub(super) fn time(test: &TimeTest, facts: &(impl Facts + ?Sized)) -> Possible {
    let (earliest, latest) = facts.times(test.clock);
    if !test.is_after_lower(latest) || !test.is_before_upper(earliest) {
        return Possible::None;
    }
    Possible::of(true, !(test.is_after_lower(earliest) && test.is_before_upper(latest)))
}

pub(super) fn field(test: &FieldTest, facts: &(impl Facts + ?Sized)) -> Possible {
    let value = test.test();
    let Some(path) = test.path() else {
        return facts
            .sources(&|source| source.is_some_and(|text| value.accepts(Scalar::Str(text))));
    };
    let path = key::path(path.as_bytes());
    Possible::unless_absent(match value {
        ValueTest::Equals(literal) => may_equal(literal, path, facts),
        _ => facts.may_have(path),
    })
}

fn may_equal(literal: &Literal, path: u64, facts: &(impl Facts + ?Sized)) -> bool {
    facts.may_have(path)
        && (facts.may_have(key::text(path, literal.text()))
            || literal
                .as_scalar()
                .and_then(|other| key::value(path, other))
                .is_some_and(|key| facts.may_have(key)))
}

pub(super) fn words(words: &Words, facts: &(impl Facts + ?Sized)) -> Possible {
    let whole = words.tokens().len() - usize::from(words.is_prefix());
    let mut tokens = words.tokens().take(whole);
    Possible::unless_absent(tokens.all(|token| facts.may_have(key::token(token))))
}

/// A token at an end of the text may be part of a longer one, if it is a run.
pub(super) fn substring(substring: &Substring, facts: &(impl Facts + ?Sized)) -> Possible {
    let text = substring.text();
    let is_whole = |token: &&str| {
        let start = token.as_ptr().addr() - text.as_ptr().addr();
        !class_of_first(token).is_run() || (start > 0 && start + token.len() < text.len())
    };
    let mut whole = tokens(text).filter(is_whole);
    Possible::unless_absent(whole.all(|token| facts.may_have(key::token(token))))
}

impl Atom {
    /// Whether it is about the message.
    pub const fn is_about_message(&self) -> bool {
        matches!(self, Self::Words(_) | Self::Substring(_) | Self::Regexp(_))
    }
}
