//! Who holds on to which part of the journal.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use logmon_core::{CursorState, CursorTally, Position, Timestamp};

use super::control::{CursorRecord, SegmentInfo};

/// What holds for a cursor that is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HoldConfig {
    /// How long ago the events it has not passed may have been received. Without limit by default.
    pub max_lag_age: Option<Duration>,
    /// How many bytes of the journal may lie behind its position. Without limit by default.
    pub max_lag_bytes: Option<u64>,
    /// What happens when it is further behind, or when the journal is as large as it may be and the
    /// oldest segment is there for this cursor. [`OnLag::Block`] by default.
    pub on_lag: OnLag,
}

/// What gives way when a cursor is too far behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnLag {
    /// Appends wait until the cursor has moved on, as they do on a full disk: nothing is lost.
    #[default]
    Block,
    /// The oldest events go. Those that the cursor had not passed are counted as lost to it, and
    /// its reader is told [`ReadError::Expired`](logmon_core::ReadError::Expired).
    DropOldest,
}

impl HoldConfig {
    /// Without limits of its own.
    pub const fn new(on_lag: OnLag) -> Self {
        Self { max_lag_age: None, max_lag_bytes: None, on_lag }
    }
}

/// A holding cursor, for people and for figures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CursorStatus {
    /// Its name.
    pub name: String,
    /// What it saved last; `None` if it never did.
    pub position: Option<Position>,
    /// Events behind its position that are kept.
    pub lag_events: u64,
    /// Bytes of those, about.
    pub lag_bytes: u64,
    /// Nobody has opened it since the journal was opened: it blocks nothing, and ends by itself.
    pub is_orphan: bool,
    /// Since when nobody has opened it.
    pub unopened: Option<Timestamp>,
    /// What holds when it is behind; the default of an orphan says nothing.
    pub hold: HoldConfig,
    /// What became of its events.
    pub ledger: CursorLedger,
}

/// What became of the events that were there for a cursor, since it began:
/// `routed = delivered + lag + quarantined + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CursorLedger {
    /// All of them.
    pub routed: u64,
    /// Those that are where they were to go, and known to be by the cursor.
    pub delivered: u64,
    /// Those behind its position that are kept.
    pub lag: u64,
    /// Those the quarantine has.
    pub quarantined: u64,
    /// Those the cursor never passed: it was too slow.
    pub dropped_lag: u64,
    /// Those that could not be read any more.
    pub dropped_damaged: u64,
}

impl CursorLedger {
    /// What the books do not account for. Always 0, or something is counted wrong.
    pub fn residue(&self) -> i128 {
        let parts =
            [self.delivered, self.lag, self.quarantined, self.dropped_lag, self.dropped_damaged];
        i128::from(self.routed) - parts.into_iter().map(i128::from).sum::<i128>()
    }
}

/// All holding cursors.
#[derive(Debug, Default)]
pub(super) struct Cursors(BTreeMap<Arc<str>, Held>);

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What it saved last.
    record: Option<CursorRecord>,
    /// Where it holds on before it has saved anything.
    floor: u64,
    hold: HoldConfig,
    /// Lives as long as whoever has it open.
    handle: Weak<()>,
    /// Somebody has opened it since the journal was opened.
    is_known: bool,
}

/// Where the journal begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) oldest: u64,
    pub(super) head: u64,
}

impl Held {
    /// The first event it has not passed.
    pub(super) fn seq(&self) -> u64 {
        self.record.as_ref().map_or(self.floor, |record| record.position.seq)
    }

    fn ledger(&self, bounds: Bounds) -> CursorLedger {
        let Some(record) = &self.record else { return CursorLedger::default() };
        let seq = record.position.seq;
        let all = i128::from(bounds.head) - i128::from(record.start);
        let CursorTally { delivered, quarantined, unrouted, expired, damaged, .. } = record.tally;
        CursorLedger {
            routed: u64::try_from(all).unwrap_or(0).saturating_sub(unrouted),
            delivered,
            lag: bounds.head.saturating_sub(seq.max(bounds.oldest)),
            quarantined,
            // What went since is not in its tally yet.
            dropped_lag: expired + bounds.oldest.saturating_sub(seq),
            dropped_damaged: damaged,
        }
    }

    /// Whether it is further behind than it may be.
    fn is_too_far(&self, lag: &Lag) -> bool {
        self.hold.max_lag_bytes.is_some_and(|most| lag.bytes > most)
            || self.hold.max_lag_age.is_some_and(|most| lag.age.is_some_and(|age| age > most))
    }
}

/// How far a cursor is behind.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    bytes: u64,
    age: Option<Duration>,
}

impl Lag {
    fn of(seq: u64, segments: impl Iterator<Item = SegmentInfo>, now: Timestamp) -> Self {
        let mut lag = Self::default();
        for info in segments.filter(|info| info.end_seq > seq) {
            let (left, all) =
                (info.end_seq - seq.max(info.first_seq), info.end_seq - info.first_seq);
            let bytes = u128::from(info.bytes) * u128::from(left) / u128::from(all.max(1));
            lag.bytes = lag.bytes.saturating_add(u64::try_from(bytes).unwrap_or(info.bytes));
            lag.age.get_or_insert_with(|| {
                let nanos = now.as_nanos().saturating_sub(info.received.as_nanos());
                Duration::from_nanos(nanos.try_into().unwrap_or(0))
            });
        }
        lag
    }
}

impl Cursors {
    /// The cursors that a checkpoint knows.
    pub(super) fn found(records: Vec<CursorRecord>) -> Self {
        let mut cursors = Self::default();
        records.into_iter().for_each(|record| cursors.set(record));
        cursors
    }

    /// Takes over what was saved.
    pub(super) fn set(&mut self, record: CursorRecord) {
        let name = Arc::from(record.name.as_str());
        self.0.entry(name).or_default().record = Some(record);
    }

    pub(super) fn end(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Held> {
        self.0.get(name)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &CursorRecord> {
        self.0.values().filter_map(|held| held.record.as_ref())
    }

    pub(super) fn records_mut(&mut self) -> impl Iterator<Item = &mut CursorRecord> {
        self.0.values_mut().filter_map(|held| held.record.as_mut())
    }

    /// Opens a cursor, which is known from then on; `None` where somebody has it open.
    pub(super) fn open(
        &mut self,
        name: &Arc<str>,
        hold: HoldConfig,
        floor: u64,
    ) -> Option<Arc<()>> {
        let new = || Held { floor, ..Held::default() };
        let cursor = self.0.entry(name.clone()).or_insert_with(new);
        if cursor.handle.strong_count() > 0 {
            return None;
        }
        let handle = Arc::new(());
        (cursor.handle, cursor.hold, cursor.is_known) = (Arc::downgrade(&handle), hold, true);
        if let Some(record) = &mut cursor.record {
            record.unopened = None;
        }
        Some(handle)
    }

    pub(super) fn is_open(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|held| held.handle.strong_count() > 0)
    }

    /// What a cursor last saved.
    pub(super) fn load(&self, name: &str) -> Option<CursorState> {
        let record = self.0.get(name)?.record.as_ref()?;
        Some(CursorState {
            position: record.position,
            in_flight: record.in_flight.clone(),
            tally: Some(record.tally),
        })
    }

    /// What is to be noted for a state that is saved; `None` of a cursor that has ended.
    pub(super) fn record(
        &self,
        name: &str,
        state: CursorState,
        oldest: u64,
    ) -> Option<CursorRecord> {
        let CursorState { position, in_flight, tally } = state;
        let (start, tally) = match (&self.0.get(name)?.record, tally) {
            (None, tally) => {
                let tally = tally.unwrap_or_default();
                (signed(position.seq) - signed(tally.total()), tally)
            }
            (Some(old), Some(tally)) => (old.start, tally),
            (Some(old), None) => moved(old, position.seq, oldest),
        };
        let name = name.to_owned();
        Some(CursorRecord { name, position, in_flight, start, tally, unopened: None })
    }

    /// Whether anyone has a use for a segment.
    pub(super) fn hold(&self, info: &SegmentInfo, all: &[SegmentInfo], now: Timestamp) -> bool {
        self.0.values().any(|held| {
            held.seq() < info.end_seq
                && (held.hold.on_lag == OnLag::Block
                    || !held.is_too_far(&Lag::of(held.seq(), all.iter().copied(), now)))
        })
    }

    /// Who insists on a segment.
    pub(super) fn blocker(&self, info: &SegmentInfo, are_orphans_spared: bool) -> Option<Arc<str>> {
        let insists = |held: &Held| {
            held.seq() < info.end_seq
                && if held.is_known { held.hold.on_lag == OnLag::Block } else { are_orphans_spared }
        };
        self.0.iter().find(|(_, held)| insists(held)).map(|(name, _)| name.clone())
    }

    /// Who is so far behind that appends are to wait.
    pub(super) fn laggard(&self, all: &[SegmentInfo], now: Timestamp) -> Option<Arc<str>> {
        let is_laggard = |held: &Held| {
            held.is_known
                && held.hold.on_lag == OnLag::Block
                && held.is_too_far(&Lag::of(held.seq(), all.iter().copied(), now))
        };
        self.0.iter().find(|(_, held)| is_laggard(held)).map(|(name, _)| name.clone())
    }

    /// How many events of these numbers each cursor loses that has not passed them.
    pub(super) fn losses(&self, range: &Range<u64>) -> Vec<(Arc<str>, u64)> {
        let lost = |held: &Held| range.end.saturating_sub(held.seq().max(range.start));
        let losses = self.0.iter().map(|(name, held)| (name.clone(), lost(held)));
        losses.filter(|(_, lost)| *lost > 0).collect()
    }

    /// Takes note of those nobody has opened.
    pub(super) fn mark_unopened(&mut self, now: Timestamp) {
        for held in self.0.values_mut().filter(|held| !held.is_known) {
            if let Some(record) = &mut held.record {
                record.unopened.get_or_insert(now);
            }
        }
    }

    /// Those that nobody has opened for too long.
    pub(super) fn outlived(&self, max_age: Duration, now: Timestamp) -> Vec<Arc<str>> {
        let max_age = i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX);
        let limit = now.as_nanos().saturating_sub(max_age);
        let is_old = |held: &Held| {
            let since = held.record.as_ref().and_then(|record| record.unopened);
            !held.is_known && since.is_some_and(|since| since.as_nanos() <= limit)
        };
        self.0.iter().filter(|(_, held)| is_old(held)).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn status(
        &self,
        bounds: Bounds,
        all: &[SegmentInfo],
        now: Timestamp,
    ) -> Vec<CursorStatus> {
        let status = |(name, held): (&Arc<str>, &Held)| {
            let ledger = held.ledger(bounds);
            CursorStatus {
                name: name.to_string(),
                position: held.record.as_ref().map(|record| record.position),
                lag_events: bounds.head.saturating_sub(held.seq().max(bounds.oldest)),
                lag_bytes: Lag::of(held.seq(), all.iter().copied(), now).bytes,
                is_orphan: !held.is_known,
                unopened: held.record.as_ref().and_then(|record| record.unopened),
                hold: held.hold,
                ledger,
            }
        };
        self.0.iter().map(status).collect()
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The books of a cursor whose reader does not count, moved on to another place or back.
fn moved(old: &CursorRecord, to: u64, oldest: u64) -> (i64, CursorTally) {
    let (from, mut start, mut tally) = (old.position.seq, old.start, old.tally);
    if to >= from {
        let expired = oldest.min(to).saturating_sub(from);
        tally.expired = tally.expired.saturating_add(expired);
        tally.delivered = tally.delivered.saturating_add(to - from - expired);
    } else {
        let back = from - to;
        let taken = back.min(tally.delivered);
        tally.delivered -= taken;
        start -= signed(back - taken);
    }
    (start, tally)
}
