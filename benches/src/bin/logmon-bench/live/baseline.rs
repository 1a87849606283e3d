//! The same work in Node: express, socket.io and a Forward listener.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The longest a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `server.js`, which takes its ports from `HTTP_PORT` and `FWD_PORT`.
pub(super) struct Baseline {
    child: Child,
    pub(super) http: String,
    pub(super) forward: String,
}

impl Baseline {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let [http, forward] = [free_port()?, free_port()?];
        let child = Command::new("node")
            .arg("server.js")
            .current_dir(folder)
            .envs([("HTTP_PORT", http.to_string()), ("FWD_PORT", forward.to_string())])
            .stdout(Stdio::null())
            .spawn()
            .context("starting node failed")?;
        let address = |port| format!("127.0.0.1:{port}");
        let mut node = Self { child, http: address(http), forward: address(forward) };
        let began = Instant::now();
        let answers = |address: &str| std::net::TcpStream::connect(address).is_ok();
        while !(answers(&node.http) && answers(&node.forward)) {
            if let Some(status) = node.child.try_wait()? {
                bail!("node ended with {status}; has `npm ci` been run in {}?", folder.display());
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "node does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(node)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// A port that was free just now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for Baseline {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
