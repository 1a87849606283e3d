//! A failure detector that accrues: the longer a node is silent, measured by how often it used to
//! speak, the higher phi.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many gaps are remembered.
const GAPS: usize = 1_000;

/// Watches one node.
///
/// Phi is `log10(e) * silence / mean`, with both the silence and the mean shifted so that the
/// interval of the heartbeats stands for one second, and newer gaps weighing more: what Fluentd
/// computes, so that its thresholds mean the same.
#[derive(Debug)]
pub(super) struct Phi {
    interval: Duration,
    /// Seconds between signs of life, oldest first.
    gaps: VecDeque<f64>,
    last: Instant,
}

impl Phi {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        let mut phi = Self { interval, gaps: VecDeque::new(), last: now };
        phi.reset(now);
        phi
    }

    /// Forgets all gaps; the node is taken to have spoken now.
    pub(super) fn reset(&mut self, now: Instant) {
        self.gaps.clear();
        self.gaps.push_back(self.interval.as_secs_f64());
        self.last = now;
    }

    /// A sign of life.
    pub(super) fn add(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.last);
        self.last = now;
        // Data answers far more often than heartbeats do. Counted as they are, such gaps would
        // make the mean zero or less, and the first quiet second a failure.
        if self.gaps.len() == GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap.max(self.interval).as_secs_f64());
    }

    /// How long the node has been silent.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }

    /// How suspicious the silence is.
    pub(super) fn value(&self, now: Instant) -> f64 {
        let (mut sum, mut weights, mut weight) = (0.0, 0.0, 0.0);
        for gap in &self.gaps {
            weight += 1.0;
            weights += weight;
            sum += gap * weight;
        }
        let shift = 1.0 - self.interval.as_secs_f64();
        let mean = sum / weights + shift;
        let silence = self.silence(now).as_secs_f64() + shift;
        std::f64::consts::LOG10_E * silence / mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// F-148: with regular heartbeats phi passes 16 after 36.84 s beyond the interval's share,
    /// whatever the interval is.
    #[test]
    fn silence_makes_phi_grow_in_measure() {
        for interval in [1, 5] {
            let start = Instant::now();
            let mut phi = Phi::new(SECOND * interval, start);
            for beat in 1..=20 {
                phi.add(start + SECOND * interval * beat);
            }
            let last = start + SECOND * interval * 20;
            let at = |seconds: u32| phi.value(last + SECOND * (interval - 1 + seconds));
            assert!((at(10) - 4.342_944_8).abs() < 1e-6, "{}", at(10));
            assert!(at(36) < 16.0 && at(37) > 16.0);
            assert_eq!(phi.silence(last + SECOND * 3), SECOND * 3);
        }
    }

    /// F-148: a node that is slow to answer is given more time, and newer gaps count more.
    #[test]
    fn slow_nodes_are_given_time() {
        let start = Instant::now();
        let (mut slowing, mut hastening) = (Phi::new(SECOND, start), Phi::new(SECOND, start));
        let (mut a, mut b) = (start, start);
        for round in 0..10 {
            a += if round < 5 { SECOND } else { SECOND * 4 };
            b += if round < 5 { SECOND * 4 } else { SECOND };
            slowing.add(a);
            hastening.add(b);
        }
        assert!(slowing.value(a + SECOND * 30) < hastening.value(b + SECOND * 30));
    }

    /// F-148: a thousand answers a second do not make a node suspect after two seconds.
    #[test]
    fn busy_nodes_may_rest() {
        let start = Instant::now();
        let (mut phi, mut now) = (Phi::new(SECOND * 5, start), start);
        for _ in 0..2_000 {
            now += Duration::from_millis(1);
            phi.add(now);
        }
        assert!(phi.value(now + SECOND * 2) < 1.0);
        assert!(phi.value(now + SECOND * 50) > 16.0);
        assert_eq!(phi.gaps.len(), GAPS);
    }
}
