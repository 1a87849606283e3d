//! Many filters evaluated together on groups of several sizes.

use std::collections::HashSet;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logmon_benches::corpus::Corpus;
use logmon_core::{Entries, Epoch, Filter, FilterSet, Group, GroupBuilder, NewBatch, Timestamp};

/// Words of the corpus, a few other questions, and some that nothing answers.
const ATOMS: [&str; 50] = [
    "terminating",
    "Received",
    "signed",
    "slow",
    "upstream",
    "cache",
    "password",
    "instance",
    "core",
    "LOOKING",
    "stage",
    "memory",
    "scoreboard",
    "authentication",
    "depth",
    "certificate",
    "payment",
    "compaction",
    "health",
    "rotation",
    "database",
    "epoch",
    "hypervisor",
    "invoices",
    "provider",
    "renewal",
    "topic",
    "server",
    "user",
    "estimated",
    "\"connection reset\"",
    "\"slow query\"",
    "\"high water mark\"",
    "*timeout*",
    "*blk_*",
    "*expire*",
    "level>=error",
    "level:warn",
    "level:info",
    "source:service-1",
    "source:service-2",
    "source:service-30",
    "source:service-7*",
    "tag:app.web",
    "tag:app.**",
    "status:404",
    "status>=500",
    "host:node-7",
    "/took [0-9]+ ms/",
    "nowhere",
];

/// `count` distinct filters of three atoms each, one of them negated in every third.
fn filters(count: usize) -> Vec<Filter> {
    let (mut filters, mut known) = (Vec::new(), HashSet::new());
    'all: for spread in 1.. {
        for first in 0..ATOMS.len() {
            let at = |step: usize| ATOMS.get((first + step) % ATOMS.len()).copied().unwrap_or("*");
            let not = if filters.len() % 3 == 0 { "NOT " } else { "" };
            let second = 1 + spread / 48;
            let third = second + 1 + spread % 48;
            let text = format!("{} {} {not}{}", at(0), at(second), at(third));
            let filter = Filter::parse(&text).map(|filter| filter.simplify());
            filters.extend(filter.ok().filter(|filter| known.insert(filter.to_string())));
            if filters.len() == count {
                break 'all;
            }
        }
    }
    filters
}

#[expect(clippy::expect_used, reason = "a benchmark stops where its input is wrong")]
fn group(events: usize) -> Group {
    let mut corpus = Corpus::open(None).expect("the templates");
    let mut payload = Vec::new();
    let time = Timestamp::from_nanos(1_800_000_000_000_000_000);
    (0..events).for_each(|_| corpus.next(time).write_entry(&mut payload));
    let entries = Entries::read(payload.into(), &logmon_benches::reading()).expect("our entries");
    let batch = NewBatch::new("app.web".into(), entries);
    GroupBuilder::single(Epoch::from_bytes([0; 7]), &batch, 1)
}

/// Ten filters that ask for all the atoms, so that there is a price to compare with.
fn all_atoms() -> Vec<Filter> {
    let filters = ATOMS.chunks(5).map(|atoms| Filter::parse(&atoms.join(" OR ")));
    filters.filter_map(Result::ok).collect()
}

fn evaluate(criterion: &mut Criterion) {
    for events in [1, 10, 100, 1_000] {
        let events_of = group(events);
        let mut bench = criterion.benchmark_group(format!("filter set, groups of {events}"));
        bench.throughput(Throughput::Elements(events as u64));
        let few = ("10 for all atoms".to_owned(), all_atoms());
        let many = [10, 100, 1_000, 10_000].map(|count| (count.to_string(), filters(count)));
        for (name, filters) in [few].into_iter().chain(many) {
            let mut set = FilterSet::new();
            filters.iter().for_each(|filter| {
                set.register(filter);
            });
            assert_eq!(set.len(), filters.len(), "distinct filters");
            bench.bench_function(name, |bencher| {
                bencher.iter(|| set.evaluate(black_box(&events_of).iter()).len());
            });
        }
        bench.finish();
    }
}

fn change(criterion: &mut Criterion) {
    let mut set = FilterSet::new();
    filters(10_000).iter().for_each(|filter| {
        set.register(filter);
    });
    let Ok(filter) = Filter::parse("level:error source:service-9 user.id:42") else { return };
    criterion.bench_function("filter set of 10000, adding and removing one", |bencher| {
        bencher.iter(|| {
            let id = set.register(black_box(&filter));
            set.release(id)
        });
    });
}

criterion_group!(benches, evaluate, change);
criterion_main!(benches);
