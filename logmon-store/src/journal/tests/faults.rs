//! Calls that fail.

use super::*;
use crate::effort;

/// Appends until the journal refuses or all is done; gives what was promised.
async fn append_all(journal: &DiskJournal, count: usize) -> Vec<String> {
    let mut promised = Vec::new();
    for n in 0..count {
        let text = format!("{n:0200}");
        match journal.append(batch(&text)).await {
            Ok(_) => promised.push(text),
            Err(AppendError::Poisoned(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    promised
}

/// How many events the workload has.
fn events() -> usize {
    usize::try_from(effort::runs(20).min(80)).unwrap()
}

/// Each call of a workload fails once in turn, until there is none to fail any more.
async fn each_call_fails(fault: Fault, check: impl AsyncFn(&DiskJournal, Vec<String>)) {
    for nth in 1.. {
        let vfs = MemoryVfs::new();
        vfs.fail(Call::Any, nth, fault);
        let config = JournalConfig {
            retention: Retention { max_bytes: 4000, max_age: None },
            segment_bytes: 1000,
            ..small()
        };
        let opened = DiskJournal::open_in(Arc::new(vfs.clone()), config.clone());
        let promised = match opened {
            Ok((journal, _)) => {
                let promised = append_all(&journal, events()).await;
                check(&journal, promised.clone()).await;
                promised
            }
            Err(OpenError::Io { .. }) => Vec::new(),
            Err(error) => panic!("{error}"),
        };
        let was_hit = vfs.calls(Call::Any) >= nth;
        for after in [vfs.snapshot(), vfs.power_cut(0), vfs.power_cut(nth as u64)] {
            let (journal, _) = open(&after, config.clone());
            let found = messages(&journal).await;
            // What retention left of what was promised is there, without holes.
            let newest = promised.last().map(String::as_str);
            let from = found.first().and_then(|first| promised.iter().position(|p| p == first));
            match from {
                Some(from) => assert!(found.starts_with(&promised[from..]), "call {nth}"),
                None => assert_eq!(newest, None, "call {nth}: {found:?}"),
            }
            assert_eq!(journal.append(batch("on")).await.unwrap().end_seq, journal.head().seq);
            assert_books_balance(&journal).await;
        }
        if !was_hit {
            assert!(nth > 40, "{nth}");
            return;
        }
    }
}

// S-014, S-015
#[tokio::test]
async fn a_full_disk_at_any_call_loses_and_refuses_nothing() {
    each_call_fails(Fault::Full, async |journal, promised| {
        let is_sync = matches!(journal.status().state, JournalState::Poisoned(_));
        // Only a sync that reports a full disk is final: what it has saved is unknown.
        assert!(is_sync || promised.len() == events(), "{:?}", journal.status());
        assert_books_balance(journal).await;
    })
    .await;
}

// S-013
#[tokio::test]
async fn a_failing_medium_poisons_and_reading_goes_on() {
    each_call_fails(Fault::Io, async |journal, promised| {
        let found = messages(journal).await;
        assert_eq!(found.last(), promised.last());
        assert_books_balance(journal).await;
        if promised.len() < events() {
            assert!(matches!(journal.status().state, JournalState::Poisoned(_)));
            match journal.append(batch("more")).await {
                Err(AppendError::Poisoned(text)) => assert!(text.contains("failed"), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

// S-013: never tried again on the same file.
#[tokio::test]
async fn a_failed_fsync_is_not_repeated() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    journal.append(batch("kept")).await.unwrap();
    vfs.fail(Call::Sync, 1, Fault::Io);
    let (one, two) = (journal.append(batch("a")), journal.append(batch("b")));
    assert!(matches!(one.await, Err(AppendError::Poisoned(_))));
    assert!(matches!(two.await, Err(AppendError::Poisoned(_))));
    let syncs = vfs.calls(Call::Sync);
    journal.close();
    assert_eq!(vfs.calls(Call::Sync), syncs);
    assert_eq!(messages(&journal).await, ["kept"]);
    assert!(matches!(journal.status().state, JournalState::Poisoned(_)));
}

// S-014: the disk stays full for a while.
#[tokio::test]
async fn a_full_disk_holds_appends_until_there_is_room() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { queue_bytes: 2000, tail_bytes: 0, ..config() });
    journal.append(batch("before")).await.unwrap();
    vfs.set_capacity(Some(0));
    let waiting = journal.append(batch("waiting"));
    loop {
        match journal.append(batch(&"x".repeat(500))).await_or_busy() {
            Some(()) => break,
            None => std::thread::yield_now(),
        }
    }
    while journal.status().state == JournalState::Ok {
        std::thread::yield_now();
    }
    assert!(matches!(journal.status().state, JournalState::Full(_)));
    assert_eq!(messages(&journal).await, ["before"]);
    vfs.set_capacity(None);
    waiting.await.unwrap();
    journal.append(batch("after")).await.unwrap();
    assert_eq!(journal.status().state, JournalState::Ok);
    let found = messages(&journal).await;
    assert_eq!((&*found[0], &*found[1]), ("before", "waiting"));
    assert_eq!(found.last().unwrap(), "after");
}

trait AwaitOrBusy {
    /// Whether the append was refused as busy at once.
    fn await_or_busy(self) -> Option<()>;
}

impl AwaitOrBusy for Commit {
    fn await_or_busy(mut self) -> Option<()> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(&mut self).poll(&mut cx) {
            std::task::Poll::Ready(Err(AppendError::Busy { .. })) => Some(()),
            std::task::Poll::Ready(other) => panic!("{other:?}"),
            std::task::Poll::Pending => None,
        }
    }
}

#[tokio::test]
async fn a_journal_on_a_full_disk_opens_and_closes() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    journal.append(batch("old")).await.unwrap();
    drop(journal);
    vfs.set_capacity(Some(0));
    let (journal, _) = open(&vfs, config());
    assert!(matches!(journal.status().state, JournalState::Full(_)));
    assert_eq!(messages(&journal).await, ["old"]);
    let waiting = journal.append(batch("new"));
    journal.close();
    assert!(matches!(waiting.await, Err(AppendError::Closed)));
    let (journal, _) = open(&vfs, config());
    let waiting = journal.append(batch("new"));
    vfs.set_capacity(None);
    waiting.await.unwrap();
    assert_eq!(messages(&journal).await, ["old", "new"]);
}
