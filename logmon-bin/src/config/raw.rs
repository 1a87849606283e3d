//! What was typed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use super::output::RawOutput;

mod forward;

pub(crate) use forward::{RawClient, RawForward, RawSecret, RawSecurity, RawTls};

/// The settings as they stand in `logmon.toml`. Every one may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawConfig {
    pub(crate) data_dir: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) demo: bool,
    pub(crate) forward: RawForward,
    pub(crate) http: RawHttp,
    pub(crate) store: RawStore,
    pub(crate) retention: RawRetention,
    pub(crate) journal: RawJournal,
    pub(crate) fields: RawFields,
    pub(crate) live: RawLive,
    pub(crate) output: Vec<RawOutput>,
    pub(crate) quarantine: RawQuarantine,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawHttp {
    pub(crate) listen: Option<String>,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) max_body_bytes: Option<String>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) insecure_no_auth: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawStore {
    pub(crate) kind: Option<String>,
    pub(crate) max_bytes: Option<String>,
    pub(crate) max_age: Option<String>,
    pub(crate) partition_bytes: Option<String>,
    pub(crate) max_queries: Option<usize>,
    pub(crate) output: Option<String>,
    pub(crate) watch: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawRetention {
    pub(crate) max_age: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawJournal {
    pub(crate) durability: Option<String>,
    pub(crate) max_bytes: Option<String>,
    pub(crate) max_age: Option<String>,
    pub(crate) staging_max_bytes: Option<String>,
    pub(crate) history_bytes: Option<String>,
    pub(crate) orphan_max_age: Option<String>,
    pub(crate) max_commit_delay: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawFields {
    pub(crate) level: Option<Vec<String>>,
    pub(crate) message: Option<Vec<String>>,
    pub(crate) source: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawLive {
    pub(crate) ring_bytes: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawQuarantine {
    pub(crate) max_bytes: Option<String>,
    pub(crate) max_item_bytes: Option<String>,
    pub(crate) keep: Option<String>,
}

/// Sections and their keys; the keys without a section come first.
const KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "data_dir",
            "forward",
            "http",
            "store",
            "retention",
            "journal",
            "fields",
            "live",
            "output",
            "quarantine",
        ],
    ),
    ("forward", forward::KEYS),
    ("forward.tls", forward::TLS_KEYS),
    ("forward.security", forward::SECURITY_KEYS),
    ("forward.security.user", forward::USER_KEYS),
    ("forward.security.client", forward::CLIENT_KEYS),
    (
        "http",
        &[
            "listen",
            "cors_origins",
            "hosts",
            "max_body_bytes",
            "max_connections",
            "insecure_no_auth",
        ],
    ),
    (
        "store",
        &["kind", "max_bytes", "max_age", "partition_bytes", "max_queries", "output", "watch"],
    ),
    ("retention", &["max_age"]),
    (
        "journal",
        &[
            "durability",
            "max_bytes",
            "max_age",
            "staging_max_bytes",
            "history_bytes",
            "orphan_max_age",
            "max_commit_delay",
        ],
    ),
    ("fields", &["level", "message", "source"]),
    ("live", &["ring_bytes"]),
    ("quarantine", &["max_bytes", "max_item_bytes", "keep"]),
];

/// The longest configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl RawConfig {
    /// Reads the file, if one is named, and lays `environment` over it.
    ///
    /// # Errors
    /// The file cannot be read, a key is unknown (the nearest one is named), or a value has
    /// another type.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match file {
            Some(file) => read(file)?,
            None => toml::Table::new(),
        };
        // The first system's PORT gives way to our own names, and FRONTEND_URL adds to them, in
        // whatever order the environment holds them.
        let mut environment: Vec<_> = environment.collect();
        environment.sort_by_key(|(name, _)| match name.as_str() {
            "PORT" => 0,
            "FRONTEND_URL" => 2,
            _ => 1,
        });
        for (name, value) in environment {
            lay_over(&mut table, &name, value)?;
        }
        let place = file.map_or_else(|| "settings".to_owned(), |file| file.display().to_string());
        table.try_into().map_err(|error: toml::de::Error| ConfigError::new(place, error.message()))
    }
}

fn read(file: &Path) -> Result<toml::Table, ConfigError> {
    let place = file.display().to_string();
    let fail = |problem: String| ConfigError::new(place.clone(), problem);
    let length = std::fs::metadata(file).map_err(|error| fail(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(fail(format!("{length} bytes, a configuration has at most {MAX_FILE_BYTES}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        ConfigError::new(format!("{place}:{line}"), error.message())
    })?;
    if let Some((section, key, problem)) = unknown_key(&table) {
        return Err(ConfigError::new(
            format!("{place}:{}", line_of_key(&text, section, &key)),
            problem,
        ));
    }
    Ok(table)
}

/// The line of a key of a section, or of the section of this name; the first where it is written
/// in an uncommon way.
fn line_of_key(text: &str, section: &str, key: &str) -> usize {
    let mut inside = "";
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let name = |part: &str| part.trim().trim_matches('"').to_owned();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.strip_prefix('[').unwrap_or(header);
            inside = header.split(']').next().unwrap_or(header).trim();
            if section.is_empty() && name(inside) == key {
                return at + 1;
            }
        } else if inside == section
            && line.split_once('=').is_some_and(|(left, _)| name(left) == key)
        {
            return at + 1;
        }
    }
    1
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// The first key nobody knows, behind its section, and what to say of it.
fn unknown_key(table: &toml::Table) -> Option<(&'static str, String, String)> {
    for (section, keys) in KEYS {
        for key in tables(table, section).into_iter().flat_map(toml::Table::keys) {
            if !keys.contains(&key.as_str()) {
                let place =
                    if section.is_empty() { String::new() } else { format!(" in [{section}]") };
                let hint = nearest(key, keys.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                return Some((section, key.clone(), format!("unknown key `{key}`{place}{hint}")));
            }
        }
    }
    None
}

/// The tables of a section such as `a.b`, of which there are several where it is a list.
fn tables<'t>(table: &'t toml::Table, section: &str) -> Vec<&'t toml::Table> {
    let mut tables = vec![table];
    for name in section.split('.').filter(|name| !name.is_empty()) {
        let inner = tables.into_iter().filter_map(|table| table.get(name));
        tables = inner
            .flat_map(|value| match value {
                toml::Value::Table(table) => vec![table],
                toml::Value::Array(list) => list.iter().filter_map(toml::Value::as_table).collect(),
                _ => Vec::new(),
            })
            .collect();
    }
    tables
}

/// The known word most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

/// Sets what one variable of the environment says.
fn lay_over(table: &mut toml::Table, name: &str, value: String) -> Result<(), ConfigError> {
    match name {
        "PORT" => {
            let port: u16 = value
                .parse()
                .map_err(|_| ConfigError::new("PORT", format!("`{value}` is not a port")))?;
            let listen = section(table, "http").get("listen").and_then(toml::Value::as_str);
            let listen = listen.and_then(|listen| listen.parse::<SocketAddr>().ok());
            let ip = listen.map_or(Ipv4Addr::LOCALHOST.into(), |listen| listen.ip());
            let listen = SocketAddr::new(ip, port).to_string();
            set(table, "http", "listen", toml::Value::String(listen));
        }
        "FRONTEND_URL" => {
            let origins = value.split(',').map(|origin| origin.trim().trim_end_matches('/'));
            let more = origins.filter(|origin| !origin.is_empty());
            let more: Vec<toml::Value> = more.map(|origin| origin.to_owned().into()).collect();
            let http = section(table, "http");
            let list = http.entry("cors_origins").or_insert_with(|| toml::Value::Array(Vec::new()));
            if let toml::Value::Array(list) = list {
                list.extend(more);
            }
        }
        "MONGODB_URI" if value.is_empty() => {}
        "MONGODB_URI" => write_to_mongodb(table, value),
        "LOGMON_DATA_DIR" => {
            table.insert("data_dir".to_owned(), toml::Value::String(value));
        }
        _ => {
            let Some(key) = name.strip_prefix("LOGMON_") else { return Ok(()) };
            let key = key.to_ascii_lowercase();
            let found = KEYS.iter().find_map(|(section, keys)| {
                let rest = key.strip_prefix(&section.replace('.', "_"))?.strip_prefix('_')?;
                keys.iter().find(|known| **known == rest).map(|known| (*section, *known))
            });
            // Other programs of a site may use the prefix, so an unknown name is no error. A
            // whole section cannot stand in a variable.
            let is_section = |section: &str, key: &str| {
                KEYS.iter().any(|(name, _)| *name == format!("{section}.{key}"))
            };
            if let Some((section, key)) = found.filter(|(section, key)| !is_section(section, key)) {
                set(table, section, key, typed(section, key, value));
            }
        }
    }
    Ok(())
}

/// The first system's way to say where events go and are searched: an output that must lose nothing.
/// One of this kind that the file has takes the connection string where it names none, and a store
/// that the file names stays.
fn write_to_mongodb(table: &mut toml::Table, uri: String) {
    let store = table.entry("store").or_insert_with(|| toml::Table::new().into());
    if let toml::Value::Table(store) = store {
        store.entry("kind").or_insert_with(|| "mongodb".into());
    }
    let outputs = table.entry("output").or_insert_with(|| toml::Value::Array(Vec::new()));
    // Anything else is refused when it is read.
    let toml::Value::Array(outputs) = outputs else { return };
    let is_one =
        |output: &toml::Table| output.get("kind").and_then(toml::Value::as_str) == Some("mongodb");
    let mut known =
        outputs.iter_mut().filter_map(toml::Value::as_table_mut).filter(|one| is_one(one));
    if let Some(known) = known.next() {
        if !known.contains_key("uri") && !known.contains_key("uri_file") {
            known.insert("uri".to_owned(), toml::Value::String(uri));
        }
        return;
    }
    let mut output = toml::Table::new();
    for (key, value) in [("kind", "mongodb"), ("from", "oldest"), ("uri", &uri)] {
        output.insert(key.to_owned(), toml::Value::String(value.to_owned()));
    }
    output.insert("required".to_owned(), toml::Value::Boolean(true));
    outputs.push(toml::Value::Table(output));
}

/// The value in the type its key wants.
fn typed(section: &str, key: &str, value: String) -> toml::Value {
    let list = |value: &str| {
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        toml::Value::Array(items.map(|item| item.to_owned().into()).collect())
    };
    match (section, key) {
        ("fields", _) | ("http", "cors_origins" | "hosts") | ("forward", "allow" | "deny") => {
            list(&value)
        }
        (_, key)
            if matches!(key, "max_connections" | "max_queries")
                || forward::NUMBERS.contains(&key) =>
        {
            value.parse().map_or(toml::Value::String(value), toml::Value::Integer)
        }
        (_, key) if key == "insecure_no_auth" || forward::SWITCHES.contains(&key) => {
            value.parse().map_or(toml::Value::String(value), toml::Value::Boolean)
        }
        _ => toml::Value::String(value),
    }
}

fn section<'t>(table: &'t mut toml::Table, name: &str) -> &'t mut toml::Table {
    if let Some((outer, inner)) = name.rsplit_once('.') {
        return section(section(table, outer), inner);
    }
    let entry = table.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if !entry.is_table() {
        *entry = toml::Value::Table(toml::Table::new());
    }
    match entry {
        toml::Value::Table(section) => section,
        _ => unreachable!("made a table above"),
    }
}

fn set(table: &mut toml::Table, name: &str, key: &str, value: toml::Value) {
    section(table, name).insert(key.to_owned(), value);
}
