//! A query that ends while a block is read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use logmon_core::{Filter, Order, Scope};

use super::super::*;
use super::build;
use super::queries::many;
use crate::query::{Best, Look};
use crate::vfs::{Vfs as _, VfsFile, memory::MemoryVfs};

/// A file that lets a query end in its `last`th read.
#[derive(Debug)]
struct Ending {
    file: Arc<dyn VfsFile>,
    reads: AtomicUsize,
    last: usize,
    cancel: Arc<AtomicBool>,
}

impl VfsFile for Ending {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.reads.fetch_add(1, Ordering::Relaxed) + 1 >= self.last {
            self.cancel.store(true, Ordering::Relaxed);
        }
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// nothing more than a page is looked at once nobody waits; then nothing of the block counts.
#[test]
fn a_query_that_ends_inside_a_block_leaves_nothing_of_it() {
    let (info, bytes) = build(&many(2_000));
    let disk = MemoryVfs::new();
    disk.put("a.blocks", bytes);
    let scope = Scope::new(Filter::parse("/took 1. ms/ AND user:3").unwrap());
    let mut cut = 0;
    for last in 1.. {
        let cancel = Arc::new(AtomicBool::new(false));
        let file = disk.open("a.blocks").unwrap();
        let file = Ending { file, reads: AtomicUsize::new(0), last, cancel: cancel.clone() };
        let file = Arc::new(file);
        let block = Block::new(Arc::new(info.clone()), file.clone(), "a.blocks".into(), 0);
        let look = Look::new(&scope, 1 << 60, &cancel);
        let mut best = Best::new(Order::NewestFirst, 5_000, 1 << 30);
        let mut told = Vec::new();
        let with = (&mut Scratch::default(), &mut told);
        let seen = block.find(&look, &mut best, with).unwrap();
        let hits = best.into_hits(None).0.len();
        assert_eq!(told, []);
        if !seen.is_cut {
            assert_eq!((seen.matched, hits), (21, 21));
            break;
        }
        assert_eq!((seen.matched, hits, seen.events), (0, 0, 0), "{last}");
        // The filter of keys is asked for a few words in any case.
        assert!(file.reads.load(Ordering::Relaxed) <= last + 16, "{last}");
        cut += 1;
    }
    assert!(cut > 10, "{cut}");
}
