//! The life of one connection.

use std::collections::VecDeque;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, WriteHalf};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::super::connection::{BoxStream, Connection};
use super::super::failure::{Failure, FailureKind};
use super::super::stats::Counters;
use super::{End, Lane, Request};
use crate::codec::Ack;

/// A message that is being written.
struct Writing {
    request: Request,
    written: usize,
    /// When it is given up unless some bytes leave.
    stalls: Instant,
}

impl Writing {
    /// Whether the system, or the layer above it, has all bytes.
    fn has_left(&self) -> bool {
        self.written == self.request.job.message.len()
    }
}

/// A message that is not acknowledged yet.
struct Unacknowledged {
    request: Request,
    due: Instant,
}

/// A connection, and what is owed to those who gave it chunks.
pub(super) struct Session<'l> {
    lane: &'l mut Lane,
    connection: Connection,
    writing: Option<Writing>,
    window: VecDeque<Unacknowledged>,
    uses: u64,
    last_used: Instant,
    is_closing: bool,
}

/// What happened next.
enum Step {
    Read(usize),
    Wrote(usize),
    Request(Option<Request>),
    Time,
}

impl<'l> Session<'l> {
    pub(super) fn new(lane: &'l mut Lane, connection: Connection, first: Request) -> Self {
        let now = Instant::now();
        let stalls = now + lane.pool.config.ack_timeout;
        let writing = Some(Writing { request: first, written: 0, stalls });
        Self {
            lane,
            connection,
            writing,
            window: VecDeque::new(),
            uses: 0,
            last_used: now,
            is_closing: false,
        }
    }

    pub(super) async fn run(mut self) -> End {
        loop {
            let now = Instant::now();
            let is_spent = self.is_spent(now);
            if is_spent && !self.is_busy() {
                self.connection.close().await;
                return End::Idle;
            }
            let step = match self.step(is_spent).await {
                Ok(step) => step,
                Err(failure) => return self.fail(failure),
            };
            let outcome = match step {
                Step::Read(0) if !self.is_busy() => {
                    debug!(node = %self.lane.node.address, "the server closed an idle connection");
                    return End::Idle;
                }
                Step::Read(0) => Err(Failure::new(FailureKind::Closed)),
                Step::Read(_) => self.take_answers(),
                Step::Wrote(bytes) => {
                    self.wrote(bytes);
                    Ok(())
                }
                Step::Request(Some(request)) => {
                    if !self.is_busy() && self.connection.is_dead().await {
                        return End::Again(request);
                    }
                    self.begin(request);
                    Ok(())
                }
                Step::Request(None) => {
                    self.is_closing = true;
                    Ok(())
                }
                Step::Time => self.check_times(),
            };
            if let Err(failure) = outcome {
                return self.fail(failure);
            }
        }
    }

    /// Waits for whatever comes first. Bytes that came are looked at before anything is written.
    async fn step(&mut self, is_spent: bool) -> Result<Step, Failure> {
        let limit = self.lane.pool.config.window();
        let takes = !is_spent && self.writing.is_none() && self.window.len() < limit;
        let until = self.next_time();
        let Connection { reader, writer, acks, .. } = &mut self.connection;
        let writing = self.writing.as_ref();
        Ok(tokio::select! {
            biased;
            read = reader.read_buf(acks.buffer()) => Step::Read(read?),
            wrote = write_some(writer, writing), if writing.is_some() => Step::Wrote(wrote?),
            request = self.lane.requests.recv(), if takes => Step::Request(request),
            () = sleep_until(until) => Step::Time,
        })
    }

    fn is_busy(&self) -> bool {
        self.writing.is_some() || !self.window.is_empty()
    }

    /// Whether the connection takes nothing more.
    fn is_spent(&self, now: Instant) -> bool {
        let config = &self.lane.pool.config;
        let begun = self.uses + u64::from(self.writing.is_some());
        self.is_closing
            || self.connection.is_single && begun > 0
            || config.max_uses.is_some_and(|most| begun >= most.max(1))
            || now >= self.connection.expires
            || !self.is_busy() && now >= self.last_used + config.idle_timeout
    }

    /// When something has to be looked at even if nothing happens.
    fn next_time(&self) -> Instant {
        let stalls = self.writing.as_ref().map(|writing| writing.stalls);
        let due = self.window.front().map(|oldest| oldest.due);
        let idle = self.last_used + self.lane.pool.config.idle_timeout;
        let rest = (!self.is_busy()).then(|| idle.min(self.connection.expires));
        [stalls, due, rest].into_iter().flatten().min().unwrap_or(idle)
    }

    fn check_times(&self) -> Result<(), Failure> {
        let (now, limit) = (Instant::now(), self.lane.pool.config.ack_timeout);
        if self.writing.as_ref().is_some_and(|writing| now >= writing.stalls) {
            return Err(Failure::timeout("writing", limit));
        }
        if self.window.front().is_some_and(|oldest| now >= oldest.due) {
            return Err(Failure::timeout("the acknowledgement", limit));
        }
        Ok(())
    }

    fn begin(&mut self, request: Request) {
        let stalls = Instant::now() + self.lane.pool.config.ack_timeout;
        self.writing = Some(Writing { request, written: 0, stalls });
    }

    /// Some bytes have left; none, once all had left, means that they are on their way.
    fn wrote(&mut self, bytes: usize) {
        let due = Instant::now() + self.lane.pool.config.ack_timeout;
        if bytes > 0 {
            if let Some(writing) = &mut self.writing {
                writing.written += bytes;
                writing.stalls = due;
            }
            return;
        }
        let Some(Writing { request, written, .. }) = self.writing.take() else { return };
        self.uses += 1;
        self.last_used = Instant::now();
        Counters::add(&self.lane.pool.counters.bytes, written as u64);
        if request.job.id.is_some() {
            self.window.push_back(Unacknowledged { request, due });
        } else {
            self.delivered(request);
        }
    }

    fn take_answers(&mut self) -> Result<(), Failure> {
        while let Some(ack) = self.next_answer()? {
            let Ack::Chunk(id) = ack else {
                return Err(Failure::new(FailureKind::NotDelivered));
            };
            let is_it = |request: &Request| {
                request.job.id.as_ref().is_some_and(|sent| sent.as_bytes() == id)
            };
            // The acknowledgement says more than the flush that is still waited for.
            if self.writing.as_ref().is_some_and(|it| it.has_left() && is_it(&it.request)) {
                self.wrote(0);
            }
            let at = self.window.iter().position(|sent| is_it(&sent.request));
            let Some(sent) = at.and_then(|at| self.window.remove(at)) else {
                return Err(Failure::new(FailureKind::WrongChunk));
            };
            Counters::add(&self.lane.pool.counters.acks, 1);
            self.last_used = Instant::now();
            self.delivered(sent.request);
        }
        Ok(())
    }

    fn next_answer(&mut self) -> Result<Option<Ack>, Failure> {
        /// `["HELO", ...`: what a server with security says first.
        const HELO: &[u8] = b"\x92\xa4HELO";
        let is_helo = self.connection.acks.buffer().starts_with(HELO);
        self.connection.acks.next_ack().map_err(|error| {
            if is_helo {
                Failure::new(FailureKind::SecurityRequired)
            } else {
                Failure::with(FailureKind::Answer, error)
            }
        })
    }

    fn delivered(&self, request: Request) {
        let pool = &self.lane.pool;
        Counters::add(&pool.counters.chunks, 1);
        Counters::add(&pool.counters.events, request.job.events);
        pool.delivered(self.lane.node.id);
        request.answer(Ok(()));
    }

    fn fail(self, failure: Failure) -> End {
        let sent = self.window.into_iter().map(|sent| sent.request);
        let owed: Vec<Request> = sent.chain(self.writing.map(|writing| writing.request)).collect();
        if owed.is_empty() && !failure.kind.is_permanent() {
            debug!(node = %self.lane.node.address, %failure, "an idle connection ended");
            return End::Idle;
        }
        End::Failed(failure, owed)
    }
}

/// Writes what the system takes; when all is written, sees it on its way and gives zero.
///
/// # Cancel safety
/// Safe.
async fn write_some(
    writer: &mut WriteHalf<BoxStream>,
    writing: Option<&Writing>,
) -> std::io::Result<usize> {
    let rest = writing.and_then(|writing| writing.request.job.message.get(writing.written..));
    match rest {
        Some(rest) if !rest.is_empty() => match writer.write(rest).await? {
            0 => Err(std::io::ErrorKind::WriteZero.into()),
            wrote => Ok(wrote),
        },
        _ => writer.flush().await.map(|()| 0),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
