//! `[store]` and `[retention]`: what is kept to be searched, and how long.

use std::time::Duration;

use logmon_store::mongo::{Collection, WatchBy};

use super::{ConfigError, Destination, Output, bytes, duration, raw};

/// Where events are kept to be searched.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) kind: StoreKind,
    /// The oldest files go when all together are larger; `None` for no limit.
    pub(crate) max_bytes: Option<u64>,
    /// A file goes when its newest event arrived longer ago.
    pub(crate) max_age: Option<Duration>,
    pub(crate) partition_bytes: u64,
    pub(crate) max_queries: usize,
    /// The output whose database is searched.
    pub(crate) output: Option<String>,
    /// How what other processes write there is found out, to be shown live.
    pub(crate) watch: Option<WatchBy>,
}

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// Blocks of events in files, and the journal for what is in none yet.
    Local,
    /// The journal itself.
    Journal,
    /// What an output writes to MongoDB, and the journal for what it has not written yet.
    MongoDb,
    /// Nothing: only live works.
    None,
}

/// What files of the local store may be, at least.
const MIN_PARTITION_BYTES: u64 = 1 << 20;

impl raw::RawStore {
    /// `ceiling` is the age that nothing kept here may have.
    pub(super) fn check(self, ceiling: Option<Duration>) -> Result<Store, ConfigError> {
        let kind = match self.kind.as_deref() {
            None | Some("local") => StoreKind::Local,
            Some("journal") => StoreKind::Journal,
            Some("mongodb") => StoreKind::MongoDb,
            Some("none") => StoreKind::None,
            Some(other) => {
                let problem =
                    format!("`{other}` is not a store; expected local, mongodb, journal or none");
                return Err(ConfigError::new("store.kind", problem));
            }
        };
        let max_bytes = bytes("store.max_bytes", self.max_bytes.as_deref(), 100 << 30)?;
        let partition_bytes =
            bytes("store.partition_bytes", self.partition_bytes.as_deref(), 256 << 20)?;
        if partition_bytes < MIN_PARTITION_BYTES {
            let problem = format!("{partition_bytes} bytes; a file takes 1 MiB at least");
            return Err(ConfigError::new("store.partition_bytes", problem));
        }
        let max_queries = self.max_queries.unwrap_or(logmon_store::DEFAULT_MAX_QUERIES);
        if !(1..=256).contains(&max_queries) {
            let problem = format!("{max_queries} is not from 1 to 256");
            return Err(ConfigError::new("store.max_queries", problem));
        }
        Ok(Store {
            kind,
            max_bytes: (max_bytes > 0).then_some(max_bytes),
            max_age: younger(duration("store.max_age", self.max_age.as_deref())?, ceiling),
            partition_bytes,
            max_queries,
            output: self.output,
            watch: watch(kind, self.watch.as_deref())?,
        })
    }
}

/// What other processes write is shown where it is searched, unless that is not wanted.
fn watch(kind: StoreKind, text: Option<&str>) -> Result<Option<WatchBy>, ConfigError> {
    let fail = |problem: String| Err(ConfigError::new("store.watch", problem));
    match text {
        Some(_) if kind != StoreKind::MongoDb => fail("is for kind = \"mongodb\" only".to_owned()),
        None if kind != StoreKind::MongoDb => Ok(None),
        None | Some("auto") => Ok(Some(WatchBy::Stream)),
        Some("poll") => Ok(Some(WatchBy::Polling)),
        Some("off") => Ok(None),
        Some(other) => fail(format!("`{other}` is not auto, poll or off")),
    }
}

impl Store {
    /// Finds the output whose database is searched, which then must not lose anything.
    pub(super) fn choose(&mut self, outputs: &[Output]) -> Result<(), ConfigError> {
        if self.kind != StoreKind::MongoDb {
            return match self.output {
                Some(_) => Err(ConfigError::new("store.output", "is for kind = \"mongodb\" only")),
                None => Ok(()),
            };
        }
        let fail = |problem: &str| Err(ConfigError::new("store.kind", problem));
        let is_meant = |output: &&Output| match &self.output {
            Some(name) => output.name == *name,
            None => matches!(output.to, Destination::MongoDb(_)),
        };
        let mut meant = outputs.iter().filter(is_meant);
        let (first, second) = (meant.next(), meant.next());
        let Some(Output { name, to: Destination::MongoDb(mongo), .. }) = first else {
            return fail(match &self.output {
                Some(_) => "store.output names no output of the kind mongodb",
                None => {
                    "mongodb searches what an [[output]] of the kind mongodb writes, or MONGODB_URI; there is none"
                }
            });
        };
        if second.is_some() {
            return fail("there are several outputs to MongoDB; store.output says which one");
        }
        if !matches!(mongo.config.collection, Collection::Named(_)) {
            return fail("mongodb searches one collection, and the output has one for each tag");
        }
        self.output = Some(name.clone());
        Ok(())
    }
}

impl raw::RawRetention {
    /// The age that nothing kept here may have.
    pub(super) fn check(&self) -> Result<Option<Duration>, ConfigError> {
        duration("retention.max_age", self.max_age.as_deref())
    }
}

/// The shorter of two ages, where there are any.
pub(super) fn younger(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}
