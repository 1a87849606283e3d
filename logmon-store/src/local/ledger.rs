//! What has gone, remembered in the file `ledger`.
//!
//! The file is `LMSTLG` `01` `0a`; the number up to which the partitions reached that were removed,
//! the events ever put into blocks up to there, and those removed by age and by size (8 bytes each);
//! the count of partitions being removed (4 bytes) and their numbers (8 bytes each); and the CRC-32C
//! of all that (4 bytes). Numbers are little-endian.

use super::files::{read_small, replace};
use crate::vfs::Vfs;
use crate::wire::{Fields, Put as _};

pub(super) const NAME: &str = "ledger";
const MAGIC: &[u8; 8] = b"LMSTLG\x01\n";
/// More than are ever removed at once.
const MAX_REMOVING: usize = 1 << 16;
const MAX_BYTES: usize = 64 + MAX_REMOVING * 8;

/// Events that retention has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "retention has these two limits")]
pub struct Gone {
    /// Because they were too old.
    pub by_age: u64,
    /// Because there was too much.
    pub by_size: u64,
}

impl Gone {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.by_age + self.by_size
    }
}

/// The books of a store, as far as no partition has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Behind the last number in a partition that was removed.
    pub(super) end_seq: u64,
    /// Events ever put into blocks, up to the last partition that was removed.
    pub(super) delivered: u64,
    pub(super) expired: Gone,
    /// Partitions that are no part of the store any more, whose files may be there still.
    pub(super) removing: Vec<u64>,
}

impl Ledger {
    /// The ledger of a directory; `None` where there is none, or none that is intact.
    pub(super) fn read(vfs: &dyn Vfs) -> std::io::Result<Option<Self>> {
        Ok(read_small(vfs, NAME, MAX_BYTES)?.as_deref().and_then(Self::parse))
    }

    /// Writes it.
    ///
    /// # Durability
    /// Afterwards a crash leaves this ledger.
    pub(super) fn write(&self, vfs: &dyn Vfs) -> std::io::Result<()> {
        replace(vfs, NAME, &self.to_bytes())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let Gone { by_age, by_size } = self.expired;
        [self.end_seq, self.delivered, by_age, by_size]
            .into_iter()
            .for_each(|number| out.put_u64(number));
        out.put_u32(u32::try_from(self.removing.len()).unwrap_or(u32::MAX));
        self.removing.iter().for_each(|number| out.put_u64(*number));
        out.put_crc();
        out
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut take = Fields::checked(bytes, MAGIC)?;
        let (end_seq, delivered) = (take.u64()?, take.u64()?);
        let mut ledger = Self { end_seq, delivered, ..Self::default() };
        ledger.expired = Gone { by_age: take.u64()?, by_size: take.u64()? };
        for _ in 0..take.u32()? {
            ledger.removing.push(take.u64()?);
        }
        take.is_empty().then_some(ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::memory::MemoryVfs;

    #[test]
    fn what_is_written_is_read_and_damage_is_noticed() {
        let vfs = MemoryVfs::new();
        assert_eq!(Ledger::read(&vfs).unwrap(), None);
        let expired = Gone { by_age: 3, by_size: 4 };
        let ledger = Ledger { end_seq: 8, delivered: 9, expired, removing: vec![1, 7] };
        for ledger in [Ledger::default(), ledger] {
            ledger.write(&vfs).unwrap();
            assert_eq!(Ledger::read(&vfs).unwrap(), Some(ledger));
        }
        let whole = vfs.content(NAME).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert_eq!(Ledger::parse(&bytes), None, "{at}");
            assert_eq!(Ledger::parse(&whole[..at]), None, "{at}");
        }
    }
}
