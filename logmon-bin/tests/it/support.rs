//! What the tests share.

pub(crate) mod forward;
pub(crate) mod http;
#[allow(dead_code, reason = "what `logmon tail` needs")]
#[path = "../../src/client/live.rs"]
pub(crate) mod live;
#[path = "../../../tests/mongodb/server.rs"]
pub(crate) mod mongodb;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod server;

use std::time::{Duration, Instant};

/// How long a test waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Calls `probe` until it gives something, and returns that.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
