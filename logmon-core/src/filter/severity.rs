//! Atoms about the level: `level:error`, `level>=warn`, `level:none`.

use std::fmt;
use std::ops::{Bound, RangeBounds as _};

use crate::Level;

/// A test of the level of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LevelTest {
    /// `level:none`: it has no level.
    Absent,
    /// It has one from the first to the second, both included.
    Between(Level, Level),
}

impl LevelTest {
    /// The levels between two ends; `None` if there are none.
    pub(super) fn new(lower: Bound<Level>, upper: Bound<Level>) -> Option<Self> {
        let mut inside = Level::ALL.into_iter().filter(|level| (lower, upper).contains(level));
        let least = inside.next()?;
        Some(Self::Between(least, inside.next_back().unwrap_or(least)))
    }

    /// Tells whether an event of `level` passes.
    pub fn accepts(self, level: Option<Level>) -> bool {
        match self {
            Self::Absent => level.is_none(),
            Self::Between(least, most) => {
                level.is_some_and(|level| least <= level && level <= most)
            }
        }
    }
}

impl fmt::Display for LevelTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Absent => f.write_str("level:none"),
            Self::Between(Level::Trace, Level::Fatal) => f.write_str("level:*"),
            Self::Between(least, most) if least == most => write!(f, "level:{}", name(least)),
            Self::Between(least, Level::Fatal) => write!(f, "level>={}", name(least)),
            Self::Between(Level::Trace, most) => write!(f, "level<={}", name(most)),
            Self::Between(least, most) => write!(f, "level:[{} TO {}]", name(least), name(most)),
        }
    }
}

fn name(level: Level) -> String {
    level.as_str().to_ascii_lowercase()
}
