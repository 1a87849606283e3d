//! Events as documents of MongoDB.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logmon_benches::corpus::Corpus;
use logmon_core::{Entries, Epoch, Group, GroupBuilder, NewBatch, Reading, Tag, Timestamp};
use logmon_store::mongo::bench::documents;

const EVENTS: u64 = 1_000;

/// A group of events; the lines are those of the folder `LOGMON_BENCH_DATA`, if it is set.
fn group() -> Option<Group> {
    let folder = std::env::var_os("LOGMON_BENCH_DATA");
    let mut corpus = Corpus::open(folder.as_deref().map(std::path::Path::new)).ok()?;
    let mut payload = Vec::new();
    for at in 0..EVENTS {
        let nanos = i64::try_from(at * 1_007_919).unwrap_or(0);
        let time = Timestamp::from_nanos(1_700_000_000_000_000_000 + nanos);
        corpus.next(time).write_entry(&mut payload);
    }
    let received = Timestamp::from_nanos(1_700_000_100_000_000_000);
    let entries = Entries::read(payload.into(), &Reading::new(<_>::default(), received)).ok()?;
    let batch = NewBatch::new(Tag::from("app.web"), entries);
    Some(GroupBuilder::single(Epoch::from_bytes([1; 7]), &batch, 1))
}

fn transcode(criterion: &mut Criterion) {
    let Some(group) = group() else { return };
    let mut bench = criterion.benchmark_group("mongo");
    bench.throughput(Throughput::Elements(EVENTS));
    let mut out = Vec::new();
    bench.bench_function("documents", |bencher| {
        bencher.iter(|| {
            out.clear();
            documents(&group, &mut out)
        });
    });
    bench.finish();
}

criterion_group!(benches, transcode);
criterion_main!(benches);
