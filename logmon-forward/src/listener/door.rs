//! From an accepted socket to a connection that may send events: TLS, then the login.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::Shared;
use super::places::Place;
use super::report::hex;
use super::stats::Stats;
use crate::codec::guess::guess;
use crate::handshake::{MAX_MESSAGE, PeerInfo, Progress, Refusal, Refused, Security, Server};
use crate::tls::{self, ServerTls};
use crate::transport::{self, EncryptedStream, Peer, ReadHalf, WriteHalf};

/// A socket as it was accepted.
#[derive(Debug)]
pub(super) enum Incoming {
    Tcp(TcpStream),
    #[cfg(unix)]
    Local(tokio::net::UnixStream),
}

/// A connection that may send events.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) reader: ReadHalf,
    pub(super) writer: WriteHalf,
    /// What came behind the login.
    pub(super) buffer: BytesMut,
}

/// Who stands at the door.
#[derive(Debug)]
pub(super) struct Visitor<'a> {
    pub(super) shared: &'a Shared,
    pub(super) peer: Peer,
    pub(super) place: &'a Place,
}

impl Visitor<'_> {
    /// Lets the visitor in. What goes wrong is logged and counted here.
    pub(super) async fn enter(&self, incoming: Incoming) -> Option<Entered> {
        let halves = match (incoming, &self.shared.tls) {
            (Incoming::Tcp(stream), None) => transport::split_tcp(stream),
            (Incoming::Tcp(stream), Some(tls)) => Box::pin(self.encrypt(stream, tls)).await?,
            #[cfg(unix)]
            (Incoming::Local(stream), _) => transport::split_local(stream),
        };
        let Some(security) = &self.shared.security else {
            self.place.greeted();
            let (reader, writer) = halves;
            return Some(Entered { reader, writer, buffer: BytesMut::new() });
        };
        let entered = Box::pin(self.login(halves, security)).await?;
        self.place.settle();
        Some(entered)
    }

    async fn encrypt(&self, stream: TcpStream, tls: &ServerTls) -> Option<(ReadHalf, WriteHalf)> {
        let (peer, stats) = (self.peer, &self.shared.stats);
        let deadline = Instant::now() + self.shared.config.tls_timeout;
        // A look at the first byte costs no memory of TLS for those who only knock.
        let mut first = [0; 8];
        match timeout_at(deadline, stream.peek(&mut first)).await {
            Ok(Ok(0) | Err(_)) => {
                self.heartbeat();
                return None;
            }
            Ok(Ok(read)) if first.first() != Some(&0x16) => {
                let head = first.get(..read).unwrap_or_default();
                self.plaintext(stream, head).await;
                return None;
            }
            Ok(Ok(_)) => {}
            Err(_) => {
                Stats::add(&stats.tls_failed, 1);
                debug!(%peer, "connection closed: no TLS handshake came");
                return None;
            }
        }
        let stream = match timeout_at(deadline, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => stream,
            failed => {
                self.log_tls(failed.map(Result::err));
                return None;
            }
        };
        if let Some([certificate, ..]) = stream.get_ref().1.peer_certificates()
            && let Some(suppressed) = self.shared.limiter.admit(peer.ip(), "client_certificate")
        {
            let subject = tls::subject(certificate);
            info!(%peer, subject, suppressed, "client certificate accepted");
        }
        Some(EncryptedStream::new(stream).split())
    }

    fn log_tls(&self, failed: Result<Option<io::Error>, tokio::time::error::Elapsed>) {
        let peer = self.peer;
        Stats::add(&self.shared.stats.tls_failed, 1);
        match failed {
            // Load balancers look whether the port answers.
            Ok(Some(error)) if error.kind() != io::ErrorKind::InvalidData => {
                debug!(%peer, %error, "connection ended in the TLS handshake");
            }
            Ok(error) => {
                if let Some(suppressed) = self.shared.limiter.admit(peer.ip(), "tls") {
                    let error = error.map(tracing::field::display);
                    warn!(%peer, error, suppressed, "connection closed: TLS handshake failed");
                }
            }
            Err(_) => debug!(%peer, "connection closed: the TLS handshake took too long"),
        }
    }

    async fn plaintext(&self, stream: TcpStream, head: &[u8]) {
        Stats::add(&self.shared.stats.tls_failed, 1);
        if let Some(suppressed) = self.shared.limiter.admit(self.peer.ip(), "plaintext") {
            let what = match head {
                [0x80..=0x9f | 0xdc..=0xdf, ..] => "Forward messages in clear came to a TLS port",
                _ => guess(head),
            };
            warn!(peer = %self.peer, head = hex(head), suppressed, "connection closed: no TLS: {what}");
        }
        let (reader, writer) = transport::split_tcp(stream);
        drop(writer);
        drain(reader, self.shared.config.linger).await;
    }

    /// The connection was closed before it said anything.
    fn heartbeat(&self) {
        Stats::add(&self.shared.stats.heartbeats, 1);
        debug!(peer = %self.peer, "connection closed without a byte: a heartbeat");
    }

    async fn login(
        &self,
        (mut reader, mut writer): (ReadHalf, WriteHalf),
        security: &Arc<Security>,
    ) -> Option<Entered> {
        let (config, peer) = (&self.shared.config, self.peer);
        let info = PeerInfo {
            ip: peer.address(),
            keepalive: config.max_messages_per_connection != Some(1),
        };
        let mut server = match Server::new(security.clone(), info) {
            Ok(server) => server,
            Err(error) => {
                warn!(%error, "nobody can log in: the system has no randomness");
                return None;
            }
        };
        let mut buffer = BytesMut::new();
        let talk = async {
            writer.write_all(&server.helo()).await?;
            loop {
                match server.feed(&mut buffer) {
                    Progress::NeedsBytes => {}
                    progress => return Ok(progress),
                }
                if read_some(&mut reader, &mut buffer).await? == 0 {
                    return Ok(Progress::NeedsBytes);
                }
            }
        };
        let progress: io::Result<Progress> = match timeout(config.login_timeout, talk).await {
            Ok(progress) => progress,
            Err(_) => {
                Stats::add(&self.shared.stats.logins_refused, 1);
                debug!(%peer, "connection closed: no PING came in time");
                return None;
            }
        };
        match progress {
            Ok(Progress::Accepted { pong, login }) => {
                // It fits the empty send buffer, so this waits only for a peer that is gone.
                timeout(config.login_timeout, writer.write_all(&pong)).await.ok()?.ok()?;
                Stats::add(&self.shared.stats.logins, 1);
                let (host, user) = (&login.client_hostname, &login.username);
                debug!(%peer, host, user, rule = login.rule, "client logged in");
                Some(Entered { reader, writer, buffer })
            }
            Ok(Progress::Refused(refused)) => {
                let head = hex(buffer.get(..buffer.len().min(16)).unwrap_or_default());
                let what = guess(&buffer);
                self.refuse((reader, writer), &refused, (&head, what)).await;
                None
            }
            Ok(Progress::NeedsBytes) | Err(_) => {
                if buffer.is_empty() {
                    self.heartbeat();
                } else {
                    Stats::add(&self.shared.stats.logins_refused, 1);
                    debug!(%peer, "connection ended inside the PING");
                }
                None
            }
        }
    }

    /// Says no, and lets the answer arrive: closing with bytes unread would destroy it.
    async fn refuse(
        &self,
        (reader, mut writer): (ReadHalf, WriteHalf),
        refused: &Refused,
        (head, what): (&str, &str),
    ) {
        let (config, peer) = (&self.shared.config, self.peer);
        Stats::add(&self.shared.stats.logins_refused, 1);
        if refused.refusal == Refusal::Anonymous {
            self.shared.stranger.notify_one();
        }
        let code = refused.refusal.code();
        if let Some(suppressed) = self.shared.limiter.admit(peer.ip(), code) {
            let login = &refused.login;
            let is_ping = !matches!(refused.refusal, Refusal::InvalidPing | Refusal::EventsFirst);
            let what = if refused.refusal == Refusal::InvalidPing { what } else { "" };
            warn!(
                reason = code,
                %peer,
                hostname = is_ping.then_some(&login.client_hostname),
                username = is_ping.then_some(&login.username),
                rule = login.rule,
                head = (!is_ping).then_some(head),
                what,
                suppressed,
                "client refused: {}",
                refused.refusal
            );
        }
        sleep(self.shared.failures.delay(peer.ip())).await;
        let answered = timeout(config.linger, writer.write_all(&refused.pong)).await;
        drop(writer);
        if matches!(answered, Ok(Ok(()))) {
            drain(reader, config.linger).await;
        }
    }
}

/// Reads once what is there, up to the most that a handshake may take.
async fn read_some(reader: &mut ReadHalf, buffer: &mut BytesMut) -> io::Result<usize> {
    loop {
        reader.readable().await?;
        let room = MAX_MESSAGE.saturating_sub(buffer.len());
        buffer.reserve(room.min(1024));
        match reader.try_read_buf(&mut (&mut *buffer).limit(room)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// Reads and throws away what a peer still sends.
pub(super) async fn drain(mut reader: ReadHalf, patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut scrap = vec![0; 4096];
    while let Ok(Ok(())) = timeout_at(deadline, reader.readable()).await {
        match reader.try_read_buf(&mut scrap.as_mut_slice()) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
