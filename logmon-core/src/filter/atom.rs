//! The table of atoms.
//!
//! Each kind of atom is one row: what it is compared with, how much looking it takes, its
//! evaluator, what it says of a block of the store as a whole, how a set of many filters finds the
//! events that pass it, which method of a [`Translate`] puts it into another language, and its text. Whatever else must be known of every kind becomes a column
//! here, so that a new kind of atom is one new row.

use std::fmt;

use super::eval::View;
use super::field::FieldTest;
use super::lookup::{self, Lookup};
use super::prune::{self, Facts, Possible};
use super::regexp::Regexp;
use super::severity::LevelTest;
use super::when::TimeTest;
use super::words::{Substring, Words};
use crate::{Event, TagPattern};

macro_rules! atom_table {
    ($($(#[$doc:meta])* $kind:ident($test:ty) {
        cost: $cost:literal,
        matches: $matches:expr,
        prunes: $prunes:expr,
        lookup: $lookup:expr,
        translates: $translates:ident,
        prints: $prints:expr,
    })*) => {
        /// A filter that is not made of others.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Atom {
            $($(#[$doc])* $kind($test),)*
        }

        impl Atom {
            /// How costly it is to evaluate, relative to other kinds; cheap ones come first.
            pub(super) fn cost(&self) -> u8 {
                match self { $(Self::$kind(_) => $cost,)* }
            }

            /// Tells whether the event in view passes.
            pub(super) fn matches<E: Event + ?Sized>(&self, view: &View<'_, E>) -> bool {
                match self {
                    $(Self::$kind(test) => {
                        let matches: fn(&$test, &View<'_, E>) -> bool = $matches;
                        matches(test, view)
                    })*
                }
            }
        }

        impl Atom {
            /// How many of the events that `facts` are known of may pass.
            pub(super) fn prune<F: Facts + ?Sized>(&self, facts: &F) -> Possible {
                match self {
                    $(Self::$kind(test) => {
                        let prunes: fn(&$test, &F) -> Possible = $prunes;
                        prunes(test, facts)
                    })*
                }
            }
        }

        impl Atom {
            /// How a set of filters finds the events that pass.
            pub(super) fn lookup(&self) -> Lookup<'_> {
                match self {
                    $(Self::$kind(test) => {
                        let lookup: fn(&$test) -> Lookup<'_> = $lookup;
                        lookup(test)
                    })*
                }
            }
        }

        /// Puts atoms into the language of a database, each kind by a method of its own.
        pub trait Translate {
            /// What an atom becomes.
            type Query;

            $(
                /// Translates an atom of this kind:
                $(#[$doc])*
                fn $translates(&self, test: &$test) -> Self::Query;
            )*
        }

        impl Atom {
            /// What the atom is in another language.
            pub fn translate<T: Translate + ?Sized>(&self, to: &T) -> T::Query {
                match self {
                    $(Self::$kind(test) => to.$translates(test),)*
                }
            }
        }

        impl fmt::Display for Atom {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(test) => {
                        let prints: fn(&$test, &mut fmt::Formatter<'_>) -> fmt::Result = $prints;
                        prints(test, f)
                    })*
                }
            }
        }
    };
}

atom_table! {
    /// `level>=warn`: the level.
    Level(LevelTest) {
        cost: 0,
        matches: |test, view| test.accepts(view.event().level()),
        prunes: |test, facts| prune::level(*test, facts),
        lookup: |_| Lookup::Level,
        translates: level,
        prints: fmt::Display::fmt,
    }
    /// `timestamp>=now-1h`: one of the two times.
    Time(TimeTest) {
        cost: 1,
        matches: |test, view| test.matches(view.event()),
        prunes: prune::time,
        lookup: lookup::time,
        translates: time,
        prints: fmt::Display::fmt,
    }
    /// `tag:app.**`: the tag.
    Tag(TagPattern) {
        cost: 2,
        matches: |pattern, view| pattern.matches(view.event().tag()),
        prunes: |pattern, facts| facts.tags(&|tag| pattern.matches(tag)),
        lookup: |_| Lookup::Tag,
        translates: tag,
        prints: super::print::tag,
    }
    /// `source:web*`, `http.status>=500`, `user:*`: the source, or the values at a metadata path.
    Field(FieldTest) {
        cost: 3,
        matches: |test, view| test.matches(view.event()),
        prunes: prune::field,
        lookup: lookup::field,
        translates: field,
        prints: fmt::Display::fmt,
    }
    /// `timeout`, `"connection reset"`, `time*`: tokens of the message.
    Words(Words) {
        cost: 4,
        matches: |words, view| words.matches(view.folded()),
        prunes: prune::words,
        lookup: lookup::words,
        translates: words,
        prints: fmt::Display::fmt,
    }
    /// `*timeout*`: text anywhere in the message.
    Substring(Substring) {
        cost: 5,
        matches: |substring, view| substring.matches(view.folded()),
        prunes: prune::substring,
        lookup: lookup::substring,
        translates: substring,
        prints: fmt::Display::fmt,
    }
    /// `/time(d )?out/i`: a regular expression over the message.
    Regexp(Regexp) {
        cost: 6,
        matches: |regexp, view| regexp.is_match(view.message()),
        prunes: |_, _| Possible::Some,
        lookup: lookup::regexp,
        translates: regexp,
        prints: fmt::Display::fmt,
    }
}
