//! The side that is connected to: HELO out, PING in, PONG out.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use logmon_core::msgpack;
use subtle::Choice;

use super::digest::{self, HexDigest};
use super::security::Security;
use super::wire::{Fault, Reader};

/// What is known of a client without asking it.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "all there is to know of it")]
pub struct PeerInfo {
    /// Its address; none over a Unix socket, where no rule for clients fits.
    pub ip: Option<IpAddr>,
    /// Whether its connection may carry more than one message, which the HELO tells it.
    pub keepalive: bool,
}

/// The server's half of one connection's handshake.
///
/// One PING is all a connection has: after it, whatever comes is not looked at any more.
#[derive(Debug)]
pub struct Server {
    security: Arc<Security>,
    peer: PeerInfo,
    nonce: Vec<u8>,
    auth: Vec<u8>,
    has_ended: bool,
}

/// What a server has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller has to handle each")]
pub enum Progress {
    /// More bytes of the client are needed.
    NeedsBytes,
    /// The client is let in. The PONG is to be sent; what is left in the buffer are messages.
    Accepted {
        /// The bytes to send.
        pong: Vec<u8>,
        /// Who it is.
        login: Login,
    },
    /// The client is not let in. The PONG is to be sent and the connection closed.
    Refused(Refused),
}

/// Who a client says it is. Before it has been accepted these are claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// The name of its machine, as far as it is text, shortened where it is long.
    pub client_hostname: String,
    /// The user; empty where none logs in.
    pub username: String,
    /// The `host` or `network` of the rule that fits its address.
    pub rule: Option<String>,
}

/// A client that is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The bytes to send: why, in Fluentd's words.
    pub pong: Vec<u8>,
    /// Why.
    pub refusal: Refusal,
    /// What it said of itself.
    pub login: Login,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// What came is no PING.
    InvalidPing,
    /// What came are events: the client has no key, or does not know the handshake.
    EventsFirst,
    /// The address fits no rule, and others are not let in.
    Anonymous,
    /// The client goes by our own name.
    SameHostname,
    /// The client does not know the key.
    KeyMismatch,
    /// No such user, or another password.
    UserMismatch,
}

impl Refusal {
    /// A short name for counters and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidPing => "invalid_ping",
            Self::EventsFirst => "events_before_ping",
            Self::Anonymous => "anonymous_source",
            Self::SameHostname => "same_hostname",
            Self::KeyMismatch => "shared_key_mismatch",
            Self::UserMismatch => "user_mismatch",
        }
    }

    /// What the client is told; these words are Fluentd's.
    fn reason(self, ip: Option<IpAddr>) -> String {
        match self {
            Self::InvalidPing | Self::EventsFirst => "invalid ping message".to_owned(),
            Self::Anonymous => {
                let ip = ip.map_or_else(|| "unix".to_owned(), |ip| ip.to_canonical().to_string());
                format!("anonymous source host '{ip}' denied")
            }
            Self::SameHostname => {
                "same hostname between input and output: invalid configuration".to_owned()
            }
            Self::KeyMismatch => "shared_key mismatch".to_owned(),
            Self::UserMismatch => "username/password mismatch".to_owned(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InvalidPing => "it sent something else than a PING",
            Self::EventsFirst => {
                "client sent events before authenticating (it has no shared key configured?)"
            }
            Self::Anonymous => "no client of the configuration has its address",
            Self::SameHostname => "it goes by our own hostname",
            Self::KeyMismatch => "it does not know the shared key",
            Self::UserMismatch => "no such user may log in from there, or not with this password",
        })
    }
}

impl Server {
    /// A handshake with a nonce of its own, for one connection.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(security: Arc<Security>, peer: PeerInfo) -> std::io::Result<Self> {
        let (nonce, auth) = (digest::salt()?.to_vec(), digest::salt()?.to_vec());
        Ok(Self { security, peer, nonce, auth, has_ended: false })
    }

    /// The HELO, fewer than 128 bytes that are to be sent with one write: clients read it with one
    /// read.
    pub fn helo(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        msgpack::write_array_len(&mut out, 2);
        msgpack::write_str(&mut out, "HELO");
        msgpack::write_map_len(&mut out, 3);
        msgpack::write_str(&mut out, "nonce");
        msgpack::write_bin(&mut out, &self.nonce);
        msgpack::write_str(&mut out, "auth");
        msgpack::write_bin(&mut out, &self.auth);
        msgpack::write_str(&mut out, "keepalive");
        msgpack::write_bool(&mut out, self.peer.keepalive);
        out
    }

    /// Takes the PING from the front of `buffer`. Nothing is copied until it is whole, and at most
    /// [`super::MAX_MESSAGE`] bytes are waited for.
    pub fn feed(&mut self, buffer: &mut BytesMut) -> Progress {
        if self.has_ended {
            return self.refuse(Refusal::InvalidPing, Login::default());
        }
        let mut reader = Reader::new(buffer);
        match Ping::read(&mut reader) {
            Ok(ping) => {
                let checked = self.check(&ping);
                let read = reader.position();
                self.has_ended = true;
                match checked {
                    Ok(accepted) => {
                        buffer.advance(read);
                        accepted
                    }
                    Err((refusal, login)) => self.refuse(refusal, login),
                }
            }
            Err(PingFault::Incomplete) => Progress::NeedsBytes,
            Err(PingFault::Refusal(refusal)) => {
                self.has_ended = true;
                self.refuse(refusal, Login::default())
            }
        }
    }

    /// In Fluentd's order: the client's rule, its name and key, then the user.
    fn check(&self, ping: &Ping<'_>) -> Result<Progress, (Refusal, Login)> {
        let security = &*self.security;
        let mut login = Login {
            client_hostname: super::shown(ping.hostname),
            username: super::shown(ping.username),
            rule: None,
        };
        let Some(node) = security.node(self.peer.ip) else {
            return Err((Refusal::Anonymous, login));
        };
        login.rule = node.rule.map(|rule| rule.name.clone());
        if ping.hostname == security.self_hostname.as_bytes() {
            return Err((Refusal::SameHostname, login));
        }
        let key = node.key();
        if !HexDigest::of_key(ping.salt, ping.hostname, &self.nonce, key).is(ping.key_digest) {
            return Err((Refusal::KeyMismatch, login));
        }
        if security.wants_users() && !self.is_user(ping, node.passwords(ping.username)) {
            return Err((Refusal::UserMismatch, login));
        }
        let hostname = security.self_hostname.as_bytes();
        let digest = HexDigest::of_key(ping.salt, hostname, &self.nonce, key);
        let answer = pong(true, "", &security.self_hostname, digest.as_bytes());
        Ok(Progress::Accepted { pong: answer, login })
    }

    /// Tries all passwords of the user, and one nobody has where there is no such user: how long
    /// that takes tells nothing about names.
    fn is_user<'a>(
        &self,
        ping: &Ping<'_>,
        passwords: impl Iterator<Item = &'a super::Secret>,
    ) -> bool {
        let digest_is = |password: &[u8]| {
            let digest = HexDigest::of_password(&self.auth, ping.username, password);
            Choice::from(u8::from(digest.is(ping.password_digest)))
        };
        let (mut is_user, mut tried) = (Choice::from(0), 0u32);
        for password in passwords {
            is_user |= digest_is(password.bytes());
            tried += 1;
        }
        if tried == 0 {
            std::hint::black_box(digest_is(&self.nonce));
        }
        bool::from(is_user)
    }

    fn refuse(&self, refusal: Refusal, login: Login) -> Progress {
        let pong = pong(false, &refusal.reason(self.peer.ip), "", b"");
        Progress::Refused(Refused { pong, refusal, login })
    }
}

fn pong(is_ok: bool, reason: &str, hostname: &str, digest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    msgpack::write_array_len(&mut out, 5);
    msgpack::write_str(&mut out, "PONG");
    msgpack::write_bool(&mut out, is_ok);
    msgpack::write_str(&mut out, reason);
    msgpack::write_str(&mut out, hostname);
    msgpack::write_str(&mut out, std::str::from_utf8(digest).unwrap_or_default());
    out
}

#[derive(Debug)]
struct Ping<'a> {
    hostname: &'a [u8],
    salt: &'a [u8],
    key_digest: &'a [u8],
    username: &'a [u8],
    password_digest: &'a [u8],
}

enum PingFault {
    Incomplete,
    Refusal(Refusal),
}

impl From<Fault> for PingFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Incomplete => Self::Incomplete,
            Fault::Invalid => Self::Refusal(Refusal::InvalidPing),
        }
    }
}

impl<'a> Ping<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, PingFault> {
        let elements = reader.array()?;
        if elements == 0 {
            return Err(PingFault::Refusal(Refusal::InvalidPing));
        }
        // Another text at the front of an array is a tag.
        if reader.text()? != b"PING" {
            return Err(PingFault::Refusal(Refusal::EventsFirst));
        }
        if elements != 6 {
            return Err(PingFault::Refusal(Refusal::InvalidPing));
        }
        Ok(Self {
            hostname: reader.text()?,
            salt: reader.text()?,
            key_digest: reader.text()?,
            username: reader.text_or_nil()?,
            password_digest: reader.text_or_nil()?,
        })
    }
}

#[cfg(test)]
mod tests;
