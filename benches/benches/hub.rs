//! Publishing a group to the hub with subscribers that all match, each with its own filter.

use std::task::{Context, Poll, Waker};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_core::Stream as _;
use logmon_core::Hub;
use logmon_core::hub::{Delivery, Subscription};

const EVENTS: usize = 1_000;

/// Takes everything that is there.
fn drain(subscription: &mut Subscription) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut events = 0;
    while let Poll::Ready(Some(delivery)) =
        std::pin::Pin::new(&mut *subscription).poll_next(&mut context)
    {
        if let Delivery::Batch(batch) = delivery {
            events += batch.len();
        }
    }
    events
}

fn publish(criterion: &mut Criterion) {
    let batch = logmon_benches::batch(EVENTS);
    let mut group = criterion.benchmark_group("hub publish");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for subscribers in [1, 100] {
        let hub = Hub::in_memory();
        let mut subscriptions: Vec<Subscription> = (0..subscribers)
            .filter_map(|at| hub.subscribe(&format!("level>=trace -status:{at}")).ok())
            .collect();
        assert_eq!(subscriptions.iter_mut().map(drain).sum::<usize>(), 0);
        group.bench_function(format!("{subscribers} subscribers"), |bencher| {
            bencher.iter(|| {
                assert!(hub.publish_batch(&batch).is_ok());
                let events: usize = subscriptions.iter_mut().map(drain).sum();
                assert_eq!(events, EVENTS * subscribers);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, publish);
criterion_main!(benches);
