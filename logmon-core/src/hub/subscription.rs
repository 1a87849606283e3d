//! One reader of the hub.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_core::Stream;

use super::ring::{Next, Registration, Ring, Shown, TooCostly, indices, levels};
use super::{Delivered, Delivery, DropReason, Dropped, Shared, SubscribeError, count};
use crate::filter::{Canonical, Filter};
use crate::{BoxFuture, Group, LevelCounts, Position, ReadError};

/// What happens when a reader is slower than the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "either it skips or it does not")]
pub enum Mode {
    /// Nothing is skipped: behind the ring the journal is read.
    #[default]
    Lossless,
    /// A reader more than 20,000 events or 2 s behind is moved near the head and told exactly
    /// what it missed.
    Latest,
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With what comes next.
    #[default]
    Head,
    /// With the oldest event that is kept.
    Oldest,
    /// Where another reading ended.
    At(Position),
}

/// How to subscribe. The default begins at the head and skips nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// Where to begin.
    pub start: Start,
    /// What to do when the reader is too slow.
    pub mode: Mode,
}

impl SubscribeOptions {
    /// Options from both their parts.
    pub const fn new(start: Start, mode: Mode) -> Self {
        Self { start, mode }
    }
}

/// Beyond so many waiting events, [`Mode::Latest`] skips.
const MAX_LAG_EVENTS: u64 = 20_000;
/// Beyond so much delay, [`Mode::Latest`] skips.
const MAX_LAG: Duration = Duration::from_secs(2);
/// So many matching events are left when it has skipped.
const SCREEN: usize = 200;

/// The most events of one delivery, so that a reader can stop between two without holding a group.
const MAX_BATCH: usize = 1_000;

/// A stream of [`Delivery`]: the events that a filter accepts, and what there is to know about
/// the others. It holds no event and no queue; dropping it ends it.
///
/// # Cancel safety
/// Dropping [`Subscription::next`] before it gives a delivery loses nothing.
pub struct Subscription {
    shared: Arc<Shared>,
    registration: Registration,
    mode: Mode,
    position: Position,
    /// Whether the journal has confirmed that the position's epoch reaches so far.
    is_confirmed: bool,
    /// What matched from the registration up to the position. `None` where nobody can tell, as at a
    /// position that the ring has yet to reach; a new registration follows as soon as it can.
    taken: Option<LevelCounts>,
    is_caught_up: bool,
    /// Up to here the reader asked for everything, whatever its mode.
    replay_until: u64,
    /// The head when the subscription began. Events before it waited for the subscription, not
    /// for a slow reader, so their age is no reason to skip.
    began_at: u64,
    work: Option<Work>,
}

/// What a subscription waits for beside the next event.
enum Work {
    Read(BoxFuture<'static, Result<Option<Group>, ReadError>>),
    /// Counting what is passed over in the range.
    Count(Range<u64>, DropReason, BoxFuture<'static, Option<LevelCounts>>),
}

impl Subscription {
    pub(super) fn new(
        shared: Arc<Shared>,
        filter: &Filter,
        options: SubscribeOptions,
    ) -> Result<Self, SubscribeError> {
        let canonical = live(filter)?;
        let registration = shared.ring().register(&canonical)?;
        let head = Position { seq: registration.since, ..shared.ring().head() };
        let position = match options.start {
            Start::Head => head,
            Start::Oldest => shared.journal.oldest(),
            Start::At(position) => position,
        };
        let is_confirmed =
            position.epoch == head.epoch && position.seq <= shared.journal.head().seq;
        Ok(Self {
            taken: nothing_taken(&registration, position),
            shared,
            registration,
            mode: options.mode,
            position,
            is_confirmed,
            is_caught_up: false,
            replay_until: 0,
            began_at: head.seq,
            work: None,
        })
    }

    /// The next delivery. Ends only with the hub, so never for an owner of one.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.poll_delivery(cx)).await
    }

    /// The position behind what was delivered: a subscription from here goes on without a hole or
    /// a repeat.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The filter, simplified.
    pub fn filter(&self) -> &Filter {
        self.registration.filter()
    }

    /// How many events are in the ring from the first on that waits for this subscription, and for
    /// how long that one has.
    pub fn lag(&self) -> (u64, Duration) {
        let ring = self.shared.ring();
        let waiting = ring.waiting_from(&self.registration, self.position.seq);
        waiting.map_or((0, Duration::ZERO), |from| ring.lag(from))
    }

    /// Puts another filter in the place of this one, at the same position.
    ///
    /// # Errors
    /// The filter uses relative times or is too costly; the old one stays.
    pub fn set_filter(&mut self, filter: &Filter) -> Result<(), SubscribeError> {
        let canonical = live(filter)?;
        let shared = self.shared.clone();
        let registration = shared.ring().register(&canonical)?;
        let waker = self.renew(&mut shared.ring(), registration);
        drop(waker);
        // A count under way was for the old filter.
        self.work = None;
        Ok(())
    }

    /// Tells the range since the last delivery if nothing in it matched, and moves behind it; for
    /// protocols that report progress while nothing happens. `None` if there is no such range.
    pub fn progress(&mut self) -> Option<Delivery> {
        if !self.is_confirmed || self.work.is_some() {
            return None;
        }
        let ring = self.shared.ring();
        let (start, head) = (self.position.seq, ring.head());
        match ring.next(&self.registration, ring.pass_quiet(&self.registration, start)) {
            Next::AtHead if start < head.seq => {
                self.position = head;
                Some(Delivery::Progress { range: start..head.seq })
            }
            _ => None,
        }
    }

    /// Asks for everything up to the present head, also in [`Mode::Latest`]; for a reader that has
    /// paused on purpose.
    pub fn replay(&mut self) {
        self.replay_until = self.shared.ring().head().seq;
    }

    /// Passes over everything up to the present head; tells what that was, as dropped or, where
    /// nothing matched, as progress. `None` at the head.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next delivery then tells what was passed over.
    pub async fn skip_to_head(&mut self) -> Option<Delivery> {
        let head = self.shared.ring().head().seq;
        if !self.is_confirmed || self.position.seq >= head {
            return None;
        }
        self.work = None;
        self.start_drop(self.position.seq..head, DropReason::SlowReader);
        self.next().await
    }

    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            if let Some(work) = &mut self.work {
                let delivery = match work {
                    Work::Read(read) => {
                        let result = ready!(read.as_mut().poll(cx));
                        self.work = None;
                        self.take_read(result)
                    }
                    Work::Count(range, reason, count) => {
                        let (range, reason) = (range.clone(), *reason);
                        let counts = ready!(count.as_mut().poll(cx));
                        self.work = None;
                        self.drop_range(range, counts, reason)
                    }
                };
                match delivery {
                    Some(delivery) => return Poll::Ready(Some(delivery)),
                    None => continue,
                }
            }
            if !self.is_confirmed {
                self.work = Some(Work::Read(self.shared.read(self.position)));
                continue;
            }
            if let Some(poll) = self.step(cx.waker()) {
                return poll.map(Some);
            }
        }
    }

    /// One look at the ring; `None` to look again.
    fn step(&mut self, waker: &Waker) -> Option<Poll<Delivery>> {
        let shared = self.shared.clone();
        let mut ring = shared.ring();
        let from = self.position.seq;
        let is_counted = self.taken.is_some() && ring.has_counted(&self.registration);
        if !is_counted && ring.head().seq >= from {
            // One more of a filter that is there is never refused.
            let waker = match ring.register(&self.registration.canonical) {
                Ok(registration) => self.renew(&mut ring, registration),
                Err(TooCostly) => None,
            };
            drop((ring, waker));
            return None;
        }
        let known = ring.pass_quiet(&self.registration, from);
        if known > from {
            self.position.seq = known;
            return Some(Poll::Ready(Delivery::Progress { range: from..known }));
        }
        let next = ring.next(&self.registration, from);
        if let Some(to) = self.should_skip(&ring, &next) {
            drop(ring);
            self.start_drop(from..to, DropReason::SlowReader);
            return None;
        }
        match next {
            Next::BehindRing => {
                drop(ring);
                self.is_caught_up = false;
                self.work = Some(Work::Read(self.shared.read(self.position)));
                None
            }
            Next::AtHead if self.is_caught_up => {
                let replaced = ring.park(&self.registration, waker);
                drop((ring, replaced));
                Some(Poll::Pending)
            }
            Next::AtHead => {
                let head = ring.head();
                drop(ring);
                if from < head.seq {
                    self.position = head;
                    return Some(Poll::Ready(Delivery::Progress { range: from..head.seq }));
                }
                self.is_caught_up = true;
                Some(Poll::Ready(Delivery::CaughtUp { at: from }))
            }
            Next::Group { group, matches, passed, .. } => {
                drop(ring);
                let matches = matches.unwrap_or_else(|| self.evaluate(&group.group));
                let end = group.group.end_seq();
                Some(Poll::Ready(self.deliver(group, matches, end, passed)))
            }
        }
    }

    /// Where to go on if the mode says that the reader is too slow for what comes next. Events
    /// that do not match wait for nobody.
    fn should_skip(&self, ring: &Ring, next: &Next) -> Option<u64> {
        let from = self.position.seq;
        let at = match next {
            Next::Group { at, .. } => *at,
            Next::BehindRing => from,
            Next::AtHead => return None,
        };
        if self.mode == Mode::Lossless || from < self.replay_until {
            return None;
        }
        // Numbers may have holes, so this is at least the number of events.
        let is_far = ring.head().seq.saturating_sub(at) > MAX_LAG_EVENTS;
        let is_late = at >= self.began_at && ring.lag(at).1 > MAX_LAG;
        if !is_far && !is_late {
            return None;
        }
        let to = ring.last_screen(&self.registration, from, SCREEN);
        (to > at).then_some(to)
    }

    /// The events of a group that match, as many as one delivery takes and one more.
    fn evaluate(&self, group: &Group) -> Arc<[u32]> {
        indices(self.registration.filter(), group, self.position.seq, MAX_BATCH + 1).into()
    }

    /// Puts a registration in the place of the one there is; gives a waker that is to be dropped
    /// without the lock.
    fn renew(&mut self, ring: &mut Ring, registration: Registration) -> Option<Waker> {
        let waker = ring.release(&self.registration);
        self.taken = nothing_taken(&registration, self.position);
        self.registration = registration;
        waker
    }

    /// Delivers what matches of a group between the position and `end`.
    fn deliver(&mut self, shown: Shown, matches: Arc<[u32]>, end: u64, passed: u64) -> Delivery {
        let group = &shown.group;
        let bound = |seq| {
            let first = group.index_of(seq);
            matches.partition_point(|at| (*at as usize) < first)
        };
        let mut part = bound(self.position.seq)..bound(end);
        let mut end = end;
        if part.len() > MAX_BATCH {
            part.end = part.start + MAX_BATCH;
            // The next delivery begins with the first event that did not fit.
            let next = matches.get(part.end).and_then(|at| group.get(*at as usize));
            end = next.map_or(end, |log| log.seq());
        }
        let range = self.position.seq..end;
        let scanned = passed + (group.index_of(end) - group.index_of(range.start)) as u64;
        let counted = matches.get(part.clone()).unwrap_or_default();
        let counted = counted.get(bound(self.registration.since).saturating_sub(part.start)..);
        if let Some(taken) = &mut self.taken {
            *taken += levels(group, counted.unwrap_or_default());
        }
        self.position = Position { epoch: self.position.epoch, seq: end };
        if part.is_empty() {
            Delivery::Progress { range }
        } else {
            Delivery::Batch(Delivered { shown, matches, part, range, scanned })
        }
    }

    /// Goes on with what the journal gave.
    fn take_read(&mut self, result: Result<Option<Group>, ReadError>) -> Option<Delivery> {
        let head = self.shared.ring().head();
        let (resume, reason) = match result {
            Ok(group) => {
                self.confirm(head);
                return group.and_then(|group| self.take_group(group, head.seq));
            }
            Err(ReadError::Expired { oldest }) => {
                self.confirm(head);
                self.start_drop(self.position.seq..oldest.seq, DropReason::Retention);
                return None;
            }
            Err(ReadError::Io(_)) => {
                self.confirm(head);
                self.start_drop(self.position.seq..head.seq, DropReason::Damaged);
                return None;
            }
            Err(ReadError::Diverged { resume }) => (resume, DropReason::Diverged),
            Err(ReadError::Foreign) => (self.shared.journal.oldest(), DropReason::ForeignCursor),
        };
        self.position = resume;
        self.confirm(head);
        self.drop_range(resume.seq..resume.seq, None, reason)
    }

    /// Delivers from a group that was read; the ring says how far the live end is.
    fn take_group(&mut self, group: Group, head: u64) -> Option<Delivery> {
        let mut end = group.end_seq().min(head);
        if end <= self.position.seq {
            return None;
        }
        if let Some(gap) = group.unreadable().iter().find(|gap| gap.end > self.position.seq) {
            if gap.start <= self.position.seq {
                let range = self.position.seq..gap.end.min(end);
                return self.drop_range(range, None, DropReason::Damaged);
            }
            end = end.min(gap.start);
        }
        let matches = self.evaluate(&group);
        Some(self.deliver(Shown { group, texts: None }, matches, end, 0))
    }

    fn confirm(&mut self, head: Position) {
        self.is_confirmed = true;
        self.position.epoch = head.epoch;
    }

    /// Begins to pass over `range`; the counts come from the ring as far as it has them, else from
    /// a look at the journal.
    fn start_drop(&mut self, range: Range<u64>, reason: DropReason) {
        let (journal, filter) = (self.shared.journal.clone(), self.registration.filter().clone());
        let ring = self.shared.ring();
        let count = |range| ring.count(&self.registration, range, self.taken?);
        let oldest = ring.oldest();
        let (counted, up_to_ring) = (count(range.clone()), count(range.start..oldest));
        drop(ring);
        let future: BoxFuture<'static, _> = match (counted, up_to_ring) {
            (Some(counts), _) => Box::pin(std::future::ready(Some(counts))),
            // All that passed, less what is still there between the range and the ring.
            (None, Some(all)) => Box::pin(async move {
                Some(all - count::count(journal, filter, range.end..oldest).await?)
            }),
            (None, None) => Box::pin(count::count(journal, filter, range.clone())),
        };
        self.work = Some(Work::Count(range, reason, future));
    }

    /// Passes over `range`.
    fn drop_range(
        &mut self,
        range: Range<u64>,
        by_level: Option<LevelCounts>,
        reason: DropReason,
    ) -> Option<Delivery> {
        self.position.seq = range.end;
        self.take_dropped(&range, by_level);
        let is_nothing = by_level.is_some_and(|counts| counts.total() == 0);
        match (is_nothing, range.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Delivery::Progress { range }),
            _ => Some(Delivery::Dropped(Dropped { range, by_level, reason })),
        }
    }

    /// Keeps `taken` what it is: all that matched from the registration to the position.
    fn take_dropped(&mut self, range: &Range<u64>, by_level: Option<LevelCounts>) {
        let since = self.registration.since;
        if range.end <= since {
            return;
        }
        let counted = if range.start >= since {
            by_level
        } else {
            let ring = self.shared.ring();
            ring.count(&self.registration, since..range.end, LevelCounts::default())
        };
        self.taken = self.taken.zip(counted).map(|(mut taken, counts)| {
            taken += counts;
            taken
        });
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.poll_delivery(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let waker = self.shared.ring().release(&self.registration);
        drop(waker);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filter", self.registration.filter())
            .field("mode", &self.mode)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// What a subscription at `position` has taken since it was registered.
fn nothing_taken(registration: &Registration, position: Position) -> Option<LevelCounts> {
    (position.seq <= registration.since).then(LevelCounts::default)
}

/// The filter made ready, if it means the same at all times.
fn live(filter: &Filter) -> Result<Canonical, SubscribeError> {
    if filter.uses_now() { Err(SubscribeError::RelativeTime) } else { Ok(Canonical::of(filter)) }
}
