//! All nodes of a sender: who is up, who gets the next chunk, who waits.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;
use tracing::{error, info, warn};

use super::balance::{Candidate, Choice, Wheel};
use super::connection::Connection;
use super::failure::{Chain, Failure};
use super::health::{Detached, Health, Rules, Standing};
use super::lane::{Job, Lane, Request};
use super::node::Node;
use super::resolve::Service;
use super::retry::random_share;
use super::stats::{Counters, NodeState, NodeStats, SenderStats};
use super::{Address, HeartbeatKind, SenderConfig, Server};

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

/// A node and what is going on with it.
#[derive(Debug)]
struct Member {
    node: Arc<Node>,
    health: Health,
    weight: u32,
    is_standby: bool,
    tier: u16,
    /// Whether it comes from SRV records.
    is_discovered: bool,
    lanes: Vec<Queue>,
    chunks: u64,
    failures: u64,
    is_asked: bool,
}

/// The entrance of a lane.
#[derive(Debug)]
struct Queue {
    requests: mpsc::UnboundedSender<Request>,
    in_flight: usize,
}

/// The sender is closed.
#[derive(Debug)]
pub(super) struct Closed;

/// A place in the queue of those that wait for a node. It is kept from first to last try.
#[derive(Debug)]
pub(super) struct Ticket {
    pool: Arc<Pool>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pool.lock().waiting.remove(&self.number);
        self.pool.changed.notify_waiters();
    }
}

/// A place on a lane; free again when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    node: u64,
    lane: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Some(lane) = state.member(self.node).and_then(|it| it.lanes.get_mut(self.lane)) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
        drop(state);
        self.pool.changed.notify_waiters();
    }
}

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
        let (lane, task) = member.lane(self);
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

    /// The nodes a heartbeat is due for; detaches those that were silent for too long.
    pub(super) fn due_heartbeats(&self) -> Vec<Arc<Node>> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut state = self.lock();
        for member in &mut state.members {
            let address = &member.node.address;
            match member.health.check(now) {
                Some(Detached::Phi(phi)) => {
                    warn!(node = %address, phi, "a server is detached: it is silent")
                }
                Some(Detached::Silent(silence)) => {
                    warn!(node = %address, ?silence, "a server is detached: it is silent");
                }
                None => {}
            }
            if !member.is_asked && member.weight > 0 && member.health.take_heartbeat(now) {
                member.is_asked = true;
                due.push(member.node.clone());
            }
        }
        drop(state);
        self.changed.notify_waiters();
        due
    }

    /// A heartbeat was answered, or was not.
    pub(super) fn heartbeat(&self, node: u64, is_answered: bool) {
        let mut state = self.lock();
        let Some(member) = state.member(node) else { return };
        member.is_asked = false;
        if is_answered {
            Counters::add(&self.counters.heartbeats, 1);
            member.health.beat(Instant::now());
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes over the SRV records that are there now: nodes that are new come in, those that are
    /// gone finish what they have.
    pub(super) fn set_services(&self, services: &[Service]) {
        let mut state = self.lock();
        let address = |service: &Service| {
            let host = service.target.trim_end_matches('.').to_owned();
            Address::Tcp { host, port: service.port }
        };
        state.members.retain(|member| {
            let of_record = |service: &Service| address(service) == member.node.address;
            !member.is_discovered || services.iter().any(of_record)
        });
        for service in services {
            let (address, weight) = (address(service), u32::from(service.weight.max(1)));
            let known =
                |member: &&mut Member| member.is_discovered && member.node.address == address;
            match state.members.iter_mut().find(known) {
                Some(member) => (member.weight, member.tier) = (weight, service.priority),
                None => {
                    let server = Server::new(address).weight(weight);
                    state.add(&server, (service.priority, true), &self.config, self.rules);
                }
            }
        }
        state.wheel.reset();
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

impl Member {
    fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.in_flight).sum()
    }

    fn candidate(&self, now: Instant, room: usize) -> Candidate {
        Candidate {
            weight: self.weight,
            is_standby: self.is_standby,
            tier: self.tier,
            standing: self.health.standing(now),
            in_flight: self.in_flight(),
            room,
        }
    }

    /// The lane with the least to do; a new one while all are busy and there may be more.
    fn lane(&mut self, pool: &Arc<Pool>) -> (usize, Option<JoinHandle<()>>) {
        let load = |(at, lane): (usize, &Queue)| (lane.in_flight, at);
        let least = self.lanes.iter().enumerate().map(load).min();
        let limit = pool.config.connections.max(1);
        match least {
            Some((in_flight, at)) if in_flight == 0 || self.lanes.len() >= limit => (at, None),
            _ => {
                let (sender, requests) = mpsc::unbounded_channel();
                self.lanes.push(Queue { requests: sender, in_flight: 0 });
                let lane = Lane { pool: pool.clone(), node: self.node.clone(), requests };
                (self.lanes.len() - 1, Some(tokio::spawn(lane.run())))
            }
        }
    }

    /// Puts a chunk into the queue of a lane; gives it back if the lane is gone.
    fn send(&mut self, lane: usize, request: Request) -> Option<Request> {
        let Some(queue) = self.lanes.get_mut(lane) else { return Some(request) };
        queue.in_flight += 1;
        queue.requests.send(request).err().map(|refused| refused.0)
    }

    fn stats(&self, now: Instant) -> NodeStats {
        NodeStats {
            address: self.node.address.clone(),
            state: match self.health.standing(now) {
                Standing::Up => NodeState::Up,
                Standing::Probe => NodeState::Recovering,
                Standing::Suspect | Standing::Down(_) => NodeState::Down,
            },
            weight: self.weight,
            standby: self.is_standby,
            priority: self.tier,
            in_flight: self.in_flight(),
            chunks: self.chunks,
            failures: self.failures,
        }
    }
}
