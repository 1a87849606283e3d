//! Queries over events that are in no block yet: as many as a block takes, in memory and on disk.

use std::sync::Arc;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use logmon_benches::corpus::Corpus;
use logmon_core::{
    Aggregate, Buckets, Entries, Filter, Journal as _, Key, NewBatch, Scope, Search, Store,
    TableSpec, Timestamp,
};
use logmon_store::{DiskJournal, JournalConfig, JournalStore};

const EVENTS: usize = 8192;

fn ask(group: &mut BenchmarkGroup<'_, WallTime>, place: &str, store: &dyn Store) {
    // Without a runtime a query runs on the caller's thread.
    let runtime = tokio::runtime::Builder::new_multi_thread().build();
    let Ok(runtime) = runtime else { return };
    let scope = |text: &str| Filter::parse(text).map(Scope::new);
    for (name, text) in [
        ("latest 100", ""),
        ("level, newest 100", "level:error"),
        ("rare word, newest 100", "zyxquorum"),
        ("substring, newest 100", "*yxquoru*"),
        ("metadata, newest 100", "missing:1"),
    ] {
        let Ok(scope) = scope(text) else { return };
        let search = Search::within(scope);
        group.bench_function(format!("{name}, {place}"), |bencher| {
            bencher.iter(|| runtime.block_on(store.search(search.clone())).map(|page| page.hits));
        });
    }
    let bounds: Vec<_> =
        (0..=60).map(|at| Timestamp::from_nanos(START + at * 100_000_000)).collect();
    let mut histogram = TableSpec::by([Key::Level]);
    histogram.buckets = Buckets::between(bounds);
    for (name, table) in [
        ("histogram by level", histogram),
        ("top sources", TableSpec::by([Key::Source])),
        ("top of a field", TableSpec::by([Key::named("user_id")])),
    ] {
        let query = Aggregate::new(Filter::all(), vec![table]);
        group.bench_function(format!("{name}, {place}"), |bencher| {
            bencher.iter(|| runtime.block_on(store.aggregate(query.clone())).map(|all| all.tables));
        });
    }
    group.bench_function(format!("fields, {place}"), |bencher| {
        bencher.iter(|| runtime.block_on(store.fields(Scope::new(Filter::all()))));
    });
}

const START: i64 = 1_800_000_000_000_000_000;

fn head(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().build() else { return };
    let mut group = criterion.benchmark_group("8192 events not in blocks");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (place, tail_bytes) in [("in memory", 64 << 20), ("on disk", 1)] {
        let Ok(folder) = tempfile::tempdir() else { return };
        let mut config = JournalConfig::default();
        config.tail_bytes = tail_bytes;
        let Ok((journal, _)) = DiskJournal::open(folder.path(), config) else { return };
        let journal = Arc::new(journal);
        let Ok(mut corpus) = Corpus::open(None) else { return };
        for first in (0..EVENTS).step_by(64) {
            let mut payload = Vec::new();
            for at in first..first + 64 {
                let nanos = i64::try_from(at).unwrap_or(0) * 732_000;
                corpus.next(Timestamp::from_nanos(START + nanos)).write_entry(&mut payload);
            }
            let read = Entries::read(Bytes::from(payload), &logmon_benches::reading());
            let Ok(entries) = read else { return };
            let batch = NewBatch::new("app.web".into(), entries);
            assert!(runtime.block_on(journal.append(batch)).is_ok());
        }
        ask(&mut group, place, &JournalStore::new(journal));
    }
    group.finish();
}

criterion_group!(benches, head);
criterion_main!(benches);
