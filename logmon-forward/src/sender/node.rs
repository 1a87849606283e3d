//! One server: where it is and what it takes to connect to it.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::failure::{Chain, Failure, FailureKind};
use super::resolve::{Cached, interleave};
use super::{Address, Resolver};
use crate::handshake::ClientSecurity;

/// What stays the same about a node.
#[derive(Debug)]
pub(super) struct Node {
    /// Unlike that of any other node of the sender, those it had before included.
    pub(super) id: u64,
    pub(super) address: Address,
    /// The name TLS checks, where it is not the host's.
    pub(super) name: Option<String>,
    pub(super) security: Option<ClientSecurity>,
    addresses: Mutex<Cached<SocketAddr>>,
}

impl Node {
    pub(super) fn new(
        id: u64,
        address: Address,
        name: Option<String>,
        security: Option<ClientSecurity>,
    ) -> Self {
        Self { id, address, name, security, addresses: Mutex::default() }
    }

    /// The addresses to try, in this order. Names are looked up again when what is known is old,
    /// or soon after it was of no use.
    pub(super) async fn addresses(
        &self,
        resolver: &dyn Resolver,
        has_failed: bool,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let Address::Tcp { host, port } = &self.address else { return Ok(Vec::new()) };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, *port)]);
        }
        let mut cached = self.addresses.lock().await;
        if cached.is_stale(Instant::now(), has_failed) {
            let outcome = resolver.addresses(host, *port).await;
            if let Err(error) = cached.take(Instant::now(), outcome) {
                if cached.found.is_empty() {
                    return Err(Failure::with(FailureKind::Resolve, error));
                }
                tracing::debug!(host, error = %Chain(&error), "the lookup failed; what was found before stays in use");
            }
        }
        if cached.found.is_empty() {
            return Err(Failure::new(FailureKind::Resolve));
        }
        Ok(interleave(&cached.found))
    }
}
