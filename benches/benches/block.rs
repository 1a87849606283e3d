//! Building blocks of the local store, and reading all messages of them, in memory.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use logmon_benches::corpus::Corpus;
use logmon_core::{Entries, Epoch, Filter, Group, GroupBuilder, NewBatch, Reading, Tag, Timestamp};
use logmon_store::bench::Blocks;

const EVENTS: u64 = 65_536;

/// Groups of 1,024 events; the lines are those of the folder `LOGMON_BENCH_DATA`, if it is set.
fn groups() -> Vec<Group> {
    let folder = std::env::var_os("LOGMON_BENCH_DATA");
    let Ok(mut corpus) = Corpus::open(folder.as_deref().map(std::path::Path::new)) else {
        return Vec::new();
    };
    let mut seq = 0;
    let mut group = |_| {
        let (first, mut payload) = (seq, Vec::new());
        for _ in 0..1_024 {
            seq += 1;
            let nanos = i64::try_from(seq * 1_000_000 + seq * 7_919 % 999_983).unwrap_or(0);
            corpus
                .next(Timestamp::from_nanos(1_700_000_000_000_000_000 + nanos))
                .write_entry(&mut payload);
        }
        let received = Timestamp::from_nanos(1_700_000_100_000_000_000);
        let entries =
            Entries::read(payload.into(), &Reading::new(<_>::default(), received)).ok()?;
        let batch = NewBatch::new(Tag::from("app.web"), entries);
        Some(GroupBuilder::single(Epoch::from_bytes([1; 7]), &batch, first))
    };
    (0..EVENTS / 1_024).filter_map(&mut group).collect()
}

fn build(criterion: &mut Criterion) {
    let groups = groups();
    let mut group = criterion.benchmark_group("block");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(20);
    group.bench_function("build", |bencher| {
        bencher.iter_batched_ref(
            Blocks::default,
            |blocks| groups.iter().for_each(|group| blocks.push(group, false)),
            BatchSize::PerIteration,
        );
    });
    let mut blocks = Blocks::default();
    groups.iter().for_each(|group| blocks.push(group, true));
    group.bench_function("read messages", |bencher| bencher.iter(|| blocks.read_messages()));
    for query in ["*", "level:error", "retrying", "*xquoru*", "/zz[0-9]{3}qq/", "user_id:42"] {
        let Ok(filter) = Filter::parse(query) else { continue };
        group.bench_function(format!("count {query}"), |bencher| {
            bencher.iter(|| blocks.count(&filter));
        });
        group.bench_function(format!("newest 100 {query}"), |bencher| {
            bencher.iter(|| blocks.newest(&filter, 100));
        });
    }
    group.finish();
}

criterion_group!(benches, build);
criterion_main!(benches);
