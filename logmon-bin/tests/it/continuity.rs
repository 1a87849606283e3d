//! A live stream is complete, whatever happens to its reader and its server.
//!
//! Readers with filters of their own are disconnected, fall asleep, pause, change their filter and
//! come back, while events come in and the server is killed; the ring and the journal are so small
//! that some readers fall behind both. Of every range of numbers a reader was told about, what was
//! shown and what was declared as dropped is in the end held against the store, by level.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rmpv::Value;
use serde_json::json;

use crate::support::forward::{Client, Mode, message};
use crate::support::live::{Begin, Dropped, Follower, Message, Trouble, Wish};
use crate::support::random::Random;
use crate::support::server::{Home, Server};
use crate::support::until;

/// How long events come in; `LOGMON_TEST_CONTINUITY_SECONDS` says otherwise.
const SECONDS: u64 = 60;
/// Events a second; `LOGMON_TEST_CONTINUITY_RATE` says otherwise.
const RATE: u64 = 4_000;
const CHUNK: u64 = 100;
const READERS: usize = 6;
/// How long a server lives.
const LIFE: Duration = Duration::from_secs(12);

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

/// What readers ask for, and the same by hand.
type Asked = (&'static str, fn(&Event) -> bool);

const FILTERS: [Asked; 4] = [
    ("bucket:3", |event| event.bucket == 3),
    ("level>=error", |event| matches!(&*event.level, "ERROR" | "FATAL")),
    ("event AND bucket>=8 AND NOT level:info", |event| event.bucket >= 8 && event.level != "INFO"),
    ("*", |_| true),
];

/// An event as the store has it.
struct Event {
    level: String,
    bucket: u64,
}

/// What a reader was told of a range of numbers.
struct Told {
    filter: usize,
    from: u64,
    to: u64,
    what: What,
}

enum What {
    /// The events in it, with their levels; none for a range without.
    Shown(Vec<(u64, String)>),
    /// How many there are by level, and whether the reader was too slow.
    Dropped(Option<BTreeMap<String, u64>>, String),
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

fn configure(home: &Home) -> std::path::PathBuf {
    let file = home.path().join("logmon.toml");
    std::fs::write(&file, "[live]\nring_bytes = \"1MiB\"\n[journal]\nhistory_bytes = \"1MiB\"\n")
        .unwrap();
    file
}

fn start(home: &Home, file: &std::path::Path) -> Server {
    home.start_with(|command| {
        command.arg("--config").arg(file);
    })
}

/// What the threads share.
struct World {
    server: Mutex<(String, std::net::SocketAddr)>,
    is_over: AtomicBool,
    /// The last number, when everything has come in.
    last: AtomicU64,
}

impl World {
    fn url(&self) -> String {
        self.server.lock().unwrap().0.clone()
    }

    fn set(&self, server: &Server) {
        *self.server.lock().unwrap() = (server.url(), server.forward);
    }
}

fn chunk(first: u64) -> Vec<u8> {
    let records: Vec<Value> = (first..first + CHUNK)
        .map(|n| {
            let level = LEVELS[usize::try_from(n * 7 % 11 % 6).unwrap()];
            Value::Map(vec![
                ("message".into(), format!("event {n}").into()),
                ("level".into(), level.into()),
                ("bucket".into(), (n % 10).into()),
            ])
        })
        .collect();
    message(Mode::Packed, "continuity", &records, &format!("chunk-{first}"))
}

/// Sends every chunk until it is acknowledged, at a rate.
fn send(world: &World, seconds: u64, rate: u64) {
    let (began, mut first) = (Instant::now(), 0);
    while first < seconds * rate {
        let to = world.server.lock().unwrap().1;
        let Ok(mut client) = Client::connect(to) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut acks = client.acks();
        while first < seconds * rate && client.send(&chunk(first)).is_ok() {
            if acks.next().is_none() {
                break;
            }
            first += CHUNK;
            // A pace, not a wait: what is due is not earlier there for it.
            let due = Duration::from_millis(first * 1_000 / rate);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    world.is_over.store(true, Ordering::SeqCst);
}

/// One reader and what it was told.
struct Reader {
    follower: Follower,
    random: Random,
    /// Whether things happen to it.
    is_calm: bool,
    filter: usize,
    told: Vec<Told>,
    /// Disconnections, naps, pauses and changes.
    mischief: [u64; 4],
}

impl Reader {
    fn run(mut self, world: &World) -> Self {
        loop {
            let last = world.last.load(Ordering::SeqCst);
            if last > 0 && self.told.last().is_some_and(|told| told.to >= last) {
                return self;
            }
            if last > 0 {
                self.is_calm = true;
            }
            match self.follower.next() {
                Ok(message) => self.take(message),
                Err(Trouble::Lost(_)) => {
                    std::thread::sleep(Duration::from_millis(5));
                    self.follower.set_url(&world.url());
                }
                Err(trouble) => panic!("{trouble}"),
            }
            if !self.is_calm {
                self.suffer();
            }
        }
    }

    fn take(&mut self, message: Message) {
        let filter = self.filter;
        match message {
            Message::Subscribed { query } => {
                let known = FILTERS.iter().position(|(text, _)| {
                    logmon_core::Filter::parse(text).unwrap().simplify().to_string() == query
                });
                self.filter = known.unwrap_or_else(|| panic!("`{query}` was never asked for"));
            }
            Message::Batch { from, to, logs } => {
                let shown = logs.iter().map(|log| {
                    let log: serde_json::Value = serde_json::from_str(log.get()).unwrap();
                    let text = |name: &str| log[name].as_str().unwrap().to_owned();
                    (text("seq").parse().unwrap(), text("level"))
                });
                self.told.push(Told { filter, from, to, what: What::Shown(shown.collect()) });
            }
            Message::Progress { from, to } => {
                self.told.push(Told { filter, from, to, what: What::Shown(Vec::new()) });
            }
            Message::Dropped(Dropped { from, to, by_level, reason }) => {
                self.told.push(Told { filter, from, to, what: What::Dropped(by_level, reason) });
            }
            Message::CaughtUp | Message::Other { .. } => {}
        }
    }

    /// Something happens after one message in about fifty.
    fn suffer(&mut self) {
        let what = self.random.below(200);
        let done = match what {
            0 => {
                self.follower.disconnect();
                // Now and then for so long that the journal goes on without it.
                if self.random.below(3) == 0 {
                    std::thread::sleep(Duration::from_millis(self.random.below(22_000)));
                }
                Ok(())
            }
            1 => {
                std::thread::sleep(Duration::from_millis(self.random.below(4_000)));
                Ok(())
            }
            2 => self.pause(),
            3 => {
                let next = usize::try_from(self.random.below(FILTERS.len() as u64)).unwrap();
                self.follower.command(json!({"t": "update", "q": FILTERS[next].0}))
            }
            _ => return,
        };
        self.mischief[usize::try_from(what).unwrap()] += 1;
        // A lost connection is noticed by the next message.
        drop(done);
    }

    fn pause(&mut self) -> Result<(), Trouble> {
        self.follower.command(json!({"t": "pause"}))?;
        std::thread::sleep(Duration::from_millis(self.random.below(3_000)));
        let from = if self.random.below(2) == 0 { "here" } else { "head" };
        self.follower.command(json!({"t": "resume", "from": from}))
    }
}

/// Holds what a reader was told against the store; gives how many events were shown, declared as
/// dropped, and dropped without a count.
fn check(reader: &Reader, truth: &BTreeMap<u64, Event>) -> [u64; 3] {
    let (mut next, mut seen, mut sums) = (None, HashSet::new(), [0; 3]);
    for told in &reader.told {
        assert!(next.is_none_or(|next| next == told.from), "{next:?}, then {}", told.from);
        next = Some(told.to + 1);
        let (text, accepts) = FILTERS[told.filter];
        let inside = truth.range(told.from..=told.to).filter(|(_, event)| accepts(event));
        match &told.what {
            What::Shown(shown) => {
                let there: Vec<_> =
                    inside.map(|(seq, event)| (*seq, event.level.clone())).collect();
                assert_eq!(*shown, there, "`{text}` from {} to {}", told.from, told.to);
                assert!(shown.iter().all(|(seq, _)| seen.insert(*seq)), "an event came twice");
                sums[0] += shown.len() as u64;
            }
            What::Dropped(declared, reason) => {
                let mut there = BTreeMap::new();
                inside.for_each(|(_, event)| *there.entry(event.level.clone()).or_insert(0) += 1);
                match declared {
                    Some(declared) => {
                        assert_eq!(*declared, there, "`{text}` {} to {}", told.from, told.to);
                        sums[1] += there.values().sum::<u64>();
                    }
                    None => {
                        assert_eq!(reason, "retention", "only what is gone cannot be counted");
                        sums[2] += there.values().sum::<u64>();
                    }
                }
            }
        }
    }
    sums
}

fn truth(server: &Server) -> BTreeMap<u64, Event> {
    let events = server.everything().into_iter().map(|found| {
        let bucket = found.metadata["bucket"].as_u64().unwrap();
        (found.seq.parse().unwrap(), Event { level: found.level.unwrap(), bucket })
    });
    events.collect()
}

impl World {
    fn new(server: &Server) -> Self {
        Self {
            server: Mutex::new((server.url(), server.forward)),
            is_over: AtomicBool::new(false),
            last: AtomicU64::new(0),
        }
    }

    /// Begins to read; the first reader is left in peace, and every second one may be moved on.
    fn reader(self: &Arc<Self>, at: usize, random: Random) -> JoinHandle<Reader> {
        let filter = at % FILTERS.len();
        let wish = Wish {
            query: FILTERS[filter].0.to_owned(),
            begin: Begin::At("oldest".to_owned()),
            may_skip: at % 2 == 1,
            ..Wish::default()
        };
        let follower = Follower::new(&self.url(), wish);
        let (told, mischief) = (Vec::new(), [0; 4]);
        let reader = Reader { follower, random, is_calm: at == 0, filter, told, mischief };
        let world = self.clone();
        std::thread::spawn(move || reader.run(&world))
    }
}

/// Rule 1 of the live protocol, and its rules of modes and pauses: received and declared as dropped
/// is together what is stored, per level, and no event comes twice.
#[test]
fn what_is_shown_and_what_is_declared_as_dropped_is_all_there_is() {
    let mut random = Random::announced();
    let seconds = number("LOGMON_TEST_CONTINUITY_SECONDS", SECONDS);
    let rate = number("LOGMON_TEST_CONTINUITY_RATE", RATE);
    let home = Home::new();
    let file = configure(&home);
    let mut server = start(&home, &file);
    let world = Arc::new(World::new(&server));
    let seeds = [(); READERS].map(|()| Random::from_seed(random.below(u64::MAX)));
    let readers: Vec<_> =
        seeds.into_iter().enumerate().map(|(at, random)| world.reader(at, random)).collect();
    let sender = {
        let world = world.clone();
        std::thread::spawn(move || send(&world, seconds, rate))
    };
    let (mut kills, mut began) = (0, Instant::now());
    while !world.is_over.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
        if began.elapsed() > LIFE {
            server.kill();
            server = start(&home, &file);
            world.set(&server);
            (kills, began) = (kills + 1, Instant::now());
        }
    }
    sender.join().unwrap();
    let truth = truth(&server);
    world.last.store(*truth.keys().next_back().unwrap(), Ordering::SeqCst);
    let (mut sums, mut mischief) = ([0; 3], [0; 4]);
    for (at, reader) in readers.into_iter().enumerate() {
        let reader = until_joined(reader);
        let told = check(&reader, &truth);
        eprintln!("reader {at}: {told:?}, {} ranges, {:?}", reader.told.len(), reader.mischief);
        sums.iter_mut().zip(told).for_each(|(sum, more)| *sum += more);
        mischief.iter_mut().zip(reader.mischief).for_each(|(sum, more)| *sum += more);
    }
    eprintln!(
        "{} events stored in {seconds} s, {kills} kills; shown, declared as dropped, gone without a \
         count: {sums:?}; disconnected, slept, paused, changed: {mischief:?}",
        truth.len()
    );
    if seconds >= SECONDS {
        assert!(sums[1] > 0 && mischief.iter().all(|times| *times > 0), "too little has happened");
    }
    server.end();
}

fn until_joined(reader: JoinHandle<Reader>) -> Reader {
    until("a reader to come to the end", || reader.is_finished().then_some(()));
    reader.join().unwrap()
}
