//! The local store answers as looking at each event by itself does, whatever of it is in blocks.

use logmon_core::NewBatch;
use proptest::prelude::*;

use super::*;
use crate::differential::{Truth, a_world, append, runtime, with_cases};

/// What is in blocks when the queries come.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Events of a block. Where all fit into one, it is sealed by its bytes or not at all.
    block_events: usize,
    /// Groups of the journal that were taken before the queries; all others are taken one by one
    /// between them.
    taken: usize,
    /// Whether the store and its journal are closed and opened again before the queries.
    reopens: bool,
    /// Whether that is after an orderly end.
    finishes: bool,
    partition_bytes: u64,
}

fn a_state() -> impl Strategy<Value = State> {
    let block_events = prop_oneof![Just(1_usize), 2_usize..6, 6_usize..40, Just(8192)];
    let taken = prop_oneof![2 => Just(usize::MAX), 1 => 0_usize..20];
    let partition_bytes = prop_oneof![Just(256 << 20), 2_000_u64..20_000];
    (block_events, taken, any::<bool>(), any::<bool>(), partition_bytes).prop_map(
        |(block_events, taken, reopens, finishes, partition_bytes)| State {
            block_events,
            taken,
            reopens,
            finishes,
            partition_bytes,
        },
    )
}

impl Sealer {
    /// Takes up to so many groups.
    fn take_some(&mut self, groups: usize) {
        for _ in 0..groups {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(halt) => self.get_over(halt).unwrap(),
            }
        }
    }
}

#[test]
fn the_store_answers_as_looking_at_each_event_does() {
    with_cases(250, (a_world(), a_state()), |((first, late, questions), state)| {
        let (runtime, mut truth) = (runtime(), Truth::default());
        let mut world = World::new(StoreConfig {
            block_events: state.block_events,
            partition_bytes: state.partition_bytes,
            ..small()
        });
        let add = |world: &World, truth: &mut Truth, batch: &NewBatch| {
            append((&world.journal, truth), &runtime, batch);
        };
        let (mut store, mut sealer) = world.open();
        for (at, batch) in first.iter().enumerate() {
            add(&world, &mut truth, batch);
            if at < state.taken {
                sealer.take_some(1);
            }
        }
        if state.reopens {
            if state.finishes {
                sealer.finish();
            } else {
                drop(sealer);
            }
            drop(store);
            let disk = world.disk.clone();
            world = world.reopened(disk);
            (store, sealer) = world.open();
        }
        let mut late = late.iter();
        questions.ask(&store, &mut truth, &mut |truth| {
            // What a page did not show yet goes into blocks between two pages.
            sealer.take_some(1);
            if let Some(batch) = late.next() {
                add(&world, truth, batch);
            }
        });
    });
}

/// The same with blocks of several pages.
#[test]
fn big_blocks_answer_as_looking_at_each_event_does() {
    let times = (a_world(), 10_usize..25, 520_usize..1100);
    with_cases(10, times, |((first, late, questions), rounds, block_events)| {
        let (runtime, mut truth) = (runtime(), Truth::default());
        let world = World::new(StoreConfig { block_events, ..small() });
        let (store, mut sealer) = world.open();
        for _ in 0..rounds {
            for batch in first.iter().chain(&late) {
                append((&world.journal, &mut truth), &runtime, batch);
            }
        }
        sealer.drain();
        questions.with_limit(700).ask(&store, &mut truth, &mut |_| ());
    });
}
