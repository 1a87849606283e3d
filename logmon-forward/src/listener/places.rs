//! How many connections there are, of whom, and which of them go first when there is no room.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::ListenerConfig;

/// Counts connections against the limits.
///
/// A connection that has not said anything yet, or not who it is, gives its place to a new one: a
/// sender that looks whether we live loses nothing by that, and a crowd of silent connections
/// keeps nobody out.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    max_per_ip: usize,
    max_logins: usize,
    max_logins_per_ip: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: Count,
    by_ip: HashMap<IpAddr, Count>,
    /// Those that may be sent away, the oldest first.
    quiet: BTreeMap<u64, Quiet>,
    next: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    connections: usize,
    logins: usize,
}

#[derive(Debug)]
struct Quiet {
    ip: Option<IpAddr>,
    is_login: bool,
    exit: Arc<Exit>,
}

/// How a connection learns that it has lost its place.
#[derive(Debug, Default)]
struct Exit {
    lost: AtomicBool,
    told: Notify,
}

/// A counted connection; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    ip: Option<IpAddr>,
    number: u64,
    exit: Arc<Exit>,
}

impl Places {
    pub(super) fn new(config: &ListenerConfig) -> Self {
        Self {
            max: config.max_connections,
            max_per_ip: config.max_connections_per_ip,
            max_logins: config.max_unauthenticated,
            max_logins_per_ip: config.max_unauthenticated_per_ip,
            taken: Mutex::default(),
        }
    }

    /// A place for a connection of `ip`, which is none where all are of this machine, if there is
    /// one or one can be made. `is_login` tells that it has to show who it is first.
    pub(super) fn take(self: &Arc<Self>, ip: Option<IpAddr>, is_login: bool) -> Option<Place> {
        self.with(|taken| {
            let of_ip = |taken: &Taken| match ip {
                Some(ip) => taken.by_ip.get(&ip).copied().unwrap_or_default(),
                None => Count::default(),
            };
            if of_ip(taken).connections >= self.max_per_ip {
                taken.evict(|quiet| quiet.ip == ip)?;
            }
            if taken.all.connections >= self.max {
                taken.evict(|_| true)?;
            }
            if is_login && of_ip(taken).logins >= self.max_logins_per_ip {
                taken.evict(|quiet| quiet.is_login && quiet.ip == ip)?;
            }
            if is_login && taken.all.logins >= self.max_logins {
                taken.evict(|quiet| quiet.is_login)?;
            }
            let (number, exit) = (taken.next, Arc::<Exit>::default());
            taken.next += 1;
            taken.count(ip, |count| {
                count.connections += 1;
                count.logins += usize::from(is_login);
            });
            taken.quiet.insert(number, Quiet { ip, is_login, exit: exit.clone() });
            Some(Place { places: self.clone(), ip, number, exit })
        })
    }

    fn with<R>(&self, change: impl FnOnce(&mut Taken) -> R) -> R {
        // Nothing panics while the lock is held.
        change(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Taken {
    fn count(&mut self, ip: Option<IpAddr>, change: impl Fn(&mut Count)) {
        change(&mut self.all);
        if let Some(ip) = ip {
            let count = self.by_ip.entry(ip).or_default();
            change(count);
            if count.connections == 0 {
                self.by_ip.remove(&ip);
            }
        }
    }

    /// Sends the oldest away that may be and is `fit`.
    fn evict(&mut self, fit: impl Fn(&Quiet) -> bool) -> Option<()> {
        let number = self.quiet.iter().find(|(_, quiet)| fit(quiet)).map(|(number, _)| *number)?;
        let quiet = self.quiet.remove(&number)?;
        self.count(quiet.ip, |count| {
            count.connections -= 1;
            count.logins -= usize::from(quiet.is_login);
        });
        quiet.exit.lost.store(true, Ordering::Relaxed);
        quiet.exit.told.notify_one();
        Some(())
    }
}

impl Place {
    /// The TLS handshake is done and nothing else asked: it is quiet still.
    pub(super) fn greeted(&self) {
        self.places.with(|taken| {
            if let Some(quiet) = taken.quiet.get_mut(&self.number)
                && std::mem::take(&mut quiet.is_login)
            {
                taken.count(self.ip, |count| count.logins -= 1);
            }
        });
    }

    /// It has said something, or who it is, and keeps the place from now on.
    pub(super) fn settle(&self) {
        self.places.with(|taken| {
            if let Some(quiet) = taken.quiet.remove(&self.number)
                && quiet.is_login
            {
                taken.count(self.ip, |count| count.logins -= 1);
            }
        });
    }

    /// Ready when the place has been given to another.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn lost(&self) {
        while !self.exit.lost.load(Ordering::Relaxed) {
            self.exit.told.notified().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|taken| {
            if self.exit.lost.load(Ordering::Relaxed) {
                return;
            }
            let is_login = taken.quiet.remove(&self.number).is_some_and(|quiet| quiet.is_login);
            taken.count(self.ip, |count| {
                count.connections -= 1;
                count.logins -= usize::from(is_login);
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max: usize, max_per_ip: usize) -> Arc<Places> {
        Arc::new(Places::new(&ListenerConfig {
            max_connections: max,
            max_connections_per_ip: max_per_ip,
            max_unauthenticated: 3,
            max_unauthenticated_per_ip: 2,
            ..ListenerConfig::default()
        }))
    }

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn is_lost(place: &Place) -> bool {
        place.exit.lost.load(Ordering::Relaxed)
    }

    fn settled(places: &Arc<Places>, ip: IpAddr) -> Option<Place> {
        let place = places.take(Some(ip), false)?;
        place.settle();
        Some(place)
    }

    /// F-137.
    #[test]
    fn limits_all_and_each() {
        let places = places(3, 2);
        let first = settled(&places, ip(1)).unwrap();
        let _second = settled(&places, ip(1)).unwrap();
        assert!(places.take(Some(ip(1)), false).is_none());
        let _third = settled(&places, ip(2)).unwrap();
        assert!(places.take(Some(ip(2)), false).is_none());
        assert!(places.take(None, false).is_none());
        drop(first);
        let _other = settled(&places, ip(1)).unwrap();
        assert_eq!(places.with(|taken| taken.by_ip.len()), 2);
    }

    /// HB-6, R-002: who has said nothing goes first, the oldest of them.
    #[test]
    fn the_silent_make_room() {
        let places = places(3, 2);
        let talker = settled(&places, ip(1)).unwrap();
        let (old, young) =
            (places.take(Some(ip(2)), false).unwrap(), places.take(Some(ip(3)), false).unwrap());
        let new = places.take(Some(ip(4)), false).unwrap();
        assert!(is_lost(&old) && !is_lost(&young) && !is_lost(&talker));
        drop(old);
        assert_eq!(places.with(|taken| taken.all.connections), 3);
        let another = places.take(Some(ip(1)), false).unwrap();
        assert!(is_lost(&young));
        let more = places.take(Some(ip(1)), false).unwrap();
        assert!(is_lost(&another) && !is_lost(&new), "of its own address first");
        drop((talker, young, new, another, more));
        assert_eq!(places.with(|taken| (taken.all.connections, taken.quiet.len())), (0, 0));
        assert!(places.with(|taken| taken.by_ip.is_empty()));
    }

    /// H-5.
    #[test]
    fn logins_are_limited() {
        let places = places(100, 100);
        let take = |last| places.take(Some(ip(last)), true).unwrap();
        let mut all = vec![take(1), take(1), take(1)];
        let lost = |all: &[Place]| all.iter().map(is_lost).collect::<Vec<_>>();
        assert_eq!(lost(&all), [true, false, false], "two of one address");
        all.extend([take(2), take(3)]);
        assert_eq!(lost(&all), [true, true, false, false, false], "three of all");
        all[2].settle();
        all[3].greeted();
        all.extend([take(4), take(5)]);
        assert_eq!(lost(&all), [true, true, false, false, false, false, false]);
        drop(all);
        assert_eq!(places.with(|taken| (taken.all.connections, taken.all.logins)), (0, 0));
    }
}
