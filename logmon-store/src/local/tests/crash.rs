//! Kills and power cuts.

use std::sync::Mutex;

use logmon_core::{BoxFuture, CursorError, CursorState, Position};

use super::*;
use crate::vfs::memory::{Call, Fault};

/// A cursor that looks, when it is saved, whether what it says is durable.
#[derive(Debug)]
struct Checking {
    disk: MemoryVfs,
    saved: Mutex<Option<CursorState>>,
}

impl Checking {
    fn new(disk: &MemoryVfs, saved: Option<Position>) -> Arc<Self> {
        let saved = Mutex::new(saved.map(CursorState::at));
        Arc::new(Self { disk: disk.clone(), saved })
    }

    fn position(&self) -> Option<Position> {
        self.saved.lock().unwrap().as_ref().map(|state| state.position)
    }
}

impl Cursor for Checking {
    fn load(&self) -> BoxFuture<'_, Result<Option<CursorState>, CursorError>> {
        let saved = self.saved.lock().unwrap().clone();
        Box::pin(std::future::ready(Ok(saved)))
    }

    fn save(&self, state: CursorState) -> BoxFuture<'_, Result<(), CursorError>> {
        for seed in 0..4 {
            let after = Arc::new(self.disk.power_cut(seed));
            let (dir, report) = StoreDir::open_in(after, small()).unwrap();
            assert!(dir.end_seq() >= state.position.seq, "{report:?}, {state:?}");
        }
        *self.saved.lock().unwrap() = Some(state);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn tiny() -> StoreConfig {
    StoreConfig { partition_bytes: 2500, sync_bytes: 600, ..small() }
}

/// Takes what the journal has, as far as the disk lets it; the position that was saved.
fn seal_all(
    disk: &MemoryVfs,
    journal: &Arc<DiskJournal>,
    saved: Option<Position>,
) -> Option<Position> {
    let cursor = Checking::new(disk, saved);
    let opened = StoreDir::open_in(Arc::new(disk.clone()), tiny());
    if let Ok((dir, _)) = opened
        && let Ok((_store, mut sealer)) = dir.assemble(journal.clone(), cursor.clone())
    {
        sealer.tidy();
        sealer.drain();
        sealer.finish();
    }
    cursor.position()
}

/// S-009, S-010, S-011 and S-007: wherever the power is cut, what is left gives every event once,
/// and so does what is made of it.
#[tokio::test]
async fn a_power_cut_at_any_call_neither_loses_nor_doubles() {
    let journal = open_journal(&MemoryVfs::new());
    let world = World { journal, ..World::new(tiny()) };
    world.append(logs(0..120)).await;
    for nth in 1.. {
        for seed in [0, 1, 2, 7] {
            let disk = MemoryVfs::new();
            disk.cut_at(nth, seed);
            seal_all(&disk, &world.journal, None);
            let Some(after) = disk.cut_image() else {
                assert!(nth > 50, "{nth}");
                return;
            };
            check_all(&after, &world.journal, None, nth).await;
        }
    }
}

/// What the journal has no longer counts as far as it is whole, and no further.
#[tokio::test]
async fn without_the_journal_whole_units_count_up_to_the_first_that_is_not() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..40)).await;
    sealer.drain();
    let second = store.shared.catalog().open.as_ref().unwrap().blocks[2].clone();
    drop((store, sealer));
    let whole = world.disk.content(&partition::file_name(1)).unwrap();
    let (start, len) = (usize::try_from(second.offset).unwrap(), second.info.len as usize);
    // In the header, in the middle and at the end of the third of five.
    for at in [start + 20, start + len / 2, start + len - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        world.disk.put(&partition::file_name(1), bytes);
        let (dir, _) = world.dir();
        let journal = open_journal_from(&MemoryVfs::new(), dir.end_seq());
        let cursor = Arc::new(MemoryCursor::default());
        let (store, _sealer) = dir.assemble(journal, cursor).unwrap();
        assert_eq!(all(&store).await, messages(0..16), "{at}");
        assert_eq!(store.status().sealed_seq, 17);
        assert_books_balance(&store);
    }
}

/// S-001 and S-008: the same for a process that is killed, again and again, and then a power cut.
#[tokio::test]
async fn kills_and_a_power_cut_neither_lose_nor_double() {
    let journal = open_journal(&MemoryVfs::new());
    let world = World { journal, ..World::new(tiny()) };
    let (mut disk, mut saved, mut events) = (MemoryVfs::new(), None, 0);
    for round in 0..40 {
        world.append(logs(events..events + 11)).await;
        events += 11;
        let cursor = Checking::new(&disk, saved);
        let opened = StoreDir::open_in(Arc::new(disk.clone()), tiny()).unwrap();
        let (store, mut sealer) = opened.0.assemble(world.journal.clone(), cursor.clone()).unwrap();
        sealer.tidy();
        sealer.drain();
        assert_eq!(all(&store).await, messages(0..events), "round {round}");
        assert_books_balance(&store);
        // Whether it came to the end of its partition or not.
        if round % 3 == 0 {
            sealer.finish();
        }
        saved = cursor.position();
        disk = if round % 5 == 4 { disk.power_cut(round) } else { disk.killed() };
    }
}

/// S-013: a sync that fails is never tried again on the same file, and nothing that it was to save
/// is trusted.
#[tokio::test]
async fn a_failure_at_any_call_is_got_over_and_a_power_cut_later_loses_nothing() {
    let journal = open_journal(&MemoryVfs::new());
    let world = World { journal, ..World::new(tiny()) };
    world.append(logs(0..50)).await;
    let mut failed = 0;
    for call in [Call::Create, Call::Write, Call::Sync, Call::SyncDir, Call::Rename, Call::Remove] {
        for fault in [Fault::Full, Fault::Io, Fault::TooManyOpen, Fault::ReadOnly] {
            for nth in 1.. {
                let disk = MemoryVfs::new();
                disk.fail(call, nth, fault);
                let saved = seal_all(&disk, &world.journal, None);
                if disk.hits() == 0 {
                    break;
                }
                failed += 1;
                disk.heal();
                check_all(&disk.killed(), &world.journal, saved, nth).await;
                check_all(&disk.power_cut(0), &world.journal, saved, nth).await;
                // A process that goes on where another was killed, on a disk that has failed.
                let killed = disk.killed();
                let saved = seal_all(&killed, &world.journal, saved);
                check_all(&killed.power_cut(0), &world.journal, saved, nth).await;
            }
        }
    }
    assert!(failed > 60, "{failed}");
}

/// S-018 and S-026: a read that fails once while a store is opened is an error of the opening, or
/// changes nothing.
#[tokio::test]
async fn a_read_that_fails_at_opening_loses_nothing() {
    let journal = open_journal(&MemoryVfs::new());
    let world = World { journal, ..World::new(tiny()) };
    world.append(logs(0..50)).await;
    let disk = MemoryVfs::new();
    let cursor = Checking::new(&disk, None);
    let (dir, _) = StoreDir::open_in(Arc::new(disk.clone()), tiny()).unwrap();
    let (store, mut sealer) = dir.assemble(world.journal.clone(), cursor.clone()).unwrap();
    sealer.drain();
    let saved = cursor.position();
    drop((store, sealer));
    // The last file has no index, and some of the others have.
    let mut opened = 0;
    for call in [Call::List, Call::Open, Call::Len, Call::Read] {
        for fault in [Fault::Io, Fault::TooManyOpen, Fault::Flip] {
            for nth in 1.. {
                let killed = disk.killed();
                killed.fail(call, nth, fault);
                let cursor = Checking::new(&killed, saved);
                let opening = StoreDir::open_in(Arc::new(killed.clone()), tiny());
                let is_over = killed.hits() == 0;
                killed.heal();
                if let Ok((dir, _)) = opening {
                    let (store, mut sealer) =
                        dir.assemble(world.journal.clone(), cursor.clone()).unwrap();
                    assert_eq!(all(&store).await, messages(0..50), "{call:?} {fault:?} {nth}");
                    sealer.tidy();
                    sealer.drain();
                    opened += 1;
                }
                check_all(&killed.killed(), &world.journal, cursor.position(), nth).await;
                if is_over {
                    break;
                }
            }
        }
    }
    assert!(opened > 10, "{opened}");
}

/// S-012: syncs that lie, and then a power cut. What is seen to be missing is sealed again if the
/// journal has it; the rest is found to be damaged when it is read, and counted.
#[tokio::test]
async fn a_disk_that_lies_about_syncs_costs_blocks_that_are_counted() {
    let journal = open_journal(&MemoryVfs::new());
    let world = World { journal, ..World::new(small()) };
    world.append(logs(0..50)).await;
    let mut lost = 0;
    for seed in 0..8 {
        let disk = MemoryVfs::new();
        let cursor = Arc::new(MemoryCursor::default());
        let (dir, _) = StoreDir::open_in(Arc::new(disk.clone()), small()).unwrap();
        let (store, mut sealer) = dir.assemble(world.journal.clone(), cursor.clone()).unwrap();
        disk.fail_from(Call::Sync, 1, Fault::Lie);
        sealer.drain();
        sealer.finish();
        drop(store);
        let saved = cursor.load().await.unwrap().unwrap().position;
        let after = disk.power_cut(seed);
        let cursor = Arc::new(MemoryCursor::default());
        cursor.save(CursorState::at(saved)).await.unwrap();
        after.take(&partition::index_name(1));
        let (dir, _) = StoreDir::open_in(Arc::new(after.clone()), small()).unwrap();
        let (store, mut sealer) = dir.assemble(world.journal.clone(), cursor).unwrap();
        // A block whose header is whole is taken for whole until it is read.
        for _ in 0..2 {
            let found = all(&store).await.len() as u64;
            assert_eq!(found + store.status().damaged, 50, "{seed}");
            assert_books_balance(&store);
            sealer.drain();
        }
        lost += store.status().damaged;
    }
    assert!(lost <= 64, "{lost} of 400");
}

/// Everything is found once, before and after it was put into blocks.
async fn check_all(
    disk: &MemoryVfs,
    journal: &Arc<DiskJournal>,
    saved: Option<Position>,
    nth: usize,
) {
    let (dir, _) = StoreDir::open_in(Arc::new(disk.clone()), tiny()).unwrap();
    let saved_seq = saved.map_or(0, |saved| saved.seq);
    assert!(dir.end_seq() >= saved_seq, "{nth}: what the cursor let go of is there");
    let cursor = Checking::new(disk, saved);
    let (store, mut sealer) = dir.assemble(journal.clone(), cursor).unwrap();
    assert!(store.status().sealed_seq >= saved_seq, "{nth}");
    let head = i64::try_from(journal.head().seq).unwrap() - 1;
    assert_eq!(all(&store).await, messages(0..head), "{nth}");
    assert_books_balance(&store);
    sealer.tidy();
    sealer.drain();
    sealer.finish();
    assert_eq!(all(&store).await, messages(0..head), "{nth}");
    assert_books_balance(&store);
    assert_eq!(store.status().damaged, 0, "{nth}");
}
