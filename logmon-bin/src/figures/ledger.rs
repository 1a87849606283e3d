//! The books: what became of every event, at each place it comes through.

use logmon_core::Journal as _;
use serde_json::{Value, json};

use super::Figures;

/// All equations, with what they do not account for.
pub(super) fn json(of: &Figures) -> Value {
    let journal = of.journal.ledger();
    let outputs = journal.cursors.iter().map(|cursor| {
        let books = cursor.ledger;
        json!({
            "cursor": cursor.name,
            "orphan": cursor.is_orphan,
            "routed": books.routed,
            "delivered": books.delivered,
            "lag": books.lag,
            "quarantined": books.quarantined,
            "dropped": {"lag": books.dropped_lag, "damaged": books.dropped_damaged},
            "residue": number(books.residue()),
        })
    });
    json!({
        "intake": {
            "forward": forward(of),
            "http": http(of),
            // Of other nodes, which have them in their books.
            "watch": of.watch.as_ref().map(|watch| json!({"appended": watch.figures().events})),
        },
        "journal": {
            "appended": journal.appended,
            "kept": journal.kept,
            "expired": {"age": journal.expired.by_age, "size": journal.expired.by_size},
            "damaged": journal.damaged,
            "residue": number(journal.residue()),
        },
        "outputs": outputs.collect::<Vec<_>>(),
        "store": of.store.as_ref().map(|store| self::store(&store.status())),
        "head_seq": of.journal.head().seq.to_string(),
    })
}

/// Since the start. What is under way is in the residue.
fn forward(of: &Figures) -> Value {
    let forward = of.stats.snapshot();
    let parts = [
        forward.appended,
        forward.deduplicated,
        forward.rejected_events,
        forward.lost,
        forward.unsettled,
    ];
    json!({
        "received": forward.events,
        "appended": forward.appended,
        "deduplicated": forward.deduplicated,
        "refused": forward.rejected_events,
        "dropped": {"lost": forward.lost, "unsettled": forward.unsettled},
        "residue": residue(forward.events, &parts),
    })
}

fn http(of: &Figures) -> Value {
    let http = of.intake.figures();
    json!({
        "received": http.received,
        "appended": http.appended,
        "refused": http.refused,
        "dropped": {"lost": http.lost, "unsettled": http.unsettled},
        "residue": residue(http.received, &[http.appended, http.refused, http.lost, http.unsettled]),
    })
}

fn store(store: &logmon_store::StoreStatus) -> Value {
    let expired = store.expired;
    let parts = [store.events, expired.by_age, expired.by_size, store.damaged];
    json!({
        "delivered": store.delivered,
        "kept": store.events,
        "expired": {"age": expired.by_age, "size": expired.by_size},
        "damaged": store.damaged,
        "skipped": store.skipped,
        "residue": residue(store.delivered, &parts),
    })
}

/// What the parts leave of the whole.
fn residue(whole: u64, parts: &[u64]) -> Value {
    number(i128::from(whole) - parts.iter().copied().map(i128::from).sum::<i128>())
}

fn number(residue: i128) -> Value {
    json!(i64::try_from(residue).unwrap_or(if residue < 0 { i64::MIN } else { i64::MAX }))
}
