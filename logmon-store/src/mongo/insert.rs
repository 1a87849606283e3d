//! The `insert` command, written into one buffer.

use mongodb::bson::RawDocumentBuf;

use super::config::WriteConcern;
use super::document::Document;

/// A document in a buffer: its bytes.
pub(super) type Range = std::ops::Range<usize>;

/// The bytes of an insert of documents that stand in `bytes`, into a collection.
pub(super) fn command(
    collection: &str,
    (bytes, documents): (&[u8], &[Range]),
    concern: &WriteConcern,
    max_time_ms: i64,
) -> Vec<u8> {
    let len: usize = documents.iter().map(|range| range.len() + 8).sum();
    let mut out = Vec::with_capacity(len + collection.len() + 160);
    let mut command = Document::begin(&mut out);
    command.text("insert", collection);
    command.boolean("ordered", false);
    let mut concern_bytes = Vec::with_capacity(40);
    let mut written = Document::begin(&mut concern_bytes);
    match concern.servers {
        None => written.text("w", "majority"),
        Some(servers) => written.int32("w", i32::try_from(servers).unwrap_or(i32::MAX)),
    }
    if concern.journal {
        written.boolean("j", true);
    }
    written.end();
    command.raw_document("writeConcern", &concern_bytes);
    command.int64("maxTimeMS", max_time_ms);
    let mut array = command.array("documents");
    for range in documents {
        array.push(bytes.get(range.clone()).unwrap_or_default());
    }
    array.end();
    command.end();
    out
}

/// The same as the driver takes it; `None` where it is no document, which it always is.
pub(super) fn raw(bytes: Vec<u8>) -> Option<RawDocumentBuf> {
    RawDocumentBuf::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document as Bson, doc};

    use super::*;

    #[test]
    fn a_command_says_what_and_how() {
        let (one, two) = (doc! { "_id": 1 }.to_vec().unwrap(), doc! { "_id": 2 }.to_vec().unwrap());
        let bytes = [&one[..], b"between", &two].concat();
        let ranges = [0..one.len(), one.len() + 7..bytes.len()];
        let concern = WriteConcern::default();
        let written = raw(command("logs", (&bytes, &ranges), &concern, 5)).unwrap();
        let wanted = doc! {
            "insert": "logs", "ordered": false, "writeConcern": {"w": "majority", "j": true},
            "maxTimeMS": 5_i64, "documents": [{"_id": 1}, {"_id": 2}],
        };
        assert_eq!(Bson::try_from(&*written).unwrap(), wanted);
        let concern = WriteConcern { servers: Some(2), journal: false };
        let written = raw(command("logs", (&bytes, &[]), &concern, 5)).unwrap();
        let written = Bson::try_from(&*written).unwrap();
        assert_eq!(written.get_document("writeConcern").unwrap(), &doc! { "w": 2 });
    }
}
