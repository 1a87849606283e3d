//! One connection, from its first byte to its last acknowledgement.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use logmon_core::{AppendError, Staging, Timestamp};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::Shared;
use super::acks::{AckWriter, Commits, MAX_WAITING, Pending};
use super::budget::Credit;
use super::stats::Stats;
use crate::codec::{DecodeError, Decoder, Next, Reason, Warning};

mod append;
mod ending;
mod log;
mod quarantine;
mod stage;

/// The first read, and the least.
const MIN_READ: usize = 8 << 10;

/// The most that one read takes. Reads grow while they fill up.
const MAX_READ: usize = 256 << 10;

/// A bigger buffer of a connection without anything to read is given back after this time.
const BUFFER_REST: Duration = Duration::from_secs(1);

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    reader: OwnedReadHalf,
    /// The other half, until the first message.
    writer: Option<OwnedWriteHalf>,
    acks: Option<Acks>,
    decoder: Decoder,
    credit: Credit,
    /// The message that is too big for memory, as far as it has come.
    staging: Option<Box<dyn Staging>>,
    stop: Stop,
    read_bytes: usize,
    received: u64,
    warned: Vec<Warning>,
}

/// The other task of a connection.
#[derive(Debug)]
struct Acks {
    queue: mpsc::Sender<Pending>,
    task: JoinHandle<Result<(), AppendError>>,
}

/// A connection counted as open until it is dropped, in whatever way its task ends.
struct Open(Arc<Stats>);

impl Open {
    fn count(stats: Arc<Stats>) -> Self {
        Stats::add(&stats.connections_open, 1);
        Self(stats)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum Ending {
    /// Nothing came for as long as the settings allow.
    Idle,
    /// The peer has closed its side.
    PeerClosed,
    /// The connection broke.
    Broken(std::io::Error),
    /// The bytes cannot be read.
    Fault(DecodeError),
    /// The journal does not take events any more.
    Refused(AppendError),
    /// The listener shuts down.
    Shutdown,
}

/// What ended a wait.
enum Wake {
    Readable,
    Quiet,
    Stalled,
}

/// The listener's wish to end, and how long a connection may take to come to a good place.
#[derive(Debug)]
struct Stop {
    stopped: watch::Receiver<bool>,
    grace: Duration,
    deadline: Option<Instant>,
}

impl Stop {
    /// Ready when the connection has to end: at once, or if something is `unfinished` after the
    /// grace, which is counted from when that was first noticed.
    ///
    /// # Cancel safety
    /// Safe.
    async fn wait(&mut self, is_unfinished: bool) -> Ending {
        // An error means that the listener is gone.
        drop(self.stopped.wait_for(|stopped| *stopped).await);
        if is_unfinished {
            let grace = self.grace;
            tokio::time::sleep_until(*self.deadline.get_or_insert_with(|| Instant::now() + grace))
                .await;
        }
        Ending::Shutdown
    }
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        stream: TcpStream,
        (peer, stopped): (SocketAddr, watch::Receiver<bool>),
    ) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            peer,
            reader,
            writer: Some(writer),
            acks: None,
            decoder: Decoder::new(shared.settings.clone()),
            credit: shared.budget.credit(shared.config.max_in_flight_bytes),
            staging: None,
            stop: Stop { stopped, grace: shared.config.close_timeout, deadline: None },
            read_bytes: MIN_READ,
            received: 0,
            warned: Vec::new(),
            shared,
        }
    }

    /// Reads, appends and acknowledges until the connection ends.
    pub(super) async fn run(mut self) {
        let _open = Open::count(self.shared.stats.clone());
        let Err(ending) = self.serve().await;
        self.end(ending).await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Ending> {
        loop {
            match self.wait().await? {
                Wake::Readable => {}
                Wake::Quiet => {
                    *self.decoder.buffer() = BytesMut::new();
                    continue;
                }
                Wake::Stalled => {
                    let (offset, head) = (self.decoder.offset(), self.decoder.buffer());
                    return Err(Ending::Fault(DecodeError::new(Reason::Stalled, offset, head)));
                }
            }
            let is_inside = self.decoder.is_inside_message();
            let bytes = self.next_read();
            self.reach(self.decoder.held() + bytes, is_inside).await?;
            if self.read(bytes)? {
                self.decode().await?;
            }
            self.credit.keep(self.decoder.held());
        }
    }

    /// Waits until there is something to read.
    async fn wait(&mut self) -> Result<Wake, Ending> {
        let is_inside = self.decoder.is_inside_message();
        let config = &self.shared.config;
        let has_big_buffer = !is_inside && self.decoder.buffer().capacity() > MIN_READ;
        let limit = match (is_inside, has_big_buffer) {
            (true, _) => Some(config.stall_timeout),
            (false, true) => Some(BUFFER_REST),
            (false, false) => config.idle_timeout,
        };
        let readable = async {
            match limit {
                Some(limit) => timeout(limit, self.reader.readable()).await,
                None => Ok(self.reader.readable().await),
            }
        };
        let failed = async {
            match &mut self.acks {
                Some(acks) => (&mut acks.task).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ending = self.stop.wait(is_inside) => Err(ending),
            ended = failed => {
                self.acks = None;
                Err(Ending::Refused(ended.ok().and_then(Result::err).unwrap_or(AppendError::Closed)))
            }
            ready = readable => match ready {
                Ok(Ok(())) => Ok(Wake::Readable),
                Ok(Err(error)) => Err(Ending::Broken(error)),
                Err(_) if is_inside => Ok(Wake::Stalled),
                Err(_) if has_big_buffer => Ok(Wake::Quiet),
                Err(_) => Err(Ending::Idle),
            },
        }
    }

    /// How many bytes to ask for: towards the end of the message in the buffer, but never more
    /// than has arrived of it, because its length is only what the peer says. Only where a message
    /// alone is beyond what the connection may hold, more than that.
    fn next_read(&self) -> usize {
        let (buffered, limit) = (self.decoder.buffered(), self.credit.limit());
        let bytes = self.decoder.missing().min(buffered.max(MAX_READ)).max(self.read_bytes);
        let held = self.decoder.held();
        if held >= limit { bytes } else { bytes.min((limit - held).max(1)) }
    }

    /// Waits for room in the budget.
    async fn reach(&mut self, bytes: usize, is_inside: bool) -> Result<(), Ending> {
        tokio::select! {
            biased;
            () = self.credit.reach(bytes, is_inside) => Ok(()),
            ending = self.stop.wait(is_inside) => Err(ending),
        }
    }

    /// Reads once. `false` if nothing was there after all.
    fn read(&mut self, bytes: usize) -> Result<bool, Ending> {
        let buffer = self.decoder.buffer();
        buffer.reserve(bytes);
        match self.reader.try_read_buf(&mut buffer.limit(bytes)) {
            Ok(0) => Err(Ending::PeerClosed),
            Ok(read) => {
                self.received += read as u64;
                Stats::add(&self.shared.stats.bytes, read as u64);
                if read >= self.read_bytes {
                    let most = MAX_READ.min(self.credit.limit() / 4).max(MIN_READ);
                    self.read_bytes = (self.read_bytes * 2).min(most);
                } else if read < self.read_bytes / 4 {
                    self.read_bytes = (self.read_bytes / 2).max(MIN_READ);
                }
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(Ending::Broken(error)),
        }
    }

    /// Decodes and appends what is complete.
    async fn decode(&mut self) -> Result<(), Ending> {
        let received = Timestamp::now();
        loop {
            let held = self.decoder.held();
            match self.decoder.next_message(received, self.credit.room(held)) {
                Ok(Next::Message(message)) => self.take(message).await?,
                Ok(Next::Part(batch)) => self.stage(batch).await?,
                Ok(Next::Void) => self.staging = None,
                Ok(Next::NeedsBytes) => return Ok(()),
                Ok(Next::NeedsRoom(room)) => {
                    self.reach(held.saturating_add(room), true).await?;
                }
                Err(error) => return Err(Ending::Fault(error)),
            }
        }
    }
}
