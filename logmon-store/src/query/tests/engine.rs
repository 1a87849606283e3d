//! The engine over parts that are made up: any bounds, any faults, any number of threads.

use std::io;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use logmon_core::{
    Aggregate, Aggregated, Epoch, Event as _, FieldCatalogue, FieldTally, FieldValue, Filter,
    Group, GroupBuilder, Hit, Key, Log, Order, Page, PageKey, Scope, Search, TableSpec, Tables,
    Timestamp,
};
use proptest::prelude::*;

use super::super::*;

/// What happens to who looks at a part.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Damaged,
    Io,
    /// It goes on until the query ends.
    Endless,
}

#[derive(Clone, Debug)]
struct MadeUp {
    group: Group,
    /// How far the bounds are from the events, in seconds.
    slack: i64,
    pieces: Vec<Arc<Self>>,
    fault: Fault,
    /// Ends the query when so many events were looked at.
    trap: Arc<Trap>,
}

#[derive(Debug)]
struct Trap {
    left: AtomicU64,
    cancel: Arc<AtomicBool>,
}

impl Trap {
    fn at(left: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(left), cancel: Arc::default() })
    }

    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.cancel.store(true, Ordering::Relaxed);
        }
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds, 0).unwrap()
}

fn epoch() -> Epoch {
    Epoch::from_bytes([3; 7])
}

impl MadeUp {
    fn of(events: &[(u64, i64)], slack: i64, trap: &Arc<Trap>) -> Self {
        let mut builder = GroupBuilder::with_capacity(epoch(), events.len(), events.len(), 0);
        for (seq, seconds) in events {
            let log = Log::new("x").timestamp(time(*seconds)).field("n", *seq);
            builder.push(&log.to_batch().unwrap(), *seq);
        }
        let trap = trap.clone();
        Self { group: builder.finish(), slack, pieces: Vec::new(), fault: Fault::None, trap }
    }

    fn look_at(
        &self,
        look: &Look<'_>,
        mut each: impl FnMut(PageKey, &logmon_core::LogRef<'_>),
    ) -> Result<Seen, PartError> {
        let damaged = || PartError::Damaged { file: "f".into(), offset: 1, what: "w".into() };
        let mut seen = Seen::default();
        while self.fault == Fault::Endless && !look.is_over() {
            std::thread::yield_now();
        }
        for log in self.group.iter() {
            if look.is_over() {
                seen.is_cut = true;
                return Ok(seen);
            }
            self.trap.step();
            let key = PageKey::by_number(log.timestamp(), log.seq());
            if look.is_in_range(key, log.seq()) {
                seen.events += 1;
                seen.matched += 1;
                each(key, &log);
            }
        }
        match self.fault {
            Fault::Damaged => Err(damaged()),
            Fault::Io => Err(io::Error::other("no such disk").into()),
            _ => Ok(seen),
        }
    }
}

impl Part for MadeUp {
    fn bounds(&self) -> Bounds {
        let pieces = self.pieces.iter().map(|piece| &piece.group);
        let groups: Vec<_> = pieces.chain([&self.group]).collect();
        let times: Vec<_> = groups.iter().flat_map(|group| group.iter()).collect();
        let times: Vec<_> = times.iter().map(logmon_core::Event::timestamp).collect();
        let nanos = self.slack * 1_000_000_000;
        let earliest = times.iter().min().unwrap().saturating_add_nanos(-nanos);
        let latest = times.iter().max().unwrap().saturating_add_nanos(nanos);
        let first_seq = groups.iter().map(|group| group.first_seq()).min().unwrap();
        let end_seq = groups.iter().map(|group| group.end_seq()).max().unwrap();
        Bounds { times: (earliest, latest), seqs: first_seq..end_seq }
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        if self.pieces.is_empty() {
            return Ok(None);
        }
        let alone = Self { pieces: Vec::new(), ..self.clone() };
        let pieces = self.pieces.iter().cloned().map(|piece| piece as Arc<dyn Part>);
        Ok(Some(pieces.chain([Arc::new(alone) as Arc<dyn Part>]).collect()))
    }

    fn find(&self, look: &Look<'_>, best: &mut Best) -> Result<Seen, PartError> {
        self.look_at(look, |key, log| best.offer(key, &self.group, log.index()))
    }

    fn tally(&self, look: &Look<'_>, tables: &mut Tables) -> Result<Seen, PartError> {
        self.look_at(look, |_, log| tables.observe(log))
    }

    fn fields(&self, look: &Look<'_>, tally: &mut FieldTally) -> Result<Seen, PartError> {
        self.look_at(look, |_, log| tally.observe(log))
    }
}

/// Events in parts, some of which split.
#[derive(Clone, Debug)]
struct World {
    /// The timestamps by number.
    times: Vec<i64>,
    /// Where parts end, how far off their bounds are, and whether the next one is a piece of it.
    cuts: Vec<(usize, i64, bool)>,
}

fn a_world() -> impl Strategy<Value = World> {
    let times = prop::collection::vec(0_i64..30, 1..60);
    let cuts = prop::collection::vec((1_usize..12, 0_i64..3, any::<bool>()), 60);
    (times, cuts).prop_map(|(times, cuts)| World { times, cuts })
}

impl World {
    fn snapshot(&self, trap: &Arc<Trap>) -> Snapshot {
        let events: Vec<_> = self.times.iter().enumerate().map(|(n, at)| (n as u64, *at)).collect();
        let (mut parts, mut rest): (Vec<MadeUp>, _) = (Vec::new(), &events[..]);
        for (len, slack, is_piece) in &self.cuts {
            let (some, others) = rest.split_at((*len).min(rest.len()));
            if some.is_empty() {
                break;
            }
            let part = MadeUp::of(some, *slack, trap);
            match parts.last_mut().filter(|_| *is_piece) {
                // The bounds of what is split hold for its pieces.
                Some(whole) => {
                    whole.slack = whole.slack.max(part.slack);
                    whole.pieces.push(Arc::new(part));
                }
                None => parts.push(part),
            }
            rest = others;
        }
        assert!(rest.is_empty() || self.cuts.is_empty());
        let parts = parts.into_iter().map(|part| Arc::new(part) as Arc<dyn Part>).collect();
        Snapshot {
            head: Position { epoch: epoch(), seq: self.times.len() as u64 },
            parts,
            ties: Ties::Numbers,
        }
    }

    fn naive(&self, order: Order) -> Vec<u64> {
        let mut seqs: Vec<_> = (0..self.times.len()).collect();
        seqs.sort_by_key(|seq| (self.times[*seq], *seq));
        if order == Order::NewestFirst {
            seqs.reverse();
        }
        seqs.into_iter().map(|seq| seq as u64).collect()
    }
}

fn find(world: &World, what: &Search, threads: usize, trap: &Arc<Trap>) -> Page {
    let turn = Turn { crew: &Crew::of(threads), cancel: &trap.cancel };
    search(world.snapshot(trap), what, turn).unwrap()
}

fn seqs(page: &Page) -> Vec<u64> {
    page.hits.iter().map(|hit| hit.log().seq()).collect()
}

fn by_n() -> Aggregate {
    Aggregate::new(Filter::all(), vec![TableSpec::by([Key::named("n")])])
}

proptest! {
    /// However many threads look, and wherever they are stopped: a page is the beginning of the
    /// answer, and paging on from it gives the rest.
    #[test]
    fn pages_have_neither_hole_nor_repeat(
        world in a_world(),
        is_newest in any::<bool>(),
        limit in 1_usize..12,
        stop in prop_oneof![2 => 0_u64..80, 1 => Just(u64::MAX)],
        max_bytes in prop_oneof![1 => 0_usize..4_000, 1 => Just(usize::MAX)],
        threads in 1_usize..5,
    ) {
        let order = if is_newest { Order::NewestFirst } else { Order::OldestFirst };
        let expected = world.naive(order);
        let mut search = Search::new(Filter::all());
        (search.order, search.limit, search.scope.max_bytes) = (order, limit, max_bytes);
        let mut found = Vec::new();
        let mut trap = Trap::at(stop);
        loop {
            let page = find(&world, &search, threads, &trap);
            prop_assert!(page.hits.len() <= limit);
            let bytes: usize = page.hits.iter().map(Hit::memory).sum();
            prop_assert!(page.hits.len() <= 1 || bytes <= max_bytes);
            let is_stopped = trap.cancel.load(Ordering::Relaxed);
            prop_assert!(page.incomplete.is_none() || is_stopped);
            prop_assert!(page.incomplete.is_some() || page.scanned_to.is_none());
            if page.incomplete.is_none() && max_bytes == usize::MAX {
                let rest = expected.len() - found.len();
                prop_assert_eq!(page.hits.len(), limit.min(rest));
                prop_assert_eq!(page.has_more, rest > limit);
            }
            if page.stats.matched_exact {
                prop_assert_eq!(page.stats.matched, (expected.len() - found.len()) as u64);
            }
            found.extend(seqs(&page));
            prop_assert_eq!(&found[..], &expected[..found.len()]);
            if !page.has_more {
                break;
            }
            let last = page.hits.last().map(Hit::key);
            prop_assert!(last.is_some() || is_stopped);
            search.after = page.scanned_to.or(last).or(search.after);
            trap = Trap::at(u64::MAX);
        }
        prop_assert_eq!(found, expected);
    }

    /// A count that was stopped has everything from the instant on that it names.
    #[test]
    fn a_count_that_is_stopped_is_whole_from_an_instant_on(
        world in a_world(),
        stop in prop_oneof![2 => 0_u64..80, 1 => Just(u64::MAX)],
        threads in 1_usize..5,
    ) {
        let trap = Trap::at(stop);
        let turn = Turn { crew: &Crew::of(threads), cancel: &trap.cancel };
        let Aggregated { tables, incomplete, scanned_to, stats, .. } =
            aggregate(world.snapshot(&trap), &by_n(), turn).unwrap();
        let counted: Vec<_> = tables[0].rows.iter().map(|row| {
            assert_eq!(row.count, 1);
            row.key[0].clone()
        }).collect();
        let is_counted = |seq: usize| counted.contains(&FieldValue::Int(seq as i128));
        for (seq, at) in world.times.iter().enumerate() {
            let is_owed = incomplete.is_none() || scanned_to.is_some_and(|from| time(*at) >= from);
            prop_assert!(!is_owed || is_counted(seq), "{} {:?}", seq, scanned_to);
        }
        prop_assert_eq!(counted.len() as u64, stats.matched);
        prop_assert_eq!(incomplete.is_none(), stats.matched_exact);
        prop_assert!(incomplete.is_none() || trap.cancel.load(Ordering::Relaxed));

        let trap = Trap::at(stop);
        let turn = Turn { crew: &Crew::of(threads), cancel: &trap.cancel };
        let FieldCatalogue { fields, incomplete, stats, others, .. } =
            fields(world.snapshot(&trap), &Scope::new(Filter::all()), turn).unwrap();
        prop_assert_eq!(fields.iter().map(|field| field.events).sum::<u64>(), stats.matched);
        prop_assert_eq!(others, 0);
        prop_assert!(incomplete.is_some() || stats.matched == world.times.len() as u64);
    }
}

fn two_parts(faults: [Fault; 2]) -> Snapshot {
    let trap = Trap::at(u64::MAX);
    let part = |n: u64, fault| {
        let events = [(n * 10, 7), (n * 10 + 1, i64::try_from(n).unwrap())];
        Arc::new(MadeUp { fault, ..MadeUp::of(&events, 0, &trap) }) as Arc<dyn Part>
    };
    let parts = vec![part(0, faults[0]), part(1, faults[1])];
    Snapshot { head: Position { epoch: epoch(), seq: 20 }, parts, ties: Ties::Numbers }
}

/// a stretch that is damaged is counted, and everything else is served.
#[test]
fn a_damaged_part_costs_itself_alone() {
    for threads in [1, 3] {
        let snapshot = || two_parts([Fault::None, Fault::Damaged]);
        let never = AtomicBool::new(false);
        let crew = Crew::of(threads);
        let turn = Turn { crew: &crew, cancel: &never };
        let page = search(snapshot(), &Search::new(Filter::all()), turn).unwrap();
        assert_eq!(page.stats.damaged, 1);
        assert!([0, 1].iter().all(|seq| seqs(&page).contains(seq)), "{page:?}");
        let counted = aggregate(snapshot(), &by_n(), turn).unwrap();
        assert_eq!((counted.stats.damaged, counted.incomplete), (1, None));
        let fields = fields(snapshot(), &Scope::new(Filter::all()), turn).unwrap();
        assert_eq!(fields.stats.damaged, 1);
    }
}

/// A disk that fails is not a damaged block: nobody knows what else is missing. Who looks at
/// another part is told at once.
#[test]
fn a_disk_that_fails_ends_the_query() {
    for faults in [[Fault::None, Fault::Io], [Fault::Io, Fault::Io], [Fault::Io, Fault::Endless]] {
        let never = AtomicBool::new(false);
        // Alone, a thread would stay in the endless part.
        let turn = Turn { crew: &Crew::of(2), cancel: &never };
        let search = search(two_parts(faults), &Search::new(Filter::all()), turn);
        assert!(matches!(search, Err(QueryError::Io(text)) if text.contains("no such disk")));
        assert!(aggregate(two_parts(faults), &by_n(), turn).is_err());
        assert!(fields(two_parts(faults), &Scope::new(Filter::all()), turn).is_err());
    }
}

/// The budget and the end of interest hold inside a part that takes long.
#[test]
fn a_long_part_is_left_within_a_tenth_of_a_second() {
    let mut what = Search::new(Filter::all());
    what.scope.budget = Duration::from_millis(20);
    let mut counting = by_n();
    counting.scope.budget = what.scope.budget;
    for threads in [1, 3] {
        let never = AtomicBool::new(false);
        let crew = Crew::of(threads);
        let turn = Turn { crew: &crew, cancel: &never };
        let endless = || two_parts([Fault::Endless, Fault::Endless]);
        let begun = Instant::now();
        let page = search(endless(), &what, turn).unwrap();
        assert!(page.incomplete.is_some() && page.hits.is_empty() && page.has_more);
        assert!(aggregate(endless(), &counting, turn).unwrap().incomplete.is_some());
        assert!(fields(endless(), &what.scope, turn).unwrap().incomplete.is_some());
        let taken = begun.elapsed();
        let budgets = what.scope.budget * 3;
        assert!((budgets..budgets + Duration::from_millis(300)).contains(&taken), "{taken:?}");
    }
}

/// A part that does not matter any more is left: one thread fills the page while another is in a
/// part with nothing better.
#[test]
fn a_part_that_cannot_change_the_page_is_left() {
    let trap = Trap::at(u64::MAX);
    let better = MadeUp::of(&[(5, 100), (6, 101), (7, 102)], 0, &trap);
    let worse = MadeUp { fault: Fault::Endless, ..MadeUp::of(&[(1, 1)], 0, &trap) };
    // The first part is looked at while there is no other, so that a helper is called for the rest.
    let first = MadeUp::of(&[(9, 103)], 0, &trap);
    let parts: Vec<Arc<dyn Part>> = vec![Arc::new(first), Arc::new(worse), Arc::new(better)];
    let snapshot =
        Snapshot { head: Position { epoch: epoch(), seq: 10 }, parts, ties: Ties::Numbers };
    let mut what = Search::new(Filter::all());
    (what.limit, what.scope.budget) = (2, Duration::from_secs(600));
    let turn = Turn { crew: &Crew::of(3), cancel: &trap.cancel };
    let page = search(snapshot, &what, turn).unwrap();
    assert_eq!((seqs(&page), page.incomplete, page.has_more), (vec![9, 7], None, true));
}
