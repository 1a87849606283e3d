//! `logmon mongo`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use logmon_store::mongo::{CollectionStatus, MongoSink};
use serde_json::Value;

use super::{RunArgs, ServerArgs};
use crate::client::Client;
use crate::config::Destination;
use crate::terminal;

/// What `logmon mongo` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct MongoArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Show what is in the collections of the outputs, and how far the running logmon is behind
    Status {
        /// The settings with the outputs
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
        /// The tag whose collection is meant, where each tag has its own
        #[arg(long, default_value = "app")]
        tag: String,
    },
}

/// Asks each MongoDB of the settings, and the logmon that writes to it, if it runs.
///
/// # Errors
/// The settings are wrong or have no such output, or a MongoDB cannot be asked.
pub(super) fn run(args: MongoArgs) -> anyhow::Result<()> {
    let What::Status { config, server, tag } = args.what;
    let config = RunArgs { config: Some(config), ..RunArgs::default() }.config()?;
    let health = Client::new(&server.url).json("/health", &[]).ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime failed")?;
    let mut out = terminal::output();
    let (mut outputs, mut failed) = (0, Vec::new());
    for output in &config.outputs {
        let Destination::MongoDb(mongo) = &output.to else { continue };
        outputs += 1;
        let mut settings = mongo.config.clone();
        settings.min_pool_size = 0;
        let status = runtime.block_on(MongoSink::new(settings, 0).status(&tag));
        let running = health.as_ref().and_then(|health| running(health, &output.name));
        match status {
            Ok(status) => drop(write_status(&mut out, &output.name, &status)),
            Err(error) => failed.push(format!("output `{}`: {error}", output.name)),
        }
        drop(write_running(&mut out, running, &server.url));
    }
    drop(out.flush());
    anyhow::ensure!(outputs > 0, "the settings have no output to MongoDB");
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

fn running<'h>(health: &'h Value, name: &str) -> Option<&'h Value> {
    let outputs = health.pointer("/figures/outputs")?.as_array()?;
    outputs.iter().find(|output| output["name"] == name)
}

fn write_status(
    out: &mut impl Write,
    name: &str,
    status: &CollectionStatus,
) -> std::io::Result<()> {
    writeln!(out, "output {name}")?;
    writeln!(out, "  collection  {}", terminal::safe(&status.name))?;
    writeln!(out, "  documents   {}", status.documents)?;
    match &status.range {
        Some((oldest, newest)) => writeln!(out, "  events      {oldest} to {newest}")?,
        None => writeln!(out, "  events      none")?,
    }
    for (name, key) in &status.indexes {
        writeln!(out, "  index       {} {}", terminal::safe(name), terminal::safe(key))?;
    }
    Ok(())
}

fn write_running(out: &mut impl Write, output: Option<&Value>, url: &str) -> std::io::Result<()> {
    let Some(output) = output else {
        return writeln!(out, "  logmon      no such output runs at {url}");
    };
    writeln!(out, "  delivered   {}", output["delivered"])?;
    writeln!(out, "  waiting     {}", output["behind"])?;
    writeln!(out, "  quarantined {}", output["quarantined"])?;
    let pool = &output["pool"];
    writeln!(
        out,
        "  connections {} open, {} in use, {} waited for",
        pool["connections"], pool["in_use"], pool["waiting"]
    )?;
    for difference in output["differences"].as_array().into_iter().flatten() {
        writeln!(out, "  different   {}", terminal::safe(difference.as_str().unwrap_or_default()))?;
    }
    if let Some(trouble) = output["trouble"].as_str() {
        writeln!(out, "  trouble     {}", terminal::safe(trouble))?;
    }
    Ok(())
}
