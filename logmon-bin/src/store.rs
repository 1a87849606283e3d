//! The store that is searched: opened after the journal, closed before it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use logmon_core::Store;
use logmon_store::{DiskJournal, JournalStore, LocalStore, StoreConfig, StoreDir, StoreRetention};

use crate::config::{Config, StoreKind};
use crate::outputs::Outputs;

/// A store that is open, if there is one.
#[derive(Clone)]
pub(crate) enum Opened {
    Local(Arc<LocalStore>),
    Journal(Arc<JournalStore>),
    None,
}

impl Opened {
    /// What answers queries.
    pub(crate) fn queried(
        &self,
        config: &Config,
        outputs: &Outputs,
        journal: &Arc<DiskJournal>,
    ) -> Queried {
        let max_queries = config.store.max_queries;
        let over_mongodb = config.store.output.as_ref();
        if let Some(all) = over_mongodb.and_then(|name| outputs.store(name, journal, max_queries)) {
            let in_journal = JournalStore::with_max_queries(journal.clone(), max_queries);
            return Queried { all: Some(Arc::new(all)), in_journal: Some(Arc::new(in_journal)) };
        }
        let all: Option<Arc<dyn Store>> = match self {
            Self::Local(store) => Some(store.clone()),
            Self::Journal(store) => Some(store.clone()),
            Self::None => None,
        };
        Queried { in_journal: all.clone(), all }
    }

    /// The local store, for its figures.
    pub(crate) fn local(&self) -> Option<Arc<LocalStore>> {
        match self {
            Self::Local(store) => Some(store.clone()),
            Self::Journal(_) | Self::None => None,
        }
    }

    /// Makes durable what was written. Blocks.
    pub(crate) fn close(&self) {
        if let Self::Local(store) = self {
            store.close();
        }
    }
}

/// What answers queries.
pub(crate) struct Queried {
    /// `None` where only live works.
    pub(crate) all: Option<Arc<dyn Store>>,
    /// What has the events of the journal alone, under their numbers.
    pub(crate) in_journal: Option<Arc<dyn Store>>,
}

/// A store whose directory has been read, where it has one. It is read before the journal is
/// opened.
pub(crate) struct Found(Option<(StoreDir, PathBuf)>);

/// Reads the directory of the store.
///
/// # Errors
/// It holds something else, or belongs to another process, or cannot be read.
pub(crate) fn find(config: &Config) -> anyhow::Result<Found> {
    if config.store.kind != StoreKind::Local {
        return Ok(Found(None));
    }
    let folder = config.data_dir.join("store");
    let mut retention = StoreRetention::default();
    retention.max_age = config.store.max_age;
    retention.max_bytes = config.store.max_bytes;
    let mut settings = StoreConfig::default();
    settings.retention = retention;
    settings.partition_bytes = config.store.partition_bytes;
    settings.max_queries = config.store.max_queries;
    let (dir, report) = StoreDir::open(&folder, settings)
        .with_context(|| format!("opening the store in {} failed", folder.display()))?;
    for damage in &report.damages {
        tracing::warn!(file = damage.file, bytes = ?damage.range, events = ?damage.events, what = damage.what, "the store is damaged; everything else is served");
    }
    tracing::info!(
        partitions = report.partitions,
        blocks = report.blocks,
        events = report.events,
        "store opened"
    );
    Ok(Found(Some((dir, folder))))
}

impl Found {
    /// The journal is to give no number below this one, as the store has them.
    pub(crate) fn end_seq(&self) -> u64 {
        self.0.as_ref().map_or(0, |(dir, _)| dir.end_seq())
    }

    /// Begins to take what the journal has.
    ///
    /// # Errors
    /// The journal does not fit the store, or the cursor cannot be had.
    pub(crate) fn start(
        self,
        config: &Config,
        journal: &Arc<DiskJournal>,
    ) -> anyhow::Result<Opened> {
        if let Some((dir, folder)) = self.0 {
            let store = dir
                .start(journal.clone())
                .with_context(|| format!("starting the store in {} failed", folder.display()))?;
            return Ok(Opened::Local(Arc::new(store)));
        }
        Ok(match config.store.kind {
            StoreKind::Journal => Opened::Journal(Arc::new(JournalStore::with_max_queries(
                journal.clone(),
                config.store.max_queries,
            ))),
            // That over MongoDB begins with its output.
            StoreKind::Local | StoreKind::MongoDb | StoreKind::None => Opened::None,
        })
    }
}
