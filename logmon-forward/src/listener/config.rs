//! How a listener is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::Settings;

/// The settings of one listener. Every field has a default; `ListenerConfig::default()` listens
/// on loopback.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// Where to listen. Default `127.0.0.1:24224`; peers listen on all addresses, which is not
    /// safe without TLS.
    pub listen: SocketAddr,
    /// How bytes are read: limits, tags, times.
    pub settings: Settings,
    /// Connections the system holds until they are accepted. Default 4096.
    pub backlog: u32,
    /// The most connections at a time. Default 10,000.
    pub max_connections: usize,
    /// The most connections of one address. Default 1,000.
    pub max_connections_per_ip: usize,
    /// What all connections together may hold of bytes read and not yet durable. Default 64 MiB.
    /// What cannot be had in parts, such as an entry of 32 MiB or the window of a zstd frame, is let
    /// through beyond it, on one connection at a time.
    pub max_memory_bytes: usize,
    /// What one connection may hold of it, the index over its events and its acknowledgements
    /// included. These are known only when a message has been decoded, so the last read may go
    /// beyond it by them. Default 8 MiB.
    pub max_in_flight_bytes: usize,
    /// What may wait of acknowledgements that a peer does not read; those of one batch may be
    /// more. Default 1 MiB.
    pub max_ack_bytes: usize,
    /// After so long without a byte in the middle of a message the connection is closed. Default
    /// 300 s.
    pub stall_timeout: Duration,
    /// After so long without a message a connection is closed. Default none: a container may be
    /// silent for days, and what it writes into a closed connection is lost.
    pub idle_timeout: Option<Duration>,
    /// How long closing waits for commits and acknowledgements, and after a shutdown for the
    /// peer. Default 5 s.
    pub close_timeout: Duration,
    /// How long bytes of a peer are read and thrown away after its connection was given up, so
    /// that acknowledgements on the way to it are not destroyed. Default 1 s.
    pub linger: Duration,
}

impl ListenerConfig {
    /// How a connection reads: a message that would take most of what it may hold is handed out in
    /// parts.
    pub(super) fn decoder_settings(&self) -> Settings {
        let mut settings = self.settings.clone();
        let limits = &mut settings.limits;
        let memory = self.max_in_flight_bytes.min(self.max_memory_bytes);
        limits.max_buffered_bytes = limits.max_buffered_bytes.min(memory / 4 * 3);
        limits.part_bytes = limits.part_bytes.min(memory / 8).max(1);
        settings
    }
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 24224).into(),
            settings: Settings::default(),
            backlog: 4096,
            max_connections: 10_000,
            max_connections_per_ip: 1_000,
            max_memory_bytes: 64 << 20,
            max_in_flight_bytes: 8 << 20,
            max_ack_bytes: 1 << 20,
            stall_timeout: Duration::from_secs(300),
            idle_timeout: None,
            close_timeout: Duration::from_secs(5),
            linger: Duration::from_secs(1),
        }
    }
}
