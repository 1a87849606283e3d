//! The sender's messages.

use logmon_core::msgpack;

/// A message of packed entries (Forward protocol v1, "`PackedForward` Mode").
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the parts of the message")]
pub struct Packed<'a> {
    /// The tag.
    pub tag: &'a str,
    /// Entries one after the other.
    pub entries: &'a [u8],
    /// How many they are, for the option `size`.
    pub events: usize,
    /// The chunk id, if an acknowledgement is wanted.
    pub chunk: Option<&'a str>,
}

/// How the payload of a packed message is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what the protocol leaves open")]
pub struct PackedForm {
    /// The family of the payload.
    pub entries: EntriesFormat,
    /// What the payload is compressed with already.
    pub compressed: Option<Compressed>,
}

/// The family a payload is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntriesFormat {
    /// A bin, which is what entries are, and has the shortest header.
    #[default]
    Bin,
    /// A str of 32 bits, for peers that know no bin (Fluentd 0.10 and 0.12).
    Str32,
}

/// A compression the protocol has a name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compressed {
    /// Members of gzip, one or more.
    Gzip,
    /// Frames of zstd, one or more. Known to Fluentd from 1.19, Fluent Bit and logmon.
    Zstd,
}

impl Compressed {
    /// The value of the option `compressed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Appends a packed message: `[tag, bin, {"size": events, "chunk": id}]`.
///
/// There is no `compressed`, at whose `text` old versions of Fluent Bit choked.
pub fn write_packed(out: &mut Vec<u8>, message: &Packed<'_>) {
    write_packed_as(out, message, PackedForm::default());
}

/// Appends a packed message in a form of one's own.
///
/// The entries are written as they are. Where the form names a compression they must be compressed
/// with it already; compressed payloads that came in can so go out without being touched, several
/// of them one after the other.
pub fn write_packed_as(out: &mut Vec<u8>, message: &Packed<'_>, form: PackedForm) {
    out.reserve(message.entries.len() + message.tag.len() + 80);
    msgpack::write_array_len(out, 3);
    msgpack::write_str(out, message.tag);
    match form.entries {
        EntriesFormat::Bin => msgpack::write_bin(out, message.entries),
        EntriesFormat::Str32 => {
            let len = u32::try_from(message.entries.len()).unwrap_or(u32::MAX);
            out.push(0xdb);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(message.entries.get(..len as usize).unwrap_or(message.entries));
        }
    }
    let options = 1 + u32::from(message.chunk.is_some()) + u32::from(form.compressed.is_some());
    msgpack::write_map_len(out, options);
    msgpack::write_str(out, "size");
    msgpack::write_uint(out, message.events as u64);
    if let Some(compressed) = form.compressed {
        msgpack::write_str(out, "compressed");
        msgpack::write_str(out, compressed.name());
    }
    if let Some(chunk) = message.chunk {
        msgpack::write_str(out, "chunk");
        msgpack::write_str(out, chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(entries: &[u8], form: PackedForm) -> Vec<u8> {
        let mut out = Vec::new();
        let message = Packed { tag: "t", entries, events: 1, chunk: Some("id") };
        write_packed_as(&mut out, &message, form);
        out
    }

    /// F-139: the bytes of each form.
    #[test]
    fn writes_what_peers_expect() {
        let plain = message(b"ab", PackedForm::default());
        assert_eq!(plain, b"\x93\xa1t\xc4\x02ab\x82\xa4size\x01\xa5chunk\xa2id");
        let old = PackedForm { entries: EntriesFormat::Str32, ..PackedForm::default() };
        let old = message(b"ab", old);
        assert_eq!(old, b"\x93\xa1t\xdb\x00\x00\x00\x02ab\x82\xa4size\x01\xa5chunk\xa2id");
        let zipped = PackedForm { compressed: Some(Compressed::Gzip), ..PackedForm::default() };
        let zipped = message(b"ab", zipped);
        let option = b"\x83\xa4size\x01\xaacompressed\xa4gzip\xa5chunk\xa2id";
        assert_eq!(zipped, [&b"\x93\xa1t\xc4\x02ab"[..], option].concat());
    }
}
