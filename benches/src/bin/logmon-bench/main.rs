//! `logmon-bench`: measures a logmon server as a whole, in CPU time of its process.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[path = "../../../../logmon-store/tests/mongo/blackhole.rs"]
mod blackhole;
mod live;
mod load;
mod mongo;
mod queries;
mod server;

use server::Server;

#[derive(Parser)]
#[command(about = "Measures a logmon server as a whole, in CPU time of its process")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// From the socket to a searchable store, the size of it, and what queries cost.
    Store {
        /// The program.
        #[arg(long, default_value = "target/release/logmon")]
        binary: PathBuf,
        /// How many events.
        #[arg(long, default_value_t = 5_000_000)]
        events: u64,
        /// A folder with log files (*.log) to take lines from; a built-in set otherwise.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Where the server keeps its data while it is measured; removed afterwards.
        #[arg(long, default_value = "logmon-bench-data")]
        dir: PathBuf,
        /// More arguments for the server.
        #[arg(last = true)]
        server: Vec<String>,
    },
    /// What watching costs: readers with filters of their own beside a steady load.
    Live {
        /// The program.
        #[arg(long, default_value = "target/release/logmon")]
        binary: PathBuf,
        /// A folder with log files (*.log) to take lines from; a built-in set otherwise.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Where the server keeps its data while it is measured; removed afterwards.
        #[arg(long, default_value = "logmon-bench-data")]
        dir: PathBuf,
        #[command(flatten)]
        live: live::Live,
    },
    /// What an output to MongoDB costs: beside a server that takes everything and keeps nothing.
    Mongo {
        /// The program.
        #[arg(long, default_value = "target/release/logmon")]
        binary: PathBuf,
        /// How many events.
        #[arg(long, default_value_t = 2_000_000)]
        events: u64,
        /// A folder with log files (*.log) to take lines from; a built-in set otherwise.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Where the server keeps its data while it is measured; removed afterwards.
        #[arg(long, default_value = "logmon-bench-data")]
        dir: PathBuf,
        /// Batches in flight.
        #[arg(long, default_value_t = 2)]
        window: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let (binary, events, data, dir, server) = match Args::parse().what {
        What::Store { binary, events, data, dir, server } => (binary, events, data, dir, server),
        What::Live { binary, data, dir, live } => {
            return live::run(&binary, &dir, data.as_deref(), &live);
        }
        What::Mongo { binary, events, data, dir, window } => {
            return mongo::run(&binary, (events, data.as_deref()), &dir, window);
        }
    };
    let server = Server::start(&binary, &dir, &server)?;
    let mut corpus = logmon_benches::corpus::Corpus::open(data.as_deref())
        .context("reading the lines of the data failed")?;
    println!("| ingest of {events} events | |\n|---|---|");
    let before = server.cpu()?;
    let load = load::send(&server, &mut corpus, events)?;
    let searchable = server.wait_for_events(events)?;
    let cpu = server.cpu_since(before)?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (each, bytes) = (
        cpu.as_secs_f64() * 1e6 / events as f64,
        searchable.block_bytes as f64 / searchable.block_events.max(1) as f64,
    );
    println!("| CPU of the server, us per event | {each:.2} |");
    println!("| wall time, s | {:.1} |", load.wall.as_secs_f64());
    println!("| bytes of msgpack per event | {} |", load.bytes / events.max(1));
    println!("| bytes per event in blocks ({} events) | {bytes:.1} |", searchable.block_events);
    println!("| resident memory at most, MB | {} |", server.peak_memory()? >> 20);
    queries::run(&server, &load)?;
    server.stop()
}
