//! What an output to MongoDB costs, beside a server that takes everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use logmon_benches::corpus::Corpus;

use super::blackhole::Blackhole;
use super::load;
use super::server::Server;

/// The longest a run may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures the same intake without an output and with one.
pub(crate) fn run(
    binary: &Path,
    (events, data): (u64, Option<&Path>),
    dir: &Path,
    window: u64,
) -> anyhow::Result<()> {
    let (plain, memory) = measure(binary, (events, data), dir, None)?;
    let hole = Blackhole::start();
    let settings = format!(
        "[[output]]\nkind = \"mongodb\"\nuri = \"{}\"\nfrom = \"oldest\"\nrequired = true\nwindow = {window}\n",
        hole.uri()
    );
    let file = PathBuf::from(format!("{}.toml", dir.display()));
    fs::write(&file, settings)?;
    let measured = measure(binary, (events, data), dir, Some((&file, &hole)));
    fs::remove_file(&file)?;
    let (whole, whole_memory) = measured?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / events as f64;
    println!(
        "| {events} events, window {window} | CPU us per event | memory at most, MB |\n|---|---|---|"
    );
    println!("| intake alone | {:.2} | {} |", each(plain), memory >> 20);
    println!("| with the output | {:.2} | {} |", each(whole), whole_memory >> 20);
    println!("| the output | {:.2} | |", each(whole.saturating_sub(plain)));
    println!("| bytes of BSON per event | {} | |", hole.bytes() / events.max(1));
    Ok(())
}

/// CPU time and memory of a server from the first event until all have arrived.
fn measure(
    binary: &Path,
    (events, data): (u64, Option<&Path>),
    dir: &Path,
    output: Option<(&Path, &Blackhole)>,
) -> anyhow::Result<(Duration, u64)> {
    let mut more = vec!["--store".to_owned(), "none".to_owned()];
    if let Some((file, _)) = output {
        more.extend(["--config".to_owned(), file.display().to_string()]);
    }
    let server = Server::start(binary, dir, &more)?;
    let mut corpus = Corpus::open(data)?;
    let before = server.cpu()?;
    load::send(&server, &mut corpus, events)?;
    let began = Instant::now();
    while output.is_some_and(|(_, hole)| hole.documents() < events) {
        ensure!(began.elapsed() < PATIENCE, "not all events arrive");
        std::thread::sleep(Duration::from_millis(5));
    }
    let (cpu, memory) = (server.cpu_since(before)?, server.peak_memory()?);
    server.stop()?;
    Ok((cpu, memory))
}
