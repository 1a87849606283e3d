//! Compressing and decompressing sections and pages.

use std::fmt;
use std::io;

use zstd::bulk;

use super::MAX_SECTION_BYTES;

/// The level of Zstandard. Lower ones are no faster on logs, higher ones hardly smaller.
const LEVEL: i32 = 1;

/// How stored bytes are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Coding {
    /// As they are.
    #[default]
    Raw = 0,
    /// As one frame of Zstandard.
    Zstd = 1,
    /// As pages, each with a coding of its own.
    Paged = 2,
    /// As one frame of Zstandard with the block's dictionary.
    Dictionary = 3,
}

impl Coding {
    pub(super) const fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Raw,
            1 => Self::Zstd,
            2 => Self::Paged,
            3 => Self::Dictionary,
            _ => return None,
        })
    }
}

/// A piece of a block as it is stored: a section or a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) coding: Coding,
    pub(super) len: u32,
    pub(super) raw_len: u32,
    pub(super) crc: u32,
}

/// The most bytes of a dictionary.
const MAX_DICTIONARY_BYTES: usize = 32 << 10;
/// A dictionary that begins so is not taken for mere text.
const DICTIONARY_MAGIC: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];

/// The dictionary that a block's first page of messages is for the other pages; empty where it
/// cannot be one.
pub(super) fn dictionary_of(messages: &[u8]) -> &[u8] {
    let start = messages.get(..messages.len().min(MAX_DICTIONARY_BYTES)).unwrap_or_default();
    if start.len() < 64 || start.starts_with(&DICTIONARY_MAGIC) { &[] } else { start }
}

/// Compresses, with what is needed for that kept.
#[derive(Default)]
pub(super) struct Compressor {
    context: Option<bulk::Compressor<'static>>,
    has_dictionary: bool,
}

impl Compressor {
    /// Uses a dictionary from now on, or none if it is empty.
    pub(super) fn set_dictionary(&mut self, dictionary: &[u8]) {
        let is_set =
            |context: &mut bulk::Compressor<'_>| context.set_dictionary(LEVEL, dictionary).is_ok();
        self.has_dictionary = self.context().is_some_and(is_set) && !dictionary.is_empty();
    }

    fn context(&mut self) -> Option<&mut bulk::Compressor<'static>> {
        if self.context.is_none() {
            self.context = bulk::Compressor::new(LEVEL).ok();
        }
        self.context.as_mut()
    }

    /// Appends `raw`, compressed if that is shorter.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, raw: &[u8]) -> Stored {
        let start = out.len();
        let coding = if self.compress(out, raw).is_some_and(|len| len < raw.len()) {
            if self.has_dictionary { Coding::Dictionary } else { Coding::Zstd }
        } else {
            out.truncate(start);
            out.extend_from_slice(raw);
            Coding::Raw
        };
        stored(out, start, coding, raw.len())
    }

    /// Appends `raw` as it is.
    pub(super) fn put_raw(out: &mut Vec<u8>, raw: &[u8]) -> Stored {
        let start = out.len();
        out.extend_from_slice(raw);
        stored(out, start, Coding::Raw, raw.len())
    }

    /// Appends the compressed bytes; gives their number, or nothing if that fails, which leaves any
    /// bytes behind.
    fn compress(&mut self, out: &mut Vec<u8>, raw: &[u8]) -> Option<usize> {
        if raw.len() < 16 {
            return None;
        }
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(raw.len()), 0);
        let len = self.context()?.compress_to_buffer(raw, out.get_mut(start..)?).ok()?;
        out.truncate(start + len);
        Some(len)
    }
}

fn stored(out: &[u8], start: usize, coding: Coding, raw_len: usize) -> Stored {
    let bytes = out.get(start..).unwrap_or_default();
    Stored {
        coding,
        len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        raw_len: u32::try_from(raw_len).unwrap_or(u32::MAX),
        crc: crc32c::crc32c(bytes),
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// Decompresses, with what is needed for that kept.
#[derive(Default)]
pub(super) struct Decompressor {
    plain: Option<bulk::Decompressor<'static>>,
    with_dictionary: Option<bulk::Decompressor<'static>>,
}

impl Decompressor {
    /// Uses a dictionary for what was compressed with one.
    pub(super) fn set_dictionary(&mut self, dictionary: &[u8]) -> io::Result<()> {
        context(&mut self.with_dictionary)?.set_dictionary(dictionary)
    }

    /// Appends the `raw_len` bytes that some bytes stand for, if they do.
    pub(super) fn append(
        &mut self,
        (coding, bytes): (Coding, &[u8]),
        raw_len: usize,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let start = out.len();
        let len = match coding {
            Coding::Raw => {
                out.extend_from_slice(bytes);
                bytes.len()
            }
            Coding::Zstd => {
                out.resize(start + raw_len, 0);
                let context = context(&mut self.plain).ok()?;
                context.decompress_to_buffer(bytes, out.get_mut(start..)?).ok()?
            }
            Coding::Paged | Coding::Dictionary => return None,
        };
        (len == raw_len).then_some(())
    }

    /// Puts what stored bytes stand for in the place of `out`. Bytes of another checksum or length
    /// than was stored stand for nothing: `None`.
    pub(super) fn read(&mut self, bytes: &[u8], stored: &Stored, out: &mut Vec<u8>) -> Option<()> {
        let raw_len = stored.raw_len as usize;
        let is_sound = bytes.len() == stored.len as usize
            && raw_len <= MAX_SECTION_BYTES
            && crc32c::crc32c(bytes) == stored.crc;
        if !is_sound {
            return None;
        }
        out.clear();
        let context = match stored.coding {
            Coding::Raw => {
                out.extend_from_slice(bytes);
                return (out.len() == raw_len).then_some(());
            }
            Coding::Zstd => context(&mut self.plain).ok()?,
            Coding::Dictionary => context(&mut self.with_dictionary).ok()?,
            Coding::Paged => return None,
        };
        out.reserve(raw_len);
        context.decompress_to_buffer(bytes, out).ok()?;
        (out.len() == raw_len).then_some(())
    }
}

fn context<'s>(
    slot: &'s mut Option<bulk::Decompressor<'static>>,
) -> io::Result<&'s mut bulk::Decompressor<'static>> {
    if slot.is_none() {
        *slot = Some(bulk::Decompressor::new()?);
    }
    slot.as_mut().ok_or_else(|| io::ErrorKind::Other.into())
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}
