//! Who a chunk comes from.

use std::net::IpAddr;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A sender as far as it can be told: its address without the port, which changes with every
/// connection, and its name where it has proved one. The same after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerId(u64);

impl PeerId {
    /// The peer at an address. One over IPv4 is the same whether the socket speaks IPv6 or not.
    pub(crate) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => xxh3_64(&ip.octets()),
            IpAddr::V6(ip) => xxh3_64(&ip.octets()),
        })
    }

    /// The same peer under the name that it has proved.
    pub(crate) fn named(self, name: &str) -> Self {
        Self(xxh3_64_with_seed(name.as_bytes(), self.0))
    }

    /// What goes into keys of its chunks.
    pub(super) fn salt(self) -> u64 {
        self.0
    }

    /// What is kept of it beside a chunk.
    pub(super) fn short(self) -> u32 {
        (self.0 >> 32) as u32
    }
}
