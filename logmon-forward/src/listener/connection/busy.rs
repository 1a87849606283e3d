//! Waiting while the journal takes nothing.

use std::time::Duration;

use super::{Connection, Ending, Stats};

/// The first pause of a connection that holds next to nothing, and its longest.
const LIGHT: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(20));

/// So many times longer are those of one that holds all that it may.
const HEAVY: u32 = 10;

/// The pauses between the tries of one connection: longer each time, and longer the more it holds.
/// So a journal that is late is left alone by the heaviest first, and whoever has little to say
/// gets it in as soon as there is room.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    most: Duration,
}

impl Pauses {
    /// Those of a connection that holds so many bytes of `limit`.
    pub(super) fn of(held: usize, limit: usize) -> Self {
        let permille = held.min(limit).saturating_mul(1000) / limit.max(1);
        let permille = u32::try_from(permille).unwrap_or(1000);
        let scaled = |light: Duration| light + light * (HEAVY - 1) * permille / 1000;
        Self { next: scaled(LIGHT.0), most: scaled(LIGHT.1) }
    }

    fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause
    }
}

impl Connection {
    /// The pauses of this connection as it is.
    pub(super) fn pauses(&self) -> Pauses {
        Pauses::of(self.credit.in_flight(), self.credit.limit())
    }

    /// Waits before the journal is asked again. Nothing is read meanwhile.
    pub(super) async fn pause(&mut self, pauses: &mut Pauses) -> Result<(), Ending> {
        Stats::add(&self.shared.stats.journal_busy, 1);
        tokio::select! {
            biased;
            ending = self.stop.wait(true) => Err(ending),
            () = tokio::time::sleep(pauses.next()) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_more_waits_longer() {
        let first = |held| Pauses::of(held, 1000).next();
        assert!((0..1000).all(|held| first(held) < first(held + 1)));
        assert_eq!(
            (first(0), first(1000), first(9999)),
            (LIGHT.0, LIGHT.0 * HEAVY, LIGHT.0 * HEAVY)
        );
        let mut light = Pauses::of(0, 1000);
        let pauses: Vec<u128> = (0..4).map(|_| light.next().as_millis()).collect();
        assert_eq!(pauses, [5, 10, 20, 20]);
    }
}
