//! The side that connects: HELO in, PING out, PONG in.

use bytes::{Buf as _, BytesMut};
use logmon_core::msgpack;

use super::digest::{self, HexDigest};
use super::secret::Secret;
use super::wire::{Fault, Reader};

/// Pairs beyond these in a HELO are not what a server sends.
const MAX_OPTIONS: u32 = 64;

/// Who a client says it is, and what shows it.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the parts of a PING")]
pub struct ClientSecurity {
    /// The name of this machine as the server is to know it. It must differ from the server's.
    pub self_hostname: String,
    /// The key both sides know.
    pub shared_key: Secret,
    /// The user to log in as, where the server asks for one; empty for none.
    pub username: String,
    /// That user's password.
    pub password: Secret,
}

/// The client's half of one connection's handshake.
///
/// ```text
/// loop { read bytes into buffer; match client.feed(&mut buffer)? { Send(ping) => write, Done => break } }
/// ```
#[derive(Debug)]
pub struct Client {
    security: ClientSecurity,
    salt: [u8; digest::SALT],
    state: State,
    keepalive: bool,
}

#[derive(Debug)]
enum State {
    Helo,
    /// The digest that the server has to send depends on the name it gives itself.
    Pong {
        nonce: Vec<u8>,
        ping: HexDigest,
    },
    Done,
    Failed,
}

/// What a client has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller has to handle each")]
pub enum ClientProgress {
    /// More bytes of the server are needed.
    NeedsBytes,
    /// These bytes, the PING, are to be sent; then more bytes of the server are needed.
    Send(Vec<u8>),
    /// Both sides know the key. What is left in the buffer comes after the handshake.
    Done,
}

/// Why a client gives a connection up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The bytes where a HELO was due are none.
    #[error("the server did not begin with a HELO: it has no shared key, or is no Forward server")]
    NoHelo,
    /// The HELO has fields of wrong types or too much of them.
    #[error("the server's HELO cannot be read")]
    InvalidHelo,
    /// The answer to the PING cannot be read.
    #[error("the server's PONG cannot be read")]
    InvalidPong,
    /// The server says no.
    #[error("the server refused the login: {0}")]
    Refused(String),
    /// The server gives itself our name, or sends our own digest back.
    #[error("the server goes by our own hostname `{0}`; give this side another `self_hostname`")]
    Reflected(String),
    /// The server does not know the key.
    #[error("the server does not know the shared key: its digest is wrong")]
    KeyMismatch,
    /// It has failed or succeeded before.
    #[error("the handshake has ended")]
    Ended,
}

impl Client {
    /// A handshake with a salt of its own, for one connection.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(security: ClientSecurity) -> std::io::Result<Self> {
        Ok(Self { security, salt: digest::salt()?, state: State::Helo, keepalive: true })
    }

    /// Takes what the server sent from the front of `buffer`.
    ///
    /// # Errors
    /// The server is not to be trusted or does not trust us; the connection is to be closed.
    pub fn feed(&mut self, buffer: &mut BytesMut) -> Result<ClientProgress, ClientError> {
        let result = match std::mem::replace(&mut self.state, State::Failed) {
            State::Helo => self.helo(buffer),
            State::Pong { nonce, ping } => self.pong(buffer, nonce, ping),
            State::Done | State::Failed => Err(ClientError::Ended),
        };
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    /// Whether the server lets one connection carry more than one message; known after the HELO.
    pub fn keepalive(&self) -> bool {
        self.keepalive
    }

    fn helo(&mut self, buffer: &mut BytesMut) -> Result<ClientProgress, ClientError> {
        let mut reader = Reader::new(buffer);
        let helo = match Helo::read(&mut reader) {
            Ok(helo) => helo,
            Err(HeloFault::Incomplete) => {
                self.state = State::Helo;
                return Ok(ClientProgress::NeedsBytes);
            }
            Err(HeloFault::Error(error)) => return Err(error),
        };
        let read = reader.position();
        self.keepalive = helo.keepalive;
        let security = &self.security;
        let (nonce, hostname) = (helo.nonce.to_vec(), security.self_hostname.as_bytes());
        let ping = HexDigest::of_key(&self.salt, hostname, &nonce, security.shared_key.bytes());
        let mut out = Vec::with_capacity(512);
        msgpack::write_array_len(&mut out, 6);
        msgpack::write_str(&mut out, "PING");
        msgpack::write_str(&mut out, &security.self_hostname);
        write_text(&mut out, &self.salt);
        write_text(&mut out, ping.as_bytes());
        if helo.auth.is_empty() {
            write_text(&mut out, b"");
            write_text(&mut out, b"");
        } else {
            let (user, password) = (&security.username, security.password.bytes());
            let digest = HexDigest::of_password(helo.auth, user.as_bytes(), password);
            msgpack::write_str(&mut out, user);
            write_text(&mut out, digest.as_bytes());
        }
        buffer.advance(read);
        self.state = State::Pong { nonce, ping };
        Ok(ClientProgress::Send(out))
    }

    fn pong(
        &mut self,
        buffer: &mut BytesMut,
        nonce: Vec<u8>,
        ping: HexDigest,
    ) -> Result<ClientProgress, ClientError> {
        let mut reader = Reader::new(buffer);
        let answer = match Pong::read(&mut reader) {
            Ok(answer) => answer,
            Err(Fault::Incomplete) => {
                self.state = State::Pong { nonce, ping };
                return Ok(ClientProgress::NeedsBytes);
            }
            Err(Fault::Invalid) => return Err(ClientError::InvalidPong),
        };
        let read = reader.position();
        if !answer.is_ok {
            return Err(ClientError::Refused(super::shown(answer.reason)));
        }
        let security = &self.security;
        let is_ours = answer.hostname == security.self_hostname.as_bytes();
        if is_ours || ping.is(answer.digest) {
            return Err(ClientError::Reflected(security.self_hostname.clone()));
        }
        let key = security.shared_key.bytes();
        if !HexDigest::of_key(&self.salt, answer.hostname, &nonce, key).is(answer.digest) {
            return Err(ClientError::KeyMismatch);
        }
        buffer.advance(read);
        self.state = State::Done;
        Ok(ClientProgress::Done)
    }
}

/// Appends ASCII as a str, which is how every server expects it.
fn write_text(out: &mut Vec<u8>, ascii: &[u8]) {
    msgpack::write_str(out, std::str::from_utf8(ascii).unwrap_or_default());
}

struct Helo<'a> {
    nonce: &'a [u8],
    auth: &'a [u8],
    keepalive: bool,
}

enum HeloFault {
    Incomplete,
    Error(ClientError),
}

impl From<Fault> for HeloFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Incomplete => Self::Incomplete,
            Fault::Invalid => Self::Error(ClientError::InvalidHelo),
        }
    }
}

impl<'a> Helo<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, HeloFault> {
        let stranger = |fault| match fault {
            Fault::Incomplete => HeloFault::Incomplete,
            Fault::Invalid => HeloFault::Error(ClientError::NoHelo),
        };
        let elements = reader.array().map_err(stranger)?;
        if elements == 0 || reader.text().map_err(stranger)? != b"HELO" {
            return Err(HeloFault::Error(ClientError::NoHelo));
        }
        let pairs = if elements == 2 { reader.map()? } else { MAX_OPTIONS + 1 };
        if pairs > MAX_OPTIONS {
            return Err(HeloFault::Error(ClientError::InvalidHelo));
        }
        let (mut nonce, mut auth, mut keepalive) = (None, &b""[..], true);
        for _ in 0..pairs {
            match reader.text()? {
                b"nonce" => nonce = Some(reader.text()?),
                b"auth" => auth = reader.text()?,
                b"keepalive" => keepalive = reader.bool()?,
                _ => reader.skip_flat()?,
            }
        }
        let nonce = nonce.ok_or(HeloFault::Error(ClientError::InvalidHelo))?;
        Ok(Self { nonce, auth, keepalive })
    }
}

struct Pong<'a> {
    is_ok: bool,
    reason: &'a [u8],
    hostname: &'a [u8],
    digest: &'a [u8],
}

impl<'a> Pong<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        if reader.array()? != 5 || reader.text()? != b"PONG" {
            return Err(Fault::Invalid);
        }
        let (is_ok, reason) = (reader.bool()?, reader.text()?);
        Ok(Self { is_ok, reason, hostname: reader.text()?, digest: reader.text()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let security = ClientSecurity {
            self_hostname: "client.example".into(),
            shared_key: "s3cret".into(),
            username: "alice".into(),
            password: "pa55".into(),
        };
        let salt = *b"00112233445566778899aabbccddeeff";
        Client { security, salt, state: State::Helo, keepalive: true }
    }

    fn bytes(parts: &[&[u8]]) -> BytesMut {
        parts.concat().as_slice().into()
    }

    fn helo() -> BytesMut {
        bytes(&[
            b"\x92\xa4HELO\x83\xa5nonce\xc4\x100123456789abcdef\xa4auth\xc4\x10fedcba9876543210",
            b"\xa9keepalive\xc2",
        ])
    }

    fn ping() -> Vec<u8> {
        bytes(&[
            b"\x96\xa4PING\xaeclient.example\xd9\x2000112233445566778899aabbccddeeff\xd9\x80",
            super::super::vectors::PING_KEY.as_bytes(),
            b"\xa5alice\xd9\x80",
            super::super::vectors::PING_PASSWORD.as_bytes(),
        ])
        .to_vec()
    }

    fn pong(hostname: &[u8], digest: &str) -> BytesMut {
        bytes(&[
            b"\x95\xa4PONG\xc3\xa0",
            &[0xa0 | u8::try_from(hostname.len()).unwrap()],
            hostname,
            b"\xd9\x80",
            digest.as_bytes(),
        ])
    }

    /// The vector of the specification, whole and byte by byte.
    #[test]
    fn logs_in() {
        let mut client = client();
        assert_eq!(client.feed(&mut helo()), Ok(ClientProgress::Send(ping())));
        assert!(!client.keepalive());
        let mut answer = pong(b"server.example", super::super::vectors::PONG_KEY);
        answer.extend_from_slice(b"rest");
        assert_eq!(client.feed(&mut answer), Ok(ClientProgress::Done));
        assert_eq!(&answer[..], b"rest");
        assert_eq!(client.feed(&mut answer), Err(ClientError::Ended));

        let mut client = self::client();
        let mut buffer = BytesMut::new();
        let (mut sent, mut is_done) = (Vec::new(), false);
        for byte in helo().iter().chain(&pong(b"server.example", super::super::vectors::PONG_KEY)) {
            buffer.extend_from_slice(&[*byte]);
            match client.feed(&mut buffer).unwrap() {
                ClientProgress::NeedsBytes => {}
                ClientProgress::Send(bytes) => sent.push(bytes),
                ClientProgress::Done => is_done = true,
            }
        }
        assert_eq!((sent, is_done), (vec![ping()], true));
    }

    /// Fluent Bit's server sends str that is not UTF-8 and no `keepalive`; one without users may
    /// send no `auth`.
    #[test]
    fn takes_what_servers_send() {
        let mut helo = bytes(&[b"\x92\xa4HELO\x82\xa5nonce\xa2\xff\xfe\xa4auth\xa0"]);
        let mut client = client();
        let Ok(ClientProgress::Send(ping)) = client.feed(&mut helo) else { panic!("no PING") };
        assert!(ping.ends_with(b"\xa0\xa0"));
        assert!(client.keepalive());
        let mut helo = bytes(&[b"\x92\xa4HELO\x82\xa5nonce\xa2\xff\xfe\xa5extra\xcd\x01\x02"]);
        assert!(matches!(self::client().feed(&mut helo), Ok(ClientProgress::Send(_))));
    }

    #[test]
    fn a_new_connection_has_a_new_salt() {
        let of = || Client::new(ClientSecurity::default()).unwrap().salt;
        assert_ne!(of(), of());
    }

    /// R-045: what a hostile server says is an error, and never a wait without an end.
    #[test]
    fn hostile_helos_are_errors() {
        use ClientError::{InvalidHelo, NoHelo};
        for (helo, error) in [
            (&b"\xc0"[..], NoHelo),
            (b"\x90", NoHelo),
            (b"HTTP/1.1", NoHelo),
            (b"\x92\xa4PING", NoHelo),
            (b"\xdd\xff\xff\xff\xff\xa4HELO", InvalidHelo),
            (b"\x91\xa4HELO", InvalidHelo),
            (b"\x92\xa4HELO\x90", InvalidHelo),
            (b"\x92\xa4HELO\x80", InvalidHelo),
            (b"\x92\xa4HELO\xdf\xff\xff\xff\xff", InvalidHelo),
            (b"\x92\xa4HELO\x81\xa5nonce\x07", InvalidHelo),
            (b"\x92\xa4HELO\x81\xa5nonce\xc6\x80\x00\x00\x00", InvalidHelo),
            (b"\x92\xa4HELO\x81\xa1x\x91\x01", InvalidHelo),
            (b"\x92\xa4HELO\x82\xa5nonce\xa1x\xa4auth\xc0", InvalidHelo),
            (b"\x92\xa4HELO\x82\xa5nonce\xa1x\xa9keepalive\x01", InvalidHelo),
        ] {
            assert_eq!(client().feed(&mut helo.into()), Err(error), "{helo:x?}");
        }
        let mut endless = bytes(&[b"\x92\xa4HELO\xde\x00\x40"]);
        endless.extend(b"\xa1x\xda\x02\x00".iter().chain(&[b'y'; 512]).cycle().take(8192));
        assert_eq!(client().feed(&mut endless), Err(InvalidHelo));
    }

    /// R-045, and the reflection of 2.6.
    #[test]
    fn hostile_pongs_are_errors() {
        use super::super::vectors::{PING_KEY, PONG_KEY};
        let answer = |mut pong: BytesMut| {
            let mut client = client();
            client.feed(&mut helo()).unwrap();
            client.feed(&mut pong)
        };
        let ours = ClientError::Reflected("client.example".into());
        assert_eq!(answer(pong(b"client.example", PING_KEY)), Err(ours.clone()));
        assert_eq!(answer(pong(b"client.example", PONG_KEY)), Err(ours.clone()));
        assert_eq!(answer(pong(b"other.example", PING_KEY)), Err(ours));
        assert_eq!(answer(pong(b"other.example", PONG_KEY)), Err(ClientError::KeyMismatch));
        let empty = bytes(&[b"\x95\xa4PONG\xc3\xa0\xa1s\xa0"]);
        assert_eq!(answer(empty), Err(ClientError::KeyMismatch));
        for bad in [
            &b"\x90"[..],
            b"\xdc\x00\x64\xa4PONG",
            b"\x95\xa4HELO",
            b"\x95\xa4PONG\x01",
            b"\x95\xa4PONG\xc3\xc0",
            b"\x95\xa4PONG\xc3\xa0\xdb\xff\xff\xff\xff",
        ] {
            assert_eq!(answer(bad.into()), Err(ClientError::InvalidPong), "{bad:x?}");
        }
        let no = bytes(&[b"\x95\xa4PONG\xc2\xb3shared_key mismatch\xa0\xa0"]);
        assert_eq!(answer(no), Err(ClientError::Refused("shared_key mismatch".into())));
    }
}
