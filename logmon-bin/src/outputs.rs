//! The outputs: each a reader of the journal with a cursor of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use logmon_core::{Journal, Quarantine, Runner, RunnerConfig, RunnerStats};
use logmon_forward::Sender;
use logmon_store::{DirQuarantine, DiskJournal, FileCursor};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, Output};

/// After a failure of a cursor or of the journal a runner begins again so much later.
const PAUSE: Duration = Duration::from_secs(10);

/// How often retention is looked after: what it took is told so soon.
const WATCH: Duration = Duration::from_secs(10);

/// All outputs.
pub(crate) struct Outputs(Vec<Running>);

struct Running {
    name: String,
    runner: Runner,
    sender: Sender,
}

/// What an output counts.
pub(crate) struct OutputFigures {
    name: String,
    runner: Arc<RunnerStats>,
    sender: Sender,
}

impl Outputs {
    /// Opens the cursors; nothing is connected yet.
    ///
    /// # Errors
    /// A cursor's folder cannot be made, or the settings of a sender contradict each other.
    pub(crate) fn open(
        config: &Config,
        journal: &Arc<DiskJournal>,
        quarantine: &DirQuarantine,
    ) -> anyhow::Result<Self> {
        let open = |output: &Output| {
            let folder = config.data_dir.join("cursors");
            let cursor = FileCursor::open(&folder, &output.name)
                .with_context(|| format!("opening a cursor in {} failed", folder.display()))?;
            let sender = Sender::new(output.sender.clone())
                .with_context(|| format!("output `{}`", output.name))?;
            let mut settings = RunnerConfig::default();
            settings.name.clone_from(&output.name);
            settings.start = output.start;
            settings.retry = output.sender.retry;
            let journal: Arc<dyn Journal> = journal.clone();
            let quarantine: Arc<dyn Quarantine> = Arc::new(quarantine.clone());
            let sink = Arc::new(sender.clone());
            let runner = Runner::new(journal, sink, Arc::new(cursor), quarantine, settings);
            Ok(Running { name: output.name.clone(), runner, sender })
        };
        Ok(Self(config.outputs.iter().map(open).collect::<anyhow::Result<_>>()?))
    }

    pub(crate) fn figures(&self) -> Vec<OutputFigures> {
        let figures = |output: &Running| OutputFigures {
            name: output.name.clone(),
            runner: output.runner.stats(),
            sender: output.sender.clone(),
        };
        self.0.iter().map(figures).collect()
    }

    /// Runs until told to stop: then what is on its way has some seconds to arrive.
    pub(crate) async fn run(self, stopped: watch::Receiver<bool>) {
        let mut outputs = JoinSet::new();
        for output in self.0 {
            outputs.spawn(output.run(stopped.clone()));
        }
        outputs.join_all().await;
    }
}

impl Running {
    async fn run(self, stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.watch() => {}
            () = self.drive(&stopped) => {}
        }
        self.sender.close().await;
    }

    /// Runs again after a failure.
    async fn drive(&self, stopped: &watch::Receiver<bool>) {
        while let Err(error) = self.runner.run(ended(stopped.clone())).await {
            tracing::error!(
                output = self.name,
                %error,
                "an output stands still; it is tried again in {PAUSE:?}"
            );
            tokio::select! {
                () = ended(stopped.clone()) => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Tells of events that retention took. Never ends.
    async fn watch(&self) {
        let (stats, mut told) = (self.runner.stats(), 0);
        loop {
            tokio::time::sleep(WATCH).await;
            let expired = stats.figures().expired;
            if expired > told {
                tracing::error!(
                    output = self.name,
                    events = expired - told,
                    "retention removed events before they were sent: the output is too slow or \
                     its server was away for too long"
                );
                told = expired;
            }
        }
    }
}

impl OutputFigures {
    /// `head` is the number of the next event of the journal.
    pub(crate) fn json(&self, head: u64) -> Value {
        let (runner, sender) = (self.runner.figures(), self.sender.stats());
        let failures: serde_json::Map<String, Value> = sender
            .failures
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (format!("{kind:?}").to_lowercase(), (*count).into()))
            .collect();
        json!({
            "name": self.name,
            "routed": runner.routed,
            "delivered": runner.delivered,
            "lag": runner.lag,
            "quarantined": runner.quarantined,
            "dropped": {"expired": runner.expired},
            "retries": runner.retries,
            "cursor_seq": runner.position.map(|position| position.seq.to_string()),
            "behind": runner.position.map(|position| head.saturating_sub(position.seq)),
            "chunks": sender.chunks,
            "bytes": sender.bytes,
            "resent": sender.resent,
            "passed_through": sender.passed_through,
            "connects": sender.connects,
            "failures": failures,
        })
    }
}

/// Resolves when the program is to end.
async fn ended(mut stopped: watch::Receiver<bool>) {
    drop(stopped.wait_for(|ending| *ending).await);
}
