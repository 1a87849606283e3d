//! What the tests of this crate share.

use std::sync::Arc;

use logmon_core::{Event as _, GroupBuilder, NewBatch, Timestamp};
use logmon_forward::codec::{DecodeError, Decoder, Message, Next, Settings};
use rmpv::Value as V;

/// The receive time of everything decoded here.
pub(crate) const RECEIVED: i64 = 1_800_000_000_000_000_000;

/// One event as a test compares it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) tag: String,
    pub(crate) nanos: i64,
    pub(crate) message: String,
    pub(crate) metadata: String,
    /// The packed entry.
    pub(crate) entry: Vec<u8>,
}

/// The paragraph of this name in `worked-examples.txt`.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let text = include_str!("../data/worked-examples.txt");
    let paragraph = text.split("\n\n").find(|paragraph| paragraph.lines().next() == Some(name));
    let lines = paragraph.unwrap_or_else(|| panic!("no example `{name}`")).lines().skip(1);
    let digits = lines.flat_map(str::split_whitespace);
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

pub(crate) fn decoder(settings: Settings) -> Decoder {
    Decoder::new(Arc::new(settings))
}

/// Everything a decoder makes of bytes that come in pieces. The parts of a message are put in front
/// of its batches.
pub(crate) fn decode_pieces<'a>(
    settings: Settings,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Message>, Option<DecodeError>) {
    let mut decoder = decoder(settings);
    let (mut messages, mut parts) = (Vec::new(), Vec::new());
    for piece in pieces {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.next_message(Timestamp::from_nanos(RECEIVED), usize::MAX) {
                Ok(Next::Message(mut message)) => {
                    let events: usize = parts.iter().map(parted).sum();
                    assert_eq!(message.parted, events as u64);
                    message.batches.splice(..0, parts.drain(..));
                    messages.push(message);
                }
                Ok(Next::Part(batch)) => parts.push(batch),
                Ok(Next::Void) => parts.clear(),
                Ok(Next::NeedsBytes) => break,
                Ok(Next::NeedsRoom(room)) => panic!("{room} bytes although all were given"),
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn parted(batch: &NewBatch) -> usize {
    batch.entries.len()
}

/// The messages in bytes that are all right as a stream.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Message> {
    let (messages, error) = decode_pieces(Settings::default(), [bytes]);
    assert_eq!(error, None);
    messages
}

/// The one message in the bytes.
pub(crate) fn decode_one(bytes: &[u8]) -> Message {
    let mut messages = decode(bytes);
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.remove(0)
}

pub(crate) fn events(messages: &[Message]) -> Vec<Event> {
    let mut events = Vec::new();
    for batch in messages.iter().flat_map(|message| &message.batches) {
        let epoch = logmon_core::Epoch::from_bytes([0; 7]);
        let group = GroupBuilder::single(epoch, batch, 1);
        events.extend(group.iter().map(|log| Event {
            tag: log.tag().to_owned(),
            nanos: log.timestamp().as_nanos(),
            message: log.message().into_owned(),
            metadata: logmon_core::Value::Map(log.to_log().metadata).to_json(),
            entry: log.entry().to_vec(),
        }));
    }
    events
}

/// Chunk ids in order.
pub(crate) fn chunks(messages: &[Message]) -> Vec<Vec<u8>> {
    let all = messages.iter().flat_map(|message| message.chunks.iter());
    all.map(|chunk| chunk.bytes.to_vec()).collect()
}

/// Codes of what was refused, with how often.
pub(crate) fn refused(messages: &[Message]) -> Vec<(&'static str, u32)> {
    let all = messages.iter().flat_map(|message| &message.rejected);
    all.map(|reject| (reject.reason.code(), reject.count)).collect()
}

pub(crate) fn encode(value: &V) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    bytes
}

pub(crate) fn array(items: impl IntoIterator<Item = V>) -> V {
    V::Array(items.into_iter().collect())
}

pub(crate) fn map<K: Into<V>>(pairs: impl IntoIterator<Item = (K, V)>) -> V {
    V::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// `{"message": text}`.
pub(crate) fn record(text: &str) -> V {
    map([("message", text.into())])
}

pub(crate) fn entry(seconds: u32, text: &str) -> V {
    array([seconds.into(), record(text)])
}

pub(crate) fn event_time(seconds: u32, nanos: u32) -> V {
    V::Ext(0, [seconds.to_be_bytes(), nanos.to_be_bytes()].concat())
}

/// `{"chunk": id}`.
pub(crate) fn chunk(id: &str) -> V {
    map([("chunk", id.into())])
}

/// Entries one after the other.
pub(crate) fn packed(entries: &[V]) -> Vec<u8> {
    entries.iter().flat_map(encode).collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}
