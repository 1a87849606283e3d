//! Recognition of chunks that are sent again.
//!
//! A sender that misses an acknowledgement sends the chunk once more, over this connection or
//! another, before or after a restart. What is known of a chunk goes into the journal with its
//! events, in 16 bytes, and stays in memory for some minutes.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logmon_core::{SeenChunk, Tag, Timestamp};
use tokio::sync::oneshot;
use tokio::time::Instant;

mod peer;
mod sighting;
mod window;

pub(crate) use peer::PeerId;
pub(crate) use sighting::{ContentHash, Keys, Sighting, is_hash_of};

use sighting::Digest;
use window::{Arrival, Decision, Window};

use super::ListenerConfig;

/// Which chunks count as sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DedupeMode {
    /// Those with the id, tag and events of an earlier one. Where the id is a hash over the events
    /// (Fluent Bit), so that equal events have equal ids, only what the same peer sends over a new
    /// connection after it missed the acknowledgement.
    #[default]
    Evidence,
    /// Those with the id, tag and events of an earlier one, whatever the id is: of equal batches
    /// that Fluent Bit sends, one is kept.
    Strict,
    /// None.
    Off,
}

/// The chunks that a listener has taken in lately.
#[derive(Debug)]
pub(super) struct Dedupe {
    mode: DedupeMode,
    window: Mutex<Window>,
    max_age: Duration,
    max_ids: usize,
    /// The start. Seconds are counted from one `max_age` before it, so that chunks of an earlier
    /// process have a time.
    begin: Instant,
    next_connection: AtomicU32,
}

/// A connection as recognition knows it.
#[derive(Debug)]
pub(super) struct Origin {
    connection: u32,
    peer: PeerId,
    /// The last chunk, until it is clear that its sender has the acknowledgement.
    last: Option<u64>,
}

/// What became of a chunk.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is new: the digest goes into the journal with it.
    New { digest: [u8; 16], is_conflict: bool },
    /// The journal has it.
    Known,
    /// It is on its way into the journal; this tells when it is there. Dropped, it will not be.
    OnItsWay(oneshot::Receiver<()>),
}

/// New chunks on their way into the journal. Dropped before they are committed they are
/// forgotten, and nothing that waits for them is acknowledged.
#[derive(Debug)]
pub(super) struct Claim {
    dedupe: Arc<Dedupe>,
    /// Runs of numbers; mostly there is one.
    numbers: Range<u64>,
    more: Vec<Range<u64>>,
}

impl Dedupe {
    pub(super) fn new(config: &ListenerConfig) -> Self {
        // A month is more than any sender waits, and keeps seconds within their bits.
        let max_age = config.dedupe_window.min(Duration::from_secs(30 * 24 * 3600));
        let seconds = u32::try_from(max_age.as_secs()).unwrap_or(u32::MAX);
        // Numbers of connections need not be secret, and after a restart they begin elsewhere.
        let first = getrandom::u32().unwrap_or_default();
        Self {
            mode: config.dedupe,
            window: Mutex::new(Window::new(config.dedupe_max_ids, seconds)),
            max_age,
            max_ids: config.dedupe_max_ids,
            begin: Instant::now(),
            next_connection: AtomicU32::new(first),
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.mode == DedupeMode::Off
    }

    /// The instant from which on chunks of an earlier process are of use.
    pub(super) fn since(&self, now: Timestamp) -> Timestamp {
        now.saturating_add_nanos(-i64::try_from(self.max_age.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Takes in what an earlier process has appended, oldest first. All of it counts as committed.
    /// That a connection had a later chunk is all that is left to tell that the sender of one has
    /// its acknowledgement.
    pub(super) fn restore(&self, chunks: &[SeenChunk], now: Timestamp) {
        let begin = chunks.len().saturating_sub(self.max_ids);
        let chunks = chunks.get(begin..).unwrap_or_default();
        let mut last_of = std::collections::HashMap::new();
        for (at, chunk) in chunks.iter().enumerate() {
            last_of.insert(Digest::from_bytes(chunk.digest).connection, at);
        }
        let mut window = self.window();
        for (at, chunk) in chunks.iter().enumerate() {
            let Digest { key, content, connection } = Digest::from_bytes(chunk.digest);
            let age = now.as_nanos().saturating_sub(chunk.received.as_nanos()).max(0);
            let age = Duration::from_nanos(age.unsigned_abs());
            let time =
                self.seconds().saturating_sub(u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
            let is_confirmed = last_of.get(&connection) != Some(&at);
            window.restore((key, content), connection, (time, is_confirmed));
        }
    }

    /// A new connection.
    pub(super) fn admit(&self, peer: PeerId) -> Origin {
        let connection = self.next_connection.fetch_add(1, Ordering::Relaxed);
        Origin { connection, peer, last: None }
    }

    pub(super) fn keys(&self, tag: &Tag, origin: &Origin) -> Keys {
        Keys::new(tag, origin.peer, self.mode == DedupeMode::Strict)
    }

    /// Says of each of the chunks, which came over one connection in this order, whether it is
    /// new. `prove` makes of one by its place what it is when it is known whether the id is a
    /// hash, which it must then be said to be or not.
    pub(super) fn decide(
        self: &Arc<Self>,
        origin: &mut Origin,
        seen: &mut [Sighting],
        mut prove: impl FnMut(usize, Sighting) -> Sighting,
    ) -> (Vec<Verdict>, Claim) {
        let mut verdicts = Vec::with_capacity(seen.len());
        let mut claim = Claim { dedupe: self.clone(), numbers: 0..0, more: Vec::new() };
        let now = self.seconds();
        let from = Arrival { connection: origin.connection, peer: origin.peer.short(), now };
        while verdicts.len() < seen.len() {
            if let Some(unproven) = self.go_on((origin, from), seen, &mut verdicts, &mut claim) {
                // Hashing takes its time, and others need the window.
                if let Some(seen) = seen.get_mut(unproven) {
                    *seen = prove(unproven, *seen);
                }
            }
        }
        (verdicts, claim)
    }

    /// Decides until there is a chunk about which more must be known; gives its place.
    fn go_on(
        &self,
        (origin, from): (&mut Origin, Arrival),
        seen: &[Sighting],
        verdicts: &mut Vec<Verdict>,
        claim: &mut Claim,
    ) -> Option<usize> {
        let mut window = self.window();
        for seen in seen.get(verdicts.len()..).unwrap_or_default() {
            let (verdict, number) = match window.decide(seen, from) {
                Decision::New { number, is_conflict } => {
                    claim.add(number);
                    let Sighting { key, content, .. } = *seen;
                    let digest = Digest { key, content, connection: from.connection }.to_bytes();
                    (Verdict::New { digest, is_conflict }, number)
                }
                Decision::Known { number } => (Verdict::Known, number),
                Decision::OnItsWay { number, seen } => (Verdict::OnItsWay(seen), number),
                Decision::Unproven => return Some(verdicts.len()),
            };
            // Senders wait for one acknowledgement before the next chunk; so the one before has
            // arrived.
            if let Some(last) = origin.last.replace(number).filter(|last| *last != number) {
                window.confirm(last, from.connection);
            }
            verdicts.push(verdict);
        }
        None
    }

    /// The sender has its last acknowledgement.
    pub(super) fn confirm(&self, origin: &mut Origin) {
        if let Some(last) = origin.last.take() {
            self.window().confirm(last, origin.connection);
        }
    }

    /// How many chunks are remembered.
    pub(super) fn len(&self) -> usize {
        self.window().len()
    }

    fn seconds(&self) -> u32 {
        let elapsed = self.begin.elapsed() + self.max_age;
        u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX >> 2)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Nothing panics while the lock is held, and every state in between is valid.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    /// Whether a chunk of it is not yet known to be acknowledged in its sender's eyes.
    pub(super) fn is_open(&self) -> bool {
        self.last.is_some()
    }
}

impl Claim {
    /// The journal has taken the chunks.
    pub(super) fn commit(mut self) {
        if self.is_empty() {
            return;
        }
        let mut window = self.dedupe.window();
        window.commit(std::mem::take(&mut self.numbers));
        for numbers in self.more.drain(..) {
            window.commit(numbers);
        }
    }

    fn add(&mut self, number: u64) {
        if self.numbers.end != number {
            let before = std::mem::replace(&mut self.numbers, number..number);
            if !before.is_empty() {
                self.more.push(before);
            }
        }
        self.numbers.end = number + 1;
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.more.is_empty()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let mut window = self.dedupe.window();
        window.forget(self.numbers.clone());
        for numbers in self.more.drain(..) {
            window.forget(numbers);
        }
    }
}

#[cfg(test)]
mod tests;
