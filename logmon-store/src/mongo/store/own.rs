//! Whose event a document is.

use std::collections::HashSet;
use std::sync::Arc;

use logmon_core::Epoch;

use crate::mongo::document::Stored;

/// Tells the events of this journal from those of others.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// The epochs of this journal, as far as it remembers them.
    pub(super) epochs: Arc<HashSet<Epoch>>,
    /// Events of this journal from this number on are looked for in it.
    pub(super) in_journal_from: u64,
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
        if !self.epochs.contains(&stored.id().epoch()) {
            Whose::Others
        } else if stored.seq() >= self.in_journal_from {
            Whose::InJournal
        } else {
            Whose::Own
        }
    }
}
