//! Deliveries of the hub put together to the messages of the live protocols.
//!
//! One implementation of the rules for WebSocket and server-sent events: the ranges of successive
//! messages join, and a batch holds at most 1,000 events or, but for the last of them, 64 KB.

use std::time::Duration;

use futures_util::FutureExt as _;
use logmon_core::hub::{Delivery, Dropped, Subscription};
use logmon_core::{Epoch, LevelCounts, Position};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::cursor;

/// The most events of one batch.
const MAX_EVENTS: u64 = 1_000;
/// A batch is sent when its events have this many bytes. What is copied some times on its way to
/// the socket is to fit into the cache.
const MAX_BYTES: usize = 64 * 1024;

/// One message, its ranges inclusive as on the wire.
#[derive(Debug)]
pub(super) enum Message {
    Batch(Batch),
    Progress { from: u64, to: u64, cursor: String },
    Dropped { from: u64, to: u64, cursor: String, dropped: Dropped },
    CaughtUp { at: u64, cursor: String },
}

/// Events, as JSON.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) scanned: u64,
    pub(super) matched: u64,
    /// What the protocol begins a batch with, and JSON objects with commas between them.
    text: String,
    /// Where each of the objects begins.
    starts: Vec<u32>,
    pub(super) cursor: String,
}

impl Batch {
    /// Bytes of the objects and what is before them.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// The objects one by one.
    pub(super) fn each(&self) -> impl Iterator<Item = &str> {
        let ends = self.starts.iter().skip(1).map(|next| next - 1);
        let ends = ends.map(|end| end as usize).chain([self.text.len()]);
        let ranges = self.starts.iter().map(|start| *start as usize).zip(ends);
        ranges.filter_map(|(start, end)| self.text.get(start..end))
    }

    /// The whole message, `end` behind the objects.
    pub(super) fn finish(mut self, end: &str) -> String {
        self.text.push_str(end);
        self.text
    }
}

/// What a subscription delivers, as messages.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) subscription: Subscription,
    pub(super) batcher: Batcher,
}

/// So many messages are made at once at most.
const MAX_MESSAGES: usize = 4;

impl Feed {
    /// The next messages, at least one; `None` at the end of the hub.
    ///
    /// What comes while events are held is not looked at before they are due, so that a reader is
    /// woken for a batch and not for every group.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Vec<Message>> {
        loop {
            if let Some(due) = self.batcher.due() {
                tokio::time::sleep_until(due).await;
                let mut messages = self.take(Vec::new());
                messages.extend(self.batcher.flush());
                return Some(messages);
            }
            let delivery = self.subscription.next().await?;
            let messages = self.batcher.push(delivery, self.subscription.position());
            let messages = self.take(messages);
            if !messages.is_empty() {
                return Some(messages);
            }
        }
    }

    /// Takes what is there already.
    fn take(&mut self, mut messages: Vec<Message>) -> Vec<Message> {
        while messages.len() < MAX_MESSAGES
            && let Some(Some(delivery)) = self.subscription.next().now_or_never()
        {
            messages.extend(self.batcher.push(delivery, self.subscription.position()));
        }
        messages
    }

    /// Looks whether there is nothing to be shown up to the head, and says so.
    pub(super) fn progress(&mut self) -> Vec<Message> {
        let Some(progress) = self.subscription.progress() else { return Vec::new() };
        let mut messages = self.batcher.push(progress, self.subscription.position());
        messages.extend(self.batcher.flush());
        messages
    }
}

/// Gathers deliveries.
#[derive(Debug)]
pub(super) struct Batcher {
    delay: Duration,
    /// What the protocol begins a batch with.
    opening: Box<str>,
    /// The length of the last batch, as a guess of that of the next one.
    last_len: usize,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    epoch: Epoch,
    from: u64,
    end: u64,
    scanned: u64,
    matched: u64,
    text: String,
    starts: Vec<u32>,
    due: Instant,
}

impl Batcher {
    /// Holds events for at most `delay`; a batch begins with `opening`.
    pub(super) fn new(delay: Duration, opening: &str) -> Self {
        Self { delay, opening: opening.into(), last_len: 0, pending: None }
    }

    /// When what is held is to be sent.
    fn due(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.due)
    }

    /// Takes a delivery; gives the messages that are complete. `after` is the position of the
    /// subscription behind it.
    pub(super) fn push(&mut self, delivery: Delivery, after: Position) -> Vec<Message> {
        let mut complete = Vec::new();
        match delivery {
            Delivery::Batch(batch) => {
                let range = batch.range();
                let (mut scanned, mut start) = (batch.scanned(), range.start);
                for log in batch.logs() {
                    let pending = self.open(after.epoch, start);
                    if pending.matched > 0 {
                        pending.text.push(',');
                    }
                    pending.starts.push(u32::try_from(pending.text.len()).unwrap_or(u32::MAX));
                    batch.write_json(&log, &mut pending.text);
                    pending.matched += 1;
                    pending.end = log.seq() + 1;
                    if pending.matched >= MAX_EVENTS || pending.text.len() >= MAX_BYTES {
                        pending.scanned += std::mem::take(&mut scanned);
                        start = pending.end;
                        complete.extend(self.flush());
                    }
                }
                if start < range.end {
                    self.open(after.epoch, start);
                    self.extend(after.epoch, range.end, scanned);
                }
            }
            Delivery::Progress { range } => {
                self.open(after.epoch, range.start);
                self.extend(after.epoch, range.end, range.end - range.start);
            }
            Delivery::Dropped(dropped) => {
                complete.extend(self.flush());
                let (from, to) = (dropped.range.start, dropped.range.end.saturating_sub(1));
                let cursor = cursor::live(after);
                complete.push(Message::Dropped { from, to, cursor, dropped });
            }
            Delivery::CaughtUp { at } => {
                complete.extend(self.flush());
                let cursor = cursor::live(after);
                complete.push(Message::CaughtUp { at: at.saturating_sub(1), cursor });
            }
            _ => {}
        }
        complete
    }

    /// Gives what is held.
    pub(super) fn flush(&mut self) -> Option<Message> {
        let pending = self.pending.take()?;
        let cursor = cursor::live(Position { epoch: pending.epoch, seq: pending.end });
        let (from, to) = (pending.from, pending.end - 1);
        if pending.matched == 0 {
            return Some(Message::Progress { from, to, cursor });
        }
        let Pending { scanned, matched, text, starts, .. } = pending;
        self.last_len = text.len();
        Some(Message::Batch(Batch { from, to, scanned, matched, text, starts, cursor }))
    }

    /// The message that is being gathered, begun at `start` if there is none.
    fn open(&mut self, epoch: Epoch, start: u64) -> &mut Pending {
        let Self { delay, opening, last_len, pending } = self;
        pending.get_or_insert_with(|| {
            let mut text = String::with_capacity(*last_len + *last_len / 8);
            text.push_str(opening);
            Pending {
                epoch,
                from: start,
                end: start,
                scanned: 0,
                matched: 0,
                text,
                starts: Vec::new(),
                due: Instant::now() + *delay,
            }
        })
    }

    fn extend(&mut self, epoch: Epoch, end: u64, scanned: u64) {
        if let Some(pending) = &mut self.pending {
            pending.epoch = epoch;
            pending.end = end;
            pending.scanned += scanned;
        }
    }
}

/// Counts by level as the protocols write them.
pub(super) fn by_level(counts: &LevelCounts) -> Value {
    let named = counts.iter().map(|(level, count)| {
        (level.map_or("NONE", |level| level.as_str()).to_owned(), json!(count))
    });
    Value::Object(named.collect::<Map<_, _>>())
}

/// The parts of a dropped message that both protocols share.
pub(super) fn dropped_fields(from: u64, to: u64, dropped: &Dropped) -> Map<String, Value> {
    let fields = json!({
        "from_seq": from.to_string(),
        "to_seq": to.to_string(),
        "count": dropped.by_level.map(|counts| counts.total()),
        "by_level": dropped.by_level.as_ref().map(by_level),
        "reason": dropped.reason.as_str(),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logmon_core::{Hub, Log};

    async fn messages(texts: &[String]) -> Vec<Message> {
        let hub = Hub::in_memory();
        let mut subscription = hub.subscribe("hit").unwrap();
        texts.iter().for_each(|text| hub.publish(&Log::new(text.clone())).unwrap());
        let mut batcher = Batcher::new(Duration::from_secs(60), "[");
        let mut messages = Vec::new();
        loop {
            let delivery = subscription.next().await.unwrap();
            let is_end = matches!(delivery, Delivery::CaughtUp { .. });
            messages.extend(batcher.push(delivery, subscription.position()));
            if is_end {
                return messages;
            }
        }
    }

    /// Rule 1: the ranges join, however the events are cut into batches.
    #[tokio::test]
    async fn ranges_join_and_batches_are_bounded() {
        let big = "x".repeat(100_000);
        let texts: Vec<String> = (0..2_500)
            .map(|at| match at % 500 {
                0 => format!("hit {big}"),
                1..250 => "hit".to_owned(),
                _ => "miss".to_owned(),
            })
            .collect();
        let (mut next, mut matched) = (1, 0);
        for message in messages(&texts).await {
            let (from, to) = match message {
                Message::Batch(batch) => {
                    matched += batch.matched;
                    assert!(batch.matched <= MAX_EVENTS && batch.len() < MAX_BYTES + 110_000);
                    let each: Vec<Value> =
                        batch.each().map(|log| serde_json::from_str(log).unwrap()).collect();
                    assert_eq!(each.len() as u64, batch.matched);
                    let ends = (batch.from, batch.to);
                    let whole: Vec<Value> = serde_json::from_str(&batch.finish("]")).unwrap();
                    assert_eq!(each, whole);
                    ends
                }
                Message::Progress { from, to, .. } => (from, to),
                Message::CaughtUp { at, .. } => {
                    assert_eq!(at, next - 1);
                    continue;
                }
                Message::Dropped { .. } => panic!("nothing was dropped"),
            };
            assert_eq!(from, next);
            next = to + 1;
        }
        assert_eq!((next, matched), (2_501, 1_250));
    }
}
