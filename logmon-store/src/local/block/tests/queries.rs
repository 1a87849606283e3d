//! A block answers as its events do.

use std::sync::atomic::AtomicBool;

use logmon_core::filter::{Facts as _, Possible};
use logmon_core::{
    Buckets, Event as _, FieldCatalogue, FieldTally, Filter, Group, Key, LogRef, Measure, Order,
    PageKey, Scope, TableSpec, Tables, Timestamp, msgpack,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::bits::Rows;
use super::super::facts::BlockFacts;
use super::super::info::Section;
use super::super::*;
use super::{Case, block_in, block_of, build, cases, epoch, group};
use crate::query::{Best, Look, Rank};

/// Texts that are likely to meet the events of the tests, and one of each form.
const ATOMS: &[&str] = &[
    "a",
    "b",
    "ab",
    "a*",
    "*b*",
    "\"a b\"",
    "*.*",
    "接",
    "接続*",
    "*続*",
    "ß",
    "*i*",
    "/a+b/",
    "/A B/i",
    "/^a/",
    "/b$/",
    "/\\ba\\b/",
    "/a|/",
    "/[^a]b/",
    "timeout",
    "*out\\ after\\ 3*",
    "*c*",
    "\"ms\"",
    "absentword",
    "*bbb*",
    "/b{20}/",
    "level:none",
    "level>=warn",
    "level<info",
    "level:*",
    "source:a",
    "source:a*",
    "source:*",
    "source:timeout*",
    "NOT source:*",
    "tag:a.**",
    "tag:{a,b}",
    "tag:*",
    "tag:日本",
    "timestamp>=2",
    "timestamp:[1 TO 3}",
    "timestamp<0",
    "received<3",
    "received>=1700000000",
    "x:*",
    "x:1",
    "x:\"1\"",
    "x>=1",
    "x<2.5",
    "x:a*",
    "x:true",
    "x:null",
    "x:/a/",
    "x>\"a\"",
    "y.z:*",
    "y.z:1",
    "y.z:a*",
    "y:*",
    "y:null",
    "z:*",
    "z:1",
    "m.a:*",
    "m.b:*",
    "x.y:*",
    "level_raw:warning",
    "level_raw:*",
    "metadata.level:*",
    "metadata.level:1",
    "metadata.message:*",
    "metadata.metadata:*",
    "metadata.metadata.x:*",
    "log.level:*",
    "severity:*",
    "unknown:*",
    "unknown.path:1",
    "*",
];

fn filter() -> impl Strategy<Value = Filter> {
    let atom = select(ATOMS).prop_map(|text| Filter::parse(text).unwrap());
    atom.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            vec(inner.clone(), 2..4).prop_map(Filter::And),
            vec(inner, 2..4).prop_map(Filter::Or),
        ]
    })
}

fn passing(group: &Group, filter: &Filter) -> Vec<usize> {
    let logs = group.iter();
    logs.filter(|log| filter.matches::<LogRef<'_>>(log)).map(|log| log.index()).collect()
}

fn scope(filter: Filter, (from, to): (i64, i64)) -> Scope {
    let mut scope = Scope::new(filter);
    scope.from = Timestamp::from_nanos(from);
    scope.to = Timestamp::from_nanos(to);
    scope
}

fn ranges() -> impl Strategy<Value = (i64, i64)> {
    prop_oneof![
        3 => Just((i64::MIN, i64::MAX)),
        1 => (0_i64..3_000_000_000, 0_i64..5_000_000_000),
        1 => Just((0, 6_000_000_000)),
    ]
}

fn wanted<'g>(group: &'g Group, look: &Look<'_>) -> Vec<LogRef<'g>> {
    let is_wanted = |log: &LogRef<'_>| {
        look.is_in_range(PageKey::by_number(log.timestamp(), log.seq()), log.seq())
            && look.scope.filter.matches::<LogRef<'_>>(log)
    };
    group.iter().filter(is_wanted).collect()
}

fn specs() -> Vec<TableSpec> {
    let path = |path: &str| Key::Metadata(path.into());
    let buckets = [0, 1_000_000_000, 2_000_000_000, 4_000_000_000].map(Timestamp::from_nanos);
    let with_time = |mut spec: TableSpec| {
        spec.buckets = Buckets::between(buckets.to_vec());
        spec
    };
    vec![
        TableSpec::by([]),
        TableSpec::by([Key::Level]),
        with_time(TableSpec::by([Key::Level])),
        TableSpec::by([Key::Source, Key::Tag]),
        with_time(TableSpec::by([path("x"), Key::Level])),
        TableSpec::by([path("y.z")]),
        TableSpec::by([path("level")]),
        TableSpec::by([path("y")]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::effort::cases(128)))]

    #[test]
    fn selects_what_the_evaluator_accepts(cases in cases(), filters in vec(filter(), 1..6)) {
        let group = group(&cases);
        let block = block_of(&group);
        let mut scratch = Scratch::default();
        let open = block.open(&mut scratch);
        for filter in filters {
            for filter in [filter.clone(), filter.simplify()] {
                let found = open.select(&filter, &Rows::all(group.len())).unwrap();
                let expected = passing(&group, &filter);
                prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}", filter);
                let odd = Rows::of(group.len(), |row| row % 2 == 1);
                let found = open.select(&filter, &odd).unwrap();
                let expected = passing(&group, &filter).into_iter().filter(|row| row % 2 == 1);
                prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_is_pruned_has_no_match_and_what_is_taken_has_no_other(
        cases in cases(), filters in vec(filter(), 1..10)
    ) {
        let group = group(&cases);
        let block = block_of(&group);
        let mut scratch = Scratch::default();
        let open = block.open(&mut scratch);
        for filter in filters {
            let passing = passing(&group, &filter).len();
            match filter.prune(&BlockFacts(&open)) {
                Possible::None => prop_assert_eq!(passing, 0, "{}", filter),
                Possible::Some => {}
                Possible::All => prop_assert_eq!(passing, group.len(), "{}", filter),
            }
        }
    }

    #[test]
    fn finds_the_best(
        cases in cases(), filter in filter(), range in ranges(), limit in 1_usize..6,
        is_newest in any::<bool>(), end_seq in 5_u64..40, after in proptest::option::of((0_i64..4, 5_u64..40)),
    ) {
        let group = group(&cases);
        let order = if is_newest { Order::NewestFirst } else { Order::OldestFirst };
        let mut scope = scope(filter, range);
        scope.snapshot = Some(end_seq);
        let cancel = AtomicBool::new(false);
        let after = after.map(|(seconds, seq)| {
            PageKey::by_number(Timestamp::from_nanos(seconds * 1_000_000_000), seq)
        });
        let look = Look::new(&scope, 1 << 60, &cancel).behind(order, after);
        let mut expected: Vec<PageKey> = wanted(&group, &look).iter()
            .map(|log| PageKey::by_number(log.timestamp(), log.seq())).collect();
        expected.sort_by_key(|key| Rank::new(order, *key));
        let matched = expected.len();
        expected.truncate(limit);
        let mut best = Best::new(order, limit, 1 << 20);
        let (mut scratch, mut damages) = (Scratch::default(), Vec::new());
        let seen = block_of(&group).find(&look, &mut best, (&mut scratch, &mut damages)).unwrap();
        prop_assert_eq!(seen.matched, matched as u64);
        let (hits, _) = best.into_hits(None);
        prop_assert_eq!(hits.iter().map(logmon_core::Hit::key).collect::<Vec<_>>(), expected);
        for hit in hits {
            let original = group.iter().find(|log| log.seq() == hit.log().seq()).unwrap();
            prop_assert_eq!(hit.log().to_log(), original.to_log());
        }
    }

    #[test]
    fn counts_what_the_events_say(
        cases in cases(), filter in filter(), range in ranges(), sum in any::<bool>()
    ) {
        let group = group(&cases);
        let scope = scope(filter, range);
        let cancel = AtomicBool::new(false);
        let look = Look::new(&scope, 1 << 60, &cancel);
        let mut specs = specs();
        if sum {
            specs.push(TableSpec::by([Key::Message]));
            let mut spec = TableSpec::by([]);
            spec.measure = Measure::Sum("x".into());
            specs.push(spec);
        }
        let header = vec![TableSpec::by([]), TableSpec::by([Key::Level])];
        for specs in [specs, header] {
            let (mut expected, mut tables) = (Tables::new(specs.clone()), Tables::new(specs));
            wanted(&group, &look).iter().for_each(|log| expected.observe(log));
            let (mut scratch, mut damages) = (Scratch::default(), Vec::new());
            let block = block_of(&group);
            block.tally(&look, &mut tables, (&mut scratch, &mut damages)).unwrap();
            prop_assert_eq!(tables.finish(), expected.finish());
        }
    }

    #[test]
    fn counts_the_fields_of_the_events(cases in cases(), filter in filter(), range in ranges()) {
        let group = group(&cases);
        let scope = scope(filter, range);
        let cancel = AtomicBool::new(false);
        let look = Look::new(&scope, 1 << 60, &cancel);
        let (mut expected, mut found) = (FieldTally::default(), FieldTally::default());
        wanted(&group, &look).iter().for_each(|log| expected.observe(log));
        let (mut scratch, mut damages) = (Scratch::default(), Vec::new());
        let block = block_of(&group);
        block.fields(&look, &mut found, (&mut scratch, &mut damages)).unwrap();
        let catalogue = |tally| {
            let head = logmon_core::Position { epoch: epoch(), seq: 1 };
            let all = FieldCatalogue::new(tally, head, logmon_core::QueryStats::default());
            (all.fields, all.others)
        };
        prop_assert_eq!(catalogue(found), catalogue(expected));
    }
}

/// Of two maps called `metadata` the last one counts, here one without keys.
#[test]
fn a_repeated_map_of_metadata_counts_once() {
    let mut entry = Vec::new();
    logmon_core::write_entry(&mut entry, Timestamp::from_nanos(0), |out| {
        msgpack::write_map_len(out, 2);
        msgpack::write_str(out, "metadata");
        msgpack::write_map_len(out, 1);
        msgpack::write_str(out, "level");
        msgpack::write_str(out, "");
        msgpack::write_str(out, "metadata");
        msgpack::write_map_len(out, 0);
    });
    let entries = vec![entry];
    let group = group(&[Case { tag: "a", received: 0, entries, fields: 0, hole: 0 }]);
    let scope = Scope::new(Filter::All);
    let cancel = AtomicBool::new(false);
    let look = Look::new(&scope, 1 << 60, &cancel);
    let (mut scratch, mut damages) = (Scratch::default(), Vec::new());
    let mut found = FieldTally::default();
    block_of(&group).fields(&look, &mut found, (&mut scratch, &mut damages)).unwrap();
    let head = logmon_core::Position { epoch: epoch(), seq: 1 };
    let all = FieldCatalogue::new(found, head, logmon_core::QueryStats::default());
    assert_eq!((all.fields, all.others), (Vec::new(), 0));
}

/// Enough events for several pages.
pub(super) fn many(events: i64) -> Group {
    let entry = |n: i64| {
        let mut out = Vec::new();
        logmon_core::write_entry(&mut out, Timestamp::from_nanos(n * 1_000_000), |out| {
            let mut map = logmon_core::Map::new();
            map.insert("message", format!("request {n} took {} ms", n % 97));
            map.insert("user", n % 10);
            logmon_core::Value::Map(map).write_msgpack(out);
        });
        out
    };
    let entries = (0..events).map(entry).collect();
    group(&[Case { tag: "a", received: 5, entries, fields: 0, hole: 0 }])
}

/// A page that is damaged costs its own events, and is told.
#[test]
fn a_damaged_page_costs_its_own_events() {
    let group = many(2_000);
    let (info, bytes) = build(&group);
    let at = usize::try_from(info.section_at(Section::Messages)).unwrap();
    let block = block_in(info.clone(), bytes.clone());
    let mut scratch = Scratch::default();
    let page = block.open(&mut scratch).pages().unwrap()[2].clone();
    let mut damaged = bytes;
    damaged[at + usize::try_from(page.messages_at).unwrap() + 3] ^= 1;
    let block = block_in(info, damaged);
    let filter = Filter::parse("took AND user:3").unwrap();
    let scope = Scope::new(filter.clone());
    let cancel = AtomicBool::new(false);
    let look = Look::new(&scope, 1 << 60, &cancel);
    let mut best = Best::new(Order::NewestFirst, 5_000, 1 << 30);
    let mut told = Vec::new();
    let seen = block.find(&look, &mut best, (&mut scratch, &mut told)).unwrap();
    let left = passing(&group, &filter).into_iter().filter(|row| !page.rows.contains(row));
    assert_eq!(seen.matched, left.count() as u64);
    assert_eq!(best.into_hits(None).0.len() as u64, seen.matched);
    assert_eq!(seen.damaged, 1);
    let [damage] = &*told else { panic!("{told:?}") };
    assert_eq!(damage.rows, Some(page.rows));
    assert_eq!((&*damage.file, damage.what), ("a.blocks", "a page of messages"));
    // Who does not ask for messages is not disturbed.
    let scope = Scope::new(Filter::parse("user:3").unwrap());
    let look = Look::new(&scope, 1 << 60, &cancel);
    let mut tables = Tables::new(vec![TableSpec::by([Key::Metadata("user".into())])]);
    let mut told = Vec::new();
    let seen = block.tally(&look, &mut tables, (&mut scratch, &mut told)).unwrap();
    assert_eq!((seen.matched, told.len()), (200, 0));
}

#[test]
fn a_damaged_filter_of_keys_costs_no_event() {
    let group = many(100);
    let (info, mut bytes) = build(&group);
    bytes[HEADER_BYTES] ^= 1;
    let block = block_in(info, bytes);
    let mut scratch = Scratch::default();
    let open = block.open(&mut scratch);
    assert!(BlockFacts(&open).may_have(1));
    let found = open.select(&Filter::parse("took").unwrap(), &Rows::all(100)).unwrap();
    assert_eq!(found.count(), 100);
}
