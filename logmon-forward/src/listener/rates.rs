//! How often something may happen for one address, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many addresses are remembered.
const REMEMBERED: usize = 4096;

/// The addresses that one host can choose from count as one.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Lets so many things a second through for one address.
#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    /// When what an address has used up will be free again.
    free_at: HashMap<IpAddr, Instant>,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), free_at: HashMap::new() }
    }

    /// Whether one more is let through. A second's worth may come at once.
    pub(super) fn admit(&mut self, ip: IpAddr) -> bool {
        let (now, ip) = (Instant::now(), source(ip));
        if self.free_at.len() >= REMEMBERED && !self.free_at.contains_key(&ip) {
            self.free_at.retain(|_, free_at| *free_at > now);
            if self.free_at.len() >= REMEMBERED {
                return false;
            }
        }
        let free_at = self.free_at.entry(ip).or_insert(now);
        let next = (*free_at).max(now) + self.interval;
        let is_in_time = next.duration_since(now) <= Duration::from_secs(1);
        if is_in_time {
            *free_at = next;
        }
        is_in_time
    }
}

/// The first wait after a failure, and the longest.
const DELAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Failures are forgotten after so long without another.
const MEMORY: Duration = Duration::from_secs(60);

/// How often addresses have failed to log in.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Failures {
    /// Counts a failure and tells how long the answer is to wait: the more failures, the longer.
    /// Where too many addresses fail at once, those that are not known wait longest.
    pub(super) fn delay(&self, ip: IpAddr) -> Duration {
        let (now, ip) = (Instant::now(), source(ip));
        // Nothing panics while the lock is held.
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED && !failures.contains_key(&ip) {
            failures.retain(|_, (at, _)| now.duration_since(*at) < MEMORY);
            if failures.len() >= REMEMBERED {
                return DELAY.1;
            }
        }
        let (at, count) = failures.entry(ip).or_insert((now, 0));
        if now.duration_since(*at) >= MEMORY {
            *count = 0;
        }
        let delay = (DELAY.0 * 2u32.saturating_pow((*count).min(8))).min(DELAY.1);
        (*at, *count) = (now, count.saturating_add(1));
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    /// F-102, R-042.
    #[tokio::test(start_paused = true)]
    async fn ten_a_second_pass() {
        let mut rate = Rate::new(10);
        assert_eq!((0..10_000).filter(|_| rate.admit(ip(1))).count(), 10);
        assert!(rate.admit(ip(2)));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!((0..100).filter(|_| rate.admit(ip(1))).count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let (mut rate, failures) = (Rate::new(1), Failures::default());
        for number in 0..10_000 {
            rate.admit(ip(number));
            failures.delay(ip(number));
        }
        assert_eq!(rate.free_at.len(), REMEMBERED);
        assert_eq!(failures.0.lock().unwrap().len(), REMEMBERED);
        assert!(!rate.admit(ip(20_000)));
        assert_eq!(failures.delay(ip(20_000)), DELAY.1);
        tokio::time::advance(MEMORY).await;
        assert!(rate.admit(ip(20_000)));
        assert_eq!(failures.delay(ip(20_000)), DELAY.0);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_cost_ever_more_time() {
        let failures = Failures::default();
        let delays: Vec<_> = (0..8).map(|_| failures.delay(ip(1)).as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(failures.delay(ip(2)).as_millis(), 50);
    }

    #[test]
    fn one_host_is_one_source() {
        let parse = |ip: &str| source(ip.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:2"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
    }
}
