use std::sync::atomic::AtomicBool;
use std::time::Duration;

use logmon_core::{Event as _, Filter, Journal as _, Level, Log, Order, PageKey, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::vfs::memory::MemoryVfs;
use crate::{JournalConfig, Retention};

fn open(vfs: &MemoryVfs, segment_bytes: u64) -> Arc<DiskJournal> {
    let config = JournalConfig { segment_bytes, tail_bytes: 2000, ..JournalConfig::default() };
    Arc::new(DiskJournal::open_in(Arc::new(vfs.clone()), config).unwrap().0)
}

fn log(seconds: i64, text: &str) -> Log {
    Log::new(text).timestamp(Timestamp::from_seconds(seconds, 0).unwrap())
}

/// What a search is to find: every event, judged by itself.
fn naive(events: &[(u64, Log)], search: &Search) -> Vec<u64> {
    let mut found: Vec<_> = events
        .iter()
        .filter(|(seq, log)| {
            (search.scope.from..search.scope.to).contains(&log.timestamp)
                && search.scope.snapshot.is_none_or(|end| *seq < end)
                && search.scope.filter.matches(log)
        })
        .map(|(seq, log)| PageKey::by_number(log.timestamp, *seq))
        .collect();
    found.sort_unstable();
    match search.order {
        Order::NewestFirst => {
            found.reverse();
            found.retain(|key| search.after.is_none_or(|after| *key < after));
        }
        Order::OldestFirst => found.retain(|key| search.after.is_none_or(|after| *key > after)),
    }
    found.into_iter().map(|key| u64::try_from(key.tie).unwrap()).collect()
}

fn seqs(page: &Page) -> Vec<u64> {
    page.hits.iter().map(|hit| hit.log().seq()).collect()
}

async fn append(journal: &DiskJournal, log: Log) -> (u64, Log) {
    let committed = journal.append(log.to_batch().unwrap()).await.unwrap();
    (committed.first.seq, log)
}

fn a_log() -> impl Strategy<Value = Log> {
    let seconds = prop_oneof![
        6 => 0_i64..40,
        1 => prop::sample::select(vec![-9_000_000_000, 9_000_000_000, 1_000_000]),
    ];
    let level = prop::sample::select(vec![None, Some(Level::Info), Some(Level::Error)]);
    let text = prop::sample::select(vec!["charge failed", "timeout", "ok", "日本語"]);
    (seconds, level, text, 0_usize..400).prop_map(|(seconds, level, text, padding)| {
        let mut log = log(seconds, text).field("padding", "p".repeat(padding));
        log.level = level;
        log
    })
}

fn a_search() -> impl Strategy<Value = Search> {
    let filter =
        prop::sample::select(vec!["", "timeout", "level:error", "-ok", "failed level:info"]);
    let range = prop_oneof![Just((i64::MIN, i64::MAX)), (-5_i64..45, -5_i64..45)];
    let order = prop::sample::select(vec![Order::NewestFirst, Order::OldestFirst]);
    (filter, range, order, 0_usize..12).prop_map(|(filter, (from, to), order, limit)| {
        let time = |seconds: i64| match seconds {
            i64::MIN => Timestamp::MIN,
            i64::MAX => Timestamp::MAX,
            seconds => Timestamp::from_seconds(seconds, 0).unwrap(),
        };
        let mut search = Search::new(Filter::parse(filter).unwrap());
        (search.scope.from, search.scope.to, search.order, search.limit) =
            (time(from), time(to), order, limit);
        search
    })
}

/// Pages through a search while others append; gives all hits.
async fn all_pages(
    store: &JournalStore,
    mut search: Search,
    events: &mut Vec<(u64, Log)>,
    late: &[Log],
) -> Vec<u64> {
    let mut found = Vec::new();
    let mut late = late.iter();
    loop {
        let page = store.search(search.clone()).await.unwrap();
        assert!(page.incomplete.is_none());
        assert!(page.hits.len() <= search.limit);
        let expected = naive(events, &search);
        let limit = search.limit.min(expected.len());
        assert_eq!(seqs(&page), expected[..limit]);
        assert_eq!(page.has_more, expected.len() > limit);
        if page.stats.matched_exact {
            assert_eq!(page.stats.matched, expected.len() as u64);
        }
        for hit in &page.hits {
            let (_, log) = events.iter().find(|(seq, _)| *seq == hit.log().seq()).unwrap();
            assert_eq!(hit.log().message(), log.message);
            assert_eq!(hit.log().to_log().metadata, log.metadata);
            let same = store.get(hit.log().id()).await.unwrap().unwrap();
            assert_eq!(same.key(), hit.key());
        }
        found.extend(seqs(&page));
        search.scope.snapshot.get_or_insert(page.head.seq);
        search.after = page.hits.last().map(Hit::key).or(search.after);
        if !page.has_more || search.limit == 0 {
            return found;
        }
        if let Some(log) = late.next() {
            let appended = append(&store.journal, log.clone()).await;
            events.push(appended);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::effort::cases(96), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_judging_every_event_finds(
        logs in prop::collection::vec(a_log(), 0..80),
        late in prop::collection::vec(a_log(), 0..20),
        searches in prop::collection::vec(a_search(), 1..6),
        segment_bytes in 500_u64..20_000,
        reopens in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let vfs = MemoryVfs::new();
            let mut journal = open(&vfs, segment_bytes);
            let mut events = Vec::new();
            for log in logs {
                events.push(append(&journal, log).await);
            }
            if reopens {
                drop(journal);
                journal = open(&vfs, segment_bytes);
            }
            let store = JournalStore::new(journal);
            for mut search in searches {
                let first = store.search(search.clone()).await.unwrap();
                search.scope.snapshot = Some(first.head.seq);
                let expected = naive(&events, &search);
                let found = all_pages(&store, search.clone(), &mut events, &late).await;
                if search.limit > 0 {
                    // No repeat and no hole, whatever was appended meanwhile.
                    assert_eq!(found, expected);
                }
            }
        });
    }
}

#[tokio::test]
async fn a_search_without_time_finds_nothing_and_says_so() {
    let journal = open(&MemoryVfs::new(), 1000);
    for n in 0..20 {
        append(&journal, log(n, "x")).await;
    }
    let store = JournalStore::new(journal);
    let mut search = Search::new(Filter::all());
    search.scope.budget = Duration::ZERO;
    let page = store.search(search).await.unwrap();
    assert_eq!((page.hits.len(), page.incomplete.is_none(), page.has_more), (0, false, true));
    assert!(!page.stats.matched_exact);
}

/// A search that broke off goes on at `scanned_to` with neither hole nor repeat, also when it had
/// found nothing.
#[tokio::test]
async fn a_search_that_broke_off_can_go_on() {
    let journal = open(&MemoryVfs::new(), 1000);
    for n in 0..20 {
        append(&journal, log(n % 7, "x")).await;
    }
    let store = JournalStore::new(journal);
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut search = Search::new(Filter::all());
        (search.order, search.scope.budget) = (order, Duration::ZERO);
        let broken = store.search(search.clone()).await.unwrap();
        assert!(broken.scanned_to.is_some());
        search.scope.budget = Duration::from_secs(60);
        let whole = store.search(search.clone()).await.unwrap();
        assert_eq!((whole.hits.len(), whole.scanned_to), (20, None));
        search.after = broken.scanned_to;
        let rest = store.search(search).await.unwrap();
        assert_eq!(seqs(&rest), seqs(&whole));
    }
}

#[tokio::test]
async fn the_newest_page_does_not_look_at_everything() {
    let journal = open(&MemoryVfs::new(), 10_000);
    for n in 0..500 {
        append(&journal, log(n, &"x".repeat(100))).await;
    }
    let store = JournalStore::new(journal);
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut search = Search::new(Filter::all());
        (search.limit, search.order) = (5, order);
        let page = store.search(search).await.unwrap();
        assert_eq!(page.hits.len(), 5);
        assert!(page.stats.scanned_events < 30, "{:?}", page.stats);
        assert!(!page.stats.matched_exact && page.has_more && page.incomplete.is_none());
    }
    let mut search = Search::new(Filter::parse("nothing").unwrap());
    search.scope.from = Timestamp::from_seconds(100, 0).unwrap();
    search.scope.to = Timestamp::from_seconds(103, 0).unwrap();
    let page = store.search(search).await.unwrap();
    assert_eq!(page.stats.scanned_events, 3, "{:?}", page.stats);
    assert!(page.stats.matched_exact && page.incomplete.is_none());
}

#[tokio::test]
async fn too_many_queries_are_refused_and_dropped_ones_make_room() {
    let journal = open(&MemoryVfs::new(), 1000);
    append(&journal, log(1, "x")).await;
    let store = JournalStore::with_max_queries(journal, 1);
    let held = store.desk.hold();
    match store.search(Search::new(Filter::all())).await {
        Err(QueryError::Busy { running }) => assert_eq!(running, 1),
        other => panic!("{other:?}"),
    }
    drop(held);
    drop(store.search(Search::new(Filter::all())));
    assert_eq!(store.search(Search::new(Filter::all())).await.unwrap().hits.len(), 1);
}

#[test]
fn a_dropped_search_ends_at_its_next_block() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let journal = open(&MemoryVfs::new(), 1000);
    for n in 0..9 {
        runtime.block_on(append(&journal, log(n, "x")));
    }
    let search = Search::new(Filter::all());
    let turn = query::Turn { crew: &query::Crew::of(1), cancel: &AtomicBool::new(true) };
    let page = query::search(snapshot(&journal), &search, turn).unwrap();
    assert_eq!((page.stats.scanned_events, page.incomplete.is_none()), (0, false));
}

#[tokio::test]
async fn events_are_found_by_id_until_they_expire() {
    let vfs = MemoryVfs::new();
    let retention = Retention { max_bytes: 6000, max_age: None };
    let config = JournalConfig { segment_bytes: 1000, retention, ..JournalConfig::default() };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (journal, _) = DiskJournal::open_in(Arc::new(vfs.clone()), config.clone()).unwrap();
        let journal = Arc::new(journal);
        let store = JournalStore::new(journal.clone());
        for n in 0..30 {
            let (seq, log) = append(&journal, log(n, "x")).await;
            ids.push((EventId::new(journal.head().epoch, seq), seq, log));
        }
        for (id, seq, log) in &ids {
            let found = store.get(*id).await.unwrap();
            assert_eq!(found.is_some(), *seq >= journal.oldest().seq, "{seq}");
            if let Some(hit) = found {
                assert_eq!(hit.log().timestamp(), log.timestamp);
            }
        }
        let beyond = EventId::new(journal.head().epoch, journal.head().seq);
        assert!(store.get(beyond).await.unwrap().is_none());
        let foreign = EventId::new(logmon_core::Epoch::from_bytes([9; 7]), 1);
        assert!(store.get(foreign).await.unwrap().is_none());
    }
}
