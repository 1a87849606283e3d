//! Which chunks of a message are new.

use logmon_core::{Fingerprint, NewBatch, Tag};
use tracing::warn;
use xxhash_rust::xxh3::Xxh3;

use super::{Commits, Connection, Stats};
use crate::codec::{Chunk, Message, Mode};
use crate::listener::dedupe::{ContentHash, Verdict, is_hash_of};

impl Connection {
    /// Takes out of a message what has been stored before, and marks the rest for the journal.
    /// What is on its way into the journal is waited for with the commits of the message.
    pub(super) fn recognise(&mut self, message: &mut Message) -> Commits {
        let dedupe = &self.shared.dedupe;
        if message.batches.is_empty() || message.chunks.is_empty() || dedupe.is_off() {
            // Its sender goes on, so it has what it waited for.
            dedupe.confirm(&mut self.origin);
            return Commits::new(self.shared.stats.clone(), None);
        }
        if message.mode == Mode::Message {
            return self.recognise_each(message);
        }
        let content = content(&message.batches);
        let events = message.events() as u64;
        let (Some(first), Some(chunk)) = (message.batches.first(), message.chunks.iter().next())
        else {
            return Commits::new(self.shared.stats.clone(), None);
        };
        let payloads = || message.batches.iter().map(|batch| batch.entries.payload());
        let (new, commits) = self.recognise_whole((&first.tag, chunk), (content, events), || {
            is_hash_of(chunk.bytes, payloads())
        });
        match (new, message.batches.last_mut()) {
            // The last of several batches becomes durable last: where it is, the others are.
            (Some(fingerprint), Some(last)) => last.fingerprints.push(fingerprint),
            _ => message.batches.clear(),
        }
        commits
    }

    /// Says of a chunk that is all of a message whether it is new: then it is to be appended with
    /// the fingerprint, which belongs to the last batch, and what is given beside that is to be
    /// kept until then. Otherwise its events have been stored, or are about to be.
    ///
    /// The message need not be in memory: `content` is the hash over its entries, and `is_hash`
    /// is asked, seldom, whether the chunk id is one.
    pub(super) fn recognise_whole(
        &mut self,
        (tag, chunk): (&Tag, Chunk<'_>),
        (content, events): (ContentHash, u64),
        is_hash: impl Fn() -> bool,
    ) -> (Option<Fingerprint>, Commits) {
        let dedupe = &self.shared.dedupe;
        let keys = dedupe.keys(tag, &self.origin);
        let mut seen = [keys.sighting(chunk, content)];
        let prove = |_, seen| keys.proven(seen, chunk, is_hash());
        let (verdicts, claim) = dedupe.decide(&mut self.origin, &mut seen, prove);
        let mut commits = Commits::new(self.shared.stats.clone(), Some(claim));
        let mut new = None;
        for verdict in verdicts {
            let digest = self.apply(verdict, chunk, (&mut commits, events));
            new = digest.map(|digest| Fingerprint { first: 0, digest });
        }
        (new, commits)
    }

    /// The same for single events that were gathered into one batch.
    fn recognise_each(&mut self, message: &mut Message) -> Commits {
        let stats = self.shared.stats.clone();
        let Message { batches, chunks, .. } = message;
        let Some(batch) = batches.first_mut() else { return Commits::new(stats, None) };
        let dedupe = &self.shared.dedupe;
        let keys = dedupe.keys(&batch.tag, &self.origin);
        // Without an event there is nothing that could be stored twice.
        let chunks = || chunks.iter().filter(|chunk| chunk.has_event);
        let entry = |chunk: Chunk<'_>| batch.entries.entry(chunk.first as usize);
        let mut seen: Vec<_> = Vec::with_capacity(message.messages as usize);
        seen.extend(chunks().map(|chunk| keys.sighting(chunk, ContentHash::of(entry(chunk)))));
        if seen.is_empty() {
            dedupe.confirm(&mut self.origin);
        }
        let (verdicts, claim) = dedupe.decide(&mut self.origin, &mut seen, |at, seen| {
            let Some(chunk) = chunks().nth(at) else { return seen.unique() };
            keys.proven(seen, chunk, is_hash_of(chunk.bytes, [entry(chunk)]))
        });
        let mut commits = Commits::new(stats, Some(claim));
        let mut stored = Vec::new();
        let mut fingerprints = Vec::with_capacity(verdicts.len());
        for (chunk, verdict) in chunks().zip(verdicts) {
            match self.apply(verdict, chunk, (&mut commits, 1)) {
                Some(digest) => {
                    let before = u32::try_from(stored.len()).unwrap_or(u32::MAX);
                    fingerprints.push(Fingerprint { first: chunk.first - before, digest });
                }
                None => stored.push(chunk.first as usize),
            }
        }
        batch.fingerprints = fingerprints;
        if stored.len() == batch.entries.len() {
            batches.clear();
        } else if !stored.is_empty() {
            batch.entries = batch.entries.select(|at| stored.binary_search(&at).is_err());
            batch.compressed = None;
        }
        commits
    }

    /// Counts what a chunk of so many events is, and gives the digest of a new one.
    fn apply(
        &mut self,
        verdict: Verdict,
        chunk: Chunk<'_>,
        (commits, events): (&mut Commits, u64),
    ) -> Option<[u8; 16]> {
        match verdict {
            Verdict::New { digest, is_conflict } => {
                if is_conflict {
                    self.warn_of_conflict(chunk);
                }
                return Some(digest);
            }
            Verdict::Known => {
                Stats::add(&self.shared.stats.duplicates_suppressed, 1);
                Stats::add(&self.shared.stats.deduplicated, events);
            }
            Verdict::OnItsWay(seen) => commits.push_copy(seen, events),
        }
        None
    }

    fn warn_of_conflict(&mut self, chunk: Chunk<'_>) {
        Stats::add(&self.shared.stats.chunk_id_conflicts, 1);
        if std::mem::replace(&mut self.has_warned_of_conflict, true) {
            return;
        }
        let limiter = &self.shared.limiter;
        if let Some(suppressed) = limiter.admit(self.peer.ip(), "chunk_id_conflict") {
            warn!(
                peer = %self.peer,
                chunk = %chunk.bytes.escape_ascii(),
                suppressed,
                "a chunk id came again with other events: both are stored; the sender's ids are \
                 of no use to tell what it sends again"
            );
        }
    }
}

/// The hash over all entries of a message.
fn content(batches: &[NewBatch]) -> ContentHash {
    if let [batch] = batches {
        return ContentHash::of(batch.entries.payload());
    }
    let mut hash = Xxh3::new();
    batches.iter().for_each(|batch| hash.update(batch.entries.payload()));
    ContentHash::finish(hash.digest())
}
