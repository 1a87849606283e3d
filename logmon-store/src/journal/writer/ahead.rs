//! Writing into bytes that the file has already.
//!
//! A sync behind a write that makes a file longer has to save the length too, and where the new
//! bytes lie: that is a transaction of the file system's own journal. So a small group is preceded
//! by zeros behind its place, once for many groups; those that follow are written over the zeros,
//! and their syncs save nothing but them. What was measured is in `benches/results`.
//!
//! A closed segment has no zeros at its end, unless a crash or the disk came in between, and a
//! reader takes them for what they are: room that was never written to.

use std::io;

use super::{Active, Trouble, Writer};

/// So many zeros are written at once.
const AHEAD_BYTES: u64 = if cfg!(test) { 2 << 10 } else { 256 << 10 };
/// A longer group is worth a transaction of its own.
const SMALL_GROUP_BYTES: u64 = if cfg!(test) { 512 } else { 4 << 10 };

impl Active {
    /// Writes behind what is committed, with room for what follows if this is small.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        let end = self.len + len;
        let is_worth_it = self.is_filled_ahead && !self.is_spare && len <= SMALL_GROUP_BYTES;
        if end > self.filled && is_worth_it {
            // Where there is no room for zeros there may still be some for the group.
            match self.file.write_at(&zeros(AHEAD_BYTES), end) {
                Ok(()) => self.filled = end + AHEAD_BYTES,
                Err(error) if super::is_full(&error) => self.file.set_len(self.filled)?,
                Err(error) => return Err(error),
            }
        }
        self.file.write_at(bytes, self.len)?;
        self.filled = self.filled.max(end);
        Ok(())
    }

    /// Makes the rubbish of a failed write nothing.
    fn erase(&mut self) -> io::Result<()> {
        if self.is_spare {
            self.file.write_at(&zeros(self.filled.saturating_sub(self.len)), self.len)?;
            return self.file.set_len(self.filled);
        }
        self.filled = self.len;
        self.file.set_len(self.len)
    }

    /// Cuts off the zeros of a segment that is closed. They do no harm where that fails.
    pub(super) fn cut(&mut self) {
        if self.filled > self.len && self.file.set_len(self.len).is_ok() {
            self.filled = self.len;
        }
    }
}

impl Writer {
    /// Writes behind what is committed.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let Some(active) = &mut self.active else { return Ok(()) };
        active.write(bytes).map_err(|error| {
            let trouble = Trouble::of("writing", error);
            match active.erase() {
                Err(error) if matches!(trouble, Trouble::Full(_)) => {
                    Trouble::Failed("cutting off what a full disk did not take", error)
                }
                _ => trouble,
            }
        })
    }
}

pub(super) fn zeros(len: u64) -> Vec<u8> {
    vec![0; usize::try_from(len).unwrap_or_default()]
}
