use std::sync::Arc;
use std::time::Duration;

use logmon_core::{Journal as _, Log, NewBatch};

use super::*;
use crate::vfs::memory::MemoryVfs;
use crate::{DiskJournal, JournalConfig, Retention};

fn config() -> JournalConfig {
    JournalConfig { segment_bytes: 2000, tail_bytes: 0, ..JournalConfig::default() }
}

fn open(vfs: &MemoryVfs) -> DiskJournal {
    DiskJournal::open_in(Arc::new(vfs.clone()), config()).unwrap().0
}

fn batch(n: usize) -> NewBatch {
    Log::new(format!("{n:0300}")).to_batch().unwrap()
}

fn parts(journal: &MemoryVfs) -> Parts {
    Parts { journal: Arc::new(journal.clone()), store: None }
}

fn check(vfs: &MemoryVfs) -> Verification {
    verify_in(&parts(vfs), Duration::ZERO).unwrap()
}

/// Reads everything, so that what is damaged is counted.
async fn read_all(journal: &DiskJournal) -> u64 {
    let (mut at, mut events) = (journal.oldest(), 0);
    while let Some(group) = journal.read(at, 1 << 20).await.unwrap() {
        events += group.len() as u64;
        at = group.end();
    }
    events
}

/// A journal of two openings with several segments, closed.
async fn journal() -> MemoryVfs {
    let vfs = MemoryVfs::new();
    for opening in 0..2 {
        let journal = open(&vfs);
        for n in 0..10 {
            journal.append(batch(opening * 10 + n)).await.unwrap();
        }
        let mut staging = journal.stage().await.unwrap();
        staging.push(batch(99)).await.unwrap();
        staging.commit(Vec::new()).await.unwrap();
    }
    vfs
}

fn segments(vfs: &MemoryVfs) -> Vec<String> {
    let is_segment = |name: &String| name.strip_suffix(".seg").is_some();
    vfs.names().into_iter().filter(is_segment).collect()
}

#[tokio::test]
async fn a_journal_that_was_closed_or_killed_is_sound() {
    let vfs = journal().await;
    let found = check(&vfs);
    assert_eq!(found.findings, []);
    assert_eq!((found.events, found.segments > 5), (22, true), "{found:?}");
    let journal = open(&vfs);
    journal.append(batch(1)).await.unwrap();
    let killed = vfs.snapshot();
    let before: Vec<_> = killed.names().iter().map(|name| killed.content(name)).collect();
    assert_eq!(check(&killed).findings, []);
    let after: Vec<_> = killed.names().iter().map(|name| killed.content(name)).collect();
    assert_eq!(before, after, "nothing is changed");
}

/// S-020, R-094: every byte of a closed segment, one at a time. What costs an event is named by
/// file and range, and once the books have it, it is known.
#[tokio::test]
async fn any_flipped_byte_is_named() {
    let vfs = journal().await;
    let total = check(&vfs).events;
    let name = segments(&vfs).remove(1);
    let content = vfs.content(&name).unwrap();
    for at in 0..content.len() {
        let after = vfs.snapshot();
        let mut flipped = content.clone();
        flipped[at] ^= 0x20;
        after.put(&name, flipped);
        let found = check(&after);
        assert!(!found.is_sound(), "byte {at}: {found:?}");
        let place = found.findings.iter().find(|finding| finding.range.contains(&(at as u64)));
        let named = place.is_some_and(|finding| finding.file == format!("journal/{name}"));
        assert!(named, "byte {at}: {:?}", found.findings);
        let lost: u64 = found.findings.iter().filter_map(|finding| finding.events).sum();
        assert_eq!(found.events + lost, total, "byte {at}: {:?}", found.findings);
        if at % 50 > 0 {
            continue;
        }
        let journal = open(&after);
        assert_eq!(read_all(&journal).await, total - lost, "byte {at}");
        for n in 0..10 {
            // The checkpoint of a segment that begins has it.
            journal.append(batch(n)).await.unwrap();
        }
        drop(journal);
        let found = check(&after);
        assert_eq!(found.is_sound(), lost > 0, "byte {at}: {:?}", found.findings);
        assert!(!found.findings.is_empty(), "it is still named");
    }
}

/// What may happen to one or two segments of a journal, with another journal at hand.
type Harm = fn(&MemoryVfs, &MemoryVfs, &str, &str);

/// cut, missing, emptied, exchanged, and of another journal.
#[tokio::test]
async fn what_happens_to_whole_segments_is_named() {
    let (disk, other) = (journal().await, journal().await);
    let names = segments(&disk);
    let (two, four) = (&names[2], &names[4]);
    let harms: [(&str, Problem, Harm); 6] = [
        ("missing", Problem::Missing, |vfs, _, two, _| drop(vfs.take(two))),
        ("emptied", Problem::Frames, |vfs, _, two, _| vfs.put(two, Vec::new())),
        ("cut", Problem::Frames, |vfs, _, two, _| {
            let mut content = vfs.take(two).unwrap();
            content.truncate(content.len() - 1);
            vfs.put(two, content);
        }),
        ("exchanged", Problem::Foreign, |vfs, _, two, four| {
            let (one, other) = (vfs.take(two).unwrap(), vfs.take(four).unwrap());
            vfs.put(two, other);
            vfs.put(four, one);
        }),
        ("foreign", Problem::Foreign, |vfs, other, two, _| {
            vfs.put(two, other.content(two).unwrap());
        }),
        ("stray", Problem::Stray, |vfs, _, two, _| {
            let mut content = vfs.content(two).unwrap();
            content[16] = 0;
            let crc = crc32c::crc32c(&content[..60]);
            content[60..64].copy_from_slice(&crc.to_le_bytes());
            vfs.put("0000000000000000.seg", content);
        }),
    ];
    for (what, problem, harm) in harms {
        let vfs = disk.snapshot();
        harm(&vfs, &other, two, four);
        let found = check(&vfs);
        assert!(!found.is_sound(), "{what}");
        let is_named = found.findings.iter().any(|finding| finding.problem == problem);
        assert!(is_named, "{what}: {:?}", found.findings);
    }
}

/// A segment that was replaced by one that is whole, of the same journal, epoch and numbers, as
/// somebody might forge it, does not fit its neighbours.
#[tokio::test]
async fn a_forged_segment_breaks_the_chain() {
    let vfs = journal().await;
    let name = segments(&vfs).remove(2);
    let forged = check::tests::with_other_receipt(&vfs.content(&name).unwrap());
    vfs.put(&name, forged);
    let found = check(&vfs);
    let chains = found.findings.iter().filter(|finding| finding.problem == Problem::Chain);
    assert_eq!(chains.count(), 1, "{:?}", found.findings);
    assert!(!found.is_sound());
}

/// Whether a newest segment that ends at `len` is sound; otherwise it is torn, and known to be
/// after the next opening.
fn is_sound_or_torn(vfs: &MemoryVfs, len: usize) -> bool {
    let found = check(vfs);
    if !found.is_sound() {
        let problems: Vec<_> = found.findings.iter().map(|finding| finding.problem).collect();
        let torn = [Problem::TornTail, Problem::Header];
        assert!(problems.iter().all(|problem| torn.contains(problem)), "{len}: {problems:?}");
    }
    let after = vfs.snapshot();
    drop(open(&after));
    assert!(check(&after).is_sound() || len < 200, "{len}: {:?}", check(&after).findings);
    found.is_sound()
}

/// the newest segment, cut at every length.
#[tokio::test]
async fn a_torn_tail_is_named_and_known_after_the_next_opening() {
    let disk = MemoryVfs::new();
    let journal = open(&disk);
    for n in 0..3 {
        journal.append(batch(n)).await.unwrap();
    }
    let vfs = disk.snapshot();
    let name = segments(&vfs).pop().unwrap();
    let content = vfs.content(&name).unwrap();
    let written = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    assert!(written < content.len(), "there are no zeros ahead");
    let mut sound = Vec::new();
    for len in 0..=written {
        vfs.put(&name, content[..len].to_vec());
        if is_sound_or_torn(&vfs, len) {
            sound.push(len);
        }
    }
    // An empty file, and the ends of the header, the checkpoint, the field map and three events.
    assert_eq!(sound.len(), 7, "{sound:?}");
    // The same with zeros behind it, which are written ahead once the checkpoint is durable.
    for len in sound[2]..=written {
        let mut torn = content[..len].to_vec();
        torn.resize(content.len(), 0);
        vfs.put(&name, torn);
        let end = sound.iter().find(|end| **end >= len).unwrap();
        let is_whole = content[len..*end].iter().all(|byte| *byte == 0);
        assert_eq!(is_sound_or_torn(&vfs, len), is_whole, "{len}");
    }
}

/// A process writes and removes segments while its journal is checked again and again.
#[test]
fn a_journal_that_is_written_is_sound_all_the_time() {
    let vfs = MemoryVfs::new();
    let retention = Retention { max_bytes: 100_000, max_age: None };
    let config = JournalConfig { retention, ..config() };
    let (journal, _) = DiskJournal::open_in(Arc::new(vfs.clone()), config).unwrap();
    let journal = Arc::new(journal);
    let is_done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (journal, is_done) = (journal.clone(), is_done.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut appended = 0;
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                runtime.block_on(journal.append(batch(appended))).unwrap();
                appended += 1;
            }
            appended
        })
    };
    let (mut checks, mut most) = (0, 0);
    while journal.status().expired.by_size < 300 {
        let found = verify_in(&parts(&vfs), Duration::from_millis(1)).unwrap();
        assert!(found.is_sound(), "{:?}", found.findings);
        most = most.max(found.events);
        checks += 1;
    }
    is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    let appended = writer.join().unwrap();
    assert!(checks > 3 && most > 10, "{checks} checks of {appended} events");
}

/// other files are mentioned and nothing else.
#[tokio::test]
async fn other_files_are_mentioned() {
    let vfs = journal().await;
    vfs.put("README.txt", b"hello".to_vec());
    vfs.put("01020304050607-00000001.stage", vec![1; 10]);
    let found = check(&vfs);
    let problems: Vec<_> = found.findings.iter().map(|finding| finding.problem).collect();
    assert_eq!(problems, [Problem::Leftover, Problem::Unknown]);
    assert!(found.is_sound());
}

#[test]
fn findings_read_like_sentences() {
    let finding = Finding::new("journal/1.seg".into(), Problem::Frames);
    let finding = Finding { range: 64..90, events: Some(2), is_known: true, ..finding };
    let text = "journal/1.seg bytes 64..90: damaged frames (2 events lost) (known)";
    assert_eq!(finding.to_string(), text);
}
