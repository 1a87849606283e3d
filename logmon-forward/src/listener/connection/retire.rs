//! When a connection has lasted long enough.

use std::time::Duration;

use tokio::time::Instant;

use crate::listener::ListenerConfig;

/// How much longer a connection may last. Peers that connect again are spread over the machines
/// behind a balancer that way.
#[derive(Debug)]
pub(super) struct Retirement {
    at: Option<Instant>,
    messages: Option<u64>,
}

impl Retirement {
    pub(super) fn new(config: &ListenerConfig) -> Self {
        let at = config.max_connection_age.map(|age| Instant::now() + jittered(age));
        Self { at, messages: config.max_messages_per_connection }
    }

    /// So many messages have come.
    pub(super) fn count(&mut self, messages: u64) {
        self.messages = self.messages.map(|left| left.saturating_sub(messages));
    }

    /// Whether the connection is to end with the message it is in.
    pub(super) fn is_due(&self) -> bool {
        self.messages == Some(0) || self.at.is_some_and(|at| at <= Instant::now())
    }

    /// When it is to end at the latest.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }
}

/// Up to a tenth less, so that connections that began together do not end together.
fn jittered(age: Duration) -> Duration {
    let mut random = [0; 2];
    if getrandom::fill(&mut random).is_err() {
        return age;
    }
    age.saturating_sub(age / 10 * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_by_messages_or_by_age() {
        let mut config = ListenerConfig::default();
        let forever = Retirement::new(&config);
        config.max_messages_per_connection = Some(3);
        config.max_connection_age = Some(Duration::from_secs(100));
        let (mut busy, quiet) = (Retirement::new(&config), Retirement::new(&config));
        busy.count(2);
        assert!(!busy.is_due());
        busy.count(5);
        assert!(busy.is_due());
        tokio::time::advance(Duration::from_secs(89)).await;
        assert!(!quiet.is_due());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(quiet.is_due());
        assert!(!forever.is_due());
    }
}
