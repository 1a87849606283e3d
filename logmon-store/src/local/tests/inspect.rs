//! A store that is only looked at.

use super::super::check::Inspection;
use super::*;
use crate::local::partition;
use crate::verify::{Finding, Problem};

/// A store of several blocks in one partition, closed; and the journal's disk.
async fn closed() -> (MemoryVfs, MemoryVfs) {
    let world = World::sealed(small(), 0..50).await;
    (world.disk.snapshot(), world.journal_disk.clone())
}

fn inspect(disk: &MemoryVfs) -> Inspection {
    Inspection::of(Arc::new(disk.clone())).unwrap().unwrap()
}

fn events(inspection: &Inspection) -> (Vec<String>, Vec<Finding>) {
    let (mut found, mut losses) = (Vec::new(), Vec::new());
    for read in inspection.units().flatten() {
        match read {
            Ok(group) => found.extend(group.iter().map(|log| log.message().into_owned())),
            Err(finding) => losses.push(finding),
        }
    }
    (found, losses)
}

#[tokio::test]
async fn a_whole_store_is_sound_and_read_in_order() {
    let (disk, _) = closed().await;
    let before = disk.names();
    let (found, losses) = events(&inspect(&disk));
    assert_eq!((found, losses), (messages(0..48), Vec::new()));
    let (findings, seen) = inspect(&disk).check();
    assert_eq!(findings, []);
    assert_eq!((seen.count, seen.events), (6, 48));
    assert_eq!(disk.names(), before, "nothing is made");
    assert!(Inspection::of(Arc::new(MemoryVfs::new())).unwrap().is_none());
}

/// S-020: any byte of any block. It is named, costs that block at most, and the rest is read.
#[tokio::test]
async fn any_flipped_byte_of_a_block_is_named() {
    let (disk, _) = closed().await;
    let name = disk.names().into_iter().find(|name| partition::number_of(name).is_some()).unwrap();
    let content = disk.content(&name).unwrap();
    for at in (partition::HEADER_BYTES..content.len()).step_by(3) {
        let mut flipped = content.clone();
        flipped[at] ^= 0x10;
        disk.put(&name, flipped);
        let (findings, seen) = inspect(&disk).check();
        assert_eq!(findings.len(), 1, "byte {at}: {findings:?}");
        assert_eq!((findings[0].problem, &findings[0].file), (Problem::Block, &name), "byte {at}");
        let lost = findings[0].events.unwrap();
        assert!(lost <= 8, "byte {at}: {findings:?}");
        assert!(seen.events >= 40, "byte {at}");
        let (found, losses) = events(&inspect(&disk));
        let lost: u64 = losses.iter().filter_map(|finding| finding.events).sum();
        assert_eq!(found.len() as u64 + lost, 48, "byte {at}");
        assert!(found.iter().all(|text| messages(0..48).contains(text)), "byte {at}");
    }
}

/// a damaged index and a damaged FORMAT are named, and cost nothing.
#[tokio::test]
async fn other_files_of_a_store_are_named() {
    for (suffix, problem) in [(".idx", Problem::Index), ("FORMAT", Problem::Format)] {
        let (disk, _) = closed().await;
        let Some(name) = disk.names().into_iter().find(|name| name.ends_with(suffix)) else {
            panic!("no file {suffix}: {:?}", disk.names());
        };
        let mut bytes = disk.content(&name).unwrap();
        bytes[9] ^= 1;
        disk.put(&name, bytes);
        let (findings, seen) = inspect(&disk).check();
        assert_eq!(seen.events, 48);
        let problems: Vec<_> = findings.iter().map(|finding| finding.problem).collect();
        assert_eq!(problems, [problem], "{findings:?}");
    }
}
