//! What finds, for one event, all atoms of a kind that it passes.

mod intervals;
mod levels;
mod names;
mod needles;
mod paths;
mod tokens;

use std::sync::Arc;

use super::super::Atom;
use super::super::eval::View;
use super::super::lookup::Lookup;
use super::super::when::Clock;
use super::atoms::AtomId;
use crate::{Event, Timestamp};
use intervals::Intervals;
use levels::Levels;
use names::Names;
use needles::Needles;
use paths::Paths;
use tokens::Tokens;

/// One of the indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexId {
    Level,
    Received,
    Timestamp,
    Tag,
    Source,
    Tokens,
    Needles,
    Metadata,
}

impl IndexId {
    pub(super) const ALL: [Self; 8] = [
        Self::Level,
        Self::Received,
        Self::Timestamp,
        Self::Tag,
        Self::Source,
        Self::Tokens,
        Self::Needles,
        Self::Metadata,
    ];

    /// Its place in [`Self::ALL`].
    pub(super) const fn number(self) -> usize {
        self as usize
    }
}

/// All indexes. Each answers for all of its atoms at once.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    levels: Levels,
    received: Intervals<Timestamp>,
    timestamps: Intervals<Timestamp>,
    tags: Names,
    sources: Names,
    tokens: Tokens,
    needles: Needles,
    paths: Paths,
}

impl Indexes {
    /// Takes an atom into the index that finds it, if there is one.
    pub(super) fn insert(&mut self, id: AtomId, atom: &Arc<Atom>) -> Option<IndexId> {
        match (&**atom, atom.lookup()) {
            (Atom::Level(test), Lookup::Level) => {
                self.levels.insert(id, *test);
                Some(IndexId::Level)
            }
            (Atom::Time(test), Lookup::Time) => {
                let (lower, upper) = test.ends()?;
                self.times(test.clock).insert(id, lower, upper);
                Some(Self::of_clock(test.clock))
            }
            (_, Lookup::Tag) => {
                self.tags.insert(id, atom);
                Some(IndexId::Tag)
            }
            (_, Lookup::Source) => {
                self.sources.insert(id, atom);
                Some(IndexId::Source)
            }
            (_, Lookup::Token(token)) => {
                self.tokens.insert(id, token);
                Some(IndexId::Tokens)
            }
            (_, Lookup::Needle(needle)) => {
                self.needles.insert(id, needle);
                Some(IndexId::Needles)
            }
            (Atom::Field(test), Lookup::Path(path)) => {
                self.paths.insert(id, path, test.test());
                Some(IndexId::Metadata)
            }
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, id: AtomId, atom: &Atom, index: IndexId) {
        match index {
            IndexId::Level => self.levels.remove(id),
            IndexId::Received => self.received.remove(id),
            IndexId::Timestamp => self.timestamps.remove(id),
            IndexId::Tag => self.tags.remove(id, atom),
            IndexId::Source => self.sources.remove(id, atom),
            IndexId::Tokens => {
                if let Lookup::Token(token) = atom.lookup() {
                    self.tokens.remove(id, token);
                }
            }
            IndexId::Needles => {
                if let Lookup::Needle(needle) = atom.lookup() {
                    self.needles.remove(needle);
                }
            }
            IndexId::Metadata => {
                if let (Atom::Field(test), Lookup::Path(path)) = (atom, atom.lookup()) {
                    self.paths.remove(id, path, test.test());
                }
            }
        }
    }

    /// Does what is to be done now and then and not for each event.
    pub(super) fn keep_up(&mut self) {
        self.needles.keep_up();
    }

    #[cfg(test)]
    pub(super) fn settle(&mut self) {
        self.needles.settle();
    }

    /// Shows every atom of an index that the event passes; one may be shown several times.
    pub(super) fn find<E: Event + ?Sized>(
        &mut self,
        index: IndexId,
        view: &View<'_, E>,
        hit: impl FnMut(AtomId),
    ) {
        let event = view.event();
        match index {
            IndexId::Level => self.levels.find(event.level(), hit),
            IndexId::Received => self.received.find(&event.received(), hit),
            IndexId::Timestamp => self.timestamps.find(&event.timestamp(), hit),
            IndexId::Tag => self.tags.find(event.tag(), hit),
            IndexId::Source => {
                if let Some(source) = event.source() {
                    self.sources.find(&source, hit);
                }
            }
            IndexId::Tokens => self.tokens.find(view.message(), hit),
            IndexId::Needles => self.needles.find(view, hit),
            IndexId::Metadata => self.paths.find(event, hit),
        }
    }

    fn times(&mut self, clock: Clock) -> &mut Intervals<Timestamp> {
        match clock {
            Clock::Received => &mut self.received,
            Clock::Timestamp => &mut self.timestamps,
        }
    }

    const fn of_clock(clock: Clock) -> IndexId {
        match clock {
            Clock::Received => IndexId::Received,
            Clock::Timestamp => IndexId::Timestamp,
        }
    }
}
