//! Believable traffic, through the real Forward listener.

use std::net::SocketAddr;
use std::time::Duration;

use logmon_core::{Level, Log, Map};
use logmon_forward::sender::Peer;
use logmon_forward::{Sender, SenderConfig};
use tokio::time::MissedTickBehavior;

/// How often a chunk is sent.
const TICK: Duration = Duration::from_millis(200);

/// Sends until `shutdown` resolves; connects again after every fault.
pub(crate) async fn run(to: SocketAddr, shutdown: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown => {}
        () = send_for_ever(to) => {}
    }
}

async fn send_for_ever(to: SocketAddr) {
    let mut config = SenderConfig::to(to);
    config.peer = Peer::Logmon;
    let sender = match Sender::new(config) {
        Ok(sender) => sender,
        Err(error) => return tracing::error!(%error, "the demo cannot send"),
    };
    let mut traffic = Traffic::new(seed());
    let mut tick = tokio::time::interval(TICK);
    // What was not sent while the connection was lost is sent later, but not made up.
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        if let Err(error) = sender.send_logs(&traffic.tick()).await {
            tracing::warn!(%error, "the demo could not send");
        }
    }
}

/// A day in the life of a small shop: web requests, an API, payments, a database, a worker.
struct Traffic {
    random: Random,
    ticks: u64,
    /// Ticks that are left of an outage of the payment provider.
    outage: u64,
}

const PATHS: &[&str] =
    &["/", "/cart", "/checkout", "/items/1482", "/items/77", "/search", "/login"];
const JOBS: &[&str] = &["send-receipt", "resize-image", "rebuild-index", "expire-sessions"];
const TABLES: &[&str] = &["orders", "items", "sessions", "customers"];

impl Traffic {
    const fn new(seed: u64) -> Self {
        Self { random: Random(seed), ticks: 0, outage: 0 }
    }

    /// The events of one tick.
    fn tick(&mut self) -> Vec<Log> {
        self.ticks += 1;
        if self.outage > 0 {
            self.outage -= 1;
        } else if self.random.below(300) == 0 {
            self.outage = 25;
        }
        // Visitors come in waves, and now and then all at once.
        let wave = [2, 3, 4, 5, 6, 5, 4, 3][usize::try_from(self.ticks / 25 % 8).unwrap_or(0)];
        let burst = if self.random.below(120) == 0 { 60 } else { 0 };
        let requests = wave + self.random.below(4) + burst;
        let mut logs: Vec<Log> = (0..requests).map(|_| self.request()).collect();
        logs.extend((0..=self.random.below(2)).map(|_| self.payment()));
        logs.extend((0..self.random.below(3)).map(|_| self.query()));
        logs.extend((0..self.random.below(2)).map(|_| self.job()));
        self.spread(&mut logs);
        logs
    }

    /// Mixes the events and lays them over the tick that has passed, as they would have happened.
    fn spread(&mut self, logs: &mut [Log]) {
        for at in (1..logs.len()).rev() {
            let other = self.random.below(at as u64 + 1);
            logs.swap(at, usize::try_from(other).unwrap_or(at));
        }
        let count = i64::try_from(logs.len()).unwrap_or(i64::MAX).max(1);
        let step = i64::try_from(TICK.as_nanos()).unwrap_or(0) / count;
        for (back, log) in (0..).zip(logs.iter_mut().rev()) {
            log.timestamp = log.timestamp.saturating_add_nanos(-step * back);
        }
    }

    fn request(&mut self) -> Log {
        let path = self.random.of(PATHS);
        let ms = 3 + self.random.below(40) + if self.random.below(50) == 0 { 900 } else { 0 };
        let status = match self.random.below(100) {
            0 => 500,
            1..=3 => 404,
            4..=6 => 302,
            _ => 200,
        };
        let level = match status {
            500 => Level::Error,
            404 => Level::Warn,
            _ if ms > 500 => Level::Warn,
            _ => Level::Info,
        };
        let http = Map::from_iter([
            ("method", "GET".into()),
            ("path", path.into()),
            ("status", logmon_core::Value::UInt(status)),
        ]);
        Log::new(format!("GET {path} {status} in {ms} ms"))
            .level(level)
            .source("web")
            .tag("shop.web")
            .field("http", http)
            .field("duration_ms", ms)
            .field("request_id", format!("{:08x}", self.random.below(1 << 32)))
    }

    fn payment(&mut self) -> Log {
        let order = 10_000 + self.random.below(90_000);
        let yen = (1 + self.random.below(200)) * 100;
        if self.outage > 0 {
            return Log::new(format!(
                "charge failed for order {order}: connection reset by provider"
            ))
            .level(Level::Error)
            .source("billing-api")
            .tag("shop.billing")
            .field("order", order)
            .field("http", Map::from_iter([("status", 502u64)]));
        }
        if self.random.below(40) == 0 {
            return Log::new(format!("注文 {order} の決済が拒否されました"))
                .level(Level::Warn)
                .source("billing-api")
                .tag("shop.billing")
                .field("order", order);
        }
        Log::new(format!("charged {yen} JPY for order {order}"))
            .level(Level::Info)
            .source("billing-api")
            .tag("shop.billing")
            .field("order", order)
            .field("amount", yen)
    }

    fn query(&mut self) -> Log {
        let table = self.random.of(TABLES);
        let ms = self.random.below(30) + if self.random.below(30) == 0 { 2_000 } else { 0 };
        let (level, text) = match ms {
            2_000.. => (Level::Warn, format!("slow query on {table}: {ms} ms")),
            _ => (Level::Debug, format!("select from {table} took {ms} ms")),
        };
        Log::new(text)
            .level(level)
            .source("postgres")
            .tag("shop.db")
            .field("table", table)
            .field("duration_ms", ms)
    }

    fn job(&mut self) -> Log {
        let job = self.random.of(JOBS);
        match self.random.below(60) {
            0 => Log::new(format!("job {job} gave up after 5 attempts\n  at run (worker.js:88)\n  at next (queue.js:31)"))
                .level(Level::Fatal),
            1..=20 => Log::new(format!("job {job} picked up")).level(Level::Trace),
            _ => Log::new(format!("job {job} done")).level(Level::Info),
        }
        .source("worker").tag("shop.worker")
        .field("job", job)
    }
}

/// A small generator (xorshift): the demo needs variety, not randomness.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of(&mut self, list: &[&'static str]) -> &'static str {
        let at = self.below(list.len() as u64);
        usize::try_from(at).ok().and_then(|at| list.get(at)).copied().unwrap_or("")
    }
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness every demo is the same.
    let _is_random = getrandom::fill(&mut bytes).is_ok();
    u64::from_be_bytes(bytes) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_every_level_several_sources_and_bursts() {
        let mut traffic = Traffic::new(42);
        let ticks: Vec<Vec<Log>> = (0..2_000).map(|_| traffic.tick()).collect();
        assert!(ticks.iter().any(|logs| logs.len() > 50), "bursts");
        let logs = ticks.concat();
        for level in Level::ALL {
            assert!(logs.iter().any(|log| log.level == Some(level)), "{level}");
        }
        for source in ["web", "billing-api", "postgres", "worker"] {
            assert!(logs.iter().any(|log| log.source.as_deref() == Some(source)), "{source}");
        }
        assert!(logs.iter().all(|log| !log.metadata.is_empty()));
    }
}
