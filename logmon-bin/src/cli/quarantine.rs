//! `logmon quarantine`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use logmon_core::{Quarantined, QuarantinedKind};
use logmon_store::{DirQuarantine, ItemId, Listed, QuarantineConfig};
use serde_json::{Value, json};

use crate::terminal::{self, safe};

mod replay;

/// What `logmon quarantine` can be told.
#[derive(Clone, Debug, Args)]
pub(super) struct QuarantineArgs {
    /// The data directory of the logmon that refused the input
    #[arg(
        long,
        value_name = "DIR",
        env = "LOGMON_DATA_DIR",
        default_value = "./logmon-data",
        global = true
    )]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// List the items, oldest first
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show an item with a hex dump of its bytes
    Show {
        /// The item
        id: ItemId,
        /// Write its bytes as they are, and nothing else
        #[arg(long)]
        raw: bool,
    },
    /// Send items to a Forward listener, and remove each once it is acknowledged
    Replay {
        #[command(flatten)]
        items: Items,
        /// Forward listener to send to
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:24224")]
        to: String,
        /// Tag of entries whose own is not known
        #[arg(long, default_value = "quarantine")]
        tag: String,
    },
    /// Remove items for good
    Drop {
        #[command(flatten)]
        items: Items,
    },
}

/// Which items.
#[derive(Clone, Debug, Args)]
#[group(required = true)]
struct Items {
    /// The items
    ids: Vec<ItemId>,
    /// All items
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl Items {
    fn of(&self, quarantine: &DirQuarantine) -> anyhow::Result<Vec<ItemId>> {
        if self.all {
            return Ok(quarantine.list()?.iter().map(|item| item.id).collect());
        }
        Ok(self.ids.clone())
    }
}

/// Does what it is told with the items of a data directory. The logmon that writes them may run.
///
/// # Errors
/// There is no quarantine, or not the item, or a replay is not acknowledged.
pub(super) fn run(args: QuarantineArgs) -> anyhow::Result<()> {
    let folder = args.data_dir.join("quarantine");
    anyhow::ensure!(folder.is_dir(), "there is no quarantine in {}", args.data_dir.display());
    let quarantine = DirQuarantine::open(&folder, QuarantineConfig::default())
        .with_context(|| format!("opening {} failed", folder.display()))?;
    match args.command {
        Command::List { json } => list(&quarantine, json),
        Command::Show { id, raw } => {
            show(&quarantine.get(id)?, raw);
            Ok(())
        }
        Command::Replay { items, to, tag } => {
            replay::run(&quarantine, &items.of(&quarantine)?, (&to, &tag))
        }
        Command::Drop { items } => {
            for id in items.of(&quarantine)? {
                quarantine.remove(id)?;
            }
            Ok(())
        }
    }
}

fn list(quarantine: &DirQuarantine, is_json: bool) -> anyhow::Result<()> {
    let listed = quarantine.list()?;
    let mut out = terminal::output();
    let print = |out: &mut dyn Write| {
        if !is_json {
            writeln!(
                out,
                "{:21} {:20} {:10} {:24} {:21} {:24} {:>6} {:>9}",
                "ID", "TIME", "ORIGIN", "REASON", "PEER", "TAG", "COUNT", "BYTES"
            )?;
        }
        for item in &listed {
            if is_json { writeln!(out, "{}", as_json(item))? } else { row(out, item)? }
        }
        out.flush()
    };
    // A reader that has seen enough is no failure.
    drop(print(&mut out));
    Ok(())
}

fn row(out: &mut dyn Write, item: &Listed) -> std::io::Result<()> {
    let (facts, kept) = match &item.facts {
        Ok((facts, kept)) => (facts, kept),
        Err(damaged) => return writeln!(out, "{:21} {}", item.id, safe(&damaged.to_string())),
    };
    let time = facts.received.to_string();
    let or_dash = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), safe);
    let bytes = match facts.full_bytes {
        full if full > *kept => format!("{kept}/{full}"),
        full => full.to_string(),
    };
    writeln!(
        out,
        "{:21} {:20} {:10} {:24} {:21} {:24} {:>6} {:>9}",
        item.id,
        format!("{}Z", time.get(..19).unwrap_or(&time)),
        safe(&facts.origin),
        safe(&facts.reason),
        or_dash(facts.peer.as_deref()),
        or_dash(facts.tag.as_deref()),
        facts.count,
        bytes
    )
}

fn as_json(item: &Listed) -> Value {
    let (facts, kept) = match &item.facts {
        Ok((facts, kept)) => (facts, kept),
        Err(damaged) => {
            return json!({
                "id": item.id.to_string(),
                "damaged": damaged.0,
                "file_bytes": item.file_bytes,
            });
        }
    };
    json!({
        "id": item.id.to_string(),
        "received": facts.received.to_string(),
        "origin": facts.origin,
        "reason": facts.reason,
        "detail": facts.detail,
        "peer": facts.peer,
        "tag": facts.tag.as_deref(),
        "kind": kind(facts),
        "count": facts.count,
        "bytes": kept,
        "full_bytes": facts.full_bytes,
        "file_bytes": item.file_bytes,
    })
}

fn kind(item: &Quarantined) -> &'static str {
    match item.kind {
        QuarantinedKind::Entries => "entries",
        QuarantinedKind::Message => "message",
        _ => "unknown",
    }
}

fn show(item: &Quarantined, is_raw: bool) {
    let mut out = terminal::output();
    let print = |out: &mut dyn Write| {
        if is_raw {
            out.write_all(&item.bytes)?;
            return out.flush();
        }
        writeln!(out, "received  {}", item.received)?;
        writeln!(out, "origin    {}", safe(&item.origin))?;
        writeln!(out, "reason    {}: {}", safe(&item.reason), safe(&item.detail))?;
        writeln!(out, "peer      {}", safe(item.peer.as_deref().unwrap_or("-")))?;
        writeln!(out, "tag       {}", safe(item.tag.as_deref().unwrap_or("-")))?;
        writeln!(
            out,
            "content   {}, {} of {} bytes",
            kind(item),
            item.bytes.len(),
            item.full_bytes
        )?;
        writeln!(out, "events    {}", item.count)?;
        writeln!(out)?;
        hex_dump(out, &item.bytes)?;
        out.flush()
    };
    // A reader that has seen enough is no failure.
    drop(print(&mut out));
}

/// Sixteen bytes a line: offset, hexadecimal, and the characters that are printable ASCII.
fn hex_dump(out: &mut dyn Write, bytes: &[u8]) -> std::io::Result<()> {
    for (at, line) in bytes.chunks(16).enumerate() {
        write!(out, "{:08x} ", at * 16)?;
        for place in 0..16 {
            let gap = if place % 8 == 0 { " " } else { "" };
            match line.get(place) {
                Some(byte) => write!(out, "{gap}{byte:02x} ")?,
                None => write!(out, "{gap}   ")?,
            }
        }
        let is_shown = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        let text = line.iter().map(|byte| if is_shown(*byte) { char::from(*byte) } else { '.' });
        writeln!(out, " |{}|", text.collect::<String>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_bytes_without_obeying_them() {
        let mut out = Vec::new();
        hex_dump(&mut out, b"\x93\xa3app\x1b[31m\xffend of it\n").unwrap();
        let expected = "\
00000000  93 a3 61 70 70 1b 5b 33  31 6d ff 65 6e 64 20 6f  |..app.[31m.end o|
00000010  66 20 69 74 0a                                    |f it.|
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
