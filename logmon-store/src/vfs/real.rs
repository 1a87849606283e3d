//! A directory of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use logmon_core::Timestamp;

use super::{Lock, LockError, Vfs, VfsFile};

/// A directory on a disk.
#[derive(Debug)]
pub struct RealVfs {
    dir: PathBuf,
}

#[derive(Debug)]
struct RealFile(File);

/// A lock on a file, given back when this is dropped: closing the file is not enough while another
/// thread starts a program, which has all open files until it begins.
#[derive(Debug)]
struct FileLock(File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Where that fails, closing the file still does it a moment later.
        drop(self.0.unlock());
    }
}

const LOCK_NAME: &str = "lock";

impl RealVfs {
    /// The directory at `dir`, made if there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        fs::create_dir_all(&dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            // Best effort: a directory that vanishes in a crash takes an empty journal with it,
            // and not every parent may be opened.
            drop(File::open(parent).and_then(|parent| parent.sync_all()));
        }
        Ok(Self { dir })
    }

    /// The directory at `dir`, to look at what is there: nothing is made.
    ///
    /// # Errors
    /// There is none, or it cannot be looked at.
    pub fn existing(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        if !fs::metadata(&dir)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { dir })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl RealVfs {
    /// The path of a file, which is no link and no device.
    fn regular(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.dir.join(name);
        if fs::symlink_metadata(&path)?.is_file() {
            return Ok(path);
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

impl Vfs for RealVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        Ok(Arc::new(RealFile(options.open(self.dir.join(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(RealFile(File::open(self.regular(name)?)?)))
    }

    fn open_to_write(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        Ok(Arc::new(RealFile(options.read(true).write(true).open(self.regular(name)?)?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn list(&self, is_wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_wanted(name)) else { continue };
            // The type of the entry itself: a link is no file.
            if entry.file_type()?.is_file() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    #[cfg(unix)]
    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_dir(&self) -> io::Result<()> {
        // Directories cannot be opened for this elsewhere; the file system's own journal orders
        // the names.
        Ok(())
    }

    fn lock(&self) -> Result<Lock, LockError> {
        let path = self.dir.join(LOCK_NAME);
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file").into());
        }
        // Not truncated: the number in it may be the owner's.
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Without a readable number the refusal says less.
                drop(io::Read::by_ref(&mut file).take(20).read_to_string(&mut text));
                return Err(LockError::Held { owner: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // The number is a courtesy: on a full disk the lock holds without it.
        drop(file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())));
        Ok(Lock::new(FileLock(file)))
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl VfsFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match read_some(&self.0, rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_all(&self.0, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(unix)]
fn read_some(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(unix)]
fn write_all(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_some(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(windows)]
fn write_all(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = RealVfs::new(dir.path()).unwrap();
        let lock = vfs.lock().unwrap();
        match RealVfs::new(dir.path()).unwrap().lock() {
            Err(LockError::Held { owner }) => assert_eq!(owner, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        vfs.lock().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_and_directories_are_neither_listed_nor_opened() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = RealVfs::new(dir.path()).unwrap();
        vfs.create("a").unwrap().write_at(b"x", 0).unwrap();
        std::os::unix::fs::symlink(dir.path().join("a"), dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        assert_eq!(vfs.list(&|_| true).unwrap(), ["a"]);
        assert!(vfs.open("link").is_err());
        assert!(vfs.open("sub").is_err());
        assert!(vfs.create("link").is_err());
    }

    #[test]
    fn reads_stop_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = RealVfs::new(dir.path()).unwrap();
        let file = vfs.create("a").unwrap();
        file.write_at(b"abc", 2).unwrap();
        file.sync_data().unwrap();
        vfs.sync_dir().unwrap();
        let mut buf = [9; 8];
        assert_eq!(vfs.open("a").unwrap().read_at(&mut buf, 1).unwrap(), 4);
        assert_eq!(&buf[..4], b"\0abc");
    }
}
