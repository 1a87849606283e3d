//! Events for the benchmarks.

pub mod corpus;

use std::sync::Arc;

use bytes::Bytes;
use logmon_core::msgpack;
use logmon_core::{Entries, Level, Log, NewBatch, Reading, Timestamp};

/// The messages of the built-in mix: about 200 bytes of msgpack an event.
const MESSAGES: &[&str] = &[
    "GET /api/v1/items/1482 200 in 12 ms",
    "user 3817 signed in from 10.0.12.7 with a hardware key",
    "slow query: select * from orders where customer = 8812 order by created_at desc limit 50 took 812 ms",
    "connection reset by peer while reading response header from upstream 10.1.4.9:8443",
    "cache miss for key session:9f31c2aa, loading from the database",
];

/// A mixed event.
pub fn log(at: usize) -> Log {
    let message = MESSAGES.get(at % MESSAGES.len()).copied().unwrap_or("");
    let level = Level::ALL.get(at % 6).copied().unwrap_or(Level::Info);
    let later = i64::try_from(at).unwrap_or(0) * 1_000_000;
    let time = Timestamp::from_nanos(1_800_000_000_000_000_000 + later);
    Log::new(message)
        .level(level)
        .source("billing-api")
        .timestamp(time)
        .field("request_id", format!("{at:016x}"))
        .field("status", 200 + at as u64 % 300)
        .field("host", "node-7")
}

/// `count` packed entries.
pub fn packed(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    (0..count).for_each(|at| log(at).write_entry(&mut out));
    out
}

/// How the entries of these benchmarks are read.
pub fn reading() -> Reading {
    Reading::new(Arc::default(), Timestamp::from_nanos(1_800_000_000_000_000_000))
}

/// A batch of `count` events under one tag.
///
/// # Panics
/// Never: the entries are our own.
#[expect(clippy::expect_used, reason = "a benchmark stops where its input is wrong")]
pub fn batch(count: usize) -> NewBatch {
    let entries = Entries::read(Bytes::from(packed(count)), &reading()).expect("our own entries");
    NewBatch::new("app.web".into(), entries)
}

/// Messages of every carrier mode that hold `count` events together, by name.
pub fn messages(count: usize) -> Vec<(&'static str, Vec<u8>)> {
    let entries = packed(count);
    let option = |out: &mut Vec<u8>, compressed: Option<&str>| {
        msgpack::write_map_len(out, 1 + u32::from(compressed.is_some()));
        msgpack::write_str(out, "chunk");
        msgpack::write_str(out, "p8n9gmxTQQu/8h3C0sKeTA==");
        if let Some(kind) = compressed {
            msgpack::write_str(out, "compressed");
            msgpack::write_str(out, kind);
        }
    };
    let carried = |payload: &[u8], compressed: Option<&str>| {
        let mut out = Vec::new();
        msgpack::write_array_len(&mut out, 3);
        msgpack::write_str(&mut out, "app.web");
        msgpack::write_bin(&mut out, payload);
        option(&mut out, compressed);
        out
    };
    let mut forward = Vec::new();
    msgpack::write_array_len(&mut forward, 3);
    msgpack::write_str(&mut forward, "app.web");
    msgpack::write_array_len(&mut forward, u32::try_from(count).unwrap_or(0));
    forward.extend_from_slice(&entries);
    option(&mut forward, None);
    vec![
        ("message", single(count)),
        ("forward", forward),
        ("packed", carried(&entries, None)),
        ("gzip", carried(&gzip(&entries), Some("gzip"))),
        ("zstd", carried(&zstd::bulk::compress(&entries, 3).unwrap_or_default(), Some("zstd"))),
    ]
}

/// `[tag, time, record]` for each event.
fn single(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for at in 0..count {
        let mut entry = Vec::new();
        log(at).write_entry(&mut entry);
        msgpack::write_array_len(&mut out, 3);
        msgpack::write_str(&mut out, "app.web");
        out.extend_from_slice(entry.get(1..).unwrap_or_default());
    }
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory cannot fail.
    drop(encoder.write_all(bytes));
    encoder.finish().unwrap_or_default()
}
