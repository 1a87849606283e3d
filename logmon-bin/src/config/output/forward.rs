//! An output that speaks the Forward protocol.

use std::path::{Path, PathBuf};
use std::time::Duration;

use logmon_forward::SenderConfig;
use logmon_forward::handshake::{ClientSecurity, Secret};
use logmon_forward::sender::{Address, Compression, HeartbeatKind, Metadata, Peer, Server};
use logmon_forward::tls::ClientTls;
use serde::Deserialize;

use crate::config::raw::RawSecret;
use crate::config::{ConfigError, forward, size};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawForwardOutput {
    to: Option<String>,
    servers: Vec<RawServer>,
    require_ack: Option<bool>,
    ack_response_timeout: Option<String>,
    compress: Option<String>,
    tls: Option<RawTls>,
    security: Option<RawSecurity>,
    heartbeat: Option<String>,
    max_in_flight_bytes: Option<String>,
    retry_wait: Option<String>,
    retry_max_interval: Option<String>,
    metadata: Option<String>,
    peer: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawServer {
    host: Option<String>,
    port: Option<u16>,
    weight: Option<u32>,
    standby: bool,
    name: Option<String>,
    shared_key: Option<RawSecret>,
    shared_key_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<RawSecret>,
    password_file: Option<PathBuf>,
}

/// TLS towards servers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTls {
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    key_passphrase: Option<RawSecret>,
    key_passphrase_file: Option<PathBuf>,
    server_name: Option<String>,
    insecure: bool,
}

/// What all servers without their own have to know.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawSecurity {
    self_hostname: Option<String>,
    shared_key: Option<RawSecret>,
    shared_key_file: Option<PathBuf>,
}

impl RawForwardOutput {
    pub(super) fn check(self, place: &str) -> Result<SenderConfig, ConfigError> {
        let fail = |problem: String| ConfigError::new(place, problem);
        let mut config = SenderConfig::default();
        config.require_ack = self.require_ack.unwrap_or(true);
        let set = |slot: &mut Duration, text: Option<&str>, key: &str| match text {
            None => Ok(()),
            Some(text) => crate::units::duration(text)
                .map(|duration| *slot = duration)
                .map_err(|problem| fail(format!("{key}: {problem}"))),
        };
        set(&mut config.ack_timeout, self.ack_response_timeout.as_deref(), "ack_response_timeout")?;
        set(&mut config.retry.first, self.retry_wait.as_deref(), "retry_wait")?;
        set(&mut config.retry.most, self.retry_max_interval.as_deref(), "retry_max_interval")?;
        config.compression = match self.compress.as_deref() {
            None | Some("none") => Compression::None,
            Some("gzip") => Compression::gzip(),
            Some("zstd") => Compression::zstd(),
            Some(other) => {
                return Err(fail(format!("compress `{other}` is not none, gzip or zstd")));
            }
        };
        config.heartbeat.kind = match self.heartbeat.as_deref() {
            None | Some("transport") => HeartbeatKind::Transport,
            Some("udp") => HeartbeatKind::Udp,
            Some("none") => HeartbeatKind::None,
            Some(other) => {
                return Err(fail(format!("heartbeat `{other}` is not transport, udp or none")));
            }
        };
        config.peer = match self.peer.as_deref() {
            None | Some("any") => Peer::Any,
            Some("fluentbit") => Peer::FluentBit,
            Some("logmon") => Peer::Logmon,
            Some(other) => {
                return Err(fail(format!("peer `{other}` is not any, fluentbit or logmon")));
            }
        };
        config.metadata = match self.metadata.as_deref() {
            None => None,
            Some("drop") => Some(Metadata::Drop),
            Some("keep") => Some(Metadata::Keep),
            Some(text) => {
                let key = text.strip_prefix("inject(").and_then(|rest| rest.strip_suffix(')'));
                let key = key.filter(|key| !key.is_empty()).ok_or_else(|| {
                    fail(format!("metadata `{text}` is not drop, keep or inject(KEY)"))
                })?;
                Some(Metadata::Inject(key.into()))
            }
        };
        let in_flight = self.max_in_flight_bytes.as_deref();
        config.max_in_flight_bytes =
            size(&format!("{place}: max_in_flight_bytes"), in_flight, config.max_in_flight_bytes)?;
        config.tls = self.tls.map(|tls| tls.client(place)).transpose()?;
        let security = self.security.unwrap_or_default();
        config.security = security.client(place)?;
        config.servers = servers(self.to.as_deref(), self.servers, (&security, place))?;
        Ok(config)
    }
}

fn servers(
    to: Option<&str>,
    servers: Vec<RawServer>,
    (security, place): (&RawSecurity, &str),
) -> Result<Vec<Server>, ConfigError> {
    let fail = |problem: String| ConfigError::new(place, problem);
    match (to, servers.is_empty()) {
        (None, false) => servers.into_iter().map(|server| server.check(security, place)).collect(),
        (Some(to), true) => {
            let address: Address = to.parse().map_err(|error| fail(format!("to: {error}")))?;
            Ok(vec![Server::new(address)])
        }
        (Some(_), false) => Err(fail("to and servers exclude each other".to_owned())),
        (None, true) => Err(fail("there is neither to nor servers".to_owned())),
    }
}

impl RawServer {
    fn check(self, security: &RawSecurity, place: &str) -> Result<Server, ConfigError> {
        let fail = |problem: String| ConfigError::new(place, problem);
        let host = self.host.ok_or_else(|| fail("a server has no host".to_owned()))?;
        let mut address: Address =
            host.parse().map_err(|error| fail(format!("servers.host: {error}")))?;
        if let (Address::Tcp { port, .. }, Some(wanted)) = (&mut address, self.port) {
            *port = wanted;
        }
        let mut server = Server::new(address);
        server.name = self.name;
        server.standby = self.standby;
        server.weight = self.weight.unwrap_or(server.weight);
        let has_own =
            self.shared_key.is_some() || self.shared_key_file.is_some() || self.username.is_some();
        if has_own {
            let own =
                secret(self.shared_key, self.shared_key_file.as_deref(), (place, "shared_key"))?;
            let shared = own.map_or_else(|| security.key(place), |key| Ok(Some(key)))?;
            let shared_key = shared
                .ok_or_else(|| fail("a server with a username has no shared_key".to_owned()))?;
            let password =
                secret(self.password, self.password_file.as_deref(), (place, "password"))?;
            server.security = Some(ClientSecurity {
                self_hostname: security.hostname(place)?,
                shared_key,
                username: self.username.unwrap_or_default(),
                password: password.unwrap_or_default(),
            });
        }
        Ok(server)
    }
}

impl RawSecurity {
    fn hostname(&self, place: &str) -> Result<String, ConfigError> {
        self.self_hostname
            .clone()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| ConfigError::new(place, "security.self_hostname is missing"))
    }

    fn key(&self, place: &str) -> Result<Option<Secret>, ConfigError> {
        let (text, file) = (self.shared_key.clone(), self.shared_key_file.as_deref());
        secret(text, file, (place, "security.shared_key"))
    }

    fn client(&self, place: &str) -> Result<Option<ClientSecurity>, ConfigError> {
        let Some(shared_key) = self.key(place)? else { return Ok(None) };
        Ok(Some(ClientSecurity {
            self_hostname: self.hostname(place)?,
            shared_key,
            username: String::new(),
            password: Secret::default(),
        }))
    }
}

impl RawTls {
    fn client(self, place: &str) -> Result<ClientTls, ConfigError> {
        let typed = self.key_passphrase;
        let file = self.key_passphrase_file.as_deref();
        let tls = ClientTls {
            ca: self.ca,
            cert: self.cert,
            key: self.key,
            server_name: self.server_name,
            insecure: self.insecure,
            key_passphrase: secret(typed, file, (place, "tls.key_passphrase"))?,
        };
        tls.connector().map_err(|error| ConfigError::new(place, format!("tls: {error}")))?;
        Ok(tls)
    }
}

/// A secret that stands in the settings or in a file of its own.
fn secret(
    text: Option<RawSecret>,
    file: Option<&Path>,
    (place, key): (&str, &str),
) -> Result<Option<Secret>, ConfigError> {
    forward::secret(&format!("{place}: {key}"), text, file)
}
