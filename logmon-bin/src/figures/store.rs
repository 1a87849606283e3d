//! What the local store says of itself.

use logmon_store::{StoreState, StoreStatus};
use serde_json::{Value, json};

/// Why the store does not seal events, if it does not.
pub(super) fn fault(status: &StoreStatus) -> Option<String> {
    match &status.state {
        StoreState::Ok => None,
        StoreState::Closed => Some("the store is closed".to_owned()),
        StoreState::Full(what) => {
            Some(format!("the disk of the store is full, events stay in the journal: {what}"))
        }
        StoreState::Failing(what) => {
            Some(format!("the disk of the store fails, events stay in the journal: {what}"))
        }
        other => Some(format!("the store seals nothing: {other:?}")),
    }
}

/// For `/health`.
pub(super) fn json(status: &StoreStatus) -> Value {
    json!({
        "events": status.events,
        "bytes": status.block_bytes + status.index_bytes,
        "blocks": status.blocks,
        "partitions": status.partitions,
        "oldest": status.oldest,
        "sealed_seq": status.sealed_seq.to_string(),
        "durable_seq": status.durable_seq.to_string(),
        "lag": status.lag,
        "delivered": status.delivered,
        "expired": {"age": status.expired.by_age, "size": status.expired.by_size},
        "damaged": status.damaged,
        "skipped": status.skipped,
        "seals": status.seals,
    })
}
