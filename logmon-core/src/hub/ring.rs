//! The newest groups, evaluated, and who waits for more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::texts::{Budget, Texts};
use crate::event::Event as _;
use crate::filter::{Canonical, Filter, FilterId, Interner, Matches};
use crate::{Group, LevelCounts, Position};

/// What the matches of one filter in one group take beside their indices: an entry of a map and
/// the head of an allocation.
const MATCHES_BYTES: usize = 64;

/// The tail of the journal with the results of all filters.
pub(super) struct Ring {
    groups: VecDeque<Evaluated>,
    bytes: usize,
    max_bytes: usize,
    head: Position,
    /// Events that ever passed; the difference of two is how far apart two places are.
    passed: u64,
    filters: Interner,
    /// What came (the filter) and went since the last evaluation, which never waits for a change.
    changes: Changes,
    slots: HashMap<FilterId, Slot>,
    next_subscriber: u64,
    /// For the texts of the groups, beside the groups' own bytes; both together are bounded.
    texts: Arc<Budget>,
    /// So many of the oldest groups keep no texts any more.
    without_texts: usize,
}

/// What a number stands for now, where that is not what it stood for: nothing, or a filter.
pub(super) type Changes = HashMap<FilterId, Option<Arc<Filter>>>;

/// The most regular expressions that have to be run on every message, because there is no text that
/// what they find cannot be without.
const MOST_SCANS: usize = 256;

struct Evaluated {
    group: Group,
    /// The number of the first event that the groups before did not hold: a journal may give a
    /// group that begins before the position.
    first: u64,
    /// The indices of the matching events, for each filter that matched.
    matches: HashMap<FilterId, Arc<[u32]>>,
    texts: Arc<Texts>,
    /// Events that had passed before `first`.
    passed: u64,
    at: Instant,
    bytes: usize,
}

/// What all subscriptions with one filter share.
struct Slot {
    /// The head when the filter was registered: groups from there on are evaluated for it.
    since: u64,
    counts: LevelCounts,
    /// Behind the last group with a match that has left the ring.
    left: u64,
    waiting: BTreeMap<u64, Waker>,
}

/// A filter in the ring, of one subscription.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) id: FilterId,
    pub(super) subscriber: u64,
    pub(super) canonical: Canonical,
    /// From this number on the ring has counted what matches.
    pub(super) since: u64,
    /// The filter's counts at `since`.
    base: LevelCounts,
}

/// There are too many regular expressions already that have to be run on every message.
#[derive(Debug)]
pub(super) struct TooCostly;

impl Registration {
    pub(super) fn filter(&self) -> &Arc<Filter> {
        self.canonical.filter()
    }
}

/// A group, and the JSON of its events as far as it was made already.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) group: Group,
    /// `None` where nobody else has the group.
    pub(super) texts: Option<Arc<Texts>>,
}

/// The next thing for a subscription at some number.
pub(super) enum Next {
    /// These events of a group match, and none of `passed` events before it. `matches` is `None`
    /// where the ring has not evaluated the group for the filter. From `at` on the events wait.
    Group { group: Shown, matches: Option<Arc<[u32]>>, passed: u64, at: u64 },
    /// Nothing matched up to the head.
    AtHead,
    /// The ring does not reach back so far.
    BehindRing,
}

impl Ring {
    pub(super) fn new(head: Position, max_bytes: usize) -> Self {
        Self {
            groups: VecDeque::new(),
            bytes: 0,
            max_bytes,
            head,
            passed: 0,
            filters: Interner::default(),
            changes: Changes::new(),
            slots: HashMap::new(),
            next_subscriber: 0,
            texts: Arc::new(Budget::new(max_bytes / 2)),
            without_texts: 0,
        }
    }

    pub(super) const fn head(&self) -> Position {
        self.head
    }

    /// The number of the first event in the ring; the head if there is none.
    pub(super) fn oldest(&self) -> u64 {
        self.groups.front().map_or(self.head.seq, |oldest| oldest.first)
    }

    pub(super) fn filters(&self) -> usize {
        self.slots.len()
    }

    /// What has changed of the filters since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Begins anew at `head`, as after a place that could not be read, of which the counts of no
    /// filter know; gives the wakers of all who wait, as they have something to be told.
    pub(super) fn restart(&mut self, head: Position) -> Vec<Waker> {
        self.groups.clear();
        (self.bytes, self.without_texts) = (0, 0);
        self.head = head;
        for slot in self.slots.values_mut() {
            slot.since = head.seq;
        }
        let waiting = self.slots.values_mut().map(|slot| std::mem::take(&mut slot.waiting));
        waiting.flat_map(BTreeMap::into_values).collect()
    }

    /// Takes a group with the matches of all filters; gives the wakers of those it is for.
    pub(super) fn admit(&mut self, group: &Group, matches: Vec<Matches>) -> Vec<Waker> {
        let first = group.first_seq().max(self.head.seq);
        let matches: HashMap<FilterId, Arc<[u32]>> =
            matches.into_iter().map(|found| (found.filter, found.events.into())).collect();
        let mut wakers = Vec::new();
        for (id, found) in &matches {
            let found = tail(group, found, first);
            let Some(slot) = self.slots.get_mut(id).filter(|_| !found.is_empty()) else {
                continue;
            };
            slot.counts += levels(group, found);
            wakers.extend(std::mem::take(&mut slot.waiting).into_values());
        }
        let bytes = group.memory()
            + size_of::<Evaluated>()
            + matches.values().map(|found| MATCHES_BYTES + found.len() * 4).sum::<usize>();
        self.head = group.end();
        self.bytes += bytes;
        let (passed, at) = (self.passed, Instant::now());
        self.passed += (group.len() - group.index_of(first)) as u64;
        let group = group.clone();
        let texts = Arc::new(Texts::new(self.texts.clone()));
        self.groups.push_back(Evaluated { group, first, matches, texts, passed, at, bytes });
        // Those who watch are near the end; whoever is behind makes texts for himself.
        while self.texts.is_short()
            && let Some(old) = self.groups.get_mut(self.without_texts)
        {
            old.texts = Arc::new(Texts::none());
            self.without_texts += 1;
        }
        while self.bytes + self.texts.used() > self.max_bytes && self.groups.len() > 1 {
            self.forget_oldest();
        }
        wakers
    }

    fn forget_oldest(&mut self) {
        let Some(old) = self.groups.pop_front() else { return };
        self.bytes -= old.bytes;
        self.without_texts = self.without_texts.saturating_sub(1);
        for id in old.matches.keys() {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.left = old.group.end_seq();
            }
        }
    }

    /// # Errors
    /// Too many regular expressions.
    pub(super) fn register(&mut self, canonical: &Canonical) -> Result<Registration, TooCostly> {
        let scans = self.filters.scans() + canonical.scans();
        if scans > MOST_SCANS && canonical.scans() > 0 && !self.filters.has(canonical) {
            return Err(TooCostly);
        }
        let filter = canonical.filter();
        let (id, is_first) = self.filters.register(canonical.clone());
        if is_first {
            self.changes.insert(id, Some(filter.clone()));
        }
        let head = self.head.seq;
        let slot = self.slots.entry(id).or_insert_with(|| Slot {
            since: head,
            counts: LevelCounts::default(),
            left: head,
            waiting: BTreeMap::new(),
        });
        self.next_subscriber += 1;
        let (base, canonical) = (slot.counts, canonical.clone());
        Ok(Registration { id, subscriber: self.next_subscriber, canonical, since: head, base })
    }

    /// Gives back the waker, to be dropped without the lock: that may drop a whole task.
    #[must_use]
    pub(super) fn release(&mut self, registration: &Registration) -> Option<Waker> {
        let slot = self.slots.get_mut(&registration.id);
        let waker = slot.and_then(|slot| slot.waiting.remove(&registration.subscriber));
        if self.filters.release(registration.id).is_some() {
            self.slots.remove(&registration.id);
            self.changes.insert(registration.id, None);
        }
        waker
    }

    /// Wakes `waker` when an event for the registration arrives; gives back the one before, to be
    /// dropped without the lock.
    #[must_use]
    pub(super) fn park(&mut self, registration: &Registration, waker: &Waker) -> Option<Waker> {
        let slot = self.slots.get_mut(&registration.id)?;
        slot.waiting.insert(registration.subscriber, waker.clone())
    }

    /// Whether the filter's counts hold everything since the registration.
    pub(super) fn has_counted(&self, registration: &Registration) -> bool {
        self.slots.get(&registration.id).is_some_and(|slot| slot.since <= registration.since)
    }

    /// The number from which on there may be a match, as far as that is known of what has left the
    /// ring: `from`, or the ring's oldest.
    pub(super) fn pass_quiet(&self, registration: &Registration, from: u64) -> u64 {
        let slot = self.slots.get(&registration.id);
        let is_quiet = slot.is_some_and(|slot| from >= slot.since.max(slot.left));
        if is_quiet { from.max(self.oldest().min(self.head.seq)) } else { from }
    }

    /// Looks from number `from` for the next group with a match.
    pub(super) fn next(&self, registration: &Registration, from: u64) -> Next {
        if from >= self.head.seq {
            return Next::AtHead;
        }
        if from < self.oldest() {
            return Next::BehindRing;
        }
        let start = self.index_of(from);
        let mut passed = 0;
        for evaluated in self.groups.range(start..) {
            let group = &evaluated.group;
            let matches = if self.knows(registration, evaluated.first) {
                match evaluated.matches.get(&registration.id) {
                    Some(found) => Some(found.clone()),
                    None => {
                        let at = from.max(evaluated.first);
                        passed += (group.len() - group.index_of(at)) as u64;
                        continue;
                    }
                }
            } else {
                None
            };
            let at = from.max(evaluated.first);
            // What the groups before it held as well is counted once.
            passed -= ((group.index_of(at) - group.index_of(from)) as u64).min(passed);
            let texts = Some(evaluated.texts.clone());
            let group = Shown { group: group.clone(), texts };
            return Next::Group { group, matches, passed, at };
        }
        Next::AtHead
    }

    /// How many events, and for how long, have waited behind number `from`.
    pub(super) fn lag(&self, from: u64) -> (u64, Duration) {
        match self.groups.get(self.index_of(from)) {
            Some(waiting) => {
                let (group, first) = (&waiting.group, waiting.first);
                let inside = group.index_of(from.max(first)) - group.index_of(first);
                (self.passed - waiting.passed - inside as u64, waiting.at.elapsed())
            }
            None => (0, Duration::ZERO),
        }
    }

    /// The number of the first event that waits for a registration at `from`, or is not known not to.
    pub(super) fn waiting_from(&self, registration: &Registration, from: u64) -> Option<u64> {
        let from = self.pass_quiet(registration, from);
        match self.next(registration, from) {
            Next::Group { at, .. } => Some(at),
            Next::BehindRing => Some(from),
            Next::AtHead => None,
        }
    }

    /// The number from which at most `screen` matching events are left, not before `from`.
    pub(super) fn last_screen(&self, registration: &Registration, from: u64, screen: usize) -> u64 {
        let (mut left, mut at) = (screen, self.head.seq);
        for evaluated in self.groups.iter().rev() {
            if evaluated.first < from.max(registration.since) {
                break;
            }
            let found = evaluated.matches.get(&registration.id).map_or(0, |found| found.len());
            let Some(rest) = left.checked_sub(found) else { break };
            (left, at) = (rest, evaluated.first);
        }
        // Where the ring knows no matches, so many events.
        at.min(self.head.seq.saturating_sub(screen as u64)).max(from)
    }

    /// What matches in `range` by level, where `taken` matched from the registration to the
    /// range's start. `None` if the range begins before the registration or ends before the ring.
    pub(super) fn count(
        &self,
        registration: &Registration,
        range: Range<u64>,
        taken: LevelCounts,
    ) -> Option<LevelCounts> {
        let oldest = self.oldest();
        if range.start < registration.since
            || range.end < oldest.max(registration.since)
            || !self.has_counted(registration)
        {
            return None;
        }
        let mut behind = LevelCounts::default();
        for evaluated in self.groups.range(self.index_of(range.end)..) {
            if let Some(found) = evaluated.matches.get(&registration.id) {
                let from = range.end.max(evaluated.first);
                behind += levels(&evaluated.group, tail(&evaluated.group, found, from));
            }
        }
        let now = self.slots.get(&registration.id)?.counts;
        Some(now - registration.base - behind - taken)
    }

    /// Whether the group with this first number was evaluated for the filter of the registration.
    fn knows(&self, registration: &Registration, first: u64) -> bool {
        self.slots.get(&registration.id).is_some_and(|slot| slot.since <= first)
    }

    /// The index of the group that holds the event `seq`, or of the first one behind it.
    fn index_of(&self, seq: u64) -> usize {
        self.groups.partition_point(|evaluated| evaluated.group.end_seq() <= seq)
    }
}

/// The indices of the first `most` events from number `from` on that `filter` accepts.
pub(super) fn indices(filter: &Filter, group: &Group, from: u64, most: usize) -> Vec<u32> {
    let accepted = group.iter().skip(group.index_of(from)).filter(|log| filter.matches(log));
    accepted.filter_map(|log| u32::try_from(log.index()).ok()).take(most).collect()
}

/// Those of `indices`, which ascend, of events from number `from` on.
fn tail<'i>(group: &Group, indices: &'i [u32], from: u64) -> &'i [u32] {
    let first = group.index_of(from);
    let start = indices.partition_point(|at| (*at as usize) < first);
    indices.get(start..).unwrap_or_default()
}

/// Counts events by level.
pub(super) fn levels(group: &Group, indices: &[u32]) -> LevelCounts {
    let mut counts = LevelCounts::default();
    for at in indices {
        if let Some(log) = group.get(*at as usize) {
            counts.add(log.level(), 1);
        }
    }
    counts
}
