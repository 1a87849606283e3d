//! `logmon verify`.

use std::io::Write as _;

use clap::Args;
use logmon_store::verify::verify;

use super::DataArgs;
use crate::terminal;

/// What `logmon verify` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Looks at everything in a data directory and prints what is not as it was written. The logmon
/// that writes it may run.
///
/// # Errors
/// Something is damaged, or there is no journal to look at.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    let verified = verify(&args.data.data_dir)?;
    let mut out = terminal::output();
    let findings = verified.findings.iter();
    let printed = findings.map(|finding| writeln!(out, "{}", terminal::safe(&finding.to_string())));
    // A reader that has seen enough changes nothing about the result.
    drop(printed.collect::<std::io::Result<()>>());
    let is_sound = verified.is_sound();
    let result = if is_sound { "sound" } else { "damaged" };
    drop(writeln!(
        out,
        "{result}: journal: {} events in {} frames of {} segments, {} bytes; store: {} events in {} \
         blocks, {} bytes",
        verified.events,
        verified.frames,
        verified.segments,
        verified.bytes,
        verified.block_events,
        verified.blocks,
        verified.block_bytes
    ));
    drop(out.flush());
    anyhow::ensure!(is_sound, "{} is damaged", args.data.data_dir.display());
    Ok(())
}
