//! What watching costs: readers with filters of their own beside a steady load.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use logmon_benches::corpus::Corpus;

use super::server::{Server, cpu_of, resident_of};

mod baseline;
mod feed;
mod readers;

use baseline::Baseline;
use feed::Acks;
use readers::{Kind, Readers};

/// The longest a run may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Live {
    /// How many subscriptions.
    #[arg(long, default_value_t = 50)]
    subscribers: usize,
    /// How many of them match every event, the others none; all if it is not said.
    #[arg(long)]
    matching: Option<usize>,
    /// Give those that match one filter in place of one each.
    #[arg(long)]
    shared: bool,
    /// Subscriptions of one connection.
    #[arg(long, default_value_t = 1)]
    per_connection: usize,
    /// Read by Socket.IO in place of `/ws`.
    #[arg(long)]
    socketio: bool,
    /// How long events are held to go together, in milliseconds.
    #[arg(long, default_value_t = 50)]
    batch_ms: u64,
    /// How many events.
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// Events a second; 0 for as fast as they are acknowledged.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Events of one chunk.
    #[arg(long, default_value_t = 100)]
    chunk: u64,
    /// A folder with a `server.js` that does the same work in Node; measured as well.
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// Events for it.
    #[arg(long, default_value_t = 2_000)]
    baseline_events: u64,
}

/// What a run has shown.
struct Figures {
    cpu: Duration,
    wall: Duration,
    deliveries: u64,
    /// From the acknowledgement of a chunk to its arrival at a reader, sorted.
    delays: Vec<Duration>,
    /// Memory of the readers before anything is sent.
    memory: u64,
}

impl Live {
    fn matching(&self) -> usize {
        self.matching.unwrap_or(self.subscribers).min(self.subscribers)
    }

    /// The filter of each subscription.
    fn queries(&self) -> Vec<String> {
        let matching = self.matching();
        let query = |at| match (at < matching, self.shared) {
            (true, true) => String::new(),
            (true, false) => format!("NOT nosuchword{at}"),
            (false, _) => format!("nosuchword{at}"),
        };
        (0..self.subscribers).map(query).collect()
    }
}

/// Measures without readers, with them, and the same work in Node.
pub(crate) fn run(
    binary: &Path,
    dir: &Path,
    data: Option<&Path>,
    live: &Live,
) -> anyhow::Result<()> {
    let alone = measure_logmon(binary, dir, data, live, &[])?;
    let watched = measure_logmon(binary, dir, data, live, &live.queries())?;
    println!(
        "| {} events, {} a second, chunks of {}, {} subscriptions of which {} match | |\n|---|---|",
        live.events,
        live.rate,
        live.chunk,
        live.subscribers,
        live.matching()
    );
    let each = |cpu: Duration, count: u64| ratio(cpu.as_secs_f64() * 1e6, count);
    println!("| CPU without readers, us per event | {:.2} |", each(alone.cpu, live.events));
    let cost = each(watched.cpu, live.events);
    println!("| CPU with them, us per event | {cost:.2} |");
    let more = watched.cpu.saturating_sub(alone.cpu);
    println!("| CPU of a delivery, us | {:.3} |", each(more, watched.deliveries));
    println!("| deliveries | {} |", watched.deliveries);
    println!("| wall time, s | {:.1} |", watched.wall.as_secs_f64());
    for (name, share) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        if let Some(delay) = at(&watched.delays, share) {
            println!("| acknowledged to read, {name}, ms | {:.1} |", delay.as_secs_f64() * 1e3);
        }
    }
    let subscription = watched.memory / (live.subscribers as u64).max(1);
    println!("| memory of a subscription, its connection included, bytes | {subscription} |");
    if let Some(folder) = &live.baseline {
        let node = measure_node(folder, data, live)?;
        let theirs = each(node.cpu, live.baseline_events);
        println!(
            "| the same in Node ({} events), us per event | {theirs:.0} |",
            live.baseline_events
        );
        println!("| times as much | {:.0} |", theirs / cost);
    }
    Ok(())
}

fn measure_logmon(
    binary: &Path,
    dir: &Path,
    data: Option<&Path>,
    live: &Live,
    queries: &[String],
) -> anyhow::Result<Figures> {
    let file = PathBuf::from(format!("{}.toml", dir.display()));
    fs::write(&file, "[http]\nmax_connections = 100000\n")?;
    let server = Server::start(binary, dir, &["--config".to_owned(), file.display().to_string()])?;
    let kind = if live.socketio { Kind::SocketIo } else { Kind::Ws { batch_ms: live.batch_ms } };
    let per_connection = if live.socketio { 1 } else { live.per_connection };
    let pid = server.id();
    let figures = measure(
        pid,
        (server.http(), &server.forward),
        Readers::new(kind, queries.to_vec(), per_connection),
        (live, data, live.events, live.rate),
    );
    fs::remove_file(&file)?;
    let figures = figures?;
    server.stop()?;
    Ok(figures)
}

fn measure_node(folder: &Path, data: Option<&Path>, live: &Live) -> anyhow::Result<Figures> {
    let node = Baseline::start(folder)?;
    let queries = vec![String::new(); live.matching()];
    measure(
        node.id(),
        (&node.http, &node.forward),
        Readers::new(Kind::SocketIo, queries, 1),
        (live, data, live.baseline_events, 0),
    )
}

/// The cost of so many events, from the first until all readers have them.
fn measure(
    pid: u32,
    (http, forward): (&str, &str),
    readers: Readers,
    (live, data, events, rate): (&Live, Option<&Path>, u64, u64),
) -> anyhow::Result<Figures> {
    let before = resident_of(pid)?;
    let matching = live.matching().min(readers.len()) as u64;
    let acks = Arc::new(Acks::new(events, live.chunk));
    let readers = readers.start(http, acks.clone())?;
    let memory = resident_of(pid)?.saturating_sub(before);
    let (cpu, began) = (cpu_of(pid)?, Instant::now());
    feed::send(forward, &mut Corpus::open(data)?, (&acks, rate))?;
    while readers.deliveries() < events * matching {
        ensure!(
            began.elapsed() < PATIENCE,
            "{} of {} deliveries",
            readers.deliveries(),
            events * matching
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    let wall = began.elapsed();
    let cpu = cpu_of(pid)?.saturating_sub(cpu);
    Ok(Figures { cpu, wall, deliveries: readers.deliveries(), delays: acks.delays(), memory })
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(value: f64, count: u64) -> f64 {
    value / count.max(1) as f64
}

/// The value that so many of a thousand are not above.
fn at(sorted: &[Duration], share: usize) -> Option<Duration> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * share / 1_000).copied()
}
