//! A MongoDB to test with: the one that `LOGMON_TEST_MONGODB_URI` names, or a server of the protocol
//! that `scripts/setup.sh` has fetched, started here.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that a test has started.
pub(crate) struct MongoDb {
    folder: tempfile::TempDir,
    child: Option<Child>,
    port: u16,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program, if it is there. The tests of this project fail without it, those of somebody who has
/// only the sources are left out.
fn program() -> Option<PathBuf> {
    let program = root().join(".tools/mongodb/secantusdb.scripts/secantusd-rs");
    if program.exists() {
        return Some(program);
    }
    let is_wanted = std::env::var_os("LOGMON_TEST_ALL").is_some() && cfg!(target_os = "linux");
    assert!(!is_wanted, "{} is missing; scripts/setup.sh fetches it", program.display());
    eprintln!("skipped: there is no MongoDB to test with; scripts/setup.sh fetches one");
    None
}

impl MongoDb {
    /// Starts a server whose writes are on disk before they are acknowledged; `None` where there is
    /// none.
    pub(crate) fn start() -> Option<Self> {
        program()?;
        let mut server = Self { folder: tempfile::tempdir().unwrap(), child: None, port: 0 };
        server.run();
        Some(server)
    }

    /// Starts it again, on the same port and with the same data.
    pub(crate) fn run(&mut self) {
        let out = self.folder.path().join("out");
        let said = File::create(&out).unwrap();
        let mut command = Command::new(program().unwrap());
        command
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--cache-size", "256M", "--log-file-max", "64MB", "--sync-on-commit"])
            .arg("--storage-path")
            .arg(self.folder.path().join("data"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        self.child = Some(command.spawn().unwrap());
        let port = || {
            let said = fs::read_to_string(&out).ok()?;
            let (_, address) = said.split_once("listening on ")?;
            address.lines().next()?.rsplit(':').next()?.parse().ok()
        };
        let end = Instant::now() + Duration::from_secs(60);
        self.port = loop {
            if let Some(port) = port() {
                break port;
            }
            assert!(Instant::now() < end, "the MongoDB does not listen");
            std::thread::sleep(Duration::from_millis(5));
        };
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The connection string of a database.
    pub(crate) fn uri(&self, database: &str) -> String {
        format!(
            "mongodb://127.0.0.1:{}/{database}?serverMonitoringMode=poll&heartbeatFrequencyMS=500",
            self.port
        )
    }
}

impl Drop for MongoDb {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection string for a database of this name, and the server behind it where it was started
/// here; `None` where there is no MongoDB.
pub(crate) fn any(database: &str) -> Option<(String, Option<MongoDb>)> {
    if let Ok(uri) = std::env::var("LOGMON_TEST_MONGODB_URI") {
        let (server, options) =
            uri.split_once('?').map_or((&*uri, ""), |(server, options)| (server, options));
        let server = server.trim_end_matches('/');
        return Some((format!("{server}/{database}?{options}"), None));
    }
    let server = MongoDb::start()?;
    Some((server.uri(database), Some(server)))
}
