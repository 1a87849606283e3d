//! Clocks that are wrong, and jump.

use std::collections::HashSet;

use logmon_core::Timestamp;

use super::*;

fn day(days: i64) -> Timestamp {
    Timestamp::from_seconds(days * 86_400, 0).unwrap()
}

/// 2106-02-06, the last whole day of an epoch's 32 bits.
const LAST_DAY: i64 = 49_709;

/// S-028, R-109: the clock says 1970, 2106, and jumps both ways between openings and within them.
/// Numbers go on, no id is used twice, nothing is removed, and everything is read in its order.
#[tokio::test]
async fn numbers_and_ids_do_not_depend_on_the_clock() {
    let vfs = MemoryVfs::new();
    let mut config = small();
    config.retention.max_age = Some(Duration::from_secs(40_000 * 86_400));
    let mut ids = HashSet::new();
    let mut texts = Vec::new();
    for (opening, days) in
        [0, LAST_DAY, 20_000, 19_999, 0, 20_000, LAST_DAY].into_iter().enumerate()
    {
        vfs.set_now(day(days));
        let (journal, report) = open(&vfs, config.clone());
        assert_eq!(report.damages, [], "opening {opening}");
        assert_eq!(report.next_seq, 1 + texts.len() as u64, "opening {opening}");
        for jump in [0, -1, 1, 0] {
            vfs.set_now(day((days + jump).clamp(0, LAST_DAY)));
            let text = format!("{opening} {jump}");
            let at = journal.append(batch(&text)).await.unwrap().first;
            let group = journal.read(at, 1).await.unwrap().unwrap();
            assert!(ids.insert(group.get(0).unwrap().id()), "an id is there twice");
            texts.push(text);
        }
        assert_eq!(messages(&journal).await, texts, "opening {opening}");
        let expired = journal.status().expired;
        assert_eq!((expired.by_age, expired.by_size), (0, 0), "opening {opening}");
    }
    let (journal, _) = open(&vfs.power_cut(0), config);
    assert_eq!(messages(&journal).await, texts);
    assert_books_balance(&journal).await;
}

/// R-109, S-029, S-030: events with any timestamp, in any order, are kept as they say.
#[tokio::test]
async fn events_of_any_time_are_kept() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, small());
    let seconds = [0, i64::from(u32::MAX), -1, 1_483_228_799, 1_483_228_800, 1_700_000_000];
    for (n, seconds) in seconds.into_iter().enumerate() {
        let time = Timestamp::from_seconds(seconds, 999_999_999).unwrap();
        let log = Log::new(n.to_string()).timestamp(time);
        journal.append(log.to_batch().unwrap()).await.unwrap();
    }
    drop(journal);
    let (journal, _) = open(&vfs, small());
    let mut at = journal.oldest();
    let mut times = Vec::new();
    while let Some(group) = journal.read(at, 1).await.unwrap() {
        times.extend(group.iter().map(|log| log.timestamp().as_nanos().div_euclid(1_000_000_000)));
        at = group.end();
    }
    assert_eq!(times, seconds);
}
