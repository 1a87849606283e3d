//! What the parts of the running program say of themselves.

use std::sync::Arc;

use logmon_core::Journal as _;
use logmon_forward::{Snapshot, Stats};
use logmon_store::mongo::{WatchFigures, WatchStats};
use logmon_store::{DirQuarantine, DiskJournal, JournalState, LocalStore};
use serde_json::{Value, json};

use crate::http::{Health, Intake};
use crate::outputs::OutputFigures;

mod ledger;
mod metrics;
mod store;

/// What the journal and the listener say of themselves.
pub(crate) struct Figures {
    pub(crate) intake: Arc<Intake>,
    pub(crate) journal: Arc<DiskJournal>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) quarantine: DirQuarantine,
    pub(crate) outputs: Vec<OutputFigures>,
    pub(crate) store: Option<Arc<LocalStore>>,
    pub(crate) watch: Option<Arc<WatchStats>>,
}

impl Health for Figures {
    fn faults(&self) -> Vec<String> {
        match self.journal.status().state {
            JournalState::Ok => Vec::new(),
            JournalState::Closed => vec!["the journal is closed".to_owned()],
            JournalState::Full(what) => vec![format!("the disk of the journal is full: {what}")],
            JournalState::Held(cursor) => {
                vec![format!("the journal is full and waits for the cursor `{cursor}`")]
            }
            JournalState::Poisoned(what) => vec![format!("the disk of the journal failed: {what}")],
            other => vec![format!("the journal takes nothing: {other:?}")],
        }
    }

    fn troubles(&self) -> Vec<String> {
        self.store.iter().filter_map(|local| store::fault(&local.status())).collect()
    }

    fn figures(&self) -> Value {
        let journal = self.journal.status();
        let forward = self.stats.snapshot();
        let quarantine = self.quarantine.status();
        let outputs = self.outputs.iter().map(|output| output.json(self.journal.head().seq));
        json!({
            "journal": {
                "bytes": journal.bytes,
                "segments": journal.segments,
                "queued_bytes": journal.queued_bytes,
                "staged_bytes": journal.staged_bytes,
                "oldest_seq": journal.oldest.seq.to_string(),
                "appended": journal.appended,
                "expired": {"age": journal.expired.by_age, "size": journal.expired.by_size},
                "damaged": journal.damaged,
                "fsyncs": journal.fsyncs,
            },
            "store": self.store.as_ref().map(|local| store::json(&local.status())),
            "forward": forward_json(&forward),
            "quarantine": {
                "items": quarantine.items,
                "bytes": quarantine.bytes,
                "kept": quarantine.kept,
                "expired": quarantine.expired,
                "failed": quarantine.failed,
            },
            "outputs": outputs.collect::<Vec<_>>(),
            "watch": self.watch.as_ref().map(|watch| watch_json(watch.figures())),
        })
    }

    fn ledger(&self) -> Value {
        ledger::json(self)
    }

    fn measure(&self, figures: &mut crate::http::Figures<'_>) -> std::fmt::Result {
        metrics::measure(self, figures)
    }
}

fn watch_json(watch: WatchFigures) -> Value {
    json!({
        "events": watch.events,
        "repeated": watch.repeated,
        "unreadable": watch.unreadable,
        "gaps": watch.gaps,
        "failures": watch.failures,
        "listening": watch.listening,
    })
}

fn forward_json(forward: &Snapshot) -> Value {
    json!({
        "connections": forward.connections,
        "connections_open": forward.connections_open,
        "connections_refused": forward.connections_refused,
        "connections_denied": forward.connections_denied,
        "connections_evicted": forward.connections_evicted,
        "heartbeats": forward.heartbeats,
        "udp_heartbeats": forward.udp_heartbeats,
        "udp_limited": forward.udp_limited,
        "tls_failed": forward.tls_failed,
        "logins": forward.logins,
        "logins_refused": forward.logins_refused,
        "truncated": forward.truncated,
        "bytes": forward.bytes,
        "messages": forward.messages,
        "events": forward.events,
        "appended": forward.appended,
        "deduplicated": forward.deduplicated,
        "rejected_events": forward.rejected_events,
        "rejected_acked": forward.rejected_acked,
        "lost": forward.lost,
        "unsettled": forward.unsettled,
        "journal_busy": forward.journal_busy,
        "duplicates_suppressed": forward.duplicates_suppressed,
        "chunk_id_conflicts": forward.chunk_id_conflicts,
        "acks_sent": forward.acks_sent,
        "acks_dropped": forward.acks_dropped,
        "extra_elements": forward.extra_elements,
        "group_markers": forward.group_markers,
        "groups_too_long": forward.groups_too_long,
        "nested_batches": forward.nested_batches,
        "signals_dropped": forward.signals_dropped,
        "staged": forward.staged,
        "metadata_too_late": forward.metadata_too_late,
        "quarantined": forward.quarantined,
        "quarantine_failed": forward.quarantine_failed,
        "times_out_of_range": forward.times_out_of_range,
        "rejected": forward.rejected,
    })
}
