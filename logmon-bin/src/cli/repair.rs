//! `logmon repair`.

use std::io::Write as _;

use clap::Args;
use logmon_store::repair::Plan;

use super::DataArgs;
use crate::terminal::{self, safe};

/// What `logmon repair` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct RepairArgs {
    /// Do what the plan says, after copying what it touches; without this, only print the plan
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Prints what would be done to a damaged data directory, and does it if it is told so.
///
/// # Errors
/// A process has the directory open, a step fails, or it is still damaged afterwards.
pub(super) fn run(args: &RepairArgs) -> anyhow::Result<()> {
    let plan = Plan::of(&args.data.data_dir)?;
    say(plan.steps().iter().map(ToString::to_string));
    say(plan.beyond().iter().map(|finding| format!("stays: {finding}")));
    if plan.steps().is_empty() {
        say(["there is nothing to repair".to_owned()]);
        return Ok(());
    }
    if !args.apply {
        say(["nothing was changed; with --apply this is done".to_owned()]);
        return Ok(());
    }
    let repaired = plan.apply()?;
    say([format!("done; the files as they were are in {}", repaired.backup.display())]);
    say(repaired.verification.findings.iter().map(ToString::to_string));
    anyhow::ensure!(repaired.verification.is_sound(), "damage remains that cannot be repaired");
    Ok(())
}

/// Prints lines. That nobody reads them stops no repair.
fn say(lines: impl IntoIterator<Item = String>) {
    let mut out = terminal::output();
    for line in lines {
        drop(writeln!(out, "{}", safe(&line)));
    }
    drop(out.flush());
}
