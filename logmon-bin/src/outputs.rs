//! The outputs: each a reader of the journal with a cursor of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use logmon_core::{Cursor, Journal, Quarantine, Runner, RunnerConfig, RunnerStats, Sink};
use logmon_forward::Sender;
use logmon_store::mongo::{MongoSink, MongoStore, MongoWatch, WatchStats};
use logmon_store::{DirQuarantine, DiskJournal};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, Destination, Output};

mod figures;

/// After a failure of a cursor or of the journal a runner begins again so much later.
const PAUSE: Duration = Duration::from_secs(10);

/// How often retention is looked after: what it took is told so soon.
const WATCH: Duration = Duration::from_secs(10);

/// All outputs.
pub(crate) struct Outputs {
    all: Vec<Running>,
    /// What brings in the events that others write where the store is, if it is in MongoDB.
    watch: Option<MongoWatch>,
}

struct Running {
    name: String,
    cursor: Arc<dyn Cursor>,
    runner: Runner,
    writer: Writer,
}

/// What writes.
#[derive(Clone)]
enum Writer {
    Forward(Sender),
    MongoDb(MongoSink),
}

/// What an output counts.
pub(crate) struct OutputFigures {
    name: String,
    runner: Arc<RunnerStats>,
    writer: Writer,
}

impl Outputs {
    /// Opens the cursors; nothing is connected yet.
    ///
    /// # Errors
    /// A cursor cannot be opened, or the settings of a sender contradict each other.
    pub(crate) fn open(
        config: &Config,
        journal: &Arc<DiskJournal>,
        quarantine: &DirQuarantine,
    ) -> anyhow::Result<Self> {
        let open = |output: &Output| {
            let cursor =
                journal.cursor(&format!("output.{}", output.name), output.hold).with_context(
                    || format!("opening the cursor of output `{}` failed", output.name),
                )?;
            let mut settings = RunnerConfig::default();
            settings.name.clone_from(&output.name);
            settings.start = output.start;
            let writer = Writer::of(output, journal, &mut settings)?;
            let journal: Arc<dyn Journal> = journal.clone();
            let quarantine: Arc<dyn Quarantine> = Arc::new(quarantine.clone());
            let cursor: Arc<dyn Cursor> = Arc::new(cursor);
            let runner = Runner::new(journal, writer.sink(), cursor.clone(), quarantine, settings);
            Ok(Running { name: output.name.clone(), cursor, runner, writer })
        };
        let all: Vec<Running> = config.outputs.iter().map(open).collect::<anyhow::Result<_>>()?;
        let watch = watch(&all, config, journal);
        Ok(Self { all, watch })
    }

    /// The store over what an output writes to MongoDB; `None` if it is not one.
    pub(crate) fn store(
        &self,
        name: &str,
        journal: &Arc<DiskJournal>,
        max_queries: usize,
    ) -> Option<MongoStore> {
        let output = self.all.iter().find(|output| output.name == name)?;
        let Writer::MongoDb(sink) = &output.writer else { return None };
        let read = (journal.clone(), output.cursor.clone());
        MongoStore::new(sink, read, max_queries, Handle::current())
    }

    /// What has come from others, where that is watched.
    pub(crate) fn watched(&self) -> Option<Arc<WatchStats>> {
        self.watch.as_ref().map(MongoWatch::stats)
    }

    pub(crate) fn figures(&self) -> Vec<OutputFigures> {
        let figures = |output: &Running| OutputFigures {
            name: output.name.clone(),
            runner: output.runner.stats(),
            writer: output.writer.clone(),
        };
        self.all.iter().map(figures).collect()
    }

    /// Runs until told to stop: then what is on its way has some seconds to arrive.
    pub(crate) async fn run(self, stopped: watch::Receiver<bool>) {
        let mut outputs = JoinSet::new();
        for output in self.all {
            outputs.spawn(output.run(stopped.clone()));
        }
        let watching = self.watch.map(|watch| tokio::spawn(watch.run()));
        // Without any, others are watched until the end all the same.
        ended(stopped).await;
        outputs.join_all().await;
        watching.inspect(tokio::task::JoinHandle::abort);
    }
}

impl Running {
    async fn run(self, stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.watch() => {}
            () = self.drive(&stopped) => {}
        }
        if let Writer::Forward(sender) = &self.writer {
            sender.close().await;
        }
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

impl Writer {
    /// Makes what the output is configured to be.
    fn of(
        output: &Output,
        journal: &DiskJournal,
        settings: &mut RunnerConfig,
    ) -> anyhow::Result<Self> {
        match &output.to {
            Destination::Forward(config) => {
                settings.retry = config.retry;
                let sender = Sender::new((**config).clone());
                Ok(Self::Forward(sender.with_context(|| format!("output `{}`", output.name))?))
            }
            Destination::MongoDb(mongo) => {
                settings.retry = mongo.retry;
                (settings.window, settings.linger) = (mongo.window, mongo.linger);
                // About as many events as one command takes.
                settings.group_bytes =
                    (mongo.config.batch_documents * 250).clamp(64 << 10, 1 << 20);
                Ok(Self::MongoDb(MongoSink::new(mongo.config.clone(), journal.head().seq)))
            }
        }
    }

    fn sink(&self) -> Arc<dyn Sink> {
        match self {
            Self::Forward(sender) => Arc::new(sender.clone()),
            Self::MongoDb(sink) => Arc::new(sink.clone()),
        }
    }
}

/// What others write is watched where the store is, if it is in MongoDB.
fn watch(all: &[Running], config: &Config, journal: &Arc<DiskJournal>) -> Option<MongoWatch> {
    let (name, by) = (config.store.output.as_ref()?, config.store.watch?);
    let Writer::MongoDb(sink) = &all.iter().find(|output| output.name == *name)?.writer else {
        return None;
    };
    MongoWatch::new(sink, journal.clone(), config.data_dir.join("mongodb.watch"), by)
}

/// Resolves when the program is to end.
async fn ended(mut stopped: watch::Receiver<bool>) {
    drop(stopped.wait_for(|ending| *ending).await);
}
