//! How long a message may take.

use std::time::Duration;

use tokio::time::Instant;

/// The time that a peer may let us wait inside one message.
///
/// A peer that sends a byte now and then would otherwise hold for ever what the message holds.
/// Waiting uses patience up and bytes give it back, so that a slow line is no fault; only the time
/// spent waiting for the peer counts, not the time the peer waits for us.
#[derive(Debug)]
pub(super) struct Patience {
    /// The most there is at a time.
    most: Duration,
    bytes_per_second: u64,
    left: Duration,
    /// What is left for the message as a whole.
    message: Duration,
    whole: Duration,
}

impl Patience {
    pub(super) fn new(most: Duration, bytes_per_second: u64, whole: Duration) -> Self {
        Self { most, bytes_per_second, left: most, message: whole, whole }
    }

    /// A message has ended.
    pub(super) fn renew(&mut self) {
        (self.left, self.message) = (self.most, self.whole);
    }

    /// How long the next byte may take.
    pub(super) fn limit(&self) -> Duration {
        self.left.min(self.message)
    }

    /// A wait that began then has ended.
    pub(super) fn waited(&mut self, since: Instant) {
        let waited = since.elapsed();
        self.left = self.left.saturating_sub(waited);
        self.message = self.message.saturating_sub(waited);
    }

    /// So many bytes have come.
    pub(super) fn earn(&mut self, bytes: usize) {
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.bytes_per_second.max(1);
        self.left = self.left.saturating_add(Duration::from_micros(micros)).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a peer holds out that sends so many bytes every so often.
    async fn endures(bytes: usize, every: Duration) -> Duration {
        let second = Duration::from_secs(1);
        let mut patience = Patience::new(300 * second, 1024, 3600 * second);
        let begin = Instant::now();
        loop {
            let since = Instant::now();
            if patience.limit() < every {
                tokio::time::advance(patience.limit()).await;
                return begin.elapsed();
            }
            tokio::time::advance(every).await;
            patience.waited(since);
            patience.earn(bytes);
        }
    }

    /// F-126: silence, a byte now and then, a slow line, and a line that is slow for too long.
    #[tokio::test(start_paused = true)]
    async fn slow_peers_are_told_from_stalling_ones() {
        let seconds = Duration::from_secs;
        assert_eq!(endures(0, seconds(1)).await, seconds(300));
        assert!(endures(1, seconds(299)).await < seconds(301));
        assert!(endures(512, seconds(1)).await < seconds(601));
        assert_eq!(endures(2048, seconds(1)).await, seconds(3600));
    }

    #[tokio::test(start_paused = true)]
    async fn every_message_begins_anew() {
        let mut patience = Patience::new(Duration::from_secs(10), 1, Duration::from_secs(20));
        let since = Instant::now();
        tokio::time::advance(Duration::from_secs(9)).await;
        patience.waited(since);
        assert_eq!(patience.limit(), Duration::from_secs(1));
        patience.renew();
        assert_eq!(patience.limit(), Duration::from_secs(10));
    }
}
