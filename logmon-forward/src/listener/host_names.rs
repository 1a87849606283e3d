//! The names of peers, for their records.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logmon_core::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::debug;

/// How long a lookup may take.
const BUDGET: Duration = Duration::from_secs(1);

/// How long a name holds, and how long an address without one is left alone.
const HOLDS: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(60));

/// The most addresses whose names are kept.
const MAX_KNOWN: usize = 10_000;

/// The most lookups of the system at a time. Each may hold a thread far beyond the budget.
const MAX_LOOKUPS: usize = 8;

/// Finds the names of addresses.
pub trait HostNames: fmt::Debug + Send + Sync + 'static {
    /// The name of an address. It is dropped after a second.
    ///
    /// # Errors
    /// There is no name, or it cannot be found now; the address stands in its place.
    fn name(&self, ip: IpAddr) -> BoxFuture<'_, io::Result<String>>;
}

/// What the operating system says: hosts file, DNS and whatever else is set up.
#[derive(Clone, Debug)]
pub struct SystemHostNames {
    lookups: Arc<Semaphore>,
}

impl Default for SystemHostNames {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl HostNames for SystemHostNames {
    fn name(&self, ip: IpAddr) -> BoxFuture<'_, io::Result<String>> {
        Box::pin(async move {
            let lookup = self.lookups.clone().acquire_owned().await.map_err(io::Error::other)?;
            let found = tokio::task::spawn_blocking(move || {
                let found = dns_lookup::lookup_addr(&ip);
                drop(lookup);
                found.map_err(|error| io::Error::other(format!("{error:?}")))
            });
            found.await.map_err(io::Error::other)?
        })
    }
}

/// The names that are known, and those being looked up.
#[derive(Debug)]
pub(super) struct Names {
    source: Arc<dyn HostNames>,
    known: Mutex<HashMap<IpAddr, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    name: Option<Arc<str>>,
    /// When it is looked up again.
    until: Instant,
}

impl Names {
    pub(super) fn new(source: Arc<dyn HostNames>) -> Arc<Self> {
        Arc::new(Self { source, known: Mutex::default() })
    }

    /// The name of an address as far as it is known now. What is not known, or was long ago, is
    /// looked up meanwhile.
    pub(super) fn get(self: &Arc<Self>, ip: IpAddr) -> Option<Arc<str>> {
        let now = Instant::now();
        let mut known = self.known();
        let name = match known.get(&ip) {
            Some(known) if known.until > now => return known.name.clone(),
            Some(known) => known.name.clone(),
            None => None,
        };
        if known.len() >= MAX_KNOWN {
            known.retain(|_, known| known.until > now);
        }
        if known.len() < MAX_KNOWN {
            // The next who asks does not look it up as well.
            known.insert(ip, Known { name: name.clone(), until: now + 2 * BUDGET });
            tokio::spawn(self.clone().look_up(ip, name.clone()));
        }
        name
    }

    async fn look_up(self: Arc<Self>, ip: IpAddr, before: Option<Arc<str>>) {
        let found = timeout(BUDGET, self.source.name(ip)).await;
        let known = match found {
            Ok(Ok(name)) => Known { name: Some(name.into()), until: Instant::now() + HOLDS.0 },
            failed => {
                let error = failed.ok().and_then(Result::err).map(tracing::field::display);
                debug!(%ip, error, "the name of a peer is not known; its address stands instead");
                Known { name: before, until: Instant::now() + HOLDS.1 }
            }
        };
        self.known().insert(ip, known);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Known>> {
        // Nothing panics while the lock is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Answers some of the questions.
    #[derive(Debug, Default)]
    struct Script {
        answers: Vec<Option<&'static str>>,
        asked: AtomicUsize,
    }

    impl HostNames for Script {
        fn name(&self, _: IpAddr) -> BoxFuture<'_, io::Result<String>> {
            let at = self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                match self.answers.get(at).copied().flatten() {
                    Some(name) => Ok(name.to_owned()),
                    None => std::future::pending().await,
                }
            })
        }
    }

    /// F-112: an outage costs nobody any time, and names that were known stay in use.
    #[tokio::test(start_paused = true)]
    async fn names_are_found_meanwhile() {
        let script = Arc::new(Script { answers: vec![None, Some("web-7")], ..Script::default() });
        let names = Names::new(script.clone());
        let ip = IpAddr::from([192, 0, 2, 7]);
        let mut found = Vec::new();
        for seconds in [0, 2, 30, 40, 1, 299, 1, 2, 61] {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            found.push(names.get(ip));
        }
        let web = || Some("web-7".into());
        // The second lookup begins after a minute, the third five minutes later, and then every
        // minute.
        assert_eq!(found, [None, None, None, None, web(), web(), web(), web(), web()]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(script.asked.load(Ordering::Relaxed), 4);
    }

    /// The system at least gives the address.
    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let name = SystemHostNames::default().name(IpAddr::from([127, 0, 0, 1])).await;
        assert!(!name.unwrap().is_empty());
    }
}
