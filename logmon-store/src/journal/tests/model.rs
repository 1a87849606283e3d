//! Random use against a list: appending, staging, reading, cursors, retention, and ends by closing,
//! kills and power cuts, in the middle of a write as well.

use std::collections::BTreeMap;

use logmon_core::{Codec, Compressed, Cursor as _, CursorState};
use proptest::prelude::*;

use super::*;
use crate::effort;
use crate::journal::codec::tests::compress;
use crate::journal::{HoldConfig, OnLag};

#[derive(Clone, Debug)]
enum Step {
    /// Append events of these sizes, all at once.
    Append(Vec<usize>),
    /// Append events of these sizes as a message too big for memory, or give it up.
    Stage { sizes: Vec<usize>, is_committed: bool },
    /// Read on from one of the positions seen, by reads of so many bytes.
    Read { which: usize, bytes: usize },
    /// Move a cursor to one of the positions seen, if that is behind where it stands.
    Save { cursor: usize, which: usize },
    /// Append events of these sizes all at once, and cut the power in one of the calls of that.
    CutIn { sizes: Vec<usize>, call: usize, seed: u64 },
    /// End, and open with other limits.
    Open { end: End, limits: Limits },
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Kill,
    PowerCut(u64),
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    segment_bytes: u64,
    max_bytes: u64,
    history_bytes: u64,
    tail_bytes: usize,
    /// Whether cursors are opened at all.
    has_cursors: bool,
}

const CURSORS: [&str; 2] = ["one", "two"];

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0_usize..2000, 1..10)
}

fn limits() -> impl Strategy<Value = Limits> {
    (500_u64..20_000, 5_000_u64..100_000, 0_u64..50_000, 0_usize..30_000, any::<bool>()).prop_map(
        |(segment_bytes, max_bytes, history_bytes, tail_bytes, has_cursors)| Limits {
            segment_bytes,
            max_bytes,
            history_bytes,
            tail_bytes,
            has_cursors,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![Just(End::Close), Just(End::Kill), any::<u64>().prop_map(End::PowerCut)];
    prop_oneof![
        4 => sizes().prop_map(Step::Append),
        1 => (sizes(), any::<bool>())
            .prop_map(|(sizes, is_committed)| Step::Stage { sizes, is_committed }),
        3 => (0_usize..1000, 1_usize..20_000).prop_map(|(which, bytes)| Step::Read { which, bytes }),
        2 => (0..CURSORS.len(), 0_usize..1000)
            .prop_map(|(cursor, which)| Step::Save { cursor, which }),
        1 => (sizes(), 1_usize..12, any::<u64>())
            .prop_map(|(sizes, call, seed)| Step::CutIn { sizes, call, seed }),
        1 => (end, limits()).prop_map(|(end, limits)| Step::Open { end, limits }),
    ]
}

/// What a journal is to be like.
#[derive(Default)]
struct Model {
    events: Vec<(u64, String)>,
    positions: Vec<Position>,
    /// What each cursor saved last.
    saved: BTreeMap<usize, u64>,
}

/// The journal, and the model beside it.
struct World {
    vfs: MemoryVfs,
    limits: Limits,
    journal: DiskJournal,
    cursors: Vec<JournalCursor>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            segment_bytes: 600,
            max_bytes: u64::MAX,
            history_bytes: 0,
            tail_bytes: 0,
            has_cursors: true,
        };
        let vfs = MemoryVfs::new();
        let (journal, cursors) = Self::open(&vfs, limits, false);
        let model = Model { positions: vec![journal.head()], ..Model::default() };
        Self { vfs, limits, journal, cursors, model }
    }

    fn open(
        vfs: &MemoryVfs,
        limits: Limits,
        may_be_torn: bool,
    ) -> (DiskJournal, Vec<JournalCursor>) {
        let retention = Retention { max_bytes: limits.max_bytes, max_age: None };
        let config = JournalConfig {
            retention,
            segment_bytes: limits.segment_bytes,
            history_bytes: limits.history_bytes,
            tail_bytes: limits.tail_bytes,
            ..config()
        };
        let (journal, report) = open(vfs, config);
        let is_torn = |damage: &Damage| match damage.kind {
            DamageKind::Frames | DamageKind::TornTail | DamageKind::Header => may_be_torn,
            // A segment that was torn when it was begun is left where it is.
            DamageKind::Stray => true,
            _ => false,
        };
        assert!(report.damages.iter().all(is_torn), "{report:?}");
        let hold = HoldConfig::new(OnLag::DropOldest);
        let names = CURSORS.iter().filter(|_| limits.has_cursors);
        let cursors = names.map(|name| journal.cursor(name, hold).unwrap()).collect();
        (journal, cursors)
    }

    fn batches(texts: &[String]) -> impl Iterator<Item = NewBatch> {
        texts.iter().enumerate().map(|(n, text)| {
            let mut batch = batch(text);
            let codec = [None, Some(Codec::Gzip), Some(Codec::Zstd)][n % 3];
            batch.compressed = codec.map(|codec| Compressed {
                codec,
                bytes: compress(codec, batch.entries.payload()).into(),
            });
            batch
        })
    }

    async fn append(&mut self, sizes: &[usize]) {
        let texts: Vec<String> = sizes.iter().map(|size| "y".repeat(*size)).collect();
        let commits: Vec<_> =
            Self::batches(&texts).map(|batch| self.journal.append(batch)).collect();
        for (text, commit) in texts.into_iter().zip(commits) {
            let committed = commit.await.unwrap();
            assert_eq!(committed.end_seq, committed.first.seq + 1);
            self.model.events.push((committed.first.seq, text));
            self.model.positions.push(committed.first);
        }
        self.model.positions.push(self.journal.head());
    }

    async fn stage(&mut self, sizes: &[usize], is_committed: bool) {
        let mut staging = self.journal.stage().await.unwrap();
        let kept_bytes = self.limits.max_bytes.saturating_sub(self.limits.segment_bytes);
        let texts: Vec<String> = sizes.iter().map(|size| "s".repeat(*size)).collect();
        for text in &texts {
            match staging.push(batch(text)).await {
                Ok(()) => {}
                Err(AppendError::TooLarge { bytes }) if bytes as u64 > kept_bytes => return,
                Err(error) => panic!("{error}"),
            }
        }
        if is_committed {
            let committed = staging.commit(Vec::new()).await.unwrap();
            assert_eq!(committed.end_seq - committed.first.seq, texts.len() as u64);
            self.model.positions.push(committed.first);
            self.model.events.extend((committed.first.seq..).zip(texts));
            // Behind what the journal does after the promise.
            self.append(&[1]).await;
        }
    }

    async fn read(&self, which: usize, bytes: usize) {
        let position = self.model.positions[which % self.model.positions.len()];
        if position.seq < self.journal.oldest().seq {
            let refused = self.journal.read(position, bytes).await;
            assert!(matches!(refused, Err(ReadError::Expired { .. })), "{refused:?}");
            return;
        }
        let expected = self.model.events.iter().filter(|(seq, _)| *seq >= position.seq);
        assert!(numbered(&self.journal, position, bytes).await.iter().eq(expected));
    }

    async fn save(&mut self, cursor: usize, which: usize) {
        let position = self.model.positions[which % self.model.positions.len()];
        let saved = self.model.saved.get(&cursor).copied().unwrap_or(0);
        let Some(handle) = self.cursors.get(cursor).filter(|_| position.seq >= saved) else {
            return;
        };
        let state = CursorState { position, in_flight: Vec::new(), tally: None };
        handle.save(state).await.unwrap();
        self.model.saved.insert(cursor, position.seq);
    }

    /// What was promised before the power went is there, and of the rest the beginning.
    async fn cut_in(&mut self, sizes: &[usize], call: usize, seed: u64) {
        let texts: Vec<String> = sizes.iter().map(|size| "c".repeat(*size)).collect();
        let (before, start) = (self.vfs.calls(Call::Any), self.journal.head());
        self.vfs.cut_at(call, seed);
        let commits: Vec<_> =
            Self::batches(&texts).map(|batch| self.journal.append(batch)).collect();
        let mut promised = 0;
        for (n, commit) in commits.into_iter().enumerate() {
            commit.await.unwrap();
            if self.vfs.calls(Call::Any) < before + call {
                promised = n + 1;
            }
        }
        let after = self.vfs.cut_image().unwrap_or_else(|| self.vfs.power_cut(seed));
        self.reopen(after, self.limits, true);
        let oldest = self.journal.oldest();
        let at = if start.seq < oldest.seq { oldest } else { start };
        let found = numbered(&self.journal, at, 1 << 20).await;
        assert!(found.len() >= promised || at.seq > start.seq, "{} of {promised}", found.len());
        // A frame in the middle that was torn is counted; those around it are there.
        let texts = (start.seq..).zip(texts);
        let there = texts.filter(|event| found.contains(event) || event.0 < at.seq);
        self.model.events.extend(there);
    }

    fn reopen(&mut self, vfs: MemoryVfs, limits: Limits, may_be_torn: bool) {
        (self.vfs, self.limits) = (vfs, limits);
        // Before the journal, which does not end while they are open.
        self.cursors.clear();
        (self.journal, self.cursors) = Self::open(&self.vfs, limits, may_be_torn);
        self.model.positions.push(self.journal.head());
    }

    async fn check(&self) {
        let (status, model) = (self.journal.status(), &self.model);
        let oldest = self.journal.oldest().seq;
        let kept = model.events.iter().filter(|(seq, _)| *seq >= oldest).count() as u64;
        let gone = status.expired.by_size + status.expired.by_age + status.damaged;
        assert_eq!(kept + gone, status.appended, "{status:?}");
        for (cursor, handle) in self.cursors.iter().enumerate() {
            let state = handle.load().await.unwrap();
            let saved = model.saved.get(&cursor);
            assert_eq!(state.map(|state| state.position.seq).as_ref(), saved, "{cursor}");
        }
        for cursor in self.journal.cursors() {
            assert_eq!(cursor.ledger.residue(), 0, "{cursor:?}");
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Append(sizes) => self.append(&sizes).await,
            Step::Stage { sizes, is_committed } => self.stage(&sizes, is_committed).await,
            Step::Read { which, bytes } => self.read(which, bytes).await,
            Step::Save { cursor, which } => self.save(cursor, which).await,
            Step::CutIn { sizes, call, seed } => self.cut_in(&sizes, call, seed).await,
            Step::Open { end, limits } => {
                let vfs = match end {
                    End::Close => {
                        self.journal.close();
                        self.vfs.snapshot()
                    }
                    End::Kill => self.vfs.killed(),
                    End::PowerCut(seed) => self.vfs.power_cut(seed),
                };
                self.reopen(vfs, limits, false);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: effort::cases(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// S-008 to S-011: whatever is done and however it ends.
    #[test]
    fn a_journal_is_a_list_that_forgets_its_beginning(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.take(step).await;
                world.check().await;
            }
            let oldest = world.journal.oldest().seq;
            let kept = world.model.events.iter().filter(|(seq, _)| *seq >= oldest);
            let found = numbered(&world.journal, world.journal.oldest(), 1 << 20).await;
            assert!(found.iter().eq(kept));
        });
    }
}
