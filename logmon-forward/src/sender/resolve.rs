//! From names to addresses.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use logmon_core::BoxFuture;
use tokio::time::Instant;

/// What a lookup found, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an answer and its age")]
pub struct Lookup<T> {
    /// What was found.
    pub found: Vec<T>,
    /// How long it holds; `None` where the source does not say. A sender looks again after this
    /// time, but not before 5 s and not after 60 s.
    pub ttl: Option<Duration>,
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of the record")]
pub struct Service {
    /// Servers of a higher number are used only when all of lower numbers are down.
    pub priority: u16,
    /// The share among those of one priority. Zero counts as the least share there is, one.
    pub weight: u16,
    /// The name of the server.
    pub target: String,
    /// Its port.
    pub port: u16,
}

/// Looks names up.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// The addresses of a host.
    ///
    /// # Errors
    /// The lookup failed. What was found before stays in use.
    fn addresses(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Lookup<SocketAddr>>>;

    /// The SRV records of a service such as `_fluentd._tcp.example.com`.
    ///
    /// # Errors
    /// As [`Resolver::addresses`]; [`io::ErrorKind::Unsupported`] where there are none of these.
    fn services(&self, name: &str) -> BoxFuture<'_, io::Result<Lookup<Service>>>;
}

/// The resolver of the operating system: hosts file, DNS and whatever else is set up. It tells no
/// times to live and knows no SRV records.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "nothing to set")]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn addresses(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Lookup<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, port)).await?.collect();
            Ok(Lookup { found, ttl: None })
        })
    }

    fn services(&self, _: &str) -> BoxFuture<'_, io::Result<Lookup<Service>>> {
        let error = io::Error::new(
            io::ErrorKind::Unsupported,
            "the system's resolver knows no SRV records; give the sender a resolver that does",
        );
        Box::pin(std::future::ready(Err(error)))
    }
}

/// The least and the most a lookup holds.
const HOLDS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Something looked up, and when to look again.
#[derive(Debug)]
pub(super) struct Cached<T> {
    pub(super) found: Vec<T>,
    looked: Option<(Instant, Duration)>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { found: Vec::new(), looked: None }
    }
}

impl<T> Cached<T> {
    /// Whether it is time to look again; after a failure as soon as the least time has passed.
    pub(super) fn is_stale(&self, now: Instant, has_failed: bool) -> bool {
        self.looked.is_none_or(|(at, holds)| {
            let holds = if has_failed { HOLDS.0 } else { holds };
            now.saturating_duration_since(at) >= holds
        })
    }

    /// Takes a lookup's outcome. Nothing found and a failure leave what was there.
    pub(super) fn take(&mut self, now: Instant, outcome: io::Result<Lookup<T>>) -> io::Result<()> {
        match outcome {
            Ok(Lookup { found, ttl }) if !found.is_empty() => {
                self.found = found;
                let holds = ttl.unwrap_or(HOLDS.1).clamp(HOLDS.0, HOLDS.1);
                self.looked = Some((now, holds));
                Ok(())
            }
            other => {
                self.looked = Some((now, HOLDS.0));
                let error = io::Error::new(io::ErrorKind::NotFound, "the name has no records");
                Err(other.err().unwrap_or(error))
            }
        }
    }
}

/// Puts addresses in the order they are tried: the families take turns, beginning with the first.
pub(super) fn interleave(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = found.first() else { return Vec::new() };
    let (one, other): (Vec<_>, Vec<_>) =
        found.iter().copied().partition(|addr| addr.is_ipv4() == first.is_ipv4());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut order = Vec::with_capacity(found.len());
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(found: &[u8], ttl: Option<u64>) -> io::Result<Lookup<u8>> {
        Ok(Lookup { found: found.to_vec(), ttl: ttl.map(Duration::from_secs) })
    }

    #[test]
    fn lookups_hold_between_five_and_sixty_seconds() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut cached = Cached::default();
        assert!(cached.is_stale(start, false));
        for (ttl, holds) in [(Some(1), 5), (Some(20), 20), (Some(3_600), 60), (None, 60)] {
            cached.take(start, lookup(&[1], ttl)).unwrap();
            assert!(!cached.is_stale(after(holds - 1), false), "{ttl:?}");
            assert!(cached.is_stale(after(holds), false), "{ttl:?}");
            assert!(cached.is_stale(after(5), true), "sooner after a failure");
        }
        // What cannot be looked up stays as it was.
        cached.take(start, Err(io::Error::other("down"))).unwrap_err();
        cached.take(start, lookup(&[], None)).unwrap_err();
        assert_eq!(cached.found, [1]);
        assert!(!cached.is_stale(after(4), false) && cached.is_stale(after(5), false));
    }

    #[test]
    fn families_take_turns() {
        let found: Vec<SocketAddr> = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let order: Vec<String> = interleave(&found).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert!(interleave(&[]).is_empty());
    }
}
