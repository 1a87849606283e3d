//! What was typed for the Forward listener.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

/// The keys of `[forward]`.
pub(super) const KEYS: &[&str] = &[
    "listen",
    "unix_mode",
    "tag",
    "add_tag_prefix",
    "default_tag",
    "time_unit",
    "max_message_bytes",
    "max_decompressed_bytes",
    "warn_message_bytes",
    "max_memory_bytes",
    "max_in_flight_bytes",
    "invalid_event",
    "tag_invalid",
    "signals",
    "group_attributes_key",
    "source_address_key",
    "source_hostname_key",
    "resolve_hostname",
    "max_connections",
    "dedupe",
    "dedupe_window",
    "dedupe_max_ids",
    "max_connections_per_ip",
    "max_unauthenticated",
    "max_unauthenticated_per_ip",
    "allow",
    "deny",
    "backlog",
    "receive_buffer_size",
    "tls_timeout",
    "login_timeout",
    "idle_timeout",
    "stall_timeout",
    "message_timeout",
    "min_message_rate",
    "max_messages_per_connection",
    "max_connection_age",
    "tcp_keepalive",
    "tcp_user_timeout",
    "udp_heartbeat",
    "udp_heartbeat_rate",
    "tls",
    "security",
];

/// The keys of `[forward.tls]`.
pub(super) const TLS_KEYS: &[&str] = &[
    "cert",
    "key",
    "key_passphrase",
    "key_passphrase_file",
    "client_auth",
    "client_ca",
    "min_version",
];

/// The keys of `[forward.security]`.
pub(super) const SECURITY_KEYS: &[&str] = &[
    "self_hostname",
    "shared_key",
    "shared_key_file",
    "empty_shared_key",
    "user_auth",
    "allow_anonymous_source",
    "match",
    "user",
    "client",
];

/// The keys of `[[forward.security.user]]`.
pub(super) const USER_KEYS: &[&str] = &["username", "password", "password_file"];

/// The keys of `[[forward.security.client]]`.
pub(super) const CLIENT_KEYS: &[&str] =
    &["host", "network", "shared_key", "shared_key_file", "users"];

/// Keys whose values are numbers.
pub(super) const NUMBERS: &[&str] = &[
    "dedupe_max_ids",
    "max_connections_per_ip",
    "max_unauthenticated",
    "max_unauthenticated_per_ip",
    "backlog",
    "max_messages_per_connection",
    "udp_heartbeat_rate",
];

/// Keys whose values are true or false.
pub(super) const SWITCHES: &[&str] = &[
    "udp_heartbeat",
    "resolve_hostname",
    "empty_shared_key",
    "user_auth",
    "allow_anonymous_source",
];

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawForward {
    pub(crate) listen: Option<String>,
    pub(crate) unix_mode: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) add_tag_prefix: Option<String>,
    pub(crate) default_tag: Option<String>,
    pub(crate) time_unit: Option<String>,
    pub(crate) max_message_bytes: Option<String>,
    pub(crate) max_decompressed_bytes: Option<String>,
    pub(crate) warn_message_bytes: Option<String>,
    pub(crate) max_memory_bytes: Option<String>,
    pub(crate) max_in_flight_bytes: Option<String>,
    pub(crate) invalid_event: Option<String>,
    pub(crate) tag_invalid: Option<String>,
    pub(crate) signals: Option<String>,
    pub(crate) group_attributes_key: Option<String>,
    pub(crate) source_address_key: Option<String>,
    pub(crate) source_hostname_key: Option<String>,
    pub(crate) resolve_hostname: Option<bool>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) dedupe: Option<String>,
    pub(crate) dedupe_window: Option<String>,
    pub(crate) dedupe_max_ids: Option<usize>,
    pub(crate) max_connections_per_ip: Option<usize>,
    pub(crate) max_unauthenticated: Option<usize>,
    pub(crate) max_unauthenticated_per_ip: Option<usize>,
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<String>,
    pub(crate) backlog: Option<u32>,
    pub(crate) receive_buffer_size: Option<String>,
    pub(crate) tls_timeout: Option<String>,
    pub(crate) login_timeout: Option<String>,
    pub(crate) idle_timeout: Option<String>,
    pub(crate) stall_timeout: Option<String>,
    pub(crate) message_timeout: Option<String>,
    pub(crate) min_message_rate: Option<String>,
    pub(crate) max_messages_per_connection: Option<u64>,
    pub(crate) max_connection_age: Option<String>,
    pub(crate) tcp_keepalive: Option<String>,
    pub(crate) tcp_user_timeout: Option<String>,
    pub(crate) udp_heartbeat: Option<bool>,
    pub(crate) udp_heartbeat_rate: Option<u32>,
    pub(crate) tls: Option<RawTls>,
    pub(crate) security: Option<RawSecurity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawTls {
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) key_passphrase: Option<RawSecret>,
    pub(crate) key_passphrase_file: Option<PathBuf>,
    pub(crate) client_auth: Option<String>,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) min_version: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawSecurity {
    pub(crate) self_hostname: Option<String>,
    pub(crate) shared_key: Option<RawSecret>,
    pub(crate) shared_key_file: Option<PathBuf>,
    pub(crate) empty_shared_key: Option<bool>,
    pub(crate) user_auth: Option<bool>,
    pub(crate) allow_anonymous_source: Option<bool>,
    #[serde(rename = "match")]
    pub(crate) client_match: Option<String>,
    pub(crate) user: Vec<RawUser>,
    pub(crate) client: Vec<RawClient>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawUser {
    pub(crate) username: String,
    pub(crate) password: Option<RawSecret>,
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawClient {
    pub(crate) host: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) shared_key: Option<RawSecret>,
    pub(crate) shared_key_file: Option<PathBuf>,
    pub(crate) users: Option<Vec<String>>,
}

/// A key or a password as it was typed, which is not shown again.
#[derive(Clone, Default)]
pub(crate) struct RawSecret(pub(crate) String);

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The usual error would show the value.
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(de::Error::custom("a key or password is text, in quotes")),
        }
    }
}

impl fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
