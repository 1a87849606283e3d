//! Waiting for room: on the disk, and in what the journal may take of it.

use std::io;
use std::time::Duration;

use super::{Active, Stop, Trouble, Writer};
use crate::journal::queue::Paused;
use crate::journal::shared::Obstacle;

/// How long to wait before something is tried again: longer each time.
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause
    }
}

impl Writer {
    pub(super) fn backoff(&self) -> Backoff {
        let first = self.config.full_retry;
        Backoff { next: first, most: first * 10 }
    }

    /// Sees to it that there is a segment with room for so many bytes, once the cursors that hold
    /// on to the oldest ones have moved on.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), Stop> {
        let mut backoff = self.backoff();
        while !self.has_room(bytes) {
            if let Some(cursor) = self.holder() {
                self.shared.wait_for(Obstacle::Held(&cursor));
                self.wait(&mut backoff)?;
                continue;
            }
            self.sync_dirty()?;
            match self.begin_segment() {
                Ok(()) => {
                    self.shared.go_on();
                    self.retain()?;
                    self.provide_spare();
                }
                Err(Trouble::Full(error)) => {
                    self.shared.wait_for(Obstacle::Full(&error));
                    self.wait(&mut backoff)?;
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(())
    }

    /// The same before a message of so many bytes becomes a segment of its own.
    pub(super) fn make_room_for_message(&mut self, bytes: u64) -> Result<(), Stop> {
        let mut backoff = self.backoff();
        while let Some(cursor) = self.holder_before(bytes) {
            self.shared.wait_for(Obstacle::Held(&cursor));
            self.wait(&mut backoff)?;
        }
        self.shared.go_on();
        if self.active.is_none() {
            self.until_space(Self::begin_segment)?;
        }
        Ok(())
    }

    fn has_room(&self, bytes: u64) -> bool {
        let is_full = |active: &Active| {
            active.has_events && active.len.saturating_add(bytes) > self.config.segment_bytes
        };
        self.active.as_ref().is_some_and(|active| !is_full(active))
    }

    /// Waits a while. What cursors say meanwhile is noted, and what they no longer need goes.
    pub(super) fn wait(&mut self, backoff: &mut Backoff) -> Result<(), Stop> {
        if self.shared.queue.pause(backoff.next()) == Paused::Closing {
            return Err(Stop::Closing);
        }
        self.note_changes()?;
        self.retain()
    }

    /// Tries again while the disk is full.
    pub(super) fn until_space(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<(), Trouble>,
    ) -> Result<(), Stop> {
        let mut backoff = self.backoff();
        loop {
            match attempt(self) {
                Ok(()) => {
                    self.shared.go_on();
                    return Ok(());
                }
                Err(Trouble::Full(error)) => self.shared.wait_for(Obstacle::Full(&error)),
                Err(trouble) => return Err(trouble.into()),
            }
            if self.shared.queue.pause_for_all(backoff.next()) {
                return Err(Stop::Closing);
            }
        }
    }
}

/// Whether trying again later may help.
pub(in crate::journal) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, QuotaExceeded, StorageFull};
    matches!(error.kind(), AlreadyExists | QuotaExceeded | StorageFull)
        // ENFILE and EMFILE, which have no kind: descriptors come back as space does.
        || matches!(error.raw_os_error(), Some(23 | 24))
}
