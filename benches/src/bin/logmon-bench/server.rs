//! The server that is measured, in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// The longest a start or the sealing of what was sent may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running server.
pub(crate) struct Server {
    child: Child,
    dir: PathBuf,
    pub(crate) forward: String,
    http: String,
    agent: ureq::Agent,
}

/// What of the events is in blocks.
pub(crate) struct Searchable {
    pub(crate) block_events: u64,
    pub(crate) block_bytes: u64,
}

impl Server {
    /// Starts the program on ports that are free.
    pub(crate) fn start(binary: &Path, dir: &Path, more: &[String]) -> anyhow::Result<Self> {
        ensure!(!dir.exists(), "{} exists; it would be measured with it", dir.display());
        fs::create_dir_all(dir)?;
        let log = fs::File::create(dir.join("server.log"))?;
        let child = Command::new(binary)
            .args(["run", "--forward", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {} failed", binary.display()))?;
        let mut server = Self {
            child,
            dir: dir.to_owned(),
            forward: String::new(),
            http: String::new(),
            agent: ureq::Agent::new_with_defaults(),
        };
        server.find_addresses()?;
        Ok(server)
    }

    fn find_addresses(&mut self) -> anyhow::Result<()> {
        let file = self.dir.join("logmon.addr");
        let began = Instant::now();
        let text = loop {
            if let Ok(text) = fs::read_to_string(&file) {
                break text;
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}; see {}/server.log", self.dir.display());
            }
            ensure!(began.elapsed() < PATIENCE, "the server does not start");
            std::thread::sleep(Duration::from_millis(5));
        };
        let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        of("forward=").context("no forward address")?.clone_into(&mut self.forward);
        of("http=").context("no HTTP address")?.clone_into(&mut self.http);
        Ok(())
    }

    /// Asks the HTTP API.
    pub(crate) fn get(&self, path: &str, pairs: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = format!("http://{}{path}", self.http);
        let request = self.agent.get(&url).query_pairs(pairs.iter().copied());
        let mut answer = request.call().with_context(|| format!("asking {path} failed"))?;
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
        Ok(serde_json::from_str(&body)?)
    }

    /// Waits until all events are found and, but for less than a block, in blocks.
    pub(crate) fn wait_for_events(&self, events: u64) -> anyhow::Result<Searchable> {
        let began = Instant::now();
        loop {
            let health = self.get("/health", &[])?;
            let figure = |name: &str| health.pointer(name).and_then(Value::as_u64);
            let appended =
                figure("/figures/journal/appended").context("no figure of the journal")?;
            let Some(block_events) = figure("/figures/store/events") else {
                return Ok(Searchable { block_events: 0, block_bytes: 0 });
            };
            let block_bytes = figure("/figures/store/bytes").unwrap_or(0);
            if appended >= events && appended - block_events.min(appended) < 20_000 {
                return Ok(Searchable { block_events, block_bytes });
            }
            ensure!(began.elapsed() < PATIENCE, "the store does not seal: {health}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Host and port of the HTTP side.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// CPU time of the process so far, all its threads and the system's work for them.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(self.child.id())
    }

    /// The same since it was asked before.
    pub(crate) fn cpu_since(&self, before: Duration) -> anyhow::Result<Duration> {
        Ok(self.cpu()?.saturating_sub(before))
    }

    /// The most memory that was resident, in bytes.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        memory_of(self.child.id(), "VmHWM:")
    }

    /// Ends the server and removes its data.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        fs::remove_dir_all(&self.dir)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already, where all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// CPU time of a process so far, all its threads and the system's work for them.
pub(crate) fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    /// The clock ticks that Linux tells times of processes in.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("no process status")?;
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// Memory of a process that is resident, in bytes.
pub(crate) fn resident_of(pid: u32) -> anyhow::Result<u64> {
    memory_of(pid, "VmRSS:")
}

fn memory_of(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib: u64 = line.context("no such figure")?.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib << 10)
}
