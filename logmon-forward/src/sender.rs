//! The sending side: chunks out to one server or many, until each is acknowledged.
//!
//! What is decided (which node, when again, who is well) is decided by state machines without I/O;
//! what is done is done by one task for each connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use logmon_core::{Log, Tag};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::codec::{Compressed, Packed, PackedForm, write_packed_as};
use crate::tls::{ClientTls, TlsError};

mod address;
mod balance;
mod chunk;
mod compress;
mod config;
mod connection;
mod failure;
mod health;
mod heartbeat;
mod lane;
mod node;
mod phi;
mod pool;
mod resolve;
mod retry;
mod rewrite;
mod sink;
mod stats;

pub use address::{Address, ParseAddressError};
pub use compress::Compression;
pub use config::{Heartbeat, HeartbeatKind, Peer, SenderConfig, Server};
pub use failure::{Failure, FailureKind, SendError};
pub use resolve::{Lookup, Resolver, Service, SystemResolver};
pub use rewrite::Metadata;
pub use stats::{NodeState, NodeStats, SenderStats};

use lane::Job;
use pool::{Closed, Pool, Ticket};
use rewrite::Rewrite;
use stats::Counters;

/// Sends events to Forward servers, at least once each.
///
/// A chunk is delivered when a server has acknowledged it. Until then it is sent again under the
/// same id, on a new connection and to whatever node is up. Cloning shares the sender; the last
/// one that is dropped closes it without waiting.
///
/// It has to be used inside a tokio runtime.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use logmon_core::Log;
/// use logmon_forward::sender::{Address, Sender, SenderConfig};
///
/// let address: Address = "logs.example:24224".parse()?;
/// let sender = Sender::new(SenderConfig::to(address))?;
/// sender.send_logs(&[Log::new("hello").tag("app")]).await?;
/// sender.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sender {
    pool: Arc<Pool>,
    rewrite: Arc<Rewrite>,
    budget: Arc<Semaphore>,
    owner: Arc<Owner>,
}

/// Closes the pool when the last sender is gone.
#[derive(Debug)]
struct Owner {
    pool: Arc<Pool>,
    is_started: AtomicBool,
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.pool.close());
    }
}

/// Settings no sender can work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SenderConfigError {
    /// Nobody to send to.
    #[error("a sender needs a server, or a service whose SRV records name some")]
    NoServer,
    /// A key without a name; the digests need one that differs from the server's.
    #[error("a shared key needs a `self_hostname`")]
    NoHostname,
    /// The files for TLS are not what they should be.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Sender {
    /// A sender. Nothing is connected before there is something to send, so a server that is down
    /// is no error here; see [`Sender::verify`].
    ///
    /// # Errors
    /// The settings contradict each other.
    pub fn new(config: SenderConfig) -> Result<Self, SenderConfigError> {
        if config.servers.is_empty() && config.srv.is_none() {
            return Err(SenderConfigError::NoServer);
        }
        let securities = config.servers.iter().filter_map(|server| server.security.as_ref());
        if securities.chain(&config.security).any(|security| security.self_hostname.is_empty()) {
            return Err(SenderConfigError::NoHostname);
        }
        if let Compression::Zstd { .. } = config.compression {
            info!("sending zstd: servers have to be logmon, Fluent Bit or Fluentd 1.19");
        }
        let rewrite = Arc::new(Rewrite {
            metadata: config.metadata(),
            time_as_integer: config.time_as_integer,
            has_long_times: config.peer == Peer::Logmon,
        });
        let budget = Arc::new(Semaphore::new(config.max_in_flight_bytes.clamp(1, MAX_BUDGET)));
        let tls = config.tls.as_ref().map(ClientTls::connector).transpose()?;
        let pool = Pool::new(config, tls);
        let owner = Arc::new(Owner { pool: pool.clone(), is_started: AtomicBool::new(false) });
        Ok(Self { pool, rewrite, budget, owner })
    }

    /// Sends packed entries, `[time, record]` one after the other, under one tag, and waits until
    /// they are acknowledged. They are sent as they are, in one chunk.
    ///
    /// # Errors
    /// They were given up, and nothing is known about them: a server may have them.
    ///
    /// # Cancel safety
    /// Safe for the sender; the chunk may be delivered or not.
    pub async fn send(
        &self,
        tag: impl Into<Tag>,
        entries: impl Into<Vec<u8>>,
        events: usize,
    ) -> Result<(), SendError> {
        self.start();
        let entries = entries.into();
        let id = self.random_id()?;
        let (permit, ticket) = self.place(entries.len()).await;
        let job = self.encode((tag.into(), entries, events), id, permit).await?;
        self.deliver(ticket, job).await
    }

    /// Sends a payload that is compressed already, without touching it. Payloads with the same
    /// compression may stand one after the other.
    ///
    /// # Errors
    /// As [`Sender::send`].
    ///
    /// # Cancel safety
    /// As [`Sender::send`].
    pub async fn send_compressed(
        &self,
        tag: impl Into<Tag>,
        (payload, compressed): (&[u8], Compressed),
        events: usize,
    ) -> Result<(), SendError> {
        self.start();
        let id = self.random_id()?;
        let (permit, ticket) = self.place(payload.len()).await;
        let form =
            PackedForm { entries: self.pool.config.entries_format, compressed: Some(compressed) };
        let job = self.job((&tag.into(), payload, events), (form, id), permit);
        self.deliver(ticket, job).await
    }

    /// Sends events, those of one tag that follow each other in one chunk up to the size of a
    /// chunk, one after the other.
    ///
    /// # Errors
    /// As [`Sender::send`]; events of earlier chunks are delivered.
    ///
    /// # Cancel safety
    /// As [`Sender::send`].
    pub async fn send_logs(&self, logs: &[Log]) -> Result<(), SendError> {
        let mut entries = Vec::new();
        for logs in logs.chunk_by(|a, b| a.tag == b.tag) {
            let Some(tag) = logs.first().map(|log| &log.tag) else { continue };
            let mut events = 0;
            for log in logs {
                let start = entries.len();
                rewrite::log_entry(&mut entries, &self.rewrite, log);
                if events > 0 && entries.len() > self.pool.config.chunk_bytes {
                    let rest = entries.split_off(start);
                    let full = std::mem::replace(&mut entries, rest);
                    self.send(tag.clone(), full, std::mem::take(&mut events)).await?;
                }
                events += 1;
            }
            self.send(tag.clone(), std::mem::take(&mut entries), events).await?;
        }
        Ok(())
    }

    /// Connects to every node that is known and logs in, to see at a start whether all is set up
    /// well.
    ///
    /// # Errors
    /// The first node with which it failed, and why.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn verify(&self) -> Result<(), (Address, Failure)> {
        for node in self.pool.nodes() {
            let opened = self.pool.connect(&node, false).await;
            let connection = opened.map_err(|failure| (node.address.clone(), failure))?;
            connection.close().await;
        }
        Ok(())
    }

    /// Reads the files for TLS again. Connections there are stay as they are; new ones use what
    /// was read.
    ///
    /// # Errors
    /// The files are not what they should be; what was read before stays in use.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        let tls = self.pool.config.tls.as_ref().map(ClientTls::connector).transpose()?;
        self.pool.set_tls(tls);
        Ok(())
    }

    /// What was sent so far, and how the nodes stand.
    pub fn stats(&self) -> SenderStats {
        self.pool.stats()
    }

    /// Takes nothing more, waits for the acknowledgements of what is on its way, up to
    /// [`SenderConfig::close_timeout`], and ends the connections. Sends that still wait for a node
    /// fail with [`SendError::Closed`].
    ///
    /// # Cancel safety
    /// Dropped early, what is on its way goes on as long as the runtime runs.
    pub async fn close(&self) {
        let until = Instant::now() + self.pool.config.close_timeout;
        for mut task in self.pool.close() {
            if timeout_at(until, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Starts the task that looks after the nodes, once.
    fn start(&self) {
        if !self.owner.is_started.swap(true, Ordering::Relaxed) {
            self.pool.adopt(tokio::spawn(heartbeat::keep(self.pool.clone())));
        }
    }

    fn random_id(&self) -> io::Result<Option<Arc<str>>> {
        let id = self.pool.config.require_ack.then(chunk::random_id).transpose()?;
        Ok(id.map(Arc::from))
    }

    /// Waits until so many bytes may be on their way, then takes a place in the queue.
    async fn place(&self, bytes: usize) -> (Option<OwnedSemaphorePermit>, Ticket) {
        let most = self.pool.config.max_in_flight_bytes.clamp(1, MAX_BUDGET);
        let share = u32::try_from(bytes.min(most)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let permit = self.budget.clone().acquire_many_owned(share).await.ok();
        (permit, self.pool.ticket())
    }

    /// Compresses a payload where that is wanted, off the threads that do I/O, and makes the
    /// message.
    async fn encode(
        &self,
        (tag, entries, events): (Tag, Vec<u8>, usize),
        id: Option<Arc<str>>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Job, SendError> {
        let (tag_text, bytes) = (tag.as_str(), entries.len());
        if bytes > self.pool.config.max_chunk_bytes {
            warn!(tag = tag_text, bytes, "a chunk is longer than many servers take");
        }
        let compression = self.pool.config.compression;
        let payload = match compression {
            Compression::None => entries,
            _ => tokio::task::spawn_blocking(move || compression.apply(entries))
                .await
                .map_err(io::Error::other)??,
        };
        Ok(self.job((&tag, &payload, events), (self.form(), id), permit))
    }

    /// The form of payloads as the settings want it.
    fn form(&self) -> PackedForm {
        let config = &self.pool.config;
        PackedForm { entries: config.entries_format, compressed: config.compression.wire() }
    }

    fn job(
        &self,
        (tag, entries, events): (&Tag, &[u8], usize),
        (form, id): (PackedForm, Option<Arc<str>>),
        permit: Option<OwnedSemaphorePermit>,
    ) -> Job {
        let mut message = Vec::new();
        let packed = Packed { tag, entries, events, chunk: id.as_deref() };
        write_packed_as(&mut message, &packed, form);
        let sticky = self.pool.config.sticky.then(|| pool::tag_hash(tag));
        let (message, permit) = (Bytes::from(message), permit.map(Arc::new));
        Job { message, id, events: events as u64, sticky, _permit: permit }
    }

    /// Tries until it is delivered or given up.
    async fn deliver(&self, ticket: Ticket, job: Job) -> Result<(), SendError> {
        let limit = self.pool.config.retry_timeout;
        let started = Instant::now();
        let (mut attempts, mut last) = (0, None);
        loop {
            let submitting = self.pool.submit(&ticket, &job);
            let submitted = match limit {
                Some(limit) => match timeout_at(started + limit, submitting).await {
                    Ok(submitted) => submitted,
                    Err(_) => return Err(last.unwrap_or(SendError::NoNode(limit))),
                },
                None => submitting.await,
            };
            let pool::Submitted { node, answer } = submitted.map_err(|Closed| SendError::Closed)?;
            attempts += 1;
            let Ok(outcome) = answer.await else { return Err(SendError::Closed) };
            let Err(failure) = outcome else { return Ok(()) };
            let node = node.address.to_string();
            let gave_up = SendError::GaveUp { node, attempts, failure };
            if limit.is_some_and(|limit| started.elapsed() >= limit) {
                return Err(gave_up);
            }
            last = Some(gave_up);
            Counters::add(&self.pool.counters.resent, 1);
        }
    }
}

/// The most bytes that may be in flight: what a semaphore and its shares can count.
const MAX_BUDGET: usize = u32::MAX as usize >> 1;
