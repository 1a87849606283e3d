use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};

use super::super::Job;
use super::*;
use crate::codec::{AckWire, write_ack};
use crate::sender::node::Node;
use crate::sender::pool::{Lease, Pool};
use crate::sender::{Address, SenderConfig};

/// Takes so many bytes, has an answer ready from then on, and never says that it has flushed.
struct Prompt {
    takes: usize,
    answer: Vec<u8>,
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.takes > 0 || self.answer.is_empty() {
            return Poll::Pending;
        }
        into.put_slice(&std::mem::take(&mut self.answer));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let takes = bytes.len().min(self.takes);
        self.takes -= takes;
        if takes == 0 { Poll::Pending } else { Poll::Ready(Ok(takes)) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Sends one chunk of eight bytes to a server that answers after so many of them.
async fn send(takes: usize) -> (Result<(), Failure>, u64) {
    let address = Address::Tcp { host: "127.0.0.1".into(), port: 1 };
    let pool = Pool::new(SenderConfig::to(address.clone()), None);
    let (sender, requests) = mpsc::channel(1);
    drop(sender);
    let node = Arc::new(Node::new(0, address, None, None));
    let mut lane = Lane { pool: pool.clone(), node, requests };
    let (reply, replied) = oneshot::channel();
    let message = (&b"8 bytes."[..]).into();
    let job = Job { message, id: Some("id".into()), events: 1, sticky: None, _permit: None };
    let lease = Lease { pool: pool.clone(), node: 0, lane: 0 };
    let mut answer = Vec::new();
    write_ack(&mut answer, AckWire::Msgpack, b"id", false);
    let (socket, _) =
        socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let connection = Connection::over(Box::new(Prompt { takes, answer }), socket);
    let end = Session::new(&mut lane, connection, Request { job, lease, reply }).run().await;
    let outcome = match end {
        End::Failed(failure, owed) => {
            assert_eq!(owed.len(), 1);
            Err(failure)
        }
        End::Idle | End::Again(_) => replied.await.unwrap(),
    };
    let stats = pool.stats();
    (outcome, stats.bytes)
}

/// F-143: a server may have answered before its system says that all has left.
#[tokio::test(start_paused = true)]
async fn an_answer_may_be_ahead_of_the_flush() {
    let (outcome, bytes) = send(8).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(bytes, 8);
}

/// F-143: nobody can acknowledge a chunk of which bytes are still here.
#[tokio::test(start_paused = true)]
async fn an_answer_to_half_a_chunk_is_wrong() {
    let (outcome, bytes) = send(7).await;
    assert_eq!((outcome.unwrap_err().kind, bytes), (FailureKind::WrongChunk, 0));
}
