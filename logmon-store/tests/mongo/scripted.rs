//! A MongoDB server that does as it is told: what no real server does on demand, such as to store a
//! batch and lose the reply.
//!
//! It speaks OP_MSG without compression, TLS, authentication or cursors, knows the commands that a
//! sink needs, and keeps what is inserted. All that an insert changes is changed when the command
//! has arrived, before [`ScriptedServer::wait_for_inserts`] tells of it; an [`Act`] decides what is
//! answered.
#![allow(
    clippy::expect_used,
    unreachable_pub,
    reason = "a test without its server is meant to panic; the file serves a library and a test"
)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::RawDocumentBuf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod act;
mod collection;
mod commands;
mod connection;
mod garbage;
mod insert;
mod replies;
mod state;
mod wire;

pub use act::Act;
pub use garbage::Garbage;
use state::{Failing, State};

/// The name of the replica set.
pub const SET_NAME: &str = "scripted";

/// A server on a port of its own. Dropping it closes the port and all connections.
#[derive(Debug)]
pub struct ScriptedServer {
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
    port: u16,
    is_replica_set: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// How many insert commands have arrived.
    inserts: watch::Sender<usize>,
}

impl ScriptedServer {
    /// A standalone server. The driver retries nothing by itself there.
    pub async fn start() -> Self {
        Self::listen(false).await
    }

    /// A replica set of one member, the primary. There the driver sends an insert that it calls
    /// retryable a second time by itself, which counts as another insert here.
    pub async fn start_replica_set() -> Self {
        Self::listen(true).await
    }

    async fn listen(is_replica_set: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        let state = Mutex::new(State::new(port, is_replica_set));
        let shared = Arc::new(Shared { state, inserts: watch::Sender::new(0) });
        let listener = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, listener, port, is_replica_set }
    }

    /// Where a client finds the server. A standalone server is named as the only one to be asked;
    /// of a replica set the client follows who is primary, so while it is stepped down, nothing is
    /// sent there. The driver looks at the server each 500 ms, which is the least it accepts.
    pub fn uri(&self) -> String {
        let (port, set) = (self.port, format!("replicaSet={SET_NAME}"));
        let which = if self.is_replica_set { &set } else { "directConnection=true" };
        format!(
            "mongodb://127.0.0.1:{port}/?{which}&serverMonitoringMode=poll\
             &heartbeatFrequencyMS=500&serverSelectionTimeoutMS=5000&connectTimeoutMS=5000"
        )
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Plans one act for each insert that arrives, after those planned before. Inserts after the
    /// last planned one are applied, or what [`ScriptedServer::always`] says.
    pub fn next_inserts(&self, acts: impl IntoIterator<Item = Act>) {
        self.state().planned.extend(acts);
    }

    /// Does this for every insert, and forgets what was planned. `Act::Apply` ends it.
    pub fn always(&self, act: Act) {
        let mut state = self.state();
        state.planned.clear();
        state.otherwise = act;
    }

    /// Lets the next `times` commands of this name fail. An insert that fails so uses up no act.
    pub fn fail_commands(&self, name: &str, code: i32, message: &str, times: usize) {
        let failing = Failing { code, message: message.to_owned(), times };
        self.state().failing.insert(name.to_owned(), failing);
    }

    /// How many insert commands have arrived.
    pub fn inserts(&self) -> usize {
        *self.shared.inserts.borrow()
    }

    /// Waits until `n` insert commands have arrived since the start. Cancel safe.
    pub async fn wait_for_inserts(&self, n: usize) {
        let mut inserts = self.shared.inserts.subscribe();
        // An error would mean that the sender has gone, which is in `self`.
        let _reached = inserts.wait_for(|arrived| *arrived >= n).await;
    }

    /// What a collection, named as `database.collection`, holds, in the order of insertion.
    pub fn documents(&self, namespace: &str) -> Vec<RawDocumentBuf> {
        let state = self.state();
        let collection = state.collections.get(namespace);
        collection.map(|collection| collection.documents().cloned().collect()).unwrap_or_default()
    }

    /// The last insert command without its documents.
    pub fn last_insert(&self) -> Option<RawDocumentBuf> {
        self.state().last_insert.clone()
    }

    /// With `true`, cuts all connections and closes each new one at once; with `false`, ends that.
    pub fn refuse_connections(&self, yes: bool) {
        let mut state = self.state();
        state.is_refusing = yes;
        if yes {
            state.connections.abort_all();
        }
    }

    /// Becomes a secondary: writes are answered with code 10107. An insert uses up no act.
    pub fn step_down(&self) {
        self.state().is_down = true;
    }

    /// Becomes primary again.
    pub fn step_up(&self) {
        self.state().is_down = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.listener.abort();
        self.refuse_connections(true);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a new connection in or closes it. Nothing can come between the look and the deed.
    fn connected(self: &Arc<Self>, stream: TcpStream) {
        let mut state = self.state();
        while state.connections.try_join_next().is_some() {}
        if !state.is_refusing {
            state.connections.spawn(connection::serve(stream, Arc::clone(self)));
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connected(stream);
    }
}
