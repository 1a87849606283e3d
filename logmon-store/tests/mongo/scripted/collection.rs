//! What a collection holds.

use std::collections::HashMap;

use bson::raw::cstr;
use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::replies::Failure;

/// Documents and indexes. The indexes are told of and have no effect but the one on `_id`.
#[derive(Debug, Default)]
pub(super) struct Collection {
    documents: Vec<RawDocumentBuf>,
    /// The write that brought each `_id`, if it was a retryable one.
    writes: HashMap<Vec<u8>, Option<Vec<u8>>>,
    indexes: Vec<RawDocumentBuf>,
    /// As given to `create`.
    pub(super) options: RawDocumentBuf,
}

impl Collection {
    pub(super) fn documents(&self) -> impl ExactSizeIterator<Item = &RawDocumentBuf> {
        self.documents.iter()
    }

    /// Stores a document; `false` if the `_id` is there. As in a real server, it counts as stored if
    /// this very write has stored it before, for then a retryable write is being sent again.
    pub(super) fn insert(&mut self, document: &RawDocument, write: Option<&[u8]>) -> bool {
        if let Ok(Some(id)) = document.get("_id") {
            let mut key = RawDocumentBuf::new();
            key.append(cstr!("_id"), id);
            let key = key.into_bytes();
            if let Some(earlier) = self.writes.get(&key) {
                return write.is_some() && earlier.as_deref() == write;
            }
            self.writes.insert(key, write.map(<[u8]>::to_vec));
        }
        self.documents.push(document.to_owned());
        true
    }

    /// The index on `_id` and those that were created.
    pub(super) fn indexes(&self) -> Vec<RawDocumentBuf> {
        let mut all = vec![rawdoc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" }];
        all.extend(self.indexes.iter().cloned());
        all
    }

    /// Adds an index. One that is there with other options or another name is a conflict.
    pub(super) fn create_index(&mut self, index: &RawDocument) -> Result<(), Failure> {
        let (name, key) = (index.get_str("name")?, index.get_document("key")?);
        let mut index = index.to_owned();
        if index.get("v")?.is_none() {
            index.append(cstr!("v"), 2);
        }
        for other in &self.indexes {
            let has_name = other.get_str("name")? == name;
            let has_key = other.get_document("key")?.as_bytes() == key.as_bytes();
            match (has_name, has_key) {
                (true, true) if other.as_bytes() == index.as_bytes() => return Ok(()),
                (true, false) => {
                    let message = format!("An existing index has the same name: {name}");
                    return Err(Failure::new(86, message));
                }
                (_, true) => {
                    let message = format!("An equivalent index has other options: {name}");
                    return Err(Failure::new(85, message));
                }
                (false, false) => {}
            }
        }
        self.indexes.push(index);
        Ok(())
    }

    /// Gives an index another `expireAfterSeconds`. Tells the old one and the new one.
    pub(super) fn expire(&mut self, change: &RawDocument) -> Result<RawDocumentBuf, Failure> {
        let (name, key) = (change.get_str("name").ok(), change.get_document("keyPattern").ok());
        let found = self.indexes.iter_mut().find(|index| {
            let is_named = name.is_some() && index.get_str("name").ok() == name;
            is_named || key.is_some() && index.get_document("key").ok() == key
        });
        let index = found.ok_or_else(|| Failure::new(27, "cannot find the index"))?;
        let seconds = seconds(change).ok_or_else(|| Failure::new(72, "no expireAfterSeconds"))?;
        let mut reply = rawdoc! { "expireAfterSeconds_new": seconds };
        if let Some(old) = self::seconds(index) {
            reply.append(cstr!("expireAfterSeconds_old"), old);
        }
        let mut changed = RawDocumentBuf::new();
        for element in &*index {
            let (field, value) = element?;
            if field.as_str() != "expireAfterSeconds" {
                changed.append(field, value);
            }
        }
        changed.append(cstr!("expireAfterSeconds"), seconds);
        *index = changed;
        Ok(reply)
    }
}

fn seconds(index: &RawDocument) -> Option<i64> {
    let value = index.get("expireAfterSeconds").ok()??;
    value.as_i64().or_else(|| value.as_i32().map(i64::from))
}
