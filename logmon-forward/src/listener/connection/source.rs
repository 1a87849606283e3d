//! Where events come from, put into their records.

use logmon_core::msgpack::{Cursor, Head, write_map_len, write_str};
use logmon_core::{Entries, Index, NewBatch, Reading};

use super::Connection;

/// A key, and the pair of it and its value in msgpack.
struct Pair<'a> {
    key: &'a str,
    bytes: Vec<u8>,
}

impl<'a> Pair<'a> {
    fn new(key: &'a str, value: &str) -> Self {
        let mut bytes = Vec::new();
        write_str(&mut bytes, key);
        write_str(&mut bytes, value);
        Self { key, bytes }
    }
}

impl Connection {
    /// Puts the address of the peer, and its name, into every record, where that is wanted. What is
    /// known of chunks must be known before: they are the same wherever they come from.
    pub(super) fn add_source(&self, batch: &mut NewBatch) {
        let config = &self.shared.config;
        let (address_key, name_key) = (&config.source_address_key, &config.source_hostname_key);
        if address_key.is_none() && name_key.is_none() {
            return;
        }
        // A process of this machine has none.
        let Some(ip) = self.peer.address() else { return };
        let mut pairs = Vec::with_capacity(2);
        let address = ip.to_string();
        if let Some(key) = address_key {
            pairs.push(Pair::new(key, &address));
        }
        if let Some(key) = name_key {
            let name = self.shared.names.get(ip);
            pairs.push(Pair::new(key, name.as_deref().unwrap_or(&address)));
        }
        if let Some(entries) = add(&batch.entries, &pairs) {
            batch.entries = entries;
            batch.compressed = None;
        }
    }
}

/// The entries with the pairs in their records. An entry that would become too long stays as it is.
fn add(entries: &Entries, pairs: &[Pair<'_>]) -> Option<Entries> {
    let mut reading = Reading::new(entries.fields().clone(), entries.received());
    reading.time_unit = entries.time_unit();
    let added: usize = pairs.iter().map(|pair| pair.bytes.len()).sum();
    // The head of a map may grow by four bytes.
    let bytes = entries.payload().len() + entries.len() * (added + 4);
    let (mut payload, mut index) = (Vec::with_capacity(bytes), Index::with_capacity(entries.len()));
    let mut kept = Vec::new();
    for entry in (0..entries.len()).map(|at| entries.entry(at)) {
        let start = payload.len();
        let appended = append(&mut payload, entry, pairs, &mut kept);
        if appended.is_none() || index.push(&payload, start, &reading).is_err() {
            payload.truncate(start);
            payload.extend_from_slice(entry);
            index.push(&payload, start, &reading).ok()?;
        }
    }
    Some(Entries::new(payload.into(), index, &reading))
}

/// Appends an entry with the pairs behind the others of its record. `kept` is room to work in.
fn append(out: &mut Vec<u8>, entry: &[u8], pairs: &[Pair<'_>], kept: &mut Vec<u8>) -> Option<()> {
    let mut cursor = Cursor::new(entry);
    let Ok(Head::Array(2..)) = cursor.head() else { return None };
    cursor.skip().ok()?;
    out.extend_from_slice(entry.get(..cursor.position())?);
    let Ok(Head::Map(count)) = cursor.head() else { return None };
    kept.clear();
    let mut total = u32::try_from(pairs.len()).ok()?;
    for _ in 0..count {
        let (key, value) = (cursor.value().ok()?, cursor.value().ok()?);
        if !pairs.iter().any(|pair| is_text(key, pair.key)) {
            kept.extend_from_slice(key);
            kept.extend_from_slice(value);
            total = total.checked_add(1)?;
        }
    }
    write_map_len(out, total);
    out.extend_from_slice(kept);
    for pair in pairs {
        out.extend_from_slice(&pair.bytes);
    }
    out.extend_from_slice(cursor.rest());
    Some(())
}

/// Whether a msgpack value is this text, as str or bin.
fn is_text(value: &[u8], text: &str) -> bool {
    let mut cursor = Cursor::new(value);
    matches!(cursor.head(), Ok(Head::Str(_) | Head::Bin(_))) && cursor.rest() == text.as_bytes()
}
