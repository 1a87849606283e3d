//! An output that writes to MongoDB.

use std::path::PathBuf;
use std::time::Duration;

use logmon_core::Retry;
use logmon_store::mongo::{
    Capped, Collection, DotsAndDollars, MongoConfig, MongoTls, WriteConcern,
};
use serde::Deserialize;

use crate::config::{ConfigError, size};

/// An output to MongoDB, checked.
#[derive(Clone, Debug)]
pub(crate) struct Mongo {
    pub(crate) config: MongoConfig,
    pub(crate) retry: Retry,
    /// Batches in flight.
    pub(crate) window: usize,
    /// How long few events wait for more.
    pub(crate) linger: Duration,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawMongo {
    uri: Option<String>,
    uri_file: Option<PathBuf>,
    database: Option<String>,
    collection: Option<String>,
    tag_mapped: bool,
    remove_tag_prefix: Option<String>,
    write_concern: Option<RawServers>,
    journaled: Option<bool>,
    max_pool_size: Option<u32>,
    min_pool_size: Option<u32>,
    max_idle_time: Option<String>,
    attempt_timeout: Option<String>,
    batch_documents: Option<usize>,
    batch_bytes: Option<String>,
    window: Option<usize>,
    retry_wait: Option<String>,
    retry_max_interval: Option<String>,
    keys: Option<String>,
    date_keys: Vec<String>,
    object_id_keys: Vec<String>,
    flush_interval: Option<String>,
    capped_size: Option<String>,
    capped_max: Option<u64>,
    expire_after: Option<String>,
    tls: Option<RawTls>,
    compressors: Vec<String>,
}

/// `"majority"`, or how many.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum RawServers {
    Number(u32),
    Name(String),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTls {
    ca: Option<PathBuf>,
    cert_key: Option<PathBuf>,
    insecure: bool,
}

/// The longest that an attempt may take.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(3600);

/// Events that come one by one are written so much later, together.
const LINGER: Duration = Duration::from_millis(100);
const MAX_LINGER: Duration = Duration::from_secs(60);

/// Shorter waits than those of other outputs: a server that was elected anew is there soon.
const RETRY: Retry = Retry { first: Duration::from_millis(100), most: Duration::from_secs(10) };

impl RawMongo {
    /// # Errors
    /// The first setting that cannot be used, with its name.
    pub(super) fn check(self, place: &str) -> Result<Mongo, ConfigError> {
        let fail = |problem: String| ConfigError::new(place, problem);
        let mut config = MongoConfig::default();
        if let Some(uri) = self.uri(place)? {
            config.uri = uri.into();
        }
        config.collection = self.collection().map_err(fail)?;
        config.write_concern = self.write_concern().map_err(fail)?;
        config.capped = self.capped(place)?;
        self.batch(place, &mut config)?;
        config.database = self.database;
        config.max_pool_size = self.max_pool_size.unwrap_or(config.max_pool_size);
        config.min_pool_size = self.min_pool_size.unwrap_or(config.min_pool_size);
        if config.max_pool_size == 0 {
            return Err(fail("max_pool_size: 0 connections write nothing".to_owned()));
        }
        let duration = |text: Option<&str>, key: &str| {
            let read = text.map(crate::units::duration).transpose();
            read.map_err(|problem| fail(format!("{key}: {problem}")))
        };
        let set = |slot: &mut Duration, text: Option<&str>, key: &str| {
            duration(text, key).map(|read| *slot = read.unwrap_or(*slot))
        };
        set(&mut config.max_idle_time, self.max_idle_time.as_deref(), "max_idle_time")?;
        set(&mut config.attempt_timeout, self.attempt_timeout.as_deref(), "attempt_timeout")?;
        if !(Duration::from_millis(100)..=LONGEST_ATTEMPT).contains(&config.attempt_timeout) {
            return Err(fail("attempt_timeout is not from 100ms to 1h".to_owned()));
        }
        config.expire_after = duration(self.expire_after.as_deref(), "expire_after")?;
        if config.expire_after.is_some_and(|after| after < Duration::from_secs(1)) {
            return Err(fail("expire_after: less than 1s keeps nothing".to_owned()));
        }
        config.keys = match self.keys.as_deref() {
            None | Some("escape") => DotsAndDollars::Escape,
            Some("keep") => DotsAndDollars::Keep,
            Some(other) => return Err(fail(format!("keys `{other}` is not escape or keep"))),
        };
        (config.date_keys, config.object_id_keys) = (self.date_keys, self.object_id_keys);
        config.tls =
            self.tls.map(|RawTls { ca, cert_key, insecure }| MongoTls { ca, cert_key, insecure });
        for name in &self.compressors {
            if !["zstd", "snappy"].contains(&name.as_str()) {
                return Err(fail(format!("compressors: `{name}` is not zstd or snappy")));
            }
        }
        config.compressors = self.compressors;
        let mut retry = RETRY;
        set(&mut retry.first, self.retry_wait.as_deref(), "retry_wait")?;
        set(&mut retry.most, self.retry_max_interval.as_deref(), "retry_max_interval")?;
        let window = self.window.unwrap_or(4);
        if !(1..=64).contains(&window) {
            return Err(fail(format!("window: {window} is not from 1 to 64")));
        }
        let mut linger = LINGER;
        set(&mut linger, self.flush_interval.as_deref(), "flush_interval")?;
        if linger > MAX_LINGER {
            return Err(fail("flush_interval: more than 60s".to_owned()));
        }
        Ok(Mongo { config, retry, window, linger })
    }

    /// How much one command takes.
    fn batch(&self, place: &str, config: &mut MongoConfig) -> Result<(), ConfigError> {
        config.batch_documents = self.batch_documents.unwrap_or(config.batch_documents);
        if !(1..=5_000).contains(&config.batch_documents) {
            let problem =
                format!("batch_documents: {} is not from 1 to 5000", config.batch_documents);
            return Err(ConfigError::new(place, problem));
        }
        let bytes = self.batch_bytes.as_deref();
        config.batch_bytes = size(&format!("{place}: batch_bytes"), bytes, config.batch_bytes)?;
        Ok(())
    }

    /// The connection string, which may have a password in it and then stands in a file.
    fn uri(&self, place: &str) -> Result<Option<String>, ConfigError> {
        let fail = |problem: String| ConfigError::new(place, problem);
        let uri = match (&self.uri, &self.uri_file) {
            (Some(_), Some(_)) => {
                return Err(fail("uri and uri_file exclude each other".to_owned()));
            }
            (Some(uri), None) => Some(uri.clone()),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file);
                let text =
                    text.map_err(|error| fail(format!("uri_file {}: {error}", file.display())))?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
        };
        let is_one =
            |uri: &String| uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://");
        if uri.as_ref().is_some_and(|uri| !is_one(uri)) {
            // Not shown: there may be a password in it.
            return Err(fail("uri begins with neither mongodb:// nor mongodb+srv://".to_owned()));
        }
        Ok(uri)
    }

    fn collection(&self) -> Result<Collection, String> {
        match (&self.collection, self.tag_mapped) {
            (Some(_), true) => Err("collection and tag_mapped exclude each other".to_owned()),
            (None, true) => Ok(Collection::OfTag {
                remove_prefix: self.remove_tag_prefix.clone().unwrap_or_default(),
            }),
            (_, false) if self.remove_tag_prefix.is_some() => {
                Err("remove_tag_prefix means nothing without tag_mapped".to_owned())
            }
            (Some(name), false) if name.is_empty() || name.contains(['$', '\0']) => {
                Err(format!("collection `{name}` is no name of a collection"))
            }
            (name, false) => {
                Ok(Collection::Named(name.clone().unwrap_or_else(|| "logs".to_owned())))
            }
        }
    }

    fn write_concern(&self) -> Result<WriteConcern, String> {
        let servers = match &self.write_concern {
            None => None,
            Some(RawServers::Name(name)) if name == "majority" => None,
            Some(RawServers::Number(0)) => {
                return Err(
                    "write_concern 0: what nobody acknowledges cannot be delivered".to_owned()
                );
            }
            Some(RawServers::Number(servers)) => Some(*servers),
            Some(RawServers::Name(other)) => {
                return Err(format!("write_concern `{other}` is not majority or a number"));
            }
        };
        Ok(WriteConcern { servers, journal: self.journaled.unwrap_or(true) })
    }

    fn capped(&self, place: &str) -> Result<Option<Capped>, ConfigError> {
        let Some(text) = self.capped_size.as_deref() else {
            return match self.capped_max {
                Some(_) => {
                    Err(ConfigError::new(place, "capped_max means nothing without capped_size"))
                }
                None => Ok(None),
            };
        };
        let bytes = crate::units::bytes(text)
            .map_err(|problem| ConfigError::new(place, format!("capped_size: {problem}")))?;
        Ok(Some(Capped { bytes, documents: self.capped_max }))
    }
}
