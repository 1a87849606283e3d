//! A crash at any point: the world outside goes on with what it has, the runner begins anew.

use std::collections::{BTreeMap, HashSet};

use tokio::sync::Notify;

use super::*;
use crate::CursorError;

/// What a crash leaves: the journal, what the cursor saved, and what the receiver has.
#[derive(Debug, Default)]
struct World {
    /// The call in which the process dies; it does so before the call has done anything.
    dies_in: AtomicUsize,
    calls: AtomicUsize,
    death: Notify,
    saved: Mutex<Option<CursorState>>,
    /// Chunks by the numbers of their events: the receiver knows one again by them.
    seen: Mutex<HashSet<Vec<u64>>>,
    /// How often the receiver has stored each event.
    stored: Mutex<BTreeMap<u64, usize>>,
    needs_bounds: bool,
}

impl World {
    /// Comes back unless the process dies here.
    async fn step(&self) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.dies_in.load(Ordering::SeqCst) {
            self.death.notify_one();
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
    }

    fn receive(&self, chunk: Vec<u64>) {
        if !self.seen.lock().unwrap().insert(chunk.clone()) {
            return;
        }
        for seq in chunk {
            *self.stored.lock().unwrap().entry(seq).or_default() += 1;
        }
    }
}

#[derive(Debug)]
struct Outside(Arc<World>);

impl Cursor for Outside {
    fn load(&self) -> BoxFuture<'_, Result<Option<CursorState>, CursorError>> {
        Box::pin(async {
            self.0.step().await;
            Ok(self.0.saved.lock().unwrap().clone())
        })
    }

    fn save(&self, state: CursorState) -> BoxFuture<'_, Result<(), CursorError>> {
        Box::pin(async {
            self.0.step().await;
            *self.0.saved.lock().unwrap() = Some(state);
            self.0.step().await;
            Ok(())
        })
    }
}

impl Sink for Outside {
    /// Sends the unit in chunks of two events, of which the second is not answered at first.
    fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts> {
        Box::pin(async move {
            let unit: Vec<_> = batch.unit().map(|(log, place)| (log.seq(), place)).collect();
            let is_first_attempt = unit.iter().all(|(_, place)| place.is_some());
            let mut verdicts = vec![Verdict::Retry; batch.len()];
            for (at, chunk) in unit.chunks(2).enumerate() {
                let places: Vec<_> = chunk.iter().filter_map(|(_, place)| *place).collect();
                if places.is_empty() {
                    continue;
                }
                self.0.step().await;
                self.0.receive(chunk.iter().map(|(seq, _)| *seq).collect());
                self.0.step().await;
                let is_answered = at != 1 || !is_first_attempt;
                places.iter().filter(|_| is_answered).for_each(|place| {
                    verdicts[*place] = Verdict::Delivered;
                });
            }
            Verdicts::Each(verdicts)
        })
    }

    fn needs_bounds(&self) -> bool {
        self.0.needs_bounds
    }
}

/// Runs until everything there is has arrived; tells whether the process died before.
async fn live(world: &Arc<World>, journal: &Arc<MemoryJournal>) -> bool {
    let head = journal.head();
    let arrived = async {
        let has_arrived = || world.saved.lock().unwrap().as_ref().map(|state| state.position);
        while has_arrived() != Some(head) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let outside = Arc::new(Outside(world.clone()));
    let config = RunnerConfig { window: 3, group_bytes: 1_000, ..RunnerConfig::default() };
    let shelf = Arc::new(Shelf::default());
    let runner = Runner::new(journal.clone(), outside.clone(), outside, shelf, config);
    tokio::select! {
        biased;
        () = world.death.notified() => true,
        ended = runner.run(arrived) => {
            ended.unwrap();
            false
        }
    }
}

/// Two crashes, between which the journal grows. Gives how often each event was stored and
/// whether the first crash came about.
async fn crash_twice(dies_in: usize, needs_bounds: bool) -> (Vec<usize>, bool) {
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    let world = Arc::new(World { needs_bounds, ..World::default() });
    *world.saved.lock().unwrap() = Some(CursorState::at(journal.head()));
    append(&journal, &["e"; 16]).await;
    world.dies_in.store(dies_in, Ordering::SeqCst);
    let has_died = live(&world, &journal).await;
    append(&journal, &["e"; 7]).await;
    let again = world.calls.load(Ordering::SeqCst) + 1 + dies_in % 7;
    world.dies_in.store(again, Ordering::SeqCst);
    if live(&world, &journal).await {
        append(&journal, &["e"; 3]).await;
        world.dies_in.store(usize::MAX, Ordering::SeqCst);
        assert!(!live(&world, &journal).await);
    }
    let end = journal.head().seq;
    let stored = world.stored.lock().unwrap();
    let first = MemoryJournal::FIRST_SEQ;
    ((first..end).map(|seq| stored.get(&seq).copied().unwrap_or(0)).collect(), has_died)
}

/// F-151: after a crash at any point the units that were on their way come once more as they
/// were, so that a receiver that knows its chunks stores every event exactly once.
#[tokio::test(start_paused = true)]
async fn the_same_units_come_again_after_a_crash_at_any_point() {
    let mut points = 0;
    loop {
        let (stored, has_died) = crash_twice(points + 1, true).await;
        assert!(stored.iter().all(|times| *times == 1), "point {}: {stored:?}", points + 1);
        if !has_died {
            break;
        }
        points += 1;
    }
    assert!(points > 30, "only {points} points to crash at");
}

/// What the bounds are good for: without them nothing is lost, but some events come in other
/// chunks.
#[tokio::test(start_paused = true)]
async fn without_bounds_nothing_is_lost() {
    let mut doubled = 0;
    for point in 1.. {
        let (stored, has_died) = crash_twice(point, false).await;
        assert!(stored.iter().all(|times| *times >= 1), "point {point}: {stored:?}");
        doubled += usize::from(stored.iter().any(|times| *times > 1));
        if !has_died {
            break;
        }
    }
    assert!(doubled > 0, "the test has no crash in which bounds matter");
}
