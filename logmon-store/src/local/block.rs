//! A block: some thousand events in columns, compressed and immutable.
//!
//! `docs/block-format.md` describes it byte for byte. What a block says of itself without looking
//! at its events is a [`BlockInfo`]; a [`Block`] is that and the place where its bytes are.

#[doc(hidden)]
pub mod bench;
mod bits;
mod bloom;
mod builder;
mod codec;
mod column;
mod damage;
mod dictionary;
mod eval;
mod facts;
pub mod fuzz;
mod info;
mod look;
mod pages;
mod paths;
mod read;
mod rebuild;
mod shape;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use builder::{BlockBuilder, Unit};
pub(crate) use damage::{BlockDamage, BlockError};
pub(super) use info::MAGIC;
pub(crate) use info::{BlockInfo, HEADER_BYTES, HeaderFault};
pub(crate) use look::Looked;
pub(crate) use read::{Block, Scratch};

/// The most events of a block.
pub(crate) const MAX_ROWS: usize = 1 << 15;
/// A block with events takes no more that would bring their entries beyond so many bytes.
pub(crate) const MAX_RAW_BYTES: u64 = 48 << 20;

/// The events of a page.
const PAGE_ROWS: usize = 256;
/// A page with so many bytes takes no more events.
const PAGE_BYTES: usize = 256 << 10;
/// No section or page is longer when it is decompressed: one event of the greatest length and all
/// that may stand beside it.
const MAX_SECTION_BYTES: usize = 64 << 20;
/// Metadata paths with a column of their own, and in the list of paths.
const MAX_PATHS: usize = 1000;
