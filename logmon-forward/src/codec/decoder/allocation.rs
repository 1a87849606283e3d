//! How much memory a buffer is the rest of.

use bytes::BytesMut;

/// The memory behind a buffer whose front is given away piece by piece.
#[derive(Debug, Default)]
pub(super) struct Allocation {
    start: usize,
    end: usize,
}

impl Allocation {
    /// How many bytes of memory the buffer is the rest of, as far as was seen. To be asked whenever
    /// bytes have been added, before any are given away.
    pub(super) fn size(&mut self, buffer: &BytesMut) -> usize {
        let start = buffer.as_ptr().addr();
        let end = start.saturating_add(buffer.capacity());
        // What is given away at the front leaves the end where it is; new memory has another.
        if end == self.end {
            self.start = self.start.min(start);
        } else {
            *self = Self { start, end };
        }
        self.end - self.start
    }
}
