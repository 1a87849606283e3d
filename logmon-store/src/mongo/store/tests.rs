//! The store over MongoDB answers as looking at each event by itself does, whoever wrote what.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use logmon_core::{
    Buckets, CursorState, Event as _, Journal as _, Key, Log, MemoryCursor, NewBatch, Position,
    Sink as _, SinkBatch, Store as _, TableSpec,
};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::differential::{Truth, a_world, append, batches, figures, open_journal, with_cases};
use crate::vfs::memory::MemoryVfs;

#[path = "../../../../tests/mongodb/server.rs"]
mod server;

/// A database, and the server behind it where it was started here.
struct Database {
    uri: String,
    runtime: Runtime,
    _server: Option<server::MongoDb>,
}

/// Each world has a collection of its own.
static COLLECTIONS: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// `None` where there is no MongoDB to test with.
    fn new() -> Option<Self> {
        let (uri, server) = server::any("logmon_store_tests")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Some(Self { uri, runtime, _server: server })
    }

    fn config(&self) -> MongoConfig {
        let number = COLLECTIONS.fetch_add(1, Ordering::Relaxed);
        MongoConfig {
            uri: self.uri.clone().into(),
            collection: Collection::Named(format!("c{}_{number}", std::process::id())),
            min_pool_size: 0,
            ..MongoConfig::default()
        }
    }
}

/// A journal, an output, and the store over what it writes.
struct Node<'d> {
    database: &'d Database,
    journal: Arc<DiskJournal>,
    sink: MongoSink,
    cursor: Arc<MemoryCursor>,
    at: Position,
}

impl<'d> Node<'d> {
    fn new(database: &'d Database, config: &MongoConfig) -> Self {
        let journal = open_journal(&MemoryVfs::new(), 20_000);
        let sink = MongoSink::new(config.clone(), 0);
        let at = journal.oldest();
        Self { database, journal, sink, cursor: Arc::default(), at }
    }

    fn append(&self, truth: &mut Truth, batch: &NewBatch) {
        append((&self.journal, truth), &self.database.runtime, batch);
    }

    /// Writes up to so many groups of the journal; whether the cursor is told is left open, as a
    /// crash would.
    fn deliver(&mut self, groups: usize, saves: bool) {
        for _ in 0..groups {
            let read = self.database.runtime.block_on(self.journal.read(self.at, 1));
            let Some(group) = read.unwrap() else { return };
            let all: Vec<u32> = (0..u32::try_from(group.len()).unwrap()).collect();
            let batch = SinkBatch::new(group.clone(), all);
            let verdicts = self.database.runtime.block_on(self.sink.write(batch));
            for at in 0..group.len() {
                assert_eq!(verdicts.of(at), logmon_core::Verdict::Delivered, "{:?}", self.sink);
            }
            self.at = group.end();
            if saves {
                let done = self.cursor.save(CursorState::at(self.at));
                self.database.runtime.block_on(done).unwrap();
            }
        }
    }

    fn store(&self) -> MongoStore {
        let from = (self.journal.clone(), self.cursor.clone() as Arc<dyn Cursor>);
        let handle = self.database.runtime.handle().clone();
        MongoStore::new(&self.sink, from, 4, handle).unwrap()
    }
}

/// What of a world is where when the queries come.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Groups that are in the database, and those of them that the cursor has passed.
    written: usize,
    saved: usize,
    /// Every so many batches one is of another node.
    others: usize,
    keeps_dots: bool,
}

impl State {
    /// A node that has written what it is to, beside another one; and what is so then.
    fn set_up<'d>(
        self,
        database: &'d Database,
        config: &MongoConfig,
        batches: &[NewBatch],
    ) -> (Node<'d>, Truth) {
        let (mut node, mut other) = (Node::new(database, config), Node::new(database, config));
        let mut truth = Truth::told_apart_by(Ties::Ids);
        let mut of_other = Truth::default();
        for (at, batch) in batches.iter().enumerate() {
            if at % self.others == 1 {
                other.append(&mut of_other, batch);
            } else {
                node.append(&mut truth, batch);
            }
        }
        truth.add_others(of_other);
        other.deliver(usize::MAX, true);
        node.deliver(self.saved, true);
        node.deliver(self.written, false);
        (node, truth)
    }
}

fn a_state() -> impl Strategy<Value = State> {
    let some = || prop_oneof![2 => Just(usize::MAX), 1 => 0_usize..20];
    (some(), some(), 1_usize..6, prop::bool::weighted(0.1)).prop_map(
        |(written, saved, others, keeps_dots)| State { written, saved, others, keeps_dots },
    )
}

#[test]
fn the_database_answers_as_looking_at_each_event_does() {
    let Some(database) = Database::new() else { return };
    with_cases(60, (a_world(), a_state()), |((first, late, questions), state)| {
        let mut config = database.config();
        if state.keeps_dots {
            config.keys = super::super::DotsAndDollars::Keep;
        }
        let (mut node, mut truth) = state.set_up(&database, &config, &first);
        let (store, mut late) = (node.store(), late.iter());
        questions.bounded().ask(&store, &mut truth, &mut |truth| {
            // What a page did not show yet is written between two pages.
            node.deliver(1, true);
            if let Some(batch) = late.next() {
                node.append(truth, batch);
            }
        });
    });
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds, 0).unwrap()
}

/// What a chart asks for: tables that the server can count, and filters of which it says neither too
/// much nor too little.
fn a_chart() -> impl Strategy<Value = Aggregate> {
    let filters = [
        "*",
        "level:error",
        "NOT level:error",
        "level:none",
        "source:web-1",
        "tag:db",
        "level>=warn source:日本",
        "NOT (source:\"\" OR level<info)",
        "timestamp>=1800000010",
    ];
    let range = prop_oneof![
        Just((time(0), time(40))),
        Just((time(10), time(12))),
        Just((Timestamp::MIN, Timestamp::MAX)),
        // So long that it is counted in pieces.
        Just((time(-100_000), time(100_000))),
    ];
    let by = prop::sample::subsequence(vec!["level", "source", "tag"], 0..=3);
    let tables = prop::collection::vec((by, any::<bool>()), 1..4);
    (prop::sample::select(filters.to_vec()), range, tables, 1_i64..50).prop_map(
        |(filter, (from, to), tables, columns)| {
            let spec = |(by, is_chart): (Vec<&str>, bool)| {
                let mut spec = TableSpec::by(by.into_iter().map(Key::named));
                spec.buckets = Buckets::between(bounds(from, to, columns)).filter(|_| is_chart);
                spec
            };
            let tables = tables.into_iter().map(spec).collect();
            let mut query = Aggregate::new(Filter::parse(filter).unwrap(), tables);
            (query.scope.from, query.scope.to) = (from, to);
            query
        },
    )
}

/// The ends of so many columns, of which the first is short; none where there is no beginning.
fn bounds(from: Timestamp, to: Timestamp, columns: i64) -> Vec<Timestamp> {
    if from == Timestamp::MIN {
        return Vec::new();
    }
    let (from, to) = (from.as_nanos(), to.as_nanos());
    let width = (to - from) / columns / 1_000_000 * 1_000_000;
    let inner = (1..columns).map(|at| from + 1_000_000 + width * (at - 1));
    [from].into_iter().chain(inner).chain([to]).map(Timestamp::from_nanos).collect()
}

#[test]
fn the_server_counts_as_the_evaluator_does() {
    let Some(database) = Database::new() else { return };
    let world = (prop::collection::vec(batches::a_batch(), 0..12), a_state(), a_chart());
    let (counted, read) = (AtomicU32::new(0), AtomicU32::new(0));
    with_cases(80, world, |(batches, state, query)| {
        let (node, truth) = state.set_up(&database, &database.config(), &batches);
        let answer = database.runtime.block_on(node.store().aggregate(query.clone())).unwrap();
        for (table, spec) in answer.tables.iter().zip(&query.tables) {
            let (rows, _) = truth.table(&query.scope, spec);
            let found: BTreeMap<_, _> =
                table.rows.iter().map(|row| (row.key.to_vec(), figures(row))).collect();
            assert_eq!(found, rows, "{} {spec:?}", query.scope.filter);
        }
        // Where the journal has nothing to tell, bytes are those of documents.
        if state.saved == usize::MAX && answer.stats.matched > 0 {
            let is_read = answer.stats.scanned_bytes > 0;
            (if is_read { &read } else { &counted }).fetch_add(1, Ordering::Relaxed);
        }
    });
    let (counted, read) = (counted.into_inner(), read.into_inner());
    assert!(counted > 10 && counted > 3 * read, "{counted} counted, {read} read");
}

/// A page of the middle of a burst: all events have one timestamp.
#[test]
fn pages_of_a_burst_join_without_hole_or_repeat() {
    let Some(database) = Database::new() else { return };
    let config = database.config();
    let mut nodes = [Node::new(&database, &config), Node::new(&database, &config)];
    let mut truth = Truth::default();
    for node in &mut nodes {
        for n in 0..300 {
            let log = Log::new(format!("{n}")).timestamp(Timestamp::from_nanos(5_000_000_000));
            node.append(&mut truth, &log.to_batch().unwrap());
        }
        node.deliver(usize::MAX, true);
    }
    let store = nodes[0].store();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut search = Search::new(Filter::all());
        (search.order, search.limit) = (order, 70);
        let mut ids = HashSet::new();
        loop {
            let page = database.runtime.block_on(store.search(search.clone())).unwrap();
            for hit in &page.hits {
                assert!(ids.insert(hit.log().id()), "{:?} comes twice", hit.key());
            }
            search.after = page.hits.last().map(Hit::key);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(ids.len(), 600);
    }
}

/// R: a regular expression over everything is refused with a reason, and taken with a range.
#[test]
fn a_regular_expression_needs_a_range() {
    let Some(database) = Database::new() else { return };
    let node = Node::new(&database, &database.config());
    let store = node.store();
    let search = |text: &str, from: Timestamp| {
        let mut search = Search::new(Filter::parse(text).unwrap());
        search.scope.from = from;
        database.runtime.block_on(store.search(search)).map(|page| page.hits.len())
    };
    let refused = search("level:error /a+/", Timestamp::MIN);
    assert!(matches!(refused, Err(QueryError::NeedsRange)), "{refused:?}");
    assert!(matches!(search("NOT x:/a+/", Timestamp::MIN), Err(QueryError::NeedsRange)));
    assert_eq!(search("/a+/", Timestamp::EPOCH).ok(), Some(0));
    assert_eq!(search("/a+/ timestamp>=0", Timestamp::MIN).ok(), Some(0));
    assert_eq!(search("a+", Timestamp::MIN).ok(), Some(0));
}

/// What other programs write is read as events, and what is none is told.
#[test]
fn documents_of_others_are_events_too() {
    let Some(database) = Database::new() else { return };
    let node = Node::new(&database, &database.config());
    let store = node.store();
    let date = DateTime::from_millis(1_700_000_000_000);
    let documents = [
        doc! { "timestamp": date, "level": "ERROR", "message": "by mongoose", "source": "api",
        "metadata": { "user": 7 }, "createdAt": date, "__v": 0 },
        doc! { "timestamp": date, "level": "verbose", "message": 5, "user": "top" },
        doc! { "timestamp": date, "level": "warn", "message": "a", "metadata": "text" },
        doc! { "timestamp": "yesterday", "message": "no event" },
        doc! { "timestamp": date, "message": ["abc", 5], "tag": ["web"], "seq": 5, "user": "js" },
        // An event to which somebody has added something.
        doc! { "timestamp": date, "message": "b", "seq": 7_i64, "tag": "db", "metadata": {},
        "reviewed": true },
    ];
    database.runtime.block_on(async {
        let all = store.0.connection.database().await.unwrap();
        all.collection::<Document>(&store.0.collection).insert_many(documents).await.unwrap();
    });
    let count = |text: &str| {
        let search = Search::new(Filter::parse(text).unwrap());
        database.runtime.block_on(store.search(search)).unwrap().hits.len()
    };
    for (text, events) in [
        ("*", 5),
        ("level:error source:api", 1),
        ("mongoose user:7", 1),
        ("level:none", 3),
        ("metadata.level:verbose", 1),
        ("5", 2),
        ("user:top", 1),
        ("user:js", 1),
        ("seq:5", 1),
        ("reviewed:true", 1),
        ("tag:db", 1),
        ("NOT tag:web", 5),
        ("level>=warn", 2),
        ("metadata.metadata:text", 1),
        ("tag:**", 5),
        ("tag:a.**", 0),
        ("received>=\"2023-11-14T00:00:00Z\"", 5),
        ("NOT user:7", 4),
    ] {
        assert_eq!(count(text), events, "{text}");
    }
}

/// What was written as a date or an ObjectId is found as what it is shown as.
#[test]
fn converted_values_are_found() {
    let Some(database) = Database::new() else { return };
    let config = MongoConfig {
        date_keys: vec!["born".to_owned()],
        object_id_keys: vec!["account".to_owned()],
        ..database.config()
    };
    let mut node = Node::new(&database, &config);
    let log = Log::new("x")
        .field("born", "2026-11-22T10:00:00Z")
        .field("account", "507f1f77bcf86cd799439011");
    node.append(&mut Truth::default(), &log.to_batch().unwrap());
    node.deliver(1, true);
    let store = node.store();
    for (text, events) in [
        ("account:507f1f77bcf86cd799439011", 1),
        ("account:507f1f77bcf86cd799439012", 0),
        ("account:507f*", 1),
        ("account>=507e", 1),
        ("account:*", 1),
        ("born:\"2026-11-22T10:00:00Z\"", 1),
        ("born>=\"2026-11-22T10:00:00Z\"", 1),
        ("born<\"2026-11-22T10:00:00Z\"", 0),
        ("NOT account:507f1f77bcf86cd799439011", 0),
    ] {
        let search = Search::new(Filter::parse(text).unwrap());
        let found = database.runtime.block_on(store.search(search)).unwrap().hits.len();
        assert_eq!(found, events, "{text}");
    }
}

/// What was written to the database, and then taken from the journal by a power cut, is found there,
/// though its numbers are given again.
#[test]
fn what_the_journal_has_lost_is_found() {
    let Some(database) = Database::new() else { return };
    let config = database.config();
    let disk = MemoryVfs::new();
    let mut lost = Node { journal: open_journal(&disk, 20_000), ..Node::new(&database, &config) };
    lost.at = lost.journal.oldest();
    let text = |text: &str| Log::new(text).timestamp(time(1)).to_batch().unwrap();
    let append = |node: &Node<'_>, batch: NewBatch| {
        database.runtime.block_on(node.journal.append(batch)).unwrap();
    };
    append(&lost, text("before"));
    lost.deliver(1, true);
    // The epoch ends here; what comes then is written, and lost.
    let epoch = lost.journal.head().epoch;
    let gone = logmon_core::GroupBuilder::single(epoch, &text("lost"), lost.journal.head().seq);
    database.runtime.block_on(lost.sink.write(SinkBatch::new(gone, [0])));
    lost.journal.close();
    let journal = open_journal(&disk, 20_000);
    let node = Node { journal, ..lost };
    let store = node.store();
    let find = || {
        let page = database.runtime.block_on(store.search(Search::new(Filter::all()))).unwrap();
        let mut found: Vec<_> =
            page.hits.iter().map(|hit| hit.log().message().into_owned()).collect();
        found.sort();
        let mut query = Aggregate::new(Filter::all(), vec![TableSpec::default()]);
        (query.scope.from, query.scope.to) = (time(0), time(10));
        let counted = database.runtime.block_on(store.aggregate(query)).unwrap();
        assert_eq!(counted.tables[0].rows[0].count, found.len() as u64);
        found
    };
    assert_eq!(find(), ["before", "lost"]);
    append(&node, text("after"));
    assert_eq!(find(), ["after", "before", "lost"]);
}

/// The time of a query holds, and what was found until then is an answer.
#[test]
fn a_query_whose_time_is_over_says_where_to_go_on() {
    let Some(database) = Database::new() else { return };
    let mut node = Node::new(&database, &database.config());
    let mut truth = Truth::default();
    let logs = (0..3_000).map(|n| {
        Log::new(format!("event {n}")).timestamp(Timestamp::from_nanos(n * 1_000_000_000))
    });
    for log in logs {
        node.append(&mut truth, &log.to_batch().unwrap());
    }
    node.deliver(usize::MAX, true);
    let store = node.store();
    let mut search = Search::new(Filter::parse("event NOT nowhere*").unwrap());
    (search.scope.budget, search.limit) = (Duration::from_millis(1), 5_000);
    let mut found = 0;
    for _ in 0..3_001 {
        let page = database.runtime.block_on(store.search(search.clone())).unwrap();
        found += page.hits.len();
        let Some(_) = page.incomplete else { break };
        search.after = page.scanned_to;
        // What takes no time gets nowhere.
        search.scope.budget *= 2;
    }
    assert_eq!(found, 3_000);
}
