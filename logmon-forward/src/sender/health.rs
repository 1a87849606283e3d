//! Whether a node is fit to get chunks, from what is seen of it. Without I/O and without a clock
//! of its own.

use std::time::Duration;

use logmon_core::Retry;
use tokio::time::Instant;

use super::phi::Phi;
use super::retry::Backoff;

/// What tells a healthy node from one that is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// How often heartbeats are due; `None` without heartbeats.
    pub(super) interval: Option<Duration>,
    /// `None` without the phi detector.
    pub(super) phi_threshold: Option<f64>,
    pub(super) hard_timeout: Duration,
    /// How many heartbeats have to succeed before a node that was down is tried.
    pub(super) recover_after: u32,
    pub(super) retry: Retry,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Chunks go to it.
    Up,
    /// It may show with one chunk that it is well.
    Probe,
    /// It has not answered enough heartbeats; a chunk goes to it only if there is no other node.
    Suspect,
    /// It is left alone until then.
    Down(Instant),
}

/// Why a node was detached without a chunk having failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Detached {
    Phi(f64),
    Silent(Duration),
}

/// The health of one node.
#[derive(Debug)]
pub(super) struct Health {
    rules: Rules,
    phi: Phi,
    backoff: Backoff,
    is_up: bool,
    not_before: Instant,
    /// Heartbeats that succeeded since it went down.
    beats: u32,
    /// When something was last heard of it or asked.
    asked: Instant,
}

impl Health {
    /// A node nobody has tried yet is taken to be well.
    pub(super) fn new(rules: Rules, now: Instant) -> Self {
        Self {
            phi: Phi::new(rules.interval.unwrap_or(Duration::from_secs(1)), now),
            backoff: Backoff::new(rules.retry),
            rules,
            is_up: true,
            not_before: now,
            beats: 0,
            asked: now,
        }
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        if self.is_up {
            Standing::Up
        } else if now < self.not_before {
            Standing::Down(self.not_before)
        } else if self.rules.interval.is_none() || self.beats >= self.rules.recover_after {
            Standing::Probe
        } else {
            Standing::Suspect
        }
    }

    /// How many failures there were in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// A chunk was delivered. Tells whether the node was down before.
    pub(super) fn delivered(&mut self, now: Instant) -> bool {
        self.asked = now;
        self.backoff.reset();
        if self.is_up {
            self.phi.add(now);
            return false;
        }
        self.is_up = true;
        self.phi.reset(now);
        true
    }

    /// A chunk or a connection failed: the node is left alone for a while, at least for `floor`.
    /// Tells whether it was up before.
    pub(super) fn failed(&mut self, now: Instant, floor: Duration, share: f64) -> bool {
        self.not_before = now + self.backoff.next(share).max(floor);
        self.beats = 0;
        std::mem::replace(&mut self.is_up, false)
    }

    /// A heartbeat was answered.
    pub(super) fn beat(&mut self, now: Instant) {
        if self.is_up {
            self.phi.add(now);
        } else {
            self.beats = self.beats.saturating_add(1);
        }
    }

    /// Whether a heartbeat is due; if so, the next one is an interval away.
    pub(super) fn take_heartbeat(&mut self, now: Instant) -> bool {
        let Some(interval) = self.rules.interval else { return false };
        let is_due = now >= self.asked + interval && now >= self.not_before;
        if is_due {
            self.asked = now;
        }
        is_due
    }

    /// Detaches a node that has been silent for too long.
    pub(super) fn check(&mut self, now: Instant) -> Option<Detached> {
        if !self.is_up || self.rules.interval.is_none() {
            return None;
        }
        let (phi, silence) = (self.phi.value(now), self.phi.silence(now));
        let detached = match self.rules.phi_threshold {
            _ if silence > self.rules.hard_timeout => Detached::Silent(silence),
            Some(threshold) if phi > threshold => Detached::Phi(phi),
            _ => return None,
        };
        self.is_up = false;
        self.beats = 0;
        self.not_before = now;
        Some(detached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rules() -> Rules {
        Rules {
            interval: Some(SECOND * 5),
            phi_threshold: Some(16.0),
            hard_timeout: SECOND * 60,
            recover_after: 2,
            retry: Retry::default(),
        }
    }

    /// F-147: after a failure come the wait, the heartbeats, one chunk, and then all.
    #[test]
    fn recovers_step_by_step() {
        let start = Instant::now();
        let mut health = Health::new(rules(), start);
        assert_eq!(health.standing(start), Standing::Up);
        assert!(health.failed(start, Duration::ZERO, 0.5));
        let until = start + SECOND / 2;
        assert_eq!(health.standing(start), Standing::Down(until));
        assert!(!health.take_heartbeat(start), "it is left alone");
        let mut now = start + SECOND * 5;
        assert_eq!(health.standing(now), Standing::Suspect);
        for _ in 0..2 {
            assert!(health.take_heartbeat(now) && !health.take_heartbeat(now + SECOND * 4));
            assert_ne!(health.standing(now), Standing::Probe);
            health.beat(now);
            now += SECOND * 5;
        }
        assert_eq!(health.standing(now), Standing::Probe);
        assert!(health.delivered(now));
        assert_eq!((health.standing(now), health.failures()), (Standing::Up, 0));
        // A probe that fails begins anew.
        assert!(health.failed(now, Duration::ZERO, 0.0));
        assert!(!health.failed(now, Duration::ZERO, 1.0), "the second failure changes nothing");
        assert_eq!(health.standing(now), Standing::Down(now + SECOND * 2));
    }

    #[test]
    fn a_refused_login_waits_at_least_its_floor() {
        let start = Instant::now();
        let mut health = Health::new(rules(), start);
        health.failed(start, SECOND * 30, 0.0);
        assert_eq!(health.standing(start), Standing::Down(start + SECOND * 30));
    }

    #[test]
    fn without_heartbeats_only_the_wait_counts() {
        let start = Instant::now();
        let mut health = Health::new(Rules { interval: None, ..rules() }, start);
        assert_eq!(health.check(start + SECOND * 1_000), None);
        assert!(!health.take_heartbeat(start + SECOND * 1_000));
        health.failed(start, Duration::ZERO, 0.0);
        assert_eq!(health.standing(start), Standing::Probe);
    }

    /// F-148: silence detaches by phi, or by the hard timeout where phi is off or comes later.
    #[test]
    fn silence_detaches_as_configured() {
        let start = Instant::now();
        let mut health = Health::new(rules(), start);
        assert_eq!(health.check(start + SECOND * 40), None);
        let Some(Detached::Phi(phi)) = health.check(start + SECOND * 41) else { panic!("phi") };
        assert!(phi > 16.0);
        assert_eq!(health.standing(start + SECOND * 41), Standing::Suspect);
        let mut health = Health::new(Rules { phi_threshold: None, ..rules() }, start);
        assert_eq!(health.check(start + SECOND * 60), None);
        let silent = health.check(start + SECOND * 61);
        assert_eq!(silent, Some(Detached::Silent(SECOND * 61)));
        let quick = Rules { hard_timeout: SECOND * 10, ..rules() };
        let mut health = Health::new(quick, start);
        assert_eq!(health.check(start + SECOND * 11), Some(Detached::Silent(SECOND * 11)));
    }

    /// F-148: data and heartbeats both count as signs of life; heartbeats are for idle nodes.
    #[test]
    fn every_answer_counts() {
        let start = Instant::now();
        let (mut health, mut now) = (Health::new(rules(), start), start);
        for round in 0..50 {
            now += SECOND * 4;
            assert!(!health.take_heartbeat(now), "data is evidence enough");
            assert!(!health.delivered(now));
            if round % 2 == 0 {
                health.beat(now);
            }
            assert_eq!(health.check(now + SECOND * 4), None);
        }
        assert!(health.take_heartbeat(now + SECOND * 5));
    }
}
