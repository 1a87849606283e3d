//! A disk in memory that fails on demand. For tests.
//!
//! It keeps two images of everything: what a running process sees, and what would be there after a
//! power cut. [`MemoryVfs::power_cut`] gives a new disk with the second one, to which any sectors
//! that were written and not yet synced are added or not, as a seed decides.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use logmon_core::Timestamp;

use super::{Lock, LockError, Vfs, VfsFile};

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

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    is_locked: bool,
    capacity: Option<usize>,
    faults: Vec<(Call, usize, Fault)>,
    calls: BTreeMap<Call, usize>,
    unreadable: HashSet<(usize, u64)>,
    /// At which call to keep an image, and how it was seeded.
    cut: Option<(usize, u64)>,
    image: Option<Box<Self>>,
    are_syncs_held: bool,
    syncs_waiting: usize,
    now: Option<Timestamp>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: HashSet<usize>,
    /// A sync failed: what it was to save never gets to the medium, whatever later syncs say.
    is_lost: bool,
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryVfs,
    inode: usize,
}

#[derive(Debug)]
struct MemoryLock(MemoryVfs);

/// The calls that can be counted and made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Any of those below.
    Any,
    /// [`Vfs::create`].
    Create,
    /// [`Vfs::remove`].
    Remove,
    /// [`Vfs::rename`].
    Rename,
    /// [`VfsFile::set_len`].
    SetLen,
    /// [`VfsFile::sync_data`].
    Sync,
    /// [`Vfs::sync_dir`].
    SyncDir,
    /// [`VfsFile::write_at`].
    Write,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full; half of a write has happened.
    Full,
    /// The medium fails; half of a write has happened. What a sync was to save stays readable and
    /// is lost in the next power cut.
    Io,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Full => io::ErrorKind::StorageFull.into(),
            Self::Io => io::Error::other("injected failure of the medium"),
        }
    }
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
        let mut disk = self.disk();
        let at = disk.calls.get(&call).copied().unwrap_or(0) + nth;
        disk.faults.push((call, at, fault));
    }

    /// Cuts the power in the `nth` call (from 1) of any kind, see [`MemoryVfs::cut_image`]. A write
    /// has happened by then, anything else has not.
    pub fn cut_at(&self, nth: usize, seed: u64) {
        let mut disk = self.disk();
        let at = disk.calls.get(&Call::Any).copied().unwrap_or(0) + nth;
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
        self.disk().calls.get(&call).copied().unwrap_or(0)
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

/// A small generator of coin tosses.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn happens(&mut self) -> bool {
        if self.0 == 0 {
            return false;
        }
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.count_ones().is_multiple_of(2)
    }
}

impl Inode {
    fn after_power_cut(&self, chance: &mut Chance) -> Self {
        let mut content = self.durable.clone();
        let mut dirty: Vec<usize> = self.dirty.iter().copied().collect();
        dirty.sort_unstable();
        for sector in dirty {
            let start = sector * SECTOR_BYTES;
            let end = self.live.len().min(start + SECTOR_BYTES);
            if start < end && chance.happens() {
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[start..end].copy_from_slice(&self.live[start..end]);
            }
        }
        if self.live.len() < content.len() && chance.happens() {
            content.truncate(self.live.len());
        }
        Self { live: content.clone(), durable: content, ..Self::default() }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }
}

impl Disk {
    fn after_power_cut(&self, seed: u64) -> Self {
        let mut chance = Chance(seed);
        let inodes = self.inodes.iter().map(|inode| inode.after_power_cut(&mut chance)).collect();
        let mut names = self.durable.clone();
        for (name, inode) in &self.live {
            if !names.contains_key(name) && chance.happens() {
                names.insert(name.clone(), *inode);
            }
        }
        for name in self.durable.keys() {
            if !self.live.contains_key(name) && chance.happens() {
                names.remove(name);
            }
        }
        Self { inodes, live: names.clone(), durable: names, now: self.now, ..Self::default() }
    }

    /// Keeps the image of a power cut if this was the call.
    fn cut_if_due(&mut self) {
        if let Some((at, seed)) = self.cut
            && self.calls.get(&Call::Any) == Some(&at)
            && self.image.is_none()
        {
            self.image = Some(Box::new(self.after_power_cut(seed)));
        }
    }

    /// Counts a call and tells whether it is to fail.
    fn call(&mut self, call: Call) -> Option<Fault> {
        let mut fault = None;
        for kind in [Call::Any, call] {
            let count = self.calls.entry(kind).or_default();
            *count += 1;
            let wanted = self.faults.iter().find(|(which, at, _)| *which == kind && at == count);
            fault = fault.or(wanted.map(|(_, _, fault)| *fault));
        }
        if call != Call::Write {
            self.cut_if_due();
        }
        fault
    }

    fn has_room(&self, more: usize) -> bool {
        let used: usize = self.live.values().map(|inode| self.inodes[*inode].live.len()).sum();
        self.capacity.is_none_or(|capacity| used + more <= capacity)
    }
}

impl Vfs for MemoryVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let mut disk = self.disk();
        if let Some(fault) = disk.call(Call::Create) {
            return Err(fault.error());
        }
        if disk.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.live.insert(name.to_owned(), inode);
        Ok(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let inode = *self.disk().live.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        if let Some(fault) = disk.call(Call::Remove) {
            return Err(fault.error());
        }
        disk.live.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        if let Some(fault) = disk.call(Call::Rename) {
            return Err(fault.error());
        }
        let inode = disk.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.live.insert(to.to_owned(), inode);
        Ok(())
    }

    fn list(&self, is_wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<String>> {
        Ok(self.disk().live.keys().filter(|name| is_wanted(name)).cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk();
        if let Some(fault) = disk.call(Call::SyncDir) {
            return Err(fault.error());
        }
        disk.durable = disk.live.clone();
        Ok(())
    }

    fn lock(&self) -> Result<Lock, LockError> {
        let mut disk = self.disk();
        if disk.is_locked {
            return Err(LockError::Held { owner: Some(std::process::id()) });
        }
        disk.is_locked = true;
        Ok(Lock::new(MemoryLock(self.clone())))
    }

    fn now(&self) -> Timestamp {
        self.disk().now.unwrap_or_else(Timestamp::now)
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.disk().is_locked = false;
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl VfsFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.disk.disk();
        let content = &disk.inodes[self.inode].live;
        let rest = content.get(index(offset)..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        let sectors =
            offset / SECTOR_BYTES as u64..(offset + len as u64).div_ceil(SECTOR_BYTES as u64);
        if disk.unreadable.iter().any(|(inode, at)| *inode == self.inode && sectors.contains(at)) {
            return Err(Fault::Io.error());
        }
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.disk();
        let grown =
            (index(offset) + bytes.len()).saturating_sub(disk.inodes[self.inode].live.len());
        let fault = disk.call(Call::Write).or((!disk.has_room(grown)).then_some(Fault::Full));
        let written = if fault.is_some() { &bytes[..bytes.len() / 2] } else { bytes };
        disk.inodes[self.inode].write(written, index(offset));
        disk.cut_if_due();
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.disk();
        let fault = disk.call(Call::Sync);
        if disk.are_syncs_held {
            disk.syncs_waiting += 1;
            self.disk.0.changed.notify_all();
            while disk.are_syncs_held {
                disk = self.disk.0.changed.wait(disk).unwrap_or_else(PoisonError::into_inner);
            }
            disk.syncs_waiting -= 1;
        }
        let inode = &mut disk.inodes[self.inode];
        // Also after a failure: the kernel has marked the pages clean.
        inode.dirty.clear();
        if let Some(fault) = fault {
            inode.is_lost = true;
            return Err(fault.error());
        }
        if !inode.is_lost {
            inode.durable.clone_from(&inode.live);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.disk();
        if let Some(fault) = disk.call(Call::SetLen) {
            return Err(fault.error());
        }
        disk.inodes[self.inode].live.resize(index(len), 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.disk().inodes[self.inode].live.len() as u64)
    }
}
