//! Segments with bytes changed, cut off, mixed up or from elsewhere.

use std::ops::Range;

use super::*;
use crate::journal::format::{SEGMENT_HEADER_BYTES, SegmentHeader, epoch_seed};
use crate::journal::segment::file_name;
use crate::journal::walk::{Step, Walk};

/// A journal of one segment with `count` events, each in a frame of its own, and those frames'
/// bytes.
async fn one_segment(count: usize) -> (MemoryVfs, String, Vec<Range<usize>>) {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    for n in 0..count {
        journal.append(batch(&n.to_string())).await.unwrap();
    }
    drop(journal);
    let name = segments(&vfs).pop().unwrap();
    let content = vfs.content(&name).unwrap();
    let epoch = SegmentHeader::parse(&content).unwrap().epoch;
    let file = vfs.open(&name).unwrap();
    let range = (SEGMENT_HEADER_BYTES as u64, content.len() as u64);
    let mut walk = Walk::new(&*file, epoch, range, (1, None));
    let mut frames = Vec::new();
    while let Some(step) = walk.step() {
        match step {
            Step::Frame { at, header } if header.events > 0 => {
                let at = usize::try_from(at).unwrap();
                frames.push(at..at + usize::try_from(header.total_len()).unwrap());
            }
            Step::Frame { .. } => {}
            step => panic!("{step:?}"),
        }
    }
    (vfs, name, frames)
}

fn texts(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

//
#[tokio::test]
async fn a_segment_cut_anywhere_keeps_every_complete_frame() {
    let (vfs, name, frames) = one_segment(4).await;
    let content = vfs.content(&name).unwrap();
    for len in 0..=content.len() {
        vfs.put(&name, content[..len].to_vec());
        let after = vfs.snapshot();
        let complete = frames.iter().filter(|frame| frame.end <= len).count();
        for _ in 0..2 {
            let (journal, report) = open(&after, config());
            assert_eq!(messages(&journal).await, texts(0..complete), "cut to {len}");
            assert_eq!(report.next_seq, 1 + complete as u64);
            assert_books_balance(&journal).await;
        }
    }
}

//
#[tokio::test]
async fn a_flipped_byte_of_the_newest_segment_costs_its_frame() {
    let (vfs, name, frames) = one_segment(4).await;
    let content = vfs.content(&name).unwrap();
    for at in 0..content.len() {
        let mut flipped = content.clone();
        flipped[at] ^= 0x20;
        vfs.put(&name, flipped);
        let lost = frames.iter().position(|frame| frame.contains(&at));
        let (journal, report) = open(&vfs.snapshot(), config());
        let expected = texts((0..4).filter(|n| Some(*n) != lost));
        assert_eq!(messages(&journal).await, expected, "byte {at}");
        assert!(!report.damages.is_empty(), "byte {at}");
        // The last one cannot be told from a write that was never completed.
        let damaged = u64::from(lost.is_some_and(|lost| lost < 3));
        assert_eq!(journal.status().damaged, damaged, "byte {at}");
        assert_books_balance(&journal).await;
    }
}

//
#[tokio::test]
async fn a_flipped_byte_of_an_older_segment_costs_its_frame() {
    let (vfs, name, frames) = one_segment(4).await;
    let (journal, _) = open(&vfs, config());
    journal.append(batch("4")).await.unwrap();
    drop(journal);
    let content = vfs.content(&name).unwrap();
    for at in 0..content.len() {
        let mut flipped = content.clone();
        flipped[at] ^= 0x04;
        vfs.put(&name, flipped);
        let after = vfs.snapshot();
        let lost = frames.iter().position(|frame| frame.contains(&at));
        let mut expected = texts((0..5).filter(|n| Some(*n) != lost));
        // Found by reading, and counted once, also by the openings that follow.
        for opening in 0..3 {
            let (journal, _) = open(&after, config());
            if opening > 1 {
                // By now a checkpoint tells.
                assert_eq!(journal.status().damaged, u64::from(lost.is_some()), "byte {at}");
            }
            assert_eq!(messages(&journal).await, expected, "byte {at}");
            assert_eq!(messages(&journal).await, expected, "byte {at}");
            assert_eq!(journal.status().damaged, u64::from(lost.is_some()), "byte {at}");
            assert_books_balance(&journal).await;
            if opening == 0 {
                // So big that it begins a segment.
                let big = JournalConfig { segment_bytes: 1, ..small() };
                drop(journal);
                let (journal, _) = open(&after, big);
                assert_eq!(messages(&journal).await, expected, "byte {at}");
                journal.append(batch("x")).await.unwrap();
                journal.append(batch("y")).await.unwrap();
                expected.extend(["x".into(), "y".into()]);
            }
        }
    }
}

/// A journal whose events 0..count stand in segments of their own.
async fn many_segments(count: usize) -> MemoryVfs {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { segment_bytes: 1, ..small() });
    for n in 0..count {
        journal.append(batch(&n.to_string())).await.unwrap();
    }
    drop(journal);
    assert_eq!(segments(&vfs).len(), count);
    vfs
}

// missing, zero-filled and emptied segments in the middle.
#[tokio::test]
async fn a_lost_segment_is_reported_and_counted() {
    for what in ["missing", "zeroed", "emptied", "cut"] {
        let vfs = many_segments(5).await;
        let name = file_name(3);
        let content = vfs.take(&name).unwrap();
        match what {
            "zeroed" => vfs.put(&name, vec![0; content.len()]),
            "emptied" => vfs.put(&name, Vec::new()),
            "cut" => vfs.put(&name, content[..content.len() - 1].to_vec()),
            _ => {}
        }
        let (journal, report) = open(&vfs, small());
        assert_eq!(messages(&journal).await, ["0", "1", "3", "4"], "{what}");
        assert!(report.damages.iter().any(|damage| damage.file == name), "{what}: {report:?}");
        assert_eq!(journal.status().damaged, 1, "{what}");
        assert_books_balance(&journal).await;
        assert_eq!(report.scanned_segments, 1);
    }
}

// The newest events are gone with their segment: a reader gets to the head all the same, and does
// not ask for ever.
#[tokio::test]
async fn readers_get_past_lost_events_at_the_end() {
    let vfs = many_segments(5).await;
    drop(open(&vfs, small()));
    vfs.take(&file_name(5)).unwrap();
    let (journal, _) = open(&vfs, small());
    assert_eq!(journal.head().seq, 6);
    assert_eq!(messages(&journal).await, texts(0..4));
    let at = Position { seq: 5, ..journal.oldest() };
    let group = journal.read(at, 1 << 20).await.unwrap().unwrap();
    assert_eq!((group.len(), group.end().seq), (0, 6));
    assert!(journal.read(group.end(), 1 << 20).await.unwrap().is_none());
}

// the checkpoint of the newest segment is gone with it.
#[tokio::test]
async fn without_the_newest_checkpoint_older_ones_are_used() {
    let vfs = many_segments(5).await;
    for number in [4, 5] {
        let mut content = vfs.take(&file_name(number)).unwrap();
        // Inside the checkpoint's payload.
        content[SEGMENT_HEADER_BYTES + 90] ^= 1;
        vfs.put(&file_name(number), content);
    }
    let (journal, report) = open(&vfs, small());
    assert_eq!(report.scanned_segments, 3);
    assert_eq!(messages(&journal).await, texts(0..5));
    assert_books_balance(&journal).await;
}

// reordered and renamed.
#[tokio::test]
async fn exchanged_segments_are_noticed_and_give_no_wrong_data() {
    let vfs = many_segments(5).await;
    let (two, four) = (vfs.take(&file_name(2)).unwrap(), vfs.take(&file_name(4)).unwrap());
    vfs.put(&file_name(2), four);
    vfs.put(&file_name(4), two.clone());
    // A copy behind the newest.
    vfs.put(&file_name(9), two);
    let (journal, report) = open(&vfs, small());
    assert_eq!(messages(&journal).await, ["0", "2", "4"]);
    let foreign = report.damages.iter().filter(|damage| damage.kind == DamageKind::Foreign);
    assert_eq!(foreign.count(), 3, "{report:?}");
    assert_eq!(journal.status().damaged, 2);
    assert_books_balance(&journal).await;
}

// a segment of another node.
#[tokio::test]
async fn a_foreign_segment_is_left_alone() {
    let (vfs, other) = (many_segments(3).await, many_segments(7).await);
    let foreign = other.content(&file_name(6)).unwrap();
    vfs.put(&file_name(6), foreign.clone());
    vfs.put(&file_name(2), other.content(&file_name(2)).unwrap());
    let (journal, report) = open(&vfs, small());
    assert_eq!(messages(&journal).await, ["0", "2"]);
    let foreigners = report.damages.iter().filter(|damage| damage.kind == DamageKind::Foreign);
    assert_eq!(foreigners.count(), 2, "{report:?}");
    journal.append(batch("new")).await.unwrap();
    assert_eq!(messages(&journal).await, ["0", "2", "new"]);
    assert_eq!(vfs.content(&file_name(6)).unwrap(), foreign);
}

// S-018
#[tokio::test]
async fn an_unreadable_region_costs_what_lies_in_it() {
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, JournalConfig { tail_bytes: 0, ..config() });
    for n in 0..40 {
        journal.append(batch(&format!("{n:01000}"))).await.unwrap();
    }
    let name = segments(&vfs).pop().unwrap();
    vfs.break_sector(&name, 20_000);
    // The newest group is in memory; an opening reads all from the disk.
    drop(journal);
    let (journal, _) = open(&vfs, config());
    let kept = messages(&journal).await.len();
    assert!((34..40).contains(&kept), "{kept}");
    assert_eq!(journal.status().damaged, 40 - kept as u64);
    assert_books_balance(&journal).await;
}

// R-098, S-024
#[tokio::test]
async fn a_later_version_is_refused_and_nothing_changed() {
    let (vfs, name, frames) = one_segment(2).await;
    let content = vfs.content(&name).unwrap();
    let mut segment = content.clone();
    segment[8] = 2;
    let crc = crc32c::crc32c(&segment[..60]);
    segment[60..64].copy_from_slice(&crc.to_le_bytes());
    let epoch = SegmentHeader::parse(&content).unwrap().epoch;
    let seed = epoch_seed(epoch);
    let mut variants = vec![segment];
    // A frame of a later version, an unknown flag, an unknown codec.
    for at in 4..7 {
        let mut frame = content.clone();
        frame[frames[0].start + at] = 0x40;
        let len = frame[frames[0].start + 8] as usize;
        let crc = crc32c::crc32c_append(seed, &frame[frames[0].start..frames[0].start + len - 4]);
        frame[frames[0].start + len - 4..frames[0].start + len].copy_from_slice(&crc.to_le_bytes());
        variants.push(frame);
    }
    for variant in variants {
        vfs.put(&name, variant.clone());
        match DiskJournal::open_in(Arc::new(vfs.clone()), config()) {
            Err(error @ OpenError::Later { .. }) => {
                assert!(error.to_string().contains("later version"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(segments(&vfs), std::slice::from_ref(&name));
        assert_eq!(vfs.content(&name).unwrap(), variant);
    }
}

/// S-024, R-099: a directory of some other program is refused, and nothing in it changed; a segment
/// of ours is told apart, in whatever state.
#[tokio::test]
async fn the_directory_of_another_program_is_refused() {
    let vfs = MemoryVfs::new();
    let foreign =
        b"SQLite format 3\0 and much more, longer than any header of ours would be".to_vec();
    vfs.put(&file_name(1), foreign.clone());
    vfs.put(&file_name(0x10), b"short".to_vec());
    match DiskJournal::open_in(Arc::new(vfs.clone()), config()) {
        Err(error @ OpenError::NotAJournal { .. }) => {
            assert!(error.to_string().contains("use another directory"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(vfs.names(), [file_name(1), file_name(0x10)]);
    assert_eq!(vfs.content(&file_name(1)).unwrap(), foreign);
    // Beside segments of ours it is reported and left alone.
    let (ours, name, _) = one_segment(2).await;
    assert_ne!(name, file_name(0x10));
    ours.put(&file_name(0x10), foreign.clone());
    let (journal, report) = open(&ours, config());
    assert_eq!(messages(&journal).await.len(), 2);
    assert!(report.damages.iter().any(|damage| damage.file == file_name(0x10)), "{report:?}");
    assert_eq!(ours.content(&file_name(0x10)).unwrap(), foreign);
}

//
#[cfg(unix)]
#[tokio::test]
async fn foreign_files_are_ignored_and_never_followed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    std::fs::write(&target, b"precious").unwrap();
    std::fs::write(dir.path().join("README.txt"), b"hello").unwrap();
    std::fs::create_dir(dir.path().join(file_name(5))).unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join(file_name(1))).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join(file_name(7))).unwrap();
    let config = JournalConfig { segment_bytes: 1, ..small() };
    let (journal, report) = DiskJournal::open(dir.path(), config.clone()).unwrap();
    assert_eq!(report.damages, []);
    for n in 0..9 {
        journal.append(batch(&n.to_string())).await.unwrap();
    }
    drop(journal);
    let (journal, _) = DiskJournal::open(dir.path(), config).unwrap();
    assert_eq!(messages(&journal).await, texts(0..9));
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    assert_eq!(std::fs::read(dir.path().join("README.txt")).unwrap(), b"hello");
}
