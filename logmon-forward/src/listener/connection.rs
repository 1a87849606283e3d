//! One connection, from its first byte to its last acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use logmon_core::{AppendError, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout};

use super::Shared;
use super::acks::{AckWriter, Ledger, MAX_WAITING, Outcome, Pending};
use super::budget::{Credit, PRESSURE_AFTER};
use super::commits::Commits;
use super::dedupe::{Origin, PeerId};
use super::door::Entered;
use super::patience::Patience;
use super::places::Place;
use super::stats::Stats;
use crate::codec::{DecodeError, Decoder, Next, Reason, Warning};
use crate::transport::{Peer, ReadHalf, WriteHalf};

mod append;
mod busy;
mod ending;
mod log;
mod quarantine;
mod recognise;
mod retire;
mod source;
mod stage;

use retire::Retirement;
use stage::Staged;

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
    peer: Peer,
    place: Place,
    reader: ReadHalf,
    /// The other half, until the first message.
    writer: Option<WriteHalf>,
    acks: Option<Acks>,
    origin: Origin,
    decoder: Decoder,
    credit: Credit,
    /// The message that is too big for memory, as far as it has come.
    staging: Option<Staged>,
    stop: Stop,
    patience: Patience,
    retirement: Retirement,
    read_bytes: usize,
    received: u64,
    warned: Vec<Warning>,
    has_warned_of_conflict: bool,
}

/// The other task of a connection.
#[derive(Debug)]
struct Acks {
    queue: mpsc::Sender<Pending>,
    ledger: Ledger,
    /// Dropped or used, it ends the task.
    let_go: oneshot::Sender<()>,
    task: JoinHandle<Outcome>,
}

impl Shared {
    /// Looks after what the task that writes acknowledgements has left.
    fn take_over(&self, ended: Result<Outcome, JoinError>) -> Result<(), AppendError> {
        let Ok(Outcome { result, left }) = ended else { return Err(AppendError::Closed) };
        self.aftercare.settle(left);
        result
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum Ending {
    /// Nothing came for as long as the settings allow.
    Idle,
    /// Nothing ever came, and others need the place.
    Evicted,
    /// It has lasted as long as the settings allow.
    Retired,
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
        entered: Entered,
        (peer, place): (Peer, Place),
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let Entered { reader, writer, buffer, names } = entered;
        let id = names.iter().fold(PeerId::of(peer.ip()), |id, name| id.named(name));
        let mut decoder = Decoder::new(shared.settings.clone());
        let (received, config) = (buffer.len() as u64, &shared.config);
        *decoder.buffer() = buffer;
        let (stall, whole) = (config.stall_timeout, config.message_timeout);
        Self {
            peer,
            place,
            reader,
            writer: Some(writer),
            acks: None,
            origin: shared.dedupe.admit(id),
            decoder,
            credit: shared.budget.credit(shared.config.max_in_flight_bytes),
            staging: None,
            stop: Stop { stopped, grace: shared.config.close_timeout, deadline: None },
            patience: Patience::new(stall, config.min_message_rate, whole),
            retirement: Retirement::new(config),
            read_bytes: MIN_READ,
            received,
            warned: Vec::new(),
            has_warned_of_conflict: false,
            shared,
        }
    }

    /// Reads, appends and acknowledges until the connection ends.
    pub(super) async fn run(mut self) {
        let Err(ending) = self.serve().await;
        self.end(ending).await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Ending> {
        if self.received > 0 {
            // What came with the login.
            self.check_first_byte()?;
            self.reach(self.decoder.buffered(), false).await?;
            self.decode().await?;
            self.credit.keep(self.decoder.buffered());
        }
        loop {
            match self.wait().await? {
                Wake::Readable => {}
                Wake::Quiet => {
                    *self.decoder.buffer() = BytesMut::new();
                    self.credit.keep(self.decoder.held());
                    continue;
                }
                Wake::Stalled => {
                    let (offset, head) = (self.decoder.offset(), self.decoder.buffer());
                    return Err(Ending::Fault(DecodeError::new(Reason::Stalled, offset, head)));
                }
            }
            let is_inside = self.decoder.is_inside_message();
            let bytes = self.next_read();
            self.reach(self.decoder.held_with(bytes), is_inside).await?;
            if self.read(bytes)? {
                self.decode().await?;
            }
            self.decoder.shrink(!self.credit.is_scarce());
            self.credit.keep(self.decoder.held());
            if !self.decoder.is_inside_message() {
                self.patience.renew();
            }
        }
    }

    /// Waits until there is something to read.
    async fn wait(&mut self) -> Result<Wake, Ending> {
        let is_inside = self.decoder.is_inside_message();
        let config = &self.shared.config;
        let has_big_buffer = !is_inside && self.decoder.buffer().capacity() > MIN_READ;
        if !is_inside && self.retirement.is_due() {
            return Err(Ending::Retired);
        }
        let limit = match (is_inside, has_big_buffer) {
            (true, _) => Some(self.patience.limit()),
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
        let others = (&self.place, &self.retirement, &self.credit);
        let made_to = made_to_end(is_inside, self.received == 0, others);
        let since = Instant::now();
        let woken = tokio::select! {
            biased;
            ending = self.stop.wait(is_inside) => Err(ending),
            ended = failed => {
                self.acks = None;
                let refused = self.shared.take_over(ended).err();
                Err(Ending::Refused(refused.unwrap_or(AppendError::Closed)))
            }
            ready = readable => match ready {
                Ok(Ok(())) => Ok(Wake::Readable),
                Ok(Err(error)) => Err(Ending::Broken(error)),
                Err(_) if is_inside => Ok(Wake::Stalled),
                Err(_) if has_big_buffer => Ok(Wake::Quiet),
                Err(_) => Err(Ending::Idle),
            },
            woken = made_to => woken,
        };
        if is_inside {
            self.patience.waited(since);
        }
        woken
    }

    /// How many bytes to ask for: towards the end of the message in the buffer, but never more
    /// than has arrived of it, because its length is only what the peer says. Only where a message
    /// alone is beyond what the connection may hold, more than that.
    fn next_read(&self) -> usize {
        let (buffered, limit) = (self.decoder.buffered(), self.credit.limit());
        let missing = self.decoder.missing().min(buffered.max(MAX_READ));
        // At the end of a connection nothing of the next message, which another will bring.
        let least = if self.retirement.is_due() { 1 } else { self.read_bytes.max(buffered / 2) };
        let bytes = missing.max(least);
        let held = self.decoder.held();
        if held >= limit { bytes } else { rounded(buffered, bytes).min((limit - held).max(1)) }
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
        make_room(buffer, bytes);
        match self.reader.try_read_buf(&mut buffer.limit(bytes)) {
            Ok(0) => Err(Ending::PeerClosed),
            Ok(read) => {
                let is_first = self.received == 0;
                self.received += read as u64;
                self.patience.earn(read);
                if is_first {
                    self.place.settle();
                    self.check_first_byte()?;
                }
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

    /// Where clients log in, JSON is not taken: no client that does speaks it.
    fn check_first_byte(&mut self) -> Result<(), Ending> {
        let buffer = self.decoder.buffer();
        if self.shared.security.is_some() && matches!(buffer.first(), Some(b'[' | b'{')) {
            return Err(Ending::Fault(DecodeError::new(Reason::NotForward, 0, buffer)));
        }
        Ok(())
    }

    /// Decodes and appends what is complete.
    async fn decode(&mut self) -> Result<(), Ending> {
        let received = Timestamp::now();
        loop {
            let held = self.decoder.held();
            match self.decoder.next_message(received, self.credit.room(held)) {
                Ok(Next::Message(message)) => {
                    self.retirement.count(u64::from(message.messages));
                    self.take(message).await?;
                }
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

/// So many bytes, or what a big buffer with them lacks to a power of two: a few sizes that come again
/// and again keep an allocator from filling memory with holes that fit nothing.
fn rounded(buffered: usize, bytes: usize) -> usize {
    if buffered < MAX_READ {
        return bytes;
    }
    (buffered + bytes).next_power_of_two() - buffered
}

/// Ready when a connection has to end for the sake of others.
async fn made_to_end(
    is_inside: bool,
    is_silent: bool,
    (place, retirement, credit): (&Place, &Retirement, &Credit),
) -> Result<Wake, Ending> {
    let evicted =
        async { if is_silent { place.lost().await } else { std::future::pending().await } };
    let retired = async {
        match retirement.at() {
            Some(at) if !is_inside => tokio::time::sleep_until(at).await,
            _ => std::future::pending().await,
        }
    };
    let pressed = async {
        if !is_inside {
            return std::future::pending().await;
        }
        // A peer that sends has the time to; one that does not makes room for others.
        tokio::time::sleep(PRESSURE_AFTER).await;
        credit.pressed().await;
    };
    tokio::select! {
        biased;
        () = pressed => Ok(Wake::Stalled),
        () = evicted => Err(Ending::Evicted),
        () = retired => Err(Ending::Retired),
    }
}

/// Sees to it that a buffer has room for so many bytes more, and no more than that where it is
/// big: its growth is what has been waited for.
fn make_room(buffer: &mut BytesMut, bytes: usize) {
    if buffer.len() + bytes < MAX_READ / 4 || buffer.try_reclaim(bytes) {
        buffer.reserve(bytes);
        return;
    }
    let mut grown = BytesMut::with_capacity(buffer.len() + bytes);
    grown.extend_from_slice(buffer);
    *buffer = grown;
}
