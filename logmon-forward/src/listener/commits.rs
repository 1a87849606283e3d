//! What a message waits for before it is acknowledged.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use logmon_core::{AppendError, Commit};
use tokio::sync::oneshot;

use super::dedupe::Claim;
use super::stats::Stats;

/// The open promises of a message, each with the number of its events, and its chunks whose first
/// copy came before. Events of those that are dropped before they are kept or broken are counted.
#[derive(Debug)]
pub(super) struct Commits {
    stats: Arc<Stats>,
    /// The new chunks of the message, which the journal has with the last promise.
    claim: Option<Claim>,
    open: VecDeque<(Commit, u64)>,
    copies: VecDeque<(oneshot::Receiver<()>, u64)>,
}

impl Commits {
    pub(super) fn new(stats: Arc<Stats>, claim: Option<Claim>) -> Self {
        Self { stats, claim, open: VecDeque::new(), copies: VecDeque::new() }
    }

    pub(super) fn push(&mut self, commit: Commit, events: u64) {
        self.open.push_back((commit, events));
    }

    /// A chunk of so many events is a copy of one that is on its way into the journal.
    pub(super) fn push_copy(&mut self, seen: oneshot::Receiver<()>, events: u64) {
        self.copies.push_back((seen, events));
    }

    /// Whether nothing is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.copies.is_empty()
    }

    /// Whether copies are waited for.
    pub(super) fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    /// Gives up what nobody is there to be told of.
    pub(super) fn without_copies(&mut self) -> &mut Self {
        self.count_copies();
        self
    }

    /// Ready when the journal has all events of the message; its chunks count as stored then, in
    /// whatever state others are that it waits for.
    pub(super) fn poll_stored(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppendError>> {
        while let Some((commit, events)) = self.open.front_mut() {
            let (result, events) = (ready!(Pin::new(commit).poll(cx)), *events);
            self.open.pop_front();
            if let Err(error) = result {
                Stats::add(&self.stats.lost, events);
                self.claim = None;
                return Poll::Ready(Err(error));
            }
            Stats::add(&self.stats.appended, events);
        }
        if let Some(claim) = self.claim.take() {
            claim.commit();
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the journal has the first copies, too.
    pub(super) fn poll_copied(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AppendError>> {
        while let Some((seen, events)) = self.copies.front_mut() {
            let (result, events) = (ready!(Pin::new(seen).poll(cx)), *events);
            self.copies.pop_front();
            if result.is_err() {
                Stats::add(&self.stats.lost, events);
                return Poll::Ready(Err(AppendError::Closed));
            }
            Stats::add(&self.stats.duplicates_suppressed, 1);
            Stats::add(&self.stats.deduplicated, events);
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for every promise, whatever becomes of those before it.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn settle(&mut self) {
        // Each failure takes a promise off.
        while poll_fn(|cx| self.poll_stored(cx)).await.is_err() {}
    }

    fn count_copies(&mut self) {
        let events = self.copies.drain(..).map(|(_, events)| events).sum();
        Stats::add(&self.stats.unsettled, events);
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        let events = self.open.iter().map(|(_, events)| events).sum();
        Stats::add(&self.stats.unsettled, events);
        self.count_copies();
    }
}
