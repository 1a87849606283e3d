//! Bytes that connections may hold between reading and durability.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Who has waited so long for bytes of the budget asks those who hold some and do not use them to
/// give them up.
pub(super) const PRESSURE_AFTER: Duration = Duration::from_secs(5);

/// What is too little to be asked for.
const LIGHT: usize = 64 << 10;

/// The budget of a process, and one pass beyond it.
///
/// When all of the budget is taken by messages that are only half here, none of them could ever
/// be completed. Then one connection at a time gets the pass and reads on without counting, until
/// its message is durable. A message bigger than what one connection may hold needs it, too.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: Arc<Semaphore>,
    pass: Arc<Semaphore>,
    pressure: Arc<Notify>,
    limit: usize,
}

/// What one connection holds for bytes it has read and not passed on.
#[derive(Debug)]
pub(super) struct Credit {
    all: Arc<Semaphore>,
    pass: Arc<Semaphore>,
    pressure: Arc<Notify>,
    own: Arc<Semaphore>,
    all_limit: usize,
    own_limit: usize,
    held: Held,
    /// What was passed on without being covered; the next bytes wait until so much is free.
    owed: usize,
}

/// Permits for bytes; dropping them gives the bytes back.
#[derive(Debug, Default)]
pub(super) struct Held {
    of_all: Option<OwnedSemaphorePermit>,
    of_own: Option<OwnedSemaphorePermit>,
    pass: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        let limit = bytes.min(Semaphore::MAX_PERMITS);
        let (bytes, pass) = (Arc::new(Semaphore::new(limit)), Arc::new(Semaphore::new(1)));
        Self { bytes, pass, pressure: Arc::default(), limit }
    }

    /// The credit of a new connection that may hold `limit` bytes.
    pub(super) fn credit(&self, limit: usize) -> Credit {
        let own_limit = limit.min(self.limit).min(u32::MAX as usize);
        Credit {
            all: self.bytes.clone(),
            pass: self.pass.clone(),
            pressure: self.pressure.clone(),
            own: Arc::new(Semaphore::new(own_limit)),
            all_limit: self.limit,
            own_limit,
            held: Held::default(),
            owed: 0,
        }
    }
}

impl Credit {
    /// Waits until it covers `bytes`. `is_inside` tells that a message waits for its rest.
    ///
    /// # Cancel safety
    /// Safe; what was got is kept.
    pub(super) async fn reach(&mut self, bytes: usize, is_inside: bool) {
        if self.held.pass.is_some() {
            return;
        }
        if bytes > self.own_limit {
            self.held.pass = self.pass.clone().acquire_owned().await.ok();
            return;
        }
        let bytes = bytes.saturating_add(self.owed).min(self.own_limit);
        if let Some(missing) = missing(self.held.of_own.as_ref(), bytes) {
            // Only this connection's own commits are waited for here.
            let more = self.own.clone().acquire_many_owned(missing).await;
            merge(&mut self.held.of_own, more.ok());
        }
        self.owed = 0;
        let Some(missing) = missing(self.held.of_all.as_ref(), bytes) else { return };
        let more = pressing(&self.pressure, self.all.clone().acquire_many_owned(missing));
        if is_inside {
            tokio::select! {
                biased;
                more = more => merge(&mut self.held.of_all, more.ok()),
                pass = self.pass.clone().acquire_owned() => self.held.pass = pass.ok(),
            }
        } else {
            merge(&mut self.held.of_all, more.await.ok());
        }
    }

    /// Ready when others have waited long for what this holds; never where that is little.
    ///
    /// # Cancel safety
    /// Safe; who still waits asks again.
    pub(super) async fn pressed(&self) {
        match self.held.of_all.as_ref().map_or(0, held_bytes) {
            0..=LIGHT => std::future::pending().await,
            _ => self.pressure.notified().await,
        }
    }

    /// The most the connection may hold without the pass.
    pub(super) fn limit(&self) -> usize {
        self.own_limit
    }

    /// Whether little of what all may hold is left: less than a quarter.
    pub(super) fn is_scarce(&self) -> bool {
        self.all.available_permits() < self.all_limit / 4
    }

    /// How many bytes the connection holds, with those that are on their way to the disk.
    pub(super) fn in_flight(&self) -> usize {
        self.own_limit.saturating_sub(self.own.available_permits())
    }

    /// How many bytes it covers beside `used` ones.
    pub(super) fn room(&self, used: usize) -> usize {
        match self.held.pass {
            Some(_) => usize::MAX,
            None => self.held.of_all.as_ref().map_or(0, held_bytes).saturating_sub(used),
        }
    }

    /// Covers up to `bytes`, as far as that goes without waiting: for what a message came to be in
    /// memory beyond its bytes, which is there already.
    pub(super) fn stretch(&mut self, bytes: usize) {
        let Held { of_all, of_own, .. } = &mut self.held;
        for (held, permits) in [(of_all, &self.all), (of_own, &self.own)] {
            let Some(missing) = missing(held.as_ref(), bytes) else { continue };
            let free = u32::try_from(permits.available_permits()).unwrap_or(u32::MAX);
            // Another connection may be faster; then nothing is got.
            merge(held, permits.clone().try_acquire_many_owned(missing.min(free)).ok());
        }
    }

    /// Gives the part for a message that has been decoded, to be held until it is durable. Where
    /// it is more than is covered, the next bytes wait for the rest to become free.
    pub(super) fn pass_on(&mut self, bytes: usize) -> Held {
        if self.held.pass.is_none() {
            let covered = self.held.of_own.as_ref().map_or(0, held_bytes);
            self.owed = self.owed.saturating_add(bytes.saturating_sub(covered));
        }
        Held {
            of_all: split(&mut self.held.of_all, bytes),
            of_own: split(&mut self.held.of_own, bytes),
            pass: self.held.pass.take(),
        }
    }

    /// Gives back all but what covers `bytes`.
    pub(super) fn keep(&mut self, bytes: usize) {
        for held in [&mut self.held.of_all, &mut self.held.of_own] {
            let extra = held.as_ref().map_or(0, held_bytes).saturating_sub(bytes);
            drop(split(held, extra));
        }
        if bytes == 0 {
            self.held.pass = None;
        }
    }
}

/// Waits for bytes, and says so now and then.
async fn pressing<T>(pressure: &Notify, more: impl Future<Output = T>) -> T {
    let mut more = std::pin::pin!(more);
    loop {
        match timeout(PRESSURE_AFTER, &mut more).await {
            Ok(more) => return more,
            Err(_) => pressure.notify_waiters(),
        }
    }
}

fn held_bytes(permit: &OwnedSemaphorePermit) -> usize {
    permit.num_permits()
}

fn missing(held: Option<&OwnedSemaphorePermit>, bytes: usize) -> Option<u32> {
    let missing = bytes.saturating_sub(held.map_or(0, held_bytes));
    (missing > 0).then(|| u32::try_from(missing).unwrap_or(u32::MAX))
}

fn merge(held: &mut Option<OwnedSemaphorePermit>, more: Option<OwnedSemaphorePermit>) {
    match (held.as_mut(), more) {
        (Some(held), Some(more)) => held.merge(more),
        (None, more) => *held = more,
        (Some(_), None) => {}
    }
}

fn split(held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let bytes = bytes.min(held.as_ref().map_or(0, held_bytes));
    if bytes == held.as_ref().map_or(0, held_bytes) {
        held.take()
    } else {
        held.as_mut()?.split(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    async fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn what_is_held_comes_back_when_it_is_durable() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.credit(80), budget.credit(80));
        a.reach(70, false).await;
        assert!(!is_ready(b.reach(50, false)).await);
        let durable_soon = a.pass_on(60);
        a.keep(5);
        assert!(!is_ready(b.reach(50, false)).await);
        drop(durable_soon);
        assert!(is_ready(b.reach(50, false)).await);
        assert_eq!((a.room(0), b.room(20)), (5, 30));
    }

    #[tokio::test]
    async fn a_connection_waits_for_its_own_commits() {
        let budget = Budget::new(1_000);
        let mut a = budget.credit(80);
        a.reach(80, false).await;
        let durable_soon = a.pass_on(50);
        assert!(!is_ready(a.reach(60, true)).await);
        assert_eq!(a.in_flight(), 80);
        drop(durable_soon);
        assert!(is_ready(a.reach(60, true)).await);
        assert_eq!(a.in_flight(), 60);
    }

    #[tokio::test]
    async fn what_is_there_already_takes_what_is_free() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.credit(80), budget.credit(80));
        a.reach(20, false).await;
        a.stretch(60);
        let durable_soon = a.pass_on(50);
        assert_eq!(a.room(0), 10);
        assert!(!is_ready(b.reach(50, false)).await);
        a.stretch(1_000);
        assert_eq!(a.room(0), 50, "all there was");
        drop(durable_soon);
        a.keep(0);
        assert!(is_ready(b.reach(50, false)).await);
    }

    #[tokio::test]
    async fn what_is_not_covered_is_waited_for() {
        let budget = Budget::new(100);
        let mut a = budget.credit(80);
        a.reach(10, false).await;
        let (first, second) = (a.pass_on(10), a.pass_on(60));
        assert!(!is_ready(a.reach(30, false)).await);
        drop(second);
        assert!(!is_ready(a.reach(30, false)).await);
        drop(first);
        assert!(is_ready(a.reach(30, false)).await);
        a.keep(0);
        assert!(is_ready(a.reach(80, false)).await);
    }

    /// Messages half here that hold everything cannot block each other for ever.
    #[tokio::test]
    async fn one_half_message_may_go_on_at_a_time() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.credit(80), budget.credit(80));
        a.reach(50, false).await;
        b.reach(50, false).await;
        assert!(is_ready(a.reach(60, true)).await);
        assert!(!is_ready(b.reach(60, true)).await);
        drop(a.pass_on(50));
        assert!(is_ready(b.reach(60, true)).await);
    }

    /// Who holds much and does nothing is told that others wait; who holds little is not.
    #[tokio::test(start_paused = true)]
    async fn waiting_presses() {
        let budget = Budget::new(1 << 20);
        let (mut idle, mut light, mut next) =
            (budget.credit(1 << 20), budget.credit(1 << 20), budget.credit(1 << 20));
        idle.reach(900 << 10, false).await;
        light.reach(LIGHT, false).await;
        let begin = tokio::time::Instant::now();
        tokio::select! {
            () = next.reach(900 << 10, false) => panic!("there is not so much"),
            () = light.pressed() => panic!("it holds little"),
            () = idle.pressed() => {}
        }
        assert_eq!(begin.elapsed(), PRESSURE_AFTER);
        idle.keep(0);
        next.reach(900 << 10, false).await;
    }

    /// A message beyond what a connection may hold is let through alone.
    #[tokio::test]
    async fn a_big_message_goes_alone() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.credit(80), budget.credit(80));
        assert!(is_ready(a.reach(500, true)).await);
        assert!(!is_ready(b.reach(500, true)).await);
        let durable_soon = a.pass_on(500);
        assert!(!is_ready(b.reach(500, true)).await);
        drop(durable_soon);
        assert!(is_ready(b.reach(500, true)).await);
        assert_eq!(b.room(0), usize::MAX);
    }
}
