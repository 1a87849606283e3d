//! Any bytes as a packed payload: what the index takes can be read back and shown.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use logmon_core::{Entries, Epoch, Event, GroupBuilder, Index, NewBatch, Reading, Timestamp};

fuzz_target!(|data: &[u8]| {
    let reading = Reading::new(Arc::default(), Timestamp::EPOCH);
    let (mut index, mut at) = (Index::default(), 0);
    while at < data.len() {
        match index.push(data, at, &reading) {
            Ok(next) => at = next,
            Err(error) => {
                assert!(error.end.is_none_or(|end| end > at && end <= data.len()));
                break;
            }
        }
    }
    let events = index.len();
    let payload = data[..at].to_vec();
    let entries = Entries::new(payload.clone().into(), index, &reading);
    let batch = NewBatch::new("fuzz".into(), entries);
    let group = GroupBuilder::single(Epoch::from_bytes([0; 7]), &batch, 1);
    assert_eq!(group.len(), events);
    let mut read = Vec::new();
    for log in group.iter() {
        read.extend_from_slice(log.entry());
        let mut json = Vec::new();
        log.write_json(&mut json);
        assert!(std::str::from_utf8(&json).is_ok());
        let owned = log.to_log();
        assert_eq!(owned.message, log.message());
        log.visit_metadata("a.b", &mut |_| true);
    }
    assert_eq!(read, payload);
});
