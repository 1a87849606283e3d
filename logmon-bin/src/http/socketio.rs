//! `/socket.io/`: what the first system's page speaks, so that it works unchanged.
//!
//! One subscription for each socket. Without a `subscribe` it has every event.

use std::sync::Arc;
use std::time::Duration;

use logmon_core::hub::{Mode, Start, SubscribeOptions, Subscription};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::layer::SocketIoLayer;
use socketioxide::{SendError, SocketError, SocketIo};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::batcher::{Batcher, Feed, Message, dropped_fields};
use super::params::Wanted;
use super::problem::{Code, Context, Problem};
use super::{App, sse, start};

/// Messages that wait for one socket. The reading stops when it is full.
const BUFFER: usize = 128;
/// The longest message of a client.
const MAX_MESSAGE_BYTES: usize = 128 * 1024;
/// How long events are held so that they go together.
const DELAY: Duration = Duration::from_millis(50);
/// How often a reader that is behind is told so.
const LAG: Duration = Duration::from_secs(10);
/// How long to wait for room among the messages of a socket; the library tells only when asked.
const ROOM: Duration = Duration::from_millis(2);
/// Commands on their way to a subscription.
const COMMANDS: usize = 16;

/// The layer that answers below `/socket.io/`.
pub(super) fn layer(app: &App) -> SocketIoLayer {
    let (layer, io) = SocketIo::builder()
        .max_buffer_size(BUFFER)
        .max_payload(MAX_MESSAGE_BYTES as u64)
        .ws_max_message_size(MAX_MESSAGE_BYTES)
        .ws_max_frame_size(MAX_MESSAGE_BYTES)
        .build_layer();
    let app = app.clone();
    io.ns("/", move |socket: SocketRef| {
        let app = app.clone();
        async move { connected(app, socket) }
    });
    layer
}

enum Command {
    Subscribe(Value, AckSender),
    Unsubscribe,
}

/// Begins to serve a socket.
fn connected(app: App, socket: SocketRef) {
    let (commands, receiver) = mpsc::channel(COMMANDS);
    let gone = Arc::new(Notify::new());
    let subscribe = {
        let commands = commands.clone();
        move |socket: SocketRef, TryData(wish): TryData<Value>, ack: AckSender| {
            let wish = wish.unwrap_or(Value::Null);
            let refused = commands.try_send(Command::Subscribe(wish, ack)).is_err();
            async move {
                if refused {
                    let problem = Problem::new(Code::Overloaded, "too many commands at once");
                    drop(socket.emit("error", &problem.document(&Context::default())));
                }
            }
        }
    };
    socket.on("subscribe", subscribe);
    socket.on("unsubscribe", move || {
        let commands = commands.clone();
        async move { drop(commands.send(Command::Unsubscribe).await) }
    });
    let is_gone = gone.clone();
    socket.on_disconnect(move || {
        is_gone.notify_one();
        async {}
    });
    tokio::spawn(async move {
        let ending = app.clone();
        tokio::select! {
            () = gone.notified() => {}
            () = Reader::new(app, socket.clone()).run(receiver) => {}
            () = ending.ending() => {}
        }
        // It may be gone already.
        drop(socket.disconnect());
    });
}

/// The socket is gone.
struct Gone;

/// One socket and what it reads.
struct Reader {
    app: App,
    socket: SocketRef,
    feed: Option<Feed>,
    /// Whether the client takes arrays of events.
    takes_arrays: bool,
}

impl Reader {
    fn new(app: App, socket: SocketRef) -> Self {
        let everything = logmon_core::Filter::all();
        let subscription = app.0.hub.subscribe_with(&everything, SubscribeOptions::default()).ok();
        let feed = subscription.map(feed);
        Self { app, socket, feed, takes_arrays: false }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut lag = tokio::time::interval_at(Instant::now() + LAG, LAG);
        lag.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let messages = tokio::select! {
                command = commands.recv() => {
                    let done = match command {
                        Some(Command::Subscribe(wish, ack)) => self.subscribe(&wish, ack).await,
                        Some(Command::Unsubscribe) => {
                            self.feed = None;
                            Ok(())
                        }
                        None => return,
                    };
                    if done.is_err() {
                        return;
                    }
                    Vec::new()
                }
                messages = next(self.feed.as_mut()) => match messages {
                    Some(messages) => messages,
                    None => return,
                },
                _ = lag.tick() => {
                    if let Some(lag) = self.lag()
                        && emit(&self.socket, "lag", &lag).await.is_err()
                    {
                        return;
                    }
                    Vec::new()
                }
            };
            for message in messages {
                if say(&self.socket, message, self.takes_arrays).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Puts a filter in the place of the one before; the events under way are of that one.
    async fn subscribe(&mut self, wish: &Value, ack: AckSender) -> Result<(), Gone> {
        if let Some(message) = self.feed.as_mut().and_then(|feed| feed.batcher.flush()) {
            say(&self.socket, message, self.takes_arrays).await?;
        }
        let answer = match self.replace(wish).await {
            Ok(filter) => json!({"ok": true, "filter": filter}),
            Err(problem) => {
                let problem = problem.document(&Context::default());
                emit(&self.socket, "error", &problem).await?;
                problem
            }
        };
        // Fails where no answer was asked for.
        drop(ack.send(&answer));
        Ok(())
    }

    async fn replace(&mut self, wish: &Value) -> Result<String, Problem> {
        let wish = Wish::read(wish)?;
        let filter = wish.wanted.filter()?;
        let begin = match (&wish.since, &self.feed) {
            (Some(since), _) => start::from_text(&self.app, since, &filter).await?,
            (None, Some(before)) => Start::At(before.subscription.position()),
            (None, None) => Start::Head,
        };
        let options = SubscribeOptions::new(begin, wish.mode);
        let subscription = self
            .app
            .0
            .hub
            .subscribe_with(&filter, options)
            .map_err(|error| Problem::parameter("q", error.to_string()))?;
        let text = subscription.filter().to_string();
        self.feed = Some(feed(subscription));
        self.takes_arrays = wish.takes_arrays;
        Ok(text)
    }

    /// What there is to say of a reader that is behind.
    fn lag(&self) -> Option<Value> {
        let (events, delay) = self.feed.as_ref()?.subscription.lag();
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        (events > 0).then(|| json!({"events": events, "ms": ms, "state": "behind"}))
    }
}

async fn say(socket: &SocketRef, message: Message, takes_arrays: bool) -> Result<(), Gone> {
    match message {
        Message::Batch(batch) if takes_arrays => {
            let logs: Vec<Box<RawValue>> = batch.each().filter_map(with_id).collect();
            emit(socket, "logs", &[logs]).await
        }
        Message::Batch(batch) => {
            for log in batch.each().filter_map(with_id) {
                emit(socket, "log", &log).await?;
            }
            Ok(())
        }
        Message::Dropped { from, to, dropped, .. } => {
            emit(socket, "dropped", &Value::Object(dropped_fields(from, to, &dropped))).await
        }
        Message::Progress { .. } | Message::CaughtUp { .. } => Ok(()),
    }
}

/// Hands a message to the socket as soon as there is room.
async fn emit<T: serde::Serialize + ?Sized + Sync>(
    socket: &SocketRef,
    event: &str,
    data: &T,
) -> Result<(), Gone> {
    loop {
        match socket.emit(event, data) {
            Ok(()) => return Ok(()),
            Err(SendError::Socket(SocketError::InternalChannelFull)) => {
                tokio::time::sleep(ROOM).await;
            }
            Err(_) => return Err(Gone),
        }
    }
}

fn feed(subscription: Subscription) -> Feed {
    Feed { subscription, batcher: Batcher::new(DELAY, "") }
}

async fn next(feed: Option<&mut Feed>) -> Option<Vec<Message>> {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

/// The JSON of an event with its id under the name that MongoDB has for it as well.
fn with_id(log: &str) -> Option<Box<RawValue>> {
    let (id, _) = log.strip_prefix("{\"id\":\"")?.split_once('"')?;
    let rest = log.strip_prefix('{')?;
    RawValue::from_string(format!("{{\"_id\":\"{id}\",{rest}")).ok()
}

/// What a `subscribe` asks for.
#[derive(Debug)]
struct Wish {
    wanted: Wanted,
    since: Option<String>,
    mode: Mode,
    takes_arrays: bool,
}

impl Wish {
    /// Reads the payload. Names that are not known are passed over, as the first system did.
    fn read(wish: &Value) -> Result<Self, Problem> {
        if !matches!(wish, Value::Null | Value::Object(_)) {
            return Err(Problem::new(Code::Unreadable, "the filter of `subscribe` is an object"));
        }
        let text = |name: &str| match wish.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(Problem::parameter(name, "a text is expected")),
        };
        let list = |name| text(name).map(|text| if text.is_empty() { vec![] } else { vec![text] });
        let wanted = Wanted {
            q: text("q")?,
            levels: list("level")?,
            sources: list("source")?,
            search: text("search")?,
        };
        let mode = text("mode")?;
        Ok(Self {
            wanted,
            since: Some(text("since")?).filter(|since| !since.is_empty()),
            mode: sse::mode(Some(mode.as_str()).filter(|mode| !mode.is_empty()), Mode::Lossless)?,
            takes_arrays: wish.get("batch") == Some(&Value::Bool(true)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(wish: &Value) -> String {
        Wish::read(wish).unwrap().wanted.filter().unwrap().to_string()
    }

    #[test]
    fn reads_what_the_first_system_sends() {
        for (wish, filter) in [
            (json!(null), "*"),
            (json!({"level": "ALL", "source": "ALL"}), "*"),
            (json!({"level": "", "source": null}), "*"),
            (json!({"level": "ERROR", "source": "web", "page": 3}), "level:error AND source:web"),
            (json!({"level": "error", "q": "timeout"}), "timeout AND level:error"),
        ] {
            assert_eq!(filter_of(&wish), filter, "{wish}");
        }
    }

    #[test]
    fn refuses_what_is_no_filter() {
        for wish in [json!(5), json!("ALL"), json!({"level": 5}), json!({"mode": "fast"})] {
            assert!(Wish::read(&wish).is_err(), "{wish}");
        }
    }

    #[test]
    fn an_event_has_its_id_under_both_names() {
        let log = with_id(r#"{"id":"01ab","seq":"7"}"#).unwrap();
        assert_eq!(log.get(), r#"{"_id":"01ab","id":"01ab","seq":"7"}"#);
    }
}
