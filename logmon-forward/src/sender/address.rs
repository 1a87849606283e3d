//! Where a node is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of the protocol, where an address names none.
pub(super) const DEFAULT_PORT: u16 = 24224;

/// The address of a Forward server.
///
/// As text `host`, `host:port`, `[::1]:24224` or `unix:/path`; without a port it is 24224.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol runs over these")]
pub enum Address {
    /// TCP, and UDP for heartbeats of that kind.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `host`, `host:port` or `unix:/path`")]
pub struct ParseAddressError(String);

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(error()) } else { Ok(Self::Unix(path.into())) };
        }
        if let Some(inner) = text.strip_prefix('[') {
            let (host, rest) = inner.split_once(']').ok_or_else(error)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => port.parse().map_err(|_| error())?,
                None if rest.is_empty() => DEFAULT_PORT,
                None => return Err(error()),
            };
            return Self::tcp(host, port).ok_or_else(error);
        }
        match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => {
                Self::tcp(host, port.parse().map_err(|_| error())?).ok_or_else(error)
            }
            // More than one colon is an IPv6 address without a port.
            _ => Self::tcp(text, DEFAULT_PORT).ok_or_else(error),
        }
    }
}

impl Address {
    fn tcp(host: &str, port: u16) -> Option<Self> {
        let is_blank = host.is_empty() || host.chars().any(char::is_whitespace);
        (!is_blank).then(|| Self::Tcp { host: host.to_owned(), port })
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp { host: addr.ip().to_string(), port: addr.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [
            ("logs.example", "logs.example:24224"),
            ("logs.example:1", "logs.example:1"),
            ("127.0.0.1:24225", "127.0.0.1:24225"),
            ("[::1]:9", "[::1]:9"),
            ("[::1]", "[::1]:24224"),
            ("fe80::1", "[fe80::1]:24224"),
            ("unix:/run/a b.sock", "unix:/run/a b.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
        for bad in ["", ":1", "a:b", "a:70000", "[::1", "[::1]x", "unix:", "a b:1", "[]:1"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        let addr: SocketAddr = "[::1]:7".parse().unwrap();
        assert_eq!(Address::from(addr).to_string(), "[::1]:7");
    }
}
