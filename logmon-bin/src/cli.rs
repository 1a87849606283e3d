//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use logmon_store::repair::RepairError;
use logmon_store::verify::VerifyError;

use crate::config::{Config, ConfigError, RawConfig};

mod export;
mod mongo;
mod quarantine;
mod repair;
mod run;
mod search;
mod send;
mod stats;
mod tail;
mod verify;

/// The command line or the configuration is wrong (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// Something failed while running.
const EXIT_FAILURE: u8 = 1;

/// Collect logs from any Fluentd client, keep them, watch them live.
#[derive(Debug, Parser)]
#[command(name = "logmon", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the collector and the monitor (the default)
    Run(RunArgs),
    /// Send messages to a Forward listener and wait until they are durable
    Send(send::SendArgs),
    /// Watch events live
    Tail(tail::TailArgs),
    /// Search stored events
    Search(search::SearchArgs),
    /// Count stored events
    Stats(stats::StatsArgs),
    /// Look at what outputs have written to MongoDB
    Mongo(mongo::MongoArgs),
    /// Look at what was refused, send it again or drop it
    Quarantine(quarantine::QuarantineArgs),
    /// Check everything in a data directory, also while logmon runs on it
    Verify(verify::VerifyArgs),
    /// Show what would put a damaged data directory right, and do it
    Repair(repair::RepairArgs),
    /// Print every event that can still be read, oldest first, as JSON lines
    Export(export::ExportArgs),
}

/// What `logmon run` can be told. Each option goes over the environment and the file.
#[derive(Clone, Debug, Default, Args)]
struct RunArgs {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep data here [default: ./logmon-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Take Forward connections here [default: 127.0.0.1:24224]
    #[arg(long, value_name = "ADDR")]
    forward: Option<String>,
    /// Serve HTTP and the page here [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// What is searched: local, journal, or none for live only [default: local]
    #[arg(long, value_name = "KIND")]
    store: Option<String>,
    /// Make believable traffic through the Forward listener
    #[arg(long)]
    demo: bool,
    /// Serve HTTP on an address that other machines reach, although nothing asks for a password
    #[arg(long)]
    insecure_no_auth: bool,
}

impl RunArgs {
    fn config(self) -> Result<Config, ConfigError> {
        // Variables that are no text are none of ours; `std::env::vars` would panic at them.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut raw = RawConfig::load(self.config.as_deref(), environment)?;
        raw.data_dir = self.data_dir.or(raw.data_dir);
        raw.forward.listen = self.forward.or(raw.forward.listen);
        raw.http.listen = self.http.or(raw.http.listen);
        raw.store.kind = self.store.or(raw.store.kind);
        raw.demo = self.demo;
        if self.insecure_no_auth {
            raw.http.insecure_no_auth = Some(true);
        }
        Config::check(raw)
    }
}

/// Where the HTTP side of a running logmon is.
#[derive(Clone, Debug, Args)]
struct ServerArgs {
    /// Address of the server
    #[arg(long, value_name = "URL", env = "LOGMON_URL", default_value = "http://127.0.0.1:4000")]
    url: String,
}

/// Which data directory.
#[derive(Clone, Debug, Args)]
struct DataArgs {
    /// The data directory
    #[arg(long, value_name = "DIR", env = "LOGMON_DATA_DIR", default_value = "./logmon-data")]
    data_dir: PathBuf,
}

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return tell(&error),
    };
    let done = match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::run(args),
        Command::Send(args) => send::run(args),
        Command::Tail(args) => tail::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Mongo(args) => mongo::run(args),
        Command::Quarantine(args) => quarantine::run(args),
        Command::Verify(args) => verify::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Export(args) => export::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("logmon: {error:#}");
            let is_usage = error.is::<ConfigError>() || is_elsewhere(&error);
            ExitCode::from(if is_usage { EXIT_USAGE } else { EXIT_FAILURE })
        }
    }
}

/// Whether a command was pointed at a directory that is none of logmon's.
fn is_elsewhere(error: &anyhow::Error) -> bool {
    let verify = match error.downcast_ref() {
        Some(RepairError::Verify(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    matches!(verify, Some(VerifyError::NoJournal(_)))
}

/// Prints help or what is wrong with the command line.
fn tell(error: &clap::Error) -> ExitCode {
    // Nothing can be done where even that cannot be written.
    drop(error.print());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_USAGE),
    }
}
