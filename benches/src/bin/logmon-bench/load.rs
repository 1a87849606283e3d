//! Sending events, as a client with acknowledgements does.

use std::io::{BufWriter, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use logmon_benches::corpus::Corpus;
use logmon_core::{Timestamp, msgpack};

use super::server::Server;

/// Events of one chunk.
const CHUNK_EVENTS: u64 = 1_000;
/// Chunks that may wait for their acknowledgement.
const WINDOW: u64 = 16;
/// The times of the events reach so far into the past.
const SPAN: Duration = Duration::from_secs(55 * 60);
/// The bytes of one acknowledgement: a map of `ack` to a chunk id of 24 characters.
pub(crate) const ACK_BYTES: u64 = 1 + 4 + 1 + 24;

/// What was sent.
pub(crate) struct Load {
    pub(crate) wall: Duration,
    /// Bytes of msgpack of all entries.
    pub(crate) bytes: u64,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// Sends so many events in packed chunks and waits for their acknowledgements.
pub(crate) fn send(server: &Server, corpus: &mut Corpus, events: u64) -> anyhow::Result<Load> {
    let stream = TcpStream::connect(&server.forward)?;
    let mut acks = stream.try_clone()?;
    let mut out = BufWriter::with_capacity(1 << 20, stream);
    let to = Timestamp::now();
    let span = i64::try_from(SPAN.as_nanos())?;
    let from = Timestamp::from_nanos(to.as_nanos() - span);
    let step = span / i64::try_from(events)?.max(1);
    let began = Instant::now();
    let (mut bytes, mut open, mut sent) = (0, 0, 0);
    while sent < events {
        let count = CHUNK_EVENTS.min(events - sent);
        let mut entries = Vec::with_capacity(256 * 1_000);
        for at in sent..sent + count {
            let time = Timestamp::from_nanos(from.as_nanos() + step * i64::try_from(at)?);
            corpus.next(time).write_entry(&mut entries);
        }
        bytes += entries.len() as u64;
        write_chunk(&mut out, sent, &entries)?;
        sent += count;
        open += 1;
        if open == WINDOW || sent == events {
            out.flush()?;
            let wanted = if sent == events { open } else { open / 2 };
            std::io::copy(&mut (&mut acks).take(wanted * ACK_BYTES), &mut std::io::sink())?;
            open -= wanted;
        }
    }
    Ok(Load { wall: began.elapsed(), bytes, from, to })
}

/// One message `[tag, entries, {"chunk": id}]`.
pub(crate) fn write_chunk(
    out: &mut impl std::io::Write,
    at: u64,
    entries: &[u8],
) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(64);
    msgpack::write_array_len(&mut head, 3);
    msgpack::write_str(&mut head, &format!("bench.tag{}", at / CHUNK_EVENTS % 40));
    msgpack::write_bin(&mut head, entries);
    msgpack::write_map_len(&mut head, 1);
    msgpack::write_str(&mut head, "chunk");
    msgpack::write_str(&mut head, &format!("{at:024x}"));
    out.write_all(&head)
}
