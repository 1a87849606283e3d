//! `logmon send`.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use clap::Args;
use logmon_core::{Level, Log};
use logmon_forward::{Sender, SenderConfig};

/// What `logmon send` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct SendArgs {
    /// Tag of the events
    #[arg(long, default_value = "cli")]
    tag: String,
    /// Level of the events
    #[arg(long)]
    level: Option<Level>,
    /// Source of the events
    #[arg(long)]
    source: Option<String>,
    /// Forward listener to send to
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:24224")]
    to: String,
    /// The message; without it, each line of standard input is one
    message: Vec<String>,
}

/// Lines sent in one chunk.
const CHUNK: usize = 1_000;

/// Sends and waits for the acknowledgement of everything.
///
/// # Errors
/// The listener cannot be reached or does not acknowledge.
pub(super) fn run(args: SendArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(send(args))
}

async fn send(args: SendArgs) -> anyhow::Result<()> {
    let mut sender = Sender::connect(args.to.as_str(), SenderConfig::default())
        .await
        .with_context(|| format!("connecting to {} failed", args.to))?;
    if !args.message.is_empty() {
        let log = args.log(args.message.join(" "));
        return deliver(&mut sender, &args, &[log]).await;
    }
    let input = std::io::stdin().lock();
    if std::io::stdin().is_terminal() {
        eprintln!("reading lines from the terminal; end with Ctrl-D");
    }
    let mut chunk = Vec::new();
    for line in input.split(b'\n') {
        let line = line.context("reading standard input failed")?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\r');
        if !text.is_empty() {
            chunk.push(args.log(text.to_owned()));
        }
        if chunk.len() == CHUNK {
            deliver(&mut sender, &args, &chunk).await?;
            chunk.clear();
        }
    }
    if chunk.is_empty() { Ok(()) } else { deliver(&mut sender, &args, &chunk).await }
}

async fn deliver(sender: &mut Sender, args: &SendArgs, logs: &[Log]) -> anyhow::Result<()> {
    let to = &args.to;
    sender.send_logs(logs).await.with_context(|| format!("sending to {to} failed"))
}

impl SendArgs {
    fn log(&self, message: String) -> Log {
        let mut log = Log::new(message).tag(self.tag.as_str());
        log.level = self.level;
        log.source.clone_from(&self.source);
        log
    }
}
