//! Whose event a document is.

use std::ops::Range;
use std::sync::Arc;

use logmon_core::Epoch;

use crate::mongo::document::Stored;

/// The numbers that each epoch of a journal has given, as far as it remembers them.
#[derive(Debug)]
pub(super) struct Epochs(Vec<(Epoch, Range<u64>)>);

/// Tells the events of this journal from those of others.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) epochs: Arc<Epochs>,
    /// Events of this journal from this number on are looked for in it.
    pub(super) in_journal_from: u64,
}

impl Epochs {
    /// Of epochs with the first number of each.
    pub(super) fn new(epochs: &[(Epoch, u64)]) -> Self {
        let ends = epochs.iter().skip(1).map(|(_, first)| *first).chain([u64::MAX]);
        Self(epochs.iter().zip(ends).map(|((epoch, first), end)| (*epoch, *first..end)).collect())
    }

    /// Whether an event is one of the journal's. One beyond the end of its epoch was, before a power
    /// cut took it; where it got to it is an event as those of others are.
    fn has(&self, epoch: Epoch, seq: u64) -> bool {
        self.0.iter().rev().any(|(known, seqs)| *known == epoch && seqs.contains(&seq))
    }

    /// Of each epoch the numbers from `seq` on, where it has any.
    pub(super) fn since(&self, seq: u64) -> impl Iterator<Item = (Epoch, Range<u64>)> {
        let late = self.0.iter().filter(move |(_, seqs)| seqs.end > seq && !seqs.is_empty());
        late.map(move |(epoch, seqs)| (*epoch, seqs.start.max(seq)..seqs.end))
    }
}

/// Whose an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This journal's, which has it still: it is found there.
    InJournal,
    /// This journal's.
    Own,
    /// Another one's, or that of another program.
    Others,
}

impl Own {
    pub(super) fn whose(&self, stored: &Stored) -> Whose {
        if !self.epochs.has(stored.id().epoch(), stored.seq()) {
            Whose::Others
        } else if stored.seq() >= self.in_journal_from {
            Whose::InJournal
        } else {
            Whose::Own
        }
    }
}
