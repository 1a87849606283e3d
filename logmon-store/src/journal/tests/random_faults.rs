//! Random use of a disk that fails at random, by seeds.

use super::*;
use crate::effort::{self, Dice};

/// One disk through several openings, and what it has promised.
struct Run {
    dice: Dice,
    vfs: MemoryVfs,
    /// Every text that was appended, and whether it was promised, in order.
    events: Vec<(String, bool)>,
    /// How many texts there were, so that none is there twice.
    texts: usize,
    context: String,
}

impl Run {
    fn new(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let context = format!("LOGMON_TEST_SEED={seed}");
        Self { dice, vfs: MemoryVfs::new(), events: Vec::new(), texts: 0, context }
    }

    fn config(&mut self) -> JournalConfig {
        let segment_bytes = 500 + self.dice.below(8_000);
        JournalConfig { segment_bytes, tail_bytes: self.dice.size(10_000), ..config() }
    }

    /// An opening with failures, to its end by closing, a kill or a power cut.
    async fn opening(&mut self) {
        let kinds = [Fault::Full, Fault::TooManyOpen, Fault::Io, Fault::ReadOnly];
        let faults = &kinds[..=self.dice.size(3)];
        let (seed, one_in) = (self.dice.below(1 << 40) + 1, 10 + self.dice.below(90));
        self.vfs.fail_at_random(Call::Any, (seed, one_in), faults);
        let config = self.config();
        let opened = DiskJournal::open_in(Arc::new(self.vfs.clone()), config);
        let Ok((journal, _)) = opened else {
            self.vfs.heal();
            return;
        };
        for _ in 0..self.dice.below(12) {
            if self.dice.below(5) == 0 {
                self.stage(&journal).await;
            } else {
                self.append(&journal).await;
            }
        }
        let end = self.dice.below(3);
        if end == 0 {
            // A disk that is full for ever keeps no journal from closing.
            journal.close();
        }
        self.vfs = match end {
            2 => self.vfs.power_cut(self.dice.below(1 << 40)),
            _ => self.vfs.killed(),
        };
    }

    async fn append(&mut self, journal: &DiskJournal) {
        let count = 1 + self.dice.size(8);
        let texts: Vec<String> = (0..count).map(|_| self.text()).collect();
        let commits: Vec<_> = texts.iter().map(|text| journal.append(batch(text))).collect();
        for (text, commit) in texts.into_iter().zip(commits) {
            match commit.await {
                Ok(_) => self.events.push((text, true)),
                Err(AppendError::Poisoned(_)) => self.events.push((text, false)),
                Err(error) => panic!("{}: {error}", self.context),
            }
        }
    }

    async fn stage(&mut self, journal: &DiskJournal) {
        let Ok(mut staging) = journal.stage().await else { return };
        let texts: Vec<String> = (0..=self.dice.size(8)).map(|_| self.text()).collect();
        for text in &texts {
            if staging.push(batch(text)).await.is_err() {
                return;
            }
        }
        let is_promised = staging.commit(Vec::new()).await.is_ok();
        self.events.extend(texts.into_iter().map(|text| (text, is_promised)));
    }

    fn text(&mut self) -> String {
        self.texts += 1;
        format!("{}:{}", self.texts, "z".repeat(self.dice.size(1_500)))
    }

    /// On a disk that is well: every promise is kept, in order; nothing is there that was not
    /// appended; the books balance, and a check finds nothing wrong.
    async fn check(&mut self) {
        self.vfs.heal();
        let config = self.config();
        let (journal, _) = open(&self.vfs, config);
        let found = messages(&journal).await;
        let mut rest = self.events.iter();
        for text in &found {
            let lost = rest.by_ref().take_while(|(appended, _)| appended != text);
            let lost: Vec<_> = lost.filter(|(_, is_promised)| *is_promised).collect();
            assert!(lost.is_empty(), "{}: {} promised before {text:.20}", self.context, lost.len());
        }
        let lost: Vec<_> = rest.filter(|(_, is_promised)| *is_promised).collect();
        assert!(lost.is_empty(), "{}: {} promised at the end", self.context, lost.len());
        assert_books_balance(&journal).await;
        drop(journal);
        // What was not promised and is there stays there.
        self.events = found.into_iter().map(|text| (text, true)).collect();
        self.vfs = self.vfs.snapshot();
        let checked = check::check(&self.vfs).unwrap();
        let damages: Vec<_> =
            checked.findings.iter().filter(|finding| finding.is_new_damage()).collect();
        assert!(damages.is_empty(), "{}: {damages:?}", self.context);
    }
}

/// S-008 to S-011, S-013 to S-017: calls fail at random, in several ways, and each opening ends by
/// closing, a kill or a power cut.
#[tokio::test]
async fn promises_survive_random_failures() {
    let first = effort::first_seed();
    let mut events = 0;
    for seed in first..first + effort::runs(60) {
        let mut run = Run::new(seed);
        for _ in 0..6 {
            run.opening().await;
            run.check().await;
        }
        events += run.events.len();
    }
    assert!(events > 100, "{events} events say little");
}
