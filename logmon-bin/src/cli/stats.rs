//! `logmon stats`.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::ServerArgs;
use super::search::Output;
use crate::client::Client;
use crate::terminal;

mod bars;

/// What `logmon stats` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct StatsArgs {
    #[command(subcommand)]
    question: Question,
}

#[derive(Clone, Debug, Subcommand)]
enum Question {
    /// How many events, or how many of each value
    Count(CountArgs),
    /// How many events in each stretch of time
    Histogram(HistogramArgs),
    /// The most frequent values of a field
    Top(TopArgs),
}

/// Which events, and how the answer looks.
#[derive(Clone, Debug, Args)]
struct CommonArgs {
    /// The query, in the filter language
    query: Vec<String>,
    /// Earliest time: RFC 3339, Unix seconds, or now-15m
    #[arg(long, default_value = "now-15m")]
    from: String,
    /// Latest time
    #[arg(long, default_value = "now")]
    to: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Debug, Args)]
struct CountArgs {
    /// Fields to count apart by, up to four: level,source
    #[arg(long, value_name = "FIELDS")]
    by: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Debug, Args)]
struct HistogramArgs {
    /// Length of a stretch: auto, 10s, 5m, 1h, day, week, month
    #[arg(long, default_value = "auto")]
    step: String,
    /// Greatest number of stretches where the step is auto
    #[arg(long, default_value_t = 24)]
    buckets: usize,
    /// Field to count apart by
    #[arg(long, value_name = "FIELD")]
    by: Option<String>,
    /// Time zone whose days and hours are meant
    #[arg(long, default_value = "UTC")]
    tz: String,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Debug, Args)]
struct TopArgs {
    /// The field
    #[arg(long)]
    field: String,
    /// Greatest number of values
    #[arg(short, default_value_t = 10)]
    n: usize,
    /// The order: count, or sum: and a field with numbers
    #[arg(long, default_value = "count")]
    by: String,
    #[command(flatten)]
    common: CommonArgs,
}

/// Asks, and prints the answer.
///
/// # Errors
/// The server cannot be reached, or refuses the query.
pub(super) fn run(args: &StatsArgs) -> anyhow::Result<()> {
    match &args.question {
        Question::Count(args) => {
            let own = args.by.iter().map(|by| ("by", by.as_str())).collect();
            ask("/api/stats/count", &args.common, own, bars::count)
        }
        Question::Histogram(args) => {
            let buckets = args.buckets.to_string();
            let mut own = vec![("step", args.step.as_str()), ("tz", args.tz.as_str())];
            own.push(("buckets", buckets.as_str()));
            own.extend(args.by.iter().map(|by| ("by", by.as_str())));
            ask("/api/stats/histogram", &args.common, own, |out, answer, width| {
                bars::histogram(out, answer, &args.tz, width)
            })
        }
        Question::Top(args) => {
            let n = args.n.to_string();
            let own = vec![("field", args.field.as_str()), ("n", n.as_str()), ("by", &*args.by)];
            ask("/api/stats/top", &args.common, own, bars::top)
        }
    }
}

fn ask(
    path: &str,
    common: &CommonArgs,
    own: Vec<(&str, &str)>,
    show: impl FnOnce(&mut dyn Write, &Value, usize) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let query = common.query.join(" ");
    let mut pairs = vec![("q", query.as_str()), ("from", &*common.from), ("to", &*common.to)];
    pairs.extend(own);
    let answer = Client::new(&common.server.url).json(path, &pairs)?;
    let mut out = terminal::output();
    let shown = match common.output {
        Output::Json => writeln!(out, "{answer}"),
        Output::Pretty => show(&mut out, &answer, terminal::width()),
    };
    // An error means that the reader has seen enough.
    drop(shown.and_then(|()| out.flush()));
    tell_what_is_missing(&answer);
    Ok(())
}

/// Says what the figures do not say of themselves.
fn tell_what_is_missing(answer: &Value) {
    match answer.get("reason").and_then(Value::as_str) {
        Some("timeout") => {
            eprintln!("logmon: counting took too long; these are a part of the events");
        }
        Some(reason) => {
            eprintln!("logmon: some events could not be read and are not counted ({reason})");
        }
        None => {}
    }
    if let Some(count) = answer.pointer("/approximate/count").and_then(Value::as_u64) {
        eprintln!("logmon: too many values to keep; a count may be too high by up to {count}");
    }
}
