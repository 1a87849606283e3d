//! Entries as the receiver wants them: times it can read, metadata where it looks for it.

use std::sync::Arc;

use logmon_core::Timestamp;
use logmon_core::msgpack::{self, Cursor, Head};

/// What becomes of the metadata of an entry, `[[time, metadata], record]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metadata {
    /// It is left out. Fluentd before 1.20 closes the connection at it, Vector and OpenTelemetry
    /// refuse the message.
    Drop,
    /// It stays where it is.
    Keep,
    /// It becomes a value of the record, under this key. A value that was there is replaced.
    Inject(Arc<str>),
}

/// How entries are written.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    pub(super) metadata: Metadata,
    pub(super) time_as_integer: bool,
    /// Whether the receiver knows times beyond those of Fluentd's type.
    pub(super) has_long_times: bool,
}

/// The parts of an entry.
struct Parts<'a> {
    /// The map of metadata, if there is one with something in it.
    metadata: Option<&'a [u8]>,
    record: &'a [u8],
}

impl Rewrite {
    /// Appends an entry that happened at `time`.
    pub(super) fn entry(&self, out: &mut Vec<u8>, entry: &[u8], time: Timestamp) {
        if !self.time_as_integer && is_plain(entry) {
            out.extend_from_slice(entry);
            return;
        }
        // Entries have been checked when they were taken in, so they have their parts.
        let Some(Parts { metadata, record }) = parts(entry) else { return };
        msgpack::write_array_len(out, 2);
        match (&self.metadata, metadata) {
            (Metadata::Keep, Some(metadata)) => {
                msgpack::write_array_len(out, 2);
                self.time(out, time);
                out.extend_from_slice(metadata);
                out.extend_from_slice(record);
            }
            (Metadata::Inject(key), Some(metadata)) => {
                self.time(out, time);
                inject(out, record, key, metadata);
            }
            _ => {
                self.time(out, time);
                out.extend_from_slice(record);
            }
        }
    }

    /// Whether [`Rewrite::entry`] appends the entry as it is.
    pub(super) fn keeps(&self, entry: &[u8], time: Timestamp) -> bool {
        if !self.time_as_integer && is_plain(entry) {
            return true;
        }
        let mut written = Vec::with_capacity(entry.len());
        self.entry(&mut written, entry, time);
        written == entry
    }

    fn time(&self, out: &mut Vec<u8>, time: Timestamp) {
        let seconds = time.as_nanos().div_euclid(1_000_000_000);
        let has_event_time = (1..0xffff_fffe).contains(&seconds);
        if self.time_as_integer || !has_event_time && !self.has_long_times {
            msgpack::write_int(out, seconds);
        } else {
            msgpack::write_event_time(out, time);
        }
    }
}

/// Whether an entry is `[EventTime, record]` with a time that says something: what everyone reads.
fn is_plain(entry: &[u8]) -> bool {
    matches!(entry, [0x92, 0xd7, 0, seconds @ ..] if !seconds.starts_with(&[0; 4]))
}

fn parts(entry: &[u8]) -> Option<Parts<'_>> {
    let mut cursor = Cursor::new(entry);
    let Ok(Head::Array(2..)) = cursor.head() else { return None };
    let header = cursor.value().ok()?;
    let record = cursor.value().ok()?;
    Some(Parts { metadata: header_metadata(header), record })
}

fn header_metadata(header: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(header);
    let Ok(Head::Array(2..)) = cursor.head() else { return None };
    cursor.skip().ok()?;
    let metadata = cursor.value().ok()?;
    matches!(Cursor::new(metadata).head(), Ok(Head::Map(1..))).then_some(metadata)
}

/// Appends a record with one more pair.
fn inject(out: &mut Vec<u8>, record: &[u8], key: &str, value: &[u8]) {
    let mut name = Vec::new();
    msgpack::write_str(&mut name, key);
    let mut cursor = Cursor::new(record);
    let Ok(Head::Map(pairs)) = cursor.head() else { return };
    let mut kept = Vec::with_capacity(record.len());
    let mut count = 1;
    for _ in 0..pairs {
        let (Ok(key), Ok(value)) = (cursor.value(), cursor.value()) else { break };
        if key != name {
            kept.extend_from_slice(key);
            kept.extend_from_slice(value);
            count += 1;
        }
    }
    msgpack::write_map_len(out, count);
    out.extend_from_slice(&kept);
    out.extend_from_slice(&name);
    out.extend_from_slice(value);
}

/// Appends an event that is no entry yet.
pub(super) fn log_entry(out: &mut Vec<u8>, rewrite: &Rewrite, log: &logmon_core::Log) {
    let start = out.len();
    log.write_entry(out);
    if rewrite.time_as_integer || !rewrite.has_long_times {
        let entry = out.split_off(start);
        rewrite.entry(out, &entry, log.timestamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &[u8] = b"\x81\xa1a\x01";
    const TIME: &[u8] = b"\xd7\x00\x55\xec\xe6\xf8\x1d\xcd\x65\x00";

    fn time() -> Timestamp {
        Timestamp::from_nanos(1_441_588_984_500_000_000)
    }

    fn simple_entry(time: Timestamp) -> Vec<u8> {
        let mut out = Vec::new();
        logmon_core::write_entry(&mut out, time, |out| out.extend_from_slice(RECORD));
        out
    }

    fn rewrite(metadata: Metadata) -> Rewrite {
        Rewrite { metadata, time_as_integer: false, has_long_times: false }
    }

    fn written(rewrite: &Rewrite, entry: &[u8], time: Timestamp) -> Vec<u8> {
        let mut out = Vec::new();
        rewrite.entry(&mut out, entry, time);
        out
    }

    fn with_metadata(metadata: &[u8], record: &[u8]) -> Vec<u8> {
        [b"\x92\x92", TIME, metadata, record].concat()
    }

    /// F-139: metadata is left out, kept or made part of the record.
    #[test]
    fn metadata_goes_where_it_is_told() {
        let plain = [b"\x92", TIME, RECORD].concat();
        assert_eq!(plain, simple_entry(time()));
        let entry = with_metadata(b"\x81\xa1k\xa1v", RECORD);
        let inject = Metadata::Inject("meta".into());
        assert_eq!(written(&rewrite(Metadata::Drop), &entry, time()), plain);
        assert_eq!(written(&rewrite(Metadata::Keep), &entry, time()), entry);
        let injected = [b"\x92", TIME, b"\x82\xa1a\x01\xa4meta\x81\xa1k\xa1v"].concat();
        assert_eq!(written(&rewrite(inject.clone()), &entry, time()), injected);
        // One that is there already is replaced.
        let twice = with_metadata(b"\x81\xa1k\xa1v", b"\x82\xa4meta\x01\xa1a\x01");
        assert_eq!(written(&rewrite(inject.clone()), &twice, time()), injected);
        // An empty one is none.
        let empty = with_metadata(b"\x80", RECORD);
        for metadata in [Metadata::Drop, Metadata::Keep, inject] {
            assert_eq!(written(&rewrite(metadata), &empty, time()), plain);
        }
    }

    #[test]
    fn times_are_those_of_the_event_in_a_form_that_is_read() {
        let (drop, received) = (rewrite(Metadata::Drop), time());
        for entry in [
            &b"\x92\xc0\x81\xa1a\x01"[..],
            b"\x92\x00\x81\xa1a\x01",
            b"\x92\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00\x81\xa1a\x01",
            b"\x93\xcb\x41\xd5\x7b\x39\xbe\x20\x00\x00\x81\xa1a\x01\xa5extra",
        ] {
            assert_eq!(written(&drop, entry, received), simple_entry(received));
        }
        let whole = Rewrite { time_as_integer: true, ..drop.clone() };
        let entry = simple_entry(time());
        assert_eq!(written(&whole, &entry, time()), b"\x92\xce\x55\xec\xe6\xf8\x81\xa1a\x01");
        // Before 1970 there are only seconds, except for those who know more.
        let early = Timestamp::from_nanos(-1_500_000_000);
        assert_eq!(written(&drop, b"\x92\xfe\x81\xa1a\x01", early), b"\x92\xfe\x81\xa1a\x01");
        let logmon = Rewrite { has_long_times: true, ..drop };
        assert_eq!(written(&logmon, &entry[..0], early), b"");
        assert_eq!(written(&logmon, b"\x92\xfe\x81\xa1a\x01", early), simple_entry(early));
    }
}
