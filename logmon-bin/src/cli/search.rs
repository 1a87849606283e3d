//! `logmon search`.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use super::ServerArgs;
use crate::client::Client;
use crate::terminal;

/// What `logmon search` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct SearchArgs {
    /// The query, in the filter language
    query: Vec<String>,
    /// Earliest time: RFC 3339, Unix seconds, or now-15m
    #[arg(long, default_value = "now-15m")]
    from: String,
    /// Latest time
    #[arg(long, default_value = "now")]
    to: String,
    /// Greatest number of events
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: ServerArgs,
}

/// The form of printed events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Time, level, source and message
    #[default]
    Pretty,
    /// One JSON object a line
    Json,
}

/// The most events of one page of the API.
const PAGE: usize = 10_000;

/// Prints what is found, oldest first.
///
/// # Errors
/// The server cannot be reached, or refuses the query.
pub(super) fn run(args: &SearchArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.server.url);
    let query = args.query.join(" ");
    let (mut left, mut cursor, mut lines) = (args.limit, None::<String>, Vec::new());
    let mut is_damaged = false;
    while left > 0 {
        let limit = left.min(PAGE).to_string();
        let mut pairs = vec![
            ("q", query.as_str()),
            ("from", args.from.as_str()),
            ("to", args.to.as_str()),
            ("limit", limit.as_str()),
        ];
        pairs.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = client.lines("/api/logs", &pairs)?;
        let (before, end) = (lines.len(), read_page(page, &mut lines)?);
        left -= lines.len() - before;
        let next = end.get("next_cursor").and_then(serde_json::Value::as_str).map(str::to_owned);
        // A page that ran out of time goes on where its looking ended, also where it found nothing.
        let is_stuck = lines.len() == before && next == cursor;
        cursor = next;
        is_damaged |= end.get("reason").and_then(serde_json::Value::as_str) == Some("damaged");
        if cursor.is_none() || is_stuck {
            if end.get("reason").and_then(serde_json::Value::as_str) == Some("timeout") {
                eprintln!("logmon: the search took too long; what follows is a part of the answer");
            }
            break;
        }
    }
    if is_damaged {
        eprintln!("logmon: a part of the store cannot be read; events in it are not shown");
    }
    // The newest are asked for, so that a limit keeps them; they are read like a file, down.
    let mut out = terminal::output();
    for line in lines.iter().rev() {
        let ended = match args.output {
            Output::Json => writeln!(out, "{line}"),
            Output::Pretty => terminal::write_event(&mut out, line),
        };
        if ended.is_err() {
            return Ok(()); // the reader has seen enough
        }
    }
    drop(out.flush());
    Ok(())
}

/// Adds the events of a page; gives its last line.
fn read_page(
    page: impl std::io::BufRead,
    lines: &mut Vec<String>,
) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    for line in page.lines() {
        let line = line?;
        if line.starts_with("{\"_end\"") {
            let end: serde_json::Value = serde_json::from_str(&line)?;
            return Ok(end
                .get("_end")
                .and_then(|end| end.as_object())
                .cloned()
                .unwrap_or_default());
        }
        lines.push(line);
    }
    anyhow::bail!("the answer of the server broke off")
}
