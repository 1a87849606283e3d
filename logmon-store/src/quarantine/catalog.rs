//! Which items there are, how big they are, and what became of others.

use std::collections::BTreeMap;
use std::io;

use logmon_core::Timestamp;

use super::{ItemId, QuarantineStatus};
use crate::vfs::Vfs;

/// The items in the order of their ids, with the bytes of their files.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    items: BTreeMap<ItemId, u64>,
    last: Option<ItemId>,
    status: QuarantineStatus,
}

impl Catalog {
    /// What is in the directory. Files of other names, links and folders are not ours.
    pub(super) fn read(vfs: &dyn Vfs) -> io::Result<Self> {
        let mut catalog = Self::default();
        for id in Self::names(vfs)? {
            // One that cannot be opened weighs nothing and is told of in the list.
            let len = vfs.open(&id.file_name()).and_then(|file| file.len()).unwrap_or(0);
            catalog.insert(id, len);
        }
        Ok(catalog)
    }

    pub(super) fn names(vfs: &dyn Vfs) -> io::Result<Vec<ItemId>> {
        let names = vfs.list(&|name| ItemId::of_file(name).is_some())?;
        Ok(names.iter().filter_map(|name| ItemId::of_file(name)).collect())
    }

    fn insert(&mut self, id: ItemId, len: u64) {
        if self.items.insert(id, len).is_none() {
            self.status.items += 1;
            self.status.bytes += len;
        }
        self.last = self.last.max(Some(id));
    }

    /// Puts what was found in place of what was known.
    pub(super) fn take_over(&mut self, found: Self) {
        self.status.items = found.status.items;
        self.status.bytes = found.status.bytes;
        self.items = found.items;
        self.last = self.last.max(found.last);
    }

    pub(super) fn next_id(&mut self, now: Timestamp) -> ItemId {
        let id = ItemId::after(self.last, now);
        self.last = Some(id);
        id
    }

    pub(super) fn add(&mut self, id: ItemId, len: u64) {
        self.insert(id, len);
        self.status.kept += 1;
    }

    pub(super) fn remove(&mut self, id: ItemId) {
        if let Some(len) = self.items.remove(&id) {
            self.status.items -= 1;
            self.status.bytes -= len;
        }
    }

    pub(super) fn expire(&mut self, id: ItemId) {
        self.remove(id);
        self.status.expired += 1;
    }

    pub(super) fn fail(&mut self) {
        self.status.failed += 1;
    }

    /// The oldest items, as many as have to go so that no more than `max_bytes` are left.
    pub(super) fn oldest_beyond(&self, max_bytes: u64) -> Vec<ItemId> {
        let mut left = self.status.bytes;
        let mut beyond = Vec::new();
        for (id, len) in &self.items {
            if left <= max_bytes {
                break;
            }
            left -= len;
            beyond.push(*id);
        }
        beyond
    }

    pub(super) fn status(&self) -> QuarantineStatus {
        self.status
    }
}
