//! Two processes and a bad network between them: every event arrives exactly once.
//!
//! `LOGMON_TEST_RELAY_EVENTS` and `LOGMON_TEST_RELAY_KILLS` say how much of it; the fates of the
//! connections come from the printed seed.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::support::forward::{Client, Mode, message, record};
use crate::support::proxy::Proxy;
use crate::support::random::Random;
use crate::support::server::{Home, Server};

/// Events of one chunk to the first process.
const CHUNK: u64 = 500;

/// How long one step of progress may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// F-151, R-022: a relay with TLS, shared key, zstd and acknowledgements; the receiver is killed
/// again and again, the sender once, connections are dropped, cut in the middle of messages,
/// delayed, and left without their acknowledgements, so that chunks come twice.
#[test]
fn every_event_arrives_exactly_once_through_kills_and_cuts() {
    let events = from_environment("LOGMON_TEST_RELAY_EVENTS", 30_000);
    let kills = from_environment("LOGMON_TEST_RELAY_KILLS", 3);
    let mut random = Random::announced();
    let (receiver_home, sender_home) = (Home::new(), Home::new());
    write_certificates(&receiver_home, &sender_home);
    write_receiver(&receiver_home);
    let mut receiver = start(&receiver_home);
    let scale = (events / 150_000).clamp(1, 4);
    let proxy = Proxy::start(Random::from_seed(random.below(u64::MAX)), scale);
    write_sender(&sender_home, &proxy);
    let mut sender = start(&sender_home);

    // The first half piles up while nobody is there; the sender dies in the middle of it.
    feed(sender.forward, 0..events / 2);
    proxy.set_target(Some(receiver.forward));
    wait(&sender, "the first chunks", |output| seq(output) > events / 10);
    sender.kill();
    sender = start(&sender_home);
    // The second half comes while the receiver dies again and again.
    let feeding = std::thread::spawn({
        let to = sender.forward;
        move || feed(to, events / 2..events)
    });
    for kill in 1..=kills {
        let enough = events / 10 + events * 9 / 10 * kill / (kills + 1);
        wait(&sender, "progress", |output| seq(output) >= enough);
        proxy.set_target(None);
        receiver.kill();
        receiver = start(&receiver_home);
        proxy.set_target(Some(receiver.forward));
    }
    feeding.join().unwrap();
    wait(&sender, "the end", |output| {
        output["behind"] == 0 && output["lag"] == 0 && seq(output) > events
    });
    let figures = output(&sender);
    assert!(sender.stop().success(), "{}", sender_home.log());

    let mut times = vec![0_u8; usize::try_from(events).unwrap()];
    for found in receiver.everything() {
        let number = found.message.split(' ').nth(1).unwrap();
        times[number.parse::<usize>().unwrap()] += 1;
    }
    let wrong: Vec<_> = times.iter().enumerate().filter(|(_, times)| **times != 1).collect();
    let [dropped, cut, held, delayed, clean] = proxy.done();
    eprintln!(
        "{events} events, {kills} kills; connections dropped {dropped}, truncated {cut}, without \
         acknowledgements {held}, delayed {delayed}, clean {clean}; {figures}"
    );
    let some = &wrong[..wrong.len().min(10)];
    assert!(wrong.is_empty(), "{} events not exactly once: {some:?}", wrong.len());
    assert!(cut + held + dropped > 0, "no connection was harmed");
    assert!(receiver.stop().success(), "{}", receiver_home.log());
}

fn start(home: &Home) -> Server {
    let file = home.path().join("logmon.toml");
    home.start_with(|command| {
        command.arg("--config").arg(file).env("LOGMON_LOG", "warn");
    })
}

/// A certificate for `localhost` and the one above it.
fn write_certificates(receiver: &Home, sender: &Home) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority of the relay's test");
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap();
    fs::write(sender.path().join("ca.pem"), ca.pem()).unwrap();
    fs::write(receiver.path().join("cert.pem"), cert.pem()).unwrap();
    fs::write(receiver.path().join("key.pem"), key.serialize_pem()).unwrap();
}

fn write_receiver(home: &Home) {
    let settings = r#"
        [forward.tls]
        cert = "cert.pem"
        key = "key.pem"
        [forward.security]
        self_hostname = "receiver.test"
        shared_key = "a key of the relay's test"
    "#;
    fs::write(home.path().join("logmon.toml"), settings).unwrap();
}

fn write_sender(home: &Home, proxy: &Proxy) {
    fs::write(home.path().join("relay.key"), "a key of the relay's test\n").unwrap();
    let settings = format!(
        r#"
        [[output]]
        name = "relay"
        kind = "forward"
        to = "{}"
        from = "oldest"
        peer = "logmon"
        compress = "zstd"
        ack_response_timeout = "2s"
        retry_wait = "20ms"
        retry_max_interval = "500ms"
        heartbeat = "none"
        [output.tls]
        ca = "ca.pem"
        server_name = "localhost"
        [output.security]
        self_hostname = "sender.test"
        shared_key_file = "relay.key"
        "#,
        proxy.addr
    );
    fs::write(home.path().join("logmon.toml"), settings).unwrap();
}

/// The message of an event: its number, and what no compression makes small.
fn text(n: u64) -> String {
    let mut random = Random::from_seed(n + 1);
    let noise: [u64; 4] = std::array::from_fn(|_| random.below(u64::MAX));
    format!("relay {n} {noise:x?}")
}

/// Sends numbered events and waits for all acknowledgements.
fn feed(to: SocketAddr, events: Range<u64>) {
    let mut client = Client::connect(to).unwrap();
    let acks = client.acks();
    let chunks = (events.end - events.start).div_ceil(CHUNK);
    let reading =
        std::thread::spawn(move || acks.take(usize::try_from(chunks).unwrap()).count() as u64);
    for chunk in 0..chunks {
        let start = events.start + chunk * CHUNK;
        let numbers = start..events.end.min(start + CHUNK);
        let records: Vec<_> = numbers.map(|n| record(&text(n), n)).collect();
        let tag = format!("relay.{}", chunk % 3);
        client.send(&message(Mode::Packed, &tag, &records, &format!("feed-{start}"))).unwrap();
    }
    assert_eq!(reading.join().unwrap(), chunks, "the first process did not take everything");
}

/// The figures of the only output.
fn output(server: &Server) -> Value {
    server.get("/health").ok()["figures"]["outputs"][0].clone()
}

/// How far the cursor is.
fn seq(output: &Value) -> u64 {
    output["cursor_seq"].as_str().map_or(0, |text| text.parse().unwrap())
}

/// Waits as long as there is progress now and then.
fn wait(server: &Server, what: &str, is_there: impl Fn(&Value) -> bool) {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let output = output(server);
        if is_there(&output) {
            return;
        }
        if seq(&output) != last {
            (last, since) = (seq(&output), Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "no progress towards {what}: {output}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
