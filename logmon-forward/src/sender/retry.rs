//! How long to leave a destination alone.

use std::time::Duration;

use logmon_core::Retry;

/// The waits for one destination: ever longer ceilings, each wait a random share of its ceiling,
/// so that senders that failed together do not come back together.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    retry: Retry,
    failures: u32,
}

impl Backoff {
    pub(super) const fn new(retry: Retry) -> Self {
        Self { retry, failures: 0 }
    }

    /// The next wait; `share` is random in `0.0..1.0`.
    pub(super) fn next(&mut self, share: f64) -> Duration {
        let doubled = self.retry.first.saturating_mul(1 << self.failures.min(31));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.retry.most).mul_f64(share.clamp(0.0, 1.0))
    }

    /// Begins again from the shortest ceiling.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures there were in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

/// A random number in `0.0..1.0`; without randomness of the system, by the clock.
pub(super) fn random_share() -> f64 {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        let nanos = logmon_core::Timestamp::now().as_nanos().to_le_bytes();
        if let Some(low) = nanos.first_chunk::<4>() {
            bytes = *low;
        }
    }
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Retry::default());
        let waits: Vec<u64> = (0..12).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(backoff.failures(), 12);
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(500));
        assert_eq!(backoff.next(0.0), Duration::ZERO);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next(1.0), Duration::from_secs(300));
    }

    #[test]
    fn shares_are_below_one_and_differ() {
        let shares: Vec<f64> = (0..50).map(|_| random_share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        assert!(shares.iter().any(|share| (share - shares[0]).abs() > 1e-3));
    }
}
