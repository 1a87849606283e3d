//! The real binary, in a folder of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::http::{self, Response};
use super::until;

/// A folder that a test works in. Servers that are started in it one after the other share their
/// data.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    /// What all servers of this home have said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// The binary, with nothing of the developer's own settings around it: the one that was built
    /// with the tests, or that which `LOGMON_TEST_BINARY` names.
    pub(crate) fn logmon(&self) -> Command {
        let binary = std::env::var_os("LOGMON_TEST_BINARY");
        let mut command =
            Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_logmon").into()));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("LOGMON_")
                || ["PORT", "FRONTEND_URL", "MONGODB_URI"].contains(&&*text)
            {
                command.env_remove(&name);
            }
        }
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// `logmon run` on free ports of this machine.
    pub(crate) fn logmon_run(&self) -> Command {
        self.logmon_run_at("127.0.0.1:0", "127.0.0.1:0")
    }

    /// `logmon run` on the given addresses.
    pub(crate) fn logmon_run_at(&self, forward: &str, http: &str) -> Command {
        let mut command = self.logmon();
        command.args(["run", "--forward", forward, "--http", http, "--data-dir"]);
        command.arg(self.data_dir());
        command
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn start(&self) -> Server {
        self.start_with(|_| {})
    }

    /// As [`Self::start`], with more options.
    pub(crate) fn start_with(&self, change: impl FnOnce(&mut Command)) -> Server {
        let addresses = self.data_dir().join("logmon.addr");
        // One that was killed could not remove it.
        drop(fs::remove_file(&addresses));
        let mut command = self.logmon_run();
        change(&mut command);
        let log = || File::options().create(true).append(true).open(self.path().join("log"));
        command.stdout(log().unwrap()).stderr(log().unwrap());
        let mut child = command.spawn().unwrap();
        let (forward, http) = until("the server to listen", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            read_addresses(&addresses)
        });
        Server { child, log: self.path().join("log"), forward, http }
    }
}

/// The addresses that a server wrote down, once they are there.
pub(crate) fn read_addresses(file: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(file).ok()?;
    let of = |name| text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    Some((of("forward=")?, of("http=")?))
}

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) forward: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Server {
    /// As a power cut would: no handler runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to end.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the server the signal of this name.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own `kill`: the program of that name is not on every machine.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end that was asked for.
    pub(crate) fn wait(mut self) -> ExitStatus {
        until("the server to end", || self.child.try_wait().unwrap())
    }

    /// Ends the server as a service manager does.
    pub(crate) fn stop(self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// The same, and it has to end well.
    pub(crate) fn end(self) {
        let log = self.log.clone();
        let status = self.stop();
        let log = fs::read_to_string(log).unwrap_or_default();
        assert!(status.success(), "the server ended with {status}:\n{log}");
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The most memory the server has held, and what it holds, as the system says.
    pub(crate) fn memory(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let lines = status.lines().filter(|line| {
            ["VmHWM", "VmRSS", "VmData", "Threads"].iter().any(|name| line.starts_with(name))
        });
        lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Memory it holds now.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.kib("VmRSS:")
    }

    /// The most memory it has held.
    pub(crate) fn most_resident_kib(&self) -> u64 {
        self.kib("VmHWM:")
    }

    fn kib(&self, name: &str) -> u64 {
        let memory = self.memory();
        memory
            .split(", ")
            .find_map(|part| part.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
            .unwrap()
    }

    /// What each thread is called, and how much time of a processor it took, in clock ticks.
    #[cfg(target_os = "linux")]
    pub(crate) fn ticks_by_thread(&self) -> Vec<(String, u64)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).ok();
        let ticks = |stat: String| {
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            // Time in the program and in the system: fields 14 and 15.
            let times = rest.split_whitespace().skip(11).take(2);
            Some((name.to_owned(), times.map(|time| time.parse::<u64>().unwrap()).sum()))
        };
        tasks.filter_map(|task| ticks(stat(task.unwrap())?)).collect()
    }

    /// A figure of the Forward listener.
    pub(crate) fn forward_figure(&self, name: &str) -> u64 {
        self.get("/health").json()["figures"]["forward"][name].as_u64().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        http::request(self.http, "GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, media: &str, body: impl AsRef<[u8]>) -> Response {
        http::request(self.http, "POST", path, &[("Content-Type", media)], body.as_ref())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
