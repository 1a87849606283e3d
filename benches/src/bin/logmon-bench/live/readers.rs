//! Light readers: they count, and read nothing that they need not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::feed::Acks;

const PATIENCE: Duration = Duration::from_secs(120);

/// The protocol that readers speak.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Ws { batch_ms: u64 },
    SocketIo,
}

/// Readers that have yet to begin.
pub(super) struct Readers {
    kind: Kind,
    queries: Vec<String>,
    per_connection: usize,
}

/// Readers at work; they end with this.
pub(super) struct Running {
    counts: Arc<Counts>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Counts {
    deliveries: AtomicU64,
    subscribed: AtomicUsize,
}

impl Readers {
    pub(super) fn new(kind: Kind, queries: Vec<String>, per_connection: usize) -> Self {
        Self { kind, queries, per_connection: per_connection.max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.queries.len()
    }

    /// Connects all and waits until all have subscribed. The first tells `acks` what it has read.
    pub(super) fn start(self, http: &str, acks: Arc<Acks>) -> anyhow::Result<Running> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let counts = Arc::new(Counts::default());
        let mut acks = Some(acks);
        for queries in self.queries.chunks(self.per_connection) {
            let (kind, counts, acks) = (self.kind, counts.clone(), acks.take());
            let (http, queries) = (http.to_owned(), queries.to_vec());
            runtime.spawn(async move {
                let read = match kind {
                    Kind::Ws { batch_ms } => {
                        ws(&http, &queries, batch_ms, (&counts, acks.as_deref())).await
                    }
                    Kind::SocketIo => socketio(&http, &counts, acks.as_deref()).await,
                };
                if let Err(error) = read {
                    eprintln!("a reader ended: {error:#}");
                }
            });
        }
        let began = Instant::now();
        while counts.subscribed.load(Ordering::Relaxed) < self.queries.len() {
            let done = counts.subscribed.load(Ordering::Relaxed);
            ensure!(began.elapsed() < PATIENCE, "{done} of {} subscribed", self.queries.len());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Running { counts, _runtime: runtime })
    }
}

impl Running {
    pub(super) fn deliveries(&self) -> u64 {
        self.counts.deliveries.load(Ordering::Relaxed)
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(url: String) -> anyhow::Result<Socket> {
    let (socket, _) = connect_async(url).await.context("connecting failed")?;
    Ok(socket)
}

/// Reads `/ws`, and acknowledges.
async fn ws(
    http: &str,
    queries: &[String],
    batch_ms: u64,
    (counts, acks): (&Counts, Option<&Acks>),
) -> anyhow::Result<()> {
    let mut socket = connect(format!("ws://{http}/ws")).await?;
    for (at, query) in queries.iter().enumerate() {
        let wish = json!({
            "t": "subscribe", "sub": at.to_string(), "q": query, "batch_ms": batch_ms,
        });
        socket.send(Message::text(wish.to_string())).await?;
    }
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        match field(&text, "t") {
            Some("subscribed") => {
                counts.subscribed.fetch_add(1, Ordering::Relaxed);
            }
            Some("batch") => {
                let number =
                    |name| last_field(&text, name).and_then(|text| text.parse::<u64>().ok());
                let matched = number("matched").context("a batch says how many match")?;
                counts.deliveries.fetch_add(matched, Ordering::Relaxed);
                if let Some(acks) = acks
                    && let Some(n) = last_number(&text)
                {
                    acks.have_read(n);
                }
                let (sub, to) = (field(&text, "sub"), last_field(&text, "to_seq"));
                let ack = json!({"t": "ack", "sub": sub, "seq": to});
                socket.send(Message::text(ack.to_string())).await?;
            }
            Some("error") => anyhow::bail!("{text}"),
            _ => {}
        }
    }
    Ok(())
}

/// Reads Socket.IO over a WebSocket: Engine.IO 4 by hand, as a client library would be measured.
async fn socketio(http: &str, counts: &Counts, acks: Option<&Acks>) -> anyhow::Result<()> {
    let url = format!("ws://{http}/socket.io/?EIO=4&transport=websocket");
    let mut socket = connect(url).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        match text.as_bytes() {
            [b'0', ..] => socket.send(Message::text("40")).await?,
            [b'2'] => socket.send(Message::text("3")).await?,
            [b'4', b'0', ..] => {
                counts.subscribed.fetch_add(1, Ordering::Relaxed);
            }
            [b'4', b'2', ..] => {
                counts.deliveries.fetch_add(1, Ordering::Relaxed);
                if let Some(acks) = acks
                    && let Some(n) = last_number(&text)
                {
                    acks.have_read(n);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The value of this name in the text of an object, without its quotes: the last one, as what
/// stands before the events of a batch has none of these names.
fn last_field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    value(text.rsplit_once(&format!("\"{name}\":"))?.1)
}

/// The first value of this name.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    value(text.split_once(&format!("\"{name}\":"))?.1)
}

fn value(rest: &str) -> Option<&str> {
    match rest.strip_prefix('"') {
        Some(text) => text.split('"').next(),
        None => rest.split([',', '}']).next(),
    }
}

/// The number of the last event in the text.
fn last_number(text: &str) -> Option<u64> {
    // Behind the events a message has a number of its own.
    let (logs, _) = text.rsplit_once(']')?;
    let (_, rest) = logs.rsplit_once("\"n\":")?;
    rest.split([',', '}']).next()?.parse().ok()
}
