//! `logmon run`.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use super::RunArgs;
use crate::assemble;

/// Runs until a signal ends it.
///
/// # Errors
/// A setting is wrong, or something the server needs cannot be had.
pub(super) fn run(args: RunArgs) -> anyhow::Result<()> {
    let config = args.config()?;
    let filter = EnvFilter::try_from_env("LOGMON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let has_colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(has_colour)
        .with_writer(std::io::stderr)
        // It would tell of a closed standard error there, and panic.
        .log_internal_errors(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime failed")?;
    runtime.block_on(assemble::run(config))
}
