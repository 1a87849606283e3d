//! Drives a sink from a journal: cursor, window, retry and quarantine.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Cursor, CursorError, CursorState, CursorTally, Sink};
use crate::{Journal, Position, Quarantine, ReadError, RouteSet};

mod deliver;
mod stats;
mod units;
mod window;

pub use deliver::Retry;
pub use stats::{RunnerFigures, RunnerStats};

use deliver::Delivery;
use units::{Unit, Units};
use window::Window;

/// Settings of a [`Runner`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunnerConfig {
    /// The name of the output, under which the quarantine keeps what it refuses. Default
    /// `output`.
    pub name: String,
    /// The events a sink takes: those whose frame names one of these route sets.
    pub routes: Vec<RouteSet>,
    /// How many units may be in flight. Default: 4.
    pub window: usize,
    /// How many bytes a unit has about. Default: 1 MiB.
    pub group_bytes: usize,
    /// How long a sink waits for more events before it takes few, up to about as many as a unit has.
    /// Default: not at all.
    pub linger: Duration,
    /// When to write again.
    pub retry: Retry,
    /// Where a sink begins that has no cursor yet. Default: [`StartAt::Now`].
    pub start: StartAt,
    /// How long a shutdown waits for what is in flight. Default: 5 s.
    pub drain: Duration,
}

/// Where a new sink begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two ends of a journal")]
pub enum StartAt {
    /// At the head: with what comes from now on.
    #[default]
    Now,
    /// At the oldest event that is kept.
    Oldest,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            name: "output".to_owned(),
            routes: vec![RouteSet::ALL],
            window: 4,
            group_bytes: 1 << 20,
            linger: Duration::ZERO,
            retry: Retry::default(),
            start: StartAt::default(),
            drain: Duration::from_secs(5),
        }
    }
}

/// Reads a journal on behalf of one sink.
///
/// Units of events are written side by side up to the window; the cursor moves only over a
/// contiguous run of units in which every event was delivered or quarantined. After a crash the
/// units behind the cursor are written again: for a sink that [needs
/// bounds](Sink::needs_bounds), cut as they were.
///
/// Events that retention took before they were read are counted as dropped, as are those that
/// cannot be read any more, and the runner goes on behind them. What became of all events before
/// the cursor is saved with it.
#[derive(Debug)]
pub struct Runner {
    journal: Arc<dyn Journal>,
    sink: Arc<dyn Sink>,
    cursor: Arc<dyn Cursor>,
    quarantine: Arc<dyn Quarantine>,
    config: RunnerConfig,
    stats: Arc<RunnerStats>,
}

/// Why a runner stopped by itself.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The cursor could not be read or saved.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Runner {
    /// A runner that begins where `cursor` stands, or where the configuration says.
    pub fn new(
        journal: Arc<dyn Journal>,
        sink: Arc<dyn Sink>,
        cursor: Arc<dyn Cursor>,
        quarantine: Arc<dyn Quarantine>,
        config: RunnerConfig,
    ) -> Self {
        Self { journal, sink, cursor, quarantine, config, stats: Arc::default() }
    }

    /// The counters, which stay readable while the runner runs and after it has ended.
    pub fn stats(&self) -> Arc<RunnerStats> {
        self.stats.clone()
    }

    /// Runs until `shutdown` resolves or the journal is closed and everything is delivered. After
    /// `shutdown` nothing more is begun, and what is in flight has [`RunnerConfig::drain`] to
    /// arrive.
    ///
    /// # Errors
    /// The cursor or the journal fails. The runner can be run again; it then begins where the
    /// cursor stands.
    ///
    /// # Cancel safety
    /// Safe: units behind the cursor are written again.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) -> Result<(), RunnerError> {
        let mut run = Run::begin(self).await?;
        tokio::pin!(shutdown);
        loop {
            run.advance().await?;
            if run.is_closed && run.window.is_empty() {
                return Ok(());
            }
            let reads_on = !run.is_full() && !run.is_closed;
            let seq = run.units.position().seq;
            tokio::select! {
                () = &mut shutdown => break,
                () = run.window.front_ended() => {}
                () = self.gathered(seq), if reads_on => {
                    run.is_closed = self.journal.head().seq <= seq;
                }
            }
        }
        run.drain().await
    }

    /// Waits for events from a number on, and then a while for more.
    async fn gathered(&self, seq: u64) {
        self.journal.advanced(seq).await;
        let enough = self.config.group_bytes as u64 / EVENT_BYTES;
        if !self.config.linger.is_zero() && self.journal.head().seq > seq {
            let more = self.journal.advanced(seq.saturating_add(enough.saturating_sub(1)));
            // Either is as good.
            drop(tokio::time::timeout(self.config.linger, more).await);
        }
    }
}

/// About the bytes of an event, to tell how many make up a unit.
const EVENT_BYTES: u64 = 256;

/// One run of a runner.
struct Run<'r> {
    runner: &'r Runner,
    units: Units<'r>,
    window: Window,
    saved: Option<CursorState>,
    /// What became of everything before the cursor.
    tally: CursorTally,
    is_closed: bool,
    stopping: watch::Sender<bool>,
}

/// What was read and is not under way yet.
enum Fresh {
    Unit(Unit),
    /// Events that went before they were read, and where they began.
    Expired(Position, u64),
}

impl Fresh {
    fn start(&self) -> Position {
        match self {
            Self::Unit(unit) => unit.start(),
            Self::Expired(start, _) => *start,
        }
    }
}

/// The journal says so often in a row that a position is of no use before its word counts as a
/// failure.
const MAX_JUMPS: usize = 8;

impl<'r> Run<'r> {
    async fn begin(runner: &'r Runner) -> Result<Self, RunnerError> {
        let saved = runner.cursor.load().await?;
        let tally = saved.as_ref().and_then(|state| state.tally);
        runner.stats.begin(tally);
        if let Some(state) = &saved {
            runner.stats.saved(state.position);
        }
        let journal = &*runner.journal;
        let state = saved.clone().unwrap_or_else(|| {
            CursorState::at(match runner.config.start {
                StartAt::Now => journal.head(),
                StartAt::Oldest => journal.oldest(),
            })
        });
        Ok(Self {
            runner,
            units: Units::new(journal, state, runner.config.group_bytes),
            window: Window::default(),
            saved,
            tally: tally.unwrap_or_default(),
            is_closed: false,
            stopping: watch::Sender::new(false),
        })
    }

    fn is_full(&self) -> bool {
        self.window.len() >= self.runner.config.window.max(1)
    }

    /// Moves the cursor over what is done, reads until the window is full, and starts what was
    /// read: after it was saved where that is needed, so that no unit is handed over whose bounds
    /// a crash could take.
    async fn advance(&mut self) -> Result<(), RunnerError> {
        self.tally += self.window.pop_done();
        let room = self.runner.config.window.max(1).saturating_sub(self.window.len());
        let mut fresh = VecDeque::new();
        for _ in 0..room {
            if !self.read_unit(&mut fresh).await? {
                break;
            }
        }
        self.save(&fresh).await?;
        for next in fresh {
            match next {
                Fresh::Unit(unit) => self.start(unit),
                Fresh::Expired(start, end) => {
                    let expired = end.saturating_sub(start.seq);
                    let tally = CursorTally { expired, ..CursorTally::default() };
                    self.window.push_passed(start, start.seq..end, tally);
                }
            }
        }
        Ok(())
    }

    /// Reads a unit, if there is one.
    async fn read_unit(&mut self, fresh: &mut VecDeque<Fresh>) -> Result<bool, ReadError> {
        let mut jumps = 0;
        loop {
            let error = match self.units.next().await {
                Ok(unit) => {
                    let is_some = unit.is_some();
                    fresh.extend(unit.map(Fresh::Unit));
                    return Ok(is_some);
                }
                Err(error) => error,
            };
            let to = match &error {
                ReadError::Expired { oldest } => {
                    let from = self.units.position();
                    self.runner.stats.expired(oldest.seq.saturating_sub(from.seq));
                    fresh.push_back(Fresh::Expired(from, oldest.seq));
                    *oldest
                }
                // What a crash took from the journal was handed on before.
                ReadError::Diverged { resume } => *resume,
                ReadError::Foreign => self.runner.journal.oldest(),
                ReadError::Io(_) => return Err(error),
            };
            jumps += 1;
            if jumps > MAX_JUMPS {
                return Err(error);
            }
            self.units.jump(to);
        }
    }

    async fn save(&mut self, fresh: &VecDeque<Fresh>) -> Result<(), CursorError> {
        let mut state = CursorState::at(self.units.position());
        state.tally = Some(self.tally);
        if let Some(first) = self.window.start().or(fresh.front().map(Fresh::start)) {
            state.position = first;
        }
        if self.runner.sink.needs_bounds() {
            let units = fresh.iter().filter_map(|next| match next {
                Fresh::Unit(unit) => Some(unit.range()),
                Fresh::Expired(..) => None,
            });
            state.in_flight = self.window.ranges().chain(units).collect();
        }
        if self.saved.as_ref() != Some(&state) {
            self.runner.cursor.save(state.clone()).await?;
            self.runner.stats.saved(state.position);
            self.saved = Some(state);
        }
        Ok(())
    }

    fn start(&mut self, unit: Unit) {
        let Runner { sink, quarantine, config, stats, .. } = self.runner;
        let events = unit.routed(&config.routes);
        let tally = unit.tally(events.len());
        stats.routed(events.len());
        stats.damaged(tally.damaged);
        let delivery = Delivery {
            sink: sink.clone(),
            quarantine: quarantine.clone(),
            origin: config.name.clone(),
            retry: config.retry,
            stats: stats.clone(),
            stopping: self.stopping.subscribe(),
        };
        let (start, range) = (unit.start(), unit.range());
        let delivery = Box::pin(delivery.run(unit.into_group(), events));
        self.window.push(start, range, tally, delivery);
    }

    /// Waits a while for what is in flight and saves how far it came.
    async fn drain(mut self) -> Result<(), RunnerError> {
        self.stopping.send_replace(true);
        let all = self.window.all_ended();
        // What is not there by then is written again by the next run.
        drop(tokio::time::timeout(self.runner.config.drain, all).await);
        self.tally += self.window.pop_done();
        Ok(self.save(&VecDeque::new()).await?)
    }
}

#[cfg(test)]
mod tests;
