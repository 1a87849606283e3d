//! What is forgotten, and what is said about it.

use logmon_core::Timestamp;

use super::*;

fn keep(max_bytes: u64) -> JournalConfig {
    JournalConfig {
        retention: Retention { max_bytes, max_age: None },
        segment_bytes: 1500,
        ..small()
    }
}

#[tokio::test]
async fn the_oldest_segments_go_and_are_counted() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, keep(8000));
    let start = journal.head();
    for n in 0..100 {
        journal.append(batch(&format!("{n:0200}"))).await.unwrap();
        assert!(journal.status().bytes <= 8000, "{:?}", journal.status());
    }
    let status = journal.status();
    assert!(status.expired.by_size > 50, "{status:?}");
    assert_eq!(segments(&vfs).len(), status.segments);
    assert_books_balance(&journal).await;
    match journal.read(start, 1).await {
        Err(ReadError::Expired { oldest }) => assert_eq!(oldest, journal.oldest()),
        other => panic!("{other:?}"),
    }
    // The books are the same after a restart, a kill and a power cut.
    for after in [vfs.snapshot(), vfs.power_cut(0), vfs.power_cut(3)] {
        let (journal, report) = open(&after, keep(u64::MAX));
        assert_eq!(report.damages, []);
        assert_eq!(journal.status().expired, status.expired);
        assert_eq!(journal.status().appended, 100);
        assert_books_balance(&journal).await;
        assert!(matches!(journal.read(start, 1).await, Err(ReadError::Expired { .. })));
    }
}

// S-005: a crash between any two steps of a removal.
#[tokio::test]
async fn a_removal_cut_short_is_finished_and_counted_once() {
    for nth in 1.. {
        let vfs = MemoryVfs::new();
        let (journal, _) = open(&vfs, keep(u64::MAX));
        for n in 0..40 {
            journal.append(batch(&format!("{n:0200}"))).await.unwrap();
        }
        drop(journal);
        vfs.cut_at(nth, nth as u64 - 1);
        let (journal, _) = open(&vfs, keep(6000));
        drop(journal);
        let Some(after) = vfs.cut_image() else {
            assert!(nth > 7);
            return;
        };
        for _ in 0..3 {
            let (journal, report) = open(&after, keep(u64::MAX));
            // What was being written may be torn, which is not the matter here.
            let tails = [DamageKind::TornTail, DamageKind::Stray];
            assert!(
                report.damages.iter().all(|damage| tails.contains(&damage.kind)),
                "call {nth}: {report:?}"
            );
            assert_eq!(journal.status().appended, 40);
            assert_books_balance(&journal).await;
            assert_eq!(segments(&after).len(), journal.status().segments, "call {nth}");
        }
    }
}

// S-028, S-029: by age only when two clocks agree.
#[tokio::test]
async fn age_needs_the_closing_and_the_newest_event() {
    let day = Duration::from_secs(86_400);
    let at = |days: i64| Timestamp::from_seconds(1_700_000_000 + days * 86_400, 0).unwrap();
    let received = |days: i64| {
        let mut log = Log::new("x");
        log.received = at(days);
        log.to_batch().unwrap()
    };
    let mut config = JournalConfig { segment_bytes: 1, ..small() };
    config.retention.max_age = Some(day * 10);
    let vfs = MemoryVfs::new();
    vfs.set_now(at(0));
    let (journal, _) = open(&vfs, config);
    journal.append(received(0)).await.unwrap();
    // An event of a clock that runs ahead.
    journal.append(received(3650)).await.unwrap();
    journal.append(received(0)).await.unwrap();
    vfs.set_now(at(9));
    journal.append(received(9)).await.unwrap();
    assert_eq!(journal.status().expired.by_age, 0);
    vfs.set_now(at(11));
    journal.append(received(11)).await.unwrap();
    // The first is old by both; the second holds all behind it.
    assert_eq!(journal.status().expired.by_age, 1);
    assert_eq!(journal.oldest().seq, 2);
    // The clock goes back: nothing is removed that was not.
    vfs.set_now(at(-100));
    journal.append(received(-100)).await.unwrap();
    assert_eq!(journal.status().expired.by_age, 1);
    assert_books_balance(&journal).await;
}

#[tokio::test]
async fn a_segment_that_cannot_be_removed_is_removed_later() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, keep(4000));
    vfs.fail(Call::Remove, 1, Fault::Io);
    for n in 0..40 {
        journal.append(batch(&format!("{n:0200}"))).await.unwrap();
    }
    assert!(vfs.calls(Call::Remove) > 1);
    assert_eq!(segments(&vfs).len(), journal.status().segments);
    assert_books_balance(&journal).await;
}
