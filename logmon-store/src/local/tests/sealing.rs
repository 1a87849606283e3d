//! What is found before and after events are put into blocks.

use std::sync::atomic::AtomicBool;

use super::*;

/// Every event is found at once, and once, wherever it is.
#[tokio::test]
async fn events_are_found_in_the_head_in_blocks_and_after_opening_again() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    assert_eq!(all(&store).await, messages(0..0));
    world.append(logs(0..20)).await;
    assert_eq!(all(&store).await, messages(0..20));
    sealer.drain();
    assert_eq!(store.status().events, 16);
    assert_eq!(all(&store).await, messages(0..20));
    world.append(logs(20..50)).await;
    assert_eq!(all(&store).await, messages(0..50));
    sealer.drain();
    assert_eq!((store.status().events, store.status().blocks), (48, 6));
    assert_eq!(all(&store).await, messages(0..50));
    assert_books_balance(&store);
    sealer.finish();
    drop(store);

    let disk = world.disk.clone();
    let world = world.reopened(disk);
    let (dir, report) = world.dir();
    assert_eq!((report.events, report.scanned_partitions, report.damages), (48, 0, Vec::new()));
    let (store, mut sealer) = dir.assemble(world.journal.clone(), world.cursor.clone()).unwrap();
    assert_eq!(all(&store).await, messages(0..50));
    world.append(logs(50..60)).await;
    sealer.drain();
    // Two of the earlier epoch, and eight of this one.
    assert_eq!(store.status().events, 58);
    assert_eq!(all(&store).await, messages(0..60));
    assert_books_balance(&store);
}

/// The thread does the same by itself, and a group is split wherever a block is full.
#[tokio::test]
async fn the_thread_puts_groups_of_any_size_into_blocks() {
    let world = World::new(small());
    let store = world.dir().0.start(world.journal.clone()).unwrap();
    let mut at = 0;
    for events in [1, 7, 3, 30, 8, 100, 11] {
        let mut entries = Vec::new();
        for log in logs(at..at + events) {
            entries.push(log);
        }
        world.append(entries).await;
        at += events;
    }
    sealed_to(&store, 160).await;
    assert_eq!((store.status().events, all(&store).await), (160, messages(0..160)));
    store.close();
    assert_eq!(store.status().state, StoreState::Closed);
    assert_eq!(store.status().durable_seq, store.status().sealed_seq);
    assert_eq!(all(&store).await, messages(0..160));
}

#[tokio::test]
async fn an_event_is_got_by_its_id_wherever_it_is() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..20)).await;
    let mut search = Search::new(Filter::parse("").unwrap());
    search.limit = 100;
    let ids: Vec<_> =
        store.search(search).await.unwrap().hits.iter().map(|hit| hit.log().id()).collect();
    sealer.drain();
    drop(sealer);
    for id in &ids {
        let hit = store.get(*id).await.unwrap().unwrap();
        assert_eq!(hit.log().id(), *id);
    }
    let other = EventId::new(logmon_core::Epoch::from_bytes([7; 7]), 3);
    assert!(store.get(other).await.unwrap().is_none());
}

/// Events from 1970 and 2106 go into a block of their own in each unit, and are found.
#[tokio::test]
async fn clocks_that_are_far_off_do_not_spoil_the_times_of_the_other_blocks() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    let odd = [0, 4_291_747_200, -9_000_000_000, 1];
    for (at, seconds) in (0..).zip(odd) {
        world.append(logs(at * 3..at * 3 + 3)).await;
        let time = Timestamp::from_seconds(seconds, 0).unwrap();
        world.append([Log::new(format!("odd {seconds}")).timestamp(time)]).await;
    }
    sealer.drain();
    let catalog = store.shared.catalog();
    let blocks = &catalog.open.as_ref().unwrap().blocks;
    assert_eq!(
        blocks.iter().map(|block| block.info.part).collect::<Vec<_>>(),
        [(0, 2), (1, 2), (0, 2), (1, 2)]
    );
    for block in blocks.iter().filter(|block| block.info.part.0 == 0) {
        assert!(block.info.times.0 >= now(-60) && block.info.times.1 <= now(120), "{block:?}");
    }
    assert_eq!(all(&store).await.len(), 16);
    let mut search = Search::new(Filter::parse("odd").unwrap());
    search.order = Order::OldestFirst;
    let page = store.search(search).await.unwrap();
    let found: Vec<i64> =
        page.hits.iter().map(|hit| hit.log().timestamp().as_nanos() / 1_000_000_000).collect();
    assert_eq!(found, [-9_000_000_000, 0, 1, 4_291_747_200]);
    for hit in &page.hits {
        let id = hit.log().id();
        assert_eq!(store.get(id).await.unwrap().unwrap().key(), hit.key());
    }
}

/// Pages follow each other without hole or repeat while events are put into blocks.
#[tokio::test]
async fn paging_is_stable_while_blocks_are_made() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..100)).await;
    let mut search = Search::new(Filter::parse("").unwrap());
    search.limit = 7;
    let mut found = Vec::new();
    let mut more = 100;
    loop {
        let page = store.search(search.clone()).await.unwrap();
        search.scope.snapshot.get_or_insert(page.head.seq);
        found.extend(page.hits.iter().map(|hit| hit.log().message().into_owned()));
        search.after = page.hits.last().map(Hit::key);
        if !page.has_more {
            break;
        }
        world.append(logs(more..more + 4)).await;
        more += 4;
        sealer.drain();
    }
    found.reverse();
    assert_eq!(found, messages(0..100));
}

/// A partition holds the events of an hour of arrival, and is closed when the hour is over.
#[tokio::test]
async fn a_partition_is_closed_at_its_size() {
    let world = World::new(StoreConfig { partition_bytes: 3000, ..small() });
    let (store, mut sealer) = world.open();
    world.append(logs(0..200)).await;
    sealer.drain();
    let status = store.status();
    assert!(status.partitions >= 5, "{status:?}");
    let catalog = store.shared.catalog();
    for closed in &*catalog.closed {
        assert!((3000..6000).contains(&closed.len), "{}", closed.len);
        assert!(closed.index_len > 0 && closed.closed.is_some());
    }
    assert_eq!(all(&store).await, messages(0..200));
    // A key in the middle of a partition finds its event.
    assert!(catalog.partition_of(100).is_some());
    assert_books_balance(&store);
}

/// A page key is told apart by the number where timestamps are equal.
/// What belongs to another journal is no event of the store, in blocks or before.
#[tokio::test]
async fn foreign_events_are_not_kept() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    world.append(logs(0..5)).await;
    for log in logs(5..8) {
        let id = EventId::new(logmon_core::Epoch::from_bytes([7; 7]), 3);
        let entries = log.to_batch().unwrap().entries;
        let batch = logmon_core::NewBatch::foreign("app".into(), entries, id);
        world.journal.append(batch).await.unwrap();
    }
    world.append(logs(8..10)).await;
    let wanted: Vec<_> = (0..5).chain(8..10).map(|at| format!("event {at}")).collect();
    assert_eq!(all(&store).await, wanted);
    sealer.drain();
    assert_eq!(all(&store).await, wanted);
    sealer.finish();
    assert_eq!(all(&store).await, wanted);
}

#[tokio::test]
async fn equal_timestamps_are_paged_by_number() {
    let world = World::new(small());
    let (store, mut sealer) = world.open();
    let time = now(0);
    world.append((0..30).map(|at| Log::new(format!("event {at}")).timestamp(time))).await;
    sealer.drain();
    let mut search = Search::new(Filter::parse("").unwrap());
    (search.limit, search.order) = (4, Order::OldestFirst);
    let mut keys: Vec<PageKey> = Vec::new();
    loop {
        let page = store.search(search.clone()).await.unwrap();
        keys.extend(page.hits.iter().map(Hit::key));
        search.after = keys.last().copied();
        if !page.has_more {
            break;
        }
    }
    assert_eq!(keys.len(), 30);
    assert!(keys.is_sorted_by(|one, next| one < next));
}

/// The journal keeps what is not durable in blocks and lets the rest go; a store that holds what the
/// journal wants to remove makes blocks of what there is.
#[tokio::test]
async fn the_journal_keeps_what_is_in_no_durable_block_and_no_more() {
    let world = World::new(small());
    let config = JournalConfig {
        segment_bytes: 2000,
        history_bytes: 0,
        full_retry: Duration::from_millis(1),
        retention: Retention { max_bytes: 8000, max_age: None },
        ..JournalConfig::default()
    };
    world.journal.close();
    let journal = DiskJournal::open_in(Arc::new(MemoryVfs::new()), config).unwrap().0;
    let world = World { journal: Arc::new(journal), ..world };
    // Fewer than a block, and more bytes than the journal may have: nothing but that it is wanted
    // makes the store seal.
    let dir = StoreDir::open_in(
        Arc::new(world.disk.clone()),
        StoreConfig { block_events: 10_000, ..small() },
    );
    let store = dir.unwrap().0.start(world.journal.clone()).unwrap();
    for at in 0..60 {
        let log = Log::new(format!("event {at}")).field("padding", "p".repeat(400));
        world.append([log]).await;
        assert!(world.journal.status().bytes <= 8000);
    }
    assert_eq!(all(&store).await, messages(0..60));
    let status = store.status();
    assert!(status.events > 30 && status.durable_seq > 30, "{status:?}");
    assert!(world.journal.oldest().seq > 30);
    let ledger = world.journal.cursors()[0].ledger;
    assert_eq!((ledger.dropped_lag, ledger.residue()), (0, 0));
}

/// What a query was about to look at in the journal may have gone into blocks, and the journal let
/// go of it: the query begins anew.
#[tokio::test]
async fn a_query_misses_nothing_that_leaves_the_journal_meanwhile() {
    let config = JournalConfig {
        segment_bytes: 1000,
        history_bytes: 0,
        tail_bytes: 0,
        ..JournalConfig::default()
    };
    let journal = DiskJournal::open_in(Arc::new(MemoryVfs::new()), config).unwrap().0;
    let world = World { journal: Arc::new(journal), ..World::new(small()) };
    let cursor = world.journal.cursor(CURSOR, HoldConfig::default()).unwrap();
    let world = World { cursor: Arc::new(cursor), ..world };
    let (store, sealer) = world.open();
    world.append(logs(0..100)).await;
    let sealer = std::cell::RefCell::new(Some(sealer));
    let mut attempts = std::cell::Cell::new(0);
    let mut search = Search::new(Filter::parse("").unwrap());
    search.limit = 1000;
    let page = snapshot::answer(&store.shared, &world.journal, |snapshot| {
        attempts.set(attempts.get() + 1);
        if let Some(mut sealer) = sealer.take() {
            sealer.drain();
            sealer.finish();
            // The journal looks at what it may remove when it writes.
            for log in logs(100..110) {
                wait::block_on(world.journal.append(log.to_batch().unwrap())).unwrap();
            }
            assert!(world.journal.oldest().seq > 80);
        }
        let turn = query::Turn { crew: &query::Crew::of(2), cancel: &AtomicBool::new(false) };
        query::search(snapshot, &search, turn)
    });
    assert_eq!((*attempts.get_mut(), page.unwrap().hits.len()), (2, 110));
}

/// An hour that is over ends its partition, also where nothing more comes.
#[tokio::test]
async fn the_hour_ends_a_partition_and_what_is_left_of_it_is_sealed() {
    let world = World::new(small());
    world.append(logs(0..13)).await;
    let (store, mut sealer) = world.open();
    sealer.drain();
    sealer.end_hour().unwrap();
    assert_eq!((store.status().events, store.status().index_bytes), (8, 0));
    let later = Timestamp::now().as_nanos() + 3_720_000_000_000;
    world.disk.set_now(Timestamp::from_nanos(later));
    sealer.end_hour().unwrap();
    let status = store.status();
    assert_eq!((status.events, status.partitions, status.lag), (13, 1, 0));
    assert!(status.index_bytes > 0);
    // Nothing comes in idle hours.
    sealer.end_hour().unwrap();
    assert_eq!(store.status().partitions, 1);
}
