use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const AGE: u32 = 100;

fn seen(key: u64, content: u8, kind: Kind) -> Sighting {
    Sighting { key, unproven_key: None, content: ContentHash::of(&[content]), kind }
}

fn unique(key: u64) -> Sighting {
    seen(key, 0, Kind::Unique)
}

fn hash(key: u64) -> Sighting {
    seen(key, 0, Kind::ContentHash)
}

fn from(connection: u32, now: u32) -> Arrival {
    Arrival { connection, peer: 7, now }
}

fn new(decision: Decision) -> u64 {
    match decision {
        Decision::New { number, is_conflict: false } => number,
        other => panic!("{other:?}"),
    }
}

fn on_its_way(decision: Decision) -> oneshot::Receiver<()> {
    match decision {
        Decision::OnItsWay { seen, .. } => seen,
        other => panic!("{other:?}"),
    }
}

fn is_known(decision: &Decision) -> bool {
    matches!(decision, Decision::Known { .. })
}

/// D-1, D-2, and the first copy fails.
#[test]
fn a_copy_waits_for_the_first() {
    let mut window = Window::new(10, AGE);
    let number = new(window.decide(&unique(1), from(1, 0)));
    let mut second = on_its_way(window.decide(&unique(1), from(2, 0)));
    let mut third = on_its_way(window.decide(&unique(1), from(1, 0)));
    assert!(second.try_recv().is_err());
    window.commit(number..number + 1);
    assert_eq!((second.try_recv(), third.try_recv()), (Ok(()), Ok(())));
    assert!(is_known(&window.decide(&unique(1), from(1, 0))));
    let number = new(window.decide(&unique(2), from(1, 0)));
    let mut copy = on_its_way(window.decide(&unique(2), from(2, 0)));
    window.forget(number..number + 1);
    assert_eq!(copy.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    new(window.decide(&unique(2), from(2, 0)));
}

/// D-3: the last chunk with an id is the one that is known.
#[test]
fn other_events_with_an_id_are_a_conflict() {
    let mut window = Window::new(10, AGE);
    let number = new(window.decide(&unique(1), from(1, 0)));
    window.commit(number..number + 1);
    let other = seen(1, 1, Kind::Unique);
    let Decision::New { number: second, is_conflict: true } = window.decide(&other, from(1, 0))
    else {
        panic!("no conflict");
    };
    window.commit(second..second + 1);
    assert!(is_known(&window.decide(&other, from(1, 0))));
    // That the first is forgotten late does not cost the second its place.
    window.forget(number..number + 1);
    assert!(is_known(&window.decide(&other, from(1, 0))));
}

/// D-4: what is retry evidence, and what is none.
#[test]
fn equal_hashes_need_evidence() {
    let mut window = Window::new(10, AGE);
    let first = new(window.decide(&hash(1), from(1, 0)));
    window.commit(first..first + 1);
    // On the same connection,
    let second = new(window.decide(&hash(1), from(1, 0)));
    window.commit(second..second + 1);
    // on another without and with confirmation,
    assert!(is_known(&window.decide(&hash(1), from(2, 0))));
    window.confirm(second, 1);
    assert!(is_known(&window.decide(&hash(1), from(3, 0))), "2 has sent it since");
    window.confirm(second, 3);
    let third = new(window.decide(&hash(1), from(4, 0)));
    // and on its way.
    on_its_way(window.decide(&hash(1), from(5, 0)));
    assert_eq!(third, second + 1);
}

/// D-4: an id that proves to be a hash only when it comes again.
#[test]
fn an_unproven_id_is_one_or_the_other() {
    let mut window = Window::new(10, AGE);
    let first = new(window.decide(&seen(1, 0, Kind::Unproven), from(1, 0)));
    window.commit(first..first + 1);
    assert!(matches!(window.decide(&seen(1, 0, Kind::Unproven), from(2, 0)), Decision::Unproven));
    let proven = Sighting { unproven_key: Some(1), ..hash(2) };
    let other_peer = Arrival { peer: 8, ..from(2, 0) };
    assert!(matches!(window.decide(&proven, from(1, 0)), Decision::New { .. }), "same connection");
    assert!(matches!(
        window.decide(&Sighting { key: 3, ..proven }, other_peer),
        Decision::New { .. }
    ));
    assert!(is_known(&window.decide(&Sighting { key: 4, ..proven }, from(2, 0))));
    assert!(is_known(&window.decide(&unique(1), from(3, 0))), "when it is none");
}

/// D-6: the oldest leave first, by number and by age.
#[test]
fn the_window_is_bounded() {
    let mut window = Window::new(3, AGE);
    for key in 0..5 {
        let number = new(window.decide(&unique(key), from(1, 0)));
        window.commit(number..number + 1);
    }
    assert_eq!((window.len(), window.index.len()), (3, 3));
    new(window.decide(&unique(0), from(1, 0)));
    assert!(is_known(&window.decide(&unique(4), from(1, AGE))));
    let number = new(window.decide(&unique(3), from(1, AGE + 1)));
    window.commit(number..number + 1);
    // 4 was sent again in between, so it has been remembered on.
    assert!(is_known(&window.decide(&unique(4), from(1, AGE + 1))));
    assert!(is_known(&window.decide(&unique(4), from(1, 2 * AGE))));
}

/// Memory is for those that may come again.
#[test]
fn confirmed_chunks_leave_before_the_window_is_full() {
    let mut window = Window::new(1_000_000, AGE);
    let open = new(window.decide(&unique(u64::MAX), from(2, 0)));
    window.commit(open..open + 1);
    for key in 0..MAX_CONFIRMED as u64 + 9 {
        let number = new(window.decide(&unique(key), from(1, 0)));
        window.commit(number..number + 1);
        window.confirm(number, 1);
    }
    assert!(window.len() > MAX_CONFIRMED, "the oldest is not confirmed, and holds its place");
    window.confirm(open, 2);
    for key in 1..9 {
        new(window.decide(&unique(u64::MAX - key), from(1, 0)));
    }
    assert!(window.len() <= MAX_CONFIRMED);
    assert!(is_known(&window.decide(&unique(MAX_CONFIRMED as u64), from(1, 0))));
}

/// A disk may be full for longer than the window is: what waits for it is waited for.
#[test]
fn a_chunk_on_its_way_is_never_too_old() {
    let mut window = Window::new(10, AGE);
    let first = new(window.decide(&unique(1), from(1, 0)));
    let mut copy = on_its_way(window.decide(&unique(1), from(2, 3 * AGE)));
    let other = new(window.decide(&unique(2), from(1, 3 * AGE)));
    let mut third = on_its_way(window.decide(&unique(1), from(1, 4 * AGE)));
    window.commit(first..first + 1);
    assert_eq!((copy.try_recv(), third.try_recv()), (Ok(()), Ok(())));
    // That it is there is known for a while, counted from when it came last.
    assert!(is_known(&window.decide(&unique(1), from(3, 5 * AGE))));
    // What failed keeps nobody's place.
    window.forget(other..other + 1);
    for key in 3..9 {
        let failed = new(window.decide(&unique(key), from(1, 5 * AGE)));
        window.forget(failed..failed + 1);
    }
    new(window.decide(&unique(9), from(1, 7 * AGE)));
    assert!(window.len() < 9, "{}", window.len());
}

/// A chunk that is pushed out while it is on its way is still answered for.
#[test]
fn who_waits_is_told_whatever_the_window_keeps() {
    let mut window = Window::new(2, AGE);
    let first = new(window.decide(&unique(0), from(1, 0)));
    let mut copy = on_its_way(window.decide(&unique(0), from(2, 0)));
    (1..9).for_each(|key| drop(window.decide(&unique(key), from(1, 0))));
    window.confirm(first, 1);
    window.commit(first..first + 1);
    assert_eq!(copy.try_recv(), Ok(()));
    assert!(window.waiting.is_empty());
}

#[test]
fn an_id_takes_less_than_40_bytes() {
    assert_eq!(size_of::<Entry>(), 24);
    let mut window = Window::new(1_000_000, AGE);
    for key in 0..1_000_000_u64 {
        window.decide(&unique(key.wrapping_mul(0x9E37_79B9_7F4A_7C15)), from(1, 0));
        let len = window.entries.len();
        let bytes = window.entries.capacity() * 24 + window.index.allocation_size();
        assert!(len < 1_000 || bytes < len * 40, "{bytes} bytes for {len} ids");
    }
}

/// What a window is to do, without limits and without an index.
#[derive(Default)]
struct Model {
    /// The newest entry by key: number, content, state.
    known: HashMap<u64, (u64, u8, State)>,
    waiting: HashMap<u64, Vec<oneshot::Receiver<()>>>,
}

#[derive(Clone, Copy)]
struct State {
    connection: u32,
    is_committed: bool,
    is_confirmed: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Decide { key: u64, content: u8, is_hash: bool, connection: u32 },
    Commit(usize),
    Forget(usize),
    Confirm(usize, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u64, 0..2_u8, any::<bool>(), 0..3_u32).prop_map(
            |(key, content, is_hash, connection)| Step::Decide { key, content, is_hash, connection }
        ),
        2 => any::<usize>().prop_map(Step::Commit),
        1 => any::<usize>().prop_map(Step::Forget),
        1 => (any::<usize>(), 0..3_u32).prop_map(|(at, connection)| Step::Confirm(at, connection)),
    ]
}

impl Model {
    /// The name of the decision, and the number it is about.
    fn decide(&mut self, number: u64, step: &Step) -> (&'static str, u64) {
        let Step::Decide { key, content, is_hash, connection } = *step else { unreachable!() };
        let state = State { connection, is_committed: false, is_confirmed: false };
        let name = match self.known.get_mut(&key) {
            None => "new",
            Some((_, other, _)) if *other != content => "conflict",
            Some((_, _, earlier))
                if is_hash && (earlier.is_confirmed || earlier.connection == connection) =>
            {
                "new"
            }
            Some((known, _, earlier)) => {
                *earlier = State { is_committed: earlier.is_committed, ..state };
                return (if earlier.is_committed { "known" } else { "on its way" }, *known);
            }
        };
        self.known.insert(key, (number, content, state));
        (name, number)
    }

    fn state(&mut self, number: u64) -> Option<&mut State> {
        self.known.values_mut().find(|known| known.0 == number).map(|known| &mut known.2)
    }
}

proptest! {
    #[test]
    fn does_as_the_model(steps in proptest::collection::vec(step(), 1..200)) {
        let (mut window, mut model) = (Window::new(1_000, AGE), Model::default());
        let (mut numbers, mut open) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Decide { key, content, is_hash, connection } => {
                    let kind = if is_hash { Kind::ContentHash } else { Kind::Unique };
                    let next = numbers.len() as u64;
                    let expected = model.decide(next, &step);
                    let found = match window.decide(&seen(key, content, kind), from(connection, 0)) {
                        Decision::New { number, is_conflict: false } => ("new", number),
                        Decision::New { number, is_conflict: true } => ("conflict", number),
                        Decision::Known { number } => ("known", number),
                        Decision::OnItsWay { number, seen } => {
                            model.waiting.entry(number).or_default().push(seen);
                            ("on its way", number)
                        }
                        Decision::Unproven => unreachable!(),
                    };
                    prop_assert_eq!(found, expected);
                    if found.1 == next {
                        numbers.push(next);
                        open.push(next);
                    }
                }
                Step::Commit(at) | Step::Forget(at) if !open.is_empty() => {
                    let number = open.remove(at % open.len());
                    let told = if matches!(step, Step::Commit(_)) {
                        window.commit(number..number + 1);
                        if let Some(state) = model.state(number) {
                            state.is_committed = true;
                        }
                        Ok(())
                    } else {
                        window.forget(number..number + 1);
                        model.known.retain(|_, known| known.0 != number);
                        Err(oneshot::error::TryRecvError::Closed)
                    };
                    for mut waiting in model.waiting.remove(&number).unwrap_or_default() {
                        prop_assert_eq!(waiting.try_recv(), told.clone());
                    }
                }
                Step::Confirm(at, connection) if !numbers.is_empty() => {
                    let number = numbers[at % numbers.len()];
                    window.confirm(number, connection);
                    if let Some(state) = model.state(number)
                        && state.connection == connection
                    {
                        state.is_confirmed = true;
                    }
                }
                Step::Commit(_) | Step::Forget(_) | Step::Confirm(..) => {}
            }
            prop_assert_eq!(window.index.len(), model.known.len());
        }
    }
}
