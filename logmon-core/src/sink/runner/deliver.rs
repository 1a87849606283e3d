//! Writes one unit until each of its events is delivered or quarantined.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::RunnerStats;
use crate::sink::{CursorTally, Sink, SinkBatch, Verdict};
use crate::{Event, Group, LogRef, Quarantine, Quarantined, QuarantinedKind, Tag};

/// How long to wait before writing again: doubling from `first` to `most`, of which a random part
/// up to half is taken off, so that not all senders come at the same instant.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "two ends of a range")]
pub struct Retry {
    /// Before the second attempt. Default: 1 s.
    pub first: Duration,
    /// The longest wait. Default: 5 min.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(300) }
    }
}

/// What a unit needs on its way.
pub(super) struct Delivery {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) quarantine: Arc<dyn Quarantine>,
    pub(super) origin: String,
    pub(super) retry: Retry,
    pub(super) stats: Arc<RunnerStats>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// How a unit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every event is delivered or quarantined: so many of each.
    Done(CursorTally),
    /// The end of the run came before.
    GivenUp,
}

impl Delivery {
    /// Writes the events of `group` with these indices.
    pub(super) async fn run(mut self, group: Group, unit: Arc<[u32]>) -> Outcome {
        let mut left: Vec<u32> = unit.to_vec();
        let mut tally = CursorTally::default();
        let mut wait = self.retry.first;
        while !left.is_empty() {
            let batch = SinkBatch::new(group.clone(), left.as_slice()).left_of(unit.clone());
            let before = left.len();
            left = self.attempt(&group, batch, &left, &mut tally).await;
            if left.is_empty() {
                break;
            }
            self.stats.retried();
            // What made progress is tried again soon.
            wait = if left.len() < before { self.retry.first } else { wait };
            tokio::select! {
                // An error means that the run is gone, and this with it.
                _ = self.stopping.wait_for(|stopping| *stopping) => return Outcome::GivenUp,
                () = tokio::time::sleep(jittered(wait)) => {}
            }
            wait = (wait * 2).min(self.retry.most);
        }
        Outcome::Done(tally)
    }

    /// Writes once; gives what is left, and counts what is not.
    async fn attempt(
        &self,
        group: &Group,
        batch: SinkBatch,
        events: &[u32],
        tally: &mut CursorTally,
    ) -> Vec<u32> {
        let verdicts = self.sink.write(batch).await;
        let (mut left, mut delivered) = (Vec::new(), 0);
        for (at, event) in events.iter().enumerate() {
            match verdicts.of(at) {
                Verdict::Delivered => delivered += 1,
                Verdict::Retry => left.push(*event),
                Verdict::Rejected(reason) => {
                    let refused = group.get(*event as usize).map(|log| self.refused(log, &reason));
                    let is_kept = match refused {
                        Some(item) => self.quarantine.put(item).await.is_ok(),
                        None => true,
                    };
                    if is_kept {
                        tally.quarantined += 1;
                        self.stats.quarantined();
                    } else {
                        left.push(*event);
                    }
                }
            }
        }
        tally.delivered += delivered;
        self.stats.delivered(delivered);
        left
    }

    fn refused(&self, log: LogRef<'_>, detail: &str) -> Quarantined {
        let bytes = Bytes::copy_from_slice(log.entry());
        let kind = QuarantinedKind::Entries;
        let mut item = Quarantined::new(self.origin.as_str(), "rejected", kind, bytes);
        detail.clone_into(&mut item.detail);
        item.tag = Some(Tag::from(Event::tag(&log)));
        item
    }
}

/// Between half of `wait` and all of it.
fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 4];
    if getrandom::fill(&mut random).is_err() {
        return wait;
    }
    let part = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
    wait.mul_f64(1.0 - part / 2.0)
}
