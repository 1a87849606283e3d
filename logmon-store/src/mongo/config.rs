//! Settings of the output.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::document::{DotsAndDollars, Style};

/// Where and how events are written to MongoDB.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MongoConfig {
    /// The connection string. What it says of the pool and of times wins over the settings here;
    /// write concern, TLS and compressors are those of the settings, where there are any. Default `mongodb://127.0.0.1:27017`.
    pub uri: ConnectionString,
    /// The database. Default: that of the connection string, else `logs`.
    pub database: Option<String>,
    /// The collection. Default `logs`.
    pub collection: Collection,
    /// How many servers have to have the events, and whether on disk, before they count as
    /// written. Default: the majority, with its journal.
    pub write_concern: WriteConcern,
    /// Connections at most. Default 100.
    pub max_pool_size: u32,
    /// Connections that are kept ready. Default 10.
    pub min_pool_size: u32,
    /// An idle connection is closed after this time. Default 30 s.
    pub max_idle_time: Duration,
    /// How long an attempt may take. What it wrote is found by its ids if it is made again. Default
    /// 30 s.
    pub attempt_timeout: Duration,
    /// Documents of one `insert` at most. Default 1000; many more than 5000 make some servers leave
    /// out what they say of each.
    pub batch_documents: usize,
    /// Bytes of one `insert` at most, or one longer document. Default 4 MiB.
    pub batch_bytes: usize,
    /// What becomes of dots and dollars in keys.
    pub keys: DotsAndDollars,
    /// Paths below the metadata, `user.born` for nested ones, whose texts in RFC 3339 and Unix times
    /// are written as dates, to the millisecond. What is none stays as it is. Default none.
    pub date_keys: Vec<String>,
    /// The same, of texts with 24 hexadecimal digits that are written as ObjectIds. Default none.
    pub object_id_keys: Vec<String>,
    /// The collection is made as a capped one: bytes, and documents if that is limited. Default no.
    pub capped: Option<Capped>,
    /// Documents go when they were received longer ago. Default never.
    pub expire_after: Option<Duration>,
    /// The files of TLS. Default: what the connection string says.
    pub tls: Option<MongoTls>,
    /// Names of compressors (`zstd`, `snappy`) to offer the server. Default none: on a local network
    /// they cost more than they save.
    pub compressors: Vec<String>,
}

/// A connection string. It may have a password in it, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString(String);

impl ConnectionString {
    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ConnectionString {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The servers alone: options may be secret as well, and a password may have anything in it.
        let servers = self.0.rsplit('@').next().unwrap_or_default();
        let has_odd_options =
            self.0.split_once('?').is_some_and(|(_, options)| options.contains('@'));
        let shown = servers.split('?').next().filter(|_| !has_odd_options);
        f.debug_tuple("ConnectionString").field(&shown.unwrap_or("...")).finish()
    }
}

/// Which collection an event goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one, or one for each tag")]
pub enum Collection {
    /// All go to this one.
    Named(String),
    /// Each to the one named after its tag, without this prefix.
    OfTag {
        /// What is left out at the beginning of tags, with the dot behind it.
        remove_prefix: String,
    },
}

/// Who has to have a document before it counts as written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what the server is asked for")]
pub struct WriteConcern {
    /// The servers; `None` is the majority of them. None at all would be a promise nobody keeps.
    pub servers: Option<u32>,
    /// Whether on disk. Default yes.
    pub journal: bool,
}

impl Default for WriteConcern {
    fn default() -> Self {
        Self { servers: None, journal: true }
    }
}

impl WriteConcern {
    /// The same as the driver has it.
    pub(super) fn driver(&self) -> mongodb::options::WriteConcern {
        use mongodb::options::Acknowledgment;
        let servers = self.servers.map_or(Acknowledgment::Majority, Acknowledgment::Nodes);
        let mut concern = mongodb::options::WriteConcern::default();
        concern.w = Some(servers);
        concern.journal = self.journal.then_some(true);
        concern
    }
}

/// The size of a capped collection, of which the oldest documents are overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what the server is asked for")]
pub struct Capped {
    /// Bytes.
    pub bytes: u64,
    /// Documents, if they are limited too.
    pub documents: Option<u64>,
}

/// The files of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what the driver takes")]
pub struct MongoTls {
    /// Certificates that the server's may be signed by, in PEM. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// Certificate and key of this client in one PEM file.
    pub cert_key: Option<PathBuf>,
    /// Whether any certificate is taken. For trying things out.
    pub insecure: bool,
}

impl MongoConfig {
    /// How documents are written.
    pub(super) fn style(&self) -> Style<'_> {
        Style { keys: self.keys, dates: &self.date_keys, object_ids: &self.object_id_keys }
    }
}

impl Default for MongoConfig {
    fn default() -> Self {
        Self {
            uri: "mongodb://127.0.0.1:27017".to_owned().into(),
            database: None,
            collection: Collection::Named("logs".to_owned()),
            write_concern: WriteConcern::default(),
            max_pool_size: 100,
            min_pool_size: 10,
            max_idle_time: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(30),
            batch_documents: 1000,
            batch_bytes: 4 << 20,
            keys: DotsAndDollars::default(),
            date_keys: Vec::new(),
            object_id_keys: Vec::new(),
            capped: None,
            expire_after: None,
            tls: None,
            compressors: Vec::new(),
        }
    }
}

impl Collection {
    /// The name of the collection of a tag.
    pub(super) fn of(&self, tag: &str) -> String {
        match self {
            Self::Named(name) => name.clone(),
            Self::OfTag { remove_prefix } => {
                let rest = tag.strip_prefix(&**remove_prefix).unwrap_or(tag);
                // A dollar means something at the beginning of a part, a NUL ends the name, and the
                // collections of the system are not for writing.
                let name: String = rest.chars().filter(|c| !matches!(c, '$' | '\0')).collect();
                let mut name = name.trim_matches('.');
                while let Some(rest) = name.strip_prefix("system.") {
                    name = rest.trim_matches('.');
                }
                if name.len() > MAX_NAME_BYTES {
                    return shortened(name);
                }
                if name.is_empty() { "untagged".to_owned() } else { name.to_owned() }
            }
        }
    }
}

/// The longest name of a collection that is made of a tag: with that of the database before it, what
/// every server takes.
const MAX_NAME_BYTES: usize = 80;

/// The beginning of a name, told from others with the same beginning.
fn shortened(name: &str) -> String {
    let end = (0..=MAX_NAME_BYTES - 9).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-{:08x}", name.get(..end).unwrap_or_default(), crc32c::crc32c(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_collections() {
        let of_tag = Collection::OfTag { remove_prefix: "app.".to_owned() };
        for (tag, name) in [
            ("app.web", "web"),
            ("db", "db"),
            ("app.", "untagged"),
            ("", "untagged"),
            ("app.$cmd.x", "cmd.x"),
            ("app.system.users", "users"),
            ("app.system..system.system.users", "users"),
            ("app.system.", "system"),
            ("app..a.", "a"),
            ("タグ", "タグ"),
        ] {
            assert_eq!(of_tag.of(tag), name, "{tag}");
        }
        assert_eq!(Collection::Named("logs".to_owned()).of("app.web"), "logs");
        let (long, other) = (of_tag.of(&"タグ.".repeat(300)), of_tag.of(&"タグ.".repeat(301)));
        assert!(long.len() <= MAX_NAME_BYTES && long != other, "{long} {other}");
    }
}
