//! The live end of a journal: everyone who watches, each with a filter of their own.
//!
//! A subscription is a position, a filter and a waker: no queue, no copy of an event, no group held.
//! Groups are evaluated once for each distinct filter; a subscription that is behind the ring
//! reads the journal. Publishing never waits for a subscriber.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crate::filter::{Filter, FilterId, Matcher, Matches, ParseFilterError};
use crate::{
    BoxFuture, EntryError, Group, Journal, Log, MemoryJournal, NewBatch, Position, ReadError,
};

mod count;
mod delivery;
mod ring;
mod subscription;
mod texts;

pub use delivery::{Delivered, Delivery, DropReason, Dropped};
pub use subscription::{Mode, Start, SubscribeOptions, Subscription};

use ring::{Changes, Ring, TooCostly};

/// The bytes of events the ring keeps by default.
pub const DEFAULT_RING_BYTES: usize = 16 << 20;

/// How many bytes of a journal are read at once.
const READ_BYTES: usize = 256 << 10;

/// Distributes events to subscriptions. Cloning gives another handle to the same hub.
///
/// # Examples
///
/// ```
/// use logmon_core::hub::{Delivery, Hub};
/// use logmon_core::{Level, Log};
///
/// # tokio_test::block_on(async {
/// let hub = Hub::in_memory();
/// let mut warnings = hub.subscribe("level>=warn")?;
/// hub.publish(&Log::new("all is well").level(Level::Info))?;
/// hub.publish(&Log::new("disk is nearly full").level(Level::Warn))?;
/// while let Some(delivery) = warnings.next().await {
///     if let Delivery::Batch(batch) = delivery {
///         assert_eq!(batch.logs().next().unwrap().to_log().message, "disk is nearly full");
///         break;
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

pub(crate) struct Shared {
    journal: Arc<dyn Journal>,
    /// The same journal, where the hub itself appends to it.
    memory: Option<Arc<MemoryJournal>>,
    ring: Mutex<Ring>,
    /// The filters as the last evaluation knew them. Held from appending to evaluating, so that
    /// groups reach the ring in order; taken before the ring's lock.
    matcher: Mutex<Matcher>,
}

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The text is no filter.
    #[error(transparent)]
    Filter(#[from] ParseFilterError),
    /// The filter compares with `now`, which would change while the subscription lives.
    #[error("a live filter cannot use relative times such as `now-1h`")]
    RelativeTime,
    /// There are many regular expressions already for which every message has to be searched.
    #[error(
        "there are too many regular expressions at work already; use one that contains a fixed text \
         of three characters or more, which can be looked for first"
    )]
    TooCostly,
}

impl From<TooCostly> for SubscribeError {
    fn from(_: TooCostly) -> Self {
        Self::TooCostly
    }
}

/// Why an event was not published.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event cannot be written.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The hub reads a journal that others append to; append there.
    #[error("this hub follows a journal; append to the journal instead")]
    Following,
}

impl Hub {
    /// A hub over a journal in memory that keeps the newest 16 MiB. It needs no runtime.
    pub fn in_memory() -> Self {
        Self::in_memory_with(DEFAULT_RING_BYTES)
    }

    /// A hub over a journal in memory that keeps the newest `max_bytes`.
    pub fn in_memory_with(max_bytes: usize) -> Self {
        let journal = Arc::new(MemoryJournal::new(max_bytes));
        Self::build(journal.clone(), Some(journal), max_bytes)
    }

    /// A hub that follows a journal from its present head. It lives by [`Hub::run`].
    pub fn following(journal: Arc<dyn Journal>, ring_bytes: usize) -> Self {
        Self::build(journal, None, ring_bytes)
    }

    fn build(
        journal: Arc<dyn Journal>,
        memory: Option<Arc<MemoryJournal>>,
        ring_bytes: usize,
    ) -> Self {
        let ring = Mutex::new(Ring::new(journal.head(), ring_bytes));
        Self(Arc::new(Shared { journal, memory, ring, matcher: Mutex::default() }))
    }

    /// Publishes one event at once. Never blocks on a subscriber.
    ///
    /// # Errors
    /// The event cannot be written (metadata nested too deep), or the hub follows a journal.
    pub fn publish(&self, log: &Log) -> Result<(), PublishError> {
        self.publish_batch(&log.to_batch()?)
    }

    /// Publishes the events of a batch at once.
    ///
    /// # Errors
    /// The hub follows a journal.
    pub fn publish_batch(&self, batch: &NewBatch) -> Result<(), PublishError> {
        let Some(memory) = &self.0.memory else { return Err(PublishError::Following) };
        let mut matcher = self.0.matcher();
        let wakers = self.0.admit(&mut matcher, &memory.append_now(batch));
        // Without the lock: a waker is the code of others, and may publish.
        drop(matcher);
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Subscribes to the events from now on that a query accepts, skipping none
    /// ([`Mode::Lossless`]).
    ///
    /// # Errors
    /// The query cannot be read, or uses relative times.
    pub fn subscribe(&self, query: &str) -> Result<Subscription, SubscribeError> {
        self.subscribe_with(&Filter::parse(query)?, SubscribeOptions::default())
    }

    /// Subscribes with a filter from a position in a mode.
    ///
    /// # Errors
    /// The filter uses relative times.
    pub fn subscribe_with(
        &self,
        filter: &Filter,
        options: SubscribeOptions,
    ) -> Result<Subscription, SubscribeError> {
        Subscription::new(self.0.clone(), filter, options)
    }

    /// The position behind the newest event that subscriptions can have.
    pub fn head(&self) -> Position {
        self.0.ring().head()
    }

    /// The number of distinct filters that are evaluated.
    pub fn filters(&self) -> usize {
        self.0.ring().filters()
    }

    /// How often an atom was tested on one event because no index finds the events that pass it, as
    /// for regular expressions and phrases.
    pub fn tests(&self) -> u64 {
        self.0.matcher().tests()
    }

    /// Follows the journal until `shutdown` resolves or the journal is closed. Only one call may
    /// run at a time.
    ///
    /// # Cancel safety
    /// Safe: a later call goes on where this one stopped.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                more = self.0.follow() => if !more { return },
            }
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("journal", &self.0.journal).finish_non_exhaustive()
    }
}

impl Shared {
    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        // Every change of the ring leaves it valid, so a panic elsewhere does not spoil it.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn matcher(&self) -> std::sync::MutexGuard<'_, Matcher> {
        // A filter that was half taken in finds too little, which is told by no count; but nothing
        // that is evaluated panics.
        self.matcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates a group; gives the wakers of those who wait for one of its events.
    ///
    /// The evaluation runs without the ring's lock: subscriptions come, go and read meanwhile.
    fn admit(&self, matcher: &mut Matcher, group: &Group) -> Vec<Waker> {
        let changes = self.ring().take_changes();
        apply(matcher, changes);
        let mut found = matcher.evaluate(group.iter());
        for _ in 0..MOST_ROUNDS {
            let mut ring = self.ring();
            let late = ring.take_changes();
            if late.is_empty() {
                return ring.admit(group, found);
            }
            drop(ring);
            catch_up(matcher, late, group, &mut found);
        }
        let mut ring = self.ring();
        let late = ring.take_changes();
        catch_up(matcher, late, group, &mut found);
        ring.admit(group, found)
    }

    /// Takes the next group from the journal; `false` when there will be no more.
    async fn follow(&self) -> bool {
        let head = self.ring().head();
        let wakers = match self.journal.read(head, READ_BYTES).await {
            Ok(Some(group)) => self.admit(&mut self.matcher(), &group),
            Ok(None) => {
                self.journal.advanced(head.seq).await;
                return self.journal.head().seq > head.seq;
            }
            // The hub fell behind retention; subscriptions learn it when they read on.
            Err(ReadError::Expired { oldest } | ReadError::Diverged { resume: oldest }) => {
                self.ring().restart(oldest)
            }
            Err(ReadError::Foreign | ReadError::Io(_)) => {
                // A damaged place: go on behind what is there now, and tell it as a gap.
                let end = self.journal.head();
                if end == head {
                    self.journal.advanced(head.seq).await;
                    return self.journal.head().seq > head.seq;
                }
                self.ring().restart(end)
            }
        };
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    fn read(
        self: &Arc<Self>,
        from: Position,
    ) -> BoxFuture<'static, Result<Option<Group>, ReadError>> {
        let shared = self.clone();
        Box::pin(async move { shared.journal.read(from, READ_BYTES).await })
    }
}

/// So often filters that came during an evaluation are evaluated without the ring's lock.
const MOST_ROUNDS: usize = 3;

/// Brings the filters up to date.
fn apply(matcher: &mut Matcher, changes: Changes) {
    for (id, filter) in changes {
        matcher.remove(id);
        if let Some(filter) = filter {
            matcher.insert(id, &filter);
        }
    }
}

/// Evaluates the filters that came after a group was, which have it ahead of them.
fn catch_up(matcher: &mut Matcher, late: Changes, group: &Group, found: &mut Vec<Matches>) {
    found.retain(|matches| !late.contains_key(&matches.filter));
    let mut newcomers = Matcher::default();
    let came = late.iter().filter_map(|(id, filter)| Some((*id, filter.as_ref()?)));
    came.for_each(|(id, filter): (FilterId, _)| newcomers.insert(id, filter));
    found.extend(newcomers.evaluate(group.iter()));
    apply(matcher, late);
}

#[cfg(test)]
mod tests;
