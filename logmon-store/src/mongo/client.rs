//! The connection to a deployment, made when it is first needed.

use std::sync::Arc;
use std::time::Duration;

use mongodb::error::{Error, ErrorKind, Result};
use mongodb::event::EventHandler;
use mongodb::options::{ClientOptions, Compressor, Tls, TlsOptions};
use mongodb::{Client, Database};
use tokio::sync::OnceCell;

use super::config::MongoConfig;
use super::stats::MongoStats;

/// How long a server is looked for; whoever needs one tries again.
const SELECTION: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How often servers are asked how they are: a hung one is noticed after twice that.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The database where nothing names one.
const DATABASE: &str = "logs";

/// A client, once there is one. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    config: Arc<MongoConfig>,
    stats: Arc<MongoStats>,
    client: Arc<OnceCell<(Client, String)>>,
}

impl Connection {
    pub(super) fn new(config: Arc<MongoConfig>, stats: Arc<MongoStats>) -> Self {
        Self { config, stats, client: Arc::default() }
    }

    pub(super) fn config(&self) -> &MongoConfig {
        &self.config
    }

    pub(super) fn stats(&self) -> &Arc<MongoStats> {
        &self.stats
    }

    /// The database. Nothing is connected before a command needs it.
    ///
    /// # Errors
    /// The connection string is wrong, or names a service that cannot be resolved.
    pub(super) async fn database(&self) -> Result<Database> {
        let (client, database) = self.client.get_or_try_init(|| self.open()).await?;
        Ok(client.database(database))
    }

    async fn open(&self) -> Result<(Client, String)> {
        let options = self.options().await?;
        let named = self.config.database.clone().or_else(|| options.default_database.clone());
        Ok((Client::with_options(options)?, named.unwrap_or_else(|| DATABASE.to_owned())))
    }

    async fn options(&self) -> Result<ClientOptions> {
        let config = &*self.config;
        let parsed = ClientOptions::parse(config.uri.as_str()).await;
        let mut options = parsed.map_err(|error| match *error.kind {
            // It would show a part of what it could not read, a password perhaps.
            ErrorKind::InvalidArgument { .. } => Error::custom(
                "the connection string cannot be read; are special characters of the password \
                 percent-encoded?",
            ),
            _ => error,
        })?;
        options.app_name.get_or_insert_with(|| "logmon".to_owned());
        options.max_pool_size.get_or_insert(config.max_pool_size);
        options.min_pool_size.get_or_insert(config.min_pool_size.min(config.max_pool_size));
        options.max_idle_time.get_or_insert(config.max_idle_time);
        options.server_selection_timeout.get_or_insert(SELECTION);
        options.connect_timeout.get_or_insert(CONNECT);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        if let Some(tls) = &config.tls {
            let mut files = TlsOptions::default();
            files.ca_file_path.clone_from(&tls.ca);
            files.cert_key_file_path.clone_from(&tls.cert_key);
            files.allow_invalid_certificates = tls.insecure.then_some(true);
            options.tls = Some(Tls::Enabled(files));
        }
        let compressors = config.compressors.iter().filter_map(|name| match &**name {
            "zstd" => Some(Compressor::Zstd { level: None }),
            "snappy" => Some(Compressor::Snappy),
            _ => None,
        });
        let compressors: Vec<_> = compressors.collect();
        if !compressors.is_empty() {
            options.compressors = Some(compressors);
        }
        let stats = self.stats.clone();
        options.cmap_event_handler =
            Some(EventHandler::callback(move |event| stats.note_pool(&event)));
        Ok(options)
    }
}
