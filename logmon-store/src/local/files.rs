//! The files of a store: whole small ones, and the partition files that are open for reading.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::partition;
use crate::vfs::{Vfs, VfsFile};

/// The bytes of a small file; `None` where there is none, or one with more than `most` bytes.
pub(super) fn read_small(vfs: &dyn Vfs, name: &str, most: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match vfs.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if len > most {
        return Ok(None);
    }
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Puts a file with these bytes in place of any other of the name.
///
/// # Durability
/// Afterwards a crash leaves the new file; before, that one or the old one, whole.
pub(super) fn replace(vfs: &dyn Vfs, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = format!("{name}.new");
    match vfs.remove(&draft) {
        // From a crash, or an attempt that failed.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = vfs.create(&draft)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    vfs.rename(&draft, name)?;
    vfs.sync_dir()
}

/// Opens partition files and keeps those used last open.
#[derive(Debug)]
pub(super) struct OpenFiles {
    vfs: Arc<dyn Vfs>,
    most: usize,
    /// Used last at the back.
    open: Mutex<VecDeque<(u64, Arc<dyn VfsFile>)>>,
}

impl OpenFiles {
    pub(super) fn new(vfs: Arc<dyn Vfs>, most: usize) -> Self {
        Self { vfs, most: most.max(1), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<dyn VfsFile>)>> {
        // Nothing panics while the lock is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a partition.
    pub(super) fn get(&self, number: u64) -> io::Result<Arc<dyn VfsFile>> {
        let mut open = self.open();
        if open.back().is_none_or(|(last, _)| *last != number)
            && let Some(at) = open.iter().position(|(known, _)| *known == number)
            && let Some(found) = open.remove(at)
        {
            open.push_back(found);
        }
        match open.back() {
            Some((last, file)) if *last == number => return Ok(file.clone()),
            _ => drop(open),
        }
        let file = self.vfs.open(&partition::file_name(number))?;
        self.add(number, file.clone());
        Ok(file)
    }

    /// Takes over a file that is open.
    pub(super) fn add(&self, number: u64, file: Arc<dyn VfsFile>) {
        let mut open = self.open();
        // Several threads may have opened it at once.
        open.retain(|(known, _)| *known != number);
        while open.len() >= self.most {
            open.pop_front();
        }
        open.push_back((number, file));
    }

    /// Lets go of a file that is removed.
    pub(super) fn forget(&self, number: u64) {
        self.open().retain(|(known, _)| *known != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::memory::MemoryVfs;

    #[test]
    fn no_more_than_so_many_files_are_open() {
        let vfs = MemoryVfs::new();
        (0..5_u8).for_each(|number| vfs.put(&partition::file_name(number.into()), vec![number]));
        let files = OpenFiles::new(Arc::new(vfs.clone()), 2);
        for number in [0, 1, 0, 2, 3, 0, 4] {
            let mut byte = [9];
            files.get(number).unwrap().read_at(&mut byte, 0).unwrap();
            assert_eq!(u64::from(byte[0]), number);
            assert!(files.open().len() <= 2);
        }
        assert_eq!(files.open().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 4]);
        files.forget(4);
        vfs.take(&partition::file_name(4));
        assert_eq!(files.get(4).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
