//! Outputs: what was typed, and what it means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use logmon_core::StartAt;
use logmon_forward::SenderConfig;
use logmon_forward::handshake::{ClientSecurity, Secret};
use logmon_forward::sender::{Address, Compression, HeartbeatKind, Metadata, Peer, Server};
use logmon_forward::tls::ClientTls;
use serde::Deserialize;

use super::raw::RawSecret;
use super::{ConfigError, forward, size};

/// An output, checked.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Names its cursor, so it stays with it when other settings change.
    pub(crate) name: String,
    pub(crate) sender: SenderConfig,
    pub(crate) start: StartAt,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawOutput {
    name: Option<String>,
    kind: Option<String>,
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
    from: Option<String>,
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

/// Checks all outputs; no two have one name.
///
/// # Errors
/// The first setting that cannot be used, with its name.
pub(super) fn check_all(raw: Vec<RawOutput>) -> Result<Vec<Output>, ConfigError> {
    let mut outputs: Vec<Output> = Vec::with_capacity(raw.len());
    for raw in raw {
        let output = raw.check()?;
        if outputs.iter().any(|other| other.name == output.name) {
            let problem = format!("there are two outputs of the name `{}`", output.name);
            return Err(ConfigError::new("output.name", problem));
        }
        outputs.push(output);
    }
    Ok(outputs)
}

impl RawOutput {
    fn check(self) -> Result<Output, ConfigError> {
        let name = self.name.clone().unwrap_or_else(|| "forward".to_owned());
        let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_".contains(&c);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
            let problem = format!(
                "`{name}` is not a name of up to 64 lower-case letters, digits, `-` and `_`"
            );
            return Err(ConfigError::new("output.name", problem));
        }
        let place = format!("output `{name}`");
        let fail = |problem: String| ConfigError::new(place.clone(), problem);
        match self.kind.as_deref() {
            Some("forward") => {}
            Some(other) => {
                return Err(fail(format!("kind `{other}` is not known; expected forward")));
            }
            None => return Err(fail("kind is missing; expected forward".to_owned())),
        }
        let start = match self.from.as_deref() {
            None | Some("now") => StartAt::Now,
            Some("oldest") => StartAt::Oldest,
            Some(other) => return Err(fail(format!("from `{other}` is not now or oldest"))),
        };
        let sender = self.sender(&place)?;
        Ok(Output { name, sender, start })
    }

    fn sender(self, place: &str) -> Result<SenderConfig, ConfigError> {
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
