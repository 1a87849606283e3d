//! The sockets that the protocol runs over, alike for who reads and writes them: wait until
//! something is possible, then try it without waiting.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::BufMut;
use socket2::{SockRef, TcpKeepalive};
#[cfg(unix)]
use tokio::net::unix;
use tokio::net::{TcpStream, tcp};

mod encrypted;
#[cfg(unix)]
mod local;

pub(crate) use encrypted::EncryptedStream;
#[cfg(unix)]
pub(crate) use local::LocalListener;

/// The other end of a connection, as log lines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Ip(SocketAddr),
    /// A process of this machine, as far as the system tells which.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no such sockets"))]
    Local {
        pid: Option<i32>,
        uid: u32,
        gid: u32,
    },
}

impl Peer {
    /// Its address, IPv4 where it is one; none for a process of this machine.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Ip(peer) => Some(peer.ip().to_canonical()),
            Self::Local { .. } => None,
        }
    }

    /// What its log lines are held back by: all processes of this machine share them.
    pub(crate) fn ip(self) -> IpAddr {
        self.address().unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(peer) => write!(f, "{peer}"),
            Self::Local { pid: Some(pid), uid, gid } => {
                write!(f, "unix(pid={pid},uid={uid},gid={gid})")
            }
            Self::Local { pid: None, uid, gid } => write!(f, "unix(uid={uid},gid={gid})"),
        }
    }
}

/// The half that is read.
#[derive(Debug)]
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Local(unix::OwnedReadHalf),
    Encrypted(encrypted::ReadHalf),
}

/// The half that is written. Dropping it closes our side and leaves the other open.
#[derive(Debug)]
pub(crate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Local(unix::OwnedWriteHalf),
    Encrypted(encrypted::WriteHalf),
}

impl ReadHalf {
    /// Waits until a read may give something.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.readable().await,
            #[cfg(unix)]
            Self::Local(half) => half.readable().await,
            Self::Encrypted(half) => half.readable().await,
        }
    }

    /// Waits for the first byte, or the end, without memory for it. A new socket counts as readable
    /// until a read has found nothing; on other sockets than TCP this may be ready for that.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn speaks(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.as_ref().peek(&mut [0]).await.map(drop),
            _ => self.readable().await,
        }
    }

    /// Reads what is there, as far as there is room; `Ok(0)` is the end.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there.
    pub(crate) fn try_read_buf(&mut self, buffer: &mut impl BufMut) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_read_buf(buffer),
            #[cfg(unix)]
            Self::Local(half) => half.try_read_buf(buffer),
            Self::Encrypted(half) => half.try_read_buf(buffer),
        }
    }
}

impl ReadHalf {
    /// What went wrong with the socket since this was last asked.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(half) => half.as_ref().take_error(),
            #[cfg(unix)]
            Self::Local(half) => half.as_ref().take_error(),
            Self::Encrypted(half) => half.take_error(),
        }
    }
}

impl WriteHalf {
    /// Waits until a write may take something.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.writable().await,
            #[cfg(unix)]
            Self::Local(half) => half.writable().await,
            Self::Encrypted(half) => half.writable().await,
        }
    }

    /// Writes as much as the socket takes. After `WouldBlock` the next call must begin with the
    /// same bytes, because under TLS some of them may be on their way.
    ///
    /// # Errors
    /// `WouldBlock` where it takes nothing now.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write(bytes),
            #[cfg(unix)]
            Self::Local(half) => half.try_write(bytes),
            Self::Encrypted(half) => half.try_write(bytes),
        }
    }

    /// Writes everything.
    ///
    /// # Cancel safety
    /// Not safe: some of it may have been written.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The halves of a plain TCP connection.
pub(crate) fn split_tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    let (reader, writer) = stream.into_split();
    (ReadHalf::Tcp(reader), WriteHalf::Tcp(writer))
}

/// The halves of a connection to a process of this machine.
#[cfg(unix)]
pub(crate) fn split_local(stream: tokio::net::UnixStream) -> (ReadHalf, WriteHalf) {
    let (reader, writer) = stream.into_split();
    (ReadHalf::Local(reader), WriteHalf::Local(writer))
}

/// How dead peers are noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// After so long without a byte the peer is asked whether it lives; `None` never asks.
    pub(crate) keepalive: Option<Duration>,
    /// After so long without an answer to what we have written the connection ends.
    pub(crate) user_timeout: Option<Duration>,
}

/// After four questions 15 s apart without an answer a peer is gone.
const PROBES: (Duration, u32) = (Duration::from_secs(15), 4);

/// Prepares a TCP socket: what is written goes at once, and dead peers are noticed.
pub(crate) fn prepare(stream: &TcpStream, liveness: Liveness) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    if let Some(idle) = liveness.keepalive {
        let (interval, retries) = PROBES;
        let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval);
        socket.set_tcp_keepalive(&keepalive.with_retries(retries))?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(liveness.user_timeout)?;
    Ok(())
}
