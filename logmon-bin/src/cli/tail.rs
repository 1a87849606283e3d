//! `logmon tail`.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ServerArgs;
use super::search::Output;
use crate::client::{Client, Stream, StreamEvent};
use crate::terminal;

/// What `logmon tail` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct TailArgs {
    /// The query, in the filter language
    query: Vec<String>,
    /// Only this level, or `warn+` for this and above
    #[arg(long)]
    level: Option<String>,
    /// Only this source
    #[arg(long)]
    source: Option<String>,
    /// Begin so long ago, such as 10m
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Begin with so many of the newest events
    #[arg(long, default_value_t = 10)]
    last: usize,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: ServerArgs,
}

/// The longest wait before connecting again.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Prints events as they come, without a hole or a repeat over lost connections, until it is
/// interrupted.
///
/// # Errors
/// The server refuses the query, or cannot be reached at the beginning.
pub(super) fn run(args: &TailArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.server.url);
    let mut cursor: Option<String> = None;
    let mut wait = Duration::from_millis(250);
    loop {
        match open(&client, args, cursor.as_deref()) {
            Ok(stream) => {
                wait = Duration::from_millis(250);
                if print(args.output, &stream, &mut cursor).is_err() {
                    return Ok(()); // the reader has seen enough
                }
            }
            // Refused, or never reached: waiting would not help.
            Err(error) if cursor.is_none() || error.is::<crate::client::Refused>() => {
                return Err(error);
            }
            Err(_) => {}
        }
        eprintln!("logmon: connection lost; trying again in {} ms", wait.as_millis());
        std::thread::sleep(wait);
        wait = (wait * 2).min(MAX_WAIT);
    }
}

fn open(client: &Client, args: &TailArgs, cursor: Option<&str>) -> anyhow::Result<Stream> {
    let query = args.query.join(" ");
    let mut pairs = vec![("q", query.as_str())];
    pairs.extend(args.level.as_deref().map(|level| ("level", level)));
    pairs.extend(args.source.as_deref().map(|source| ("source", source)));
    let since = args.since.as_ref().map(|since| format!("now-{since}"));
    let last = args.last.to_string();
    match (&since, cursor) {
        (_, Some(_)) => {}
        (Some(since), None) => pairs.push(("from", since)),
        (None, None) => pairs.push(("last", &last)),
    }
    client.stream("/api/logs/stream", &pairs, cursor)
}

/// The events of a batch, not read: they may be nested deeper than a reader likes.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    logs: Vec<&'a RawValue>,
}

/// Prints until the stream ends. An error means that the output is closed.
fn print(form: Output, stream: &Stream, cursor: &mut Option<String>) -> std::io::Result<()> {
    let mut out = terminal::output();
    while let Some(StreamEvent { name, id, data }) = stream.next_event() {
        match name.as_str() {
            "batch" => {
                let Ok(Batch { logs }) = serde_json::from_str(&data) else {
                    eprintln!("logmon: the server sent what cannot be read");
                    return Ok(()); // and is asked for again
                };
                for log in logs {
                    match form {
                        Output::Json => writeln!(out, "{}", log.get())?,
                        Output::Pretty => terminal::write_event(&mut out, log.get())?,
                    }
                }
                out.flush()?;
            }
            "dropped" => {
                let data: Value = serde_json::from_str(&data).unwrap_or_default();
                let count = data.get("count").and_then(Value::as_u64);
                let count =
                    count.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
                let reason = data.get("reason").and_then(Value::as_str).unwrap_or("unknown");
                eprintln!("logmon: {count} events are not shown ({reason})");
            }
            "end" => return Ok(()),
            _ => {}
        }
        // After printing: an event that was not printed is asked for again.
        *cursor = id.or_else(|| cursor.take());
    }
    Ok(())
}
