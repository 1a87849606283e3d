//! The commands that the server knows.

use bson::raw::cstr;
use bson::{RawDocumentBuf, rawdoc};

use super::collection::Collection;
use super::connection::{Answer, Manner};
use super::replies::{Failure, cursor, hello};
use super::state::State;
use super::wire::Request;

/// What answers a command that succeeds, without `ok`.
type Reply = Result<RawDocumentBuf, Failure>;

impl State {
    /// Does what a command says, but for what was planned to fail.
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let name = request.command().0;
        if name == "insert" {
            self.last_insert = Some(request.body.clone());
        }
        let reply = match self.failure(request) {
            Some(failure) => Err(failure),
            None if name == "insert" => return self.insert(request),
            None => self.run(name, request),
        };
        let body = match reply {
            Ok(mut body) => {
                body.append(cstr!("ok"), 1.0);
                body
            }
            Err(failure) => failure.into_reply(),
        };
        Answer { bytes: request.reply(&body), manner: Manner::Whole }
    }

    /// Why the command fails without being looked at.
    fn failure(&mut self, request: &Request) -> Option<Failure> {
        let name = request.command().0;
        if let Some(failing) = self.failing.get_mut(name).filter(|failing| failing.times > 0) {
            failing.times -= 1;
            return Some(Failure::new(failing.code, failing.message.clone()));
        }
        let is_write = matches!(name, "insert" | "create" | "createIndexes" | "collMod");
        (self.is_down && is_write).then(|| {
            let is_retryable = request.body.get("txnNumber").ok().flatten().is_some();
            let labels: &[_] = if is_retryable { &["RetryableWriteError"] } else { &[] };
            Failure::new(10107, "not primary").with_labels(labels)
        })
    }

    fn run(&mut self, name: &str, request: &Request) -> Reply {
        match name {
            "hello" | "isMaster" | "ismaster" => {
                Ok(hello(!self.is_down, self.is_replica_set.then_some(self.port)))
            }
            "ping" | "endSessions" => Ok(RawDocumentBuf::new()),
            "buildInfo" | "buildinfo" => {
                Ok(rawdoc! { "version": "7.0.0", "versionArray": [7, 0, 0, 0] })
            }
            "create" => self.create(request),
            "createIndexes" => self.create_indexes(request),
            "listIndexes" => Ok(cursor(&request.namespace(), self.existing(request)?.indexes())),
            "listCollections" => Ok(self.list_collections(request)),
            "collMod" => self.coll_mod(request),
            "find" => Ok(cursor(&request.namespace(), self.stored(request))),
            "aggregate" => Ok(cursor(&request.namespace(), [])),
            "count" => {
                Ok(rawdoc! { "n": i32::try_from(self.stored(request).len()).unwrap_or(i32::MAX) })
            }
            _ => Err(Failure::new(59, format!("no such command: '{name}'"))),
        }
    }

    fn stored(&self, request: &Request) -> Vec<RawDocumentBuf> {
        let collection = self.collections.get(&request.namespace());
        collection.map(|collection| collection.documents().cloned().collect()).unwrap_or_default()
    }

    fn existing(&mut self, request: &Request) -> Result<&mut Collection, Failure> {
        let namespace = request.namespace();
        let missing = Failure::new(26, format!("ns does not exist: {namespace}"));
        self.collections.get_mut(&namespace).ok_or(missing)
    }

    fn create(&mut self, request: &Request) -> Reply {
        let namespace = request.namespace();
        if self.collections.contains_key(&namespace) {
            let message = format!("Collection {namespace} already exists.");
            return Err(Failure::new(48, message));
        }
        let collection = self.collections.entry(namespace).or_default();
        for element in request.body.iter().skip(1) {
            let (key, value) = element?;
            if !matches!(key.as_str(), "$db" | "lsid" | "writeConcern") {
                collection.options.append(key, value);
            }
        }
        Ok(RawDocumentBuf::new())
    }

    fn create_indexes(&mut self, request: &Request) -> Reply {
        let indexes = request.body.get_array("indexes")?;
        let is_new = !self.collections.contains_key(&request.namespace());
        let collection = self.collections.entry(request.namespace()).or_default();
        let before = collection.indexes().len();
        for index in indexes {
            let index = index?.as_document().ok_or_else(|| Failure::new(14, "no document"))?;
            collection.create_index(index)?;
        }
        let counts = [before, collection.indexes().len()];
        let [before, after] = counts.map(|count| i32::try_from(count).unwrap_or(i32::MAX));
        Ok(rawdoc! {
            "numIndexesBefore": before,
            "numIndexesAfter": after,
            "createdCollectionAutomatically": is_new,
        })
    }

    fn coll_mod(&mut self, request: &Request) -> Reply {
        let collection = self.existing(request)?;
        let change = request.body.get_document("index");
        change.map_or_else(|_| Ok(RawDocumentBuf::new()), |change| collection.expire(change))
    }

    /// All collections of a database, or that which the filter names.
    fn list_collections(&self, request: &Request) -> RawDocumentBuf {
        let database = request.database();
        let filter = request.body.get_document("filter").ok();
        let wanted = filter.and_then(|filter| filter.get_str("name").ok());
        let named = self.collections.iter().filter_map(|(namespace, collection)| {
            let name = namespace.strip_prefix(database)?.strip_prefix('.')?;
            wanted.is_none_or(|wanted| wanted == name).then(|| {
                rawdoc! {
                    "name": name,
                    "type": "collection",
                    "options": collection.options.clone(),
                    "info": { "readOnly": false },
                }
            })
        });
        cursor(&format!("{database}.$cmd.listCollections"), named)
    }
}
