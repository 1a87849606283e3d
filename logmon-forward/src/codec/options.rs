//! The option map at the end of a message (Forward protocol v1, "Option").

use std::ops::Range;

use logmon_core::msgpack::{Cursor, Head, MsgpackError};

use super::{AckWire, Limits, Warning, ack};

/// What the option says. All ranges are in the bytes it was read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// The chunk id, and whether it is bin.
    pub(super) chunk: Option<(Range<usize>, bool)>,
    pub(super) compressed: Compressed,
    pub(super) signal: Signal,
    /// Whether it says anything in the place of `signal`, which only Fluent Bit does.
    pub(super) has_signal: bool,
    /// Metadata for the entries that have none of their own, as a whole map that is not empty.
    pub(super) metadata: Option<Range<usize>>,
    pub(super) warning: Option<Warning>,
}

/// The value of `compressed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Compressed {
    Gzip,
    /// Fluentd says `text` in every message; other senders say nothing.
    #[default]
    Text,
    Unknown,
    Zstd,
}

/// The value of `fluent_signal`, which Fluent Bit sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Signal {
    #[default]
    Logs,
    MetricsOrTraces,
    Unknown,
}

impl Options {
    /// Reads the option at `range` of `bytes`, which is one whole msgpack value.
    ///
    /// Everything unknown, and every key that is not text, is passed over. Nil, nothing and an
    /// empty map are the same.
    pub(super) fn read(bytes: &[u8], range: Range<usize>, wire: AckWire, limits: &Limits) -> Self {
        let mut options = Self::default();
        let too_big = range.len() > limits.max_option_bytes;
        let Some(bytes) = bytes.get(..range.end) else { return options };
        let mut cursor = Cursor::at(bytes, range.start);
        match cursor.head() {
            Ok(Head::Nil) => {}
            Ok(Head::Map(pairs)) if !too_big && pairs <= limits.max_option_keys => {
                // The frame was scanned, so this fails only where a value nests too deep, and
                // what stands before that is good.
                let _deep = options.read_pairs(bytes, &mut cursor, pairs, wire);
            }
            Ok(Head::Map(_)) => options.warning = Some(Warning::OptionTooBig),
            _ => options.warning = Some(Warning::OptionType),
        }
        options
    }

    fn read_pairs<'a>(
        &mut self,
        bytes: &'a [u8],
        cursor: &mut Cursor<'a>,
        pairs: u32,
        wire: AckWire,
    ) -> Result<(), MsgpackError> {
        for _ in 0..pairs {
            let key = match { *cursor }.head()? {
                Head::Str(len) | Head::Bin(len) => {
                    cursor.head()?;
                    cursor.take(len)?
                }
                _ => {
                    cursor.skip()?;
                    b""
                }
            };
            let start = cursor.position();
            cursor.skip()?;
            let value = bytes.get(start..cursor.position()).unwrap_or_default();
            self.read_pair(key, value, start, wire)?;
        }
        Ok(())
    }

    fn read_pair(
        &mut self,
        key: &[u8],
        value: &[u8],
        start: usize,
        wire: AckWire,
    ) -> Result<(), MsgpackError> {
        let mut cursor = Cursor::new(value);
        self.has_signal |= key == b"fluent_signal";
        match (key, cursor.head()?) {
            (b"chunk", head) => {
                self.chunk = None;
                match head {
                    Head::Nil | Head::Str(0) | Head::Bin(0) => {}
                    Head::Str(len) | Head::Bin(len) => {
                        let at = start + cursor.position();
                        if ack::fits(wire, cursor.take(len)?) {
                            self.chunk = Some((at..start + value.len(), is_bin(head)));
                        } else {
                            self.warning = Some(Warning::ChunkTooLong);
                        }
                    }
                    _ => self.warning = Some(Warning::ChunkType),
                }
            }
            (b"compressed", Head::Str(len) | Head::Bin(len)) => {
                self.compressed = match cursor.take(len)? {
                    b"gzip" => Compressed::Gzip,
                    b"zstd" => Compressed::Zstd,
                    b"text" | b"" => Compressed::Text,
                    _ => Compressed::Unknown,
                }
            }
            (b"fluent_signal", Head::UInt(0) | Head::Int(0)) => self.signal = Signal::Logs,
            (b"fluent_signal", Head::UInt(1 | 2) | Head::Int(1 | 2)) => {
                self.signal = Signal::MetricsOrTraces;
            }
            (b"fluent_signal", Head::UInt(_) | Head::Int(_)) => self.signal = Signal::Unknown,
            (b"metadata", Head::Map(1..)) => self.metadata = Some(start..start + value.len()),
            _ => {}
        }
        Ok(())
    }
}

const fn is_bin(head: Head) -> bool {
    matches!(head, Head::Bin(_))
}
