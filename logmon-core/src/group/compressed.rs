//! The form in which a batch came over the wire.

use bytes::Bytes;

/// The compressed bytes of a batch, as they came: decompressed they are its payload, byte for byte.
///
/// They may be several gzip members or zstd frames, one behind the other; windows have at most
/// 2^27 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a codec and bytes")]
pub struct Compressed {
    /// How they are compressed.
    pub codec: Codec,
    /// The bytes.
    pub bytes: Bytes,
}

/// A way of compressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}
