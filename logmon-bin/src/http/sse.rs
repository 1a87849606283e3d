//! `GET /api/logs/stream`: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use logmon_core::hub::{Mode, SubscribeOptions};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::batcher::{Batch, Batcher, Feed, Message, dropped_fields};
use super::guard::HeaderName;
use super::params::Params;
use super::problem::Problem;
use super::{App, cursor, start};

const KNOWN: &[&str] =
    &["q", "level", "source", "search", "from", "last", "mode", "batch_ms", "format"];

/// How often something is sent while nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Messages on their way to the socket; the reading stops when it is full.
const QUEUE: usize = 4;

/// How a batch begins.
const BATCH: &str = "event: batch\ndata: {\"logs\":[";

/// `GET /api/logs/stream`.
pub(super) async fn stream(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.0.guard.check_origin(&headers)?;
    let params = Params::parse(query.as_deref());
    params.allow(KNOWN)?;
    let filter = params.wanted().filter()?;
    let mode = mode(params.get("mode"), Mode::Lossless)?;
    let last = params.number("last", 0, 0..=start::MAX_LAST)?;
    let delay = Duration::from_millis(params.number("batch_ms", 50, 0..=1_000)? as u64);
    let is_single = match params.get("format") {
        None | Some("batch") => false,
        Some("event") => true,
        Some(other) => {
            let detail = format!("`{other}` is not a format; expected batch or event");
            return Err(Problem::parameter("format", detail));
        }
    };
    let resumed = headers.get(HeaderName::LAST_EVENT_ID).map(|id| id.to_str().unwrap_or("?"));
    let begin = match (resumed, params.get("from")) {
        (Some(id), _) if !id.is_empty() => start::from_cursor(id)?,
        (_, None | Some("now" | "head")) if last > 0 => start::last(&app, last, &filter).await?,
        (_, from) => start::from_text(&app, from.unwrap_or("now"), &filter).await?,
    };
    let subscription = app
        .0
        .hub
        .subscribe_with(&filter, SubscribeOptions::new(begin, mode))
        .map_err(|error| Problem::parameter("q", error.to_string()))?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writer = Writer { sender, is_single };
    let opening = if is_single { "" } else { BATCH };
    let batcher = Batcher::new(delay, opening);
    tokio::spawn(serve(app, Feed { subscription, batcher }, writer));
    let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let bytes: Bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(bytes), receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Reads `lossless` or `latest`.
pub(super) fn mode(text: Option<&str>, default: Mode) -> Result<Mode, Problem> {
    match text {
        None => Ok(default),
        Some("lossless") => Ok(Mode::Lossless),
        Some("latest") => Ok(Mode::Latest),
        Some(other) => {
            let detail = format!("`{other}` is not a mode; expected lossless or latest");
            Err(Problem::parameter("mode", detail))
        }
    }
}

/// Moves a subscription's deliveries to the socket until either end closes.
async fn serve(app: App, mut feed: Feed, writer: Writer) {
    let open = json!({"stream": super::guard::random_id(), "head": cursor::live(app.0.hub.head())});
    if writer.open(&open).await.is_err() {
        return;
    }
    let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let messages = tokio::select! {
            () = app.ending() => {
                let messages = feed.batcher.flush().into_iter().collect();
                if writer.all(messages).await.is_ok() {
                    let end = json!({"reason": "shutdown", "retry_ms": 500});
                    drop(writer.event("end", None, &end.to_string()).await);
                }
                return;
            }
            () = writer.sender.closed() => return,
            messages = feed.next() => match messages {
                Some(messages) => messages,
                None => return,
            },
            _ = heartbeat.tick() => {
                let messages = feed.progress();
                if writer.comment().await.is_err() {
                    return;
                }
                messages
            }
        };
        if writer.all(messages).await.is_err() {
            return;
        }
    }
}

/// Writes events of the stream.
struct Writer {
    sender: mpsc::Sender<Bytes>,
    is_single: bool,
}

/// The reader is gone.
struct Gone;

impl Writer {
    async fn all(&self, messages: Vec<Message>) -> Result<(), Gone> {
        for message in messages {
            self.message(message).await?;
        }
        Ok(())
    }

    async fn message(&self, message: Message) -> Result<(), Gone> {
        match message {
            Message::Batch(batch) if self.is_single => self.single(&batch).await,
            Message::Batch(batch) => {
                let end = json!({
                    "from_seq": batch.from.to_string(),
                    "to_seq": batch.to.to_string(),
                    "scanned": batch.scanned,
                    "matched": batch.matched,
                })
                .to_string();
                let end = end.strip_prefix('{').unwrap_or(&end);
                let end = format!("],{end}\nid: {}\n\n", batch.cursor);
                self.send(batch.finish(&end)).await
            }
            Message::Progress { to, cursor, .. } => {
                let data = json!({"to_seq": to.to_string()}).to_string();
                self.event("progress", Some(&cursor), &data).await
            }
            Message::CaughtUp { at, cursor } => {
                let data = json!({"at_seq": at.to_string()}).to_string();
                self.event("caught_up", Some(&cursor), &data).await
            }
            Message::Dropped { from, to, cursor, dropped } => {
                let data = Value::Object(dropped_fields(from, to, &dropped)).to_string();
                self.event("dropped", Some(&cursor), &data).await
            }
        }
    }

    /// One `data:` for each event; the cursor comes with the last, so that a reader that breaks
    /// off in between gets the batch again and not a hole.
    async fn single(&self, batch: &Batch) -> Result<(), Gone> {
        let mut logs = batch.each().peekable();
        while let Some(log) = logs.next() {
            let cursor = logs.peek().is_none().then_some(&*batch.cursor);
            self.event("log", cursor, log).await?;
        }
        Ok(())
    }

    async fn open(&self, data: &Value) -> Result<(), Gone> {
        self.send(format!("retry: 1000\nevent: open\ndata: {data}\n\n")).await
    }

    async fn comment(&self) -> Result<(), Gone> {
        self.send(":\n\n".to_owned()).await
    }

    /// JSON has no line breaks, so one `data:` line holds it.
    async fn event(&self, name: &str, id: Option<&str>, data: &str) -> Result<(), Gone> {
        let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
        self.send(format!("{id}event: {name}\ndata: {data}\n\n")).await
    }

    async fn send(&self, text: String) -> Result<(), Gone> {
        self.sender.send(Bytes::from(text)).await.map_err(|_| Gone)
    }
}
