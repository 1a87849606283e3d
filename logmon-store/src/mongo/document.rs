//! Events as documents of MongoDB, and back.
//!
//! A document has `_id` (the event's id as ObjectId), `timestamp`, `level`, `message`, `source`, `tag`,
//! `metadata`, `createdAt` (when logmon received the event) and `seq`. BSON dates have milliseconds;
//! what is beyond them stands in `timestampNs` and `createdAtNs`. What comes back is the same event:
//! every filter gives the same answer for it.
//!
//! Whatever BSON cannot say as it is (extension types, times finer than milliseconds, text that is
//! not UTF-8, what is nested too deeply) is kept as the bytes of its msgpack form, in a binary value of
//! subtype 0x80. `opaque: true` says that a document has such a value, or an array inside an array,
//! so that queries do not rely on what the server finds in its metadata.

use logmon_core::{Epoch, Event as _, EventId, LogRef, Timestamp};
use mongodb::bson::RawDocument;
use mongodb::bson::oid::ObjectId;

mod convert;
mod key;
mod read;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub(super) use convert::Style;
pub use key::DotsAndDollars;
pub(super) use key::escaped;
pub(super) use read::{Stored, level_named};

use value::Values;
pub(super) use write::Document;

/// The subtype of a binary value that is msgpack.
const MSGPACK_SUBTYPE: u8 = 0x80;

/// What the server takes as one document: `maxBsonObjectSize` of every version.
pub(super) const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// Why an event cannot be a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It has too many bytes.
    #[error("a document of {0} bytes; MongoDB takes {MAX_DOCUMENT_BYTES}")]
    TooLarge(usize),
    /// It would not be read back.
    #[error("it nests too deeply, or has too many values, to be read back from MongoDB: {0}")]
    Unreadable(String),
}

pub(super) const NANOS_PER_MILLI: i64 = 1_000_000;

/// A longer document may have more values than an event has.
const LARGE: usize = 1 << 20;

/// Milliseconds, and the nanoseconds beyond them.
pub(super) fn split(time: Timestamp) -> (i64, i32) {
    let nanos = time.as_nanos();
    let rest = nanos.rem_euclid(NANOS_PER_MILLI);
    (nanos.div_euclid(NANOS_PER_MILLI), i32::try_from(rest).unwrap_or(0))
}

/// The least and the greatest `_id` of the events of an epoch.
pub(super) fn ids_of(epoch: Epoch) -> (ObjectId, ObjectId) {
    let id = |seq| ObjectId::from_bytes(EventId::new(epoch, seq).to_bytes());
    (id(0), id(u64::MAX))
}

/// Appends the document of an event.
///
/// # Errors
/// It cannot be one; nothing was appended.
pub(super) fn write(out: &mut Vec<u8>, log: &LogRef<'_>, style: Style<'_>) -> Result<(), Unfit> {
    let start = out.len();
    let mut document = Document::begin(out);
    document.object_id("_id", log.id().to_bytes());
    let (millis, rest) = split(log.timestamp());
    document.date("timestamp", millis);
    if rest > 0 {
        document.int32("timestampNs", rest);
    }
    if let Some(level) = log.level() {
        document.text("level", level.as_str());
    }
    match log.message_bytes().map(str::from_utf8) {
        Some(Ok(message)) => document.text("message", message),
        _ => {
            document.text("message", &log.message());
            if let Some(bytes) = log.message_bytes() {
                document.binary("messageBytes", bytes);
            }
        }
    }
    if let Some(source) = log.source() {
        document.text("source", &source);
        if let Some(bytes) = log.source_bytes().filter(|bytes| str::from_utf8(bytes).is_err()) {
            document.binary("sourceBytes", bytes);
        }
    }
    document.text("tag", log.tag());
    let mut values = Values::new(style);
    document.metadata(&mut values, log);
    let (millis, rest) = split(log.received());
    document.date("createdAt", millis);
    if rest > 0 {
        document.int32("createdAtNs", rest);
    }
    document.int64("seq", log.seq().cast_signed());
    if values.is_opaque {
        document.boolean("opaque", true);
    }
    let bytes = document.end();
    let unfit = if bytes > MAX_DOCUMENT_BYTES {
        Some(Unfit::TooLarge(bytes))
    } else if values.is_deep || bytes > LARGE {
        unreadable(out.get(start..).unwrap_or_default())
    } else {
        None
    };
    match unfit {
        Some(unfit) => {
            out.truncate(start);
            Err(unfit)
        }
        None => Ok(()),
    }
}

/// Whether a document cannot be read as an event: in one, the metadata is a level deeper than it may
/// have been, and all of it is one value.
fn unreadable(document: &[u8]) -> Option<Unfit> {
    let read = RawDocument::from_bytes(document).map_err(|error| error.to_string());
    let read = read.and_then(|document| {
        Stored::read(document).and_then(Stored::into_group).map_err(|error| error.to_string())
    });
    read.err().map(Unfit::Unreadable)
}
