//! The TCP side: sockets in, journal out, acknowledgements back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use logmon_core::{Journal, Quarantine};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

mod acks;
mod budget;
mod config;
mod connection;
mod places;
mod report;
mod stats;

pub use config::ListenerConfig;
pub use stats::{Snapshot, Stats};

use budget::Budget;
use connection::Connection;
use places::Places;
use report::Limiter;

/// A connection that says nothing for a minute is asked whether it still lives; after four
/// questions 15 s apart without an answer it is gone.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// After a failed accept (no descriptors left, mostly) the next try waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener for the Forward protocol over plain TCP.
///
/// Acknowledges a chunk when the journal's promise for its events is kept, not before. A journal
/// that is full stops the reading of the socket and never costs a connection.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Shared {
    config: ListenerConfig,
    settings: Arc<crate::Settings>,
    journal: Arc<dyn Journal>,
    quarantine: Option<Arc<dyn Quarantine>>,
    budget: Budget,
    limiter: Limiter,
    stats: Arc<Stats>,
}

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for the Forward protocol on {addr}")]
#[non_exhaustive]
pub struct BindError {
    /// The address that was asked for.
    pub addr: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl Listener {
    /// Opens the port. Connections wait in the backlog until [`Listener::run`].
    ///
    /// # Errors
    /// The address is taken, or not ours, or the port needs a privilege.
    pub fn bind(config: ListenerConfig, journal: Arc<dyn Journal>) -> Result<Self, BindError> {
        let addr = config.listen;
        let open = || {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(addr)?;
            let socket = socket.listen(config.backlog)?;
            let local_addr = socket.local_addr()?;
            Ok((socket, local_addr))
        };
        let (socket, local_addr) = open().map_err(|source| BindError { addr, source })?;
        let shared = Arc::new(Shared {
            settings: Arc::new(config.decoder_settings()),
            journal,
            quarantine: None,
            budget: Budget::new(config.max_memory_bytes),
            limiter: Limiter::default(),
            stats: Arc::new(Stats::default()),
            config,
        });
        Ok(Self { socket, local_addr, shared })
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

    /// The address it listens on; with port 0 in the configuration, the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The counters, which stay readable after the listener has ended.
    pub fn stats(&self) -> Arc<Stats> {
        self.shared.stats.clone()
    }

    /// Serves until `shutdown` is ready, then drains: no new connections, each connection read to
    /// the end of the message it is in, everything committed, all acknowledgements sent, and every
    /// peer given 5 s to close.
    ///
    /// # Cancel safety
    /// Dropping the future aborts all connections; what was acknowledged stays.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        info!(addr = %self.local_addr, "listening for the Forward protocol");
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let places = Arc::new(Places::new(&self.shared.config));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = connections.join_next() => log_panic(ended),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let admitted = self.admit(&places, (stream, peer));
                        if let Some((place, stream)) = admitted {
                            let shared = self.shared.clone();
                            let stopped = stopped.clone();
                            connections.spawn(async move {
                                Connection::new(shared, stream, (peer, stopped)).run().await;
                                drop(place);
                            });
                        }
                    }
                    Err(error) => {
                        let addr = self.local_addr.ip();
                        if let Some(suppressed) = self.shared.limiter.admit(addr, "accept") {
                            warn!(%error, suppressed, "accepting a connection failed");
                        }
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.socket);
        stop.send_replace(true);
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
        info!(addr = %self.local_addr, "the Forward listener has ended");
    }

    /// Counts a new connection and prepares its socket, if there is a place for it.
    fn admit(
        &self,
        places: &Arc<Places>,
        (stream, peer): (TcpStream, SocketAddr),
    ) -> Option<(places::Place, TcpStream)> {
        let stats = &self.shared.stats;
        Stats::add(&stats.connections, 1);
        let Some(place) = places.take(peer.ip()) else {
            Stats::add(&stats.connections_refused, 1);
            if let Some(suppressed) = self.shared.limiter.admit(peer.ip(), "connection_limit") {
                warn!(%peer, suppressed, "connection refused: the limit is reached");
            }
            return None;
        };
        if let Err(error) = prepare(&stream) {
            debug!(%peer, %error, "a connection ended before it began");
            return None;
        }
        Some((place, stream))
    }
}

/// Acknowledgements are due at once, and dead peers are to be noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (idle, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval);
    SockRef::from(stream).set_tcp_keepalive(&keepalive.with_retries(retries))
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a connection's task ended in a way it should not");
    }
}
