//! The disk as the journal sees it.

use std::io;
use std::sync::{Arc, PoisonError};

use logmon_core::Timestamp;

use super::disk::Inode;
use super::faults::{Call, Fault};
use super::{MemoryVfs, SECTOR_BYTES};
use crate::vfs::{Lock, LockError, Vfs, VfsFile};

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryVfs,
    inode: usize,
}

#[derive(Debug)]
struct MemoryLock(MemoryVfs);

impl Vfs for MemoryVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let mut disk = self.disk();
        disk.attempt(Call::Create)?;
        if disk.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.live.insert(name.to_owned(), inode);
        Ok(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let mut disk = self.disk();
        disk.attempt(Call::Open)?;
        let inode = *disk.live.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn open_to_write(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.open(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.attempt(Call::Remove)?;
        disk.live.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.attempt(Call::Rename)?;
        let inode = disk.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.live.insert(to.to_owned(), inode);
        Ok(())
    }

    fn list(&self, is_wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut disk = self.disk();
        disk.attempt(Call::List)?;
        Ok(disk.live.keys().filter(|name| is_wanted(name)).cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk();
        match disk.call(Call::SyncDir) {
            None => disk.durable = disk.live.clone(),
            Some(Fault::Lie) => {}
            Some(fault) => return Err(fault.error()),
        }
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
        let mut disk = self.disk.disk();
        let fault = disk.call(Call::Read);
        let content = &disk.inodes[self.inode].live;
        let rest = content.get(index(offset)..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        let sectors =
            offset / SECTOR_BYTES as u64..(offset + len as u64).div_ceil(SECTOR_BYTES as u64);
        let is_broken = |(inode, at): &(usize, u64)| *inode == self.inode && sectors.contains(at);
        if disk.unreadable.iter().any(is_broken) {
            return Err(Fault::Io.error());
        }
        buf[..len].copy_from_slice(&rest[..len]);
        match fault {
            None => {}
            Some(Fault::Flip) => buf[..len].iter_mut().skip(len / 2).take(1).for_each(|b| *b ^= 8),
            Some(fault) => return Err(fault.error()),
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.disk();
        let grown =
            (index(offset) + bytes.len()).saturating_sub(disk.inodes[self.inode].live.len());
        let fault = disk.call(Call::Write).or((!disk.has_room(grown)).then_some(Fault::Full));
        let written = match fault {
            None => bytes,
            Some(Fault::ReadOnly) => &[],
            Some(_) => &bytes[..bytes.len() / 2],
        };
        if !written.is_empty() {
            disk.inodes[self.inode].write(written, index(offset));
        }
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
        match fault {
            None => inode.sync(),
            // A later sync that is honest may still save it.
            Some(Fault::Lie) => {}
            Some(fault) => {
                // The kernel has marked the pages clean.
                inode.dirty.clear();
                inode.is_lost = true;
                return Err(fault.error());
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.disk();
        let is_shorter = index(len) <= disk.inodes[self.inode].live.len();
        match disk.call(Call::SetLen) {
            None => {}
            // Giving space back needs none.
            Some(Fault::Full) if is_shorter => {}
            Some(fault) => return Err(fault.error()),
        }
        disk.inodes[self.inode].set_len(index(len));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.disk();
        disk.attempt(Call::Len)?;
        Ok(disk.inodes[self.inode].live.len() as u64)
    }
}
