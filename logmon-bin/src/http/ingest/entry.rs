//! One event of a body as a packed entry.

use logmon_core::msgpack::{self, Cursor, Head};
use logmon_core::{Level, Reading, Timestamp, json, write_entry};

/// The keys that hold the time, in order; the first one present is taken.
const TIME_KEYS: &[&[u8]] = &[b"timestamp", b"ts", b"time", b"@timestamp", b"date", b"_time"];

/// What an event gets that names no level or source of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) level: Option<Level>,
    pub(super) source: Option<String>,
}

/// Why a text is no event.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) detail: String,
    /// Where in the text.
    pub(super) offset: usize,
}

/// Packs a JSON object. Its time, if it can be read, leaves the record for the entry's header.
pub(super) fn from_json(
    text: &[u8],
    reading: &Reading,
    defaults: &Defaults,
) -> Result<Vec<u8>, Fault> {
    let json = text.strip_prefix(super::BYTE_ORDER_MARK).unwrap_or(text);
    let record = json::to_msgpack(json).map_err(|error| Fault {
        code: "invalid_json",
        detail: error.to_string(),
        offset: text.len() - json.len() + offset_of(json, error.position()),
    })?;
    let pairs = pairs(&record).ok_or_else(|| Fault {
        code: "not_an_object",
        detail: "an event is a JSON object".to_owned(),
        offset: 0,
    })?;
    let timed = TIME_KEYS.iter().find_map(|key| {
        let at = pairs.iter().rposition(|(known, _)| known == key)?;
        Some((at, read_time(pairs.get(at)?.1)?))
    });
    let has = |keys: &[String]| {
        pairs.iter().any(|(key, _)| keys.iter().any(|known| known.as_bytes() == *key))
    };
    let level = defaults.level.filter(|_| !has(reading.fields.level_keys()));
    let source = defaults.source.as_ref().filter(|_| !has(reading.fields.source_keys()));
    let time = timed.map_or(reading.received, |(_, time)| time);
    let mut out = Vec::with_capacity(record.len() + 32);
    write_entry(&mut out, time, |out| {
        let count = pairs.len() - usize::from(timed.is_some())
            + usize::from(level.is_some())
            + usize::from(source.is_some());
        msgpack::write_map_len(out, u32::try_from(count).unwrap_or(u32::MAX));
        for (at, (key, value)) in pairs.iter().enumerate() {
            if timed.is_none_or(|(taken, _)| taken != at) {
                // A JSON key is text, so this is what was read.
                msgpack::write_str(out, std::str::from_utf8(key).unwrap_or_default());
                out.extend_from_slice(value);
            }
        }
        write_defaults(out, reading, level, source.map(String::as_str));
    });
    Ok(out)
}

/// Packs a line of text as a message.
pub(super) fn from_text(line: &[u8], reading: &Reading, defaults: &Defaults) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len() + 32);
    write_entry(&mut out, reading.received, |out| {
        let (level, source) = (defaults.level, defaults.source.as_deref());
        let count = 1 + u32::from(level.is_some()) + u32::from(source.is_some());
        msgpack::write_map_len(out, count);
        msgpack::write_str(out, key(reading.fields.message_keys(), "message"));
        match std::str::from_utf8(line) {
            Ok(text) => msgpack::write_str(out, text),
            Err(_) => msgpack::write_bin(out, line),
        }
        write_defaults(out, reading, level, source);
    });
    out
}

fn write_defaults(
    out: &mut Vec<u8>,
    reading: &Reading,
    level: Option<Level>,
    source: Option<&str>,
) {
    if let Some(level) = level {
        msgpack::write_str(out, key(reading.fields.level_keys(), "level"));
        msgpack::write_str(out, level.as_str());
    }
    if let Some(source) = source {
        msgpack::write_str(out, key(reading.fields.source_keys(), "source"));
        msgpack::write_str(out, source);
    }
}

fn key<'a>(keys: &'a [String], otherwise: &'a str) -> &'a str {
    keys.first().map_or(otherwise, String::as_str)
}

/// The keys and whole values of a packed map with text keys.
fn pairs(record: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut cursor = Cursor::new(record);
    let Ok(Head::Map(count)) = cursor.head() else { return None };
    (0..count)
        .map(|_| {
            let Ok(Head::Str(len)) = cursor.head() else { return None };
            Some((cursor.take(len).ok()?, cursor.value().ok()?))
        })
        .collect()
}

/// A time as text or number, its unit told by its size.
fn read_time(value: &[u8]) -> Option<Timestamp> {
    let mut cursor = Cursor::new(value);
    match cursor.head().ok()? {
        Head::Str(len) => {
            let text = std::str::from_utf8(cursor.take(len).ok()?).ok()?;
            crate::units::unix(text).or_else(|| text.parse().ok())
        }
        Head::UInt(number) => crate::units::unix(&number.to_string()),
        Head::Int(number) => crate::units::unix(&number.to_string()),
        // Milliseconds with a fraction, as JavaScript's performance clock has them.
        Head::Float(number) if number.abs() >= 1e11 => Timestamp::from_seconds_f64(number / 1e3),
        Head::Float(number) => Timestamp::from_seconds_f64(number),
        _ => None,
    }
}

/// The byte at a line and column, both from 1.
fn offset_of(text: &[u8], (line, column): (usize, usize)) -> usize {
    let before = text.split(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let start: usize = before.map(|line| line.len() + 1).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use logmon_core::{Entries, Epoch, GroupBuilder, NewBatch};
    use serde_json::{Value, json};

    fn reading() -> Reading {
        Reading::new(std::sync::Arc::default(), Timestamp::from_seconds(1_800_000_000, 0).unwrap())
    }

    fn stored(entry: Vec<u8>) -> Value {
        let entries = Entries::read(entry.into(), &reading()).unwrap();
        let batch = NewBatch::new("http".into(), entries);
        let group = GroupBuilder::single(Epoch::from_bytes([0; 7]), &batch, 0);
        let mut out = Vec::new();
        group.get(0).unwrap().write_json(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    fn from(text: &str) -> Value {
        stored(from_json(text.as_bytes(), &reading(), &Defaults::default()).unwrap())
    }

    #[test]
    fn takes_the_time_out_of_the_record() {
        let event =
            from(r#"{"time": "2026-01-02T03:04:05Z", "ts": 1700000000.25, "msg": "x", "n": 1}"#);
        assert_eq!(event["timestamp"], "2023-11-14T22:13:20.250000000Z", "ts comes before time");
        assert_eq!(event["metadata"], json!({"time": "2026-01-02T03:04:05Z", "n": 1}));
        assert_eq!(event["message"], "x");
    }

    #[test]
    fn numbers_are_times_by_their_size() {
        for number in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
            let event = from(&format!("{{\"timestamp\": {number}}}"));
            assert_eq!(event["timestamp"], "2023-11-14T22:13:20.000000000Z");
        }
    }

    #[test]
    fn an_unreadable_time_stays_metadata() {
        let event = from(r#"{"timestamp": "yesterday", "message": "m"}"#);
        assert_eq!(event["timestamp"], event["received"]);
        assert_eq!(event["metadata"], json!({"timestamp": "yesterday"}));
    }

    #[test]
    fn defaults_fill_what_is_missing_only() {
        let defaults = Defaults { level: Some(Level::Warn), source: Some("cron".into()) };
        let entry = from_json(br#"{"severity": "error", "msg": "m"}"#, &reading(), &defaults);
        let event = stored(entry.unwrap());
        assert_eq!((&event["level"], &event["source"]), (&json!("ERROR"), &json!("cron")));
        let event = stored(from_text(b"plain \xff", &reading(), &defaults));
        assert_eq!(
            (&event["level"], &event["message"]),
            (&json!("WARN"), &json!("plain \u{fffd}"))
        );
    }

    #[test]
    fn tells_what_is_no_event() {
        let fault =
            |text: &str| from_json(text.as_bytes(), &reading(), &Defaults::default()).unwrap_err();
        assert_eq!(fault("[1]").code, "not_an_object");
        let broken = fault("{\n \"a\": tru}");
        assert_eq!((broken.code, broken.offset), ("invalid_json", 11));
    }
}
