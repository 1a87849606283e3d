//! Appending to the journal on disk, fsync included, and reading entries.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logmon_core::{Entries, Journal as _};
use logmon_store::{DiskJournal, JournalConfig};

fn append(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().build() else { return };
    let mut group = criterion.benchmark_group("journal append");
    for events in [1, 1_000] {
        let Ok(folder) = tempfile::tempdir() else { return };
        let Ok((journal, _)) = DiskJournal::open(folder.path(), JournalConfig::default()) else {
            return;
        };
        let batch = logmon_benches::batch(events);
        group.throughput(Throughput::Elements(events as u64));
        group.bench_function(format!("{events} per fsync"), |bencher| {
            bencher.iter(|| {
                let committed = runtime.block_on(journal.append(batch.clone()));
                assert!(committed.is_ok());
            });
        });
    }
    group.finish();
}

fn index(criterion: &mut Criterion) {
    let bytes = bytes::Bytes::from(logmon_benches::packed(1_000));
    let reading = logmon_benches::reading();
    let mut group = criterion.benchmark_group("entries");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("check and index", |bencher| {
        bencher.iter(|| Entries::read(bytes.clone(), &reading).map(|entries| entries.len()));
    });
    group.finish();
}

criterion_group!(benches, append, index);
criterion_main!(benches);
