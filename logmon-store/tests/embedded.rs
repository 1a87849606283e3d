//! A journal inside another program, which may end in any way.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;
use std::process::Command;

use logmon_core::{Event as _, Journal as _, Log};
use logmon_store::{DiskJournal, JournalConfig};

/// Says which end the program is to have, and in which directory.
const END: &str = "LOGMON_TEST_END";

fn append(journal: &DiskJournal, text: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(journal.append(Log::new(text).to_batch().unwrap())).unwrap();
}

fn messages(dir: &Path) -> Vec<String> {
    let (journal, report) = DiskJournal::open(dir, JournalConfig::default()).unwrap();
    assert_eq!(report.damages, []);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut at, mut found) = (journal.oldest(), Vec::new());
        while let Some(group) = journal.read(at, 1 << 20).await.unwrap() {
            found.extend(group.iter().map(|log| log.message().into_owned()));
            at = group.end();
        }
        found
    })
}

/// The program that embeds the journal; does nothing unless it is told how to end.
#[test]
fn the_program() {
    let Ok(told) = std::env::var(END) else { return };
    let (how, dir) = told.split_once(' ').unwrap();
    let (journal, _) = DiskJournal::open(dir, JournalConfig::default()).unwrap();
    append(&journal, "promised");
    match how {
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "panic" => panic!("the program has a fault"),
        "panic-elsewhere" => {
            // The journal lives on in another thread while this one unwinds.
            let holder = std::thread::spawn(move || append(&journal, "and more"));
            holder.join().unwrap();
            panic!("the program has a fault");
        }
        "forget" => std::mem::forget(journal),
        "drop-unread" => {
            // Its outcome is never asked for.
            drop(journal.append(Log::new("unawaited").to_batch().unwrap()));
            drop(journal);
        }
        other => panic!("{other}"),
    }
}

/// S-069: whatever end the program has, what it was promised is there, nothing hangs, and the
/// directory can be opened at once.
#[test]
fn what_was_promised_outlives_any_end_of_the_program() {
    for how in ["exit", "abort", "panic", "panic-elsewhere", "forget", "drop-unread"] {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_program", "--nocapture"])
            .env(END, format!("{how} {}", dir.path().display()))
            .output()
            .unwrap();
        let is_orderly = ["exit", "forget", "drop-unread"].contains(&how);
        assert_eq!(output.status.success(), is_orderly, "{how}: {output:?}");
        let expected: &[&str] = match how {
            "panic-elsewhere" => &["promised", "and more"],
            "drop-unread" => &["promised", "unawaited"],
            _ => &["promised"],
        };
        assert_eq!(messages(dir.path()), expected, "{how}");
    }
}

/// S-069: one process opens a directory once.
#[test]
fn a_directory_is_opened_once_also_within_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let first = DiskJournal::open(dir.path(), JournalConfig::default()).unwrap();
    let second = DiskJournal::open(dir.path(), JournalConfig::default());
    let refusal = second.unwrap_err().to_string();
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    drop(first);
    DiskJournal::open(dir.path(), JournalConfig::default()).unwrap();
}
