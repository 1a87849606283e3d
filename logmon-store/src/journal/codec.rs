//! Payloads that are stored compressed, as they came.

use std::io::{self, BufRead, Read as _};

use logmon_core::{Codec, NewBatch};

/// A bigger payload is stored as it is: what a frame takes decompressed is bounded.
pub(super) const MAX_RAW_BYTES: usize = 64 << 20;
/// The largest window of Zstandard, as a power of two.
const MAX_WINDOW_LOG: u32 = 27;

const NONE: u8 = 0;
const ZSTD: u8 = 2;
const GZIP: u8 = 3;

/// The number of a codec in a frame's header.
pub(super) const fn number_of(codec: Option<Codec>) -> u8 {
    match codec {
        Some(Codec::Gzip) => GZIP,
        Some(Codec::Zstd) => ZSTD,
        _ => NONE,
    }
}

/// A number of no codec that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

/// The codec of a number.
pub(super) const fn of_number(number: u8) -> Result<Option<Codec>, Unknown> {
    match number {
        NONE => Ok(None),
        ZSTD => Ok(Some(Codec::Zstd)),
        GZIP => Ok(Some(Codec::Gzip)),
        _ => Err(Unknown),
    }
}

/// What is written of a batch, and by which codec.
pub(super) fn stored(batch: &NewBatch) -> (Option<Codec>, &[u8]) {
    let payload = batch.entries.payload();
    match &batch.compressed {
        Some(form) if form.bytes.len() < payload.len() && payload.len() <= MAX_RAW_BYTES => {
            (Some(form.codec), &form.bytes)
        }
        _ => (None, payload),
    }
}

/// How much to reserve for a payload that says to become `raw_len` bytes; a bomb says a lot.
pub(super) fn likely_len(stored: usize, raw_len: usize) -> usize {
    raw_len.min(stored.saturating_mul(64))
}

/// Appends what compressed bytes become, which is `raw_len` bytes long.
///
/// # Errors
/// They do not become that; `out` is as before.
pub(super) fn decompress(
    codec: Codec,
    bytes: &[u8],
    (raw_len, out): (usize, &mut Vec<u8>),
) -> io::Result<()> {
    let before = out.len();
    out.reserve(likely_len(bytes.len(), raw_len));
    let done = match codec {
        Codec::Gzip => read(flate2::bufread::MultiGzDecoder::new(bytes), (raw_len, out)),
        Codec::Zstd => zstd_decoder(bytes).and_then(|decoder| read(decoder, (raw_len, out))),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    if done.is_err() {
        out.truncate(before);
    }
    done
}

fn zstd_decoder<R: BufRead>(bytes: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}

/// Reads exactly `raw_len` bytes, after which nothing may follow.
fn read(mut source: impl io::Read, (raw_len, out): (usize, &mut Vec<u8>)) -> io::Result<()> {
    let read = source.by_ref().take(raw_len as u64).read_to_end(out)?;
    if read == raw_len && source.read(&mut [0])? == 0 {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use super::*;

    /// Compresses into one member or frame.
    pub(in crate::journal) fn compress(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Gzip => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => zstd::stream::encode_all(bytes, 1).unwrap(),
        }
    }

    #[test]
    fn several_members_decompress_to_exactly_what_they_were() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let text = b"one two three ".repeat(1000);
            let (half, rest) = text.split_at(5000);
            let bytes = [compress(codec, half), compress(codec, rest)].concat();
            let mut out = b"before".to_vec();
            decompress(codec, &bytes, (text.len(), &mut out)).unwrap();
            assert_eq!(out, [b"before".as_slice(), &text].concat());
            for wrong in [0, text.len() - 1, text.len() + 1] {
                assert!(decompress(codec, &bytes, (wrong, &mut out)).is_err(), "{wrong}");
            }
            for cut in [0, 1, 10, bytes.len() - 1] {
                let torn = bytes.get(..cut).unwrap();
                assert!(decompress(codec, torn, (text.len(), &mut out)).is_err(), "{cut}");
            }
            assert_eq!(out.len(), 6 + text.len());
        }
    }

    // what it says is the most it gets.
    #[test]
    fn a_bomb_is_stopped_at_the_length_it_was_stored_with() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let bomb = compress(codec, &vec![0; 8 << 20]);
            let mut out = Vec::new();
            assert!(decompress(codec, &bomb, (1000, &mut out)).is_err());
            assert!(out.is_empty() && out.capacity() < 2000, "{}", out.capacity());
        }
    }
}
