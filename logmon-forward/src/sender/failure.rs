//! What goes wrong on the way to a server.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::handshake::ClientError;

/// What went wrong, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The name could not be resolved.
    Resolve,
    /// The connection could not be made.
    Connect,
    /// TLS could not be agreed on, or the certificate is not to be trusted.
    Tls,
    /// The handshake could not be finished: the server is not to be trusted, or speaks another
    /// language.
    Handshake,
    /// The server refuses our login. Trying again soon is of no use.
    Login,
    /// The server requires a shared key and there is none for it. Trying again soon is of no use.
    SecurityRequired,
    /// Nothing came or went within the time for it.
    Timeout,
    /// The server closed the connection before it acknowledged what it had got.
    Closed,
    /// The connection broke.
    Broken,
    /// The server answered something that is no acknowledgement.
    Answer,
    /// The server says that it did not deliver the chunk, as Vector does with an empty map.
    NotDelivered,
    /// The server acknowledged a chunk it was not sent.
    WrongChunk,
}

impl FailureKind {
    /// All kinds, in the order of [`SenderStats::failures`](super::SenderStats::failures).
    pub const ALL: [Self; 12] = [
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::Handshake,
        Self::Login,
        Self::SecurityRequired,
        Self::Timeout,
        Self::Closed,
        Self::Broken,
        Self::Answer,
        Self::NotDelivered,
        Self::WrongChunk,
    ];

    /// A word for it, as counters are named.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
            Self::Login => "login",
            Self::SecurityRequired => "security_required",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Answer => "answer",
            Self::NotDelivered => "not_delivered",
            Self::WrongChunk => "wrong_chunk",
        }
    }

    /// Whether only a change of the configuration of one side helps.
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::Login | Self::SecurityRequired)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Resolve => "the name could not be resolved",
            Self::Connect => "connecting failed",
            Self::Tls => "TLS could not be agreed on",
            Self::Handshake | Self::Login => "the handshake failed",
            Self::SecurityRequired => "the server requires a shared key",
            Self::Timeout => "the server did not answer in time",
            Self::Closed => "the server closed the connection without an acknowledgement",
            Self::Broken => "the connection broke",
            Self::Answer => "the server does not acknowledge as the protocol says",
            Self::NotDelivered => "the server says that it did not deliver the chunk",
            Self::WrongChunk => "the server acknowledged another chunk",
        }
    }
}

/// Why something was not delivered, or is not known to be, by one try.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(super) const fn new(kind: FailureKind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn with(kind: FailureKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, source: Some(Arc::new(source)) }
    }

    /// The limit that has passed.
    pub(super) fn timeout(what: &'static str, limit: Duration) -> Self {
        Self::with(FailureKind::Timeout, Overdue { what, limit })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let kind = match error {
            ClientError::Refused(_) => FailureKind::Login,
            _ => FailureKind::Handshake,
        };
        Self::with(kind, error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::UnexpectedEof => FailureKind::Closed,
            _ => FailureKind::Broken,
        };
        Self::with(kind, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// An error with all its causes, for a log line.
pub(super) struct Chain<'a>(pub(super) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{what} took longer than {limit:?}")]
struct Overdue {
    what: &'static str,
    limit: Duration,
}

/// Why a send was given up. Nothing is known about its events then: a server may have them.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It was not delivered within [`SenderConfig::retry_timeout`](super::SenderConfig).
    #[error("not delivered to {node} after {attempts} attempts")]
    GaveUp {
        /// The node of the last try.
        node: String,
        /// How often it was tried.
        attempts: u32,
        /// What the last try failed by.
        #[source]
        failure: Failure,
    },
    /// No node could take it within [`SenderConfig::retry_timeout`](super::SenderConfig).
    #[error("no server could be reached within {0:?}")]
    NoNode(Duration),
    /// The sender was closed.
    #[error("the sender is closed")]
    Closed,
    /// The payload could not be made: no randomness for an id, or the compression failed.
    #[error("the chunk could not be made")]
    Encode(#[source] Arc<io::Error>),
}

impl From<io::Error> for SendError {
    fn from(error: io::Error) -> Self {
        Self::Encode(Arc::new(error))
    }
}
