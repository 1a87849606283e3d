//! Making one connection: TCP or Unix socket, TLS, handshake.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::failure::{Failure, FailureKind};
use super::node::Node;
use super::retry::random_share;
use super::{Address, SenderConfig};
use crate::codec::AckParser;
use crate::handshake::{Client, ClientProgress, ClientSecurity};

/// A connection that says nothing for a minute is asked whether it still lives; after four
/// questions 15 s apart without an answer it is gone.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// How long the next address waits for the one before it (RFC 8305, "Connection Attempt Delay").
const STAGGER: Duration = Duration::from_millis(250);

/// How long a graceful end may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// How long data that is there may take to be read.
const SETTLE_LIMIT: Duration = Duration::from_millis(20);

/// Bytes both ways, whatever carries them.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) type BoxStream = Box<dyn Stream>;

/// An established connection.
pub(super) struct Connection {
    pub(super) reader: ReadHalf<BoxStream>,
    pub(super) writer: WriteHalf<BoxStream>,
    /// What came and was not read yet.
    pub(super) acks: AckParser,
    /// Whether the server wants one message on each connection.
    pub(super) is_single: bool,
    pub(super) expires: Instant,
    /// The socket once more, to look at it past the layers above.
    socket: Socket,
    is_tls: bool,
}

impl Connection {
    /// Connects to a node.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn open(
        node: &Node,
        (config, tls): (&SenderConfig, Option<TlsConnector>),
        has_failed: bool,
    ) -> Result<Self, Failure> {
        let (mut stream, socket) = raw(node, config, has_failed).await?;
        let tls = tls.zip(host(node));
        let is_tls = tls.is_some();
        if let Some((connector, host)) = tls {
            let name = tls_name(node, config, host)?;
            let limit = config.tls_timeout;
            let agreeing = timeout(limit, connector.connect(name, stream)).await;
            let agreed = agreeing.map_err(|_| Failure::timeout("TLS", limit))?;
            stream = Box::new(agreed.map_err(|error| Failure::with(FailureKind::Tls, error))?);
        }
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (mut acks, mut is_single) = (AckParser::default(), !config.keepalive);
        if let Some(security) = &node.security {
            let limit = config.handshake_timeout;
            let shaking = shake_hands((&mut reader, &mut writer), acks.buffer(), security);
            let keepalive = timeout(limit, shaking)
                .await
                .map_err(|_| Failure::timeout("the handshake", limit))??;
            is_single |= !keepalive;
        }
        let expires = Instant::now() + config.max_age.mul_f64(0.9 + random_share() / 5.0);
        Ok(Self { reader, writer, acks, is_single, expires, socket, is_tls })
    }

    /// One over any stream; whether it looks dead is told by `socket`.
    #[cfg(test)]
    pub(super) fn over(stream: BoxStream, socket: Socket) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let expires = Instant::now() + Duration::from_secs(3600);
        let acks = AckParser::default();
        Self { reader, writer, acks, is_single: false, expires, socket, is_tls: false }
    }

    /// Whether a connection on which nothing is owed has been closed or was sent something, which
    /// a server has no reason to do. Asks the system, so that it is not what was so a moment ago.
    pub(super) async fn is_dead(&mut self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match self.socket.peek(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // TLS has words of its own, such as tickets.
            Ok(1..) if self.is_tls => {
                let reading = self.reader.read_buf(self.acks.buffer());
                timeout(SETTLE_LIMIT, reading).await.is_ok()
            }
            _ => true,
        }
    }

    /// Ends a connection on which nothing is owed.
    pub(super) async fn close(mut self) {
        // The peer may be gone already; there is nothing to be lost.
        let _ended = timeout(CLOSE_LIMIT, self.writer.shutdown()).await;
    }
}

/// The host of a node over TCP; nobody else speaks TLS.
fn host(node: &Node) -> Option<&str> {
    match &node.address {
        Address::Tcp { host, .. } => Some(host),
        Address::Unix(_) => None,
    }
}

/// The name the certificate has to have.
fn tls_name(
    node: &Node,
    config: &SenderConfig,
    host: &str,
) -> Result<ServerName<'static>, Failure> {
    let mut tls = config.tls.clone().unwrap_or_default();
    if let Some(name) = &node.name {
        tls.server_name = Some(name.clone());
    }
    tls.server_name(host).map_err(|error| Failure::with(FailureKind::Tls, error))
}

/// The bare stream, and its socket once more.
async fn raw(
    node: &Node,
    config: &SenderConfig,
    has_failed: bool,
) -> Result<(BoxStream, Socket), Failure> {
    let limit = config.connect_timeout;
    let connecting = async {
        match &node.address {
            Address::Tcp { .. } => {
                let addrs = node.addresses(&*config.resolver, has_failed).await?;
                let stream = connect_any(addrs).await.map_err(connect_failure)?;
                let socket = prepare(&stream, config).map_err(connect_failure)?;
                Ok((Box::new(stream) as BoxStream, socket))
            }
            Address::Unix(path) => unix(path).await.map_err(connect_failure),
        }
    };
    timeout(limit, connecting).await.map_err(|_| Failure::timeout("connecting", limit))?
}

fn connect_failure(error: io::Error) -> Failure {
    Failure::with(FailureKind::Connect, error)
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> io::Result<(BoxStream, Socket)> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    let socket = SockRef::from(&stream).try_clone()?;
    Ok((Box::new(stream), socket))
}

#[cfg(not(unix))]
async fn unix(_: &std::path::Path) -> io::Result<(BoxStream, Socket)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets here"))
}

/// Tries the addresses one after the other, not waiting long for any.
async fn connect_any(addrs: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let (mut left, mut tries, mut error) = (addrs.into_iter(), JoinSet::new(), None);
    loop {
        if let Some(addr) = left.next() {
            tries.spawn(TcpStream::connect(addr));
        }
        tokio::select! {
            outcome = tries.join_next() => match outcome {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(failed))) => error = Some(failed),
                Some(Err(failed)) => error = Some(io::Error::other(failed)),
                None if left.len() > 0 => {}
                None => return Err(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            },
            () = tokio::time::sleep(STAGGER), if left.len() > 0 => {}
        }
    }
}

/// Chunks leave at once, and dead peers are to be noticed.
fn prepare(stream: &TcpStream, config: &SenderConfig) -> io::Result<Socket> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let (idle, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval);
    socket.set_tcp_keepalive(&keepalive.with_retries(retries))?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(config.tcp_user_timeout))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = config;
    socket.try_clone()
}

/// Says who we are and sees who the server is; tells whether it lets connections live on.
async fn shake_hands(
    (reader, writer): (&mut ReadHalf<BoxStream>, &mut WriteHalf<BoxStream>),
    buffer: &mut BytesMut,
    security: &ClientSecurity,
) -> Result<bool, Failure> {
    let mut client = Client::new(security.clone())?;
    loop {
        match client.feed(buffer)? {
            ClientProgress::Send(ping) => {
                writer.write_all(&ping).await?;
                writer.flush().await?;
            }
            ClientProgress::Done => return Ok(client.keepalive()),
            ClientProgress::NeedsBytes => {
                if reader.read_buf(buffer).await? == 0 {
                    let early = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(Failure::with(FailureKind::Handshake, early));
                }
            }
        }
    }
}
