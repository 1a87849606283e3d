//! The sender as an output of a journal, and towards our own listener.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use logmon_core::{
    BoxFuture, Cursor as _, CursorState, Event as _, Journal as _, Log, MemoryCursor,
    MemoryJournal, Quarantine, QuarantineError, Quarantined, Runner, RunnerConfig, Value,
};
use logmon_forward::handshake::{ClientSecurity, SecuritySettings};
use logmon_forward::sender::{Address, Compression, FailureKind, Peer, SenderConfig};
use logmon_forward::tls::{ClientTls, TlsSettings};
use logmon_forward::{Listener, ListenerConfig, Sender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::script::*;

/// Our listener over a journal in memory.
pub(super) struct Server {
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) address: Address,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) fn start(change: impl FnOnce(&mut ListenerConfig)) -> Self {
        let journal = Arc::new(MemoryJournal::new(64 << 20));
        let mut config = ListenerConfig::default();
        config.listen.set_port(0);
        change(&mut config);
        let listener = Listener::bind(config, journal.clone()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = listener.local_addr().into();
        let task = tokio::spawn(listener.run(async {
            let _dropped = stopped.await;
        }));
        Self { journal, address, stop, task }
    }

    async fn logs(&self) -> Vec<Log> {
        let (mut from, mut logs) = (self.journal.oldest(), Vec::new());
        while let Some(group) = self.journal.read(from, 1 << 20).await.unwrap() {
            logs.extend(group.iter().map(|log| log.to_log()));
            from = group.end();
        }
        logs
    }

    pub(super) async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

/// What is the same about an event on both sides.
fn shown(log: &Log) -> (String, String, i64, String) {
    let metadata = Value::Map(log.metadata.clone()).to_json();
    (log.tag().to_owned(), log.message.clone(), log.timestamp().as_nanos(), metadata)
}

fn logs() -> Vec<Log> {
    let log =
        |n: usize| Log::new(format!("event {n}")).tag(["a", "b", "c"][n % 3]).field("n", n as u64);
    (0..300).map(log).collect()
}

/// Files with a certificate for `localhost`, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("logmon-sender-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(&self.0, name)
    }

    fn server(&self) -> TlsSettings {
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        TlsSettings { cert, key, ..TlsSettings::default() }
    }

    fn client(&self) -> ClientTls {
        ClientTls {
            ca: Some(self.path("cert.pem")),
            server_name: Some("localhost".into()),
            ..ClientTls::default()
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// Relays events from one journal into another and sees whether all arrive.
async fn relay(
    listener: impl FnOnce(&mut ListenerConfig),
    change: impl FnOnce(&mut SenderConfig),
) -> Sender {
    let server = Server::start(listener);
    let (journal, cursor) =
        (Arc::new(MemoryJournal::new(1 << 20)), Arc::new(MemoryCursor::default()));
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    let logs = logs();
    for log in &logs {
        journal.append(log.to_batch().unwrap()).await.unwrap();
    }
    let mut config = pipelined(server.address.clone());
    change(&mut config);
    let sender = Sender::new(config).unwrap();
    let runner_config = {
        let mut config = RunnerConfig::default();
        config.group_bytes = 4_000;
        config
    };
    let shelf = Arc::new(Shelf::default());
    let output = Arc::new(sender.clone());
    let runner = Runner::new(journal.clone(), output, cursor.clone(), shelf, runner_config);
    let head = journal.head();
    let done = async {
        while cursor.load().await.unwrap().map(|state| state.position) != Some(head) {
            tokio::task::yield_now().await;
        }
    };
    runner.run(done).await.unwrap();
    sender.close().await;
    let mut found: Vec<_> = server.logs().await.iter().map(shown).collect();
    let mut wanted: Vec<_> = logs.iter().map(shown).collect();
    found.sort();
    wanted.sort();
    if sender.stats().resent > 0 {
        found.dedup(); // at least once
    }
    assert_eq!(found, wanted);
    server.stop().await;
    assert_eq!(sender.stats().events, 300);
    sender
}

#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Vec<Quarantined>>);

impl Quarantine for Shelf {
    fn put(&self, item: Quarantined) -> BoxFuture<'_, Result<(), QuarantineError>> {
        self.0.lock().unwrap().push(item);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// F-139: against our own listener, plain and compressed.
#[tokio::test]
async fn relays_plain_and_compressed() {
    relay(|_| {}, |_| {}).await;
    relay(|_| {}, |config| config.compression = Compression::gzip()).await;
    relay(|_| {}, |config| config.compression = Compression::zstd()).await;
    relay(|_| {}, |config| config.peer = Peer::Any).await;
    relay(|_| {}, |config| config.connections = 4).await;
}

/// F-139: TLS, shared key and compression together.
#[tokio::test]
async fn relays_with_tls_and_a_shared_key() {
    let files = Files::new("relay");
    let security = SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("s3cret".into()),
        ..SecuritySettings::default()
    };
    let client = ClientSecurity {
        self_hostname: "client.example".into(),
        shared_key: "s3cret".into(),
        ..ClientSecurity::default()
    };
    let (tls, client_tls) = (files.server(), files.client());
    let sender = relay(
        |config| {
            config.tls = Some(tls);
            config.security = Some(security);
        },
        |config| {
            config.tls = Some(client_tls);
            config.security = Some(client);
            config.compression = Compression::zstd();
        },
    )
    .await;
    assert_eq!((sender.stats().connects, sender.stats().resent), (1, 0));
}

/// F-152: our own listener says with its HELO that it takes one message on each connection.
#[tokio::test]
async fn relays_one_message_per_connection() {
    let security = SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("s3cret".into()),
        ..SecuritySettings::default()
    };
    let client = ClientSecurity {
        self_hostname: "client.example".into(),
        shared_key: "s3cret".into(),
        ..ClientSecurity::default()
    };
    let sender = relay(
        |config| {
            config.security = Some(security);
            config.max_messages_per_connection = Some(1);
        },
        |config| config.security = Some(client),
    )
    .await;
    let stats = sender.stats();
    assert!(stats.connects == stats.chunks && stats.resent == 0, "{stats:?}");
}

/// A certificate nobody vouches for, and a listener without TLS, are errors of their own.
#[tokio::test]
async fn tls_faults_are_told() {
    let (files, others) = (Files::new("known"), Files::new("unknown"));
    let server = Server::start(|config| config.tls = Some(files.server()));
    let mut config = config(server.address.clone());
    config.tls = Some(others.client());
    let (_, failure) = Sender::new(config.clone()).unwrap().verify().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
    config.tls = Some(ClientTls { server_name: Some("other".into()), ..files.client() });
    let (_, failure) = Sender::new(config.clone()).unwrap().verify().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
    config.tls = Some(files.client());
    let sender = Sender::new(config.clone()).unwrap();
    sender.verify().await.unwrap();
    sender.reload_tls().unwrap();
    sender.verify().await.unwrap();
    config.tls = Some(ClientTls { ca: Some(files.path("missing.pem")), ..ClientTls::default() });
    assert!(Sender::new(config).is_err());
    server.stop().await;
}

/// F-147, F-149: over TLS an idle connection that was closed is noticed as well.
#[tokio::test]
async fn idle_ends_are_noticed_over_tls() {
    let files = Files::new("idle");
    let server = Server::start(|config| {
        config.tls = Some(files.server());
        config.idle_timeout = Some(Duration::from_millis(1));
    });
    let mut config = config(server.address.clone());
    config.tls = Some(files.client());
    let sender = Sender::new(config).unwrap();
    for _ in 0..10 {
        send(&sender, "a").await.unwrap();
    }
    assert_eq!(server.logs().await.len(), 10);
    server.stop().await;
}

/// F-151: a sender that is started again sends what was not acknowledged under the same ids.
#[tokio::test]
async fn a_restart_keeps_the_ids() {
    let script = Script::bind().await;
    let (journal, cursor) =
        (Arc::new(MemoryJournal::new(1 << 20)), Arc::new(MemoryCursor::default()));
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    for log in &logs() {
        journal.append(log.to_batch().unwrap()).await.unwrap();
    }
    let mut rounds = Vec::new();
    for _ in 0..2 {
        let sender = Arc::new(Sender::new(pipelined(script.address())).unwrap());
        let shelf = Arc::new(Shelf::default());
        let mut config = RunnerConfig::default();
        // As a crash would end it: nothing in flight is waited for.
        config.drain = Duration::ZERO;
        let runner = Runner::new(journal.clone(), sender, cursor.clone(), shelf, config);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = async {
            let mut wire = script.accept().await;
            let mut chunks = BTreeSet::new();
            while chunks.len() < 3 {
                // The first sender may have connected once more before it was dropped, and have
                // sent something again.
                let Some(chunk) = wire.next().await else {
                    wire = script.accept().await;
                    continue;
                };
                chunks.insert((chunk.tag.clone(), chunk.id.clone(), chunk.bytes().to_vec()));
            }
            stop.send(()).unwrap();
            chunks
        };
        let stopped = async {
            let _stopped = stopped.await;
        };
        let (ran, chunks) = tokio::join!(runner.run(stopped), serving);
        ran.unwrap();
        rounds.push(chunks);
    }
    assert!(rounds[0] == rounds[1], "other chunks");
    assert_eq!(rounds[0].iter().map(|chunk| chunk.0.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

/// With a limit, what is never delivered goes to the quarantine and the rest goes on.
#[tokio::test]
async fn what_is_given_up_is_quarantined() {
    let script = Script::bind().await;
    let mut config = config(script.address());
    drop(script);
    config.retry_timeout = Some(Duration::from_millis(10));
    let sender = Arc::new(Sender::new(config).unwrap());
    let (journal, cursor) =
        (Arc::new(MemoryJournal::new(1 << 20)), Arc::new(MemoryCursor::default()));
    cursor.save(CursorState::at(journal.head())).await.unwrap();
    journal.append(Log::new("lost").tag("t").to_batch().unwrap()).await.unwrap();
    let (shelf, head) = (Arc::new(Shelf::default()), journal.head());
    let output = RunnerConfig::default();
    let runner = Runner::new(journal.clone(), sender, cursor.clone(), shelf.clone(), output);
    let done = async {
        while cursor.load().await.unwrap().map(|state| state.position) != Some(head) {
            tokio::task::yield_now().await;
        }
    };
    runner.run(done).await.unwrap();
    let items = shelf.0.lock().unwrap();
    assert_eq!(items.len(), 1);
    assert!(items[0].detail.contains("connecting failed"), "{}", items[0].detail);
}

/// F-109: the same over a Unix socket.
#[cfg(unix)]
#[tokio::test]
async fn relays_over_a_unix_socket() {
    let files = Files::new("unix");
    let path = files.path("forward.sock");
    let listen = path.clone();
    let sender = relay(
        move |config| config.unix = Some(logmon_forward::UnixSocket { path: listen, mode: 0o600 }),
        move |config| config.servers[0].address = Address::Unix(path),
    )
    .await;
    assert_eq!((sender.stats().connects, sender.stats().resent), (1, 0));
}

/// A way to `server` on which the n-th connection breaks after n times `step` bytes.
fn breaking_proxy(server: Address, step: u64) -> Address {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().into();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        for round in 1.. {
            let (near, _) = listener.accept().await.unwrap();
            let far = tokio::net::TcpStream::connect(server.to_string()).await.unwrap();
            let ((near_in, mut near_out), (mut far_in, mut far_out)) =
                (near.into_split(), far.into_split());
            let back = tokio::spawn(async move {
                let _broken = tokio::io::copy(&mut far_in, &mut near_out).await;
            });
            let mut some = tokio::io::AsyncReadExt::take(near_in, round * step);
            let _broken = tokio::io::copy(&mut some, &mut far_out).await;
            back.abort();
        }
    });
    address
}

/// F-143, F-149: a network that cuts every connection loses nothing, whatever it cuts.
#[tokio::test]
async fn a_network_that_cuts_loses_nothing() {
    for step in [700, 1_111, 2_500] {
        let sender = relay(
            |_| {},
            |config| {
                let server = config.servers[0].address.clone();
                config.servers[0].address = breaking_proxy(server, step);
            },
        )
        .await;
        let stats = sender.stats();
        assert!(stats.resent > 0 && stats.connects > 2, "{stats:?}");
    }
}
