//! The receiving side: sockets in, journal out, acknowledgements back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use logmon_core::{Journal, Quarantine, Timestamp};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

mod acks;
mod aftercare;
mod budget;
mod commits;
mod config;
mod connection;
mod dedupe;
mod door;
mod heartbeat;
mod patience;
mod places;
mod rates;
mod report;
mod stats;
mod upkeep;

pub use config::{ListenerConfig, UnixSocket};
pub use dedupe::DedupeMode;
pub use stats::{Snapshot, Stats};

use aftercare::Aftercare;
use budget::Budget;
use connection::Connection;
use dedupe::Dedupe;
use door::{Incoming, Visitor};
use heartbeat::Heartbeat;
use places::{Place, Places};
use rates::Failures;
use report::Limiter;

use crate::handshake::{Security, SecurityError};
use crate::tls::{ServerTls, TlsError};
#[cfg(unix)]
use crate::transport::LocalListener;
use crate::transport::{self, Liveness, Peer};

/// After a failed accept (no descriptors left, mostly) the next try waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the names of clients may hold up the first connection.
const RESOLVE_FIRST: Duration = Duration::from_secs(2);

/// A listener for the Forward protocol over TCP, TLS or a Unix socket.
///
/// Acknowledges a chunk when the journal's promise for its events is kept, not before. A journal
/// that is full stops the reading of the socket and never costs a connection.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    heartbeat: Option<Heartbeat>,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Local(LocalListener),
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Shared {
    config: ListenerConfig,
    settings: Arc<crate::Settings>,
    journal: Arc<dyn Journal>,
    quarantine: Option<Arc<dyn Quarantine>>,
    budget: Budget,
    dedupe: Arc<Dedupe>,
    aftercare: Aftercare,
    limiter: Limiter,
    stats: Arc<Stats>,
    tls: Option<ServerTls>,
    security: Option<Arc<Security>>,
    failures: Failures,
    /// Told when a client comes that no rule knows.
    stranger: Notify,
}

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is taken, or not ours, or the port needs a privilege.
    #[error("cannot listen for the Forward protocol on {addr}")]
    Address {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The Unix socket cannot be made.
    #[error("cannot listen for the Forward protocol on unix:{}", path.display())]
    Unix {
        /// The file that was asked for.
        path: PathBuf,
        /// What is in the way.
        #[source]
        source: io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("the TLS of the Forward listener")]
    Tls(#[from] TlsError),
    /// The rules of who may connect cannot be used.
    #[error("the security of the Forward listener")]
    Security(#[from] SecurityError),
    /// There is TLS for a Unix socket.
    #[error("TLS is for TCP; what goes through a Unix socket stays on this machine")]
    TlsOverUnix,
}

/// Changes a listener that runs.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Reads the certificate, its key and the certificates of clients again. Open connections are
    /// not touched. Does nothing without TLS.
    ///
    /// # Errors
    /// A file is missing or not what it should be; what was read before stays in use.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.0.tls.as_ref().map_or(Ok(()), ServerTls::reload)
    }
}

impl Listener {
    /// Opens the port. Connections wait in the backlog until [`Listener::run`].
    ///
    /// # Errors
    /// The address or the file is taken, or a part of the configuration cannot be used.
    pub fn bind(config: ListenerConfig, journal: Arc<dyn Journal>) -> Result<Self, BindError> {
        let security = config.security.clone().map(Security::new).transpose()?.map(Arc::new);
        let tls = config.tls.clone().map(ServerTls::load).transpose()?;
        let (socket, local_addr) = match &config.unix {
            Some(_) if tls.is_some() => return Err(BindError::TlsOverUnix),
            Some(unix) => (bind_local(unix, config.backlog)?, (Ipv4Addr::UNSPECIFIED, 0).into()),
            None => {
                let fail = |source| BindError::Address { addr: config.listen, source };
                bind_tcp(&config).map_err(fail)?
            }
        };
        let heartbeat = (config.udp_heartbeat && config.unix.is_none())
            .then(|| Heartbeat::bind(local_addr))
            .and_then(|bound| {
                bound
                    .inspect_err(|error| {
                        warn!(addr = %local_addr, %error, "UDP heartbeats are not answered");
                    })
                    .ok()
            });
        let shared = Arc::new(Shared {
            settings: Arc::new(config.decoder_settings()),
            journal,
            quarantine: None,
            budget: Budget::new(config.max_memory_bytes),
            dedupe: Arc::new(Dedupe::new(&config)),
            aftercare: Aftercare::default(),
            limiter: Limiter::default(),
            stats: Arc::new(Stats::default()),
            tls,
            security,
            failures: Failures::default(),
            stranger: Notify::new(),
            config,
        });
        Ok(Self { socket, heartbeat, local_addr, shared })
    }

    /// Keeps what is refused in `quarantine`, before the message is acknowledged. What it cannot keep
    /// is counted ([`Snapshot::quarantine_failed`]), and acknowledged all the same: a peer that sent
    /// it again would only send the same bytes.
    #[must_use]
    pub fn with_quarantine(mut self, quarantine: Arc<dyn Quarantine>) -> Self {
        // Nothing shares it before `run`.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.quarantine = Some(quarantine);
        }
        self
    }

    /// The address it listens on; with port 0 in the configuration, the port that was chosen. On
    /// a Unix socket 0.0.0.0:0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The counters, which stay readable after the listener has ended.
    pub fn stats(&self) -> Arc<Stats> {
        self.shared.stats.clone()
    }

    /// What changes it while it runs.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }

    /// Reads from the journal which chunks came before and serves until `shutdown` is ready, then
    /// drains: no new connections, each connection read to
    /// the end of the message it is in, everything committed, all acknowledgements sent, and every
    /// peer given 5 s to close.
    ///
    /// # Cancel safety
    /// Dropping the future aborts all connections; what was acknowledged stays.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { socket, heartbeat, local_addr, shared } = self;
        let name = shared
            .config
            .unix
            .as_ref()
            .map_or_else(|| local_addr.to_string(), |unix| format!("unix:{}", unix.path.display()));
        shared.remember().await;
        info!(addr = name, "listening for the Forward protocol");
        let mut helpers = JoinSet::new();
        if let Some(heartbeat) = heartbeat {
            let rate = shared.config.udp_heartbeat_rate;
            helpers.spawn(heartbeat.run(rate, shared.stats.clone()));
        }
        if shared.tls.is_some() {
            helpers.spawn(shared.clone().keep_certificates());
        }
        helpers.spawn(shared.clone().keep_names());
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        tokio::select! {
            biased;
            () = &mut shutdown => {}
            () = accept(&socket, &shared, &mut connections, &stopped) => {}
        }
        drop(socket);
        drop(helpers);
        stop.send_replace(true);
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
        shared.aftercare.end().await;
        info!(addr = name, "the Forward listener has ended");
    }
}

/// Accepts connections for ever.
async fn accept(
    socket: &Socket,
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
    stopped: &watch::Receiver<bool>,
) {
    if let Some(security) = &shared.security {
        // Clients that come before may be refused and come again.
        drop(timeout(RESOLVE_FIRST, upkeep::resolve(security)).await);
    }
    let places = Arc::new(Places::new(&shared.config));
    loop {
        tokio::select! {
            biased;
            Some(ended) = connections.join_next() => log_panic(ended),
            accepted = socket.accept() => match accepted {
                Ok((incoming, peer)) => {
                    if let Some(place) = shared.admit(&places, &incoming, peer) {
                        let serving = shared.clone().serve(incoming, (peer, place), stopped.clone());
                        connections.spawn(serving);
                    }
                }
                Err(error) => {
                    let nobody = Ipv4Addr::UNSPECIFIED.into();
                    if let Some(suppressed) = shared.limiter.admit(nobody, "accept") {
                        warn!(%error, suppressed, "accepting a connection failed");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

impl Socket {
    /// # Cancel safety
    /// Safe.
    async fn accept(&self) -> io::Result<(Incoming, Peer)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok((Incoming::Tcp(stream), Peer::Ip(peer)))
            }
            #[cfg(unix)]
            Self::Local(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok((Incoming::Local(stream), peer))
            }
        }
    }
}

impl Shared {
    /// Counts a new connection and prepares its socket, if it is allowed and there is a place.
    fn admit(&self, places: &Arc<Places>, incoming: &Incoming, peer: Peer) -> Option<Place> {
        let stats = &self.stats;
        Stats::add(&stats.connections, 1);
        if peer.address().is_some_and(|ip| !self.config.allows(ip)) {
            Stats::add(&stats.connections_refused, 1);
            Stats::add(&stats.connections_denied, 1);
            if let Some(suppressed) = self.limiter.admit(peer.ip(), "denied") {
                warn!(%peer, suppressed, "connection refused: the address is not allowed");
            }
            return None;
        }
        let is_login = self.security.is_some() || self.tls.is_some();
        let Some(place) = places.take(peer.address(), is_login) else {
            Stats::add(&stats.connections_refused, 1);
            if let Some(suppressed) = self.limiter.admit(peer.ip(), "connection_limit") {
                warn!(%peer, suppressed, "connection refused: the limit is reached");
            }
            return None;
        };
        if let Incoming::Tcp(stream) = incoming {
            let config = &self.config;
            let (keepalive, user_timeout) = (config.tcp_keepalive, config.tcp_user_timeout);
            if let Err(error) = transport::prepare(stream, Liveness { keepalive, user_timeout }) {
                debug!(%peer, %error, "a connection ended before it began");
                return None;
            }
        }
        Some(place)
    }

    /// One connection from its handshakes to its end.
    async fn serve(
        self: Arc<Self>,
        incoming: Incoming,
        (peer, place): (Peer, Place),
        mut stopped: watch::Receiver<bool>,
    ) {
        let _open = Open::count(self.stats.clone());
        let visitor = Visitor { shared: &self, peer, place: &place };
        let speaking = async {
            let entered = visitor.enter(incoming).await?;
            let config = &self.config;
            if entered.buffer.is_empty()
                && !(config.idle_timeout.is_some() || config.max_connection_age.is_some())
            {
                // Until it speaks it costs no more than this wait. Why it fails is seen later.
                drop(entered.reader.speaks().await);
            }
            Some(entered)
        };
        let entered = tokio::select! {
            biased;
            // An error means that the listener is gone.
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = place.lost() => {
                Stats::add(&self.stats.connections_evicted, 1);
                debug!(%peer, "connection closed: it has made room for another");
                return;
            }
            entered = speaking => entered,
        };
        if let Some(entered) = entered {
            Box::pin(Connection::new(self, entered, (peer, place), stopped).run()).await;
        }
    }
}

/// A connection counted as open until it is dropped, in whatever way its task ends.
struct Open(Arc<Stats>);

impl Open {
    fn count(stats: Arc<Stats>) -> Self {
        Stats::add(&stats.connections_open, 1);
        Self(stats)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Takes in the chunks that the journal got before the start, so that those sent again are
    /// recognised. Without them they would be stored twice.
    async fn remember(&self) {
        if self.dedupe.is_off() {
            return;
        }
        let now = Timestamp::now();
        match self.journal.chunks_since(self.dedupe.since(now)).await {
            Ok(chunks) => {
                self.dedupe.restore(&chunks, now);
                info!(chunks = self.dedupe.len(), "chunks of before the start are recognised");
            }
            Err(error) => {
                warn!(%error, "chunks of before the start, if sent again, are stored again");
            }
        }
    }
}

fn bind_tcp(config: &ListenerConfig) -> io::Result<(Socket, SocketAddr)> {
    let addr = config.listen;
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if let Some(bytes) = config.receive_buffer_size {
        // Connections inherit it, and it has to be known before they are made.
        SockRef::from(&socket).set_recv_buffer_size(bytes)?;
    }
    socket.bind(addr)?;
    let socket = socket.listen(config.backlog)?;
    let local_addr = socket.local_addr()?;
    Ok((Socket::Tcp(socket), local_addr))
}

#[cfg(unix)]
fn bind_local(unix: &UnixSocket, backlog: u32) -> Result<Socket, BindError> {
    let bound = LocalListener::bind(&unix.path, unix.mode, backlog);
    bound.map(Socket::Local).map_err(|source| BindError::Unix { path: unix.path.clone(), source })
}

#[cfg(not(unix))]
fn bind_local(unix: &UnixSocket, _backlog: u32) -> Result<Socket, BindError> {
    let source = io::ErrorKind::Unsupported.into();
    Err(BindError::Unix { path: unix.path.clone(), source })
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a connection's task ended in a way it should not");
    }
}
