//! Acknowledgements: `{"ack": chunk}` in the serialization of the connection (Forward protocol
//! v1, "Response").

use logmon_core::json;
use logmon_core::msgpack::{self, Cursor, Head, MsgpackErrorKind};

use bytes::{Buf as _, Bytes, BytesMut};

/// The longest acknowledgement that is written. Several clients read an acknowledgement with one
/// read of 512 bytes and cannot put fragments together.
pub const MAX_ACK_BYTES: usize = 511;

/// The serialization of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum AckWire {
    /// msgpack.
    #[default]
    Msgpack,
    /// JSON texts.
    Json,
}

/// Appends the acknowledgement of a chunk. `is_bin` echoes the family the chunk id came in.
pub fn write_ack(out: &mut Vec<u8>, wire: AckWire, chunk: &[u8], is_bin: bool) {
    match wire {
        AckWire::Msgpack => {
            out.extend_from_slice(b"\x81\xa3ack");
            if is_bin {
                msgpack::write_bin(out, chunk);
            } else {
                write_raw_str(out, chunk);
            }
        }
        AckWire::Json => {
            out.extend_from_slice(b"{\"ack\":");
            // A JSON connection has only text.
            json::write_text(out, chunk, &mut json::Lossy::default());
            out.push(b'}');
        }
    }
}

/// Whether the acknowledgement of a chunk stays within [`MAX_ACK_BYTES`].
pub(super) fn fits(wire: AckWire, chunk: &[u8]) -> bool {
    match wire {
        AckWire::Msgpack => chunk.len() <= MAX_ACK_BYTES - 8, // 5 for the map and key, 3 for str16
        AckWire::Json if chunk.len() > MAX_ACK_BYTES => false,
        AckWire::Json => {
            let mut ack = Vec::new();
            write_ack(&mut ack, wire, chunk, false);
            ack.len() <= MAX_ACK_BYTES
        }
    }
}

/// Appends a str of bytes that need not be UTF-8: an id is echoed as it came. Up to 64 KiB.
fn write_raw_str(out: &mut Vec<u8>, bytes: &[u8]) {
    match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
        (Ok(len), _) if len < 32 => out.push(0xa0 | len),
        (Ok(len), _) => out.extend_from_slice(&[0xd9, len]),
        (_, len) => {
            out.push(0xda);
            out.extend_from_slice(&len.unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// One answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ack {
    /// The chunk with this id is safe.
    Chunk(Bytes),
    /// A map without `ack`. Vector answers an empty map where it could not deliver.
    Refused,
}

/// An answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// Not msgpack, or not a map.
    #[error("the answer is not a msgpack map")]
    NotAMap,
    /// Longer than any answer.
    #[error("the answer is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
}

/// Far above any answer; bounds what an evil server can make a client keep.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The client's end: cuts acknowledgements out of what a server sends, in whatever pieces they
/// come, and however many come at once.
#[derive(Debug, Default)]
pub struct AckParser {
    buffer: BytesMut,
}

impl AckParser {
    /// The buffer to read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether bytes of an unfinished answer are left.
    pub fn has_rest(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next answer; `None` until more arrives. Never blocks and may be called at any time.
    ///
    /// # Errors
    /// The server does not speak the protocol; the connection is of no more use.
    pub fn next_ack(&mut self) -> Result<Option<Ack>, AckError> {
        let mut cursor = Cursor::new(&self.buffer);
        match cursor.skip() {
            Ok(()) => {}
            Err(error) if error.kind == MsgpackErrorKind::Truncated => {
                return match self.buffer.len() {
                    0..=MAX_ANSWER_BYTES => Ok(None),
                    _ => Err(AckError::TooLong),
                };
            }
            Err(_) => return Err(AckError::NotAMap),
        }
        let ack = read_answer(&self.buffer)?;
        let end = cursor.position();
        self.buffer.advance(end);
        Ok(Some(ack))
    }
}

fn read_answer(bytes: &[u8]) -> Result<Ack, AckError> {
    let mut cursor = Cursor::new(bytes);
    let Ok(Head::Map(pairs)) = cursor.head() else { return Err(AckError::NotAMap) };
    let mut ack = Ack::Refused;
    for _ in 0..pairs {
        let key = cursor.value().map_err(|_| AckError::NotAMap)?;
        let value = cursor.value().map_err(|_| AckError::NotAMap)?;
        if let (Some(b"ack"), Some(id)) = (text(key), text(value)) {
            ack = Ack::Chunk(Bytes::copy_from_slice(id));
        }
    }
    Ok(ack)
}

/// The bytes of a str or bin value.
fn text(value: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(value);
    match cursor.head().ok()? {
        Head::Str(len) | Head::Bin(len) => cursor.take(len).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(chunk: &[u8], is_bin: bool) -> Vec<u8> {
        let mut out = Vec::new();
        write_ack(&mut out, AckWire::Msgpack, chunk, is_bin);
        out
    }

    /// F-062, F-063, F-069: the exact bytes, a newline at the end included.
    #[test]
    fn echoes_the_id_byte_for_byte() {
        let id = b"p8n9gmxTQQu/8h3C0sKeTA==";
        assert_eq!(ack(id, false), [b"\x81\xa3ack\xb8", &id[..]].concat());
        let with_newline = [&id[..], b"\n"].concat();
        assert_eq!(ack(&with_newline, false), [b"\x81\xa3ack\xb9", &with_newline[..]].concat());
    }

    /// F-064, F-065.
    #[test]
    fn keeps_the_family() {
        assert_eq!(ack(&[0xff; 32], false)[5..7], [0xd9, 32]);
        assert_eq!(ack(&[0xff; 24], true)[5..7], [0xc4, 24]);
    }

    /// F-067: 503 bytes make an acknowledgement of 511, the longest there may be.
    #[test]
    fn the_longest_id_makes_the_longest_ack() {
        assert_eq!(ack(&[b'a'; 503], false).len(), MAX_ACK_BYTES);
        assert!(fits(AckWire::Msgpack, &[b'a'; 503]) && !fits(AckWire::Msgpack, &[b'a'; 504]));
        assert!(fits(AckWire::Json, &[b'a'; 501]) && !fits(AckWire::Json, &[b'a'; 502]));
        assert!(!fits(AckWire::Json, &[1; 100]));
    }

    /// F-056.
    #[test]
    fn json_has_no_newline() {
        let mut out = Vec::new();
        write_ack(&mut out, AckWire::Json, b"a\"b", false);
        assert_eq!(out, br#"{"ack":"a\"b"}"#);
    }

    /// F-142, and Vector's empty map of F-143.
    #[test]
    fn parses_answers_in_any_pieces() {
        let stream = [ack(b"one", false), ack(b"two", true), vec![0x80]].concat();
        let expected = [Ack::Chunk("one".into()), Ack::Chunk("two".into()), Ack::Refused];
        for step in 1..=stream.len() {
            let (mut parser, mut found) = (AckParser::default(), Vec::new());
            for piece in stream.chunks(step) {
                parser.buffer().extend_from_slice(piece);
                while let Some(ack) = parser.next_ack().unwrap() {
                    found.push(ack);
                }
            }
            assert_eq!(found, expected);
            assert!(!parser.has_rest());
        }
    }

    /// R-045.
    #[test]
    fn refuses_what_is_no_answer() {
        for bytes in [&[0xc0][..], &[0x90], &[0xc1], b"HTTP"] {
            let mut parser = AckParser::default();
            parser.buffer().extend_from_slice(bytes);
            assert_eq!(parser.next_ack(), Err(AckError::NotAMap));
        }
        let mut parser = AckParser::default();
        parser.buffer().extend_from_slice(&[0x81, 0xc6, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(parser.next_ack(), Ok(None));
        parser.buffer().resize(MAX_ANSWER_BYTES + 1, 0);
        assert_eq!(parser.next_ack(), Err(AckError::TooLong));
    }
}
