//! Building a group costs the same few allocations whatever the number of its events.

#![expect(clippy::unwrap_used, reason = "a test")]
use bytes::Bytes;
use logmon_core::{Entries, Epoch, GroupBuilder, Log, NewBatch, Reading, Timestamp};

fn batches(events: usize, batches: usize) -> Vec<NewBatch> {
    let reading = Reading::new(std::sync::Arc::default(), Timestamp::EPOCH);
    let mut payload = Vec::new();
    let log = Log::new("GET /index.html 200").source("web").field("ms", 12);
    (0..events / batches).for_each(|_| log.write_entry(&mut payload));
    let entries = Entries::read(Bytes::from(payload), &reading).unwrap();
    vec![NewBatch::new("app.web".into(), entries); batches]
}

#[test]
fn a_group_takes_at_most_sixteen_allocations() {
    for (events, parts) in [(1_000, 1), (100_000, 1), (100_000, 1_000)] {
        let parts = batches(events, parts);
        let bytes = parts.iter().map(|part| part.entries.payload().len()).sum();
        let mut group = None;
        let spent = allocation_counter::measure(|| {
            let epoch = Epoch::from_bytes([0; 7]);
            let mut builder = GroupBuilder::with_capacity(epoch, events, parts.len(), bytes);
            let mut seq = 0;
            for part in &parts {
                builder.push(part, seq);
                seq += part.entries.len() as u64;
            }
            group = Some(builder.finish());
        });
        assert_eq!(group.unwrap().len(), events);
        assert!((1..=16).contains(&spent.count_total), "{spent:?} for {events} events");
    }
}

/// What bounds itself by `Group::memory` holds no more than that, also in groups of one event.
#[test]
fn a_group_knows_what_it_takes() {
    for events in [1, 10, 1_000] {
        let parts = batches(events, 1);
        let mut group = None;
        let spent = allocation_counter::measure(|| {
            group = Some(GroupBuilder::single(Epoch::from_bytes([0; 7]), &parts[0], 1));
        });
        let memory = i64::try_from(group.unwrap().memory()).unwrap();
        let taken = spent.bytes_current;
        assert!((taken..taken * 3 / 2 + 128).contains(&memory), "{memory} for {spent:?}");
    }
}
