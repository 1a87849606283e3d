//! Everything is bounded: bombs and floods against a server that may not hold more than 192 MiB.
//!
//! The limit is the system's (`RLIMIT_DATA`), so what goes beyond it ends the server and fails the
//! test; the figures of `/proc` are printed beside.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use rmpv::Value;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::forward::{Client, Mode, message, record};
use crate::support::server::{Home, Server};
use crate::support::until;

/// What the server may hold, in KiB: heap, stacks and whatever else it may write to. The budget of the
/// listener is 64 MiB of it; the rest is the store, the journal, and what the allocator keeps. At most
/// 136 MiB of it were seen in use, on a machine with six of these tests at once.
const LIMIT_KIB: u32 = 192 << 10;

const MIB: usize = 1 << 20;

/// Starts a server inside the limit.
fn start_limited(home: &Home) -> Server {
    home.start_with(|command| {
        let limits = format!("ulimit -d {LIMIT_KIB} && ulimit -n 20000 && exec \"$0\" \"$@\"");
        let mut limited = Command::new("sh");
        limited.arg("-c").arg(limits).arg(command.get_program()).args(command.get_args());
        limited.current_dir(home.path()).stdin(std::process::Stdio::null());
        *command = limited;
    })
}

/// Shows that the server still takes events, and what it took to get here.
fn assert_alive(server: &Server, home: &Home, what: &str) {
    let mut client = Client::connect(server.forward).unwrap();
    client.send(&message(Mode::Packed, "alive", &[record(what, 1)], what)).unwrap();
    assert_eq!(client.acks().next().as_deref(), Some(what), "no ack after {what}: {}", home.log());
    eprintln!("{what}: {}", server.memory());
}

/// `[tag, bin, {"chunk": chunk, "compressed": codec}]` around bytes of any kind.
fn compressed(payload: Vec<u8>, codec: &str, chunk: &str) -> Vec<u8> {
    let option = vec![("chunk".into(), chunk.into()), ("compressed".into(), codec.into())];
    let parts = vec!["bomb".into(), Value::Binary(payload), Value::Map(option)];
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &Value::Array(parts)).unwrap();
    out
}

/// So many members of 64 MiB of zeros each, 64 KiB on the wire.
fn gzip_zeros(members: usize) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(&vec![0; 64 * MIB]).unwrap();
    member.finish().unwrap().repeat(members)
}

fn zstd_zeros(frames: usize) -> Vec<u8> {
    zstd::bulk::compress(&vec![0; 64 * MIB], 19).unwrap().repeat(frames)
}

/// F-128, R-018: 10 GB of zeros in 10 MB of gzip, the same with zstd, over eight connections at
/// once. Every one is answered, as sending it again could not help.
#[test]
fn decompression_bombs_are_survived() {
    let home = Home::new();
    let server = start_limited(&home);
    for (codec, bomb) in [("gzip", gzip_zeros(160)), ("zstd", zstd_zeros(160))] {
        let bomb = compressed(bomb, codec, "bomb");
        let mut clients: Vec<_> =
            (0..8).map(|_| Client::connect(server.forward).unwrap()).collect();
        for client in &mut clients {
            client.send(&bomb).unwrap();
        }
        for client in &clients {
            assert_eq!(client.acks().next().as_deref(), Some("bomb"), "a {codec} bomb is answered");
        }
        assert_alive(&server, &home, codec);
    }
    server.end();
}

/// The beginnings of messages that claim 4 GiB, each followed by what fits into the socket.
fn claim(server: &Server, claims: &[&[u8]], connections: usize) -> Vec<TcpStream> {
    let open = |claim: &&[u8]| {
        let mut stream = TcpStream::connect(server.forward).unwrap();
        stream.write_all(claim).unwrap();
        stream
    };
    let mut streams: Vec<_> = claims.iter().cycle().take(connections).map(open).collect();
    // Whoever is let through sends on; the others wait with full sockets.
    for stream in &mut streams {
        stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while sent < 4 * MIB {
            match stream.write(&vec![0xc3; 64 << 10]) {
                Ok(bytes) => sent += bytes,
                Err(_) => break,
            }
        }
    }
    streams
}

/// F-126, R-005 to R-007: lengths of 4 GiB are only numbers, and what comes of them is bounded for
/// each connection and for all.
#[test]
fn claims_of_four_gibibytes_are_survived() {
    let home = Home::new();
    let server = start_limited(&home);
    let claims: [&[u8]; 4] = [
        b"\x93\xa1t\xc6\xff\xff\xff\xff",
        b"\x93\xa1t\xdb\xff\xff\xff\xff",
        b"\x93\xa1t\xdd\xff\xff\xff\xff",
        b"\x93\xa1t\x00\xdf\xff\xff\xff\xff",
    ];
    let mut streams = claim(&server, &claims, 200);
    drop(streams.split_off(100));
    // Those that stay hold what they were given; the next does not need theirs.
    assert_alive(&server, &home, "claims");
    drop(streams);
    server.end();
}

/// What is too long is read over: what many connections keep of it is within the budget.
#[test]
fn many_messages_that_are_skipped_are_bounded() {
    let home = Home::new();
    let server = start_limited(&home);
    let streams = claim(&server, &[b"\x93\xa1t\xc6\xff\xff\xff\xff"], 800);
    assert_alive(&server, &home, "skipped");
    drop(streams);
    server.end();
}

/// Each connection has sent a message that made its buffer grow, and stays: what all of them keep for
/// the next one is within the budget.
#[test]
fn buffers_that_wait_for_more_are_bounded() {
    let home = Home::new();
    let server = start_limited(&home);
    let text = "x".repeat(250_000);
    let message = message(Mode::Message, "big", &[record(&text, 1)], "big");
    let mut clients: Vec<_> = (0..600).map(|_| Client::connect(server.forward).unwrap()).collect();
    for client in &mut clients {
        client.send(&message).unwrap();
    }
    for client in &clients {
        assert_eq!(client.acks().next().as_deref(), Some("big"));
    }
    assert_alive(&server, &home, "buffers");
    server.end();
}

/// F-053: 256 MB in one message, as Fluentd's file buffers make them. It is there whole, and took
/// no more memory than a small one.
#[test]
fn a_message_of_256_megabytes_is_taken() {
    const EVENTS: u64 = 136 << 10;
    let home = Home::new();
    let server = start_limited(&home);
    let record = |n: u64| {
        let parts = vec![
            Value::from(1_767_323_045),
            Value::Map(vec![
                ("message".into(), "x".repeat(2_000).into()),
                // Eight bytes whatever the number.
                ("n".into(), Value::Ext(5, n.to_be_bytes().to_vec())),
            ]),
        ];
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &Value::Array(parts)).unwrap();
        out
    };
    let length = record(0).len() as u64;
    let send = |events: u64, chunk: &str| {
        let mut stream = TcpStream::connect(server.forward).unwrap();
        let mut client = Client::of(stream.try_clone().unwrap());
        let mut head = b"\x93\xa3big\xc6".to_vec();
        head.extend_from_slice(&u32::try_from(events * length).unwrap().to_be_bytes());
        stream.write_all(&head).unwrap();
        for first in (0..events).step_by(512) {
            let entries: Vec<u8> = (first..(first + 512).min(events)).flat_map(record).collect();
            stream.write_all(&entries).unwrap();
        }
        let mut option = Vec::new();
        let value = Value::Map(vec![("chunk".into(), chunk.into())]);
        rmpv::encode::write_value(&mut option, &value).unwrap();
        client.send(&option).unwrap();
        assert_eq!(client.acks().next().as_deref(), Some(chunk), "{}", home.log());
    };
    // Fills what is kept in memory for readers anyway.
    for warm in 0..10 {
        send(3_000, &format!("warm {warm}"));
    }
    let before = server.resident_kib();
    eprintln!("before: {}", server.memory());
    send(EVENTS, "256 MB");
    eprintln!("after: {}", server.memory());
    assert!(EVENTS * length >= 256 << 20, "{} bytes", EVENTS * length);
    let grown = server.most_resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "memory grew by {grown} KiB");
    assert_eq!(server.forward_figure("appended"), EVENTS + 30_000);
    server.end();
}

/// ten thousand connections that say nothing.
#[test]
fn ten_thousand_idle_connections_are_survived() {
    raise_file_limit();
    let home = Home::new();
    let server = start_limited(&home);
    let mut idle = Vec::new();
    for number in 0..10_000u32 {
        // So many from one address would be beyond the limit for one.
        let [.., high, low] = (2 + number / 900).to_be_bytes();
        idle.push(connect_from(Ipv4Addr::new(127, 0, high, low).into(), server.forward));
    }
    until("the connections to be there", || {
        (server.forward_figure("connections") >= 10_000).then_some(())
    });
    assert_alive(&server, &home, "idle");
    drop(idle);
    until("the connections to be gone", || {
        (server.forward_figure("connections_open") <= 1).then_some(())
    });
    server.end();
}

/// F-104: a health check ten thousand times.
#[test]
fn ten_thousand_probes_leave_nothing() {
    let home = Home::new();
    let server = start_limited(&home);
    for _ in 0..10_000 {
        drop(TcpStream::connect(server.forward).unwrap());
    }
    until("all probes to be counted", || {
        (server.forward_figure("heartbeats") == 10_000).then_some(())
    });
    assert_alive(&server, &home, "probes");
    let lines = home.log().lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(lines, 0, "a probe is no reason to warn:\n{}", home.log());
    server.end();
}

/// A peer that asks for acknowledgements and never reads them holds nothing up (F-072).
#[test]
fn unread_acks_do_not_pile_up() {
    let home = Home::new();
    let server = start_limited(&home);
    let mut stream = TcpStream::connect(server.forward).unwrap();
    let batch: Vec<u8> = (0..1_000)
        .flat_map(|n| message(Mode::Packed, "unread", &[record("x", n)], &format!("{n:0>400}")))
        .collect();
    for _ in 0..40 {
        stream.write_all(&batch).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    until("all events", || (server.forward_figure("events") == 40_000).then_some(()));
    assert_alive(&server, &home, "unread");
    let mut rest = Vec::new();
    // What came before the peer was given up; how much is the system's business.
    drop(stream.read_to_end(&mut rest));
    server.end();
}

fn connect_from(source: IpAddr, to: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket
}

/// Lets this process have as many files as the system allows.
fn raise_file_limit() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
}
