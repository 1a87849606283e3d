//! `logmon export`.

use std::io::Write as _;
use std::ops::ControlFlow;

use clap::Args;
use logmon_store::export::RawExport;

use super::DataArgs;
use crate::terminal;

/// What `logmon export` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct ExportArgs {
    /// Read the files themselves, whatever state they are in; the logmon that writes them may run
    #[arg(long, required = true)]
    raw: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Prints every event that can be read, oldest first, one JSON object a line.
///
/// # Errors
/// Something cannot be read, or there is no journal.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let mut export = RawExport::open(&args.data.data_dir)?;
    let mut out = terminal::output();
    let mut line = Vec::new();
    let mut is_read = true;
    export.each(|log| {
        line.clear();
        log.write_json(&mut line);
        line.push(b'\n');
        is_read = out.write_all(&line).is_ok();
        if is_read { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if !is_read {
        return Ok(()); // the reader has seen enough
    }
    out.flush()?;
    for numbers in export.missing() {
        eprintln!("events {} to {} are not there", numbers.start, numbers.end - 1);
    }
    let losses = export.losses();
    for loss in &losses {
        eprintln!("{}", terminal::safe(&loss.to_string()));
    }
    let is_whole =
        export.missing().is_empty() && !losses.iter().any(|loss| loss.problem.is_damage());
    anyhow::ensure!(is_whole, "not everything in {} could be read", args.data.data_dir.display());
    Ok(())
}
