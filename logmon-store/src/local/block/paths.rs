//! The list of a block's metadata paths.

use logmon_core::ValueKinds;

use super::MAX_PATHS;
use super::wire::Fields;

/// There are more paths than are listed.
pub(super) const TRUNCATED: u8 = 1;

/// A metadata path of some events of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathCount {
    /// The path, as a query names it; where a key is not UTF-8, no query can.
    pub(crate) path: Box<[u8]>,
    /// How many events have it. None where it is only that of a level, a message or a source.
    pub(crate) events: u32,
    /// The kinds of the values there.
    pub(crate) kinds: ValueKinds,
}

/// The metadata paths of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathCounts {
    /// The paths, in the order in which they came.
    pub(crate) paths: Vec<PathCount>,
    /// Whether there are more than the list has room for.
    pub(crate) is_truncated: bool,
}

/// Reads the list of a block of `rows` events.
pub(super) fn read_paths(bytes: &[u8], rows: u32) -> Option<PathCounts> {
    let mut take = Fields(bytes);
    let is_truncated = take.u8()? & TRUNCATED != 0;
    let len = take.count().filter(|len| *len <= MAX_PATHS)?;
    let mut paths = Vec::with_capacity(len);
    for _ in 0..len {
        let path = take.counted()?.into();
        let events = u32::try_from(take.varint()?).ok().filter(|events| *events <= rows)?;
        paths.push(PathCount { path, events, kinds: ValueKinds::from_bits(take.u8()?) });
    }
    take.is_empty().then_some(PathCounts { paths, is_truncated })
}
