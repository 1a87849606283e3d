//! A MongoDB server that counts what is inserted and forgets it, so that a benchmark measures the
//! client.
//!
//! It runs in a thread of its own, and looks at no more of an insert than the lengths that lead from
//! one document to the next. It believes its client: what is malformed ends the connection, or is
//! miscounted.
#![allow(
    clippy::expect_used,
    unreachable_pub,
    reason = "a benchmark without its server is meant to panic; the file serves several crates"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use bson::{RawDocument, RawDocumentBuf, rawdoc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;

const HEADER_BYTES: usize = 16;
const MAX_MESSAGE_BYTES: usize = 48_000_000;
const OP_MSG: i32 = 2013;

/// The server. Dropping it ends its thread and closes its connections.
#[derive(Debug)]
pub struct Blackhole {
    port: u16,
    counts: Arc<Counts>,
    /// Taken to end the thread.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug, Default)]
struct Counts {
    documents: AtomicU64,
    bytes: AtomicU64,
}

impl Blackhole {
    /// Starts it on a port of its own.
    ///
    /// # Panics
    ///
    /// If there is no port or no thread to be had.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        listener.set_nonblocking(true).expect("a listener that does not block");
        let counts = Arc::new(Counts::default());
        let (end, ended) = oneshot::channel();
        let counted = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_io().build();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    _ = ended => {}
                    () = accept(listener, counted) => {}
                }
            });
        });
        Self { port, counts, running: Some((end, thread)) }
    }

    /// Where a client finds it.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// How many documents were inserted.
    pub fn documents(&self) -> u64 {
        self.counts.documents.load(Ordering::Relaxed)
    }

    /// The bytes of all insert commands as they came over the wire.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Blackhole {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            drop(end);
            // If it has panicked, it has said so.
            let _joined = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&counts)));
    }
}

async fn serve(mut stream: TcpStream, counts: Arc<Counts>) {
    let mut buffer = Vec::new();
    while answer_next(&mut stream, &mut buffer, &counts).await.is_ok() {}
}

async fn answer_next(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    counts: &Counts,
) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let length = usize::try_from(number(&header, 0)?).map_err(|_| broken())?;
    let rest = length.checked_sub(HEADER_BYTES).ok_or_else(broken)?;
    if length > MAX_MESSAGE_BYTES || number(&header, 12)? != OP_MSG {
        return Err(broken());
    }
    if buffer.len() < rest {
        buffer.resize(rest, 0);
    }
    stream.read_exact(&mut buffer[..rest]).await?;
    let message = &buffer[..rest];
    let reply = match command(message)? {
        b"insert" => {
            let documents = count(message)?;
            counts.documents.fetch_add(u64::from(documents), Ordering::Relaxed);
            counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
            rawdoc! { "n": documents.cast_signed(), "ok": 1.0 }
        }
        b"hello" | b"isMaster" | b"ismaster" => hello(),
        _ => rawdoc! { "ok": 1.0 },
    };
    stream.set_nodelay(true)?;
    stream.write_all(&op_msg(number(&header, 4)?, &reply)).await
}

fn hello() -> RawDocumentBuf {
    rawdoc! {
        "helloOk": true,
        "ismaster": true,
        "isWritablePrimary": true,
        "maxBsonObjectSize": 16_777_216,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": false,
        "ok": 1.0,
    }
}

fn op_msg(response_to: i32, body: &RawDocument) -> Vec<u8> {
    let body = body.as_bytes();
    // flags and the kind of section stand between header and document
    let length = i32::try_from(HEADER_BYTES + 5 + body.len()).expect("a small reply");
    let header = [length, 0, response_to, OP_MSG].map(i32::to_le_bytes);
    [header.as_flattened(), &[0; 5], body].concat()
}

/// The name of a command, which is its first key. Clients send the document before anything else.
fn command(message: &[u8]) -> io::Result<&[u8]> {
    // flags, kind, length of the document, type of the element
    key(message, 4 + 1 + 4 + 1)
}

/// How many documents are in an insert, within the command or beside it.
fn count(message: &[u8]) -> io::Result<u32> {
    let (mut documents, mut at) = (0, 4);
    while at < message.len() {
        let is_body = message[at] == 0;
        let end = skip(message, at + 1)?;
        documents += if is_body {
            count_in_body(&message[at + 1..end])?
        } else {
            let name = key(message, at + 5)?;
            count_in_a_row(&message[at + 5 + name.len() + 1..end])?
        };
        at = end;
    }
    Ok(documents)
}

/// Documents one after the other.
fn count_in_a_row(bytes: &[u8]) -> io::Result<u32> {
    let (mut documents, mut at) = (0, 0);
    while at < bytes.len() {
        at = skip(bytes, at)?;
        documents += 1;
    }
    Ok(documents)
}

fn count_in_body(body: &[u8]) -> io::Result<u32> {
    let mut at = 4;
    while body.get(at).is_some_and(|kind| *kind != 0) {
        let name = key(body, at + 1)?;
        let value = at + 1 + name.len() + 1;
        let end = value_end(body, body[at], value)?;
        if name == b"documents" {
            return count_in_array(&body[value..end]);
        }
        at = end;
    }
    Ok(0)
}

/// Elements of an array, if all are documents.
fn count_in_array(array: &[u8]) -> io::Result<u32> {
    let (mut documents, mut at) = (0, 4);
    while array.get(at).is_some_and(|kind| *kind != 0) {
        let index = key(array, at + 1)?;
        at = skip(array, at + 1 + index.len() + 1)?;
        documents += 1;
    }
    Ok(documents)
}

/// Where a BSON value ends, of those that stand in commands.
fn value_end(bytes: &[u8], kind: u8, at: usize) -> io::Result<usize> {
    let end = match kind {
        0x02 | 0x05 => {
            let length = usize::try_from(number(bytes, at)?).map_err(|_| broken())?;
            at + 4 + length + usize::from(kind == 0x05)
        }
        0x03 | 0x04 => return skip(bytes, at),
        0x08 => at + 1,
        0x0a => at,
        0x10 => at + 4,
        0x01 | 0x09 | 0x11 | 0x12 => at + 8,
        0x07 => at + 12,
        _ => return Err(broken()),
    };
    if end > bytes.len() { Err(broken()) } else { Ok(end) }
}

/// Where that ends which begins with its own length.
fn skip(bytes: &[u8], at: usize) -> io::Result<usize> {
    let length = usize::try_from(number(bytes, at)?).map_err(|_| broken())?;
    let end = at + length;
    if length < 5 || end > bytes.len() { Err(broken()) } else { Ok(end) }
}

fn key(bytes: &[u8], at: usize) -> io::Result<&[u8]> {
    let rest = bytes.get(at..).ok_or_else(broken)?;
    let end = rest.iter().position(|byte| *byte == 0).ok_or_else(broken)?;
    Ok(&rest[..end])
}

fn number(bytes: &[u8], at: usize) -> io::Result<i32> {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(broken)?;
    Ok(i32::from_le_bytes(*bytes))
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
