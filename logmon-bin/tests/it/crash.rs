//! Acknowledged means durable: the process is killed again and again under load.
//!
//! Every chunk is sent once. After each restart every event of an acknowledged chunk is found
//! exactly once, nothing is found that was never sent, a chunk is there whole or not at all, and
//! what was found once never disappears.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::forward::{Client, Mode, message, record};
use crate::support::http::Found;
use crate::support::random::Random;
use crate::support::server::{Home, Server};
use crate::support::until;

/// How often the process is killed; `LOGMON_TEST_KILLS` says otherwise.
const KILLS: u64 = 24;
const CONNECTIONS: u64 = 4;
/// Chunks on the way at once on one connection.
const WINDOW: u64 = 8;
/// Keeps what is read after every restart within bounds.
const MAX_CHUNKS_PER_ROUND: u64 = 120;

/// The books of the senders: how many events each chunk has, and which chunks were acknowledged.
#[derive(Default)]
struct Books {
    sent: Mutex<HashMap<u64, u64>>,
    acked: Mutex<HashSet<u64>>,
    next_chunk: AtomicU64,
}

impl Books {
    fn acked(&self) -> usize {
        self.acked.lock().unwrap().len()
    }
}

fn kills() -> u64 {
    let given = std::env::var("LOGMON_TEST_KILLS").ok();
    given.map_or(KILLS, |text| text.parse().expect("LOGMON_TEST_KILLS is a number"))
}

/// S-001, S-002, S-003: at whatever instant it was killed.
#[test]
fn finds_every_acknowledged_event_exactly_once_after_kills_under_load() {
    let mut random = Random::announced();
    let home = Home::new();
    let books = Arc::new(Books::default());
    let mut seen = HashMap::new();
    let mut rounds_with_acks = 0_u64;
    let kills = kills();
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        let begin = Instant::now();
        let server = home.start();
        slowest = slowest.max(begin.elapsed());
        // Later not each time, because there is ever more to read.
        if round < 20 || round % 5 == 0 {
            check(&server, &books, &mut seen);
        }
        let before = books.acked();
        load_and_kill(server, &books, &mut random, round);
        rounds_with_acks += u64::from(books.acked() > before);
    }
    let server = home.start();
    check(&server, &books, &mut seen);
    server.end();
    let server = home.start();
    check(&server, &books, &mut seen);
    let (acked, sent) = (books.acked(), books.sent.lock().unwrap().len());
    eprintln!(
        "{kills} kills, {acked} of {sent} chunks acknowledged, {} events, slowest start {slowest:?}",
        seen.len()
    );
    let busy = kills * 3 / 4;
    assert!(rounds_with_acks >= busy, "there was load in {rounds_with_acks} rounds only");
    assert!(sent > acked, "no kill hit a chunk on its way");
}

/// Sends over several connections, and kills the server at some moment of it.
fn load_and_kill(server: Server, books: &Arc<Books>, random: &mut Random, round: u64) {
    let end_of_chunks = books.next_chunk.load(Ordering::SeqCst) + MAX_CHUNKS_PER_ROUND;
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            let seed = random.below(u64::MAX);
            let (books, to) = (books.clone(), server.forward);
            std::thread::spawn(move || {
                send_until_killed(
                    to,
                    &books,
                    &mut Random::from_seed(seed),
                    connection,
                    end_of_chunks,
                );
            })
        })
        .collect();
    // Mostly in full swing, now and then while the first bytes arrive.
    if round % 8 == 7 {
        spin(Duration::from_micros(random.below(3_000)));
    } else {
        let enough = books.acked() + 1 + usize::try_from(random.below(60)).unwrap();
        until("acks to come", || (books.acked() >= enough).then_some(()));
        spin(Duration::from_micros(random.below(2_000)));
    }
    server.kill();
    for sender in senders {
        sender.join().unwrap();
    }
}

/// Lets a time shorter than a scheduler's tick go by.
fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn send_until_killed(
    to: SocketAddr,
    books: &Arc<Books>,
    random: &mut Random,
    connection: u64,
    end_of_chunks: u64,
) {
    let Ok(mut client) = Client::connect(to) else { return };
    let window = Arc::new(AtomicU64::new(0));
    let acks = client.acks();
    let reader = {
        let (books, window) = (books.clone(), window.clone());
        std::thread::spawn(move || {
            for chunk in acks {
                assert!(books.acked.lock().unwrap().insert(chunk.parse().unwrap()), "acked twice");
                window.fetch_sub(1, Ordering::SeqCst);
            }
            // Nothing more will come: lets the sender run into its error.
            window.store(0, Ordering::SeqCst);
        })
    };
    let tag = format!("crash.{connection}");
    loop {
        let chunk = books.next_chunk.fetch_add(1, Ordering::SeqCst);
        if chunk >= end_of_chunks {
            break;
        }
        let (mode, events) = match random.below(3) {
            0 => (Mode::Message, 1),
            1 => (Mode::Forward, 1 + random.below(30)),
            _ => (Mode::Packed, 1 + random.below(30)),
        };
        let records: Vec<_> = (0..events).map(|n| record(&text(chunk, n, events), n)).collect();
        until("a place in the window", || (window.load(Ordering::SeqCst) < WINDOW).then_some(()));
        // Before the first byte leaves: nothing may be found that does not stand here.
        books.sent.lock().unwrap().insert(chunk, events);
        window.fetch_add(1, Ordering::SeqCst);
        if client.send(&message(mode, &tag, &records, &chunk.to_string())).is_err() {
            break;
        }
    }
    reader.join().unwrap();
}

/// The message of the `n`-th event of a chunk.
fn text(chunk: u64, n: u64, events: u64) -> String {
    format!("chunk {chunk} event {n} of {events}")
}

/// Holds the books against the store. `seen` is what was found before, with its ids.
fn check(server: &Server, books: &Books, seen: &mut HashMap<String, String>) {
    let found = server.everything();
    let mut by_message: HashMap<&str, &Found> = HashMap::new();
    for event in &found {
        let twice = by_message.insert(&event.message, event);
        assert!(twice.is_none(), "found twice: {event:?} and {twice:?}");
    }
    let acked = books.acked.lock().unwrap();
    let mut expected = 0;
    for (chunk, events) in books.sent.lock().unwrap().iter() {
        let whole = (0..*events).filter(|n| by_message.contains_key(&*text(*chunk, *n, *events)));
        let there = u64::try_from(whole.count()).unwrap();
        let is_acked = acked.contains(chunk);
        let fits = if is_acked { there == *events } else { there == 0 || there == *events };
        assert!(fits, "{there} of {events} events of chunk {chunk} (acknowledged: {is_acked})");
        expected += there;
    }
    assert_eq!(u64::try_from(found.len()).unwrap(), expected, "found what was never sent");
    for (message, id) in seen.iter() {
        let now = by_message.get(message.as_str());
        assert!(now.is_some_and(|event| event.id == *id), "{message} was {id}, is {now:?}");
    }
    seen.extend(found.into_iter().map(|event| (event.message, event.id)));
}
