//! Journal and store on disks that fail at random, by seeds.

use super::*;
use crate::effort::{self, Dice};
use crate::journal::check;
use crate::local::check::Inspection;
use crate::vfs::memory::{Call, Fault};
use crate::{HoldConfig, OpenError};

/// Two disks through several openings, and what was promised.
struct Run {
    dice: Dice,
    disk: MemoryVfs,
    journal_disk: MemoryVfs,
    /// Every text that was appended, and whether it was promised, in order.
    events: Vec<(String, bool)>,
    /// How many texts there were, so that none is there twice.
    texts: usize,
    context: String,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            disk: MemoryVfs::new(),
            journal_disk: MemoryVfs::new(),
            events: Vec::new(),
            texts: 0,
            context: format!("LOGMON_TEST_SEED={seed}"),
        }
    }

    fn fail_at_random(&mut self) {
        let kinds = [Fault::Full, Fault::TooManyOpen, Fault::Io, Fault::ReadOnly];
        for disk in [&self.disk, &self.journal_disk] {
            let faults = &kinds[..=self.dice.size(3)];
            let (seed, one_in) = (self.dice.below(1 << 40) + 1, 10 + self.dice.below(90));
            disk.fail_at_random(Call::Any, (seed, one_in), faults);
        }
    }

    fn heal(&self) {
        self.disk.heal();
        self.journal_disk.heal();
    }

    /// Both, with limits so small that the journal lets go of what the store has.
    fn open(&mut self) -> Option<(LocalStore, Sealer)> {
        let config = StoreConfig { partition_bytes: 2500, sync_bytes: 600, ..small() };
        let (dir, _) = StoreDir::open_in(Arc::new(self.disk.clone()), config).ok()?;
        let config = JournalConfig {
            segment_bytes: 500 + self.dice.below(3_000),
            tail_bytes: self.dice.size(3_000),
            history_bytes: self.dice.below(3_000),
            full_retry: Duration::from_millis(1),
            min_seq: dir.end_seq(),
            ..JournalConfig::default()
        };
        let opened = DiskJournal::open_in(Arc::new(self.journal_disk.clone()), config);
        let journal = match opened {
            Ok((journal, _)) => Arc::new(journal),
            Err(OpenError::Io { .. }) => return None,
            Err(error) => panic!("{}: {error}", self.context),
        };
        let cursor = journal.cursor("store", HoldConfig::default()).unwrap();
        dir.assemble(journal, Arc::new(cursor)).ok()
    }

    async fn opening(&mut self) {
        self.fail_at_random();
        let opened = self.open();
        if let Some((store, mut sealer)) = opened {
            sealer.tidy();
            for _ in 0..self.dice.below(10) {
                self.append(&store.journal).await;
                Self::seal(&mut sealer);
            }
            if self.dice.below(2) == 0 {
                sealer.finish();
            }
        }
        if self.dice.below(2) == 0 {
            let seed = self.dice.below(1 << 40);
            self.disk = self.disk.power_cut(seed);
            self.journal_disk = self.journal_disk.power_cut(seed / 3);
        } else {
            (self.disk, self.journal_disk) = (self.disk.killed(), self.journal_disk.killed());
        }
    }

    async fn append(&mut self, journal: &DiskJournal) {
        for _ in 0..=self.dice.below(12) {
            self.texts += 1;
            let text = format!("{}:{}", self.texts, "w".repeat(self.dice.size(100)));
            let log = Log::new(text.clone()).timestamp(now(0));
            let is_promised = journal.append(log.to_batch().unwrap()).await.is_ok();
            self.events.push((text, is_promised));
        }
    }

    /// As far as the disk lets it.
    fn seal(sealer: &mut Sealer) {
        for _ in 0..30 {
            match sealer.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(halt) => drop(sealer.get_over(halt)),
            }
        }
    }

    /// On disks that are well: every promise is kept, once and in order, in journal and blocks.
    async fn check(&mut self) {
        self.heal();
        let (store, mut sealer) = self.open().unwrap_or_else(|| panic!("{}", self.context));
        let found = all(&store).await;
        let mut rest = self.events.iter();
        for text in &found {
            let before = rest.by_ref().take_while(|(appended, _)| appended != text);
            let lost = before.filter(|(_, is_promised)| *is_promised).count();
            assert_eq!(lost, 0, "{}: promised before {text}, of {found:?}", self.context);
        }
        let lost = rest.filter(|(_, is_promised)| *is_promised).count();
        assert_eq!(lost, 0, "{}: promised at the end", self.context);
        assert_books_balance(&store);
        sealer.tidy();
        sealer.drain();
        assert_eq!(all(&store).await, found, "{}", self.context);
        sealer.finish();
        assert_eq!(all(&store).await, found, "{}", self.context);
        assert_eq!(store.status().damaged, 0, "{}", self.context);
        drop(store);
        self.events = found.into_iter().map(|text| (text, true)).collect();
        (self.disk, self.journal_disk) = (self.disk.snapshot(), self.journal_disk.snapshot());
        let store = Inspection::of(Arc::new(self.disk.clone())).unwrap();
        let findings = store.map(|store| store.check().0).unwrap_or_default();
        let journal = check::check(&self.journal_disk).unwrap().findings;
        let damages: Vec<_> =
            findings.iter().chain(&journal).filter(|finding| finding.is_new_damage()).collect();
        assert!(damages.is_empty(), "{}: {damages:?}", self.context);
    }
}

/// S-007 to S-011, S-013 to S-017: both disks fail at random, and each opening ends by a kill or a
/// power cut. The journal has let go of much of what is found.
#[tokio::test]
async fn promises_survive_random_failures_of_both_disks() {
    let first = effort::first_seed();
    let mut events = 0;
    for seed in first..first + effort::runs(40) {
        let mut run = Run::new(seed);
        for _ in 0..6 {
            run.opening().await;
            run.check().await;
        }
        events += run.events.len();
    }
    assert!(events > 1_000, "{events} events say little");
}
