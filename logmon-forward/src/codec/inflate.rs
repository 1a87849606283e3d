//! Compressed payloads, decompressed up to a cap.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// A compression that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

/// Why a payload was not decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InflateError {
    Corrupt,
    /// More than the cap.
    TooBig,
}

/// A decompressed payload.
#[derive(Debug)]
pub(super) struct Inflated {
    pub(super) bytes: Vec<u8>,
    /// Whether something stands behind the last gzip member.
    pub(super) has_garbage: bool,
}

/// The compression of a payload by its first bytes. Entries begin with the header of an array, so
/// these never do.
pub(super) fn sniff(payload: &[u8]) -> Option<Compression> {
    match payload {
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
        // A skippable frame of zstd.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
        _ => None,
    }
}

/// Decompresses a whole payload to at most `cap` bytes, taking windows up to 2^`window_log`.
///
/// All members of a gzip payload and all frames of a zstd payload count: Fluentd's buffers append
/// them. Entries may be split across them.
pub(super) fn inflate(
    payload: &[u8],
    compression: Compression,
    (cap, window_log): (usize, u32),
) -> Result<Inflated, InflateError> {
    let guess = payload.len().saturating_mul(4).min(cap);
    let mut out = Output { bytes: Vec::with_capacity(guess), cap };
    let mut rest = payload;
    match compression {
        Compression::Gzip => {
            // The decoder takes exactly its member from the slice, so the next begins there.
            while sniff(rest) == Some(Compression::Gzip) {
                out.fill(GzDecoder::new(&mut rest))?;
            }
        }
        Compression::Zstd => {
            let mut decoder = zstd_decoder(&mut rest, window_log).map_err(|_| corrupt())?;
            out.fill(&mut decoder)?;
        }
    }
    Ok(Inflated { bytes: out.bytes, has_garbage: !rest.is_empty() })
}

const fn corrupt() -> InflateError {
    InflateError::Corrupt
}

fn zstd_decoder<R: BufRead>(
    source: R,
    window_log: u32,
) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
    decoder.window_log_max(window_log)?;
    Ok(decoder)
}

struct Output {
    bytes: Vec<u8>,
    cap: usize,
}

impl Output {
    /// Reads `source` to its end, or to one byte beyond the cap.
    fn fill(&mut self, source: impl Read) -> Result<(), InflateError> {
        let room = (self.cap - self.bytes.len()) as u64 + 1;
        source.take(room).read_to_end(&mut self.bytes).map_err(|_| InflateError::Corrupt)?;
        if self.bytes.len() > self.cap { Err(InflateError::TooBig) } else { Ok(()) }
    }
}
