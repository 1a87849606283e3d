//! Compressed payloads, decompressed in whatever pieces they arrive.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use logmon_core::Codec;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

mod gzip;

use gzip::Part;

/// A compression that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) const fn codec(self) -> Codec {
        match self {
            Self::Gzip => Codec::Gzip,
            Self::Zstd => Codec::Zstd,
        }
    }
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
    /// Whether other readers may stumble over it, although it could be read: they bound the names
    /// in a gzip header, or the window of zstd.
    pub(super) is_unusual: bool,
}

/// A longer gzip header, or a greater window as a power of two, is unusual.
const USUAL_HEADER: usize = 4 << 10;
const USUAL_WINDOW_LOG: u32 = 27;

/// The least room that is made for output.
const LEAST_OUTPUT: usize = 32 << 10;

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
pub(super) fn inflate(
    payload: &[u8],
    compression: Compression,
    (cap, window_log): (usize, u32),
) -> Result<Inflated, InflateError> {
    let mut bytes = Vec::with_capacity(payload.len().saturating_mul(4).min(cap));
    let mut inflater = Inflater::new(compression, window_log)?;
    let beyond = cap.saturating_add(1);
    let used = inflater.run(payload, &mut bytes, beyond)?;
    if bytes.len() > cap {
        return Err(InflateError::TooBig);
    }
    debug_assert_eq!(used, payload.len(), "all is used where the output is not full");
    let is_unusual = match inflater {
        Inflater::Gzip { has_long_header, .. } => has_long_header,
        Inflater::Zstd { .. } => window_log > USUAL_WINDOW_LOG,
    };
    Ok(Inflated { has_garbage: inflater.finish()?, bytes, is_unusual })
}

/// A payload on its way through decompression.
///
/// All members of a gzip payload and all frames of a zstd payload count: Fluentd's buffers append
/// them. Entries may be split across them. The state is made once, however many members there are,
/// so an empty member costs no more than its bytes and a reset.
pub(super) enum Inflater {
    Gzip { inflate: Box<Decompress>, part: Part, has_long_header: bool },
    Zstd { context: DCtx<'static>, is_inside: bool },
}

impl Inflater {
    pub(super) fn new(compression: Compression, window_log: u32) -> Result<Self, InflateError> {
        match compression {
            Compression::Gzip => {
                let inflate = Box::new(Decompress::new(false));
                Ok(Self::Gzip { inflate, part: Part::default(), has_long_header: false })
            }
            Compression::Zstd => {
                let mut context = DCtx::try_create().ok_or(InflateError::TooBig)?;
                context
                    .set_parameter(DParameter::WindowLogMax(window_log))
                    .map_err(|_| InflateError::Corrupt)?;
                Ok(Self::Zstd { context, is_inside: true })
            }
        }
    }

    /// Decompresses `input` to the end of `out`, until that has about `cap` bytes; gives how much
    /// of `input` was used. All of it has been, and all of its output is there, if `out` stays
    /// below `cap`.
    pub(super) fn run(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        cap: usize,
    ) -> Result<usize, InflateError> {
        let mut used = 0;
        while out.len() < cap {
            if out.capacity() - out.len() < 64 {
                let more = out.len().max(LEAST_OUTPUT).min(cap - out.len()).max(64);
                out.reserve_exact(more);
            }
            let rest = input.get(used..).unwrap_or_default();
            let step = match self {
                Self::Gzip { inflate, part, has_long_header } => {
                    let is_header = !part.is_body();
                    let step = step_gzip(inflate, part, rest, out)?;
                    *has_long_header |= is_header && step.is_some_and(|took| took > USUAL_HEADER);
                    step
                }
                Self::Zstd { context, is_inside } => step_zstd(context, is_inside, rest, out)?,
            };
            let Some(took) = step else { break };
            used += took;
        }
        Ok(used)
    }

    /// Says that the payload has ended; tells whether something stood behind its last member.
    pub(super) fn finish(&self) -> Result<bool, InflateError> {
        match self {
            Self::Gzip { part, .. } => part.finish().ok_or(InflateError::Corrupt),
            Self::Zstd { is_inside: false, .. } => Ok(false),
            Self::Zstd { .. } => Err(InflateError::Corrupt),
        }
    }

    /// About how many bytes it takes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Gzip { .. } => 64 << 10,
            Self::Zstd { context, .. } => context.sizeof(),
        }
    }
}

/// Takes bytes in and makes output; tells how many were taken, or that there is nothing to do.
fn step_gzip(
    inflate: &mut Decompress,
    part: &mut Part,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<Option<usize>, InflateError> {
    let Part::Body(sum) = part else {
        let took = part.take(input).ok_or(InflateError::Corrupt)?;
        if part.is_body() {
            inflate.reset(false);
        }
        return Ok((took > 0).then_some(took));
    };
    let (before, filled) = (inflate.total_in(), out.len());
    let status = inflate.decompress_vec(input, out, FlushDecompress::None);
    let took = usize::try_from(inflate.total_in() - before).unwrap_or(usize::MAX);
    let made = out.get(filled..).unwrap_or_default();
    sum.update(made);
    let has_moved = took > 0 || !made.is_empty();
    match status {
        Ok(Status::StreamEnd) => {
            part.end_body();
            Ok(Some(took))
        }
        Ok(_) => Ok(has_moved.then_some(took)),
        Err(_) => Err(InflateError::Corrupt),
    }
}

fn step_zstd(
    context: &mut DCtx<'static>,
    is_inside: &mut bool,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<Option<usize>, InflateError> {
    if input.is_empty() && !*is_inside {
        // At the end of a frame there is no output left, and another must not be begun.
        return Ok(None);
    }
    let filled = out.len();
    let mut source = InBuffer::around(input);
    let mut target = OutBuffer::around_pos(out, filled);
    let hint =
        context.decompress_stream(&mut target, &mut source).map_err(|_| InflateError::Corrupt)?;
    *is_inside = hint != 0;
    let took = source.pos;
    Ok((took > 0 || out.len() > filled).then_some(took))
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip { .. } => "Inflater::Gzip",
            Self::Zstd { .. } => "Inflater::Zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn text() -> Vec<u8> {
        (0..20_000u32).flat_map(|n| (n * n % 251).to_le_bytes()).collect()
    }

    fn in_pieces(
        payload: &[u8],
        compression: Compression,
        piece: usize,
    ) -> Option<(Vec<u8>, bool)> {
        let mut inflater = Inflater::new(compression, 24).unwrap();
        let mut all = Vec::new();
        for piece in payload.chunks(piece) {
            let mut used = 0;
            loop {
                let mut out = Vec::new();
                used += inflater.run(&piece[used..], &mut out, 100).ok()?;
                all.extend_from_slice(&out);
                if out.len() < 100 {
                    break;
                }
            }
            assert_eq!(used, piece.len());
        }
        Some((all, inflater.finish().ok()?))
    }

    /// Members with every optional part of their headers, in pieces of any size.
    #[test]
    fn members_come_in_any_pieces() {
        let text = text();
        let mut encoder = flate2::GzBuilder::new()
            .extra(vec![1, 2, 3])
            .filename("name")
            .comment("comment")
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        let payload = [encoder.finish().unwrap(), gzip(b""), gzip(b"end")].concat();
        let expected = Some(([&text[..], b"end"].concat(), false));
        for piece in [1, 2, 3, 7, 100, payload.len()] {
            assert!(in_pieces(&payload, Compression::Gzip, piece) == expected, "{piece}");
        }
        let whole = inflate(&payload, Compression::Gzip, (usize::MAX, 24)).unwrap();
        assert_eq!((whole.bytes.len(), whole.has_garbage), (text.len() + 3, false));
    }

    #[test]
    fn frames_come_in_any_pieces() {
        let text = text();
        let frame = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).unwrap();
        let skippable = [0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let payload = [&skippable[..], &frame(&text), &frame(b""), &frame(b"end")].concat();
        let expected = Some(([&text[..], b"end"].concat(), false));
        for piece in [1, 2, 3, 7, 100, payload.len()] {
            assert!(in_pieces(&payload, Compression::Zstd, piece) == expected, "{piece}");
        }
        assert_eq!(in_pieces(&payload[..payload.len() - 1], Compression::Zstd, 5), None);
    }

    #[test]
    fn what_stands_behind_a_member_is_told() {
        for rest in [&b"x"[..], &[0x1f], &[0x1f, 0x8c], &[0; 20]] {
            let payload = [&gzip(b"a")[..], rest].concat();
            for piece in [1, 3, 100] {
                let found = in_pieces(&payload, Compression::Gzip, piece);
                assert_eq!(found, Some((b"a".to_vec(), true)));
            }
        }
        assert_eq!(in_pieces(&gzip(b"a"), Compression::Gzip, 3), Some((b"a".to_vec(), false)));
    }

    /// Every byte of header, body and trailer that is cut off, and a wrong sum, is damage.
    #[test]
    fn damage_is_found_at_every_byte() {
        let payload = gzip(b"some text, some text");
        for cut in 2..payload.len() {
            assert_eq!(in_pieces(&payload[..cut], Compression::Gzip, 4), None, "{cut}");
        }
        for at in [2, 3, payload.len() - 8, payload.len() - 1] {
            let mut damaged = payload.clone();
            damaged[at] ^= 0xe0;
            assert_eq!(in_pieces(&damaged, Compression::Gzip, 4), None, "{at}");
        }
    }

    #[test]
    fn stops_at_the_cap() {
        let payload = gzip(&vec![0; 1 << 20]);
        let cut = inflate(&payload, Compression::Gzip, (1 << 16, 24));
        assert_eq!(cut.err(), Some(InflateError::TooBig));
        let exact = inflate(&payload, Compression::Gzip, (1 << 20, 24)).unwrap();
        assert_eq!(exact.bytes.len(), 1 << 20);
    }
}
