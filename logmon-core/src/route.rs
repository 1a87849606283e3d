//! Who gets an event.

/// A set of readers by a small number, as a frame of the journal names it.
///
/// The sets themselves stand in control records of the journal. Until outputs can be chosen there are
/// two: everyone, and the live hub alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteSet(u16);

impl RouteSet {
    /// The live hub, the store and all outputs.
    pub const ALL: Self = Self(1);

    /// The live hub alone: events of another journal, which are shown here and belong there.
    pub const LIVE: Self = Self(2);

    /// The set with this number.
    pub const fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}
