//! A sender over plain TCP, for tools and tests: one connection, one chunk at a time.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use logmon_core::Log;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::{Instant, timeout, timeout_at};

use crate::codec::{Ack, AckError, AckParser, Packed, write_packed};

/// How a sender behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SenderConfig {
    /// How long connecting may take. Default 10 s.
    pub connect_timeout: Duration,
    /// How long writing a chunk and waiting for its acknowledgement may take. Default 60 s.
    pub ack_timeout: Duration,
    /// Whether [`Sender::send`] and [`Sender::send_logs`] ask for acknowledgements. Default yes:
    /// without them nobody knows what arrived.
    pub require_ack: bool,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(60),
            require_ack: true,
        }
    }
}

/// Why a chunk was not sent, or is not known to be safe. The connection is of no more use; a new
/// one may send the chunk again, with the same id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody answered in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection could not be made, or broke.
    #[error("the connection to the server failed")]
    Io(#[from] io::Error),
    /// The server closed the connection before it acknowledged the chunk.
    #[error("the server closed the connection without an acknowledgement")]
    Closed,
    /// The server wants a handshake first (Forward protocol v1, "Handshake Messages").
    #[error("the server requires a shared key")]
    Handshake,
    /// The answer is no acknowledgement.
    #[error("the server does not acknowledge as the protocol says")]
    Answer(#[from] AckError),
    /// The server says that it did not deliver the chunk.
    #[error("the server refused the chunk")]
    Refused,
    /// The answer is for another chunk.
    #[error("the server acknowledged another chunk")]
    WrongChunk,
    /// The system has no randomness for a chunk id.
    #[error("no random chunk id: {0}")]
    Random(io::Error),
    /// A send before this one failed or was dropped half way.
    #[error("the connection was given up after an earlier failure")]
    Spoiled,
}

/// A connection to a Forward server.
#[derive(Debug)]
pub struct Sender {
    stream: TcpStream,
    acks: AckParser,
    config: SenderConfig,
    out: Vec<u8>,
    /// A message may be half on its way, or an answer be missing.
    is_spoiled: bool,
}

impl Sender {
    /// Connects.
    ///
    /// # Errors
    /// [`SendError::Io`] or [`SendError::Timeout`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn connect(
        addr: impl ToSocketAddrs,
        config: SenderConfig,
    ) -> Result<Self, SendError> {
        let limit = config.connect_timeout;
        let connecting = timeout(limit, TcpStream::connect(addr)).await;
        let stream = connecting.map_err(|_| SendError::Timeout(limit))??;
        stream.set_nodelay(true)?;
        let (acks, out) = (AckParser::default(), Vec::new());
        Ok(Self { stream, acks, config, out, is_spoiled: false })
    }

    /// Sends packed entries under one tag and waits until the server has them safe.
    ///
    /// # Errors
    /// Nothing is known about the entries then: the server may have them.
    ///
    /// # Cancel safety
    /// Dropped half way, the connection is spoiled.
    pub async fn send(
        &mut self,
        tag: &str,
        entries: &[u8],
        events: usize,
    ) -> Result<(), SendError> {
        let id = self
            .config
            .require_ack
            .then(chunk_id)
            .transpose()
            .map_err(|error| SendError::Random(io::Error::other(error.to_string())))?;
        self.send_chunk(&Packed { tag, entries, events, chunk: id.as_deref() }).await
    }

    /// Sends events, those of one tag that follow each other in one chunk.
    ///
    /// # Errors
    /// As [`Sender::send`]; events of earlier tags are safe.
    ///
    /// # Cancel safety
    /// As [`Sender::send`].
    pub async fn send_logs(&mut self, logs: &[Log]) -> Result<(), SendError> {
        for logs in logs.chunk_by(|a, b| a.tag == b.tag) {
            let mut entries = Vec::new();
            logs.iter().for_each(|log| log.write_entry(&mut entries));
            let tag = logs.first().map_or("", |log| log.tag.as_str());
            self.send(tag, &entries, logs.len()).await?;
        }
        Ok(())
    }

    /// Sends a chunk under an id of the caller's, so that it can be sent again under the same one.
    /// Without an id it is done when the system has taken the bytes.
    ///
    /// # Errors
    /// As [`Sender::send`].
    ///
    /// # Cancel safety
    /// As [`Sender::send`].
    pub async fn send_chunk(&mut self, message: &Packed<'_>) -> Result<(), SendError> {
        if std::mem::replace(&mut self.is_spoiled, true) {
            return Err(SendError::Spoiled);
        }
        self.check_idle()?;
        self.out.clear();
        write_packed(&mut self.out, message);
        let limit = self.config.ack_timeout;
        let deadline = Instant::now() + limit;
        let writing = timeout_at(deadline, self.stream.write_all(&self.out)).await;
        writing.map_err(|_| SendError::Timeout(limit))??;
        if let Some(chunk) = message.chunk {
            let answer = timeout_at(deadline, self.next_ack()).await;
            match answer.map_err(|_| SendError::Timeout(limit))?? {
                Ack::Chunk(id) if id == chunk.as_bytes() => {}
                Ack::Chunk(_) => return Err(SendError::WrongChunk),
                Ack::Refused => return Err(SendError::Refused),
            }
        }
        self.is_spoiled = false;
        Ok(())
    }

    /// Tells the server that nothing more comes, and waits until it has closed its side.
    ///
    /// # Errors
    /// The connection broke; what was acknowledged is safe all the same.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn close(mut self) -> Result<(), SendError> {
        self.stream.shutdown().await?;
        let mut rest = [0; 512];
        let limit = self.config.connect_timeout;
        let closing = async {
            while self.stream.read(&mut rest).await? > 0 {}
            Ok(())
        };
        timeout(limit, closing).await.map_err(|_| SendError::Timeout(limit))?
    }

    /// Sees whether the server has closed the connection, or sent something unasked, since the
    /// last chunk.
    fn check_idle(&mut self) -> Result<(), SendError> {
        match self.stream.try_read_buf(self.acks.buffer()) {
            Ok(0) => Err(SendError::Closed),
            // Every answer that was due has been taken.
            Ok(_) => match self.next_answer()? {
                Some(_) => Err(SendError::WrongChunk),
                None => Ok(()),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn next_ack(&mut self) -> Result<Ack, SendError> {
        loop {
            if let Some(ack) = self.next_answer()? {
                return Ok(ack);
            }
            if self.stream.read_buf(self.acks.buffer()).await? == 0 {
                return Err(SendError::Closed);
            }
        }
    }

    fn next_answer(&mut self) -> Result<Option<Ack>, SendError> {
        /// `["HELO", ...`: what a server with security says first.
        const HELO: &[u8] = b"\x92\xa4HELO";
        let is_helo = self.acks.buffer().starts_with(HELO);
        self.acks
            .next_ack()
            .map_err(|error| if is_helo { SendError::Handshake } else { error.into() })
    }
}

/// A chunk id nobody else uses: 128 random bits as 24 characters of base64.
fn chunk_id() -> Result<String, getrandom::Error> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)?;
    Ok(BASE64.encode(bits))
}
