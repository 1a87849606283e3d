//! Puts the parts together, runs them, and takes them apart in order.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use logmon_core::Hub;
use logmon_forward::{Handle, Listener};
use logmon_store::{DirQuarantine, DiskJournal, JournalConfig, Retention};
use tokio::sync::watch;

use crate::config::{Config, Durability};
use crate::demo;
use crate::figures::Figures;
use crate::http::{App, Guard, Intake, Parts, Server};
use crate::outputs::Outputs;
use crate::store;

/// Runs until a signal ends it.
///
/// # Errors
/// The data directory, the journal or an address cannot be had.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    // Whoever reads the addresses may send a signal at once, and the first file may be too large.
    let signals = Signals::new()?;
    let data = Data::open(&config)?;
    let Data { journal, quarantine, .. } = data.clone();
    let outputs = Outputs::open(&config, &journal, &quarantine)?;
    let queried = data.store.queried(&config, &outputs, &journal);
    let hub = Hub::following(journal.clone(), config.ring_bytes);
    let forward = bind_forward(&config, &journal, &quarantine)?;
    let server = bind_http(&config).await?;
    let unix = config.forward.unix.as_ref().map(|unix| unix.path.clone());
    let addresses = Addresses { forward: forward.local_addr(), unix, http: server.local_addr()? };
    let (stop, stopped) = watch::channel(false);
    let (stats, intake) = (forward.stats(), Arc::<Intake>::default());
    let app = App::new(Parts {
        journal: journal.clone(),
        hub: hub.clone(),
        store: queried.all,
        in_journal: queried.in_journal,
        fields: config.fields.clone(),
        intake: intake.clone(),
        health: Arc::new(Figures {
            intake,
            journal: journal.clone(),
            stats,
            quarantine,
            outputs: outputs.figures(),
            store: data.store.local(),
            watch: outputs.watched(),
        }),
        guard: guard(&config, addresses.http),
        cursor_key: cursor_key(&config.data_dir)?,
        max_body_bytes: config.http.max_body_bytes,
        shutdown: stopped.clone(),
    });
    let (stop_outputs, outputs_stopped) = watch::channel(false);
    let forwarding = tokio::spawn(outputs.run(outputs_stopped));
    let following = tokio::spawn(async move { hub.run(std::future::pending()).await });
    #[cfg(unix)]
    let reloading = tokio::spawn(reload(forward.handle())?);
    let collecting = tokio::spawn(forward.run(ended(stopped.clone())));
    let serving = tokio::spawn(server.run(app, stopped.clone()));
    let demo = config.has_demo.then(|| tokio::spawn(demo::run(addresses.forward, ended(stopped))));
    addresses.tell(&config.data_dir)?;

    signals.wait().await?;
    tracing::info!("ending: finishing what is under way");
    stop.send_replace(true);
    if let Some(demo) = demo {
        drop(demo.await);
    }
    // Inputs first, so that nothing is acknowledged behind the back of the readers.
    drop(collecting.await);
    drop(serving.await);
    following.abort();
    stop_outputs.send_replace(true);
    drop(forwarding.await);
    #[cfg(unix)]
    reloading.abort();
    tokio::task::spawn_blocking(move || data.close()).await.context("closing the journal")?;
    Addresses::forget(&config.data_dir);
    Ok(())
}

/// What is on the disk.
#[derive(Clone)]
struct Data {
    journal: Arc<DiskJournal>,
    store: store::Opened,
    quarantine: DirQuarantine,
}

impl Data {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let found = store::find(config)?;
        let journal = Arc::new(open_journal(config, found.end_seq())?);
        let store = found.start(config, &journal)?;
        Ok(Self { journal, store, quarantine: open_quarantine(config)? })
    }

    /// Makes durable what is not yet. Blocks.
    fn close(&self) {
        self.store.close();
        self.journal.close();
    }
}

fn open_journal(config: &Config, min_seq: u64) -> anyhow::Result<DiskJournal> {
    let folder = config.data_dir.join("journal");
    let mut settings = JournalConfig::default();
    settings.durability = match config.journal.durability {
        Durability::Sync => logmon_store::Durability::Sync,
        Durability::Interval(interval) => logmon_store::Durability::Interval(interval),
        Durability::None => logmon_store::Durability::None,
    };
    let mut retention = Retention::default();
    retention.max_bytes = config.journal.max_bytes;
    retention.max_age = config.journal.max_age;
    settings.retention = retention;
    settings.min_seq = min_seq;
    settings.staging_max_bytes = config.journal.staging_max_bytes;
    settings.history_bytes = config.journal.history_bytes.unwrap_or(u64::MAX);
    settings.orphan_max_age = config.journal.orphan_max_age;
    settings.max_commit_delay = config.journal.max_commit_delay;
    let (journal, report) = DiskJournal::open(&folder, settings)
        .with_context(|| format!("opening the journal in {} failed", folder.display()))?;
    for damage in &report.damages {
        tracing::warn!(file = damage.file, kind = ?damage.kind, bytes = ?damage.range, events = ?damage.events, "the journal is damaged; everything else is served");
    }
    tracing::info!(
        durability = ?config.journal.durability,
        next_seq = report.next_seq,
        scanned_bytes = report.scanned_bytes,
        "journal opened; an acknowledged event is as durable as this says"
    );
    Ok(journal)
}

fn open_quarantine(config: &Config) -> anyhow::Result<DirQuarantine> {
    let folder = config.data_dir.join("quarantine");
    let open = || {
        let quarantine = DirQuarantine::open(&folder, config.quarantine)?;
        quarantine.clean()?;
        Ok(quarantine)
    };
    open().map_err(|error: std::io::Error| {
        anyhow::Error::new(error)
            .context(format!("opening the quarantine in {} failed", folder.display()))
    })
}

fn bind_forward(
    config: &Config,
    journal: &Arc<DiskJournal>,
    quarantine: &DirQuarantine,
) -> anyhow::Result<Listener> {
    let mut listener = config.forward.clone();
    listener.settings.fields = config.fields.clone();
    let listener = Listener::bind(listener, journal.clone())?;
    Ok(listener.with_quarantine(Arc::new(quarantine.clone())))
}

async fn bind_http(config: &Config) -> anyhow::Result<Server> {
    let address = config.http.listen;
    let bound = Server::bind(address, config.http.max_connections).await;
    bound.with_context(|| format!("listening for HTTP on {address} failed"))
}

fn guard(config: &Config, address: SocketAddr) -> Guard {
    Guard {
        hosts: config.http.hosts.clone(),
        origins: config.http.origins.clone(),
        is_loopback: address.ip().is_loopback(),
    }
}

/// Reads the certificate of the listener again at every SIGHUP.
#[cfg(unix)]
fn reload(listener: Handle) -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup()).context("listening for SIGHUP failed")?;
    Ok(async move {
        while hangups.recv().await.is_some() {
            let listener = listener.clone();
            match tokio::task::spawn_blocking(move || listener.reload_tls()).await {
                Ok(Ok(())) => tracing::info!("reloaded at SIGHUP"),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a certificate was not loaded; the old one is in use");
                }
                Err(error) => tracing::warn!(%error, "reloading ended in a way it should not"),
            }
        }
    })
}

/// The key that signs paging cursors, kept with the data so that they outlive a restart.
fn cursor_key(data_dir: &Path) -> anyhow::Result<[u8; 32]> {
    let file = data_dir.join("http.key");
    if let Ok(bytes) = std::fs::read(&file)
        && let Ok(key) = bytes.try_into()
    {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let fail = || format!("writing {} failed", file.display());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&file).and_then(|mut out| out.write_all(&key)).with_context(fail)?;
    Ok(key)
}

/// Where the listeners are.
#[derive(Clone, Debug)]
struct Addresses {
    forward: SocketAddr,
    /// The Unix socket in place of the address.
    unix: Option<PathBuf>,
    http: SocketAddr,
}

/// The file in the data directory that names the addresses while the process runs.
const ADDRESS_FILE: &str = "logmon.addr";

impl Addresses {
    /// Prints the addresses and writes them to a file, whole or not at all.
    fn tell(&self, data_dir: &Path) -> anyhow::Result<()> {
        let forward = match &self.unix {
            Some(path) => format!("unix:{}", path.display()),
            None => self.forward.to_string(),
        };
        let text = format!("forward={forward}\nhttp={}\n", self.http);
        let (file, draft) = (data_dir.join(ADDRESS_FILE), data_dir.join("logmon.addr.new"));
        std::fs::write(&draft, &text)
            .and_then(|()| std::fs::rename(&draft, &file))
            .with_context(|| format!("writing {} failed", file.display()))?;
        let text = format!("{text}open http://{}/\n", self.http);
        // Whoever started us may have closed our output, which is no reason not to run.
        drop(std::io::stdout().write_all(text.as_bytes()));
        Ok(())
    }

    fn forget(data_dir: &Path) {
        // A file that stays behind is written anew by the next start.
        drop(std::fs::remove_file(data_dir.join(ADDRESS_FILE)));
    }
}

/// Resolves when the program is to end.
async fn ended(mut stopped: watch::Receiver<bool>) {
    drop(stopped.wait_for(|ending| *ending).await);
}

/// The signals that end the program. From their making on none is missed.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    /// Whoever listens is not ended by it: a write beyond the limit on a file's size then fails
    /// like any other, and is told.
    #[cfg(target_os = "linux")]
    _file_too_large: tokio::signal::unix::Signal,
}

/// SIGXFSZ, which has a number on every system and a name in none of the crates at hand.
#[cfg(target_os = "linux")]
const FILE_TOO_LARGE: i32 = 25;

impl Signals {
    fn new() -> anyhow::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = |kind| signal(kind).context("listening for signals failed");
            Ok(Self {
                terminate: listen(SignalKind::terminate())?,
                interrupt: listen(SignalKind::interrupt())?,
                #[cfg(target_os = "linux")]
                _file_too_large: listen(SignalKind::from_raw(FILE_TOO_LARGE))?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for SIGINT or SIGTERM.
    async fn wait(mut self) -> anyhow::Result<()> {
        #[cfg(unix)]
        {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            Ok(())
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
    }
}
