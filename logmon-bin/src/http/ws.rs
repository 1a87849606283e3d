//! `/ws`: several live subscriptions over one WebSocket, protocol `logmon.v1`.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::problem::{Code, Context, Problem};
use super::{App, cursor, guard};

mod request;
mod subscription;

use request::{Command, Request};

/// Subscriptions of one connection.
const MAX_SUBSCRIPTIONS: usize = 16;
/// The longest message of a client.
const MAX_MESSAGE_BYTES: usize = 128 * 1024;
/// What a connection keeps for reading and for writing. Most are silent most of the time.
const BUFFER_BYTES: usize = 4 * 1024;
/// How often the server speaks when nothing happens; after two and a half times that without a
/// word the other side is taken for dead.
const HEARTBEAT: Duration = Duration::from_secs(10);
const DEAD: Duration = Duration::from_secs(25);
/// Messages on their way to the socket, for all subscriptions together. One may have some hundred
/// kilobytes.
const QUEUE: usize = 4;
/// Commands on their way to a subscription.
const COMMANDS: usize = 16;

/// Policy violation, RFC 6455 section 7.4.1.
const CLOSE_POLICY: u16 = 1008;
/// Going away.
const CLOSE_SHUTDOWN: u16 = 1001;

/// `GET /ws`.
pub(super) async fn upgrade(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Err(problem) = app.0.guard.check_origin(&headers) {
        return problem.into_response();
    }
    let context =
        Context { is_japanese: Context::prefers_japanese(&headers), ..Context::default() };
    upgrade
        .protocols(["logmon.v1"])
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .on_upgrade(move |socket| async move {
            Connection::new(app, context).run(socket).await;
        })
}

/// One connection: it reads what the client says and writes what its subscriptions say.
struct Connection {
    app: App,
    context: Context,
    subscriptions: HashMap<String, Running>,
    outgoing: mpsc::Sender<Utf8Bytes>,
    incoming: mpsc::Receiver<Utf8Bytes>,
}

/// A subscription's task and the way to it.
struct Running {
    commands: mpsc::Sender<Command>,
    /// The number up to which everything has arrived. Not a command, as only the last one counts
    /// and none may be lost.
    acked: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a connection ends.
enum End {
    /// The client is gone.
    Gone,
    /// With a code and a reason.
    Close(u16, &'static str),
}

impl Connection {
    fn new(app: App, context: Context) -> Self {
        let (outgoing, incoming) = mpsc::channel(QUEUE);
        Self { app, context, subscriptions: HashMap::new(), outgoing, incoming }
    }

    async fn run(mut self, mut socket: WebSocket) {
        let end = self.serve(&mut socket).await;
        self.subscriptions.clear();
        if let End::Close(code, reason) = end {
            if code == CLOSE_SHUTDOWN {
                let bye = json!({"t": "bye", "reason": reason, "retry_ms": 500});
                drop(socket.send(Frame::Text(bye.to_string().into())).await);
            }
            let frame = CloseFrame { code, reason: reason.into() };
            drop(socket.send(Frame::Close(Some(frame))).await);
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> End {
        if send(socket, self.welcome().into()).await.is_err() {
            return End::Gone;
        }
        let app = self.app.clone();
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = app.ending() => return End::Close(CLOSE_SHUTDOWN, "shutdown"),
                frame = socket.recv() => {
                    heard = Instant::now();
                    let answer = match frame {
                        None | Some(Err(_) | Ok(Frame::Close(_))) => return End::Gone,
                        Some(Ok(Frame::Text(text))) => self.take(text.as_str()).await,
                        Some(Ok(Frame::Binary(_))) => return End::Close(CLOSE_POLICY, "text frames only"),
                        Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => None,
                    };
                    if let Some(answer) = answer && send(socket, answer.to_string().into()).await.is_err() {
                        return End::Gone;
                    }
                }
                // There is always a sender: our own.
                Some(text) = self.incoming.recv() => {
                    if send(socket, text).await.is_err() {
                        return End::Gone;
                    }
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > DEAD || socket.send(Frame::Ping(Vec::new().into())).await.is_err() {
                        return End::Gone;
                    }
                }
            }
        }
    }

    fn welcome(&self) -> String {
        json!({
            "t": "welcome",
            "session": guard::random_id(),
            "server": concat!("logmon/", env!("CARGO_PKG_VERSION")),
            "time": logmon_core::Timestamp::now(),
            "head": cursor::live(self.app.0.hub.head()),
            "limits": {
                "subs": MAX_SUBSCRIPTIONS,
                "unacked_events": subscription::MAX_UNACKED_EVENTS,
                "unacked_bytes": subscription::MAX_UNACKED_BYTES,
                "frame_bytes": 1 << 20,
            },
            "heartbeat_ms": 10_000,
        })
        .to_string()
    }

    /// Does what a message says; gives what is to be answered at once.
    async fn take(&mut self, text: &str) -> Option<Value> {
        let request = match Request::parse(text) {
            Ok(request) => request,
            Err(fault) => return Some(self.error(fault.0.as_deref(), &fault.1)),
        };
        match request {
            Request::Ping { n } => Some(json!({"t": "pong", "n": n})),
            Request::Subscribe { sub, wish } => {
                let is_new = !self.subscriptions.contains_key(&sub);
                if is_new && self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
                    let detail =
                        format!("a connection has at most {MAX_SUBSCRIPTIONS} subscriptions");
                    return Some(self.error(Some(&sub), &Problem::new(Code::Overloaded, detail)));
                }
                // A second subscribe under one name begins anew.
                self.subscriptions.remove(&sub);
                match subscription::open(&self.app, &sub, *wish).await {
                    Ok(live) => {
                        let (commands, receiver) = mpsc::channel(COMMANDS);
                        let (acked, acks) = watch::channel(0);
                        let live = live.with(self.context.clone(), self.outgoing.clone());
                        let task = tokio::spawn(live.run(receiver, acks));
                        self.subscriptions.insert(sub, Running { commands, acked, task });
                        None
                    }
                    Err(problem) => Some(self.error(Some(&sub), &problem)),
                }
            }
            Request::Unsubscribe { sub } => {
                self.subscriptions.remove(&sub);
                None
            }
            Request::Command { sub, command } => self.pass_on(&sub, command),
            Request::Ack { sub, seq } => self.acknowledge(&sub, seq),
        }
    }

    /// Hands a command to its subscription.
    fn pass_on(&self, sub: &str, command: Command) -> Option<Value> {
        let Some(running) = self.subscriptions.get(sub) else { return Some(self.no_such(sub)) };
        // The subscription may be waiting for room among our outgoing messages, so the queue of
        // commands is never waited for while they are not being sent.
        match running.commands.try_send(command) {
            Ok(()) => None,
            Err(_) => {
                let detail = "too many commands at once; wait for their answers";
                Some(self.error(Some(sub), &Problem::new(Code::Overloaded, detail)))
            }
        }
    }

    fn acknowledge(&self, sub: &str, seq: u64) -> Option<Value> {
        let Some(running) = self.subscriptions.get(sub) else { return Some(self.no_such(sub)) };
        running.acked.send_if_modified(|last| std::mem::replace(last, seq.max(*last)) < seq);
        None
    }

    fn no_such(&self, sub: &str) -> Value {
        let detail = format!("there is no subscription `{sub}`");
        self.error(Some(sub), &Problem::new(Code::NotFound, detail))
    }

    fn error(&self, sub: Option<&str>, problem: &Problem) -> Value {
        json!({"t": "error", "sub": sub, "problem": problem.document(&self.context)})
    }
}

async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), axum::Error> {
    socket.send(Frame::Text(text)).await
}
