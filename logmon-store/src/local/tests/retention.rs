//! What is forgotten, and what is said about it.

use super::*;
use crate::local::ledger::Gone;
use crate::local::partition::number_of;
use crate::vfs::memory::Call;

const HOUR: i64 = 3600;

fn hour(at: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + at * HOUR, 0).unwrap()
}

/// Partitions with the events of these hours, eight each, and nothing in the journal.
async fn hours(config: StoreConfig, hours: impl IntoIterator<Item = i64>) -> World {
    let world = World::new(config);
    fill(&world, (0..).zip(hours)).await;
    forget(world)
}

/// Lets the journal go.
fn forget(world: World) -> World {
    world.journal.close();
    let journal = open_journal_from(&MemoryVfs::new(), world.dir().0.end_seq());
    World { journal, ..world }
}

/// Adds eight events in each of these hours, by a store that is opened for that.
async fn fill(world: &World, hours: impl IntoIterator<Item = (i64, i64)>) {
    let (_store, mut sealer) = world.open();
    for (at, received) in hours {
        world.disk.set_now(hour(received));
        let log = |at: i64| {
            let mut log = Log::new(format!("event {at}")).timestamp(hour(received));
            log.received = hour(received);
            log
        };
        world.append((at * 8..at * 8 + 8).map(log)).await;
        sealer.drain();
    }
    sealer.finish();
}

fn with(max_age: Option<i64>, max_bytes: Option<u64>) -> StoreConfig {
    let max_age = max_age.map(|hours| Duration::from_secs(u64::try_from(hours * HOUR).unwrap()));
    StoreConfig { retention: StoreRetention { max_age, max_bytes }, ..small() }
}

fn partitions(world: &World) -> usize {
    world.disk.names().iter().filter(|name| number_of(name).is_some()).count()
}

/// Partitions hold an hour of arrival, and the oldest go, an hour's worth at a time.
#[tokio::test]
async fn what_is_too_old_goes_hour_by_hour_and_is_counted() {
    let mut world = hours(with(None, None), 0..10).await;
    assert_eq!(partitions(&world), 10);
    world.config = with(Some(5), None);
    world.disk.set_now(hour(9));
    let (store, sealer) = world.open();
    store.shared.retain();
    assert_eq!(store.status().expired, Gone { by_age: 16, by_size: 0 });
    store.shared.retain();
    store.shared.retain();
    // The fourth was closed five hours ago, not longer.
    assert_eq!(store.status().expired, Gone { by_age: 24, by_size: 0 });
    assert_eq!((partitions(&world), all(&store).await), (7, messages(24..80)));
    assert_books_balance(&store);
    let status = store.status();
    drop((store, sealer));
    // The books are the same after a restart, a kill and a power cut.
    for disk in [world.disk.snapshot(), world.disk.power_cut(0), world.disk.power_cut(3)] {
        let (dir, report) = StoreDir::open_in(Arc::new(disk), with(None, None)).unwrap();
        assert_eq!(report.damages, []);
        let (store, _sealer) = dir.assemble(world.journal.clone(), world.cursor.clone()).unwrap();
        assert_eq!(store.status().expired, status.expired);
        assert_eq!(store.status().delivered, 80);
        assert_books_balance(&store);
    }
}

#[tokio::test]
async fn the_oldest_go_while_there_is_too_much() {
    let mut world = hours(with(None, None), 0..10).await;
    let (store, sealer) = world.open();
    let status = store.status();
    let bytes = status.block_bytes + status.index_bytes;
    drop((store, sealer));
    let most = bytes * 11 / 20;
    world.config = with(None, Some(most));
    let (store, mut sealer) = world.open();
    store.shared.retain();
    let status = store.status();
    assert!(status.block_bytes + status.index_bytes <= most);
    assert_eq!((status.events, status.expired.by_size), (40, 40));
    assert_eq!(all(&store).await, messages(40..80));
    assert_books_balance(&store);
    // What is written goes on behind, and a store without any partition begins there too.
    world.append(logs(80..88)).await;
    sealer.drain();
    sealer.finish();
    // One more had to go for it.
    assert_eq!(all(&store).await, messages(48..88));
    drop(store);
    world.config = with(None, Some(0));
    let end_seq = world.dir().0.end_seq();
    let (store, sealer) = world.open();
    store.shared.retain();
    assert_eq!((store.status().events, store.status().partitions), (0, 0));
    drop((store, sealer));
    assert_eq!(world.dir().0.end_seq(), end_seq);
    let (store, mut sealer) = world.open();
    sealer.drain();
    assert_eq!((store.status().events, store.status().expired.by_size), (0, 88));
    assert_books_balance(&store);
}

/// S-005: a crash between any two steps of a removal.
#[tokio::test]
async fn a_removal_cut_short_is_finished_and_counted_once() {
    let world = hours(with(None, None), 0..6).await;
    for nth in 1.. {
        let disk = world.disk.snapshot();
        disk.set_now(hour(20));
        let config = with(Some(3), None);
        let (dir, _) = StoreDir::open_in(Arc::new(disk.clone()), config.clone()).unwrap();
        let (store, sealer) = dir.assemble(world.journal.clone(), world.cursor.clone()).unwrap();
        let before = disk.calls(Call::Any);
        disk.cut_at(nth, nth as u64);
        store.shared.retain();
        store.shared.retain();
        let calls = disk.calls(Call::Any) - before;
        drop((store, sealer));
        let Some(after) = disk.cut_image() else {
            assert!(nth > calls && calls > 10, "{nth} {calls}");
            return;
        };
        let (dir, _) = StoreDir::open_in(Arc::new(after.clone()), config).unwrap();
        let (store, _sealer) = dir.assemble(world.journal.clone(), world.cursor.clone()).unwrap();
        assert_eq!(store.status().damaged, 0, "{nth}");
        assert_books_balance(&store);
        assert_eq!(store.status().delivered, 48, "{nth}");
        (0..6).for_each(|_| store.shared.retain());
        assert_eq!((store.status().events, store.status().expired.by_age), (0, 48), "{nth}");
        assert!(!after.names().iter().any(|name| number_of(name).is_some()), "{nth}");
    }
}

/// S-029: a clock that runs ahead for a while removes an hour's worth in a minute, and later nothing
/// but what was closed by it is kept for longer.
#[tokio::test]
async fn a_clock_that_jumps_ahead_removes_an_hour_at_most() {
    let ten_years = 10 * 365 * 24;
    let world = World::new(with(None, None));
    fill(&world, (0..).zip((0..5).chain([ten_years]))).await;
    fill(&world, (6..).zip(5..10)).await;
    let mut world = forget(world);
    world.config = with(Some(100), None);
    world.disk.set_now(hour(ten_years));
    let (store, _sealer) = world.open();
    store.shared.retain();
    assert_eq!(store.status().expired.by_age, 16);
    // Back again.
    world.disk.set_now(hour(90));
    (0..20).for_each(|_| store.shared.retain());
    assert_eq!(store.status().expired.by_age, 16);
    world.disk.set_now(hour(200));
    (0..20).for_each(|_| store.shared.retain());
    assert_eq!(all(&store).await, messages(32..48));
    assert_books_balance(&store);
}

/// S-028: a clock that goes back removes nothing early.
#[tokio::test]
async fn a_clock_that_goes_back_removes_nothing_early() {
    let world = hours(with(Some(50), None), (100..105).chain([0]).chain(105..108)).await;
    world.disk.set_now(hour(110));
    let (store, _sealer) = world.open();
    (0..20).for_each(|_| store.shared.retain());
    // All that can be taken for old are the events received under the wrong clock.
    assert!(store.status().expired.by_age <= 16, "{:?}", store.status());
    assert_books_balance(&store);
}
