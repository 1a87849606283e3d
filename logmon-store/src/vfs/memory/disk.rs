//! What a running process sees, and what a power cut would leave.

use std::collections::{BTreeMap, HashSet};
use std::io;

use logmon_core::Timestamp;

use super::faults::{Call, Fault, Faults};
use super::{Chance, SECTOR_BYTES};

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) inodes: Vec<Inode>,
    pub(super) live: BTreeMap<String, usize>,
    pub(super) durable: BTreeMap<String, usize>,
    pub(super) is_locked: bool,
    pub(super) capacity: Option<usize>,
    pub(super) faults: Faults,
    pub(super) unreadable: HashSet<(usize, u64)>,
    /// At which call to keep an image, and how it was seeded.
    pub(super) cut: Option<(usize, u64)>,
    pub(super) image: Option<Box<Self>>,
    pub(super) are_syncs_held: bool,
    pub(super) syncs_waiting: usize,
    pub(super) now: Option<Timestamp>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Sectors written since the last sync.
    pub(super) dirty: HashSet<usize>,
    /// A sync failed: what it was to save never gets to the medium, whatever later syncs say.
    pub(super) is_lost: bool,
}

impl Inode {
    fn after_power_cut(&self, chance: &mut Chance) -> Self {
        let mut content = self.durable.clone();
        let mut dirty: Vec<usize> = self.dirty.iter().copied().collect();
        dirty.sort_unstable();
        for sector in dirty {
            if chance.happens() {
                copy_sector(&self.live, &mut content, sector);
            }
        }
        if self.live.len() < content.len() && chance.happens() {
            content.truncate(self.live.len());
        }
        Self { live: content.clone(), durable: content, ..Self::default() }
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    pub(super) fn set_len(&mut self, len: usize) {
        // What is cut off is zero if the file grows again.
        let changed = len.min(self.live.len()) / SECTOR_BYTES;
        self.dirty.extend(changed..len.max(self.live.len()).div_ceil(SECTOR_BYTES));
        self.live.resize(len, 0);
    }

    pub(super) fn sync(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        if !self.is_lost {
            self.durable.resize(self.live.len(), 0);
            dirty.into_iter().for_each(|at| copy_sector(&self.live, &mut self.durable, at));
        }
    }
}

/// Copies what there is of a sector.
fn copy_sector(from: &[u8], to: &mut Vec<u8>, sector: usize) {
    let start = sector * SECTOR_BYTES;
    let end = from.len().min(start + SECTOR_BYTES);
    if start < end {
        if to.len() < end {
            to.resize(end, 0);
        }
        to[start..end].copy_from_slice(&from[start..end]);
    }
}

impl Disk {
    pub(super) fn after_power_cut(&self, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let inodes = self.inodes.iter().map(|inode| inode.after_power_cut(&mut chance)).collect();
        let names = self.names_after_power_cut(&mut chance);
        Self { inodes, live: names.clone(), durable: names, now: self.now, ..Self::default() }
    }

    /// Each creation, removal and new name has happened or not. A new name takes the place of the
    /// old one at once.
    fn names_after_power_cut(&self, chance: &mut Chance) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        for (name, inode) in &self.live {
            if self.durable.get(name) != Some(inode) && chance.happens() {
                names.retain(|other, kept| kept != inode || self.live.contains_key(other));
                names.insert(name.clone(), *inode);
            }
        }
        let live: HashSet<usize> = self.live.values().copied().collect();
        for (name, inode) in &self.durable {
            let is_removed = !self.live.contains_key(name) && !live.contains(inode);
            if is_removed && chance.happens() {
                names.remove(name);
            }
        }
        names
    }

    /// Keeps the image of a power cut if this was the call.
    pub(super) fn cut_if_due(&mut self) {
        if let Some((at, seed)) = self.cut
            && self.faults.calls(Call::Any) == at
            && self.image.is_none()
        {
            self.image = Some(Box::new(self.after_power_cut(seed)));
        }
    }

    /// Counts a call and tells whether it is to fail.
    pub(super) fn call(&mut self, call: Call) -> Option<Fault> {
        let fault = self.faults.note(call);
        if call != Call::Write {
            self.cut_if_due();
        }
        fault
    }

    /// The same for a call that does nothing where it fails.
    pub(super) fn attempt(&mut self, call: Call) -> io::Result<()> {
        self.call(call).map_or(Ok(()), |fault| Err(fault.error()))
    }

    pub(super) fn has_room(&self, more: usize) -> bool {
        let used: usize = self.live.values().map(|inode| self.inodes[*inode].live.len()).sum();
        self.capacity.is_none_or(|capacity| used + more <= capacity)
    }
}
