//! `logmon send`.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use logmon_core::{Level, Log};
use logmon_forward::sender::{Address, HeartbeatKind, Peer};
use logmon_forward::{Sender, SenderConfig};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

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
/// Bytes of lines after which a chunk is sent.
const CHUNK_BYTES: usize = 1 << 20;
/// How long a line waits for others, where lines come as they are written.
const LINGER: Duration = Duration::from_millis(100);

/// Sends and waits for the acknowledgement of everything.
///
/// # Errors
/// The listener cannot be reached or does not acknowledge.
pub(super) fn run(args: SendArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(send(args))
}

async fn send(args: SendArgs) -> anyhow::Result<()> {
    let sender = Sender::new(config(&args)?)?;
    let outcome = send_all(&sender, &args).await;
    sender.close().await;
    outcome
}

/// Whoever waits at a terminal wants to know at once that nobody answers.
fn config(args: &SendArgs) -> anyhow::Result<SenderConfig> {
    let mut config = SenderConfig::to(args.to.parse::<Address>()?);
    config.retry_timeout = Some(Duration::ZERO);
    config.peer = Peer::Logmon;
    config.heartbeat.kind = HeartbeatKind::None;
    Ok(config)
}

async fn send_all(sender: &Sender, args: &SendArgs) -> anyhow::Result<()> {
    if !args.message.is_empty() {
        let log = args.log(args.message.join(" "));
        return deliver(sender, args, &[log]).await;
    }
    if io::stdin().is_terminal() {
        eprintln!("reading lines from the terminal; end with Ctrl-D");
    }
    let mut lines = lines();
    let mut chunk = Vec::new();
    while let Some(line) = lines.recv().await {
        let (due, mut bytes, mut next) = (Instant::now() + LINGER, 0, Some(line));
        while let Some(line) = next.take() {
            let line = line.context("reading standard input failed")?;
            bytes += line.len();
            chunk.push(args.log(line));
            if chunk.len() < CHUNK && bytes < CHUNK_BYTES {
                next = timeout_at(due, lines.recv()).await.ok().flatten();
            }
        }
        deliver(sender, args, &chunk).await?;
        chunk.clear();
    }
    Ok(())
}

/// The lines of standard input that are not empty, read on a thread of its own, as reading waits
/// for whoever writes.
fn lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(CHUNK);
    std::thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let text =
                line.map(|line| String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
            let is_empty = text.as_ref().is_ok_and(String::is_empty);
            if !is_empty && sender.blocking_send(text).is_err() {
                return; // nobody sends any more
            }
        }
    });
    receiver
}

async fn deliver(sender: &Sender, args: &SendArgs, logs: &[Log]) -> anyhow::Result<()> {
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
