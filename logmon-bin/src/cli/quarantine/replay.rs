//! Sends items again.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use logmon_core::{Quarantined, QuarantinedKind};
use logmon_forward::codec::{Ack, AckParser, Packed, write_packed};
use logmon_store::{DirQuarantine, ItemId};

/// How long connecting and each read may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends the items one after the other, each on a connection of its own, and removes those that
/// were acknowledged.
///
/// # Errors
/// The first item that was not acknowledged; it and those behind it are still there.
pub(super) fn run(
    quarantine: &DirQuarantine,
    ids: &[ItemId],
    (to, tag): (&str, &str),
) -> anyhow::Result<()> {
    for id in ids {
        let item = quarantine.get(*id)?;
        replay(&item, (to, tag)).with_context(|| format!("item {id} is not replayed"))?;
        quarantine.remove(*id)?;
        eprintln!("logmon: replayed {id} ({} events)", item.count);
    }
    Ok(())
}

fn replay(item: &Quarantined, (to, tag): (&str, &str)) -> anyhow::Result<()> {
    let kept = item.bytes.len() as u64;
    anyhow::ensure!(kept == item.full_bytes, "{kept} of its {} bytes were kept", item.full_bytes);
    let chunk = chunk_id()?;
    let mut out = Vec::with_capacity(item.bytes.len() + 256);
    let mut packed = Packed { tag, entries: &[], events: 0, chunk: Some(&chunk) };
    match item.kind {
        QuarantinedKind::Entries => {
            packed.tag = item.tag.as_deref().unwrap_or(tag);
            packed.entries = &item.bytes;
            packed.events = usize::try_from(item.count).unwrap_or(usize::MAX);
        }
        // The message goes as it came. Behind it stands an empty one that asks for an
        // acknowledgement: these come in order, so with it the message is safe.
        QuarantinedKind::Message => {
            let is_json = item.bytes.first().is_some_and(|first| b"[{ \t\r\n".contains(first));
            anyhow::ensure!(!is_json, "it is JSON, which has no acknowledgements of this kind");
            out.extend_from_slice(&item.bytes);
        }
        _ => anyhow::bail!("it is of a kind that this version does not know"),
    }
    write_packed(&mut out, &packed);
    send(to, &out, &chunk)
}

/// Sends bytes and waits for the acknowledgement of `chunk`.
fn send(to: &str, bytes: &[u8], chunk: &str) -> anyhow::Result<()> {
    let failed = || format!("sending to {to} failed");
    let addr = to.to_socket_addrs().with_context(failed)?.next().with_context(failed)?;
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE).with_context(failed)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(bytes).with_context(failed)?;
    let (mut acks, mut buf) = (AckParser::default(), [0; 1024]);
    loop {
        match acks.next_ack().context("the server does not acknowledge as the protocol says")? {
            Some(Ack::Chunk(id)) if id == chunk.as_bytes() => return Ok(()),
            // Of the message itself, if it asks for one.
            Some(Ack::Chunk(_)) => {}
            Some(_) => anyhow::bail!("the server refuses it"),
            None => {
                let read = stream.read(&mut buf).context("there was no acknowledgement")?;
                anyhow::ensure!(read > 0, "the server closed the connection");
                acks.buffer().extend_from_slice(buf.get(..read).unwrap_or_default());
            }
        }
    }
}

/// 128 random bits.
fn chunk_id() -> anyhow::Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(BASE64.encode(bits))
}
