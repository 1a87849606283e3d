//! The sender as an output.

use std::sync::Arc;

use logmon_core::{BoxFuture, Event as _, LogRef, Sink, SinkBatch, Verdict, Verdicts};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::chunk::{Plan, plan};
use super::failure::Chain;
use super::lane::Job;
use super::stats::Counters;
use super::{SendError, Sender};

/// Events are [`Verdict::Delivered`] when a server has acknowledged them. Those that were given up
/// after [`SenderConfig::retry_timeout`](super::SenderConfig) are [`Verdict::Rejected`], so that
/// they go to the quarantine; without that time, writing goes on until it succeeds.
impl Sink for Sender {
    /// # Cancel safety
    /// Chunks that are on their way go on; if the same batch is written again, they have the same
    /// ids, by which a server that remembers ids knows them.
    fn write(&self, batch: SinkBatch) -> BoxFuture<'_, Verdicts> {
        Box::pin(self.write_batch(batch))
    }

    /// Chunk ids come from the events of a chunk; without acknowledgements there are none.
    fn needs_bounds(&self) -> bool {
        self.pool.config.require_ack
    }
}

impl Sender {
    async fn write_batch(&self, batch: SinkBatch) -> Verdicts {
        self.start();
        let mut verdicts = vec![Verdict::Retry; batch.len()];
        let mut chunks = JoinSet::new();
        for plan in plan(&batch, self.pool.config.chunk_bytes) {
            // In the order of the plans: the place in the queue is taken here.
            let (permit, ticket) = self.place(plan.bytes).await;
            let (sender, batch) = (self.clone(), batch.clone());
            chunks.spawn(async move {
                let outcome = async {
                    let job = sender.make(&batch, &plan, permit).await?;
                    sender.deliver(ticket, job).await
                };
                let outcome = outcome.await;
                (plan.events, outcome)
            });
        }
        while let Some(done) = chunks.join_next().await {
            // A chunk whose task was aborted is written again.
            let Ok((events, outcome)) = done else { continue };
            let verdict = verdict(outcome);
            for at in events {
                if let Some(slot) = verdicts.get_mut(at) {
                    slot.clone_from(&verdict);
                }
            }
        }
        if verdicts.iter().all(|verdict| *verdict == Verdict::Delivered) {
            return Verdicts::All(Verdict::Delivered);
        }
        Verdicts::Each(verdicts)
    }

    /// Makes the message of a chunk.
    async fn make(
        &self,
        batch: &SinkBatch,
        plan: &Plan,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Job, SendError> {
        let id = self.pool.config.require_ack.then(|| Arc::from(plan.id.as_str()));
        let events = plan.events.len();
        let Some(payload) = self.as_it_came(batch, plan) else {
            let make = (plan.tag.clone(), self.entries(batch, plan), events);
            return self.encode(make, id, permit).await;
        };
        Counters::add(&self.pool.counters.passed_through, 1);
        Ok(self.job((&plan.tag, payload, events), (self.form(), id), permit))
    }

    /// The compressed payload in which the events of a chunk came, and nothing else, if it is one
    /// that would be made of them.
    fn as_it_came<'b>(&self, batch: &'b SinkBatch, plan: &Plan) -> Option<&'b [u8]> {
        let config = &self.pool.config;
        let mut logs = logs(batch, plan).peekable();
        let whole = logs.peek()?.batch();
        let form = whole.compressed().filter(|form| config.compression.makes(form.codec))?;
        let is_fit = whole.range().len() == plan.events.len()
            && plan.bytes <= config.max_chunk_bytes
            && logs.all(|log| {
                whole.range().contains(&log.index())
                    && self.rewrite.keeps(log.entry(), log.timestamp())
            });
        is_fit.then_some(&form.bytes)
    }

    fn entries(&self, batch: &SinkBatch, plan: &Plan) -> Vec<u8> {
        let mut out = Vec::with_capacity(plan.bytes + plan.events.len());
        for log in logs(batch, plan) {
            self.rewrite.entry(&mut out, log.entry(), log.timestamp());
        }
        out
    }
}

/// The events of a chunk.
fn logs<'b>(batch: &'b SinkBatch, plan: &Plan) -> impl Iterator<Item = LogRef<'b>> {
    let mut wanted = plan.events.iter().copied().peekable();
    let chosen = move |(at, log)| wanted.next_if_eq(&at).map(|_| log);
    batch.logs().enumerate().filter_map(chosen)
}

fn verdict(outcome: Result<(), SendError>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Delivered,
        Err(SendError::Closed) => Verdict::Retry,
        Err(error) => Verdict::Rejected(Chain(&error).to_string().into()),
    }
}
