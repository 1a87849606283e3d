//! A set of filters says of each what the filter says by itself.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::laws::{event as any_event, filter as usual_filter, odd_atom};
use super::super::sample::Sample;
use super::*;

fn any_filter() -> impl Strategy<Value = Filter> {
    let odd = (odd_atom(), usual_filter(), 0..4).prop_map(|(odd, usual, form)| match form {
        0 => odd,
        1 => odd.negated(),
        2 => odd.and(usual),
        _ => odd.negated().or(usual),
    });
    prop_oneof![3 => usual_filter(), 1 => odd]
}

/// What each filter accepts, one by one.
fn one_by_one(filters: &[(FilterId, Filter)], events: &[Sample]) -> Vec<Matches> {
    let mut all = Vec::new();
    for (id, filter) in filters {
        let accepted = (0_u32..).zip(events).filter(|(_, event)| filter.matches(*event));
        let events: Vec<u32> = accepted.map(|(at, _)| at).collect();
        if !events.is_empty() && !all.iter().any(|other: &Matches| other.filter == *id) {
            all.push(Matches { filter: *id, events });
        }
    }
    all.sort_by_key(|matches| matches.filter);
    all
}

#[derive(Clone, Debug)]
enum Step {
    Register(Filter),
    Release(Index),
    /// Has the texts in messages searched for by an automaton.
    Settle,
    /// So many of the events, again and again up to a number.
    Evaluate(Vec<Sample>, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_filter().prop_map(Step::Register),
        2 => any::<Index>().prop_map(Step::Release),
        1 => Just(Step::Settle),
        3 => (vec(any_event(), 1..20), prop_oneof![
            60 => 1_usize..70, 10 => 1_usize..300, 1 => 4_090_usize..4_100, 1 => 8_190_usize..8_200
        ])
            .prop_map(|(events, len)| Step::Evaluate(events, len)),
    ]
}

proptest! {
    #[test]
    fn a_set_finds_what_its_filters_find_one_by_one(steps in vec(any_step(), 1..40)) {
        let mut set = FilterSet::new();
        let mut filters: Vec<(FilterId, Filter)> = Vec::new();
        for step in steps {
            match step {
                Step::Register(filter) => filters.push((set.register(&filter), filter)),
                Step::Release(index) if !filters.is_empty() => {
                    let (id, _) = filters.swap_remove(index.index(filters.len()));
                    let is_last = !filters.iter().any(|(other, _)| *other == id);
                    prop_assert_eq!(set.release(id), is_last);
                }
                Step::Release(_) => {}
                Step::Settle => set.matcher.settle(),
                Step::Evaluate(events, len) => {
                    let events: Vec<Sample> = events.iter().cycle().take(len).cloned().collect();
                    let expected = one_by_one(&filters, &events);
                    prop_assert_eq!(set.evaluate(events.iter()), expected);
                }
            }
        }
        for (id, _) in filters {
            set.release(id);
        }
        prop_assert_eq!((set.len(), set.atoms()), (0, 0));
    }

    /// The map from filters to sets of events is a homomorphism.
    #[test]
    fn and_or_and_not_are_those_of_sets(
        a in any_filter(),
        b in any_filter(),
        events in vec(any_event(), 1..100),
    ) {
        let mut set = FilterSet::new();
        let mut accepted = |filter: &Filter| -> Vec<bool> {
            let id = set.register(filter);
            let mut rows = vec![false; events.len()];
            for matches in set.evaluate(events.iter()) {
                if matches.filter == id {
                    matches.events.iter().for_each(|row| rows[*row as usize] = true);
                }
            }
            rows
        };
        let (left, right) = (accepted(&a), accepted(&b));
        let join = |join: fn(bool, bool) -> bool| -> Vec<bool> {
            left.iter().zip(&right).map(|(a, b)| join(*a, *b)).collect()
        };
        prop_assert_eq!(accepted(&a.clone().and(b.clone())), join(|a, b| a && b));
        prop_assert_eq!(accepted(&a.clone().or(b.clone())), join(|a, b| a || b));
        prop_assert_eq!(accepted(&a.clone().negated()), join(|a, _| !a));
        prop_assert_eq!(accepted(&Filter::All), vec![true; events.len()]);
        prop_assert_eq!(accepted(&Filter::All.negated()), vec![false; events.len()]);
        let both = a.clone().and(b.clone()).negated();
        prop_assert_eq!(accepted(&both), accepted(&a.negated().or(b.negated())), "De Morgan");
    }
}
