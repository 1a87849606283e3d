//! Remembering the chunks of the segment that is written.

use std::collections::VecDeque;
use std::io;

use logmon_core::{Epoch, Fingerprint, SeenChunk, Timestamp};

use super::Writer;
use crate::journal::chunks::{self, MAX_CHUNKS, window_start};
use crate::journal::control::SegmentInfo;
use crate::vfs::Vfs;

/// Files that are kept at most.
const MAX_FILES: usize = 4096;

/// The chunks of the segment that is written, and the files about others.
#[derive(Debug, Default)]
pub(in crate::journal) struct Seen {
    chunks: Vec<SeenChunk>,
    /// Oldest first, each with the instant when it was written.
    files: VecDeque<(u64, Timestamp)>,
}

impl Seen {
    /// Takes over the files that are there.
    pub(in crate::journal) fn found(vfs: &dyn Vfs) -> Self {
        let names = vfs.list(&|name| chunks::number_of(name).is_some()).unwrap_or_default();
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| chunks::number_of(name)).collect();
        numbers.sort_unstable();
        let now = vfs.now();
        Self { chunks: Vec::new(), files: numbers.into_iter().map(|at| (at, now)).collect() }
    }

    /// Adds the chunks of a batch. Those out of the window go before memory grows.
    pub(super) fn note(&mut self, chunks: &[Fingerprint], received: Timestamp, vfs: &dyn Vfs) {
        for Fingerprint { digest, .. } in chunks {
            if self.chunks.len() == self.chunks.capacity() && !self.chunks.is_empty() {
                let since = window_start(vfs.now());
                self.chunks.retain(|chunk| chunk.received >= since);
                if self.chunks.len() >= MAX_CHUNKS {
                    self.chunks.drain(..MAX_CHUNKS / 2);
                }
            }
            self.chunks.push(SeenChunk { digest: *digest, received });
        }
    }

    fn write(&mut self, vfs: &dyn Vfs, (number, epoch): (u64, Epoch), seen: &[SeenChunk]) {
        let name = chunks::file_name(number);
        match write_file(vfs, &name, &chunks::encode(number, epoch, seen)) {
            Ok(()) => self.files.push_back((number, vfs.now())),
            // The segment tells the same, only slower.
            Err(error) => {
                tracing::debug!(name, %error, "the chunks of a segment were not written down");
                drop(vfs.remove(&name));
            }
        }
    }

    /// Removes the files that are of no more use.
    fn prune(&mut self, vfs: &dyn Vfs) {
        let since = window_start(vfs.now());
        let surplus = self.files.len().saturating_sub(MAX_FILES);
        let old = self.files.iter().take_while(|(_, written)| *written < since).count();
        for (number, _) in self.files.drain(..surplus.max(old)) {
            let name = chunks::file_name(number);
            if let Err(error) = vfs.remove(&name)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(name, %error, "a file of chunks could not be removed");
            }
        }
    }
}

/// # Durability
/// None: a file that is not whole is as good as none.
fn write_file(vfs: &dyn Vfs, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = match vfs.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            vfs.remove(name).and_then(|()| vfs.create(name))
        }
        created => created,
    };
    file?.write_at(bytes, 0)
}

impl Writer {
    /// Writes down the chunks of the segment that is written, which ends here.
    pub(super) fn leave_chunks(&mut self) {
        let Some(active) = &self.active else { return };
        let vfs = self.shared.vfs.clone();
        let mut chunks = std::mem::take(&mut self.seen.chunks);
        if active.has_events {
            let since = window_start(vfs.now());
            chunks.retain(|chunk| chunk.received >= since);
            self.seen.write(&*vfs, (active.number, self.epoch), &chunks);
        }
        self.seen.prune(&*vfs);
    }

    /// Writes down the chunks of a closed segment, unless that was done or they are too old.
    pub(super) fn save_chunks(&mut self, info: &SegmentInfo) {
        let vfs = self.shared.vfs.clone();
        let since = window_start(vfs.now());
        if info.received < since || self.seen.files.iter().any(|(at, _)| *at == info.number) {
            return;
        }
        match chunks::walk(&*vfs, info, since) {
            Ok(chunks) => self.seen.write(&*vfs, (info.number, info.epoch), &chunks),
            Err(error) => {
                tracing::warn!(segment = info.number, %error, "its chunks are forgotten with it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::memory::MemoryVfs;

    #[test]
    fn there_are_only_so_many_files() {
        let vfs = MemoryVfs::new();
        (0..MAX_FILES as u64 + 10).for_each(|n| vfs.put(&chunks::file_name(n), Vec::new()));
        let mut seen = Seen::found(&vfs);
        seen.prune(&vfs);
        let names = vfs.names();
        assert_eq!(names.len(), MAX_FILES);
        assert_eq!(names.first(), Some(&chunks::file_name(10)));
    }

    #[test]
    fn memory_holds_only_so_many_chunks_and_the_newest() {
        let vfs = MemoryVfs::new();
        let now = Timestamp::from_nanos(1 << 60);
        vfs.set_now(now);
        let mut seen = Seen::default();
        let chunk = |n: usize| {
            let mut digest = [0; 16];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            Fingerprint { first: 0, digest }
        };
        // Out of the window: they go as soon as memory would grow.
        let old: Vec<Fingerprint> = (0..10_000).map(chunk).collect();
        seen.note(&old, Timestamp::EPOCH, &vfs);
        assert!(seen.chunks.capacity() < 10_000);
        let many: Vec<Fingerprint> = (0..MAX_CHUNKS * 3).map(chunk).collect();
        seen.note(&many, now, &vfs);
        assert!(seen.chunks.capacity() <= MAX_CHUNKS * 2, "{}", seen.chunks.capacity());
        assert!(seen.chunks.len() >= MAX_CHUNKS / 2);
        assert_eq!(seen.chunks.last().unwrap().digest, many.last().unwrap().digest);
    }
}
