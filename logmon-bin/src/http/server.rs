//! Connections: accept, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::App;
use super::connection::Connection;

/// How long a request line and its headers may take to come.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest request line and headers together.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// How long a write may wait for a reader who takes nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(25);
/// How long open requests may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// The HTTP listener.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    max_connections: u32,
}

/// What a connection beyond the limit is told.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 0\r\n\r\n";

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub(crate) async fn bind(address: SocketAddr, max_connections: u32) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, max_connections })
    }

    /// The address, with the port that was chosen.
    pub(crate) fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` turns true, then lets open requests end.
    pub(crate) async fn run(self, app: App, mut shutdown: watch::Receiver<bool>) {
        let router = app.router();
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEADER_BYTES);
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.max_connections as usize));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                // An error means that whoever could end the server is gone.
                _ = shutdown.wait_for(|ending| *ending) => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting an HTTP connection failed");
                    // Out of descriptors, most likely: let some connection end first.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::warn!(limit = self.max_connections, "too many HTTP connections");
                tokio::spawn(tokio::time::timeout(Duration::from_secs(1), refuse(stream)));
                continue;
            };
            // Without delay, as events are small and want to be seen.
            drop(stream.set_nodelay(true));
            let io = TokioIo::new(Connection::new(stream, place, WRITE_TIMEOUT));
            let service = TowerToHyperService::new(router.clone());
            let connection = builder.serve_connection_with_upgrades(io, service);
            let connection = graceful.watch(connection.into_owned());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "an HTTP connection ended early");
                }
            });
        }
        drop(self.listener);
        let drained = async {
            graceful.shutdown().await;
            // WebSockets have left their HTTP connections but hold their places.
            places.acquire_many(self.max_connections).await.map(drop)
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some HTTP requests did not end in time");
        }
    }
}

async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await
}
