//! A disk in memory that fails on demand. For tests.
//!
//! It keeps two images of everything: what a running process sees, and what would be there after a
//! power cut. [`MemoryVfs::power_cut`] gives a new disk with the second one, to which any sectors
//! that were written and not yet synced are added or not, as a seed decides.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use logmon_core::Timestamp;

mod disk;
mod faults;
mod files;

use disk::{Disk, Inode};
pub use faults::{Call, Fault};

/// What survives a power cut is decided for each of these.
pub const SECTOR_BYTES: usize = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryVfs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    disk: Mutex<Disk>,
    changed: Condvar,
}

impl MemoryVfs {
    /// An empty disk without bounds.
    pub fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the `nth` call (from 1) of this kind from now on fail.
    pub fn fail(&self, call: Call, nth: usize, fault: Fault) {
        self.disk().faults.plan(call, (nth, 1), fault);
    }

    /// Lets the `nth` call (from 1) of this kind from now on fail, and all that follow until
    /// [`MemoryVfs::heal`].
    pub fn fail_from(&self, call: Call, nth: usize, fault: Fault) {
        self.disk().faults.plan(call, (nth, usize::MAX), fault);
    }

    /// Lets one of `one_in` calls of this kind fail, as one of `faults` where that can befall the
    /// call. The same seed and the same calls give the same failures.
    pub fn fail_at_random(&self, call: Call, (seed, one_in): (u64, u64), faults: &[Fault]) {
        self.disk().faults.plan_at_random(call, (seed, one_in), faults);
    }

    /// Lets nothing more fail. Sectors that were broken stay so.
    pub fn heal(&self) {
        self.disk().faults.heal();
    }

    /// How many calls were made to fail.
    pub fn hits(&self) -> usize {
        self.disk().faults.hits()
    }

    /// Cuts the power in the `nth` call (from 1) that changes the disk, see [`MemoryVfs::cut_image`]. A write
    /// has happened by then, anything else has not.
    pub fn cut_at(&self, nth: usize, seed: u64) {
        let mut disk = self.disk();
        let at = disk.faults.calls(Call::Any) + nth;
        disk.cut = Some((at, seed));
    }

    /// The disk after the power cut that was asked for, if there were so many calls.
    pub fn cut_image(&self) -> Option<Self> {
        self.disk().image.take().map(|disk| Self::from_disk(*disk))
    }

    fn from_disk(disk: Disk) -> Self {
        Self(Arc::new(Shared { disk: Mutex::new(disk), changed: Condvar::new() }))
    }

    /// How many calls of this kind there were.
    pub fn calls(&self, call: Call) -> usize {
        self.disk().faults.calls(call)
    }

    /// Bounds the bytes of all files; `None` frees the disk again.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.disk().capacity = bytes;
    }

    /// Sets the clock, which then stands still.
    pub fn set_now(&self, now: Timestamp) {
        self.disk().now = Some(now);
    }

    /// Makes the sector at `offset` of a file unreadable.
    pub fn break_sector(&self, name: &str, offset: u64) {
        let mut disk = self.disk();
        if let Some(inode) = disk.live.get(name).copied() {
            disk.unreadable.insert((inode, offset / SECTOR_BYTES as u64));
        }
    }

    /// Lets every sync wait until [`MemoryVfs::release_syncs`].
    pub fn hold_syncs(&self) {
        self.disk().are_syncs_held = true;
    }

    /// Lets waiting and later syncs go on.
    pub fn release_syncs(&self) {
        self.disk().are_syncs_held = false;
        self.0.changed.notify_all();
    }

    /// Blocks until a sync waits.
    pub fn wait_for_sync(&self) {
        let mut disk = self.disk();
        while disk.syncs_waiting == 0 {
            disk = self.0.changed.wait(disk).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The disk after a power cut now. Of what was not synced, `seed` 0 loses all; any other
    /// decides for each sector, each length and each name by itself.
    pub fn power_cut(&self, seed: u64) -> Self {
        Self::from_disk(self.disk().after_power_cut(seed))
    }

    /// A copy of the disk as a running process sees it, as after a kill.
    pub fn snapshot(&self) -> Self {
        let disk = self.disk();
        let mut inodes = disk.inodes.clone();
        for inode in &mut inodes {
            inode.durable.clone_from(&inode.live);
            inode.dirty.clear();
        }
        let names = disk.live.clone();
        let after =
            Disk { inodes, live: names.clone(), durable: names, now: disk.now, ..Disk::default() };
        Self::from_disk(after)
    }

    /// A copy of the disk as the next process finds it after a kill: what was not synced is there,
    /// and a power cut may still take it.
    pub fn killed(&self) -> Self {
        let disk = self.disk();
        Self::from_disk(Disk {
            inodes: disk.inodes.clone(),
            live: disk.live.clone(),
            durable: disk.durable.clone(),
            now: disk.now,
            ..Disk::default()
        })
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.disk().live.keys().cloned().collect()
    }

    /// A file's bytes.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.live.get(name).map(|inode| disk.inodes[*inode].live.clone())
    }

    /// Puts a file with these bytes, durably, in place of any other of the name.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let inode = disk.inodes.len();
        disk.inodes.push(Inode { live: bytes.clone(), durable: bytes, ..Inode::default() });
        disk.live.insert(name.to_owned(), inode);
        disk.durable.insert(name.to_owned(), inode);
    }

    /// Takes a file away, durably.
    pub fn take(&self, name: &str) -> Option<Vec<u8>> {
        let content = self.content(name);
        let mut disk = self.disk();
        disk.live.remove(name);
        disk.durable.remove(name);
        content
    }
}

/// A small generator of chances. With seed 0 nothing ever happens.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn happens(&mut self) -> bool {
        self.next() != 0 && self.0.count_ones().is_multiple_of(2)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end.max(1)
    }
}

#[cfg(test)]
mod tests;
