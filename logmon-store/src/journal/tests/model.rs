//! Random use against a list.

use logmon_core::{Codec, Compressed};
use proptest::prelude::*;

use super::*;
use crate::journal::codec::tests::compress;

#[derive(Clone, Debug)]
enum Step {
    /// Append events of these sizes, all at once.
    Append(Vec<usize>),
    /// Append events of these sizes as a message too big for memory, or give it up.
    Stage { sizes: Vec<usize>, is_committed: bool },
    /// End orderly or by a kill, and open with other limits.
    Open { is_killed: bool, segment_bytes: u64, max_bytes: u64, tail_bytes: usize },
    /// Read on from one of the positions seen, by reads of so many bytes.
    Read { which: usize, bytes: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(0_usize..2000, 1..10).prop_map(Step::Append),
        1 => (proptest::collection::vec(0_usize..2000, 1..10), any::<bool>())
            .prop_map(|(sizes, is_committed)| Step::Stage { sizes, is_committed }),
        1 => (any::<bool>(), 500_u64..20_000, 5_000_u64..100_000, 0_usize..30_000).prop_map(
            |(is_killed, segment_bytes, max_bytes, tail_bytes)| Step::Open {
                is_killed, segment_bytes, max_bytes, tail_bytes,
            }
        ),
        3 => (0_usize..1000, 1_usize..20_000).prop_map(|(which, bytes)| Step::Read { which, bytes }),
    ]
}

struct Model {
    events: Vec<(u64, String)>,
    /// What retention leaves to a message.
    kept_bytes: u64,
    positions: Vec<Position>,
}

impl Model {
    async fn append(&mut self, journal: &DiskJournal, sizes: &[usize]) {
        let texts: Vec<String> = sizes.iter().map(|size| "y".repeat(*size)).collect();
        let commits: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(n, text)| {
                let mut batch = batch(text);
                let codec = [None, Some(Codec::Gzip), Some(Codec::Zstd)][n % 3];
                batch.compressed = codec.map(|codec| Compressed {
                    codec,
                    bytes: compress(codec, batch.entries.payload()).into(),
                });
                journal.append(batch)
            })
            .collect();
        for (text, commit) in texts.into_iter().zip(commits) {
            let committed = commit.await.unwrap();
            assert_eq!(committed.end_seq, committed.first.seq + 1);
            self.events.push((committed.first.seq, text));
            self.positions.push(committed.first);
        }
        self.positions.push(journal.head());
    }

    async fn stage(&mut self, journal: &DiskJournal, sizes: &[usize], is_committed: bool) {
        let mut staging = journal.stage().await.unwrap();
        let texts: Vec<String> = sizes.iter().map(|size| "s".repeat(*size)).collect();
        for text in &texts {
            match staging.push(batch(text)).await {
                Ok(()) => {}
                Err(AppendError::TooLarge { bytes }) if bytes as u64 > self.kept_bytes => return,
                Err(error) => panic!("{error}"),
            }
        }
        if is_committed {
            let committed = staging.commit(Vec::new()).await.unwrap();
            assert_eq!(committed.end_seq - committed.first.seq, texts.len() as u64);
            self.positions.push(committed.first);
            self.events.extend((committed.first.seq..).zip(texts));
            // Behind what the journal does after the promise.
            self.append(journal, &[1]).await;
        }
    }

    async fn read(&self, journal: &DiskJournal, which: usize, bytes: usize) {
        let position = self.positions[which % self.positions.len()];
        if position.seq < journal.oldest().seq {
            let refused = journal.read(position, bytes).await;
            assert!(matches!(refused, Err(ReadError::Expired { .. })), "{refused:?}");
            return;
        }
        let expected = self.events.iter().filter(|(seq, _)| *seq >= position.seq);
        assert!(numbered(journal, position, bytes).await.iter().eq(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_is_a_list_that_forgets_its_beginning(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut vfs = MemoryVfs::new();
            let (mut journal, _) = open(&vfs, small());
            let mut model = Model {
                events: Vec::new(),
                kept_bytes: u64::MAX,
                positions: vec![journal.head()],
            };
            for step in steps {
                match step {
                    Step::Append(sizes) => model.append(&journal, &sizes).await,
                    Step::Stage { sizes, is_committed } => {
                        model.stage(&journal, &sizes, is_committed).await;
                    }
                    Step::Read { which, bytes } => model.read(&journal, which, bytes).await,
                    Step::Open { is_killed, segment_bytes, max_bytes, tail_bytes } => {
                        if !is_killed {
                            journal.close();
                        }
                        vfs = vfs.snapshot();
                        model.kept_bytes = max_bytes.saturating_sub(segment_bytes);
                        let retention = Retention { max_bytes, max_age: None };
                        let config =
                            JournalConfig { retention, segment_bytes, tail_bytes, ..config() };
                        let (opened, report) = open(&vfs, config);
                        assert_eq!(report.damages, []);
                        journal = opened;
                    }
                }
                let (status, appended) = (journal.status(), model.events.len() as u64);
                assert_eq!(status.appended, appended);
                let expired = status.expired.by_size;
                let oldest = model.events.iter().find(|(seq, _)| *seq >= journal.oldest().seq);
                let kept = model.events.iter().filter(|(seq, _)| *seq >= journal.oldest().seq);
                assert_eq!(kept.count() as u64 + expired, appended);
                assert_eq!(oldest.map_or(journal.head().seq, |(seq, _)| *seq), journal.oldest().seq);
            }
        });
    }
}
