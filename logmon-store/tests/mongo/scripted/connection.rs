//! One client's connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time;

use super::Shared;
use super::wire::Request;

/// A reply and how it gets to the client.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) manner: Manner,
}

#[derive(Debug)]
pub(super) enum Manner {
    Whole,
    /// So many bytes, then the end of the connection.
    Cut(usize),
    /// In pieces of so many bytes with a pause between them.
    Drip(usize, Duration),
    Later(Duration),
    Never,
}

/// Answers until the client goes, talks nonsense, or is cut off.
pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Ok(true) = answer_next(&mut stream, &shared).await {}
}

/// Whether there may be another command.
async fn answer_next(stream: &mut TcpStream, shared: &Shared) -> io::Result<bool> {
    let request = Request::read(stream).await?;
    let answer = shared.state().answer(&request);
    if request.command().0 == "insert" {
        shared.inserts.send_modify(|inserts| *inserts += 1);
    }
    if request.is_answered { answer.send(stream).await } else { Ok(true) }
}

impl Answer {
    async fn send(self, stream: &mut TcpStream) -> io::Result<bool> {
        // A piece that waits for more is no piece.
        stream.set_nodelay(true)?;
        match self.manner {
            Manner::Whole => stream.write_all(&self.bytes).await?,
            Manner::Later(wait) => {
                time::sleep(wait).await;
                stream.write_all(&self.bytes).await?;
            }
            Manner::Drip(bytes, every) => {
                for piece in self.bytes.chunks(bytes.max(1)) {
                    stream.write_all(piece).await?;
                    time::sleep(every).await;
                }
            }
            Manner::Cut(bytes) => {
                stream.write_all(&self.bytes[..bytes.min(self.bytes.len())]).await?;
                return Ok(false);
            }
            Manner::Never => {
                tokio::io::copy(stream, &mut tokio::io::sink()).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}
