//! Every store answers every query as looking at each event by itself does.
//!
//! The truth is [`truth::Truth`]: each event in a group of its own, judged by the evaluator, then
//! sorted and counted in the plainest way. `LOGMON_TEST_EFFORT` multiplies the number of random worlds.

use std::sync::Arc;

use logmon_core::{Journal as _, MemoryJournal, NewBatch, Position, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::vfs::memory::MemoryVfs;
use crate::{DiskJournal, JournalConfig, JournalStore, effort};

mod events;
mod filters;
mod questions;
mod truth;

pub(crate) use events::batches;
pub(crate) use questions::Questions;
#[cfg(feature = "mongodb")]
pub(crate) use questions::figures;
pub(crate) use truth::Truth;

/// Runs a test of so many cases, by the effort and from the seed that are asked for.
pub(crate) fn with_cases<S: Strategy>(usual: u32, strategy: S, test: impl Fn(S::Value)) {
    let cases = effort::cases(usual);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed = [effort::first_seed(), 0, 0, 0].map(u64::to_le_bytes).concat();
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let run = TestRunner::new_with_rng(config, random).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    run.unwrap();
}

/// What a future gives that has nothing to wait for.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("there is something to wait for"),
    }
}

/// A journal on a disk in memory, which forgets soon what it has in memory.
pub(crate) fn open_journal(disk: &MemoryVfs, segment_bytes: u64) -> Arc<DiskJournal> {
    let config = JournalConfig { segment_bytes, tail_bytes: 3000, ..JournalConfig::default() };
    Arc::new(DiskJournal::open_in(Arc::new(disk.clone()), config).unwrap().0)
}

/// Appends a batch and takes note of its events.
pub(crate) fn append(
    (journal, truth): (&DiskJournal, &mut Truth),
    runtime: &tokio::runtime::Runtime,
    batch: &NewBatch,
) {
    let committed = runtime.block_on(journal.append(batch.clone())).unwrap();
    truth.add(committed.first, batch);
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Some batches at first, some that arrive while queries run, and what is asked.
pub(crate) type World = (Vec<NewBatch>, Vec<NewBatch>, Questions);

pub(crate) fn a_world() -> impl Strategy<Value = World> {
    let first = prop::collection::vec(batches::a_batch(), 0..24);
    let late = prop::collection::vec(batches::a_batch(), 0..4);
    (first, late, questions::questions())
}

/// Asks a store everything, while the late batches arrive.
pub(crate) fn ask(
    store: &dyn Store,
    (journal, truth): (&DiskJournal, &mut Truth),
    (late, questions): (&[NewBatch], &Questions),
) {
    let runtime = runtime();
    let mut late = late.iter();
    questions.ask(store, truth, &mut |truth| {
        if let Some(batch) = late.next() {
            append((journal, truth), &runtime, batch);
        }
    });
}

#[test]
fn the_journal_answers_as_looking_at_each_event_does() {
    let segment_bytes = prop_oneof![1_000_u64..20_000, Just(1 << 20)];
    with_cases(
        300,
        (a_world(), segment_bytes, any::<bool>()),
        |(world, segment_bytes, reopens)| {
            let (first, late, questions) = world;
            let (disk, runtime, mut truth) = (MemoryVfs::new(), runtime(), Truth::default());
            let mut journal = open_journal(&disk, segment_bytes);
            for batch in &first {
                append((&journal, &mut truth), &runtime, batch);
            }
            if reopens {
                drop(journal);
                journal = open_journal(&disk, segment_bytes);
            }
            let store = JournalStore::new(journal.clone());
            ask(&store, (&journal, &mut truth), (&late, &questions));
        },
    );
}

/// The evaluator says of an event that is read from a [`MemoryJournal`], and of its owned form, what
/// it says of the event alone.
#[test]
fn the_evaluator_does_not_care_where_an_event_is() {
    with_cases(300, a_world(), |(first, late, questions)| {
        let (journal, mut truth) = (MemoryJournal::new(1 << 30), Truth::default());
        let oldest = journal.head();
        for batch in first.iter().chain(&late) {
            let group = journal.append_now(batch);
            truth.add(Position { epoch: group.epoch(), seq: group.first_seq() }, batch);
        }
        let (mut at, mut events) = (oldest, truth.logs());
        while let Some(group) = now(journal.read(at, 1000)).unwrap() {
            at = group.end();
            for log in group.iter() {
                let alone = events.next().unwrap();
                assert_eq!(format!("{log:?}"), format!("{alone:?}"));
                for filter in questions.filters() {
                    let accepts = filter.matches(&alone);
                    assert_eq!(filter.matches(&log), accepts, "{filter}: {log:?}");
                    assert_ne!(filter.clone().negated().matches(&log), accepts);
                }
            }
        }
        assert!(events.next().is_none());
    });
}
