//! The limit on what is being staged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use logmon_core::AppendError;

/// Messages that may be on their way at once; each holds a file open.
const MAX_OPEN: usize = 64;

/// The bytes and files of all messages being staged.
#[derive(Debug)]
pub(in crate::journal) struct Room {
    max_bytes: u64,
    /// The most bytes of one message.
    max_message_bytes: u64,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    open: usize,
    /// Begun so far, for their names.
    begun: u32,
}

impl Room {
    /// A room of so many bytes, for messages of which retention would not remove one at once.
    pub(in crate::journal) fn new(max_bytes: u64, kept_bytes: u64) -> Self {
        Self { max_bytes, max_message_bytes: max_bytes.min(kept_bytes), used: Mutex::default() }
    }

    /// Bytes staged and not yet part of the journal.
    pub(in crate::journal) fn bytes(&self) -> u64 {
        self.used().bytes
    }

    /// Lets a message begin; gives a number for it.
    pub(super) fn enter(&self) -> Result<u32, AppendError> {
        let mut used = self.used();
        let is_full = used.open > 0 && used.bytes >= self.max_bytes;
        if used.open >= MAX_OPEN || is_full {
            return Err(busy(used.bytes));
        }
        used.open += 1;
        used.begun = used.begun.wrapping_add(1);
        Ok(used.begun)
    }

    /// Whether there can ever be room for a message of so many bytes.
    pub(super) fn check(&self, whole: u64) -> Result<(), AppendError> {
        if whole <= self.max_message_bytes {
            return Ok(());
        }
        Err(AppendError::TooLarge { bytes: usize::try_from(whole).unwrap_or(usize::MAX) })
    }

    /// Reserves bytes for a message that has `reserved` before.
    pub(super) fn take(&self, bytes: u64, reserved: u64) -> Result<(), AppendError> {
        self.check(reserved.saturating_add(bytes))?;
        let mut used = self.used();
        if used.bytes.saturating_add(bytes) > self.max_bytes {
            return Err(busy(used.bytes));
        }
        used.bytes += bytes;
        Ok(())
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used().bytes -= bytes;
    }

    /// A message has become part of the journal, or is discarded.
    pub(super) fn leave(&self, bytes: u64) {
        let mut used = self.used();
        used.bytes -= bytes;
        used.open -= 1;
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Nothing panics while the lock is held.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said where there is no room.
pub(super) fn busy(bytes: u64) -> AppendError {
    AppendError::Busy { queued_bytes: usize::try_from(bytes).unwrap_or(usize::MAX) }
}
