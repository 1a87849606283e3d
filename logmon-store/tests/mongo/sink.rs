//! Whatever a server does, each event is there once in the end, or in the quarantine with the reason.

use std::sync::Arc;
use std::time::Duration;

use bson::Document;
use logmon_core::{
    BoxFuture, Cursor, Journal, Log, MemoryCursor, MemoryJournal, Quarantine, QuarantineError,
    Quarantined, Retry, Runner, RunnerConfig, RunnerStats, StartAt,
};
use logmon_store::mongo::{Collection, MongoConfig, MongoSink};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scripted::{Act, Garbage, ScriptedServer};

/// A quarantine in memory.
#[derive(Debug, Default)]
struct Kept(std::sync::Mutex<Vec<String>>);

impl Quarantine for Kept {
    fn put(&self, item: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>> {
        self.0.lock().unwrap().push(item.detail);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A runner that writes to a server.
struct World {
    journal: Arc<MemoryJournal>,
    cursor: Arc<MemoryCursor>,
    kept: Arc<Kept>,
    sink: MongoSink,
    stats: Arc<RunnerStats>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn config(server: &ScriptedServer) -> MongoConfig {
    let mut config = MongoConfig::default();
    config.uri = server.uri().into();
    config.min_pool_size = 0;
    config.batch_documents = 10;
    config.attempt_timeout = Duration::from_secs(5);
    config
}

/// A world with `events` in its journal.
fn world(config: MongoConfig, events: usize) -> World {
    let journal = Arc::new(MemoryJournal::new(1 << 24));
    append(&journal, 0..events);
    let sink = MongoSink::new(config, 0);
    start(journal, sink, Arc::default())
}

fn append(journal: &MemoryJournal, events: std::ops::Range<usize>) {
    for n in events {
        let log =
            Log::new(format!("event {n}")).source("test").field("n", i64::try_from(n).unwrap());
        journal.append_now(&log.to_batch().unwrap());
    }
}

fn start(journal: Arc<MemoryJournal>, sink: MongoSink, cursor: Arc<MemoryCursor>) -> World {
    let kept = Arc::new(Kept::default());
    let mut settings = RunnerConfig::default();
    settings.start = StartAt::Oldest;
    settings.window = 2;
    settings.group_bytes = 16 << 10;
    settings.retry = Retry { first: Duration::from_millis(5), most: Duration::from_millis(50) };
    let runner = Runner::new(
        journal.clone(),
        Arc::new(sink.clone()),
        cursor.clone() as Arc<dyn Cursor>,
        kept.clone(),
        settings,
    );
    let stats = runner.stats();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        runner.run(async { drop(stopped.await) }).await.unwrap();
    });
    World { journal, cursor, kept, sink, stats, stop, task }
}

impl World {
    /// Waits until all events are delivered or kept.
    async fn settled(&self) {
        let all = self.journal.head().seq - self.journal.oldest().seq;
        let settled = async {
            loop {
                let figures = self.stats.figures();
                if figures.delivered + figures.quarantined >= all {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), settled).await;
        assert!(in_time.is_ok(), "{:?} {:?}", self.stats.figures(), self.sink.figures());
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        assert!(in_time.is_ok(), "waited in vain for {what}: {:?}", self.sink.figures());
    }

    async fn end(self) -> (Arc<MemoryJournal>, Arc<MemoryCursor>, MongoSink) {
        drop(self.stop);
        self.task.await.unwrap();
        (self.journal, self.cursor, self.sink)
    }
}

/// The numbers of the events that a server has, in order.
fn stored(server: &ScriptedServer) -> Vec<i64> {
    let documents = server.documents("logs.logs").into_iter();
    let mut numbers: Vec<i64> = documents
        .map(|document| {
            let document = Document::try_from(&*document).unwrap();
            let metadata = document.get_document("metadata").unwrap();
            metadata.get_i32("n").unwrap().into()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

fn all(events: i64) -> Vec<i64> {
    (0..events).collect()
}

#[tokio::test]
async fn every_event_becomes_a_document_with_its_own_id() {
    let server = ScriptedServer::start().await;
    let world = world(config(&server), 95);
    world.settled().await;
    assert_eq!(stored(&server), all(95));
    let command = Document::try_from(&*server.last_insert().unwrap()).unwrap();
    assert!(!command.get_bool("ordered").unwrap());
    let concern = command.get_document("writeConcern").unwrap();
    assert_eq!(concern, &bson::doc! { "w": "majority", "j": true });
    assert_eq!(command.get_i64("maxTimeMS").unwrap(), 5000);
    assert!(server.inserts() >= 10, "{} commands of ten documents", server.inserts());
    let figures = world.sink.figures();
    assert_eq!((figures.inserted, figures.duplicates, figures.collisions), (95, 0, 0));
    let ids: Vec<String> = server
        .documents("logs.logs")
        .iter()
        .map(|document| document.get_object_id("_id").unwrap().to_hex())
        .collect();
    let group = world.journal.read(world.journal.oldest(), 1 << 20).await.unwrap().unwrap();
    assert_eq!(ids[0], group.get(0).unwrap().id().to_string());
}

/// S-034, S-035, S-036, S-038, S-043: whatever happens to an attempt, the next one is about the same
/// documents, and none is there twice.
#[tokio::test]
async fn whatever_happens_to_an_attempt_nothing_is_lost_or_doubled() {
    let labels: &'static [&'static str] = &["RetryableWriteError"];
    let command = |code, message, labels| Act::Command { code, message, labels };
    let acts = [
        ("reply lost", Act::ApplyThenClose),
        ("reply cut", Act::ApplyThenReset { bytes: 21 }),
        ("part of it stored", Act::ApplyFirst { documents: 3 }),
        ("slow drip", Act::Drip { bytes: 7, every: Duration::from_millis(1) }),
        ("late", Act::Delay(Duration::from_millis(30))),
        ("not primary", command(10_107, "not primary", labels)),
        ("shutting down", command(91, "shutdown in progress", &[])),
        ("throttled", command(16_500, "Request rate is large", &[])),
        ("disk full", command(14_031, "No space left", &[])),
        ("not authorized", command(13, "not authorized on logs", &[])),
        ("nobody knows", command(1_234_567, "nobody knows", &[])),
        (
            "concern",
            Act::WriteConcernError { code: 64, message: "waiting for replication timed out" },
        ),
        ("transient per document", Act::WriteErrors(vec![(0, 189, "stepped down".to_owned())])),
        ("out of range", Act::WriteErrors(vec![(99, 121, "what".to_owned())])),
        ("twice", Act::WriteErrors(vec![(1, 121, "what".to_owned()), (1, 121, "what".to_owned())])),
    ];
    let garbage = Garbage::ALL.into_iter().map(|garbage| ("garbage", Act::Garbage(garbage)));
    for (name, act) in acts.into_iter().chain(garbage) {
        let server = ScriptedServer::start().await;
        server.next_inserts([Act::Apply, act.clone(), Act::Apply, act.clone(), act]);
        let world = world(config(&server), 60);
        world.settled().await;
        assert_eq!(stored(&server), all(60), "{name}");
        assert!(world.kept.0.lock().unwrap().is_empty(), "{name}");
        assert_eq!(world.sink.figures().collisions, 0, "{name}");
        assert_eq!(world.sink.figures().trouble, None, "{name}");
    }
}

/// S-037: an answer that never comes is waited for no longer than one attempt takes.
#[tokio::test]
async fn a_hanging_server_is_asked_again() {
    let server = ScriptedServer::start().await;
    server.next_inserts([Act::HangBeforeApply, Act::ApplyThenHang]);
    let mut config = config(&server);
    config.attempt_timeout = Duration::from_millis(100);
    let world = world(config, 30);
    world.settled().await;
    assert_eq!(stored(&server), all(30));
    assert!(world.sink.figures().transient >= 2, "{:?}", world.sink.figures());
}

/// One document that a server refuses costs itself alone, and is kept with the reason.
#[tokio::test]
async fn a_refused_document_is_kept_and_its_neighbours_are_stored() {
    let server = ScriptedServer::start().await;
    server.next_inserts([Act::WriteErrors(vec![(
        4,
        121,
        "Document failed validation".to_owned(),
    )])]);
    let world = world(config(&server), 30);
    world.settled().await;
    let kept = world.kept.0.lock().unwrap().clone();
    assert_eq!(kept, ["Document failed validation (code 121)"]);
    assert_eq!(stored(&server).len(), 29);
    assert_eq!(world.stats.figures().quarantined, 1);
}

/// A batch that is refused as a whole is halved until what is to blame is alone.
#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_is_taken_apart() {
    for (code, more) in [(22, false), (1, true)] {
        let server = ScriptedServer::start().await;
        let refused = Act::Command { code, message: "invalid BSON", labels: &[] };
        // 0 to 9; 0 to 4; 0 to 1; 0; then 1, 2 to 4, 5 to 9.
        let halves = [refused.clone(), refused.clone(), refused.clone(), refused.clone()];
        server.next_inserts(halves);
        if more {
            // What might be the server's fault is asked for again once others are stored.
            server.next_inserts([Act::Apply, Act::Apply, Act::Apply, refused]);
        }
        let world = world(config(&server), 10);
        world.settled().await;
        assert_eq!(stored(&server), (1..10).collect::<Vec<_>>(), "{code}");
        let kept = world.kept.0.lock().unwrap().clone();
        assert!(kept.len() == 1 && kept[0].contains("invalid BSON"), "{kept:?}");
    }
}

/// The commands of an attempt at documents that the server has, all but the last of ten: what holds
/// that one is refused.
fn only_the_last_is_refused() -> [Act; 9] {
    let refused = Act::Command { code: 1, message: "cannot write", labels: &[] };
    // 0 to 9; 0 to 4, 5 to 9; 5 and 6, 7 to 9; 7, 8 and 9; 8, 9.
    [
        &refused,
        &Act::Apply,
        &refused,
        &Act::Apply,
        &refused,
        &Act::Apply,
        &refused,
        &Act::Apply,
        &refused,
    ]
    .map(Clone::clone)
}

/// A server that knows what it has need not be able to write, so it is waited for.
#[tokio::test]
async fn a_server_that_only_reads_is_not_believed_to_mean_the_document() {
    let server = ScriptedServer::start().await;
    let again = Act::Command { code: 1, message: "cannot write", labels: &[] };
    server.next_inserts([Act::ApplyFirst { documents: 9 }]);
    server.next_inserts(only_the_last_is_refused());
    // Once more, and then alone, twice for each attempt.
    server.next_inserts(vec![again; 1 + 2 * 2]);
    let world = world(config(&server), 10);
    world.settled().await;
    assert!(world.kept.0.lock().unwrap().is_empty());
    assert_eq!((stored(&server), world.sink.figures().configuration), (all(10), 3));
}

/// But not for ever.
#[tokio::test]
async fn a_document_is_given_up_that_is_refused_again_and_again() {
    let server = ScriptedServer::start().await;
    let again = Act::Command { code: 1, message: "cannot write", labels: &[] };
    server.next_inserts([Act::ApplyFirst { documents: 9 }]);
    server.next_inserts(only_the_last_is_refused());
    server.next_inserts(vec![again; 1_000]);
    let mut config = config(&server);
    config.attempt_timeout = Duration::from_millis(100);
    let world = world(config, 10);
    world.settled().await;
    assert_eq!(stored(&server), (0..9).collect::<Vec<_>>());
    let kept = world.kept.0.lock().unwrap().clone();
    assert!(kept.len() == 1 && kept[0].contains("cannot write"), "{kept:?}");
}

/// What no part of a batch gets past need not be in the batch: it is waited for, and told.
#[tokio::test]
async fn a_server_that_takes_nothing_is_not_believed_to_mean_the_documents() {
    let server = ScriptedServer::start().await;
    server.always(Act::Command { code: 1, message: "internal error", labels: &[] });
    let world = world(config(&server), 12);
    world.until("the trouble", |world| world.sink.figures().configuration >= 3).await;
    assert!(world.sink.figures().trouble.unwrap().contains("internal error"));
    assert!(world.kept.0.lock().unwrap().is_empty());
    server.always(Act::Apply);
    world.settled().await;
    assert_eq!((stored(&server), world.sink.figures().trouble), (all(12), None));
}

/// A write concern that a server cannot meet is nobody's poison: everything waits.
#[tokio::test]
async fn what_is_wrong_with_the_settings_costs_no_event() {
    let server = ScriptedServer::start().await;
    let message = "cannot use 'w' > 1 when a host is not replicated";
    server.always(Act::Command { code: 2, message, labels: &[] });
    let world = world(config(&server), 50);
    world.until("the trouble", |world| world.sink.figures().configuration >= 2).await;
    assert!(world.sink.figures().trouble.unwrap().contains(message));
    assert!(world.kept.0.lock().unwrap().is_empty());
    server.always(Act::Apply);
    world.settled().await;
    assert_eq!(stored(&server), all(50));
}

/// A router tells of a shard without a primary as an error of each document.
#[tokio::test]
async fn troubles_told_by_document_are_waited_for() {
    let server = ScriptedServer::start().await;
    let errors = |code| (0..10).map(|at| (at, code, "no primary for shard".to_owned())).collect();
    server.next_inserts([Act::WriteErrors(errors(133)), Act::WriteErrors(errors(1_234_567))]);
    let world = world(config(&server), 10);
    world.settled().await;
    assert_eq!(stored(&server), all(10));
    assert!(world.kept.0.lock().unwrap().is_empty());
}

/// S-033: the server may come later, and go, and come again.
#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let server = ScriptedServer::start().await;
    server.refuse_connections(true);
    let world = world(config(&server), 20);
    world.until("an attempt to fail", |world| world.sink.figures().transient >= 1).await;
    server.refuse_connections(false);
    world.settled().await;
    server.refuse_connections(true);
    append(&world.journal, 20..40);
    let before = world.sink.figures().transient;
    world.until("an attempt to fail", |world| world.sink.figures().transient > before).await;
    server.refuse_connections(false);
    world.settled().await;
    assert_eq!(stored(&server), all(40));
}

/// S-038: an election.
#[tokio::test]
async fn a_new_primary_is_found() {
    let server = ScriptedServer::start_replica_set().await;
    let world = world(config(&server), 20);
    world.settled().await;
    server.step_down();
    append(&world.journal, 20..40);
    world.until("an attempt to fail", |world| world.sink.figures().transient >= 1).await;
    server.step_up();
    world.settled().await;
    assert_eq!(stored(&server), all(40));
}

/// S-006: a process that ends amid a batch leaves it to the next one.
#[tokio::test]
async fn an_end_amid_a_batch_doubles_nothing() {
    let server = ScriptedServer::start().await;
    server.next_inserts([Act::Apply, Act::ApplyThenHang, Act::ApplyThenHang]);
    let world = world(config(&server), 60);
    server.wait_for_inserts(3).await;
    world.task.abort();
    let World { journal, cursor, .. } = world;
    let again = start(journal.clone(), MongoSink::new(config(&server), journal.head().seq), cursor);
    again.settled().await;
    assert_eq!(stored(&server), all(60));
    let figures = again.sink.figures();
    assert!(figures.duplicates > 0, "{figures:?}");
    assert_eq!(figures.collisions, 0);
    let (journal, cursor, _) = again.end().await;
    // What was delivered is not sent any more.
    let third = start(journal.clone(), MongoSink::new(config(&server), journal.head().seq), cursor);
    append(&journal, 60..61);
    third.until("the last", |world| world.sink.figures().inserted == 1).await;
    assert_eq!((stored(&server), third.sink.figures().duplicates), (all(61), 0));
}

/// Ids that somebody else has used are told of: two logmons must not share a data directory.
#[tokio::test]
async fn ids_of_others_are_noticed() {
    let server = ScriptedServer::start().await;
    let first = world(config(&server), 10);
    first.settled().await;
    let copy = start(first.journal.clone(), MongoSink::new(config(&server), 0), Arc::default());
    copy.settled().await;
    assert_eq!(copy.sink.figures().collisions, 10);
}

/// Indexes are made once; that they cannot be is told, and events are written all the same.
#[tokio::test]
async fn indexes_are_made_and_left_as_they_are() {
    let server = ScriptedServer::start().await;
    let mut expiring = config(&server);
    expiring.expire_after = Some(Duration::from_secs(3600));
    let world = world(expiring.clone(), 10);
    world.settled().await;
    let mut status = world.sink.status("app").await.unwrap();
    // They are made beside the events.
    while status.indexes.len() < 5 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        status = world.sink.status("app").await.unwrap();
    }
    assert_eq!(world.sink.differences(), []);
    assert_eq!((status.name.as_str(), status.documents), ("logs", 10));
    let names: Vec<&str> = status.indexes.iter().map(|(name, _)| name.as_str()).collect();
    for index in [
        "timestamp_-1__id_-1",
        "level_1_timestamp_-1__id_-1",
        "source_1_timestamp_-1__id_-1",
        "createdAt_1",
    ] {
        assert!(names.contains(&index), "{names:?}");
    }
    // Another time to expire is changed, not made anew.
    expiring.expire_after = Some(Duration::from_secs(7200));
    let again = start(world.journal.clone(), MongoSink::new(expiring, 1 << 40), Arc::default());
    again.settled().await;
    assert_eq!(again.sink.differences(), []);
    // Who may not make indexes may still write.
    let server = ScriptedServer::start().await;
    server.fail_commands("createIndexes", 13, "not authorized", 100);
    let world = self::world(config(&server), 10);
    world.settled().await;
    world.until("the differences", |world| world.sink.differences().len() == 3).await;
    let differences = world.sink.differences();
    assert!(differences[0].to_string().contains("not authorized"), "{}", differences[0]);
}

#[tokio::test]
async fn tags_choose_collections() {
    let server = ScriptedServer::start().await;
    let mut config = config(&server);
    config.collection = Collection::OfTag { remove_prefix: "app.".to_owned() };
    let journal = Arc::new(MemoryJournal::new(1 << 20));
    for tag in ["app.web", "db", "app.web", "app."] {
        journal.append_now(&Log::new("x").tag(tag).to_batch().unwrap());
    }
    let world = start(journal, MongoSink::new(config, 0), Arc::default());
    world.settled().await;
    let count = |name: &str| server.documents(&format!("logs.{name}")).len();
    assert_eq!((count("web"), count("db"), count("untagged")), (2, 1, 1));
}

/// a document near the limit goes alone; one beyond it is kept with the reason.
#[tokio::test]
async fn large_documents_go_alone_and_larger_ones_are_kept() {
    let server = ScriptedServer::start().await;
    let journal = Arc::new(MemoryJournal::new(1 << 27));
    for megabytes in [13, 1, 17, 15] {
        let log =
            Log::new("m".repeat(megabytes << 20)).field("n", i64::try_from(megabytes).unwrap());
        journal.append_now(&log.to_batch().unwrap());
    }
    let world = start(journal, MongoSink::new(config(&server), 0), Arc::default());
    world.settled().await;
    assert_eq!(stored(&server), [1, 13, 15]);
    let kept = world.kept.0.lock().unwrap().clone();
    assert!(kept.len() == 1 && kept[0].contains("MongoDB takes 16777216"), "{kept:?}");
}
