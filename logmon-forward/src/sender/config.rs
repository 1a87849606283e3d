//! How a sender is set up.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::Retry;

use super::{Address, Compression, Metadata, Resolver, SystemResolver};
use crate::codec::EntriesFormat;
use crate::handshake::ClientSecurity;
use crate::tls::ClientTls;

/// One server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// The name TLS checks, where it is not that of the address. Default none.
    pub name: Option<String>,
    /// Its share of the chunks beside the other weights. Zero drains it. Default 60.
    pub weight: u32,
    /// Whether it is used only while others are down. Default no.
    pub standby: bool,
    /// Shared key and login for this server; the sender's where there are none.
    pub security: Option<ClientSecurity>,
}

impl Server {
    /// A server with the weight 60.
    pub fn new(address: impl Into<Address>) -> Self {
        Self { address: address.into(), name: None, weight: 60, standby: false, security: None }
    }

    /// Sets the weight.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Makes it a standby.
    pub fn standby(mut self) -> Self {
        self.standby = true;
        self
    }
}

/// What the servers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Unknown, or Fluentd, Vector, OpenTelemetry: one chunk at a time on each connection, no
    /// metadata.
    #[default]
    Any,
    /// Fluent Bit: as above, and metadata is kept.
    FluentBit,
    /// logmon: several chunks at a time, metadata is kept.
    Logmon,
}

/// How nodes are watched while no data goes to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeartbeatKind {
    /// A whole connection, TLS and handshake included, that is closed again.
    #[default]
    Transport,
    /// One byte over UDP to the same port, which has to come back from there.
    Udp,
    /// Not at all: a node is well until a chunk fails, and is tried again with a chunk.
    None,
}

/// How a node that died is told from one that is quiet. The names are Fluentd's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The kind. Default [`HeartbeatKind::Transport`].
    pub kind: HeartbeatKind,
    /// How long a node may be idle until it is asked, and how often. Default 5 s.
    pub interval: Duration,
    /// How suspicious a silence may get, see `docs/forwarding.md`; `None` turns this detector off.
    /// Default 16.
    pub phi_threshold: Option<f64>,
    /// A node that is silent for longer is detached whatever phi says. Default 60 s.
    pub hard_timeout: Duration,
    /// For how long a node that was down must answer heartbeats before a chunk is tried, while
    /// others can take the load. Default 10 s.
    pub recover_wait: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            kind: HeartbeatKind::default(),
            interval: Duration::from_secs(5),
            phi_threshold: Some(16.0),
            hard_timeout: Duration::from_secs(60),
            recover_wait: Duration::from_secs(10),
        }
    }
}

/// The settings of a [`Sender`](super::Sender). Every field has a default but the servers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SenderConfig {
    /// The servers. Default none.
    pub servers: Vec<Server>,
    /// A service such as `_fluentd._tcp.example.com` whose SRV records name more servers, looked
    /// up by the resolver. Default none.
    pub srv: Option<String>,
    /// What looks names up. Default the system, which knows no SRV records.
    pub resolver: Arc<dyn Resolver>,
    /// What the servers are. Default [`Peer::Any`].
    pub peer: Peer,
    /// Whether acknowledgements are asked for. Default yes: without them a chunk counts as
    /// delivered when the system has taken its bytes, and a crash loses it.
    pub require_ack: bool,
    /// How long an acknowledgement may take after the chunk was written, and how long writing may
    /// make no progress. Default 60 s.
    pub ack_timeout: Duration,
    /// How long a TCP connection may take. Default 10 s.
    pub connect_timeout: Duration,
    /// How long TLS may take on top of that. Default 10 s.
    pub tls_timeout: Duration,
    /// How long HELO and PONG may take together. Default 10 s.
    pub handshake_timeout: Duration,
    /// With what payloads are compressed. Default not at all.
    pub compression: Compression,
    /// The family of payloads. Default bin.
    pub entries_format: EntriesFormat,
    /// Whether times are whole seconds, for Fluentd 0.12. Default no.
    pub time_as_integer: bool,
    /// What becomes of the metadata of entries. Default dropped; kept for Fluent Bit and logmon.
    pub metadata: Option<Metadata>,
    /// How many bytes of entries a chunk has at most; a longer entry is alone. Default 1 MiB.
    pub chunk_bytes: usize,
    /// Entries beyond this are sent with a warning: Fluent Bit takes messages up to 6 MB by
    /// default, Vector up to 100 MiB. Default 4 MiB.
    pub max_entry_bytes: usize,
    /// How many chunks may be unacknowledged on one connection. Default 1; 8 for logmon.
    pub max_in_flight: Option<usize>,
    /// How many connections a node gets at most. Default 1.
    pub connections: usize,
    /// How many bytes of entries may be on their way, over all nodes; more has to wait. A single
    /// chunk beyond it is let through alone. Default 16 MiB.
    pub max_in_flight_bytes: usize,
    /// Whether a connection carries more than one chunk. Default yes, unless the server's HELO
    /// says no.
    pub keepalive: bool,
    /// After about so long (a random tenth more or less) a connection is replaced. Default 10 min.
    pub max_age: Duration,
    /// A connection without chunks is closed after so long. Default 30 s.
    pub idle_timeout: Duration,
    /// A connection is replaced after so many chunks. Default never.
    pub max_uses: Option<u64>,
    /// After so long without an acknowledgement by the peer's system a connection is dead
    /// (`TCP_USER_TIMEOUT`, where there is one). Default 60 s.
    pub tcp_user_timeout: Duration,
    /// How long a node is left alone after a failure: 1 s, doubled with each further one up to
    /// 5 min, and of that a random share.
    pub retry: Retry,
    /// How long a node that refuses our login is left alone at least. Default 30 s.
    pub login_retry: Duration,
    /// When to give a chunk up. Default never. Zero tries once.
    pub retry_timeout: Option<Duration>,
    /// How nodes are watched.
    pub heartbeat: Heartbeat,
    /// Whether all chunks of a tag go to one node as long as it is up. Default no.
    pub sticky: bool,
    /// Shared key and login, for servers without their own. Default none.
    pub security: Option<ClientSecurity>,
    /// TLS towards servers over TCP. Default none: everything is in clear.
    pub tls: Option<ClientTls>,
    /// How long [`Sender::close`](super::Sender::close) waits for acknowledgements. Default 10 s.
    pub close_timeout: Duration,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            srv: None,
            resolver: Arc::new(SystemResolver),
            peer: Peer::Any,
            require_ack: true,
            ack_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            tls_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            compression: Compression::None,
            entries_format: EntriesFormat::Bin,
            time_as_integer: false,
            metadata: None,
            chunk_bytes: 1 << 20,
            max_entry_bytes: 4 << 20,
            max_in_flight: None,
            connections: 1,
            max_in_flight_bytes: 16 << 20,
            keepalive: true,
            max_age: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(30),
            max_uses: None,
            tcp_user_timeout: Duration::from_secs(60),
            retry: Retry::default(),
            login_retry: Duration::from_secs(30),
            retry_timeout: None,
            heartbeat: Heartbeat::default(),
            sticky: false,
            security: None,
            tls: None,
            close_timeout: Duration::from_secs(10),
        }
    }
}

impl SenderConfig {
    /// The defaults for one server.
    pub fn to(address: impl Into<Address>) -> Self {
        Self { servers: vec![Server::new(address)], ..Self::default() }
    }

    /// How many chunks may be unacknowledged on one connection.
    pub(super) fn window(&self) -> usize {
        let by_peer = if self.peer == Peer::Logmon { 8 } else { 1 };
        self.max_in_flight.unwrap_or(by_peer).max(1)
    }

    /// What becomes of metadata.
    pub(super) fn metadata(&self) -> Metadata {
        let by_peer = match self.peer {
            Peer::Any => Metadata::Drop,
            Peer::FluentBit | Peer::Logmon => Metadata::Keep,
        };
        self.metadata.clone().unwrap_or(by_peer)
    }
}
