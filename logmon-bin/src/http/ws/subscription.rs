//! One subscription of a connection, on a task of its own.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use logmon_core::hub::{Mode, SubscribeOptions};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::HEARTBEAT;
use super::request::{Command, From, Wish};
use crate::http::batcher::{Batch, Batcher, Feed, Message, dropped_fields};
use crate::http::params::Wanted;
use crate::http::problem::{Context, Problem};
use crate::http::{App, cursor, sse, start};

/// How many events may be on their way to a client that has not acknowledged them.
pub(super) const MAX_UNACKED_EVENTS: u64 = 20_000;
/// How many bytes.
pub(super) const MAX_UNACKED_BYTES: usize = 8 << 20;

/// A subscription and its state.
pub(super) struct Live {
    sub: String,
    feed: Feed,
    /// Grows with every change of the filter.
    epoch: u64,
    /// Counts messages.
    messages: u64,
    is_paused: bool,
    /// The last number, events and bytes of each batch that is not acknowledged.
    unacked: VecDeque<(u64, u64, usize)>,
    unacked_events: u64,
    unacked_bytes: usize,
    context: Context,
    outgoing: Option<mpsc::Sender<Utf8Bytes>>,
}

/// Begins a subscription.
pub(super) async fn open(app: &App, sub: &str, wish: Wish) -> Result<Live, Problem> {
    let filter = wish.wanted.filter()?;
    let mode = sse::mode(wish.mode.as_deref(), Mode::Lossless)?;
    let begin = match &wish.from {
        From::Cursor(text) => start::from_cursor(text)?,
        From::Word(word) if wish.last > 0 && matches!(word.as_str(), "head" | "now") => {
            start::last(app, wish.last, &filter).await?
        }
        From::Word(word) => start::from_text(app, word, &filter).await?,
    };
    let subscription = app
        .0
        .hub
        .subscribe_with(&filter, SubscribeOptions::new(begin, mode))
        .map_err(|error| Problem::parameter("q", error.to_string()))?;
    let opening = format!("{{\"t\":\"batch\",\"sub\":{},\"logs\":[", json!(sub));
    let batcher = Batcher::new(Duration::from_millis(wish.batch_ms.min(1_000)), &opening);
    Ok(Live {
        sub: sub.to_owned(),
        feed: Feed { subscription, batcher },
        epoch: 1,
        messages: 0,
        is_paused: false,
        unacked: VecDeque::new(),
        unacked_events: 0,
        unacked_bytes: 0,
        context: Context::default(),
        outgoing: None,
    })
}

/// The connection is gone.
struct Gone;

impl Live {
    /// Says to whom and how to speak.
    pub(super) fn with(mut self, context: Context, outgoing: mpsc::Sender<Utf8Bytes>) -> Self {
        self.context = context;
        self.outgoing = Some(outgoing);
        self
    }

    /// Lives until the connection ends or the client unsubscribes.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut acks: watch::Receiver<u64>,
    ) {
        if self.subscribed().await.is_err() {
            return;
        }
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_reading = !self.is_paused
                && self.unacked_events < MAX_UNACKED_EVENTS
                && self.unacked_bytes < MAX_UNACKED_BYTES;
            let done = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                acked = acks.changed() => match acked {
                    Ok(()) => {
                        self.acknowledged(*acks.borrow_and_update());
                        Ok(())
                    }
                    Err(_) => return,
                },
                messages = self.feed.next(), if is_reading => match messages {
                    Some(messages) => self.all(messages).await,
                    None => return,
                },
                _ = heartbeat.tick() => self.beat(is_reading).await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), Gone> {
        match command {
            Command::Pause => {
                self.flush().await?;
                self.is_paused = true;
                let cursor = cursor::live(self.feed.subscription.position());
                self.say(json!({"t": "paused", "sub": self.sub, "cursor": cursor})).await
            }
            Command::Resume { at_head } => self.resume(at_head).await,
            Command::Update(wanted) => self.update(&wanted).await,
        }
    }

    /// Everything up to a number has arrived.
    fn acknowledged(&mut self, seq: u64) {
        while self.unacked.front().is_some_and(|(to, ..)| *to <= seq) {
            if let Some((_, events, bytes)) = self.unacked.pop_front() {
                self.unacked_events -= events;
                self.unacked_bytes -= bytes;
            }
        }
    }

    async fn resume(&mut self, at_head: bool) -> Result<(), Gone> {
        self.is_paused = false;
        self.say(json!({"t": "resumed", "sub": self.sub})).await?;
        if !at_head {
            self.feed.subscription.replay();
            return Ok(());
        }
        self.flush().await?;
        if let Some(skipped) = self.feed.subscription.skip_to_head().await {
            let messages = self.feed.batcher.push(skipped, self.feed.subscription.position());
            self.all(messages).await?;
        }
        self.flush().await
    }

    async fn update(&mut self, wanted: &Wanted) -> Result<(), Gone> {
        self.flush().await?;
        let changed = wanted.filter().and_then(|filter| {
            self.feed
                .subscription
                .set_filter(&filter)
                .map_err(|error| Problem::parameter("q", error.to_string()))
        });
        match changed {
            Ok(()) => {
                self.epoch += 1;
                self.subscribed().await
            }
            Err(problem) => {
                let problem = problem.document(&self.context);
                self.say(json!({"t": "error", "sub": self.sub, "problem": problem})).await
            }
        }
    }

    async fn subscribed(&mut self) -> Result<(), Gone> {
        let cursor = cursor::live(self.feed.subscription.position());
        let query = self.feed.subscription.filter().to_string();
        self.say(json!({
            "t": "subscribed", "sub": self.sub, "epoch": self.epoch, "cursor": cursor, "query": query,
        }))
        .await
    }

    /// Speaks although nothing happens; a reader that is behind is told so instead.
    async fn beat(&mut self, is_reading: bool) -> Result<(), Gone> {
        if is_reading {
            let messages = self.feed.progress();
            if !messages.is_empty() {
                return self.all(messages).await;
            }
        }
        let (events, delay) = self.feed.subscription.lag();
        let state = if is_reading { "ok" } else { "behind" };
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.say(json!({"t": "lag", "sub": self.sub, "events": events, "ms": ms, "state": state}))
            .await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let message = self.feed.batcher.flush();
        self.all(message.into_iter().collect()).await
    }

    async fn all(&mut self, messages: Vec<Message>) -> Result<(), Gone> {
        for message in messages {
            self.message(message).await?;
        }
        Ok(())
    }

    async fn message(&mut self, message: Message) -> Result<(), Gone> {
        self.messages += 1;
        if let Message::Batch(batch) = message {
            return self.batch(batch).await;
        }
        let common = json!({"sub": self.sub, "epoch": self.epoch, "n": self.messages});
        let text = match message {
            Message::Batch(_) => return Ok(()),
            Message::Progress { from, to, cursor } => joined(
                "progress",
                common,
                json!({
                    "from_seq": from.to_string(), "to_seq": to.to_string(), "cursor": cursor,
                }),
            )
            .to_string(),
            Message::CaughtUp { at, cursor } => {
                joined("caught_up", common, json!({"at_seq": at.to_string(), "cursor": cursor}))
                    .to_string()
            }
            Message::Dropped { from, to, cursor, dropped } => {
                let mut fields = dropped_fields(from, to, &dropped);
                fields.insert("cursor".to_owned(), json!(cursor));
                joined("dropped", common, Value::Object(fields)).to_string()
            }
        };
        self.send(text.into()).await
    }

    async fn batch(&mut self, batch: Batch) -> Result<(), Gone> {
        self.unacked.push_back((batch.to, batch.matched, batch.len()));
        self.unacked_events += batch.matched;
        self.unacked_bytes += batch.len();
        let end = json!({
            "epoch": self.epoch,
            "n": self.messages,
            "from_seq": batch.from.to_string(),
            "to_seq": batch.to.to_string(),
            "scanned": batch.scanned,
            "matched": batch.matched,
            "cursor": batch.cursor,
        })
        .to_string();
        let end = format!("],{}", end.strip_prefix('{').unwrap_or(&end));
        self.send(batch.finish(&end).into()).await
    }

    async fn say(&mut self, value: Value) -> Result<(), Gone> {
        self.send(value.to_string().into()).await
    }

    #[expect(clippy::needless_pass_by_ref_mut, reason = "a shared borrow over an await needs Sync")]
    async fn send(&mut self, text: Utf8Bytes) -> Result<(), Gone> {
        match &self.outgoing {
            Some(outgoing) => outgoing.send(text).await.map_err(|_| Gone),
            None => Err(Gone),
        }
    }
}

/// One object of a type, the common fields and the special ones.
fn joined(kind: &str, common: Value, special: Value) -> Value {
    let mut all = serde_json::Map::new();
    all.insert("t".to_owned(), json!(kind));
    for part in [common, special] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}
