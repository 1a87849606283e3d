//! Opening a store, and where it goes on.

use super::*;
use crate::local::partition::{file_name, index_name};
use crate::vfs::memory::{Call, Fault};

/// S-022: two stores on one directory.
#[test]
fn a_second_store_on_a_directory_is_refused_with_the_owner() {
    let dir = tempfile::tempdir().unwrap();
    let first = StoreDir::open(dir.path(), StoreConfig::default()).unwrap();
    let error = StoreDir::open(dir.path(), StoreConfig::default()).unwrap_err();
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(first);
    StoreDir::open(dir.path(), StoreConfig::default()).unwrap();
}

/// R-100 and S-073: a store that is lost is made again of what the journal has.
#[tokio::test]
async fn a_lost_store_begins_at_the_oldest_event_of_the_journal() {
    let world = World::sealed(small(), 0..40).await;
    let world = world.reopened(MemoryVfs::new());
    let (store, mut sealer) = world.open();
    assert_eq!(all(&store).await, messages(0..40));
    sealer.drain();
    assert_eq!((store.status().events, all(&store).await), (40, messages(0..40)));
}

/// S-075: the journal is lost and the store is not. No number is given twice.
#[tokio::test]
async fn a_lost_journal_goes_on_behind_what_the_store_has() {
    let world = World::sealed(small(), 0..40).await;
    world.journal.close();

    let end_seq = world.dir().0.end_seq();
    let journal_disk = MemoryVfs::new();
    let other = open_journal(&journal_disk);
    let (dir, _) = world.dir();
    match dir.assemble(other, world.cursor.clone()) {
        Err(StoreError::Ahead { head: 1, end }) => assert_eq!(end, end_seq),
        other => panic!("{other:?}"),
    }
    let journal = open_journal_from(&MemoryVfs::new(), end_seq);
    let cursor = Arc::new(MemoryCursor::default());
    let world = World { journal, cursor, ..world };
    let (store, mut sealer) = world.open();
    world.append(logs(40..60)).await;
    assert_eq!(all(&store).await, messages(0..60));
    sealer.drain();
    assert_eq!((store.status().events, all(&store).await), (56, messages(0..60)));
    assert_books_balance(&store);
}

/// without indexes the blocks are found in the partition files, and the indexes made again.
#[tokio::test]
async fn indexes_that_are_missing_or_damaged_are_made_again() {
    let world = World::sealed(StoreConfig { partition_bytes: 3000, ..small() }, 0..160).await;
    let indexes: Vec<String> =
        (1..99).map(index_name).filter(|name| world.disk.content(name).is_some()).collect();
    assert!(indexes.len() > 3);
    let whole: Vec<Vec<u8>> = indexes.iter().map(|name| world.disk.take(name).unwrap()).collect();
    for (name, mut bytes) in indexes.iter().zip(whole.clone()).step_by(2) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        world.disk.put(name, bytes);
    }
    let disk = world.disk.clone();
    let world = world.reopened(disk);
    let (dir, report) = world.dir();
    assert_eq!(report.scanned_partitions, indexes.len());
    assert_eq!((report.events, report.damages), (160, Vec::new()));
    let (store, mut sealer) = dir.assemble(world.journal.clone(), world.cursor.clone()).unwrap();
    assert_eq!(all(&store).await, messages(0..160));
    sealer.tidy();
    for (name, whole) in indexes.iter().zip(&whole) {
        let again = world.disk.content(name).unwrap();
        assert_eq!(again.len(), whole.len(), "{name}");
    }
    drop((store, sealer));
    assert_eq!(world.dir().1.scanned_partitions, 0);
}

/// files that were renamed, copied from another store, or are none.
#[tokio::test]
async fn files_that_are_not_of_this_store_are_left_alone() {
    let other = World::sealed(small(), 0..40).await;
    let blocks = other.disk.content(&file_name(1)).unwrap();
    let index = other.disk.content(&index_name(1)).unwrap();

    let world = World::sealed(small(), 0..40).await;
    let own = world.disk.content(&file_name(1)).unwrap();
    world.disk.put(&file_name(7), own);
    world.disk.put(&file_name(9), blocks.clone());
    world.disk.put(&file_name(10), blocks);
    world.disk.put(&index_name(10), index);
    world.disk.put("notes.txt", b"mine".to_vec());
    let before = world.disk.names();
    let disk = world.disk.clone();
    let world = world.reopened(disk);
    let (dir, report) = world.dir();
    assert_eq!((report.events, report.damages.len()), (40, 3), "{report:?}");
    let (store, mut sealer) = dir.assemble(world.journal.clone(), world.cursor.clone()).unwrap();
    assert_eq!(all(&store).await, messages(0..40));
    world.append(logs(40..60)).await;
    sealer.drain();
    sealer.finish();
    assert_eq!(all(&store).await, messages(0..60));
    assert!(before.iter().all(|name| world.disk.names().contains(name)));
}

/// A catalogue of ten thousand blocks is read from the indexes alone.
#[tokio::test]
async fn ten_thousand_blocks_are_known_without_looking_at_them() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..8)).await;
    sealer.drain();
    sealer.finish();
    let first = store.shared.catalog().closed[0].clone();
    drop(store);
    for number in 2..=40 {
        let header = partition::Header {
            number,
            first_seq: number * 10_000,
            events_before: 8 + (number - 2) * 2000,
            ..first.header
        };
        let mut partition = catalog::Partition::new(header, first.reading.clone());
        partition.closed = first.closed;
        for at in 0..250 + u64::from(number == 40) * 249 {
            let mut info = block::BlockInfo::clone(&first.blocks[0].info);
            let start = header.first_seq + at * 8;
            (info.unit, info.seqs) = (start..start + 8, start..start + 8);
            let offset = partition.len;
            partition.push(catalog::Entry { info: Arc::new(info), offset });
        }
        index::write(&world.disk, &partition).unwrap();
        world.disk.put(&file_name(number), header.to_bytes());
    }
    let started = std::time::Instant::now();
    let (_, report) = world.dir();
    let took = started.elapsed();
    assert_eq!((report.blocks, report.scanned_partitions), (10_000, 0));
    // Under 100 ms where it is optimised; here it is not, and shares the machine.
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// A partition that was never synced may have lost its first sector alone, with header and first
/// block: what the blocks behind it begin with is not where the store's own events end.
#[tokio::test]
async fn a_torn_beginning_of_the_first_partition_hides_no_event() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..40)).await;
    sealer.drain();
    assert!(store.status().blocks > 2);
    drop((store, sealer));
    let mut content = world.disk.content(&file_name(1)).unwrap();
    content[..512].fill(0);
    world.disk.put(&file_name(1), content);
    let disk = world.disk.clone();
    let world = world.reopened(disk);
    let (store, _sealer) = world.open();
    assert_eq!(all(&store).await, messages(0..40));
    assert_books_balance(&store);
}

/// S-018: what the medium does not give today it may give tomorrow: no file is removed for it, and no
/// index made that leaves it out for good.
#[tokio::test]
async fn a_partition_that_cannot_be_read_is_left_as_it_is() {
    let world = World::sealed(small(), 0..40).await;
    world.disk.take(&index_name(1)).unwrap();
    let before = world.disk.content(&file_name(1)).unwrap();
    // From the journal the events are gone.
    let journal = open_journal_from(&MemoryVfs::new(), world.journal.head().seq);
    let world = World { journal, ..world };
    for first in 1..12 {
        world.disk.fail_from(Call::Read, first, Fault::Io);
        let opened = StoreDir::open_in(Arc::new(world.disk.clone()), world.config.clone());
        if let Ok((dir, _)) = opened
            && let Ok((store, mut sealer)) =
                dir.assemble(world.journal.clone(), world.cursor.clone())
        {
            sealer.tidy();
            sealer.finish();
            drop(store);
        }
        world.disk.heal();
        assert!(world.disk.content(&file_name(1)).as_ref() == Some(&before), "{first}");
    }
    let (store, _sealer) = world.open();
    assert_eq!(all(&store).await, messages(0..40));
    assert_books_balance(&store);
}
