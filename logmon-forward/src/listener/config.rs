//! How a listener is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{DedupeMode, HostNames, SystemHostNames};
use crate::Settings;
use crate::handshake::{Network, SecuritySettings};
use crate::tls::TlsSettings;

/// The settings of one listener. Every field has a default; `ListenerConfig::default()` listens
/// on loopback.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// Where to listen. Default `127.0.0.1:24224`; peers listen on all addresses, which is not
    /// safe without TLS.
    pub listen: SocketAddr,
    /// A Unix socket to listen on in place of `listen`. Default none.
    pub unix: Option<UnixSocket>,
    /// TLS over TCP. Default none: events are in clear.
    pub tls: Option<TlsSettings>,
    /// Who may connect, and with what. Default none: everybody.
    pub security: Option<SecuritySettings>,
    /// Networks that may connect; if there are any, no others may. Default none.
    pub allow: Vec<Network>,
    /// Networks that may not connect, whatever `allow` says. Default none.
    pub deny: Vec<Network>,
    /// Whether heartbeats over UDP are answered on the same port. Default true.
    pub udp_heartbeat: bool,
    /// How many heartbeats of one address are answered in a second. Default 10.
    pub udp_heartbeat_rate: u32,
    /// How bytes are read: limits, tags, times.
    pub settings: Settings,
    /// The address of the peer is put into every record under this key, in place of what was there.
    /// Default none. Peers on a Unix socket have no address, and nothing is put in.
    pub source_address_key: Option<String>,
    /// The same for the name of the peer's host, or its address while the name is not known: it is
    /// looked up beside the reading, for a second at most, and kept for 5 min. Default none.
    pub source_hostname_key: Option<String>,
    /// Where names of hosts come from. Default [`SystemHostNames`].
    pub host_names: Arc<dyn HostNames>,
    /// Connections the system holds until they are accepted. Default 4096.
    pub backlog: u32,
    /// The most connections at a time. Default 10,000.
    pub max_connections: usize,
    /// The most connections of one address. Default 1,000.
    pub max_connections_per_ip: usize,
    /// The most connections at a time in the middle of the TLS or login handshake. The oldest of
    /// them makes room for a new one. Default 256.
    pub max_unauthenticated: usize,
    /// The same for those of one address. Default 16.
    pub max_unauthenticated_per_ip: usize,
    /// How long the TLS handshake may take. Default 10 s.
    pub tls_timeout: Duration,
    /// How long a client may take from the HELO to the end of its PING. Default 10 s.
    pub login_timeout: Duration,
    /// After so many messages a connection is closed; with 1 the HELO says that there is no
    /// keepalive. Default none.
    pub max_messages_per_connection: Option<u64>,
    /// After so long, less up to a tenth, a connection is closed at the end of a message. Default
    /// none.
    pub max_connection_age: Option<Duration>,
    /// After so long without a byte the system asks whether the peer lives, four times 15 s apart.
    /// Default 60 s; none never asks.
    pub tcp_keepalive: Option<Duration>,
    /// After so long without an answer to what was written the system gives a connection up
    /// (Linux). Default none, which leaves it to the system (about a quarter of an hour): Linux
    /// gives those up as well whose peer is alive and never reads its acknowledgements.
    pub tcp_user_timeout: Option<Duration>,
    /// What the system may hold of a connection's bytes until they are read. Default none: the
    /// system chooses.
    pub receive_buffer_size: Option<usize>,
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
    /// Which chunks count as sent again, so that their events are not stored twice. Default
    /// [`DedupeMode::Evidence`].
    pub dedupe: DedupeMode,
    /// How long a chunk is remembered, up to 30 days. Default 15 min; it must be longer than
    /// senders wait for an acknowledgement (Fluentd 190 s) and then before they try again.
    pub dedupe_window: Duration,
    /// How many chunks are remembered at most, the newest. Default 1,000,000, which take less
    /// than 40 MB when there are so many.
    pub dedupe_max_ids: usize,
    /// After so long without a byte in the middle of a message the connection is closed. Default
    /// 300 s.
    pub stall_timeout: Duration,
    /// A message that comes more slowly than so many bytes a second uses up its `stall_timeout`,
    /// which is then not for one silence but for all of them. Default 1 KiB/s.
    pub min_message_rate: u64,
    /// How long a peer may be waited for in one message, whatever its rate. Default 1 h.
    pub message_timeout: Duration,
    /// After so long without a message a connection is closed. Default none: a container may be
    /// silent for days, and what it writes into a closed connection is lost.
    pub idle_timeout: Option<Duration>,
    /// How long closing waits for commits and acknowledgements, and after a shutdown for the
    /// peer. Default 5 s.
    pub close_timeout: Duration,
    /// How long bytes of a peer are read and thrown away after its connection was given up, so
    /// that acknowledgements on the way to it are not destroyed. So long it may also take until a
    /// peer that has closed its side counts as having read its last acknowledgement. Default 1 s.
    pub linger: Duration,
}

/// Where a Unix socket is made, and who may connect to it.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "all there is to a Unix socket")]
pub struct UnixSocket {
    /// Its file. A socket that nobody listens on is replaced, another file never.
    pub path: PathBuf,
    /// The mode of its file. Peers need to write it; `0o660` lets the group in.
    pub mode: u32,
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
            unix: None,
            tls: None,
            security: None,
            allow: Vec::new(),
            deny: Vec::new(),
            udp_heartbeat: true,
            udp_heartbeat_rate: 10,
            max_unauthenticated: 256,
            max_unauthenticated_per_ip: 16,
            tls_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(10),
            max_messages_per_connection: None,
            max_connection_age: None,
            tcp_keepalive: Some(Duration::from_secs(60)),
            tcp_user_timeout: None,
            receive_buffer_size: None,
            settings: Settings::default(),
            source_address_key: None,
            source_hostname_key: None,
            host_names: Arc::new(SystemHostNames::default()),
            backlog: 4096,
            max_connections: 10_000,
            max_connections_per_ip: 1_000,
            max_memory_bytes: 64 << 20,
            max_in_flight_bytes: 8 << 20,
            max_ack_bytes: 1 << 20,
            dedupe: DedupeMode::default(),
            dedupe_window: Duration::from_secs(15 * 60),
            dedupe_max_ids: 1_000_000,
            stall_timeout: Duration::from_secs(300),
            min_message_rate: 1024,
            message_timeout: Duration::from_secs(3600),
            idle_timeout: None,
            close_timeout: Duration::from_secs(5),
            linger: Duration::from_secs(1),
        }
    }
}

impl ListenerConfig {
    /// Whether an address may connect at all.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        let has = |networks: &[Network]| networks.iter().any(|network| network.contains(ip));
        !has(&self.deny) && (self.allow.is_empty() || has(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denial_wins() {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut config = ListenerConfig::default();
        let allows = |config: &ListenerConfig, ip: &str| config.allows(ip.parse().unwrap());
        assert!(allows(&config, "192.0.2.1"));
        config.deny = networks(&["10.1.0.0/16"]);
        assert!(allows(&config, "192.0.2.1") && !allows(&config, "::ffff:10.1.0.1"));
        config.allow = networks(&["10.0.0.0/8", "2001:db8::/32"]);
        assert!(allows(&config, "10.2.0.1") && allows(&config, "2001:db8::1"));
        assert!(!allows(&config, "10.1.0.1") && !allows(&config, "192.0.2.1"));
    }
}
