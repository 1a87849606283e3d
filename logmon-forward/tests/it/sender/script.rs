//! Servers that do what a test tells them.

use std::io;
use std::time::Duration;

use logmon_core::Retry;
use logmon_forward::codec::{AckWire, write_ack};
use logmon_forward::sender::{Address, HeartbeatKind, Peer, SenderConfig};
use logmon_forward::{SendError, Sender};
use rmpv::Value as V;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::common::*;

/// A server without a will of its own.
pub(crate) struct Script(TcpListener);

impl Script {
    pub(crate) async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> Address {
        self.0.local_addr().unwrap().into()
    }

    pub(crate) async fn accept(&self) -> Wire {
        let (stream, _) = self.0.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream, buffer: Vec::new() }
    }

    /// Takes connections and acknowledges everything, for ever; gives the ids to `seen`.
    pub(crate) async fn serve(self, seen: tokio::sync::mpsc::UnboundedSender<String>) {
        loop {
            let mut wire = self.accept().await;
            let seen = seen.clone();
            tokio::spawn(async move {
                while let Some(chunk) = wire.next().await {
                    wire.ack(&chunk.id).await;
                    if seen.send(chunk.id).is_err() {
                        return;
                    }
                }
            });
        }
    }
}

/// One connection of the server.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// A message as it stood on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) tag: String,
    pub(crate) payload: V,
    pub(crate) id: String,
    pub(crate) option: V,
}

impl Chunk {
    /// The bytes of a payload that has to be a bin.
    pub(crate) fn bytes(&self) -> &[u8] {
        let V::Binary(bytes) = &self.payload else { panic!("{:?}", self.payload) };
        bytes
    }

    pub(crate) fn option(&self, key: &str) -> Option<&V> {
        let pairs = self.option.as_map().unwrap();
        pairs.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next chunk; `None` at the end of the connection, which has to be between messages.
    pub(crate) async fn next(&mut self) -> Option<Chunk> {
        loop {
            let mut rest = &self.buffer[..];
            if let Ok(value) = rmpv::decode::read_value(&mut rest) {
                let used = self.buffer.len() - rest.len();
                self.buffer.drain(..used);
                let V::Array(parts) = value else { panic!("{value:?}") };
                let [tag, payload, option] = <[V; 3]>::try_from(parts).unwrap();
                let id =
                    option.as_map().unwrap().iter().find(|pair| pair.0.as_str() == Some("chunk"));
                let id = id.map_or("", |(_, id)| id.as_str().unwrap()).to_owned();
                let tag = tag.as_str().unwrap().to_owned();
                return Some(Chunk { tag, payload, id, option });
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => {
                    assert!(self.buffer.is_empty(), "the message is cut");
                    return None;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) async fn chunk(&mut self) -> Chunk {
        self.next().await.expect("a chunk")
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends in so many pieces, each of which arrives on its own.
    pub(crate) async fn send_pieces(&mut self, bytes: &[u8], pieces: usize) {
        for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
            self.send(piece).await;
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn ack(&mut self, id: &str) {
        self.send(&ack(id)).await;
    }
}

pub(crate) fn ack(id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_ack(&mut out, AckWire::Msgpack, id.as_bytes(), false);
    out
}

/// A sender's settings for tests: it tries again soon and asks nobody how they are.
pub(crate) fn config(address: Address) -> SenderConfig {
    let mut config = SenderConfig::to(address);
    config.retry = Retry { first: Duration::from_millis(5), most: Duration::from_millis(20) };
    config.heartbeat.kind = HeartbeatKind::None;
    config
}

/// The same towards logmon, so that several chunks may be on their way.
pub(crate) fn pipelined(address: Address) -> SenderConfig {
    let mut config = config(address);
    config.peer = Peer::Logmon;
    config
}

pub(crate) async fn send(sender: &Sender, text: &str) -> Result<(), SendError> {
    sender.send("t", packed(&[entry(1, text)]), 1).await
}
