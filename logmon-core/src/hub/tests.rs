use std::task::Poll;

use super::*;
use crate::event::Event as _;
use crate::{Level, LevelCounts};
use proptest::prelude::*;
use tokio_test::task::spawn;

fn log(level: Level, text: &str) -> Log {
    Log::new(text).level(level)
}

/// Everything that is there without waiting.
fn drain(subscription: &mut Subscription) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while let Poll::Ready(Some(delivery)) = spawn(subscription.next()).poll() {
        deliveries.push(delivery);
    }
    deliveries
}

fn messages(deliveries: &[Delivery]) -> Vec<String> {
    let batches = deliveries.iter().filter_map(|delivery| match delivery {
        Delivery::Batch(batch) => Some(batch),
        _ => None,
    });
    batches.flat_map(|batch| batch.logs().map(|log| log.message().into_owned())).collect()
}

fn range_of(delivery: &Delivery) -> Option<std::ops::Range<u64>> {
    match delivery {
        Delivery::Batch(batch) => Some(batch.range()),
        Delivery::Progress { range } => Some(range.clone()),
        Delivery::Dropped(dropped) => Some(dropped.range.clone()),
        Delivery::CaughtUp { .. } => None,
    }
}

/// Rule 1 of the live protocols: the ranges join.
fn assert_continuous(from: u64, deliveries: &[Delivery]) -> u64 {
    deliveries.iter().filter_map(range_of).fold(from, |at, range| {
        assert_eq!(range.start, at, "{deliveries:?}");
        range.end
    })
}

#[test]
fn delivers_what_matches_in_order() {
    let hub = Hub::in_memory();
    let mut subscription = hub.subscribe("level>=warn").unwrap();
    assert!(matches!(drain(&mut subscription)[..], [Delivery::CaughtUp { at: 1 }]));
    for (level, text) in [(Level::Warn, "a"), (Level::Info, "b"), (Level::Error, "c")] {
        hub.publish(&log(level, text)).unwrap();
    }
    let deliveries = drain(&mut subscription);
    assert_eq!(messages(&deliveries), ["a", "c"]);
    assert_eq!(assert_continuous(1, &deliveries), 4);
    assert_eq!(subscription.position(), hub.head());
}

#[test]
fn wakes_only_for_what_matches() {
    let hub = Hub::in_memory();
    let mut subscription = hub.subscribe("level:error").unwrap();
    drain(&mut subscription);
    let mut next = spawn(subscription.next());
    assert!(next.poll().is_pending());
    hub.publish(&log(Level::Info, "no")).unwrap();
    assert!(!next.is_woken());
    hub.publish(&log(Level::Error, "yes")).unwrap();
    assert!(next.is_woken());
    let Poll::Ready(Some(delivery)) = next.poll() else { panic!("woken for nothing") };
    drop(next);
    assert_eq!(messages(&[delivery]), ["yes"]);
    assert_eq!(subscription.position().seq, 3, "the range covers what did not match");
}

#[test]
fn tells_progress_when_asked() {
    let hub = Hub::in_memory();
    let mut subscription = hub.subscribe("level:error").unwrap();
    drain(&mut subscription);
    assert!(subscription.progress().is_none());
    hub.publish(&log(Level::Info, "no")).unwrap();
    assert_eq!(range_of(&subscription.progress().unwrap()), Some(1..2));
    hub.publish(&log(Level::Error, "yes")).unwrap();
    assert!(subscription.progress().is_none(), "what matches is to be delivered");
    assert_eq!(messages(&drain(&mut subscription)), ["yes"]);
}

#[test]
fn equal_filters_are_evaluated_once() {
    let hub = Hub::in_memory();
    let one = hub.subscribe("level:error timeout").unwrap();
    let two = hub.subscribe("timeout level:error").unwrap();
    assert_eq!(hub.filters(), 1);
    drop(one);
    assert_eq!(hub.filters(), 1);
    drop(two);
    assert_eq!(hub.filters(), 0);
}

#[test]
fn goes_on_from_a_position() {
    let hub = Hub::in_memory();
    let start = hub.head();
    hub.publish(&log(Level::Info, "a")).unwrap();
    let mut first = hub
        .subscribe_with(&Filter::all(), SubscribeOptions::new(Start::At(start), Mode::Lossless))
        .unwrap();
    assert_eq!(messages(&drain(&mut first)), ["a"]);
    let position = first.position();
    hub.publish(&log(Level::Info, "b")).unwrap();
    let mut second = hub
        .subscribe_with(&Filter::all(), SubscribeOptions::new(Start::At(position), Mode::Lossless))
        .unwrap();
    assert_eq!(messages(&drain(&mut second)), ["b"]);
}

#[test]
fn a_new_filter_keeps_the_position() {
    let hub = Hub::in_memory();
    let mut subscription = hub.subscribe("level:error").unwrap();
    hub.publish(&log(Level::Info, "a")).unwrap();
    subscription.set_filter(&Filter::parse("level:info").unwrap()).unwrap();
    hub.publish(&log(Level::Info, "b")).unwrap();
    assert_eq!(messages(&drain(&mut subscription)), ["a", "b"]);
    assert_eq!(hub.filters(), 1);
}

#[test]
fn refuses_relative_times() {
    let hub = Hub::in_memory();
    let error = hub.subscribe("timestamp>=now-1h").unwrap_err();
    assert_eq!(error, SubscribeError::RelativeTime);
}

fn counts(pairs: &[(Level, u64)]) -> LevelCounts {
    let mut counts = LevelCounts::default();
    pairs.iter().for_each(|(level, count)| counts.add(Some(*level), *count));
    counts
}

/// A slow reader of the latest events is moved on and told exactly what it missed.
#[test]
fn the_latest_mode_skips_and_tells() {
    let hub = Hub::in_memory();
    let options = SubscribeOptions::new(Start::Head, Mode::Latest);
    let mut subscription = hub.subscribe_with(&Filter::parse("x").unwrap(), options).unwrap();
    for at in 0..21_000 {
        let level = if at % 10 == 0 { Level::Warn } else { Level::Info };
        hub.publish(&log(level, if at % 2 == 0 { "x" } else { "y" })).unwrap();
    }
    let deliveries = drain(&mut subscription);
    let Delivery::Dropped(dropped) = &deliveries[0] else { panic!("{:?}", deliveries[0]) };
    assert_eq!(assert_continuous(1, &deliveries), hub.head().seq);
    let shown = messages(&deliveries).len() as u64;
    assert!((1..=200).contains(&shown), "{shown}");
    let all = counts(&[(Level::Warn, 2_100), (Level::Info, 8_400)]);
    assert_eq!(dropped.by_level.unwrap().total() + shown, all.total());
    assert_eq!(dropped.reason, DropReason::SlowReader);
}

#[test]
fn a_reader_that_asked_for_a_replay_gets_everything() {
    let hub = Hub::in_memory_with(64 << 20);
    let options = SubscribeOptions::new(Start::Head, Mode::Latest);
    let mut subscription = hub.subscribe_with(&Filter::all(), options).unwrap();
    (0..21_000).for_each(|_| hub.publish(&log(Level::Info, "x")).unwrap());
    subscription.replay();
    assert_eq!(messages(&drain(&mut subscription)).len(), 21_000);
}

/// One batch of events without a level.
fn batch_of(texts: &[&str]) -> NewBatch {
    let mut payload = Vec::new();
    texts.iter().for_each(|text| Log::new(*text).write_entry(&mut payload));
    let reading = crate::Reading::new(Arc::default(), crate::Timestamp::now());
    let entries = crate::Entries::read(payload.into(), &reading).unwrap();
    NewBatch::new("t".into(), entries)
}

#[test]
fn a_big_group_comes_in_parts() {
    let hub = Hub::in_memory();
    let mut subscription = hub.subscribe("*").unwrap();
    hub.publish_batch(&batch_of(&vec!["x"; 2_500])).unwrap();
    let deliveries = drain(&mut subscription);
    assert_eq!(assert_continuous(1, &deliveries), 2_501);
    assert_eq!(messages(&deliveries).len(), 2_500);
    assert_eq!(deliveries.len(), 4, "three parts, and caught up");
}

#[test]
fn skipping_to_the_head_tells_what_was_skipped() {
    let hub = Hub::in_memory();
    let mut subscription = hub.subscribe("level>=warn").unwrap();
    hub.publish(&log(Level::Info, "a")).unwrap();
    hub.publish(&log(Level::Error, "b")).unwrap();
    let Poll::Ready(dropped) = spawn(subscription.skip_to_head()).poll() else { panic!() };
    let Some(Delivery::Dropped(dropped)) = dropped else { panic!("{dropped:?}") };
    assert_eq!((dropped.range, dropped.by_level), (1..3, Some(counts(&[(Level::Error, 1)]))));
    assert!(matches!(drain(&mut subscription)[..], [Delivery::CaughtUp { at: 3 }]));
}

/// What a journal forgot before it was read is told, by number where that is known.
#[test]
fn retention_is_told() {
    let hub = Hub::in_memory_with(1);
    let mut subscription = hub.subscribe("level:error").unwrap();
    for (level, text) in [(Level::Error, "a"), (Level::Info, "b"), (Level::Error, "c")] {
        hub.publish(&log(level, text)).unwrap();
    }
    let deliveries = drain(&mut subscription);
    let Delivery::Dropped(dropped) = &deliveries[0] else { panic!("{deliveries:?}") };
    assert_eq!(dropped.reason, DropReason::Retention);
    assert_eq!(dropped.by_level, Some(counts(&[(Level::Error, 1)])));
    assert_eq!(messages(&deliveries), ["c"]);
    assert_eq!(assert_continuous(1, &deliveries), 4);
}

#[test]
fn positions_of_another_past_are_told() {
    let hub = Hub::in_memory();
    hub.publish(&log(Level::Info, "a")).unwrap();
    let beyond = Position { seq: 99, ..hub.head() };
    let foreign = Position { epoch: crate::Epoch::from_bytes([9; 7]), seq: 1 };
    for (position, reason, shown) in
        [(beyond, DropReason::Diverged, 0), (foreign, DropReason::ForeignCursor, 1)]
    {
        let options = SubscribeOptions::new(Start::At(position), Mode::Lossless);
        let mut subscription = hub.subscribe_with(&Filter::all(), options).unwrap();
        let deliveries = drain(&mut subscription);
        let Delivery::Dropped(dropped) = &deliveries[0] else { panic!("{deliveries:?}") };
        assert_eq!((dropped.reason, dropped.by_level), (reason, None));
        assert_eq!(messages(&deliveries).len(), shown);
    }
}

#[tokio::test]
async fn follows_a_journal() {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    let hub = Hub::following(journal.clone(), 1 << 20);
    assert!(matches!(hub.publish(&log(Level::Info, "x")), Err(PublishError::Following)));
    let mut subscription = hub.subscribe("level:error").unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let hub = hub.clone();
        async move { hub.run(async { drop(stopped.await) }).await }
    });
    journal.append(log(Level::Info, "a").to_batch().unwrap()).await.unwrap();
    journal.append(log(Level::Error, "b").to_batch().unwrap()).await.unwrap();
    loop {
        if let Some(Delivery::Batch(batch)) = subscription.next().await {
            assert_eq!(batch.logs().next().unwrap().message(), "b");
            break;
        }
    }
    stop.send(()).unwrap();
    running.await.unwrap();
}

/// Publishes when it is woken.
struct Talkative(Hub);

impl std::task::Wake for Talkative {
    fn wake(self: Arc<Self>) {
        self.0.publish(&log(Level::Info, "woken")).unwrap();
    }
}

/// A waker is the code of others, which may publish: some log that they were woken.
#[test]
fn a_waker_may_publish() {
    let hub = Hub::in_memory();
    let mut subscription = hub.subscribe("hit").unwrap();
    drain(&mut subscription);
    let waker = Waker::from(Arc::new(Talkative(hub.clone())));
    let mut next = std::pin::pin!(subscription.next());
    assert!(next.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    let published = std::thread::spawn(move || hub.publish(&log(Level::Info, "hit")).unwrap());
    let began = std::time::Instant::now();
    while !published.is_finished() {
        assert!(began.elapsed().as_secs() < 10, "publishing waits for itself");
        std::thread::yield_now();
    }
}

/// Nothing waited for a reader whose filter matched nothing, however long that was.
#[test]
fn quiet_is_not_lag() {
    let hub = Hub::in_memory();
    let options = SubscribeOptions::new(Start::Head, Mode::Latest);
    let mut subscription = hub.subscribe_with(&Filter::parse("hit").unwrap(), options).unwrap();
    drain(&mut subscription);
    (0..21_000).for_each(|_| hub.publish(&log(Level::Info, "miss")).unwrap());
    assert_eq!(subscription.lag().0, 0);
    hub.publish_batch(&batch_of(&["hit"; 300])).unwrap();
    assert_eq!(subscription.lag().0, 300);
    let deliveries = drain(&mut subscription);
    assert_eq!(messages(&deliveries).len(), 300, "{:?}", deliveries[0]);
    assert_eq!(assert_continuous(1, &deliveries), 21_301);
}

/// A hub that follows `journal` and takes what is there when told to.
fn follow(hub: &Hub) {
    let mut running = spawn(hub.run(std::future::pending()));
    assert!(running.poll().is_pending());
}

/// The hub fell behind what the journal keeps, and so counted nothing of it.
#[test]
fn what_the_hub_missed_is_not_taken_for_nothing() {
    let journal = Arc::new(MemoryJournal::new(1));
    let hub = Hub::following(journal.clone(), 1 << 20);
    let mut subscription = hub.subscribe("hit").unwrap();
    drain(&mut subscription);
    let mut next = spawn(subscription.next());
    assert!(next.poll().is_pending());
    for text in ["hit", "hit", "miss"] {
        drop(journal.append(batch_of(&[text])));
    }
    follow(&hub);
    assert!(next.is_woken(), "there is something to tell");
    drop(next);
    let deliveries = drain(&mut subscription);
    let Delivery::Dropped(dropped) = &deliveries[0] else { panic!("{deliveries:?}") };
    assert_eq!((dropped.range.clone(), dropped.by_level), (1..3, None));
    assert_eq!(assert_continuous(1, &deliveries), 4);
    drop(journal.append(batch_of(&["hit"])));
    follow(&hub);
    let Poll::Ready(skipped) = spawn(subscription.skip_to_head()).poll() else { panic!() };
    let Some(Delivery::Dropped(dropped)) = skipped else { panic!("{skipped:?}") };
    let mut one = LevelCounts::default();
    one.add(None, 1);
    assert_eq!(dropped.by_level, Some(one));
}

/// A filter that matched nothing of what has left the ring need not look for it in the journal.
#[test]
fn what_is_known_not_to_match_is_not_read_again() {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    let hub = Hub::following(journal.clone(), 1);
    let mut subscription = hub.subscribe("hit").unwrap();
    drain(&mut subscription);
    for text in ["miss"; 100].into_iter().chain(["hit"]) {
        drop(journal.append(batch_of(&[text])));
    }
    follow(&hub);
    let deliveries = drain(&mut subscription);
    assert_eq!((messages(&deliveries).len(), deliveries.len()), (1, 2), "{deliveries:?}");
    assert_eq!(assert_continuous(1, &deliveries), 102);
}

/// A search has seen more than the hub has: what it saw is not counted as dropped.
#[test]
fn a_start_ahead_of_the_hub_counts_from_there() {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    let hub = Hub::following(journal.clone(), 1 << 20);
    drop(journal.append(batch_of(&["hit", "hit"])));
    let options = SubscribeOptions::new(Start::At(journal.head()), Mode::Lossless);
    let mut subscription = hub.subscribe_with(&Filter::parse("hit").unwrap(), options).unwrap();
    drain(&mut subscription);
    drop(journal.append(batch_of(&["hit"])));
    follow(&hub);
    let Poll::Ready(skipped) = spawn(subscription.skip_to_head()).poll() else { panic!() };
    let Some(Delivery::Dropped(dropped)) = skipped else { panic!("{skipped:?}") };
    assert_eq!((dropped.range, dropped.by_level.unwrap().total()), (3..4, 1));
}

/// Gives everything from the first event on, wherever it is asked to begin.
#[derive(Debug)]
struct Whole(MemoryJournal, Mutex<Vec<NewBatch>>);

impl Whole {
    fn append_all(&self, batch: &NewBatch) {
        self.1.lock().unwrap().push(batch.clone());
        self.0.append_now(batch);
    }
}

impl Journal for Whole {
    fn append(&self, batch: NewBatch) -> crate::Commit {
        self.0.append(batch)
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn crate::Staging>, crate::AppendError>> {
        self.0.stage()
    }

    fn read(&self, from: Position, _: usize) -> BoxFuture<'_, Result<Option<Group>, ReadError>> {
        let mut builder = crate::GroupBuilder::with_capacity(from.epoch, 0, 0, 0);
        let mut seq = MemoryJournal::FIRST_SEQ;
        for batch in self.1.lock().unwrap().iter() {
            builder.push(batch, seq);
            seq += batch.entries.len() as u64;
        }
        let group = (from.seq < seq).then(|| builder.finish());
        Box::pin(std::future::ready(Ok(group)))
    }

    fn head(&self) -> Position {
        self.0.head()
    }

    fn oldest(&self) -> Position {
        self.0.oldest()
    }

    fn advanced(&self, seq: u64) -> BoxFuture<'_, ()> {
        self.0.advanced(seq)
    }
}

/// A journal may give a group that begins before the position: what it holds of events the hub
/// has had is neither counted nor waited for again.
#[test]
fn events_before_the_head_are_counted_once() {
    for ring_bytes in [1, 1 << 20] {
        let journal = Arc::new(Whole(MemoryJournal::new(1 << 20), Mutex::default()));
        let hub = Hub::following(journal.clone(), ring_bytes);
        let filter = || Filter::parse("hit").unwrap();
        let options = SubscribeOptions::new(Start::Head, Mode::Lossless);
        let mut slow = hub.subscribe_with(&filter(), options).unwrap();
        let mut quick = hub.subscribe_with(&filter(), options).unwrap();
        let mut shown = Vec::new();
        for texts in [&["hit", "hit"][..], &["miss"], &["hit"]] {
            journal.append_all(&batch_of(texts));
            follow(&hub);
            shown.extend(drain(&mut quick));
        }
        assert_eq!((messages(&shown).len(), assert_continuous(1, &shown)), (3, 5));
        assert_eq!(slow.lag().0, if ring_bytes == 1 { 1 } else { 4 }, "as far as the ring reaches");
        let Poll::Ready(skipped) = spawn(slow.skip_to_head()).poll() else { panic!() };
        let Some(Delivery::Dropped(dropped)) = skipped else { panic!("{skipped:?}") };
        assert_eq!((dropped.range, dropped.by_level.unwrap().total()), (1..5, 3));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Level, bool),
    Read(usize),
    Update,
    SkipToHead,
    Progress,
    Reconnect,
}

fn any_step() -> impl Strategy<Value = Step> {
    let level = prop::sample::select(&Level::ALL[..]);
    prop_oneof![
        6 => (level, any::<bool>()).prop_map(|(level, hit)| Step::Publish(level, hit)),
        3 => (1usize..5).prop_map(Step::Read),
        1 => Just(Step::Update),
        1 => Just(Step::SkipToHead),
        1 => Just(Step::Progress),
        1 => Just(Step::Reconnect),
    ]
}

proptest! {
    /// However publishing, reading, skipping and coming back are mixed, and however little the
    /// journal keeps: the ranges join, nothing is delivered twice, and what was delivered and
    /// what was declared dropped are together what was published.
    #[test]
    fn the_books_balance(
        steps in prop::collection::vec(any_step(), 1..80),
        keep in prop_oneof![Just(400usize), Just(2_000), Just(1 << 20)],
    ) {
        let hub = Hub::in_memory_with(keep);
        let filter = Filter::parse("hit").unwrap();
        let options = SubscribeOptions::new(Start::Head, Mode::Lossless);
        let mut subscription = hub.subscribe_with(&filter, options).unwrap();
        let mut published: Vec<(Level, bool)> = Vec::new();
        let mut deliveries: Vec<Delivery> = Vec::new();
        for step in steps {
            match step {
                Step::Publish(level, hit) => {
                    published.push((level, hit));
                    hub.publish(&log(level, if hit { "hit" } else { "miss" })).unwrap();
                }
                Step::Read(times) => {
                    for _ in 0..times {
                        if let Poll::Ready(Some(delivery)) = spawn(subscription.next()).poll() {
                            deliveries.push(delivery);
                        }
                    }
                }
                Step::Update => subscription.set_filter(&filter).unwrap(),
                Step::SkipToHead => {
                    if let Poll::Ready(skipped) = spawn(subscription.skip_to_head()).poll() {
                        deliveries.extend(skipped);
                    }
                }
                Step::Progress => deliveries.extend(subscription.progress()),
                Step::Reconnect => {
                    let start = Start::At(subscription.position());
                    let options = SubscribeOptions::new(start, Mode::Lossless);
                    subscription = hub.subscribe_with(&filter, options).unwrap();
                }
            }
        }
        deliveries.extend(drain(&mut subscription));
        deliveries.extend(subscription.progress());
        let end = assert_continuous(1, &deliveries);
        for delivery in &deliveries {
            let range = range_of(delivery).unwrap_or(1..1);
            let inside = &published
                [usize::try_from(range.start - 1).unwrap()..usize::try_from(range.end - 1).unwrap()];
            let mut expected = LevelCounts::default();
            inside.iter().filter(|(_, hit)| *hit).for_each(|(level, _)| expected.add(Some(*level), 1));
            match delivery {
                Delivery::Batch(batch) => {
                    let mut counts = LevelCounts::default();
                    batch.logs().for_each(|log| counts.add(log.level(), 1));
                    prop_assert_eq!(counts, expected);
                }
                Delivery::Dropped(dropped) => {
                    prop_assert!(dropped.by_level.is_none_or(|counts| counts == expected));
                }
                Delivery::Progress { .. } => prop_assert_eq!(expected.total(), 0),
                Delivery::CaughtUp { .. } => {}
            }
        }
        prop_assert_eq!(end, hub.head().seq);
    }
}
