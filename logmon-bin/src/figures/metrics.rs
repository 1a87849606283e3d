//! The same figures for Prometheus.

use std::fmt;

use logmon_core::{Journal as _, RunnerFigures};
use logmon_store::StoreStatus;

use super::Figures as Sources;
use crate::http::{Figures, Row};

mod mongodb;

/// Writes everything.
pub(super) fn measure(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    journal(of, figures)?;
    if let Some(store) = &of.store {
        self::store(&store.status(), figures)?;
    }
    inputs(of, figures)?;
    ledger(of, figures)?;
    quarantine(of, figures)?;
    mongodb::watch(of, figures)?;
    outputs(of, figures)
}

fn journal(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    let journal = of.journal.status();
    let segments = u64::try_from(journal.segments).unwrap_or(u64::MAX);
    let queued = u64::try_from(journal.queued_bytes).unwrap_or(u64::MAX);
    figures.gauge("logmon_journal_bytes", "Bytes of the journal's segments", journal.bytes)?;
    figures.gauge("logmon_journal_segments", "The journal's segments", segments)?;
    figures.gauge("logmon_journal_head_seq", "The number of the next event", journal.head.seq)?;
    let oldest = journal.oldest.seq;
    figures.gauge("logmon_journal_oldest_seq", "The number of the oldest event", oldest)?;
    figures.gauge("logmon_journal_queued_bytes", "Bytes that wait for the disk", queued)?;
    let staged = journal.staged_bytes;
    let help = "Bytes of messages too long for memory that are not complete";
    figures.gauge("logmon_journal_staged_bytes", help, staged)?;
    let help = "Events appended, ever";
    figures.counter("logmon_journal_appended_events", help, journal.appended)?;
    let by = |reason, events| Row::new([("reason", reason)], events);
    let expired = [by("age", journal.expired.by_age), by("size", journal.expired.by_size)];
    let help = "Events that retention removed from the journal";
    figures.counters("logmon_journal_expired_events", help, expired)?;
    let help = "Events of the journal that the medium has lost";
    figures.gauge("logmon_journal_damaged_events", help, journal.damaged)?;
    figures.counter("logmon_journal_fsyncs", "Syncs of a segment", journal.fsyncs)
}

fn store(store: &StoreStatus, figures: &mut Figures<'_>) -> fmt::Result {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    figures.gauge("logmon_store_events", "Events in blocks", store.events)?;
    let of_kind = |kind, bytes| Row::new([("kind", kind)], bytes);
    let bytes = [of_kind("blocks", store.block_bytes), of_kind("indexes", store.index_bytes)];
    figures.gauges("logmon_store_bytes", "Bytes of the store's files", bytes)?;
    figures.gauge("logmon_store_blocks", "Blocks", count(store.blocks))?;
    figures.gauge("logmon_store_partitions", "Files of blocks", count(store.partitions))?;
    if let Some(oldest) = store.oldest {
        #[expect(clippy::cast_precision_loss, reason = "a time for people")]
        let seconds = oldest.as_nanos() as f64 / 1e9;
        let help = "The earliest timestamp in a block";
        figures.seconds("logmon_store_oldest_timestamp_seconds", help, seconds)?;
    }
    let help = "Events before this number are in blocks";
    figures.gauge("logmon_store_sealed_seq", help, store.sealed_seq)?;
    let help = "Events before this number are in blocks that a power cut does not take away";
    figures.gauge("logmon_store_durable_seq", help, store.durable_seq)?;
    let help = "Numbers of events that are in no block yet";
    figures.gauge("logmon_store_lag_events", help, store.lag)?;
    let help = "Events put into blocks, ever";
    figures.counter("logmon_store_delivered_events", help, store.delivered)?;
    let by = |reason, events| Row::new([("reason", reason)], events);
    let expired = [by("age", store.expired.by_age), by("size", store.expired.by_size)];
    let help = "Events that retention removed from the store";
    figures.counters("logmon_store_expired_events", help, expired)?;
    let help = "Events in blocks that cannot be read";
    figures.gauge("logmon_store_damaged_events", help, store.damaged)?;
    let help = "Numbers of events that the journal had no longer when the store came to them";
    figures.gauge("logmon_store_skipped_events", help, store.skipped)?;
    let help = "How long it took to make blocks and write them";
    figures.durations("logmon_store_seal_duration_seconds", help, store.seal_time, store.seals)
}

fn inputs(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    let forward = of.stats.snapshot();
    let by = |outcome, events| Row::new([("protocol", "forward"), ("outcome", outcome)], events);
    let http = of.intake.figures();
    let by_http = |outcome, events| Row::new([("protocol", "http"), ("outcome", outcome)], events);
    let outcomes = [
        by("appended", forward.appended),
        by("deduplicated", forward.deduplicated),
        by("rejected", forward.rejected_events),
        by("lost", forward.lost),
        by("unsettled", forward.unsettled),
        by_http("appended", http.appended),
        by_http("rejected", http.refused),
        by_http("lost", http.lost),
        by_http("unsettled", http.unsettled),
    ];
    let help = "Events that came in, by what became of them";
    figures.counters("logmon_ingest_events", help, outcomes)?;
    let bytes = [Row::new([("protocol", "forward")], forward.bytes)];
    figures.counters("logmon_ingest_bytes", "Bytes that came in", bytes)?;
    let rejected = forward
        .rejected
        .iter()
        .map(|(reason, count)| Row::new([("protocol", "forward"), ("reason", *reason)], *count));
    let help = "What was refused, by the reason";
    figures.counters("logmon_ingest_rejected", help, rejected)?;
    let open = forward.connections_open;
    figures.gauge("logmon_forward_connections", "Open connections of the listener", open)?;
    figures.counter("logmon_forward_acks_sent", "Acknowledgements sent", forward.acks_sent)
}

/// Where the journal's events are, as its own books have it.
fn ledger(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    let ledger = of.journal.ledger();
    let state = |state, events| Row::new([("state", state)], events);
    let states = [
        state("appended", ledger.appended),
        state("kept", ledger.kept),
        state("expired_age", ledger.expired.by_age),
        state("expired_size", ledger.expired.by_size),
        state("damaged", ledger.damaged),
    ];
    let help = "What became of the events of the journal; appended is the sum of the others";
    figures.gauges("logmon_ledger_events", help, states)
}

fn quarantine(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    let quarantine = of.quarantine.status();
    figures.gauge("logmon_quarantine_items", "Items in the quarantine", quarantine.items)?;
    figures.gauge("logmon_quarantine_bytes", "Bytes of the quarantine", quarantine.bytes)?;
    figures.counter("logmon_quarantine_kept", "Items put", quarantine.kept)?;
    let help = "Items that made room for newer ones";
    figures.counter("logmon_quarantine_expired", help, quarantine.expired)?;
    figures.counter("logmon_quarantine_failed", "Items not written", quarantine.failed)
}

fn outputs(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    let head = of.journal.head().seq;
    let outputs: Vec<(&str, RunnerFigures)> =
        of.outputs.iter().map(|output| (output.name(), output.runner())).collect();
    let events = outputs.iter().flat_map(|(id, output)| {
        let by = |outcome, events| Row::new([("id", *id), ("outcome", outcome)], events);
        [
            by("delivered", output.delivered),
            by("quarantined", output.quarantined),
            by("expired", output.expired),
        ]
    });
    let help = "Events of an output, by what became of them";
    figures.counters("logmon_output_events", help, events)?;
    let retries = outputs.iter().map(|(id, output)| Row::new([("id", *id)], output.retries));
    let help = "Attempts after which something was left to be written again";
    figures.counters("logmon_output_retries", help, retries)?;
    let lag = outputs.iter().filter_map(|(id, output)| {
        Some(Row::new([("id", *id)], head.saturating_sub(output.position?.seq)))
    });
    let help = "How far a reader is behind the journal's head, in numbers of events";
    figures.gauges("logmon_cursor_lag_events", help, lag)?;
    mongodb::measure(of, figures)
}
