//! What is kept no longer, and what cannot go although it should.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use logmon_core::Timestamp;

use super::Catalog;
use crate::journal::config::Retention;
use crate::journal::control::{Reason, Removal, SegmentInfo};

/// What decides which segments go.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Rules {
    pub(in crate::journal) retention: Retention,
    /// What is kept of that which every cursor has passed.
    pub(in crate::journal) history_bytes: u64,
    /// Bytes for what is about to be written.
    pub(in crate::journal) reserved: u64,
    pub(in crate::journal) now: Timestamp,
    /// The newest segment counts as closed too.
    pub(in crate::journal) is_last_closed: bool,
    /// Cursors nobody has opened are treated as if they blocked.
    pub(in crate::journal) are_orphans_spared: bool,
}

/// What the rules say.
#[derive(Debug, Default)]
pub(in crate::journal) struct Expiry {
    pub(in crate::journal) removals: Vec<Removal>,
    /// Who holds the oldest of those that are left, though there is no room for it.
    pub(in crate::journal) holder: Option<Arc<str>>,
}

impl Catalog {
    /// The segments that are to go now, oldest first.
    ///
    /// Without a cursor the journal keeps what fits. With cursors it keeps what they have not
    /// passed, and some history; age is a limit to everything.
    pub(in crate::journal) fn expire(&self, rules: &Rules) -> Expiry {
        let Rules { retention, history_bytes, now, .. } = *rules;
        let all: Vec<SegmentInfo> = self.segments.iter().map(|segment| segment.info).collect();
        let open = usize::from(!rules.is_last_closed);
        let closed = all.get(..all.len().saturating_sub(open)).unwrap_or_default();
        let sum = closed.iter().map(|info| info.bytes).sum::<u64>();
        let mut bytes = sum.saturating_add(rules.reserved);
        let mut expiry = Expiry::default();
        for info in closed {
            let reason = if bytes > retention.max_bytes {
                expiry.holder = self.cursors.blocker(info, rules.are_orphans_spared);
                if expiry.holder.is_some() && !is_old(info, &retention, now) {
                    break;
                }
                if expiry.holder.take().is_some() { Reason::Age } else { Reason::Size }
            } else if is_old(info, &retention, now) {
                Reason::Age
            } else if !self.cursors.is_empty()
                && bytes > history_bytes
                && !self.cursors.hold(info, &all, now)
            {
                Reason::Size
            } else {
                break;
            };
            bytes -= info.bytes;
            let events = info.events - info.damaged.min(info.events);
            expiry.removals.push(Removal { number: info.number, reason, events });
        }
        if expiry.holder.is_none() {
            expiry.holder = self.cursors.laggard(&all, now);
        }
        expiry
    }

    /// The numbers of the events in segments that go.
    pub(in crate::journal) fn range_of(&self, removals: &[Removal]) -> Range<u64> {
        let is_among = |number| removals.iter().any(|removal| removal.number == number);
        let infos = self.segments.iter().map(|segment| segment.info);
        let mut gone = infos.filter(|info| is_among(info.number));
        let Some(first) = gone.next() else { return 0..0 };
        first.first_seq..gone.next_back().unwrap_or(first).end_seq
    }

    /// Forgets segments that are about to be removed.
    pub(in crate::journal) fn remove(&mut self, removals: &[Removal]) {
        for removal in removals {
            self.segments.retain(|segment| segment.info.number != removal.number);
            self.ledger.expire(removal);
            self.removing.push(removal.number);
        }
    }
}

/// Whether both the closing of a segment and its newest event are too long ago: one clock that was
/// wrong for a while removes nothing.
fn is_old(info: &SegmentInfo, retention: &Retention, now: Timestamp) -> bool {
    let Some(max_age) = retention.max_age else { return false };
    let limit = before(now, max_age);
    info.closed < limit && info.received < limit
}

/// An instant so much earlier.
pub(in crate::journal) fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(now.as_nanos().saturating_sub(age))
}
