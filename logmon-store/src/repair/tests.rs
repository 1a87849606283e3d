use std::collections::BTreeMap;

use logmon_core::{Event as _, Journal as _, Log};

use super::*;
use crate::export::RawExport;
use crate::{DiskJournal, JournalConfig};

fn config() -> JournalConfig {
    JournalConfig { segment_bytes: 2000, tail_bytes: 0, ..JournalConfig::default() }
}

fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..20);
    write(dir.path(), 20..40);
    dir
}

fn write(dir: &Path, events: std::ops::Range<usize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (journal, _) = DiskJournal::open(dir.join("journal"), config()).unwrap();
    for n in events {
        let batch = Log::new(format!("{n:0300}")).to_batch().unwrap();
        runtime.block_on(journal.append(batch)).unwrap();
    }
}

fn exported(dir: &Path) -> (Vec<String>, Vec<Finding>) {
    let mut export = RawExport::open(dir).unwrap();
    let mut found = Vec::new();
    export.each(|log| {
        found.push(log.message().into_owned());
        std::ops::ControlFlow::Continue(())
    });
    (found, export.losses())
}

fn all_files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir.join("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "lock" {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal/{number:016x}.seg"))
}

fn harm(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn newest(dir: &Path) -> PathBuf {
    all_files(dir).into_keys().rfind(|path| path.extension().is_some_and(|e| e == "seg")).unwrap()
}

#[test]
fn a_sound_directory_needs_nothing() {
    let dir = data_dir();
    let plan = Plan::of(dir.path()).unwrap();
    assert_eq!(plan.steps(), []);
    assert!(plan.beyond().is_empty());
    let (found, losses) = exported(dir.path());
    assert_eq!((found.len(), losses.len()), (40, 0));
}

/// A plan changes nothing; what it does keeps every event that can be read, and the books have the
/// others.
#[test]
fn damage_of_every_kind_is_put_right_or_counted() {
    let dir = data_dir();
    let data = dir.path();
    // The header of one, a frame of another, a tail, a segment of another journal, and one that is
    // gone.
    harm(&segment(data, 2), |bytes| bytes[30] ^= 1);
    harm(&segment(data, 3), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let torn = newest(data);
    harm(&torn, |bytes| bytes.extend_from_slice(b"torn"));
    fs::remove_file(segment(data, 4)).unwrap();
    let other = data_dir();
    fs::copy(segment(other.path(), 2), segment(data, 0x50)).unwrap();

    let before = all_files(data);
    let (readable, losses) = exported(data);
    assert!(readable.len() < 40 && !losses.is_empty());
    let plan = Plan::of(data).unwrap();
    assert_eq!(all_files(data), before, "a plan changes nothing");
    let steps: Vec<_> = plan.steps().iter().map(ToString::to_string).collect();
    let lost = 40 - readable.len();
    let torn = torn.file_name().unwrap().to_str().unwrap();
    assert_eq!(steps.len(), 4, "{steps:?}");
    assert_eq!(steps[0], "restore the header of journal/0000000000000002.seg");
    assert!(steps.contains(&"move journal/0000000000000050.seg away".to_owned()), "{steps:?}");
    let is_cut = steps.iter().any(|step| step.starts_with(&format!("cut journal/{torn} to ")));
    assert!(is_cut, "{steps:?}");
    assert!(steps[3].starts_with(&format!("count {lost} events as lost")), "{steps:?}");

    let Repaired { backup, verification } = plan.apply().unwrap();
    assert!(verification.is_sound(), "{:?}", verification.findings);
    let (found, _) = exported(data);
    assert_eq!(found, readable);
    for file in ["0000000000000002.seg", "0000000000000050.seg", torn] {
        let place = data.join("journal").join(file);
        assert_eq!(fs::read(backup.join("journal").join(file)).unwrap(), before[&place], "{file}");
    }
    assert!(!segment(data, 0x50).exists());
    // It opens, goes on, and stays sound.
    write(data, 40..50);
    assert_eq!(exported(data).0.len(), readable.len() + 10);
    let verification = verify(data).unwrap();
    assert!(verification.is_sound(), "{:?}", verification.findings);
    assert_eq!(Plan::of(data).unwrap().steps(), []);
    let (journal, report) = DiskJournal::open(data.join("journal"), config()).unwrap();
    assert_eq!(report.damages, []);
    let status = journal.status();
    assert_eq!((status.appended, status.damaged), (50, lost as u64));
}

#[test]
fn nothing_is_planned_beside_a_running_journal() {
    let dir = data_dir();
    let (journal, _) = DiskJournal::open(dir.path().join("journal"), config()).unwrap();
    match Plan::of(dir.path()) {
        Err(RepairError::Locked(LockError::Held { owner })) => {
            assert_eq!(owner, Some(std::process::id()));
        }
        other => panic!("{other:?}"),
    }
    drop(journal);
    Plan::of(dir.path()).unwrap();
}

/// What cannot be put right is said before and after.
#[test]
fn a_broken_chain_stays_one() {
    let dir = data_dir();
    harm(&segment(dir.path(), 3), |bytes| {
        // A whole frame less, from the end, with nothing but zeros in its place.
        let len = bytes.len();
        bytes[len - 20..].fill(0);
    });
    let plan = Plan::of(dir.path()).unwrap();
    assert_eq!(plan.beyond().len(), 1);
    assert_eq!(plan.steps().len(), 1);
    let repaired = plan.apply().unwrap();
    assert!(repaired.verification.is_sound());
    assert!(repaired.verification.findings[0].is_known);
}
