//! Evaluating filters on the events of a group.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logmon_core::{Epoch, Filter, GroupBuilder};

const EVENTS: usize = 1_000;

fn filters(criterion: &mut Criterion) {
    let batch = logmon_benches::batch(EVENTS);
    let events = GroupBuilder::single(Epoch::from_bytes([0; 7]), &batch, 0);
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, query) in [
        ("level", "level>=warn"),
        ("word", "upstream"),
        ("phrase", "\"connection reset\""),
        ("substring", "*timeout*"),
        ("regex", "/time(d )?out/i"),
        ("source", "source:billing-api"),
        ("metadata", "status>=400"),
        ("mixed", "level>=warn (upstream OR slow) -source:web status:[400 TO 499]"),
    ] {
        let Ok(filter) = Filter::parse(query) else { continue };
        group.bench_function(name, |bencher| {
            bencher.iter(|| events.iter().filter(|event| filter.matches(black_box(event))).count());
        });
    }
    group.finish();
}

criterion_group!(benches, filters);
criterion_main!(benches);
