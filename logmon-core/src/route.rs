//! Who gets an event.

/// A set of readers by a small number, as a frame of the journal names it.
///
/// The sets themselves stand in control records of the journal. Until outputs can be configured
/// there is one set: the live hub and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteSet(u16);

impl RouteSet {
    /// The live hub and the store.
    pub const ALL: Self = Self(1);

    /// The set with this number.
    pub const fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}
