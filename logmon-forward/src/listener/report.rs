//! Log lines about peers, held back where they repeat.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One line per peer and reason in so long.
const INTERVAL: Duration = Duration::from_secs(60);

/// How many pairs of peer and reason are remembered.
const REMEMBERED: usize = 4096;

/// Lets one line per peer and reason through and counts the others.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    lines: Mutex<HashMap<(IpAddr, &'static str), Line>>,
}

#[derive(Debug)]
struct Line {
    at: Instant,
    suppressed: u64,
}

impl Limiter {
    /// Whether a line is due; if so, how many were held back since the last one.
    pub(super) fn admit(&self, peer: IpAddr, reason: &'static str) -> Option<u64> {
        let now = Instant::now();
        // Nothing panics while the lock is held.
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&(peer, reason)) {
            if now.duration_since(line.at) < INTERVAL {
                line.suppressed += 1;
                return None;
            }
            line.at = now;
            return Some(std::mem::take(&mut line.suppressed));
        }
        if lines.len() >= REMEMBERED {
            lines.retain(|_, line| now.duration_since(line.at) < INTERVAL);
        }
        // So many at once are one story, and the counters tell the rest of it.
        (lines.len() < REMEMBERED).then(|| {
            lines.insert((peer, reason), Line { at: now, suppressed: 0 });
            0
        })
    }
}

/// Bytes in hexadecimal, for a log line.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _always_ok = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_per_peer_and_reason() {
        let limiter = Limiter::default();
        let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        assert_eq!(limiter.admit(a, "x"), Some(0));
        assert_eq!(limiter.admit(a, "x"), None);
        assert_eq!(limiter.admit(a, "x"), None);
        assert_eq!(limiter.admit(a, "y"), Some(0));
        assert_eq!(limiter.admit(b, "x"), Some(0));
        tokio::time::advance(INTERVAL).await;
        assert_eq!(limiter.admit(a, "x"), Some(2));
        assert_eq!(limiter.admit(a, "x"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn remembers_only_so_many() {
        let limiter = Limiter::default();
        for number in 0..10_000u32 {
            limiter.admit(std::net::Ipv4Addr::from(number).into(), "x");
        }
        assert_eq!(limiter.lines.lock().unwrap().len(), REMEMBERED);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(limiter.admit([10, 0, 0, 1].into(), "x"), Some(0));
    }

    #[test]
    fn shows_bytes() {
        assert_eq!(hex(&[0x0a, 0xff]), "0aff");
    }
}
