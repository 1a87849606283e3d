//! Cursors that hold on to what they have not passed.

use logmon_core::{Cursor as _, CursorState, CursorTally};

use super::*;

/// What fits is five segments of one event each.
fn tight() -> JournalConfig {
    JournalConfig {
        retention: Retention { max_bytes: 4000, max_age: None },
        history_bytes: 0,
        segment_bytes: 600,
        ..small()
    }
}

fn text(n: usize) -> String {
    format!("{n:0200}")
}

fn block() -> HoldConfig {
    HoldConfig::new(OnLag::Block)
}

fn drop_oldest() -> HoldConfig {
    HoldConfig::new(OnLag::DropOldest)
}

fn status(journal: &DiskJournal, name: &str) -> CursorStatus {
    let cursors = journal.cursors();
    cursors.into_iter().find(|cursor| cursor.name == name).unwrap()
}

fn assert_cursors_balance(journal: &DiskJournal) {
    for cursor in journal.cursors() {
        assert_eq!(cursor.ledger.residue(), 0, "{cursor:?}");
    }
}

async fn append(journal: &DiskJournal, range: std::ops::Range<usize>) {
    for n in range {
        journal.append(batch(&text(n))).await.unwrap();
    }
}

/// Appends wait for this cursor.
fn assert_held(journal: &DiskJournal, by: &str) {
    let state = journal.status().state;
    assert!(matches!(state, JournalState::Held(cursor) if &*cursor == by));
}

#[tokio::test]
async fn what_is_saved_is_loaded_after_any_end() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let cursor = journal.cursor("store", block()).unwrap();
    assert_eq!(cursor.load().await.unwrap(), None);
    append(&journal, 0..9).await;
    let mut tally = CursorTally::default();
    (tally.delivered, tally.quarantined) = (3, 1);
    let position = Position { seq: 5, ..journal.head() };
    let state = CursorState { position, in_flight: vec![5..6, 6..9], tally: Some(tally) };
    let start = Position { seq: 1, ..position };
    cursor
        .save(CursorState { tally: Some(CursorTally::default()), ..CursorState::at(start) })
        .await
        .unwrap();
    cursor.save(state.clone()).await.unwrap();
    assert_eq!(cursor.load().await.unwrap(), Some(state.clone()));
    // Saves are control records: the numbers of events go on as if there were none.
    assert_eq!(messages(&journal).await.len(), 9);
    for after in [vfs.killed(), vfs.power_cut(0), vfs.power_cut(7)] {
        for _ in 0..3 {
            let (journal, report) = open(&after, config());
            assert_eq!(report.damages, []);
            let cursor = journal.cursor("store", block()).unwrap();
            assert_eq!(cursor.load().await.unwrap(), Some(state.clone()));
            let ledger = status(&journal, "store").ledger;
            assert_eq!((ledger.routed, ledger.delivered, ledger.quarantined), (9, 3, 1));
            assert_eq!((ledger.lag, ledger.dropped_lag), (5, 0));
            assert_cursors_balance(&journal);
        }
    }
}

#[tokio::test]
async fn names_and_states_that_cannot_be_are_refused() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    for bad in ["", "a/b", "A", "a b", &"x".repeat(81)] {
        assert!(journal.cursor(bad, block()).is_err(), "{bad}");
    }
    let cursor = journal.cursor("output.a-1_b", block()).unwrap();
    assert!(journal.cursor("output.a-1_b", block()).is_err(), "it is open");
    assert!(journal.release("output.a-1_b").await.is_err(), "it is open");
    assert!(journal.release("other").await.is_err(), "there is none");
    append(&journal, 0..1).await;
    let head = journal.head();
    let beyond = Position { seq: head.seq + 1, ..head };
    let foreign = Position { epoch: Epoch::from_bytes([9; 7]), ..head };
    for bad in [beyond, foreign] {
        assert!(cursor.save(CursorState::at(bad)).await.is_err());
    }
    let many = CursorState { in_flight: vec![1..2; 5000], ..CursorState::at(head) };
    assert!(cursor.save(many).await.is_err());
    assert_eq!(cursor.load().await.unwrap(), None);
    cursor.save(CursorState::at(head)).await.unwrap();
    drop(cursor);
    let cursor = journal.cursor("output.a-1_b", block()).unwrap();
    assert_eq!(cursor.load().await.unwrap().unwrap().position, head);
    journal.close();
    assert!(cursor.save(CursorState::at(head)).await.is_err());
}

// One sync serves the events and the saves that came meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_shares_the_sync_of_a_group() {
    for durability in [Durability::Sync, Durability::None] {
        let vfs = MemoryVfs::new();
        let (journal, _) = open(&vfs, JournalConfig { durability, ..config() });
        let cursors: Vec<_> =
            (0..5).map(|n| journal.cursor(&format!("c{n}"), block()).unwrap()).collect();
        append(&journal, 0..1).await;
        vfs.hold_syncs();
        let at = CursorState::at(journal.head());
        let first = cursors[0].clone();
        let state = at.clone();
        let first = tokio::spawn(async move { first.save(state).await });
        vfs.wait_for_sync();
        let before = vfs.calls(Call::Sync);
        let saves: Vec<_> = cursors.iter().map(|cursor| cursor.save(at.clone())).collect();
        let appended: Vec<_> = (0..5).map(|n| journal.append(batch(&text(n)))).collect();
        vfs.release_syncs();
        first.await.unwrap().unwrap();
        for save in saves {
            save.await.unwrap();
        }
        for commit in appended {
            commit.await.unwrap();
        }
        assert_eq!(vfs.calls(Call::Sync) - before, 1, "{durability:?}");
        drop(journal);
        let (journal, _) = open(&vfs.power_cut(0), config());
        assert_eq!(journal.cursors().len(), 5);
        assert!(journal.cursors().iter().all(|cursor| cursor.position == Some(at.position)));
        assert_cursors_balance(&journal);
    }
}

#[tokio::test]
async fn a_segment_stays_until_every_cursor_has_passed_it() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { history_bytes: 0, ..small() });
    let (one, two) =
        (journal.cursor("one", block()).unwrap(), journal.cursor("two", drop_oldest()).unwrap());
    append(&journal, 0..20).await;
    let at = |seq| CursorState::at(Position { seq, ..journal.head() });
    one.save(at(15)).await.unwrap();
    append(&journal, 20..22).await;
    assert_eq!(journal.oldest().seq, 1, "the other holds from the beginning");
    two.save(at(10)).await.unwrap();
    append(&journal, 22..24).await;
    let oldest = journal.oldest().seq;
    assert!((8..=10).contains(&oldest), "{oldest}");
    assert_books_balance(&journal).await;
    assert_cursors_balance(&journal);
    assert_eq!(status(&journal, "one").lag_events, 10);
    assert!(status(&journal, "two").lag_bytes > status(&journal, "one").lag_bytes);
}

#[tokio::test]
async fn some_history_stays_for_others() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { history_bytes: 3000, ..small() });
    let cursor = journal.cursor("one", block()).unwrap();
    for n in 0..30 {
        append(&journal, n..n + 1).await;
        cursor.save(CursorState::at(journal.head())).await.unwrap();
        assert!(journal.status().bytes <= 3600, "{:?}", journal.status());
    }
    assert!(messages(&journal).await.len() > 1);
    assert_books_balance(&journal).await;
    assert_cursors_balance(&journal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_cursor_holds_appends_until_it_moves() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, tight());
    let cursor = journal.cursor("store", block()).unwrap();
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    let journal = Arc::new(journal);
    let appending = tokio::spawn({
        let journal = journal.clone();
        async move { append(&journal, 0..40).await }
    });
    // Each time it is wanted the cursor moves, which lets some more in; nothing is lost.
    let mut times = 0;
    let move_on = async {
        loop {
            cursor.wanted().await;
            assert_held(&journal, "store");
            assert!(journal.status().bytes <= 4000 + 1000, "{:?}", journal.status());
            cursor.save(CursorState::at(journal.head())).await.unwrap();
            times += 1;
        }
    };
    tokio::select! {
        () = move_on => {}
        appended = appending => appended.unwrap(),
    }
    assert!(times > 2, "{times}");
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    append(&journal, 40..41).await;
    assert_eq!(journal.status().state, JournalState::Ok);
    assert_eq!(status(&journal, "store").ledger.dropped_lag, 0);
    assert_books_balance(&journal).await;
    assert_cursors_balance(&journal);
}

#[tokio::test]
async fn a_cursor_that_may_lose_is_moved_and_its_loss_counted() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, tight());
    let cursor = journal.cursor("slow", drop_oldest()).unwrap();
    let start = journal.head();
    cursor.save(CursorState::at(start)).await.unwrap();
    append(&journal, 0..40).await;
    assert!(journal.status().bytes <= 4000, "{:?}", journal.status());
    let oldest = journal.oldest();
    assert!(matches!(journal.read(start, 1).await, Err(ReadError::Expired { .. })));
    let check = |journal: &DiskJournal| {
        let ledger = status(journal, "slow").ledger;
        assert_eq!((ledger.routed, ledger.dropped_lag), (40, oldest.seq - 1));
        assert_eq!(ledger.lag, 41 - oldest.seq);
        assert_cursors_balance(journal);
    };
    check(&journal);
    drop(journal);
    let (journal, _) = open(&vfs, tight());
    check(&journal);
    // A reader that counts for itself says the same.
    let cursor = journal.cursor("slow", drop_oldest()).unwrap();
    let mut tally = CursorTally::default();
    tally.expired = oldest.seq - 1;
    let position = Position { epoch: start.epoch, ..oldest };
    cursor.save(CursorState { tally: Some(tally), ..CursorState::at(position) }).await.unwrap();
    check(&journal);
    // And so does the journal for one that does not.
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    let ledger = status(&journal, "slow").ledger;
    assert_eq!((ledger.delivered, ledger.dropped_lag), (41 - oldest.seq, oldest.seq - 1));
    assert_cursors_balance(&journal);
}

#[tokio::test]
async fn an_orphan_blocks_nothing_and_is_given_up_on_request() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, tight());
    let cursor = journal.cursor("gone", block()).unwrap();
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    append(&journal, 0..3).await;
    drop((cursor, journal));
    // At the opening nothing is taken from it yet.
    let (journal, _) = open(
        &vfs,
        JournalConfig { retention: Retention { max_bytes: 1500, max_age: None }, ..tight() },
    );
    assert_eq!(journal.oldest().seq, 1);
    let orphan = status(&journal, "gone");
    assert!(orphan.is_orphan && orphan.unopened.is_some(), "{orphan:?}");
    append(&journal, 3..20).await;
    let orphan = status(&journal, "gone");
    assert!(orphan.ledger.dropped_lag > 10, "{orphan:?}");
    assert_cursors_balance(&journal);
    journal.release("gone").await.unwrap();
    assert!(journal.cursors().is_empty());
    drop(journal);
    for after in [vfs.snapshot(), vfs.power_cut(0)] {
        assert!(open(&after, config()).0.cursors().is_empty());
    }
}

#[tokio::test]
async fn a_cursor_that_is_opened_again_is_no_orphan() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let cursor = journal.cursor("back", block()).unwrap();
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    drop((cursor, journal));
    let since = {
        let (journal, _) = open(&vfs, config());
        status(&journal, "back").unopened.unwrap()
    };
    {
        let (journal, _) = open(&vfs, config());
        assert_eq!(status(&journal, "back").unopened, Some(since), "since the first time");
        journal.cursor("back", block()).unwrap();
        assert!(!status(&journal, "back").is_orphan);
        // Closing writes what is queued, the note that it was opened too.
    }
    let (journal, _) = open(&vfs, config());
    assert!(status(&journal, "back").unopened.unwrap() > since);
}

/// S-028, S-029: an orphan ends after its time; a wall clock that jumps does not end it.
#[tokio::test]
async fn an_orphan_ends_when_both_clocks_say_so() {
    let vfs = MemoryVfs::new();
    let at = |seconds: i64| Timestamp::from_seconds(1_700_000_000 + seconds, 0).unwrap();
    vfs.set_now(at(0));
    let (journal, _) = open(&vfs, small());
    let cursor = journal.cursor("gone", block()).unwrap();
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    drop((cursor, journal));
    let (journal, _) = open(&vfs, small());
    for years in [10, -10] {
        vfs.set_now(at(years * 365 * 86_400));
        append(&journal, 0..3).await;
        assert_eq!(journal.cursors().len(), 1);
    }
    vfs.set_now(at(1));
    drop(journal);
    let (journal, _) = open(&vfs, JournalConfig { orphan_max_age: Duration::ZERO, ..small() });
    append(&journal, 3..6).await;
    assert!(journal.cursors().is_empty());
    drop(journal);
    assert!(open(&vfs.power_cut(0), small()).0.cursors().is_empty());
}

/// Age is a limit to what is kept for a cursor too, even one that must lose nothing.
#[tokio::test]
async fn what_is_too_old_goes_and_is_counted_for_whoever_held_it() {
    let vfs = MemoryVfs::new();
    let at = |days: i64| Timestamp::from_seconds(1_700_000_000 + days * 86_400, 0).unwrap();
    let received = |days: i64| {
        let mut log = Log::new("x");
        log.received = at(days);
        log.to_batch().unwrap()
    };
    let mut config = JournalConfig { segment_bytes: 1, ..tight() };
    config.retention =
        Retention { max_bytes: u64::MAX, max_age: Some(Duration::from_secs(86_400)) };
    vfs.set_now(at(0));
    let (journal, _) = open(&vfs, config);
    let cursor = journal.cursor("store", block()).unwrap();
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    for _ in 0..3 {
        journal.append(received(0)).await.unwrap();
    }
    vfs.set_now(at(3));
    for _ in 0..2 {
        journal.append(received(3)).await.unwrap();
    }
    let ledger = status(&journal, "store").ledger;
    // The third was closed only then.
    assert_eq!((ledger.routed, ledger.dropped_lag, ledger.lag), (5, 2, 3));
    assert_eq!(journal.status().expired.by_age, 2);
    assert_cursors_balance(&journal);
    assert_books_balance(&journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_may_only_be_so_far_behind() {
    let vfs = MemoryVfs::new();
    let config = JournalConfig { history_bytes: 0, segment_bytes: 600, ..small() };
    let (journal, _) = open(&vfs, config);
    let may_lose = HoldConfig { max_lag_bytes: Some(2000), ..drop_oldest() };
    let slow = journal.cursor("slow", may_lose).unwrap();
    slow.save(CursorState::at(journal.head())).await.unwrap();
    append(&journal, 0..20).await;
    let lost = status(&journal, "slow");
    assert!(lost.lag_bytes <= 2000 + 1200 && lost.ledger.dropped_lag > 10, "{lost:?}");
    let must_not = HoldConfig { max_lag_bytes: Some(2000), ..block() };
    let store = journal.cursor("store", must_not).unwrap();
    store.save(CursorState::at(journal.head())).await.unwrap();
    let journal = Arc::new(journal);
    let appending = tokio::spawn({
        let journal = journal.clone();
        async move { append(&journal, 20..40).await }
    });
    store.wanted().await;
    assert_held(&journal, "store");
    assert!(status(&journal, "store").lag_bytes > 2000);
    let keep_up = async {
        loop {
            store.wanted().await;
            store.save(CursorState::at(journal.head())).await.unwrap();
        }
    };
    tokio::select! {
        () = keep_up => {}
        appended = appending => appended.unwrap(),
    }
    assert_eq!(status(&journal, "store").ledger.dropped_lag, 0);
    assert_cursors_balance(&journal);
}

/// S-014: a disk that is full, for a cursor that must lose nothing, is freed by saving that cursor,
/// again and again, also where an opening finds it full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_freed_by_the_cursor_that_holds_it() {
    let vfs = MemoryVfs::new();
    vfs.set_capacity(Some(40_000));
    for round in 1..4 {
        let (journal, report) = open(&vfs, JournalConfig { segment_bytes: 4000, ..small() });
        assert_eq!(report.damages, []);
        let journal = Arc::new(journal);
        let cursor = journal.cursor("store", block()).unwrap();
        if cursor.load().await.unwrap().is_none() {
            cursor.save(CursorState::at(journal.head())).await.unwrap();
        }
        let appending = tokio::spawn({
            let journal = journal.clone();
            async move { append(&journal, 0..300).await }
        });
        let mut times = 0;
        let move_on = async {
            loop {
                cursor.wanted().await;
                let (head, saved) = (journal.head(), cursor.load().await.unwrap());
                if saved.is_some_and(|saved| saved.position == head) {
                    tokio::task::yield_now().await;
                } else {
                    cursor.save(CursorState::at(head)).await.unwrap();
                    times += 1;
                }
            }
        };
        tokio::select! {
            () = move_on => {}
            appended = appending => appended.unwrap(),
        }
        assert!(times > 1, "{times}");
        assert_eq!(journal.status().appended, round * 300);
        assert_eq!(status(&journal, "store").ledger.dropped_lag, 0);
        assert_cursors_balance(&journal);
        assert_books_balance(&journal).await;
    }
}

/// S-014, S-015, S-013: each call of a workload of appends, saves, removals and openings fails in
/// turn; nothing promised is lost to a cursor that must not lose, and every position saved is
/// there.
#[tokio::test]
async fn whatever_call_fails_a_cursor_loses_nothing() {
    for fault in [Fault::Full, Fault::Io] {
        for nth in 1.. {
            let vfs = MemoryVfs::new();
            vfs.fail(Call::Any, nth, fault);
            let mut world = World::default();
            for round in 0..3 {
                world.run(&vfs, round * 6..round * 6 + 6, None).await;
            }
            let was_hit = vfs.calls(Call::Any) >= nth;
            for after in [vfs.snapshot(), vfs.power_cut(0), vfs.power_cut(nth as u64)] {
                world.check(&after, &format!("{fault:?} at call {nth}")).await;
            }
            if !was_hit {
                assert!(nth > 60, "{nth}");
                break;
            }
        }
    }
}

/// S-002, S-004, S-005, S-009, S-010: the same where the power goes in each call.
#[tokio::test]
async fn a_power_cut_in_any_call_takes_no_position_and_no_event_behind_it() {
    for nth in 1.. {
        let mut was_cut = false;
        for seed in [0, 3, 11] {
            let vfs = MemoryVfs::new();
            vfs.cut_at(nth, seed);
            let mut world = World::default();
            for round in 0..3 {
                world.run(&vfs, round * 6..round * 6 + 6, Some(nth)).await;
            }
            if let Some(after) = vfs.cut_image() {
                was_cut = true;
                world.check(&after, &format!("power cut at call {nth}, seed {seed}")).await;
            }
        }
        if !was_cut {
            assert!(nth > 60, "{nth}");
            return;
        }
    }
}

/// Removes what was passed, and never has to wait for a cursor.
fn roomy() -> JournalConfig {
    JournalConfig { retention: Retention { max_bytes: 40_000, max_age: None }, ..tight() }
}

/// What was promised to whoever uses a journal.
#[derive(Debug, Default)]
struct World {
    promised: Vec<(u64, String)>,
    /// The position saved last, and one that was being saved when the power went.
    saved: Option<Position>,
    attempted: Vec<Position>,
}

impl World {
    /// Opens, appends, saves now and then, and closes. What comes after the call `cut` was promised
    /// by a machine that is off already.
    async fn run(&mut self, vfs: &MemoryVfs, range: std::ops::Range<usize>, cut: Option<usize>) {
        let is_on = || cut.is_none_or(|cut| vfs.calls(Call::Any) < cut);
        let opened = DiskJournal::open_in(Arc::new(vfs.clone()), roomy());
        let Ok((journal, _)) = opened else { return };
        let cursor = journal.cursor("store", block()).unwrap();
        for n in range {
            let text = text(n);
            let Ok(committed) = journal.append(batch(&text)).await else { return };
            if is_on() {
                self.promised.push((committed.first.seq, text));
            }
            if n % 3 == 2 {
                // Two events behind the head, of which not all are to be held.
                let head = journal.head();
                let position = Position { seq: head.seq.saturating_sub(2).max(1), ..head };
                let state =
                    CursorState { in_flight: vec![1..2, 2..3], ..CursorState::at(position) };
                self.attempted.push(position);
                if cursor.save(state).await.is_ok() && is_on() {
                    self.saved = Some(position);
                    self.attempted.clear();
                }
            }
        }
    }

    /// The position is the one saved last, or one that may have been; and from there on everything
    /// promised can be read.
    async fn check(&self, after: &MemoryVfs, context: &str) {
        let (journal, _) = open(after, roomy());
        let cursor = journal.cursor("store", block()).unwrap();
        let found = cursor.load().await.unwrap().map(|state| state.position.seq);
        let saved = self.saved.map(|position| position.seq);
        let may_be = self.attempted.iter().map(|position| Some(position.seq));
        assert!(may_be.chain([saved]).any(|seq| seq == found), "{context}: {found:?}, {self:?}");
        let from = found.unwrap_or(1);
        assert!(journal.oldest().seq <= from, "{context}: {:?}", journal.oldest());
        let at = Position { seq: from, ..journal.oldest() };
        let read = numbered(&journal, at, 1 << 20).await;
        let wanted: Vec<_> = self.promised.iter().filter(|(seq, _)| *seq >= from).collect();
        assert!(wanted.iter().all(|event| read.contains(event)), "{context}");
        assert_cursors_balance(&journal);
        assert_books_balance(&journal).await;
        journal.append(batch("on")).await.unwrap();
        cursor.save(CursorState::at(journal.head())).await.unwrap();
        assert_cursors_balance(&journal);
    }
}

/// A cursor that stands beyond what a crash left is put back to its end, and the books balance.
#[tokio::test]
async fn a_cursor_beyond_a_lost_tail_is_put_back() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let cursor = journal.cursor("store", block()).unwrap();
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    append(&journal, 0..5).await;
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    drop((cursor, journal));
    // The medium loses an event in the middle and all behind it, save the last frame, by turning
    // the directory back to a segment that says the cursor stands further on.
    let vfs = vfs.snapshot();
    let mut catalog = Catalog { head: 3, ..Catalog::default() };
    let epoch = Epoch::from_bytes([1; 7]);
    catalog.epochs = vec![(epoch, 1)];
    let name = segments(&vfs);
    assert_eq!(name.len(), 1);
    let recovered = recovery::recover(&vfs).unwrap();
    catalog.cursors = recovered.catalog.cursors;
    catalog.settle_cursors();
    let state = catalog.cursors.load("store").unwrap();
    assert_eq!(state.position, Position { epoch, seq: 3 });
    let status = &catalog.cursor_status(Timestamp::EPOCH)[0];
    assert_eq!(status.ledger.delivered, 5);
    assert_eq!(status.ledger.residue(), 0, "{status:?}");
}

/// S-015: on a full disk the next segment may be begun and given up. What it says of the one before
/// is then not all: that one is written on.
#[tokio::test]
async fn a_segment_that_was_begun_in_vain_hides_nothing() {
    let vfs = MemoryVfs::new();
    let config = JournalConfig { segment_bytes: 1 << 20, ..small() };
    let (journal, _) = open(&vfs, config.clone());
    let cursor = journal.cursor("store", block()).unwrap();
    append(&journal, 0..5).await;
    // The record finds no room; the name of the segment that is made of the spare for it is there,
    // and is not known to stay.
    vfs.fail(Call::Write, 1, Fault::Full);
    vfs.fail(Call::SyncDir, 1, Fault::Full);
    let before = vfs.names().len();
    cursor.save(CursorState::at(journal.oldest())).await.unwrap();
    assert_eq!((vfs.hits(), vfs.names().len()), (2, before), "the spare is another segment now");
    append(&journal, 5..9).await;
    let after = vfs.snapshot();
    drop((cursor, journal));
    let (journal, _) = open(&after, config);
    assert_eq!(journal.status().appended, 9);
    assert_books_balance(&journal).await;
}
