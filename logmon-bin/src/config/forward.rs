//! What the settings of the Forward listener mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use logmon_forward::handshake::{
    ClientMatch, ClientRule, Network, Secret, Security, SecuritySettings, User,
};
use logmon_forward::tls::{ClientAuth, MinVersion, TlsSettings};
use logmon_forward::{DedupeMode, ListenerConfig, UnixSocket};

use super::raw::{RawClient, RawForward, RawSecret, RawSecurity, RawTls};
use super::{ConfigError, address, connections, size};

mod reading;

/// The longest file with a key or a password.
const MAX_SECRET: u64 = 64 << 10;

/// The most chunks a listener can be told to remember, which take 4 GB.
const MAX_DEDUPE_IDS: usize = 100_000_000;

/// A socket that its group may write to.
const UNIX_MODE: u32 = 0o660;

impl RawForward {
    pub(super) fn check(mut self) -> Result<ListenerConfig, ConfigError> {
        let mut listener = ListenerConfig::default();
        listener.tls = self.tls.take().map(RawTls::check).transpose()?;
        listener.security = self.security.take().map(RawSecurity::check).transpose()?;
        self.set_listen(&mut listener)?;
        self.set_counts(&mut listener)?;
        self.set_memory(&mut listener)?;
        self.set_times(&mut listener)?;
        self.set_dedupe(&mut listener)?;
        self.set_source(&mut listener)?;
        self.set_reading(&mut listener.settings)?;
        Ok(listener)
    }

    fn set_listen(&self, listener: &mut ListenerConfig) -> Result<(), ConfigError> {
        let name = "forward.listen";
        match self.listen.as_deref().and_then(|listen| listen.strip_prefix("unix:")) {
            Some("") => return Err(ConfigError::new(name, "`unix:` without a path")),
            Some(_) if listener.tls.is_some() => {
                return Err(ConfigError::new("forward.tls", "a Unix socket has no TLS"));
            }
            Some(path) => {
                let mode = self.unix_mode.as_deref().map_or(Ok(UNIX_MODE), mode)?;
                listener.unix = Some(UnixSocket { path: PathBuf::from(path), mode });
            }
            None if self.unix_mode.is_some() => {
                let problem = "it is for listen = \"unix:PATH\"";
                return Err(ConfigError::new("forward.unix_mode", problem));
            }
            None => listener.listen = address(name, self.listen.as_deref(), "127.0.0.1:24224")?,
        }
        listener.allow = networks("forward.allow", &self.allow)?;
        listener.deny = networks("forward.deny", &self.deny)?;
        Ok(())
    }

    fn set_counts(&self, listener: &mut ListenerConfig) -> Result<(), ConfigError> {
        for (name, typed, setting) in [
            ("forward.max_connections", self.max_connections, &mut listener.max_connections),
            (
                "forward.max_connections_per_ip",
                self.max_connections_per_ip,
                &mut listener.max_connections_per_ip,
            ),
            (
                "forward.max_unauthenticated",
                self.max_unauthenticated,
                &mut listener.max_unauthenticated,
            ),
            (
                "forward.max_unauthenticated_per_ip",
                self.max_unauthenticated_per_ip,
                &mut listener.max_unauthenticated_per_ip,
            ),
        ] {
            let default = u32::try_from(*setting).unwrap_or(u32::MAX);
            *setting = connections(name, typed, default)? as usize;
        }
        listener.backlog = self.backlog.unwrap_or(listener.backlog);
        listener.udp_heartbeat = self.udp_heartbeat.unwrap_or(listener.udp_heartbeat);
        listener.udp_heartbeat_rate =
            self.udp_heartbeat_rate.unwrap_or(listener.udp_heartbeat_rate);
        listener.max_messages_per_connection = self.max_messages_per_connection;
        for (name, is_zero) in [
            ("forward.backlog", listener.backlog == 0),
            ("forward.udp_heartbeat_rate", listener.udp_heartbeat_rate == 0),
            ("forward.max_messages_per_connection", self.max_messages_per_connection == Some(0)),
        ] {
            if is_zero {
                return Err(ConfigError::new(name, "0 would let nothing through"));
            }
        }
        if let Some(text) = &self.receive_buffer_size {
            let bytes = size("forward.receive_buffer_size", Some(text), 0)?;
            listener.receive_buffer_size = Some(bytes);
        }
        let rate = size("forward.min_message_rate", self.min_message_rate.as_deref(), 1024)?;
        listener.min_message_rate = rate as u64;
        Ok(())
    }

    fn set_times(&self, listener: &mut ListenerConfig) -> Result<(), ConfigError> {
        for (name, typed, setting) in [
            ("forward.tls_timeout", &self.tls_timeout, &mut listener.tls_timeout),
            ("forward.login_timeout", &self.login_timeout, &mut listener.login_timeout),
            ("forward.stall_timeout", &self.stall_timeout, &mut listener.stall_timeout),
            ("forward.message_timeout", &self.message_timeout, &mut listener.message_timeout),
        ] {
            if let Some(time) = time(name, typed.as_deref())? {
                *setting =
                    time.ok_or_else(|| ConfigError::new(name, "0 would let nothing through"))?;
            }
        }
        for (name, typed, setting) in [
            ("forward.idle_timeout", &self.idle_timeout, &mut listener.idle_timeout),
            (
                "forward.max_connection_age",
                &self.max_connection_age,
                &mut listener.max_connection_age,
            ),
            ("forward.tcp_keepalive", &self.tcp_keepalive, &mut listener.tcp_keepalive),
            ("forward.tcp_user_timeout", &self.tcp_user_timeout, &mut listener.tcp_user_timeout),
        ] {
            if let Some(time) = time(name, typed.as_deref())? {
                *setting = time;
            }
        }
        Ok(())
    }

    fn set_dedupe(&self, listener: &mut ListenerConfig) -> Result<(), ConfigError> {
        listener.dedupe = dedupe_mode(self.dedupe.as_deref())?;
        listener.dedupe_window = dedupe_window(self.dedupe_window.as_deref())?;
        listener.dedupe_max_ids = dedupe_max_ids(self.dedupe_max_ids)?;
        Ok(())
    }
}

fn dedupe_mode(text: Option<&str>) -> Result<DedupeMode, ConfigError> {
    match text {
        None | Some("evidence") => Ok(DedupeMode::Evidence),
        Some("strict") => Ok(DedupeMode::Strict),
        Some("off") => Ok(DedupeMode::Off),
        Some(other) => {
            let problem = format!("`{other}` is none of evidence, strict and off");
            Err(ConfigError::new("forward.dedupe", problem))
        }
    }
}

fn dedupe_window(text: Option<&str>) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(Duration::from_secs(15 * 60)) };
    let fail = |problem| ConfigError::new("forward.dedupe_window", problem);
    let window = crate::units::duration(text).map_err(fail)?;
    if window > Duration::from_secs(30 * 86_400) {
        return Err(fail(format!("{text} is more than 30 days")));
    }
    Ok(window)
}

fn dedupe_max_ids(number: Option<usize>) -> Result<usize, ConfigError> {
    let number = number.unwrap_or(1_000_000);
    if !(1..=MAX_DEDUPE_IDS).contains(&number) {
        let problem = format!("{number} is not from 1 to {MAX_DEDUPE_IDS}");
        return Err(ConfigError::new("forward.dedupe_max_ids", problem));
    }
    Ok(number)
}

/// What was typed as a duration, if anything was; zero is none.
#[expect(clippy::option_option, reason = "nothing typed is not the same as none")]
fn time(name: &str, text: Option<&str>) -> Result<Option<Option<Duration>>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    if text == "0" {
        return Ok(Some(None));
    }
    let time = crate::units::duration(text).map_err(|problem| ConfigError::new(name, problem))?;
    Ok(Some((!time.is_zero()).then_some(time)))
}

fn mode(text: &str) -> Result<u32, ConfigError> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| {
        let problem = format!("`{text}` is not a mode such as 0660");
        ConfigError::new("forward.unix_mode", problem)
    })
}

fn networks(name: &str, texts: &[String]) -> Result<Vec<Network>, ConfigError> {
    let networks = texts.iter().map(|text| text.parse());
    networks
        .collect::<Result<_, logmon_forward::handshake::NetworkError>>()
        .map_err(|error| ConfigError::new(name, error.to_string()))
}

/// A secret that stands in the configuration or in a file of its own, without its last newline.
pub(super) fn secret(
    name: &str,
    typed: Option<RawSecret>,
    file: Option<&Path>,
) -> Result<Option<Secret>, ConfigError> {
    let Some(file) = file else { return Ok(typed.map(|secret| secret.0.into())) };
    let file_name = format!("{name}_file");
    if typed.is_some() {
        return Err(ConfigError::new(file_name, format!("there is {name} as well")));
    }
    let fail = |problem: String| {
        ConfigError::new(file_name.clone(), format!("{}: {problem}", file.display()))
    };
    let length = std::fs::metadata(file).map_err(|error| fail(error.to_string()))?.len();
    if length > MAX_SECRET {
        return Err(fail(format!("{length} bytes are no key or password")));
    }
    let mut bytes = std::fs::read(file).map_err(|error| fail(error.to_string()))?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err(fail("it is empty".to_owned()));
    }
    Ok(Some(bytes.into()))
}

impl RawTls {
    fn check(self) -> Result<TlsSettings, ConfigError> {
        let needed = |name: &str, file: Option<PathBuf>| {
            file.ok_or_else(|| ConfigError::new(name, "TLS needs cert and key"))
        };
        let client_auth = match self.client_auth.as_deref() {
            None | Some("none") => ClientAuth::None,
            Some("optional") => ClientAuth::Optional,
            Some("required") => ClientAuth::Required,
            Some(other) => {
                let problem = format!("`{other}` is not one of none, optional and required");
                return Err(ConfigError::new("forward.tls.client_auth", problem));
            }
        };
        if (client_auth == ClientAuth::None) != self.client_ca.is_none() {
            let problem = "client_auth and client_ca are set together or not at all";
            return Err(ConfigError::new("forward.tls.client_ca", problem));
        }
        let min_version = match self.min_version.as_deref() {
            None | Some("1.2") => MinVersion::Tls12,
            Some("1.3") => MinVersion::Tls13,
            Some(other) => {
                let problem = format!("`{other}` is not a version; expected 1.2 or 1.3");
                return Err(ConfigError::new("forward.tls.min_version", problem));
            }
        };
        let file = self.key_passphrase_file.as_deref();
        Ok(TlsSettings {
            cert: needed("forward.tls.cert", self.cert)?,
            key: needed("forward.tls.key", self.key)?,
            key_passphrase: secret("forward.tls.key_passphrase", self.key_passphrase, file)?,
            client_auth,
            client_ca: self.client_ca,
            min_version,
        })
    }
}

impl RawSecurity {
    fn check(self) -> Result<SecuritySettings, ConfigError> {
        let client_match = match self.client_match.as_deref() {
            None | Some("first") => ClientMatch::First,
            Some("longest") => ClientMatch::Longest,
            Some(other) => {
                let problem = format!("`{other}` is neither first nor longest");
                return Err(ConfigError::new("forward.security.match", problem));
            }
        };
        let users = self.user.into_iter().map(|user| {
            let name = "forward.security.user.password";
            let password = secret(name, user.password, user.password_file.as_deref())?;
            Ok(User { username: user.username, password: password.unwrap_or_default() })
        });
        let file = self.shared_key_file.as_deref();
        let settings = SecuritySettings {
            self_hostname: self.self_hostname.unwrap_or_default(),
            shared_key: secret("forward.security.shared_key", self.shared_key, file)?,
            empty_shared_key: self.empty_shared_key.unwrap_or(false),
            user_auth: self.user_auth,
            users: users.collect::<Result<_, ConfigError>>()?,
            clients: self.client.into_iter().map(RawClient::check).collect::<Result<_, _>>()?,
            client_match,
            allow_anonymous_source: self.allow_anonymous_source.unwrap_or(true),
        };
        Security::new(settings.clone())
            .map_err(|error| ConfigError::new("forward.security", error.to_string()))?;
        Ok(settings)
    }
}

impl RawClient {
    fn check(self) -> Result<ClientRule, ConfigError> {
        let name = "forward.security.client.shared_key";
        let shared_key = secret(name, self.shared_key, self.shared_key_file.as_deref())?;
        Ok(ClientRule { host: self.host, network: self.network, shared_key, users: self.users })
    }
}

#[cfg(test)]
mod tests;
