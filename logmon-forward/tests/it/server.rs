//! A listener for one test.

use std::net::SocketAddr;
use std::sync::Arc;

use logmon_core::{Event as _, Journal, MemoryJournal, Quarantine};
use logmon_forward::{Listener, ListenerConfig, Snapshot, Stats};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A listener that runs until it is told to end.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) stats: Arc<Stats>,
    pub(crate) shutdown: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(
        journal: Arc<dyn Journal>,
        change: impl FnOnce(&mut ListenerConfig),
    ) -> Self {
        Self::start_with(journal, None, change)
    }

    /// As [`Self::start`], with a quarantine or without.
    pub(crate) fn start_with(
        journal: Arc<dyn Journal>,
        quarantine: Option<Arc<dyn Quarantine>>,
        change: impl FnOnce(&mut ListenerConfig),
    ) -> Self {
        let mut config = ListenerConfig::default();
        config.listen.set_port(0);
        change(&mut config);
        let mut listener = Listener::bind(config, journal).unwrap();
        if let Some(quarantine) = quarantine {
            listener = listener.with_quarantine(quarantine);
        }
        let (addr, stats) = (listener.local_addr(), listener.stats());
        let (shutdown, wanted) = oneshot::channel();
        let task = tokio::spawn(listener.run(async {
            let _dropped_or_sent = wanted.await;
        }));
        Self { addr, stats, shutdown, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends bytes, closes the sending side, and gives what comes back until the end.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut client = self.connect().await;
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    }

    /// Ends the listener and gives its last figures.
    pub(crate) async fn end(self) -> Snapshot {
        drop(self.shutdown);
        self.task.await.unwrap();
        self.stats.snapshot()
    }
}

/// The tags and texts of all events, in order.
pub(crate) async fn stored(journal: &MemoryJournal) -> Vec<(String, String)> {
    let (mut from, mut all) = (journal.oldest(), Vec::new());
    while let Some(group) = journal.read(from, 1 << 20).await.unwrap() {
        all.extend(group.iter().map(|log| (log.tag().to_owned(), log.message().into_owned())));
        from = group.end();
    }
    all
}
