//! Outputs to MongoDB.

use std::fmt;

use logmon_store::mongo::MongoFigures;

use super::Sources;
use crate::http::{Figures, Row};

/// What has come from others, and how often the server could not tell.
pub(super) fn watch(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    let Some(watch) = of.watch.as_ref().map(|watch| watch.figures()) else { return Ok(()) };
    let by = |outcome, events| Row::new([("outcome", outcome)], events);
    let events = [
        by("taken", watch.events),
        by("repeated", watch.repeated),
        by("unreadable", watch.unreadable),
    ];
    let help = "Events that other processes wrote and that are shown live here";
    figures.counters("logmon_mongodb_watched_events", help, events)?;
    let help = "How often the server could not tell what others wrote meanwhile";
    figures.counter("logmon_mongodb_watch_gaps", help, watch.gaps)?;
    let help = "How often watching what others write failed and was begun again";
    figures.counter("logmon_mongodb_watch_failures", help, watch.failures)
}

/// What they have written, and why not.
pub(super) fn measure(of: &Sources, figures: &mut Figures<'_>) -> fmt::Result {
    let outputs: Vec<(&str, MongoFigures)> = of
        .outputs
        .iter()
        .filter_map(|output| Some((output.name(), output.mongodb()?.figures())))
        .collect();
    if outputs.is_empty() {
        return Ok(());
    }
    let documents = outputs.iter().flat_map(|(id, output)| {
        let by = |outcome, documents| Row::new([("id", *id), ("outcome", outcome)], documents);
        [
            by("inserted", output.inserted),
            by("duplicate", output.duplicates),
            by("collision", output.collisions),
        ]
    });
    let help =
        "Documents by what the server said; a duplicate is one whose attempt before had arrived";
    figures.counters("logmon_mongodb_documents", help, documents)?;
    let bytes = outputs.iter().map(|(id, output)| Row::new([("id", *id)], output.bytes));
    figures.counters("logmon_mongodb_sent_bytes", "Bytes of BSON sent", bytes)?;
    let failures = outputs.iter().flat_map(|(id, output)| {
        let by = |kind, failures| Row::new([("id", *id), ("kind", kind)], failures);
        [
            by("transient", output.transient),
            by("configuration", output.configuration),
            by("permanent", output.permanent),
        ]
    });
    let help = "Attempts that failed: for a while, until somebody does something, for good";
    figures.counters("logmon_mongodb_failures", help, failures)?;
    let pool = outputs.iter().flat_map(|(id, output)| {
        let by = |state, connections| Row::new([("id", *id), ("state", state)], connections);
        [
            by("open", output.connections),
            by("in_use", output.in_use),
            by("waited_for", output.waiting),
        ]
    });
    figures.gauges("logmon_mongodb_connections", "Connections of the pool", pool)?;
    let trouble = outputs
        .iter()
        .map(|(id, output)| Row::new([("id", *id)], u64::from(output.trouble.is_some())));
    let help = "1 while nothing is written; /health says why";
    figures.gauges("logmon_mongodb_trouble", help, trouble)
}
