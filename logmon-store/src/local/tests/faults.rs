//! Disks that are full, fail or have damaged what they were given.

use super::*;
use crate::local::partition::{file_name, index_name};
use crate::vfs::memory::{Call, Fault};

/// S-014: a full disk stops sealing and nothing else, and sealing goes on by itself.
#[tokio::test]
async fn sealing_waits_for_room_and_searching_does_not() {
    let world = World::new(small());
    let store = world.dir().0.start(world.journal.clone()).unwrap();
    world.append(logs(0..16)).await;
    sealed_to(&store, 16).await;
    let used: usize = world.disk.names().iter().map(|name| content(&world, name).len()).sum();
    world.disk.set_capacity(Some(used + 100));
    world.append(logs(16..40)).await;
    let mut changes = store.shared.changes();
    while !matches!(store.status().state, StoreState::Full(_)) {
        changes.changed().await.unwrap();
    }
    assert_eq!(all(&store).await, messages(0..40));
    world.disk.set_capacity(None);
    sealed_to(&store, 40).await;
    assert_eq!(all(&store).await, messages(0..40));
    assert_eq!(store.status().state, StoreState::Ok);
    assert_books_balance(&store);
}

/// A store on a full disk can be closed.
#[tokio::test]
async fn a_store_that_waits_for_room_can_be_closed() {
    let world = World::new(small());
    world.append(logs(0..40)).await;
    let dir = world.dir().0;
    world.disk.set_capacity(Some(100));
    let store = dir.start(world.journal.clone()).unwrap();
    let mut changes = store.shared.changes();
    while !matches!(store.status().state, StoreState::Full(_)) {
        changes.changed().await.unwrap();
    }
    store.close();
    assert_eq!(all(&store).await, messages(0..40));
}

/// S-013: the events of a partition whose sync failed are put into another, and the state says so
/// until that is durable.
#[tokio::test]
async fn a_partition_that_fails_is_left_and_its_events_are_sealed_again() {
    let world = World::new(StoreConfig { sync_bytes: 600, ..small() });
    let (store, mut sealer) = world.open();
    world.append(logs(0..40)).await;
    sealer.drain();
    let before = store.status();
    assert!(before.durable_seq < before.sealed_seq && before.durable_seq > 1, "{before:?}");
    world.disk.fail(Call::Sync, 1, Fault::Io);
    world.append(logs(40..48)).await;
    let halt = loop {
        match sealer.step() {
            Ok(is_more) => assert!(is_more),
            Err(halt) => break halt,
        }
    };
    sealer.get_over(halt).unwrap();
    let failing = store.status();
    assert!(matches!(failing.state, StoreState::Failing(_)), "{failing:?}");
    assert_eq!(failing.sealed_seq, before.durable_seq);
    assert_eq!(all(&store).await, messages(0..48));
    assert_books_balance(&store);
    sealer.drain();
    sealer.finish();
    assert_eq!((store.status().partitions, store.status().events), (2, 48));
    assert_eq!(all(&store).await, messages(0..48));
    assert_books_balance(&store);
}

/// S-018, S-020 and R-094: a block that is damaged costs itself alone, is counted, and named by
/// file and offset.
#[tokio::test]
async fn a_damaged_block_costs_itself_alone() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..40)).await;
    sealer.drain();
    let (offset, len) = {
        let catalog = store.shared.catalog();
        let block = &catalog.open.as_ref().unwrap().blocks[2];
        (block.offset, u64::from(block.info.len))
    };
    sealer.finish();
    drop(store);
    let mut bytes = world.disk.content(&file_name(1)).unwrap();
    let middle = usize::try_from(offset + len * 3 / 4).unwrap();
    bytes[middle] ^= 0x20;
    world.disk.put(&file_name(1), bytes);
    // The journal has let go of them.
    let journal = open_journal_from(&MemoryVfs::new(), world.journal.head().seq);
    let world = World { journal, ..world };
    let (store, _sealer) = world.open();
    let mut search = Search::new(Filter::parse("").unwrap());
    search.limit = 100;
    let page = store.search(search).await.unwrap();
    let mut found: Vec<u64> = page.hits.iter().map(|hit| hit.log().seq()).collect();
    found.sort_unstable();
    let intact: Vec<u64> = (1..=16).chain(25..=40).collect();
    assert_eq!((found, page.stats.damaged), (intact, 1));
    let status = store.status();
    assert_eq!((status.damaged, status.events), (8, 32));
    assert_books_balance(&store);
}

/// a partition that was cut off loses what is behind, whether its index is there or not.
#[tokio::test]
async fn a_partition_cut_at_any_length_keeps_the_blocks_before() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..24)).await;
    sealer.drain();
    let ends: Vec<usize> = {
        let catalog = store.shared.catalog();
        let blocks = catalog.open.as_ref().unwrap().blocks.iter();
        blocks.map(|block| usize::try_from(block.end()).unwrap()).collect()
    };
    sealer.finish();
    drop(store);
    let whole = world.disk.content(&file_name(1)).unwrap();
    let index = world.disk.take(&index_name(1)).unwrap();
    for len in (0..whole.len()).step_by(7) {
        let kept = 8 * ends.iter().filter(|end| **end <= len).count() as u64;
        world.disk.put(&file_name(1), whole[..len].to_vec());
        let (_, report) = world.dir();
        assert_eq!(report.events, kept, "{len}");
        world.disk.put(&index_name(1), index.clone());
        let journal = open_journal_from(&MemoryVfs::new(), 1000);
        let (store, _sealer) =
            world.dir().0.assemble(journal, Arc::new(MemoryCursor::default())).unwrap();
        let mut search = Search::new(Filter::parse("").unwrap());
        search.limit = 100;
        let page = store.search(search).await.unwrap();
        assert_eq!(page.hits.len() as u64, kept, "{len}");
        assert_eq!(store.status().damaged, 24 - kept, "{len}");
        assert_books_balance(&store);
        world.disk.take(&index_name(1));
    }
}

/// whichever byte of a partition without an index is wrong, at most its block is lost.
#[tokio::test]
async fn any_byte_of_a_partition_may_be_wrong() {
    let world = World::sealed(small(), 0..24).await;
    let whole = world.disk.content(&file_name(1)).unwrap();
    world.disk.take(&index_name(1));
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x04;
        world.disk.put(&file_name(1), bytes);
        let (_, report) = world.dir();
        assert!(report.events >= 16, "{at}: {report:?}");
    }
}

fn content(world: &World, name: &str) -> Vec<u8> {
    world.disk.content(name).unwrap()
}
