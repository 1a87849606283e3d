//! Payloads compressed on their way out.

use std::io::{self, Write as _};

use flate2::write::GzEncoder;
use logmon_core::Codec;

use crate::codec::Compressed;

/// With what payloads are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, which every receiver of compressed payloads knows. Levels 0 to 9.
    Gzip {
        /// How hard to try; [`Compression::gzip`] takes 6.
        level: u32,
    },
    /// zstd: Fluentd from 1.19, Fluent Bit and logmon know it. Levels 1 to 22.
    Zstd {
        /// How hard to try; [`Compression::zstd`] takes 3.
        level: i32,
    },
}

impl Compression {
    /// gzip at its usual level.
    pub const fn gzip() -> Self {
        Self::Gzip { level: 6 }
    }

    /// zstd at its usual level.
    pub const fn zstd() -> Self {
        Self::Zstd { level: 3 }
    }

    /// The name it has in the protocol, if it is one.
    pub const fn wire(self) -> Option<Compressed> {
        match self {
            Self::None => None,
            Self::Gzip { .. } => Some(Compressed::Gzip),
            Self::Zstd { .. } => Some(Compressed::Zstd),
        }
    }

    /// Whether this is the compression that payloads of the codec have.
    pub(super) const fn makes(self, codec: Codec) -> bool {
        matches!((self, codec), (Self::Gzip { .. }, Codec::Gzip) | (Self::Zstd { .. }, Codec::Zstd))
    }

    /// Compresses a payload; without a compression gives it back.
    pub(super) fn apply(self, payload: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(payload),
            Self::Gzip { level } => {
                let out = Vec::with_capacity(payload.len() / 4);
                let mut encoder = GzEncoder::new(out, flate2::Compression::new(level.min(9)));
                encoder.write_all(&payload)?;
                encoder.finish()
            }
            Self::Zstd { level } => zstd::bulk::compress(&payload, level),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn every_level_can_be_undone() {
        let payload = b"\x92\x01\x81\xa1a\xa1b".repeat(1_000);
        assert_eq!(Compression::None.apply(payload.clone()).unwrap(), payload);
        for level in [0, 1, 6, 9, 99] {
            let zipped = Compression::Gzip { level }.apply(payload.clone()).unwrap();
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&zipped[..]).read_to_end(&mut out).unwrap();
            assert_eq!(out, payload);
        }
        for level in [1, 3, 19] {
            let zipped = Compression::Zstd { level }.apply(payload.clone()).unwrap();
            assert!(zipped.len() < payload.len() / 10);
            assert_eq!(zstd::stream::decode_all(&zipped[..]).unwrap(), payload);
        }
    }
}
