//! A second decoder, as plain as can be: values by rmpv, no limits, no streaming. It knows valid
//! messages only.

use std::io::Read as _;

use rmpv::Value as V;

use crate::common::RECEIVED;

/// An event by its meaning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meaning {
    pub(crate) tag: String,
    pub(crate) nanos: i64,
    pub(crate) header_metadata: Option<V>,
    pub(crate) record: V,
}

/// The events and the chunk ids of a stream of valid messages.
pub(crate) fn read_stream(mut bytes: &[u8]) -> (Vec<Meaning>, Vec<Vec<u8>>) {
    let (mut events, mut chunks) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        match rmpv::decode::read_value(&mut bytes).unwrap() {
            V::Nil => {}
            V::Array(items) if items.is_empty() => {}
            V::Array(items) => read_message(&items, &mut events, &mut chunks),
            other => panic!("not a valid message: {other}"),
        }
    }
    (events, chunks)
}

/// The meaning of one packed entry under a tag.
pub(crate) fn meaning(tag: &str, entry: &[u8]) -> Meaning {
    let value = rmpv::decode::read_value(&mut { entry }).unwrap();
    read_entry(tag, value.as_array().unwrap())
}

fn read_message(items: &[V], events: &mut Vec<Meaning>, chunks: &mut Vec<Vec<u8>>) {
    let tag = String::from_utf8(raw(&items[0]).unwrap().to_vec()).unwrap();
    let option = match &items[1] {
        V::Array(entries) if entries.iter().all(V::is_array) => {
            events.extend(entries.iter().map(|entry| read_entry(&tag, entry.as_array().unwrap())));
            items.get(2)
        }
        V::String(_) | V::Binary(_) => {
            let payload = inflate(raw(&items[1]).unwrap());
            let mut rest = &payload[..];
            while !rest.is_empty() {
                let entry = rmpv::decode::read_value(&mut rest).unwrap();
                events.push(read_entry(&tag, entry.as_array().unwrap()));
            }
            items.get(2)
        }
        _ => {
            events.push(read_entry(&tag, &items[1..3]));
            items.get(3)
        }
    };
    let id = option.and_then(V::as_map).and_then(|map| {
        let chunk = map.iter().find(|(key, _)| key.as_str() == Some("chunk"));
        chunk.and_then(|(_, id)| raw(id)).filter(|id| !id.is_empty())
    });
    chunks.extend(id.map(<[u8]>::to_vec));
}

fn read_entry(tag: &str, entry: &[V]) -> Meaning {
    let (time, header_metadata) = match &entry[0] {
        V::Array(header) => (&header[0], header.get(1).cloned()),
        time => (time, None),
    };
    let (tag, record) = (tag.to_owned(), entry[1].clone());
    Meaning { tag, nanos: nanos(time), header_metadata, record }
}

fn nanos(time: &V) -> i64 {
    let nanos = match time {
        V::Nil => 0,
        V::Integer(seconds) => seconds.as_i64().unwrap() * 1_000_000_000,
        // The tests only send quarters of seconds, which are exact.
        V::F64(seconds) => (seconds * 4.0) as i64 * 250_000_000,
        V::Ext(0, data) => {
            let seconds = u32::from_be_bytes(data[..4].try_into().unwrap());
            let nanos = u32::from_be_bytes(data[4..].try_into().unwrap());
            i64::from(seconds) * 1_000_000_000 + if seconds == 0 { 0 } else { i64::from(nanos) }
        }
        other => panic!("not a valid time: {other}"),
    };
    if nanos == 0 { RECEIVED } else { nanos }
}

fn raw(value: &V) -> Option<&[u8]> {
    match value {
        V::String(text) => Some(text.as_bytes()),
        V::Binary(bytes) => Some(bytes),
        _ => None,
    }
}

fn inflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match payload {
        [0x1f, 0x8b, ..] => {
            flate2::read::MultiGzDecoder::new(payload).read_to_end(&mut out).unwrap();
        }
        [0x28, 0xb5, ..] => out = zstd::stream::decode_all(payload).unwrap(),
        plain => out = plain.to_vec(),
    }
    out
}
