//! Whether a document or the server is to blame when the server does not say.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::reply::Reply;

/// So many documents under suspicion are remembered.
const MOST: usize = 1_000;

/// What a server has shown by how it took the other documents of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shown {
    /// Nothing: it has taken none.
    #[default]
    Nothing,
    /// That it can read: it had them already.
    Reading,
    /// That it can write.
    Writing,
}

/// The documents that were refused while the server only knew others that it had. It may be unable
/// to write at all, so they are not blamed before it has written others, or some time has passed.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By a hash of the document, since when.
    since: HashMap<u64, Instant>,
    wrote_at: Option<Instant>,
}

impl Doubts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a reply shows.
    pub(super) fn learn(&self, reply: &Reply) -> Shown {
        match (reply.stored, reply.duplicates) {
            (0, 0) => Shown::Nothing,
            (0, _) => Shown::Reading,
            _ => {
                self.state().wrote_at = Some(Instant::now());
                Shown::Writing
            }
        }
    }

    /// Whether a document that was refused is to blame, by what was shown beside it; one that is in
    /// doubt is so after `patience` at the latest.
    pub(super) fn may_blame(&self, document: &[u8], shown: Shown, patience: Duration) -> bool {
        if shown == Shown::Writing {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        document.hash(&mut hasher);
        let (key, mut state) = (hasher.finish(), self.state());
        if shown == Shown::Reading && !state.since.contains_key(&key) {
            if state.since.len() >= MOST {
                state.since.clear();
            }
            state.since.insert(key, Instant::now());
        }
        let Some(since) = state.since.get(&key) else { return false };
        let may = state.wrote_at.is_some_and(|at| at > *since) || since.elapsed() > patience;
        if may {
            state.since.remove(&key);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn reply(stored: u64, duplicates: u64) -> Reply {
        Reply { stored, duplicates, verdicts: Vec::new(), trouble: None }
    }

    #[test]
    fn a_server_that_writes_means_the_document() {
        let doubts = Doubts::default();
        assert!(!doubts.may_blame(b"a", Shown::Nothing, Duration::ZERO), "never in doubt");
        let shown = doubts.learn(&reply(1, 3));
        assert!(doubts.may_blame(b"a", shown, LONG));
    }

    #[test]
    fn one_that_only_reads_has_to_write_or_time_to_pass() {
        let doubts = Doubts::default();
        let shown = doubts.learn(&reply(0, 9));
        assert_eq!(shown, Shown::Reading);
        assert!(!doubts.may_blame(b"a", shown, LONG));
        assert!(!doubts.may_blame(b"a", Shown::Nothing, LONG), "tried alone");
        assert!(!doubts.may_blame(b"b", Shown::Nothing, Duration::ZERO), "another document");
        while !doubts.may_blame(b"a", Shown::Nothing, Duration::from_nanos(1)) {}
        assert!(!doubts.may_blame(b"a", Shown::Nothing, Duration::ZERO), "blamed once");

        assert!(!doubts.may_blame(b"a", Shown::Reading, LONG));
        doubts.learn(&reply(1, 0));
        assert!(doubts.may_blame(b"a", Shown::Nothing, LONG), "others were written since");
    }
}
