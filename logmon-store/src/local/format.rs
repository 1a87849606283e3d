//! The file `FORMAT`: whose directory this is.
//!
//! It is `LMSTORE` `0a`, the version of the format (2 bytes), the number of the store that all its
//! files have (8 bytes) and the CRC-32C of all that (4 bytes). Numbers are little-endian.

use logmon_core::Epoch;

use super::files::{read_small, replace};
use super::partition;
use super::report::{StoreDamage, StoreError, StoreReport};
use crate::vfs::Vfs;
use crate::wire::{Fields, Put as _};

pub(super) const NAME: &str = "FORMAT";
const MAGIC: &[u8; 8] = b"LMSTORE\n";
const VERSION: u16 = 1;

/// Sees to it that the directory is that of a store, and founds one where it is empty. Gives the
/// store's number.
pub(super) fn check(vfs: &dyn Vfs, report: &mut StoreReport) -> Result<u64, StoreError> {
    let known = match read(vfs)? {
        Some(store) => return Ok(store),
        None => look_past(vfs, "it is missing or damaged; it was written again", report)?,
    };
    let store = known.unwrap_or_else(|| new_store(vfs));
    replace(vfs, NAME, &content(store)).map_err(StoreError::io("writing FORMAT"))?;
    Ok(store)
}

/// The number of the store in a directory, which stays as it is; `None` where there is no store.
pub(super) fn look(vfs: &dyn Vfs, report: &mut StoreReport) -> Result<Option<u64>, StoreError> {
    match read(vfs)? {
        Some(store) => Ok(Some(store)),
        None => look_past(vfs, "it is missing or damaged", report),
    }
}

/// What the file says, if it is intact.
fn read(vfs: &dyn Vfs) -> Result<Option<u64>, StoreError> {
    let bytes = read_small(vfs, NAME, 1 << 10).map_err(StoreError::io("reading FORMAT"))?;
    let Some(mut take) = bytes.as_deref().and_then(|bytes| Fields::checked(bytes, MAGIC)) else {
        return Ok(None);
    };
    match (take.u16(), take.u64()) {
        (Some(VERSION), Some(store)) => Ok(Some(store)),
        (version, _) => {
            let what = format!("format version {}", version.unwrap_or(0));
            Err(StoreError::Later { file: NAME.into(), what })
        }
    }
}

/// The number of a store without an intact file, from a partition of it; `None` where there is none.
fn look_past(
    vfs: &dyn Vfs,
    what: &str,
    report: &mut StoreReport,
) -> Result<Option<u64>, StoreError> {
    match look_around(vfs)? {
        Around::Empty => Ok(None),
        Around::Partitions(numbers) => {
            let (file, what) = (NAME.to_owned(), what.to_owned());
            report.damages.push(StoreDamage { file, range: (0, 0), events: Some(0), what });
            Ok(numbers.into_iter().find_map(|number| store_of(vfs, number)))
        }
        Around::Others(file) => Err(StoreError::Foreign { file }),
    }
}

/// A number that no other store has.
fn new_store(vfs: &dyn Vfs) -> u64 {
    let mut bytes = [0; 8];
    bytes[..7].copy_from_slice(&Epoch::new(vfs.now()).to_bytes());
    u64::from_le_bytes(bytes)
}

/// The store a partition file belongs to.
fn store_of(vfs: &dyn Vfs, number: u64) -> Option<u64> {
    let mut bytes = [0; partition::HEADER_BYTES];
    vfs.open(&partition::file_name(number)).ok()?.read_at(&mut bytes, 0).ok()?;
    Some(partition::Header::parse(&bytes).ok()?.store)
}

fn content(store: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.put_u16(VERSION);
    bytes.put_u64(store);
    bytes.put_crc();
    bytes
}

enum Around {
    Empty,
    /// There are partition files with these numbers.
    Partitions(Vec<u64>),
    /// There is such a file, and nothing of a store.
    Others(String),
}

fn look_around(vfs: &dyn Vfs) -> Result<Around, StoreError> {
    let other = std::cell::RefCell::new(None);
    let is_partition = |name: &str| {
        let is_ours = partition::number_of(name).is_some();
        if !is_ours && name != "lock" && name != format!("{NAME}.new") {
            other.borrow_mut().get_or_insert_with(|| name.to_owned());
        }
        is_ours
    };
    let found = vfs.list(&is_partition).map_err(StoreError::io("listing the directory"))?;
    Ok(match other.into_inner() {
        _ if !found.is_empty() => {
            let mut numbers: Vec<u64> =
                found.iter().filter_map(|name| partition::number_of(name)).collect();
            numbers.sort_unstable();
            Around::Partitions(numbers)
        }
        Some(file) => Around::Others(file),
        None => Around::Empty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::memory::MemoryVfs;

    #[test]
    fn an_empty_directory_becomes_a_store_and_stays_one() {
        let vfs = MemoryVfs::new();
        let mut report = StoreReport::default();
        let store = check(&vfs, &mut report).unwrap();
        vfs.put("other", Vec::new());
        assert_eq!(check(&vfs, &mut report).unwrap(), store);
        assert_ne!(check(&MemoryVfs::new(), &mut report).unwrap(), store);
        assert_eq!(report.damages, []);
    }

    /// R-098 and S-024: what a later version has written is left alone.
    #[test]
    fn a_later_version_is_refused_untouched() {
        let vfs = MemoryVfs::new();
        let mut later = MAGIC.to_vec();
        later.put_u16(2);
        later.put_crc();
        vfs.put(NAME, later.clone());
        let error = check(&vfs, &mut StoreReport::default()).unwrap_err();
        assert!(error.to_string().contains("format version 2"), "{error}");
        assert_eq!(vfs.content(NAME), Some(later));
    }

    #[test]
    fn a_directory_of_something_else_is_refused_untouched() {
        let vfs = MemoryVfs::new();
        vfs.put("0000000000000001.seg", vec![1, 2, 3]);
        let error = check(&vfs, &mut StoreReport::default()).unwrap_err();
        assert!(error.to_string().contains("0000000000000001.seg"), "{error}");
        assert_eq!(vfs.names(), ["0000000000000001.seg"]);
    }

    ///
    #[test]
    fn a_damaged_one_beside_partitions_is_written_again() {
        for damaged in [None, Some(Vec::new()), Some(b"LMSTORE\n\x01\x00....".to_vec())] {
            let vfs = MemoryVfs::new();
            let header = partition::Header {
                store: 77,
                number: 2,
                first_seq: 1,
                events_before: 0,
                begun: vfs.now(),
            };
            vfs.put(&partition::file_name(1), Vec::new());
            vfs.put(&partition::file_name(2), header.to_bytes());
            if let Some(bytes) = damaged {
                vfs.put(NAME, bytes);
            }
            let mut report = StoreReport::default();
            assert_eq!(check(&vfs, &mut report).unwrap(), 77);
            assert_eq!(report.damages.len(), 1);
            assert_eq!(vfs.content(NAME), Some(content(77)));
        }
    }
}
