//! All nodes of a sender: who is up, who gets the next chunk, who waits.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;
use tracing::{error, info, warn};

use super::balance::{Candidate, Choice, Wheel};
use super::connection::Connection;
use super::failure::{Chain, Failure};
use super::health::{Health, Rules, Standing};
use super::lane::{Job, Request};
use super::node::Node;
use super::retry::random_share;
use super::stats::{Counters, SenderStats};
use super::{Address, HeartbeatKind, SenderConfig, Server};

mod member;
mod places;
mod upkeep;

use member::Member;
pub(super) use places::{Lease, Ticket};

/// What all tasks of a sender share.
pub(super) struct Pool {
    pub(super) config: SenderConfig,
    pub(super) counters: Counters,
    rules: Rules,
    tls: Mutex<Option<TlsConnector>>,
    state: Mutex<State>,
    /// Something may be possible now that was not a moment ago.
    changed: Notify,
    closing: watch::Sender<bool>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    members: Vec<Member>,
    wheel: Wheel,
    /// Chunks without a node, oldest first, so that what failed goes before what is new.
    waiting: BTreeSet<u64>,
    next_ticket: u64,
    next_node: u64,
    tasks: Vec<JoinHandle<()>>,
    is_closed: bool,
}

/// The sender is closed.
#[derive(Debug)]
pub(super) struct Closed;

/// A chunk on its way.
pub(super) struct Submitted {
    pub(super) node: Arc<Node>,
    pub(super) answer: oneshot::Receiver<Result<(), Failure>>,
}

impl Pool {
    pub(super) fn new(config: SenderConfig, tls: Option<TlsConnector>) -> Arc<Self> {
        let heartbeat = &config.heartbeat;
        let has_heartbeat = heartbeat.kind != HeartbeatKind::None;
        let beats =
            heartbeat.recover_wait.as_secs_f64() / heartbeat.interval.as_secs_f64().max(1e-3);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let recover_after = beats.ceil().clamp(1.0, 1e6) as u32;
        let rules = Rules {
            interval: has_heartbeat.then_some(heartbeat.interval),
            phi_threshold: heartbeat.phi_threshold,
            hard_timeout: heartbeat.hard_timeout,
            recover_after,
            retry: config.retry,
        };
        let closing = watch::Sender::new(false);
        let mut state = State::default();
        for server in &config.servers {
            state.add(server, (0, false), &config, rules);
        }
        let (state, changed, counters) = (Mutex::new(state), Notify::new(), Counters::default());
        let tls = Mutex::new(tls);
        Arc::new(Self { config, counters, rules, tls, state, changed, closing })
    }

    /// Connects to a node.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn connect(
        &self,
        node: &Node,
        has_failed: bool,
    ) -> Result<Connection, Failure> {
        let tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Connection::open(node, (&self.config, tls), has_failed).await
    }

    /// Makes new connections by this.
    pub(super) fn set_tls(&self, tls: Option<TlsConnector>) {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = tls;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place behind all that wait now.
    pub(super) fn ticket(self: &Arc<Self>) -> Ticket {
        let mut state = self.lock();
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(number);
        Ticket { pool: self.clone(), number }
    }

    /// Gives a chunk to a node, as soon as one can take it and no older chunk waits.
    ///
    /// # Cancel safety
    /// Safe: dropped before it is ready, nothing was given.
    pub(super) async fn submit(
        self: &Arc<Self>,
        ticket: &Ticket,
        job: &Job,
    ) -> Result<Submitted, Closed> {
        self.lock().waiting.insert(ticket.number);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let until = match self.try_submit(ticket, job)? {
                Attempt::Submitted(submitted) => {
                    self.changed.notify_waiters();
                    return Ok(submitted);
                }
                Attempt::Wait(until) => until,
            };
            match until {
                Some(until) => tokio::select! {
                    () = &mut changed => {}
                    () = sleep_until(until) => {}
                },
                None => changed.await,
            }
        }
    }

    fn try_submit(self: &Arc<Self>, ticket: &Ticket, job: &Job) -> Result<Attempt, Closed> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Closed);
        }
        if job.sticky.is_none() && state.waiting.first() != Some(&ticket.number) {
            return Ok(Attempt::Wait(None));
        }
        let now = Instant::now();
        let room = self.config.window() * self.config.connections.max(1);
        let State { members, wheel, .. } = &mut *state;
        let candidates: Vec<Candidate> =
            members.iter().map(|member| member.candidate(now, room)).collect();
        let rank = |at: usize| rank(job.sticky, members.get(at).map(|it| &it.node.address));
        let sticky: Option<&dyn Fn(usize) -> u64> = job.sticky.is_some().then_some(&rank);
        let Choice::Node(at) = wheel.choose(&candidates, sticky) else {
            return Ok(Attempt::Wait(next_wake(&candidates)));
        };
        let Some(member) = members.get_mut(at) else { return Ok(Attempt::Wait(None)) };
        let (lane, task) = member.lane(self, room);
        let node = member.node.clone();
        let lease = Lease { pool: self.clone(), node: node.id, lane };
        let (reply, answer) = oneshot::channel();
        let request = Request { job: job.clone(), lease, reply };
        // Within the lock, so that chunks reach the lane in the order of their tickets. A lane
        // that has ended drops the reply, and whoever waits for it learns of it.
        let refused = member.send(lane, request);
        state.tasks.retain(|task| !task.is_finished());
        state.tasks.extend(task);
        state.waiting.remove(&ticket.number);
        drop(state);
        drop(refused);
        Ok(Attempt::Submitted(Submitted { node, answer }))
    }

    /// A chunk was delivered to this node.
    pub(super) fn delivered(&self, node: u64) {
        let mut state = self.lock();
        let Some(member) = state.member(node) else { return };
        member.chunks += 1;
        if member.health.delivered(Instant::now()) {
            info!(node = %member.node.address, "a server is back");
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// A chunk or a connection of this node failed.
    pub(super) fn failed(&self, node: u64, failure: &Failure) {
        self.counters.fail(failure.kind);
        let floor =
            if failure.kind.is_permanent() { self.config.login_retry } else { Duration::ZERO };
        let mut state = self.lock();
        let Some(member) = state.member(node) else { return };
        member.failures += 1;
        let was_up = member.health.failed(Instant::now(), floor, random_share());
        let (address, reason) = (&member.node.address, Chain(failure));
        let failures = member.health.failures();
        if failure.kind.is_permanent() {
            error!(node = %address, failures, %reason, "a server does not let this sender in");
        } else if was_up {
            warn!(node = %address, %reason, "a server failed; its chunks are sent again");
        } else {
            tracing::debug!(node = %address, failures, %reason, "a server failed again");
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// All nodes there are.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.lock().members.iter().map(|member| member.node.clone()).collect()
    }

    /// Keeps a task until the sender is closed.
    pub(super) fn adopt(&self, task: JoinHandle<()>) {
        self.lock().tasks.push(task);
    }

    /// Whether the sender is closed, now and when that changes.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Takes nothing more. What is on its way goes on; the tasks that see to it are given back.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        let mut state = self.lock();
        state.is_closed = true;
        for member in &mut state.members {
            member.lanes.clear();
        }
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        self.closing.send_replace(true);
        self.changed.notify_waiters();
        tasks
    }

    pub(super) fn stats(&self) -> SenderStats {
        let (state, now) = (self.lock(), Instant::now());
        let nodes = state.members.iter().map(|member| member.stats(now)).collect();
        drop(state);
        self.counters.snapshot(nodes)
    }
}

/// What came of an attempt to find a node.
enum Attempt {
    Submitted(Submitted),
    /// Not before something changes or this instant has come.
    Wait(Option<Instant>),
}

/// When the first of the nodes that are left alone may be tried.
fn next_wake(candidates: &[Candidate]) -> Option<Instant> {
    let until = |node: &Candidate| match node.standing {
        Standing::Down(until) if node.weight > 0 => Some(until),
        _ => None,
    };
    candidates.iter().filter_map(until).min()
}

/// What stands for a tag where tags stick to nodes.
pub(super) fn tag_hash(tag: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    tag.hash(&mut hasher);
    hasher.finish()
}

/// How much a node is the one for the tags of this hash.
fn rank(tag: Option<u64>, node: Option<&Address>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tag, node).hash(&mut hasher);
    hasher.finish()
}

impl State {
    fn member(&mut self, node: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.node.id == node)
    }

    fn add(
        &mut self,
        server: &Server,
        (tier, is_discovered): (u16, bool),
        config: &SenderConfig,
        rules: Rules,
    ) {
        let Server { address, name, weight, standby, security } = server.clone();
        let security = security.or_else(|| config.security.clone());
        let node = Node::new(self.next_node, address, name, security);
        self.next_node += 1;
        self.members.push(Member {
            node: Arc::new(node),
            health: Health::new(rules, Instant::now()),
            weight,
            is_standby: standby,
            tier,
            is_discovered,
            lanes: Vec::new(),
            chunks: 0,
            failures: 0,
            is_asked: false,
        });
    }
}
