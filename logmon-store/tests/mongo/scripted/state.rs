//! What the server knows and plans.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bson::RawDocumentBuf;
use tokio::task::JoinSet;

use super::Act;
use super::collection::Collection;

/// All of it, under one lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) port: u16,
    pub(super) is_replica_set: bool,
    pub(super) is_down: bool,
    pub(super) is_refusing: bool,
    pub(super) connections: JoinSet<()>,
    /// For the next inserts, and for those after them.
    pub(super) planned: VecDeque<Act>,
    pub(super) otherwise: Act,
    pub(super) failing: HashMap<String, Failing>,
    pub(super) last_insert: Option<RawDocumentBuf>,
    /// By database and collection.
    pub(super) collections: BTreeMap<String, Collection>,
}

/// How a command is to fail, and how often still.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) times: usize,
}

impl State {
    pub(super) fn new(port: u16, is_replica_set: bool) -> Self {
        Self {
            port,
            is_replica_set,
            is_down: false,
            is_refusing: false,
            connections: JoinSet::new(),
            planned: VecDeque::new(),
            otherwise: Act::Apply,
            failing: HashMap::new(),
            last_insert: None,
            collections: BTreeMap::new(),
        }
    }
}
