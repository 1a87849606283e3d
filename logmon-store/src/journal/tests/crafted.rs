//! Bytes that somebody thought up. R-097

use logmon_core::{Codec, Compressed, Fingerprint};
use proptest::prelude::*;

use super::*;
use crate::journal::codec::tests::compress;
use crate::journal::fuzz;

/// A real segment with several frames and control records.
fn real_segment() -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    for n in 0..4 {
        let text = "z".repeat(n * 10);
        runtime.block_on(journal.append(batch(&text))).unwrap();
    }
    for codec in [Codec::Gzip, Codec::Zstd] {
        let mut batch = batch(&"z".repeat(500));
        let bytes = compress(codec, batch.entries.payload()).into();
        batch.compressed = Some(Compressed { codec, bytes });
        batch.fingerprints = vec![Fingerprint { first: 0, digest: [7; 16] }];
        runtime.block_on(journal.append(batch)).unwrap();
    }
    drop(journal);
    vfs.content(&segments(&vfs)[0]).unwrap()
}

/// The segment of a staged message.
fn staged_segment() -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let vfs = MemoryVfs::new();
    let (journal, _) = open(&vfs, config());
    runtime.block_on(async {
        let mut staging = journal.stage().await.unwrap();
        for _ in 0..8 {
            staging.push(batch(&"s".repeat(300))).await.unwrap();
        }
        staging.commit(vec![Fingerprint { first: 0, digest: [7; 16] }]).await.unwrap();
    });
    vfs.content(&segment::file_name(2)).unwrap()
}

#[test]
fn the_way_in_for_fuzzing_reads_a_real_segment() {
    // Only the number in its header is not that of its name.
    assert_eq!(fuzz::read_segment(&staged_segment()), (0, 8));
    assert_eq!(fuzz::read_segment(&real_segment()), (6, 6));
    assert_eq!(fuzz::read_segment(&[]), (0, 0));
}

// The cost of searching for frames stays bounded among forged magic numbers.
#[test]
fn a_segment_of_forged_frame_beginnings_is_given_up_in_time() {
    let mut bytes = real_segment();
    for _ in 0..20_000 {
        bytes.extend_from_slice(b"\xf1lmf\x01\x00\x00\x00\x00\x00\x08\x00\x10\x00\x00\x00");
    }
    bytes.extend_from_slice(&vec![0; 600_000]);
    assert_eq!(fuzz::read_segment(&bytes).0, 6);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::effort::cases(512), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_with_right_checksums_do_no_harm(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        words in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(vec![0, 1, 0x7fff_ffff, u32::MAX])),
            0..3,
        ),
        moved in any::<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>(),
        (moves, is_staged) in any::<(bool, bool)>(),
    ) {
        let mut bytes = if is_staged { staged_segment() } else { real_segment() };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, word) in words {
            let at = at.index(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        if moves {
            let (one, two) = (moved.0.index(bytes.len()), moved.1.index(bytes.len()));
            let piece = bytes[one.min(two)..one.max(two)].to_vec();
            let to = moved.2.index(bytes.len());
            bytes.splice(to..to, piece);
        }
        fuzz::read_segment(&bytes);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        fuzz::read_segment(&bytes);
    }
}
