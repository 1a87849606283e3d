//! The format on disk is what its description says, and stays what it was.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use logmon_core::{Entries, FieldMap, Fingerprint, Group, Level, Reading, Timestamp};

use super::*;
use crate::journal::control::{self, Checkpoint, Record};
use crate::journal::format::{NewFrame, SegmentHeader, end_frame, epoch_seed};
use crate::vfs::memory::MemoryVfs;

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        write!(out, "{:04x} ", line * 16).unwrap();
        bytes.iter().for_each(|byte| write!(out, " {byte:02x}").unwrap());
        out.push('\n');
    }
    out
}

/// The segment of the worked example.
fn example() -> Vec<u8> {
    let epoch = Epoch::from_bytes([0x6b, 0x02, 0xf3, 0xc0, 0x9f, 0x3c, 0x51]);
    let created = Timestamp::from_seconds(0x6b02_f3c0, 0).unwrap();
    let header =
        SegmentHeader { number: 1, epoch, journal: epoch, first_seq: 1, created, chain: 0 };
    let mut bytes = header.to_bytes();
    let checkpoint = Checkpoint { epochs: vec![(epoch, 1)], ..Checkpoint::default() };
    control::write_frame(&mut bytes, &[Record::Checkpoint(checkpoint)], epoch, (1, created));
    let fields = FieldMap::new(&["level"], &["message"], &["source"]).unwrap();
    let record = Record::FieldMap(0, Arc::new(fields));
    control::write_frame(&mut bytes, &[record], epoch, (1, created));
    // [1795355584, {"message": "hi"}]
    let payload = b"\x92\xce\x6b\x02\xf3\xc0\x81\xa7message\xa2hi";
    let frame = NewFrame {
        is_control: false,
        events: 1,
        times: (created, created),
        route: 1,
        tag: "app",
        fingerprints: &[Fingerprint { first: 0, digest: *b"0123456789abcdef" }],
        ..NewFrame::control(u32::try_from(payload.len()).unwrap(), 1, created)
    };
    let crc = frame.write(&mut bytes, epoch_seed(epoch));
    bytes.extend_from_slice(payload);
    end_frame(&mut bytes, crc, payload);
    bytes
}

#[tokio::test]
async fn the_worked_example_of_the_description_is_a_journal() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/journal-format.md");
    let text = fs::read_to_string(path).unwrap();
    let expected = hex(&example());
    assert!(text.contains(&expected), "the description has another example than\n{expected}");
    let vfs = MemoryVfs::new();
    vfs.put("0000000000000001.seg", example());
    let (journal, report) = open(&vfs, config());
    assert_eq!(report.damages, []);
    assert_eq!(messages(&journal).await, ["hi"]);
}

fn golden_dir() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/journal-v1").into()
}

fn golden_config() -> JournalConfig {
    JournalConfig {
        segment_bytes: 4000,
        retention: Retention { max_bytes: 11_000, max_age: None },
        ..small()
    }
}

/// Events of several tags, field maps, routes and shapes.
fn golden_batch(n: u32) -> NewBatch {
    let received = Timestamp::from_seconds(1_795_355_584 + i64::from(n), 7).unwrap();
    if !n.is_multiple_of(5) {
        let mut log = Log::new(format!("event {n}"))
            .level(Level::ALL[n as usize % Level::ALL.len()])
            .tag(format!("app.{}", n % 3))
            .source("billing")
            .timestamp(received)
            .field("n", i64::from(n));
        log.received = received;
        return log.to_batch().unwrap();
    }
    let fields = FieldMap::new(&["severity"], &["text"], &["host.name"]).unwrap();
    let mut reading = Reading::new(Arc::new(fields), received);
    reading.time_unit = logmon_core::TimeUnit::Auto;
    let mut payload = Vec::new();
    for _ in 0..3 {
        payload.extend_from_slice(b"\x92\xcf");
        payload.extend_from_slice(&1_795_355_584_123_u64.to_be_bytes());
        payload.extend_from_slice(
            b"\x83\xa8severity\xa4warn\xa4text\xa9\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
        );
        payload.extend_from_slice(b"\xa4host\x81\xa4name\xa2h1");
    }
    let entries = Entries::read(payload.into(), &reading).unwrap();
    let mut batch = NewBatch::new("packed".into(), entries);
    batch.fingerprints =
        vec![Fingerprint { first: 0, digest: [1; 16] }, Fingerprint { first: 2, digest: [2; 16] }];
    batch
}

/// Writes the golden directory; only for a new version of the format.
#[tokio::test]
#[ignore = "replaces the golden files"]
async fn write_golden_files() {
    drop(fs::remove_dir_all(golden_dir()));
    for half in 0..2 {
        let (journal, _) = DiskJournal::open(golden_dir(), golden_config()).unwrap();
        for n in half * 20..half * 20 + 20 {
            journal.append(golden_batch(n)).await.unwrap();
        }
    }
    fs::remove_file(golden_dir().join("lock")).unwrap();
}

// S-023: what version 1 wrote reads the same for ever.
#[tokio::test]
async fn the_golden_journal_reads_as_it_was_written() {
    let vfs = MemoryVfs::new();
    for entry in fs::read_dir(golden_dir()).unwrap() {
        let entry = entry.unwrap();
        vfs.put(entry.file_name().to_str().unwrap(), fs::read(entry.path()).unwrap());
    }
    let (journal, report) = open(&vfs, golden_config());
    assert_eq!(report.damages, []);
    assert_eq!((report.next_seq, report.scanned_segments), (57, 1));
    let status = journal.status();
    assert_eq!((status.appended, status.damaged), (56, 0));
    assert_eq!(status.expired.by_size, 27);
    assert_books_balance(&journal).await;
    let expected: Vec<Group> = (0..40)
        .map(golden_batch)
        .scan(1, |seq, batch| {
            let group = logmon_core::GroupBuilder::single(journal.head().epoch, &batch, *seq);
            *seq = group.end_seq();
            Some(group)
        })
        .collect();
    let mut expected = expected.iter().flat_map(Group::iter);
    let mut at = journal.oldest();
    while let Some(group) = journal.read(at, 1000).await.unwrap() {
        for log in group.iter().skip(group.index_of(at.seq)) {
            let wanted = expected.find(|wanted| wanted.seq() == log.seq()).unwrap();
            assert_eq!(log.to_log(), wanted.to_log());
        }
        at = group.end();
    }
    assert!(expected.next().is_none());
}
