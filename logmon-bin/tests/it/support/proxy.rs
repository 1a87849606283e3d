//! A network that cannot be relied on, between two processes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::random::Random;

/// Passes connections on, and does to them what networks do.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<Option<SocketAddr>>,
    done: [AtomicU64; 5],
}

/// What happens to one connection. Counts are of bytes from its beginning on.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is closed at once.
    Dropped,
    /// It is cut when so many bytes have gone to the server: mostly in the middle of a message.
    Truncated { at: u64 },
    /// After so many bytes from the server nothing comes from it any more, while bytes to it go
    /// on; then it is cut. What was stored and not acknowledged comes twice.
    AcksHeldBack { at: u64, grace: u64 },
    /// Every piece is late by up to so many milliseconds.
    Delayed { millis: u64 },
    /// Nothing happens to it until so many bytes have gone to the server.
    Clean { at: u64 },
}

impl Fate {
    fn random(random: &mut Random, scale: u64) -> Self {
        match random.below(10) {
            0 => Self::Dropped,
            1..=3 => Self::Truncated { at: 600 + random.below(40_000 * scale) },
            4..=6 => Self::AcksHeldBack {
                at: 1_500 + random.below(3_000),
                grace: random.below(20_000 * scale),
            },
            7 => Self::Delayed { millis: 1 + random.below(4) },
            _ => Self::Clean { at: 30_000 + random.below(100_000 * scale) },
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Dropped => 0,
            Self::Truncated { .. } => 1,
            Self::AcksHeldBack { .. } => 2,
            Self::Delayed { .. } => 3,
            Self::Clean { .. } => 4,
        }
    }
}

impl Proxy {
    /// A proxy to nowhere yet, whose mischief comes from `random`.
    /// Connections live `scale` times as long as in a short test.
    pub(crate) fn start(mut random: Random, scale: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { target: Mutex::new(None), done: Default::default() });
        let ours = shared.clone();
        // Ends with the process, as the connections do.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let fate = Fate::random(&mut random, scale);
                let (shared, seed) = (ours.clone(), random.below(u64::MAX));
                let client = client.unwrap();
                std::thread::spawn(move || shared.serve(&client, fate, seed));
            }
        });
        Self { addr, shared }
    }

    /// Where later connections go; to nowhere they are closed at once.
    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// How many connections were dropped, truncated, left without acknowledgements, delayed and
    /// left alone.
    pub(crate) fn done(&self) -> [u64; 5] {
        std::array::from_fn(|at| self.shared.done[at].load(Ordering::SeqCst))
    }
}

/// Both ends of a connection.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    /// Bytes that went to the server.
    sent: AtomicU64,
    fate: Fate,
}

impl Shared {
    fn serve(&self, client: &TcpStream, fate: Fate, seed: u64) {
        let Some(target) = *self.target.lock().unwrap() else { return };
        self.done[fate.index()].fetch_add(1, Ordering::SeqCst);
        if matches!(fate, Fate::Dropped) {
            return;
        }
        // A server that was killed is what a client has to bear as well.
        let Ok(server) = TcpStream::connect(target) else { return };
        let client = client.try_clone().unwrap();
        let pair = Arc::new(Pair { client, server, sent: AtomicU64::new(0), fate });
        let there = pair.clone();
        let upstream = std::thread::spawn(move || there.to_server(Random::from_seed(seed)));
        pair.to_client();
        upstream.join().unwrap();
    }
}

impl Pair {
    fn cut(&self) {
        for stream in [&self.client, &self.server] {
            // It may have ended already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn to_server(&self, mut random: Random) {
        let (mut from, mut to) = (&self.client, &self.server);
        let mut buf = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buf) {
            let before = self.sent.load(Ordering::SeqCst);
            let mut len = read;
            match self.fate {
                Fate::Truncated { at } | Fate::Clean { at } if before + read as u64 >= at => {
                    len = usize::try_from(at - before).unwrap();
                }
                Fate::Delayed { millis } => {
                    std::thread::sleep(Duration::from_millis(random.below(millis)));
                }
                _ => {}
            }
            if to.write_all(&buf[..len]).is_err() || len < read {
                break;
            }
            self.sent.fetch_add(len as u64, Ordering::SeqCst);
        }
        self.cut();
    }

    fn to_client(&self) {
        let (mut from, mut to) = (&self.server, &self.client);
        let (mut buf, mut received, mut held_since) = ([0; 4096], 0, None);
        while let Ok(read @ 1..) = from.read(&mut buf) {
            received += read as u64;
            if let Fate::AcksHeldBack { at, grace } = self.fate
                && received > at
            {
                let sent = self.sent.load(Ordering::SeqCst);
                if sent > *held_since.get_or_insert(sent) + grace {
                    break;
                }
                continue;
            }
            if to.write_all(&buf[..read]).is_err() {
                break;
            }
        }
        self.cut();
    }
}
