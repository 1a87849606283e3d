//! Unix sockets, and how connections are held and given up.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::*;
use crate::journals::Lines;
use crate::listener::*;

#[cfg(unix)]
mod local {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use logmon_forward::{BindError, Listener, ListenerConfig, UnixSocket};
    use tempfile::TempDir;
    use tokio::net::UnixStream;

    use super::*;
    use crate::handshake::{credentials, log_in, security};

    fn at(path: &Path) -> ListenerConfig {
        let mut config = ListenerConfig::default();
        config.unix = Some(UnixSocket { path: path.to_owned(), mode: 0o660 });
        config
    }

    /// F-109: acknowledged like elsewhere; the mode is set, and the file goes with the listener.
    #[tokio::test]
    async fn chunks_are_acknowledged() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("forward.sock");
        let server = Server::start(memory(), |config| *config = at(&path));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(&event("one")).await.unwrap();
        let mut found = vec![0; ack("one").len()];
        client.read_exact(&mut found).await.unwrap();
        assert_eq!(found, ack("one"));
        drop(client);
        assert_eq!(server.end().await.events, 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// Security over a Unix socket is as elsewhere; log lines name the process.
    #[tokio::test]
    async fn clients_log_in() {
        let (lines, _guard) = Lines::record();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("forward.sock");
        let server = Server::start(memory(), |config| {
            *config = at(&path);
            config.security = Some(security());
        });
        let mut client = UnixStream::connect(&path).await.unwrap();
        log_in(&mut client, credentials("s3cret"), b"").await.unwrap();
        let mut client = UnixStream::connect(&path).await.unwrap();
        log_in(&mut client, credentials("wrong"), b"").await.unwrap_err();
        drop(client);
        server.end().await;
        let process = format!("unix(pid={},", std::process::id());
        assert!(lines.of("WARN")[0].contains(&process), "{:?}", lines.of("WARN"));
    }

    /// F-110: files of other kinds are left alone, sockets of ended processes replaced, those of
    /// living ones not.
    #[tokio::test]
    async fn only_dead_sockets_are_replaced() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("forward.sock");
        std::fs::write(&path, "precious").unwrap();
        let error = Listener::bind(at(&path), memory()).unwrap_err();
        assert!(matches!(error, BindError::Unix { .. }), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();

        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = Listener::bind(at(&path), memory()).unwrap();
        UnixStream::connect(&path).await.unwrap();
        Listener::bind(at(&path), memory()).unwrap_err();
        UnixStream::connect(&path).await.unwrap();
        drop(first);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

/// R-002, HB-6: connections without a byte give way, those with one stay.
#[tokio::test]
async fn silent_connections_make_room() {
    let server = Server::start(memory(), |config| config.max_connections = 3);
    let mut talker = server.connect().await;
    talker.write_all(&event("one")).await.unwrap();
    expect(&mut talker, &ack("one")).await;
    let mut silent = vec![server.connect().await, server.connect().await];
    for number in 0..20 {
        let mut next = server.connect().await;
        if number % 2 == 0 {
            next.write_all(&event("next")).await.unwrap();
            expect(&mut next, &ack("next")).await;
            drop(next);
        } else {
            silent.push(next);
        }
    }
    expect_end(&mut silent[0]).await;
    talker.write_all(&event("two")).await.unwrap();
    expect(&mut talker, &ack("two")).await;
    drop((talker, silent));
    let figures = server.end().await;
    assert!(figures.connections_evicted > 0);
    assert_eq!(figures.connections_open, 0);
}

/// Addresses that may not connect are sent away before anything else.
#[tokio::test]
async fn networks_may_be_denied() {
    let (lines, _guard) = Lines::record();
    let server =
        Server::start(memory(), |config| config.deny = vec!["127.0.0.0/8".parse().unwrap()]);
    for _ in 0..5 {
        let mut client = server.connect().await;
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
    let figures = server.end().await;
    assert_eq!((figures.connections_denied, figures.connections_refused), (5, 5));
    assert_eq!(lines.of("WARN").len(), 1);
}

/// Fluentd's `deny_keepalive`: one message, its acknowledgement, the end. What had come by then
/// is taken.
#[tokio::test]
async fn a_connection_may_be_for_some_messages() {
    let journal = memory();
    let server =
        Server::start(journal.clone(), |config| config.max_messages_per_connection = Some(2));
    let mut client = server.connect().await;
    client.write_all(&event("one")).await.unwrap();
    expect(&mut client, &ack("one")).await;
    client.write_all(&event("two")).await.unwrap();
    expect(&mut client, &ack("two")).await;
    expect_end(&mut client).await;
    let mut client = server.connect().await;
    client.write_all(&[event("three"), event("four"), event("five")].concat()).await.unwrap();
    expect(&mut client, &[ack("three"), ack("four"), ack("five")].concat()).await;
    expect_end(&mut client).await;
    drop(client);
    server.end().await;
    assert_eq!(texts(&journal).await, ["one", "two", "three", "four", "five"]);
}

/// F-113: a connection that is too old ends after the message it is in, acknowledged.
#[tokio::test]
async fn an_old_connection_ends_between_messages() {
    let server = Server::start(memory(), |config| {
        config.max_connection_age = Some(Duration::from_millis(50));
    });
    let mut client = server.connect().await;
    let (head, tail) = (&event("one")[..6], &event("one")[6..]);
    client.write_all(head).await.unwrap();
    // It is read when the next one is refused its age: an idle connection ends by itself.
    let mut idle = server.connect().await;
    expect_end(&mut idle).await;
    client.write_all(tail).await.unwrap();
    expect(&mut client, &ack("one")).await;
    expect_end(&mut client).await;
}

/// a byte now and then does not keep a message open for ever.
#[tokio::test]
async fn a_dragged_message_ends_the_connection() {
    let (lines, _guard) = Lines::record();
    let server = Server::start(memory(), |config| {
        config.stall_timeout = Duration::from_millis(200);
    });
    let mut client = server.connect().await;
    client.set_nodelay(true).unwrap();
    let message = encode(&array(["t".into(), 1.into(), record(&"x".repeat(10_000))]));
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    for byte in &message {
        pause.tick().await;
        if client.write_all(std::slice::from_ref(byte)).await.is_err() {
            break;
        }
        if client.try_read(&mut [0; 1]).is_ok() {
            break;
        }
    }
    let figures = server.end().await;
    assert_eq!(figures.rejected.get("stalled"), Some(&1), "{figures:?}");
    assert!(figures.bytes < 100, "{figures:?}");
    assert_eq!(lines.of("WARN").len(), 1);
}

/// F-114: a connection that was silent for a day is as good as new; where there is an `idle_timeout`
/// it is gone.
#[tokio::test]
async fn a_day_of_silence_ends_nothing() {
    let patient = Server::start(memory(), |_| {});
    let impatient = Server::start(memory(), |config| {
        config.idle_timeout = Some(Duration::from_secs(3600));
    });
    let (mut kept, mut closed) = (patient.connect().await, impatient.connect().await);
    for client in [&mut kept, &mut closed] {
        client.write_all(&event("one")).await.unwrap();
        expect(client, &ack("one")).await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    tokio::time::resume();
    expect_end(&mut closed).await;
    kept.write_all(&event("two")).await.unwrap();
    expect(&mut kept, &ack("two")).await;
    drop((kept, closed));
    assert_eq!(patient.end().await.appended, 2);
}
