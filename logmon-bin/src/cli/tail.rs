//! `logmon tail`.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use super::ServerArgs;
use super::search::Output;
use crate::client::live::{Begin, Dropped, Follower, Message, Trouble, Wish};
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

/// The first wait before connecting again.
const MIN_WAIT: Duration = Duration::from_millis(250);
/// The longest wait before connecting again.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Prints events as they come, without a hole or a repeat over lost connections, until it is
/// interrupted.
///
/// # Errors
/// The server refuses the query, or cannot be reached at the beginning.
pub(super) fn run(args: &TailArgs) -> anyhow::Result<()> {
    let mut follower = Follower::new(&args.server.url, wish(args));
    let mut out = terminal::output();
    let mut wait = MIN_WAIT;
    loop {
        let trouble = match follower.next() {
            Ok(message) => {
                wait = MIN_WAIT;
                match print(args.output, &mut out, message) {
                    Ok(()) => continue,
                    Err(_) => return Ok(()), // the reader has seen enough
                }
            }
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Refused(_) => return Err(trouble.into()),
            // Never reached: waiting would not help.
            Trouble::Lost(_) if !follower.has_begun() => return Err(trouble.into()),
            Trouble::Lost(_) => {}
            Trouble::Breach(_) => eprintln!("logmon: {trouble}"),
        }
        eprintln!("logmon: connection lost; trying again in {} ms", wait.as_millis());
        std::thread::sleep(wait);
        wait = (wait * 2).min(MAX_WAIT);
    }
}

fn wish(args: &TailArgs) -> Wish {
    let begin = match &args.since {
        Some(since) => Begin::At(format!("now-{since}")),
        None => Begin::Last(args.last),
    };
    Wish {
        query: args.query.join(" "),
        level: args.level.clone(),
        source: args.source.clone(),
        begin,
        may_skip: false,
    }
}

/// An error means that the output is closed.
fn print(form: Output, out: &mut impl Write, message: Message) -> std::io::Result<()> {
    match message {
        Message::Batch { logs, .. } => {
            for log in logs {
                match form {
                    Output::Json => writeln!(out, "{}", log.get())?,
                    Output::Pretty => terminal::write_event(out, log.get())?,
                }
            }
            out.flush()
        }
        Message::Dropped(Dropped { by_level, reason, .. }) => {
            let count = by_level.map_or_else(
                || "an unknown number of".to_owned(),
                |counts| counts.values().sum::<u64>().to_string(),
            );
            eprintln!("logmon: {count} events are not shown ({reason})");
            Ok(())
        }
        _ => Ok(()),
    }
}
