//! Messages too big for memory. The journal part of F-053.

use logmon_core::{Entries, FieldMap, Fingerprint, Group, Reading, Staging, Timestamp};

use proptest::prelude::*;

use super::*;

/// A batch of several events.
fn batch_of(texts: &[String]) -> NewBatch {
    batch_with(texts, &Reading::new(Arc::default(), Timestamp::EPOCH))
}

fn batch_with(texts: &[String], reading: &Reading) -> NewBatch {
    let mut payload = Vec::new();
    for text in texts {
        payload.extend_from_slice(Log::new(text.clone()).to_batch().unwrap().entries.payload());
    }
    NewBatch::new("big".into(), Entries::read(payload.into(), reading).unwrap())
}

fn texts(name: &str, count: usize, bytes: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}{n}:{}", "s".repeat(bytes))).collect()
}

/// A message of the texts, pushed in batches of three.
async fn stage(journal: &DiskJournal, texts: &[String]) -> Result<Box<dyn Staging>, AppendError> {
    let mut staging = journal.stage().await?;
    for texts in texts.chunks(3) {
        staging.push(batch_of(texts)).await?;
    }
    Ok(staging)
}

fn digest(n: u8) -> Vec<Fingerprint> {
    vec![Fingerprint { first: 0, digest: [n; 16] }]
}

fn staging_files(vfs: &MemoryVfs) -> usize {
    vfs.names().iter().filter(|name| name.contains("stage")).count()
}

/// Waits until files that were given up are unlinked, which happens on another thread.
async fn until_removed(vfs: &MemoryVfs) {
    while staging_files(vfs) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_staged_message_appears_at_once_between_appends() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    journal.append(batch("before")).await.unwrap();
    let message = texts("m", 40, 200);
    let staging = stage(&journal, &message).await.unwrap();
    journal.append(batch("between")).await.unwrap();
    assert_eq!(messages(&journal).await, ["before", "between"]);
    assert!(journal.status().staged_bytes > 8000);
    let committed = staging.commit(digest(1)).await.unwrap();
    assert_eq!((committed.first.seq, committed.end_seq), (3, 43));
    journal.append(batch("after")).await.unwrap();
    let mut expected = vec!["before".to_owned(), "between".to_owned()];
    expected.extend(message);
    expected.push("after".to_owned());
    assert_eq!(messages(&journal).await, expected);
    assert_eq!((journal.status().staged_bytes, staging_files(&vfs)), (0, 0));
    assert_eq!(journal.status().segments, 3);
    assert_books_balance(&journal).await;
    for after in [vfs.power_cut(0), vfs.snapshot()] {
        let (journal, report) = open(&after, config());
        assert_eq!(report.damages, []);
        assert_eq!(messages(&journal).await, expected);
        assert_books_balance(&journal).await;
    }
}

// A reader that follows gets the message in slices.
#[tokio::test]
async fn a_staged_message_is_read_in_slices() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let message = texts("m", 100, 200);
    // Pushed in one batch that is far beyond a frame.
    let mut staging = journal.stage().await.unwrap();
    staging.push(batch_of(&message)).await.unwrap();
    let mut at = staging.commit(digest(1)).await.unwrap().first;
    let mut groups = 0;
    while let Some(group) = journal.read(at, 3000).await.unwrap() {
        assert!(group.memory() < 6000, "{}", group.memory());
        groups += 1;
        at = group.end();
    }
    assert!(groups >= 7, "{groups}");
    assert_eq!(messages(&journal).await, message);
}

// S-023: what an event is read with is kept.
#[tokio::test]
async fn staged_events_keep_everything_they_were_pushed_with() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, small());
    let fields = Arc::new(FieldMap::new(&["l"], &["message"], &["s"]).unwrap());
    let mut reading = Reading::new(fields, Timestamp::from_seconds(1_700_000_000, 5).unwrap());
    reading.time_unit = logmon_core::TimeUnit::Auto;
    let mut other = batch_with(&texts("c", 1, 2000), &reading);
    other.tag = "other".into();
    let batches = [batch_with(&texts("a", 2, 10), &reading), batch_of(&texts("b", 2, 10)), other];
    let mut staging = journal.stage().await.unwrap();
    let mut expected = Vec::new();
    for (batch, seq) in batches.iter().zip([1, 3, 5]) {
        staging.push(batch.clone()).await.unwrap();
        let epoch = journal.head().epoch;
        expected.push(logmon_core::GroupBuilder::single(epoch, batch, seq));
    }
    let at = staging.commit(digest(1)).await.unwrap().first;
    for journal in [journal, open(&vfs.power_cut(0), small()).0] {
        let read = journal.read(at, 1 << 20).await.unwrap().unwrap();
        assert_eq!(read.len(), 5);
        for (read, expected) in read.iter().zip(expected.iter().flat_map(Group::iter)) {
            assert_eq!(read.to_log(), expected.to_log());
            assert_eq!(read.id(), expected.id());
        }
    }
}

// The file that is dropped, the one of an opening that crashed, and an empty message.
#[tokio::test]
async fn what_is_not_committed_leaves_nothing() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let given_up = stage(&journal, &texts("x", 9, 100)).await.unwrap();
    assert_eq!(staging_files(&vfs), 1);
    let killed = vfs.snapshot();
    drop(given_up);
    until_removed(&vfs).await;
    assert_eq!(journal.status().staged_bytes, 0);
    let empty = journal.stage().await.unwrap().commit(Vec::new()).await.unwrap();
    assert_eq!((empty.first, empty.end_seq), (journal.head(), journal.head().seq));
    until_removed(&vfs).await;
    killed.put("notes.stage", b"not ours".to_vec());
    let (after, report) = open(&killed, config());
    assert_eq!((report.damages, after.status().appended), (Vec::new(), 0));
    assert_eq!(killed.content("notes.stage").unwrap(), b"not ours");
    assert_eq!(staging_files(&killed), 1);
}

#[tokio::test]
async fn the_room_for_staging_is_bounded() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { staging_max_bytes: 10_000, ..config() });
    let mut one = stage(&journal, &texts("x", 3, 2000)).await.unwrap();
    let mut two = stage(&journal, &texts("y", 1, 2000)).await.unwrap();
    let kept = journal.status().staged_bytes;
    match two.push(batch_of(&texts("z", 3, 1000))).await {
        Err(AppendError::Busy { queued_bytes }) => assert!(queued_bytes as u64 >= kept),
        other => panic!("{other:?}"),
    }
    // What was pushed stays, and a push that was refused left nothing.
    assert_eq!(journal.status().staged_bytes, kept);
    drop(one.push(batch_of(&texts("x", 1, 500))));
    drop(one);
    until_gone(&journal, 3000).await;
    two.push(batch_of(&texts("z", 3, 1000))).await.unwrap();
    two.commit(Vec::new()).await.unwrap();
    let mut expected = texts("y", 1, 2000);
    expected.extend(texts("z", 3, 1000));
    assert_eq!(messages(&journal).await, expected);
}

async fn until_gone(journal: &DiskJournal, bytes: u64) {
    while journal.status().staged_bytes > bytes {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_so_many_messages_are_open_at_once() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let mut open = Vec::new();
    loop {
        match journal.stage().await {
            Ok(staging) => open.push(staging),
            Err(AppendError::Busy { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(open.len(), 64);
    drop(open.pop());
    assert!(journal.stage().await.is_ok());
}

// S-014: a full disk is busy to who pushes, and waited for once the message is committed.
#[tokio::test]
async fn a_full_disk_refuses_a_push_and_takes_it_again() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let mut staging = stage(&journal, &texts("a", 3, 300)).await.unwrap();
    vfs.set_capacity(Some(1000));
    let more = texts("b", 5, 600);
    let refused = staging.push(batch_of(&more)).await;
    assert!(matches!(refused, Err(AppendError::Busy { .. })), "{refused:?}");
    assert!(journal.stage().await.is_ok());
    vfs.set_capacity(None);
    staging.push(batch_of(&more)).await.unwrap();
    staging.commit(digest(1)).await.unwrap();
    let expected = [texts("a", 3, 300), more].concat();
    assert_eq!(messages(&journal).await, expected);
    let (journal, report) = open(&vfs.power_cut(0), config());
    assert_eq!(report.damages, []);
    assert_eq!(messages(&journal).await, expected);
}

#[tokio::test]
async fn a_failed_write_ends_the_message_and_not_the_journal() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let mut staging = stage(&journal, &texts("a", 3, 300)).await.unwrap();
    vfs.fail(Call::Write, 1, Fault::Io);
    let failed = staging.push(batch("b")).await;
    assert!(matches!(failed, Err(AppendError::Staging(_))), "{failed:?}");
    assert!(matches!(staging.push(batch("c")).await, Err(AppendError::Closed)));
    assert!(matches!(staging.commit(digest(1)).await, Err(AppendError::Closed)));
    until_removed(&vfs).await;
    let staging = stage(&journal, &texts("a", 3, 300)).await.unwrap();
    vfs.fail(Call::Sync, 1, Fault::Io);
    assert!(matches!(staging.commit(digest(1)).await, Err(AppendError::Staging(_))));
    journal.append(batch("on")).await.unwrap();
    assert_eq!(messages(&journal).await, ["on"]);
}

#[tokio::test]
async fn a_closed_journal_stages_nothing() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    let staging = stage(&journal, &texts("a", 3, 300)).await.unwrap();
    journal.close();
    assert!(matches!(staging.commit(digest(1)).await, Err(AppendError::Closed)));
    assert!(matches!(journal.stage().await, Err(AppendError::Closed)));
    until_removed(&vfs).await;
}

// Nobody need wait for room that will never be there.
#[tokio::test]
async fn what_can_never_be_staged_is_too_large() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { staging_max_bytes: 10_000, ..config() });
    let other = stage(&journal, &texts("other", 1, 5000)).await.unwrap();
    let mut big = stage(&journal, &texts("x", 1, 4000)).await.unwrap();
    // With the other gone there would be room for this,
    match big.push(batch_of(&texts("y", 1, 4000))).await {
        Err(AppendError::Busy { .. }) => {}
        refused => panic!("{refused:?}"),
    }
    // and never for this.
    match big.push(batch_of(&texts("z", 3, 3000))).await {
        Err(AppendError::TooLarge { bytes }) => assert!(bytes > 10_000, "{bytes}"),
        refused => panic!("{refused:?}"),
    }
    drop((big, other));
    until_removed(&vfs).await;
    assert_eq!(journal.status().staged_bytes, 0);
    let none = JournalConfig { staging_max_bytes: 0, ..config() };
    let (journal, _) = open(&MemoryVfs::new(), none);
    let refused = stage(&journal, &texts("x", 1, 1)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })), "{refused:?}");
}

// What was promised must not be gone with the next segment.
#[tokio::test]
async fn what_retention_would_remove_at_once_is_too_large() {
    let vfs = MemoryVfs::new();
    let retention = Retention { max_bytes: 10_000, max_age: None };
    let (journal, _) = open(&vfs, JournalConfig { retention, segment_bytes: 2_000, ..config() });
    let refused = stage(&journal, &texts("x", 3, 3_000)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })), "{refused:?}");
    let kept = texts("x", 3, 2_500);
    stage(&journal, &kept).await.unwrap().commit(Vec::new()).await.unwrap();
    journal.append(batch("behind")).await.unwrap();
    assert_eq!(messages(&journal).await, [kept, vec!["behind".to_owned()]].concat());
}

// Retention counts a message as any other segment.
#[tokio::test]
async fn retention_removes_staged_messages() {
    let vfs = MemoryVfs::new();
    let retention = Retention { max_bytes: 10_000, max_age: None };
    let (journal, _) = open(&vfs, JournalConfig { retention, ..small() });
    for n in 0..4 {
        let message = texts(&n.to_string(), 10, 400);
        stage(&journal, &message).await.unwrap().commit(digest(n)).await.unwrap();
    }
    // Ordered behind the last removal.
    journal.append(batch("end")).await.unwrap();
    let status = journal.status();
    assert!(status.expired.by_size >= 20, "{status:?}");
    assert_eq!(segments(&vfs).len(), status.segments);
    assert_books_balance(&journal).await;
    let (journal, report) = open(&vfs.power_cut(0), small());
    assert_eq!(report.damages, []);
    assert_books_balance(&journal).await;
}

/// Every message is there whole, or not at all.
fn assert_whole(found: &[String], pieces: &[Vec<String>], promised: usize, context: &str) {
    let mut rest = found;
    for (n, piece) in pieces.iter().enumerate() {
        match rest.strip_prefix(piece.as_slice()) {
            Some(behind) => rest = behind,
            None => assert!(n >= promised, "{context}: {n} of {promised} is missing"),
        }
    }
    assert!(rest.is_empty(), "{context}: {:?}", &rest[..1]);
}

fn workload() -> Vec<Vec<String>> {
    vec![
        texts("a", 1, 10),
        texts("big", 4, 400),
        texts("bigger", 6, 500),
        texts("b", 1, 10),
        texts("c", 1, 900),
        texts("last", 3, 300),
    ]
}

/// Appends a single event, stages more.
async fn put(journal: &DiskJournal, piece: &[String]) -> Result<Committed, AppendError> {
    match piece {
        [text] => journal.append(batch(text)).await,
        texts => stage(journal, texts).await?.commit(digest(0)).await,
    }
}

/// Puts all; gives how many were promised before `is_before`
/// turned false.
async fn run(journal: &DiskJournal, pieces: &[Vec<String>], is_before: impl Fn() -> bool) -> usize {
    let mut promised = 0;
    for (n, piece) in pieces.iter().enumerate() {
        put(journal, piece).await.unwrap();
        if is_before() {
            promised = n + 1;
        }
    }
    promised
}

// S-009, S-010, S-011: the power goes in every call, under every durability.
#[tokio::test]
async fn a_power_cut_in_any_call_shows_a_staged_message_whole_or_not_at_all() {
    for durability in [Durability::Sync, Durability::None] {
        let (mut nth, mut was_cut) = (0, true);
        while was_cut {
            nth += 1;
            was_cut = false;
            for seed in [0, 1, 2, 5] {
                let vfs = MemoryVfs::new();
                vfs.cut_at(nth, seed * 7919);
                let limits = JournalConfig { segment_bytes: 2000, durability, ..small() };
                let (journal, _) = open(&vfs, limits);
                let pieces = workload();
                let promised = run(&journal, &pieces, || vfs.calls(Call::Any) < nth).await;
                // Without syncs a promise of an append is none in a power cut.
                let promised = if durability == Durability::Sync { promised } else { 0 };
                drop(journal);
                let Some(after) = vfs.cut_image() else { continue };
                was_cut = true;
                let context = format!("{durability:?}, call {nth}, seed {seed}");
                for again in [0, 2] {
                    after.cut_at(1 + again, seed);
                    let (journal, _) = open(&after, small());
                    assert_whole(&messages(&journal).await, &pieces, promised, &context);
                    assert_books_balance(&journal).await;
                    assert_eq!(staging_files(&after), 0, "{context}");
                    drop(journal);
                    if let Some(cut_again) = after.cut_image() {
                        let (journal, _) = open(&cut_again, small());
                        assert_whole(&messages(&journal).await, &pieces, promised, &context);
                        journal.append(batch("on")).await.unwrap();
                        assert_books_balance(&journal).await;
                    }
                }
            }
        }
        assert!(nth > 40, "{nth}");
    }
}

// S-008: a kill keeps what was written, between any two calls.
#[tokio::test]
async fn a_kill_between_any_two_calls_leaves_nothing_odd() {
    for nth in 1.. {
        let vfs = MemoryVfs::new();
        // Stops the process' view at that call: everything after it fails.
        let (journal, _) = open(&vfs, small());
        let before = vfs.calls(Call::Any);
        (0..200).for_each(|n| vfs.fail(Call::Any, nth + n, Fault::Io));
        let pieces = workload();
        let mut promised = 0;
        for piece in &pieces {
            let done = put(&journal, piece).await;
            if done.is_err() {
                break;
            }
            promised += 1;
        }
        let was_hit = vfs.calls(Call::Any) - before >= nth;
        let (after, report) = open(&vfs.snapshot(), small());
        let torn = |damage: &Damage| damage.kind == DamageKind::TornTail;
        assert!(report.damages.iter().all(torn), "call {nth}: {:?}", report.damages);
        assert_whole(&messages(&after).await, &pieces, promised, &format!("call {nth}"));
        assert_books_balance(&after).await;
        if !was_hit {
            assert!(nth > 40 && promised == pieces.len(), "{nth}");
            return;
        }
    }
}

// S-014: each call finds the disk full once.
#[tokio::test]
async fn a_full_disk_at_any_call_loses_no_staged_message() {
    for nth in 1.. {
        let vfs = MemoryVfs::new();
        let (journal, _) = open(&vfs, small());
        let before = vfs.calls(Call::Any);
        vfs.fail(Call::Any, nth, Fault::Full);
        let pieces = workload();
        let mut taken = Vec::new();
        for piece in &pieces {
            let done = put(&journal, piece).await;
            match done {
                Ok(_) => taken.extend(piece.clone()),
                Err(AppendError::Busy { .. } | AppendError::Poisoned(_)) => {}
                Err(error) => panic!("call {nth}: {error}"),
            }
        }
        let was_hit = vfs.calls(Call::Any) - before >= nth;
        assert_eq!(messages(&journal).await, taken, "call {nth}");
        assert_books_balance(&journal).await;
        journal.close();
        let (after, report) = open(&vfs.power_cut(0), small());
        assert_eq!(report.damages, [], "call {nth}");
        assert!(messages(&after).await.starts_with(&taken), "call {nth}");
        if !was_hit {
            assert!(nth > 40, "{nth}");
            return;
        }
    }
}

// Many at once: each whole, each after what was promised before it was committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stagings_and_appends_at_once_keep_their_order() {
    let vfs = MemoryVfs::new();
    let (journal, _) =
        open(&vfs, JournalConfig { segment_bytes: 5000, tail_bytes: 2000, ..config() });
    let journal = Arc::new(journal);
    let tasks: Vec<_> = (0..6)
        .map(|task| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    journal.append(batch(&format!("{task} {n} before"))).await.unwrap();
                    let message = texts(&format!("{task} {n} m"), 12, 150);
                    let staging = stage(&journal, &message).await.unwrap();
                    let commit = staging.commit(digest(task));
                    let at = commit.await.unwrap();
                    assert_eq!(at.end_seq - at.first.seq, 12);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let found = messages(&journal).await;
    for task in 0..6_usize {
        let own = found.iter().filter(|text| text.starts_with(&format!("{task} ")));
        let expected: Vec<String> = (0..5)
            .flat_map(|n| {
                let before = [format!("{task} {n} before")];
                before.into_iter().chain(texts(&format!("{task} {n} m"), 12, 150))
            })
            .collect();
        assert!(own.eq(expected.iter()), "{task}");
    }
    // No message is interrupted by another.
    let whole = found.chunk_by(|one, next| one.get(..4) == next.get(..4) && next.contains(" m"));
    assert!(whole.filter(|run| run[0].contains(" m0")).all(|run| run.len() == 12));
    drop(journal);
    let (journal, report) = open(&vfs.power_cut(0), config());
    assert_eq!(report.damages, []);
    assert_eq!(messages(&journal).await, found);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::effort::cases(64), failure_persistence: None, ..ProptestConfig::default() })]

    // S-009, S-010: appends, messages, power cuts and openings in any order.
    #[test]
    fn messages_are_whole_after_power_cuts_under_any_load(
        rounds in proptest::collection::vec(
            (proptest::collection::vec((1_usize..8, 0_usize..900), 1..8), 1_usize..60, any::<u64>()),
            1..4,
        ),
        segment_bytes in 500_u64..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let limits = JournalConfig { segment_bytes, ..small() };
            let mut vfs = MemoryVfs::new();
            let mut before: Vec<String> = Vec::new();
            for (round, (sizes, cut_at, seed)) in rounds.into_iter().enumerate() {
                vfs.cut_at(cut_at, seed);
                let (journal, _) = open(&vfs, limits.clone());
                let pieces: Vec<_> = sizes
                    .into_iter()
                    .enumerate()
                    .map(|(n, (count, bytes))| texts(&format!("{round}.{n}."), count, bytes))
                    .collect();
                let promised = run(&journal, &pieces, || vfs.calls(Call::Any) < cut_at).await;
                drop(journal);
                vfs = vfs.cut_image().unwrap_or_else(|| vfs.power_cut(seed));
                let (journal, _) = open(&vfs, limits.clone());
                let found = messages(&journal).await;
                assert_books_balance(&journal).await;
                assert_eq!(found[..before.len()], before);
                assert_whole(&found[before.len()..], &pieces, promised, "a round");
                before = found;
                drop(journal);
                vfs = vfs.snapshot();
            }
        });
    }
}
