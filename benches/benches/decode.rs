//! Decoding each carrier mode: socket bytes to checked, indexed entries.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use logmon_core::Timestamp;
use logmon_forward::codec::Next;
use logmon_forward::{Decoder, Settings};

const EVENTS: usize = 1_000;

fn decode(criterion: &mut Criterion) {
    let settings = Arc::new(Settings::default());
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (mode, bytes) in logmon_benches::messages(EVENTS) {
        group.bench_function(mode, |bencher| {
            let fresh = || {
                let mut decoder = Decoder::new(settings.clone());
                decoder.buffer().extend_from_slice(&bytes);
                decoder
            };
            let run = |mut decoder: Decoder| {
                let mut events = 0;
                while let Ok(Next::Message(message)) =
                    decoder.next_message(Timestamp::EPOCH, 64 << 20)
                {
                    events +=
                        message.batches.iter().map(|batch| batch.entries.len()).sum::<usize>();
                    black_box(&message);
                }
                assert_eq!(events, EVENTS);
            };
            bencher.iter_batched(fresh, run, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
