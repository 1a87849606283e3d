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

/// Appends a packed message: `[tag, bin, {"size": events, "chunk": id}]`.
///
/// The entries are a bin, which has the shortest header and is what they are; there is no
/// `compressed`, at whose `text` old versions of Fluent Bit choked.
pub fn write_packed(out: &mut Vec<u8>, message: &Packed<'_>) {
    out.reserve(message.entries.len() + message.tag.len() + 64);
    msgpack::write_array_len(out, 3);
    msgpack::write_str(out, message.tag);
    msgpack::write_bin(out, message.entries);
    msgpack::write_map_len(out, 1 + u32::from(message.chunk.is_some()));
    msgpack::write_str(out, "size");
    msgpack::write_uint(out, message.events as u64);
    if let Some(chunk) = message.chunk {
        msgpack::write_str(out, "chunk");
        msgpack::write_str(out, chunk);
    }
}
