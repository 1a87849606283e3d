//! The limit on what is being staged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use logmon_core::AppendError;

/// Messages that may be on their way at once; each holds a file open.
const MAX_OPEN: usize = 64;

/// The bytes and files of all messages being staged.
#[derive(Debug)]
pub(in crate::journal) struct Room {
    max_bytes: u64,
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
    pub(in crate::journal) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, used: Mutex::default() }
    }

    /// Bytes staged and not yet part of the journal.
    pub(in crate::journal) fn bytes(&self) -> u64 {
        self.used().bytes
    }

    /// Lets a message begin; gives a number for it.
    pub(super) fn enter(&self) -> Result<u32, AppendError> {
        let mut used = self.used();
        if used.open >= MAX_OPEN || used.bytes >= self.max_bytes {
            return Err(busy(used.bytes));
        }
        used.open += 1;
        used.begun = used.begun.wrapping_add(1);
        Ok(used.begun)
    }

    /// Reserves bytes.
    pub(super) fn take(&self, bytes: u64) -> Result<(), AppendError> {
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
