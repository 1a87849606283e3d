//! Heartbeats over UDP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::listener::*;

/// Sends, and gives what comes back and from where.
async fn probe(to: SocketAddr, payload: &[u8]) -> Option<(Vec<u8>, SocketAddr)> {
    let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    let socket = UdpSocket::bind(any).await.unwrap();
    socket.send_to(payload, to).await.unwrap();
    receive(&socket).await
}

async fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0xff; 64];
    let received = timeout(Duration::from_secs(5), socket.recv_from(&mut buffer)).await.ok()?;
    let (length, from) = received.unwrap();
    Some((buffer[..length].to_vec(), from))
}

/// F-101, F-102, R-042: one byte back, whatever came, from where it was sent to.
#[tokio::test]
async fn heartbeats_are_answered() {
    let server = Server::start(memory(), |_| {});
    let expected = Some((vec![0], server.addr));
    assert_eq!(probe(server.addr, &[0]).await, expected);
    assert_eq!(probe(server.addr, &[7; 128]).await, expected);
    assert_eq!(server.end().await.udp_heartbeats, 2);
}

/// F-103, HB-2: on all addresses, the answer comes from the one that was asked.
#[tokio::test]
async fn answers_come_from_the_address_asked() {
    let server = Server::start(memory(), |config| config.listen = "0.0.0.0:0".parse().unwrap());
    for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        let to = SocketAddr::new(ip.parse().unwrap(), server.addr.port());
        assert_eq!(probe(to, &[0]).await, Some((vec![0], to)));
    }
}

/// F-102: an empty datagram gets no answer; too many are not answered.
#[tokio::test]
async fn floods_are_not_answered() {
    let server = Server::start(memory(), |config| config.udp_heartbeat_rate = 3);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&[], server.addr).await.unwrap();
    for _ in 0..50 {
        socket.send_to(&[0], server.addr).await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(receive(&socket).await.unwrap().0, [0]);
    }
    while server.stats.snapshot().udp_limited < 40 {
        tokio::task::yield_now().await;
    }
    let figures = server.end().await;
    // Some of them may have come a third of a second later.
    assert!(figures.udp_heartbeats < 10, "{figures:?}");
    assert!(figures.udp_heartbeats + figures.udp_limited <= 50, "the empty one is none");
}

#[tokio::test]
async fn heartbeats_may_be_turned_off() {
    let server = Server::start(memory(), |config| config.udp_heartbeat = false);
    UdpSocket::bind(server.addr).await.expect("the port is free");
}
