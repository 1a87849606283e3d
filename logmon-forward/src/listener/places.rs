//! How many connections there are, and of whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::ListenerConfig;

/// Counts connections against the limits.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    max_per_ip: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// A counted connection; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    ip: IpAddr,
}

impl Places {
    pub(super) fn new(config: &ListenerConfig) -> Self {
        let (max, max_per_ip) = (config.max_connections, config.max_connections_per_ip);
        Self { max, max_per_ip, taken: Mutex::default() }
    }

    /// A place for a connection of `ip`, if there is one.
    pub(super) fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        self.with(|taken| {
            let of_ip = taken.by_ip.get(&ip).copied().unwrap_or(0);
            if taken.all >= self.max || of_ip >= self.max_per_ip {
                return None;
            }
            taken.all += 1;
            taken.by_ip.insert(ip, of_ip + 1);
            Some(Place { places: self.clone(), ip })
        })
    }

    fn with<R>(&self, change: impl FnOnce(&mut Taken) -> R) -> R {
        // Nothing panics while the lock is held.
        change(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|taken| {
            taken.all -= 1;
            if let Some(of_ip) = taken.by_ip.get_mut(&self.ip) {
                *of_ip -= 1;
                if *of_ip == 0 {
                    taken.by_ip.remove(&self.ip);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F-137.
    #[test]
    fn limits_all_and_each() {
        let config =
            ListenerConfig { max_connections: 3, max_connections_per_ip: 2, ..Default::default() };
        let places = Arc::new(Places::new(&config));
        let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        let first = places.take(a).unwrap();
        let _second = places.take(a).unwrap();
        assert!(places.take(a).is_none());
        let _third = places.take(b).unwrap();
        assert!(places.take(b).is_none());
        drop(first);
        assert!(places.take(a).is_some());
        assert_eq!(places.with(|taken| taken.by_ip.len()), 2);
    }
}
