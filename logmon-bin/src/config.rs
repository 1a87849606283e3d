//! What to run: what was typed, and what it means.
//!
//! Settings come from `logmon.toml`, over it the environment (`LOGMON_SECTION_KEY`, and the first
//! system's `PORT` and `FRONTEND_URL`), over it the command line.

mod forward;
mod output;
mod raw;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use logmon_core::FieldMap;
use logmon_forward::ListenerConfig;
use logmon_store::{Keep, QuarantineConfig};

pub(crate) use output::{Destination, Output};
pub(crate) use raw::{RawConfig, nearest};
pub(crate) use store::{Store, StoreKind};

use store::younger;

/// The most connections a listener can be told to hold.
const MAX_CONNECTIONS: u32 = 1_000_000;

/// Everything the binary needs to know, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    /// How it listens and how it reads, all but the fields of records, which stand below.
    pub(crate) forward: ListenerConfig,
    pub(crate) http: Http,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) fields: Arc<FieldMap>,
    pub(crate) ring_bytes: usize,
    pub(crate) has_demo: bool,
    pub(crate) outputs: Vec<Output>,
    pub(crate) quarantine: QuarantineConfig,
}

/// The HTTP listener.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    /// Origins of other pages that may call.
    pub(crate) origins: Vec<String>,
    /// Names the server may be called by, beside IP literals and `localhost`.
    pub(crate) hosts: Vec<String>,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_connections: u32,
}

/// The journal on disk.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) durability: Durability,
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Option<Duration>,
    pub(crate) staging_max_bytes: u64,
    /// What is kept of events that every cursor has passed; `None` for all that fits.
    pub(crate) history_bytes: Option<u64>,
    pub(crate) orphan_max_age: Duration,
    pub(crate) max_commit_delay: Duration,
}

/// When an append counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// After fsync.
    Sync,
    /// After the write; fsync at least this often.
    Interval(Duration),
    /// After the write.
    None,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct ConfigError {
    /// The file with line, or the name of the variable or option.
    place: String,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

impl Config {
    /// Checks what was typed.
    ///
    /// # Errors
    /// The first setting that cannot be used, with its name.
    pub(crate) fn check(raw: RawConfig) -> Result<Self, ConfigError> {
        let http = raw.http.check()?;
        let fields = raw.fields.check()?;
        let forward = raw.forward.check()?;
        if raw.demo && !is_open(&forward) {
            let problem = "the demonstration sends over plain TCP without a key";
            return Err(ConfigError::new("--demo", problem));
        }
        let ceiling = raw.retention.check()?;
        let mut store = raw.store.check(ceiling)?;
        let outputs = output::check_all(raw.output, &store)?;
        store.choose(&outputs)?;
        let ring_bytes = size("live.ring_bytes", raw.live.ring_bytes.as_deref(), 16 << 20)?;
        Ok(Self {
            data_dir: raw.data_dir.unwrap_or_else(|| PathBuf::from("./logmon-data")),
            forward,
            http,
            journal: raw.journal.check(store.kind, ceiling)?,
            store,
            fields: Arc::new(fields),
            ring_bytes,
            has_demo: raw.demo,
            outputs,
            quarantine: raw.quarantine.check()?,
        })
    }
}

/// Whether anybody can send over plain TCP.
fn is_open(listener: &ListenerConfig) -> bool {
    listener.unix.is_none() && listener.tls.is_none() && listener.security.is_none()
}

impl raw::RawHttp {
    fn check(self) -> Result<Http, ConfigError> {
        let listen = address("http.listen", self.listen.as_deref(), "127.0.0.1:4000")?;
        if !listen.ip().is_loopback() && !self.insecure_no_auth.unwrap_or(false) {
            return Err(ConfigError::new(
                "http.listen",
                format!(
                    "{listen} can be reached from other machines and nothing asks for a password; \
                     listen on 127.0.0.1, or say --insecure-no-auth if something in front does"
                ),
            ));
        }
        for origin in &self.cors_origins {
            let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
            });
            if !is_origin {
                let problem =
                    format!("`{origin}` is not an origin such as https://logs.example.org");
                return Err(ConfigError::new("http.cors_origins", problem));
            }
        }
        Ok(Http {
            listen,
            origins: self.cors_origins,
            hosts: self.hosts,
            max_body_bytes: size("http.max_body_bytes", self.max_body_bytes.as_deref(), 32 << 20)?,
            max_connections: connections("http.max_connections", self.max_connections, 1_000)?,
        })
    }
}

impl raw::RawJournal {
    fn check(self, store: StoreKind, ceiling: Option<Duration>) -> Result<Journal, ConfigError> {
        let durability = match self.durability.as_deref() {
            None | Some("sync") => Durability::Sync,
            Some("none") => Durability::None,
            Some(text) => text
                .strip_prefix("interval(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|text| crate::units::duration(text).ok())
                .map(Durability::Interval)
                .ok_or_else(|| {
                    let problem = format!(
                        "`{text}` is not a durability; expected sync, interval(1s) or none"
                    );
                    ConfigError::new("journal.durability", problem)
                })?,
        };
        let max_bytes = bytes("journal.max_bytes", self.max_bytes.as_deref(), 10 << 30)?;
        let staging_max_bytes =
            bytes("journal.staging_max_bytes", self.staging_max_bytes.as_deref(), 8 << 30)?;
        let max_age = younger(duration("journal.max_age", self.max_age.as_deref())?, ceiling);
        // What is searched in the journal itself is no history.
        let history_bytes = match (self.history_bytes.as_deref(), store) {
            (None, StoreKind::Journal) => None,
            (text, _) => Some(bytes("journal.history_bytes", text, 1 << 30)?),
        };
        let orphan_max_age = duration("journal.orphan_max_age", self.orphan_max_age.as_deref())?;
        let delay = duration("journal.max_commit_delay", self.max_commit_delay.as_deref())?;
        Ok(Journal {
            durability,
            max_bytes,
            max_age,
            staging_max_bytes,
            history_bytes,
            orphan_max_age: orphan_max_age.unwrap_or(Duration::from_secs(24 * 3600)),
            max_commit_delay: delay.unwrap_or(Duration::from_millis(200)),
        })
    }
}

impl raw::RawQuarantine {
    fn check(self) -> Result<QuarantineConfig, ConfigError> {
        let mut config = QuarantineConfig::default();
        if let Some(text) = self.max_bytes.as_deref() {
            config.max_bytes = crate::units::bytes(text)
                .map_err(|problem| ConfigError::new("quarantine.max_bytes", problem))?;
        }
        config.max_item_bytes = size(
            "quarantine.max_item_bytes",
            self.max_item_bytes.as_deref(),
            config.max_item_bytes,
        )?;
        config.keep = match self.keep.as_deref() {
            None | Some("bytes") => Keep::Bytes,
            Some("facts") => Keep::Facts,
            Some(other) => {
                let problem = format!("`{other}` is not known; expected bytes or facts");
                return Err(ConfigError::new("quarantine.keep", problem));
            }
        };
        Ok(config)
    }
}

impl raw::RawFields {
    fn check(self) -> Result<FieldMap, ConfigError> {
        let or = |list: Option<Vec<String>>, default: &[&str]| {
            list.unwrap_or_else(|| default.iter().map(|name| (*name).to_owned()).collect())
        };
        let level = or(self.level, logmon_core::LEVEL_KEYS);
        let message = or(self.message, logmon_core::MESSAGE_KEYS);
        let source = or(self.source, logmon_core::SOURCE_KEYS);
        FieldMap::new(&level, &message, &source)
            .map_err(|error| ConfigError::new("fields", error.to_string()))
    }
}

fn address(name: &str, text: Option<&str>, default: &str) -> Result<SocketAddr, ConfigError> {
    let text = text.unwrap_or(default);
    text.parse().map_err(|_| {
        let problem = format!("`{text}` is not an address and port such as {default}");
        ConfigError::new(name, problem)
    })
}

fn bytes(name: &str, text: Option<&str>, default: u64) -> Result<u64, ConfigError> {
    let Some(text) = text else { return Ok(default) };
    crate::units::bytes(text).map_err(|problem| ConfigError::new(name, problem))
}

fn duration(name: &str, text: Option<&str>) -> Result<Option<Duration>, ConfigError> {
    let duration = text.map(crate::units::duration).transpose();
    duration.map_err(|problem| ConfigError::new(name, problem))
}

fn size(name: &str, text: Option<&str>, default: usize) -> Result<usize, ConfigError> {
    usize::try_from(bytes(name, text, default as u64)?)
        .map_err(|_| ConfigError::new(name, "this machine cannot count so many bytes"))
}

/// A number of connections: none at all would be of no use.
fn connections(name: &str, number: Option<usize>, default: u32) -> Result<u32, ConfigError> {
    let Some(number) = number else { return Ok(default) };
    u32::try_from(number).ok().filter(|number| (1..=MAX_CONNECTIONS).contains(number)).ok_or_else(
        || ConfigError::new(name, format!("{number} is not from 1 to {MAX_CONNECTIONS}")),
    )
}

#[cfg(test)]
mod tests;
