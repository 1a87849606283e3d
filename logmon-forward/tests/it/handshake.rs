//! Logging in over real sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use logmon_core::Journal;
use logmon_forward::ListenerConfig;
use logmon_forward::handshake::{
    Client, ClientError, ClientProgress, ClientRule, ClientSecurity, SecuritySettings, User,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::journals::Lines;
use crate::listener::*;

pub(crate) fn security() -> SecuritySettings {
    SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("s3cret".into()),
        ..SecuritySettings::default()
    }
}

pub(crate) fn credentials(key: &str) -> ClientSecurity {
    ClientSecurity {
        self_hostname: "client.example".into(),
        shared_key: key.into(),
        ..ClientSecurity::default()
    }
}

fn server(journal: Arc<dyn Journal>, change: impl FnOnce(&mut ListenerConfig)) -> Server {
    Server::start(journal, |config| {
        config.security = Some(security());
        change(config);
    })
}

/// Logs in; `behind` is sent in one write with the PING. Gives what came behind the PONG, too.
pub(crate) async fn log_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: ClientSecurity,
    behind: &[u8],
) -> Result<(Client, BytesMut), ClientError> {
    let mut client = Client::new(credentials).unwrap();
    let mut buffer = BytesMut::new();
    loop {
        match client.feed(&mut buffer)? {
            ClientProgress::NeedsBytes => {
                assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0, "closed without PONG");
            }
            ClientProgress::Send(mut ping) => {
                ping.extend(behind);
                stream.write_all(&ping).await.unwrap();
            }
            ClientProgress::Done => return Ok((client, buffer)),
        }
    }
}

async fn helo(stream: &mut TcpStream) -> Vec<u8> {
    let mut helo = vec![0; 512];
    let read = stream.read(&mut helo).await.unwrap();
    helo.truncate(read);
    helo
}

fn pong_no(reason: &str) -> Vec<u8> {
    let mut pong = b"\x95\xa4PONG\xc2".to_vec();
    match u8::try_from(reason.len()).unwrap() {
        length if length < 32 => pong.push(0xa0 | length),
        length => pong.extend([0xd9, length]),
    }
    pong.extend(reason.as_bytes());
    pong.extend(b"\xa0\xa0");
    pong
}

/// F-082 to F-085: HELO in one read, then events, some of them behind the PING.
#[tokio::test]
async fn events_follow_the_login() {
    let journal = memory();
    let server = server(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let logged_in = log_in(&mut client, credentials("s3cret"), &event("one")).await;
    let (session, mut early) = logged_in.unwrap();
    assert!(session.keepalive());
    while early.len() < ack("one").len() {
        client.read_buf(&mut early).await.unwrap();
    }
    assert_eq!(early, ack("one"));
    client.write_all(&batch("two")).await.unwrap();
    expect(&mut client, &ack("two")).await;

    let mut slow = server.connect().await;
    assert!(helo(&mut slow).await.len() < 128);
    slow.shutdown().await.unwrap();
    expect_end(&mut slow).await;
    drop((client, slow));
    let figures = server.end().await;
    assert_eq!(texts(&journal).await, ["one", "two"]);
    assert_eq!((figures.logins, figures.logins_refused, figures.heartbeats), (1, 0, 1));
}

/// F-084 over a socket: a PING in three segments.
#[tokio::test]
async fn a_ping_comes_in_pieces() {
    let server = server(memory(), |_| {});
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    let mut buffer = BytesMut::from(&helo(&mut stream).await[..]);
    let mut client = Client::new(credentials("s3cret")).unwrap();
    let ClientProgress::Send(ping) = client.feed(&mut buffer).unwrap() else { panic!() };
    for piece in ping.chunks(ping.len().div_ceil(3)) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    while client.feed(&mut buffer).unwrap() != ClientProgress::Done {
        assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
    }
}

/// F-087, F-092, H-4, R-046: the reason, FIN, and nothing that comes later is looked at; the line
/// in the log names the client.
#[tokio::test]
async fn a_wrong_key_is_refused() {
    let (lines, _guard) = Lines::record();
    let journal = memory();
    let server = server(journal.clone(), |_| {});
    let mut client = server.connect().await;
    let error = log_in(&mut client, credentials("wrong"), &event("smuggled")).await.unwrap_err();
    assert_eq!(error, ClientError::Refused("shared_key mismatch".into()));
    client.write_all(&event("later")).await.unwrap();
    expect_end(&mut client).await;
    drop(client);
    let figures = server.end().await;
    assert!(texts(&journal).await.is_empty());
    assert_eq!((figures.logins, figures.logins_refused, figures.messages), (0, 1, 0));
    let warnings = lines.of("WARN");
    assert_eq!(warnings.len(), 1);
    for part in ["shared_key_mismatch", "client.example", "127.0.0.1:"] {
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
    assert!(!warnings[0].contains("s3cret") && !warnings[0].contains("wrong"));
}

/// F-088, F-096: who may log in, and from where.
#[tokio::test]
async fn users_log_in() {
    let user = |name: &str| User { username: name.into(), password: "pa55".into() };
    let server = server(memory(), |config| {
        config.security.as_mut().unwrap().users = vec![user("alice"), user("bob")];
        config.security.as_mut().unwrap().clients = vec![ClientRule {
            host: Some("localhost".into()),
            users: Some(vec!["alice".into()]),
            ..ClientRule::default()
        }];
    });
    let login = async |name: &str, password: &str| {
        let mut client = server.connect().await;
        let credentials = ClientSecurity {
            username: name.into(),
            password: password.into(),
            ..credentials("s3cret")
        };
        log_in(&mut client, credentials, b"").await.map(drop)
    };
    let refused = Err(ClientError::Refused("username/password mismatch".into()));
    assert_eq!(login("alice", "pa55").await, Ok(()));
    assert_eq!(login("alice", "wrong").await, refused);
    assert_eq!(login("bob", "pa55").await, refused);
    assert_eq!(login("", "").await, refused);
}

/// F-061, F-091, F-099, R-043, H-6.
#[tokio::test]
async fn only_a_ping_is_answered_with_yes() {
    for (bytes, told) in [
        (event("early"), "events before authenticating"),
        (br#"["t",1,{"message":"json"}]"#.to_vec(), "JSON"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "HTTP"),
        (b"\x96\xa4PING\xa1h\xc6\xff\xff\xff\xff".to_vec(), "something else than a PING"),
        ([&b"\x96\xa4PING\xda\x0f\xf0"[..], &vec![b'x'; 100_000]].concat(), "something else"),
    ] {
        let (lines, _guard) = Lines::record();
        let journal = memory();
        let server = server(journal.clone(), |_| {});
        let mut client = server.connect().await;
        helo(&mut client).await;
        client.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, pong_no("invalid ping message"));
        drop(client);
        let figures = server.end().await;
        assert!(texts(&journal).await.is_empty());
        assert_eq!((figures.logins_refused, figures.messages), (1, 0));
        let warnings = lines.of("WARN");
        assert!(warnings.len() == 1 && warnings[0].contains(told), "{told}: {warnings:?}");
    }
}

/// F-061: JSON behind a login is no JSON either.
#[tokio::test]
async fn json_is_not_taken_from_clients_that_log_in() {
    let server = server(memory(), |_| {});
    let mut client = server.connect().await;
    let json = br#"["t",1,{"message":"json"},{"chunk":"id"}]"#;
    log_in(&mut client, credentials("s3cret"), json).await.unwrap();
    expect_end(&mut client).await;
    let mut client = server.connect().await;
    log_in(&mut client, credentials("s3cret"), b"").await.unwrap();
    client.write_all(json).await.unwrap();
    expect_end(&mut client).await;
    assert_eq!(server.end().await.events, 0);
}

/// F-098, H-5: who says nothing is sent away, without a warning.
#[tokio::test]
async fn a_silent_client_is_sent_away() {
    let (lines, _guard) = Lines::record();
    let server = server(memory(), |config| config.login_timeout = Duration::from_millis(100));
    let mut client = server.connect().await;
    helo(&mut client).await;
    expect_end(&mut client).await;
    let mut half = server.connect().await;
    helo(&mut half).await;
    half.write_all(b"\x96\xa4PING").await.unwrap();
    let _reset_or_end = half.read(&mut [0; 8]).await;
    assert_eq!(server.end().await.logins_refused, 2);
    assert!(lines.of("WARN").is_empty());
}

/// F-095, F-097.
#[tokio::test]
async fn strangers_and_reflections_are_refused() {
    let server = server(memory(), |config| {
        let security = config.security.as_mut().unwrap();
        security.allow_anonymous_source = false;
        security.clients =
            vec![ClientRule { network: Some("192.0.2.0/24".into()), ..ClientRule::default() }];
    });
    let error = log_in(&mut server.connect().await, credentials("s3cret"), b"").await.unwrap_err();
    let told = "anonymous source host '127.0.0.1' denied";
    assert_eq!(error, ClientError::Refused(told.into()));

    let server = self::server(memory(), |_| {});
    let mut ours = credentials("s3cret");
    ours.self_hostname = "server.example".into();
    let error = log_in(&mut server.connect().await, ours, b"").await.unwrap_err();
    let told = "same hostname between input and output: invalid configuration";
    assert_eq!(error, ClientError::Refused(told.into()));
}

/// F-100: without security nothing is said first.
#[tokio::test]
async fn no_helo_without_security() {
    let server = Server::start(memory(), |_| {});
    let mut client = server.connect().await;
    client.write_all(&event("one")).await.unwrap();
    expect(&mut client, &ack("one")).await;
}

/// H-5: a new login takes the place of the oldest one that is not finished.
#[tokio::test]
async fn unfinished_logins_are_limited() {
    let server = server(memory(), |config| config.max_unauthenticated_per_ip = 2);
    let mut done = server.connect().await;
    log_in(&mut done, credentials("s3cret"), b"").await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        helo(&mut client).await;
        waiting.push(client);
    }
    expect_end(&mut waiting[0]).await;
    log_in(&mut server.connect().await, credentials("s3cret"), b"").await.unwrap();
    done.write_all(&event("one")).await.unwrap();
    expect(&mut done, &ack("one")).await;
    drop((done, waiting));
    assert!(server.end().await.connections_evicted >= 1);
}
