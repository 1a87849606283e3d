//! What can be wrong with a block.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Why something of a block cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlockError {
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are not those that were written.
    #[error(transparent)]
    Damage(#[from] BlockDamage),
    /// The query has ended meanwhile.
    #[error("the query has ended")]
    Over,
}

/// A part of a block whose bytes are not those that were written. Other parts may be whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct BlockDamage {
    /// The file.
    pub(crate) file: Arc<str>,
    /// Where the damaged part begins in the file.
    pub(crate) offset: u64,
    /// How many bytes it has.
    pub(crate) len: u64,
    /// The number of the first event of the block.
    pub(crate) first_seq: u64,
    /// What it is.
    pub(crate) what: &'static str,
    /// The rows of the block it costs, if it costs no more than those.
    pub(crate) rows: Option<Range<usize>>,
}

impl fmt::Display for BlockDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, len, first_seq, what, .. } = self;
        write!(
            f,
            "{file}: {len} bytes at {offset} ({what} of the block of event {first_seq}) are damaged"
        )
    }
}
