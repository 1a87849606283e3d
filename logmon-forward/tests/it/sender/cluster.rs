//! Several servers: shares, fail-over, standbys, discovery, heartbeats.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use logmon_core::{BoxFuture, Retry};
use logmon_forward::Sender;
use logmon_forward::sender::{
    Address, Heartbeat, HeartbeatKind, Lookup, NodeState, Resolver, SenderConfig, Server, Service,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::script::*;
use crate::common::*;

/// A server that acknowledges everything, until it is stopped.
struct Good {
    address: Address,
    seen: mpsc::Receiver<String>,
    task: JoinHandle<()>,
}

impl Good {
    async fn start() -> Self {
        let script = Script::bind().await;
        let (seen, ids) = mpsc::channel(1_000);
        let address = script.address();
        Self { address, seen: ids, task: tokio::spawn(script.serve(seen)) }
    }

    fn count(&mut self) -> usize {
        let mut count = 0;
        while self.seen.try_recv().is_ok() {
            count += 1;
        }
        count
    }
}

fn heartbeat(kind: HeartbeatKind) -> Heartbeat {
    let mut heartbeat = Heartbeat::default();
    heartbeat.kind = kind;
    heartbeat.interval = Duration::from_millis(10);
    heartbeat.recover_wait = Duration::from_millis(20);
    heartbeat
}

fn cluster(servers: Vec<Server>) -> SenderConfig {
    let mut config = SenderConfig::default();
    config.servers = servers;
    config.retry = Retry { first: Duration::from_millis(5), most: Duration::from_millis(20) };
    config.heartbeat.kind = HeartbeatKind::None;
    config
}

async fn until(sender: &Sender, is_so: impl Fn(&[NodeState]) -> bool) {
    loop {
        let nodes = sender.stats().nodes;
        if is_so(&nodes.iter().map(|node| node.state).collect::<Vec<_>>()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// An address nobody listens on.
async fn nobody() -> Address {
    Script::bind().await.address()
}

/// F-146: the shares are those of the weights, over real connections.
#[tokio::test]
async fn weights_share_the_chunks() {
    let (mut a, mut b, mut c) = (Good::start().await, Good::start().await, Good::start().await);
    let servers = [(&a, 60), (&b, 30), (&c, 10)];
    let servers = servers.map(|(good, weight)| Server::new(good.address.clone()).weight(weight));
    let sender = Sender::new(cluster(servers.into())).unwrap();
    for _ in 0..200 {
        send(&sender, "a").await.unwrap();
    }
    sender.close().await;
    for good in [&mut a, &mut b, &mut c] {
        good.task.abort();
    }
    let chunks: Vec<u64> = sender.stats().nodes.iter().map(|node| node.chunks).collect();
    assert_eq!(chunks, [120, 60, 20]);
    assert!(a.count() >= 119 && b.count() >= 59 && c.count() >= 19);
}

/// F-147: the standby takes over while the primary is down, and gives back.
#[tokio::test]
async fn a_standby_takes_over_and_gives_back() {
    let script = Script::bind().await;
    let port = script.address().to_string();
    drop(script);
    let (address, mut standby) = (port.parse::<Address>().unwrap(), Good::start().await);
    let servers = vec![Server::new(address), Server::new(standby.address.clone()).standby()];
    let mut config = cluster(servers);
    config.heartbeat = heartbeat(HeartbeatKind::Transport);
    let sender = Sender::new(config).unwrap();
    for _ in 0..5 {
        send(&sender, "a").await.unwrap();
    }
    assert_eq!(standby.seen.recv().await.map(|id| id.len()), Some(24));
    let nodes = sender.stats().nodes;
    assert_eq!(nodes.iter().map(|node| node.chunks).collect::<Vec<_>>(), [0, 5]);
    assert_eq!(nodes[0].state, NodeState::Down);
    // The primary comes, answers heartbeats, and gets a chunk to show that it is well.
    let listener = tokio::net::TcpListener::bind(port).await.unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let mut wire = Wire::new(listener.accept().await.unwrap().0);
            tokio::spawn(async move {
                while let Some(chunk) = wire.next().await {
                    wire.ack(&chunk.id).await;
                }
            });
        }
    });
    until(&sender, |states| states[0] == NodeState::Recovering).await;
    for _ in 0..5 {
        send(&sender, "a").await.unwrap();
    }
    let nodes = sender.stats().nodes;
    assert_eq!(nodes.iter().map(|node| node.chunks).collect::<Vec<_>>(), [5, 5]);
    assert_eq!(nodes[0].state, NodeState::Up);
    assert!(sender.stats().heartbeats >= 2);
    serving.abort();
}

/// F-148: a server that answers UDP heartbeats stays; one that falls silent is detached.
#[tokio::test]
async fn silence_over_udp_detaches() {
    let mut good = Good::start().await;
    let port = good.address.to_string();
    let udp = UdpSocket::bind(&port).await.unwrap();
    let mut config = cluster(vec![Server::new(good.address.clone())]);
    config.heartbeat = heartbeat(HeartbeatKind::Udp);
    config.heartbeat.phi_threshold = None;
    config.heartbeat.hard_timeout = Duration::from_millis(60);
    let sender = Sender::new(config).unwrap();
    send(&sender, "a").await.unwrap();
    let mut byte = [9; 8];
    for _ in 0..20 {
        let (len, from) = udp.recv_from(&mut byte).await.unwrap();
        assert_eq!((len, byte[0]), (1, 0));
        udp.send_to(&[0], from).await.unwrap();
    }
    assert!(sender.stats().heartbeats >= 19);
    drop(udp);
    until(&sender, |states| states == [NodeState::Down]).await;
    // It is the only one, so a chunk may try all the same; and it comes back by it.
    send(&sender, "a").await.unwrap();
    assert_eq!(good.count().max(1), 2);
    good.task.abort();
}

/// A resolver of the test's own.
#[derive(Debug, Default)]
struct Names {
    hosts: Mutex<HashMap<String, Vec<SocketAddr>>>,
    services: Mutex<Vec<Service>>,
    lookups: Mutex<usize>,
}

impl Resolver for Names {
    fn addresses(&self, host: &str, _: u16) -> BoxFuture<'_, io::Result<Lookup<SocketAddr>>> {
        *self.lookups.lock().unwrap() += 1;
        let found = self.hosts.lock().unwrap().get(host).cloned().unwrap_or_default();
        Box::pin(std::future::ready(Ok(Lookup { found, ttl: None })))
    }

    fn services(&self, name: &str) -> BoxFuture<'_, io::Result<Lookup<Service>>> {
        assert_eq!(name, "_fluentd._tcp.example");
        let found = self.services.lock().unwrap().clone();
        Box::pin(std::future::ready(Ok(Lookup { found, ttl: None })))
    }
}

fn service(priority: u16, weight: u16, address: &Address) -> Service {
    let Address::Tcp { host, port } = address.clone() else { panic!("{address}") };
    Service { priority, weight, target: format!("{host}."), port }
}

/// F-150: by priority, and servers of weight 0 are of use.
#[tokio::test]
async fn srv_records_name_the_servers() {
    let (first, second, dead) = (Good::start().await, Good::start().await, nobody().await);
    let names = Names::default();
    *names.services.lock().unwrap() =
        vec![service(10, 50, &second.address), service(0, 0, &first.address)];
    let mut config = cluster(Vec::new());
    config.srv = Some("_fluentd._tcp.example".into());
    config.resolver = Arc::new(names);
    let sender = Sender::new(config.clone()).unwrap();
    for _ in 0..3 {
        send(&sender, "a").await.unwrap();
    }
    let by_priority = |sender: &Sender| {
        let nodes = sender.stats().nodes;
        nodes.iter().map(|node| (node.priority, node.weight, node.chunks)).collect::<Vec<_>>()
    };
    assert_eq!(by_priority(&sender), [(10, 50, 0), (0, 1, 3)]);
    // With the first ones down, the others are used.
    let names = Names::default();
    *names.services.lock().unwrap() = vec![service(0, 9, &dead), service(10, 0, &second.address)];
    config.resolver = Arc::new(names);
    let sender = Sender::new(config).unwrap();
    send(&sender, "a").await.unwrap();
    assert_eq!(by_priority(&sender)[1], (10, 1, 1));
    first.task.abort();
    second.task.abort();
}

/// S-14: all addresses of a name are tried.
#[tokio::test]
async fn every_address_is_tried() {
    let good = Good::start().await;
    let parse = |address: &Address| address.to_string().parse::<SocketAddr>().unwrap();
    let addrs = vec![parse(&nobody().await), parse(&good.address)];
    let names = Arc::new(Names::default());
    names.hosts.lock().unwrap().insert("logs.example".into(), addrs);
    let mut config = cluster(vec![Server::new("logs.example".parse::<Address>().unwrap())]);
    config.resolver = names.clone();
    config.keepalive = false;
    let sender = Sender::new(config).unwrap();
    for _ in 0..3 {
        send(&sender, "a").await.unwrap();
    }
    assert_eq!((sender.stats().chunks, sender.stats().resent), (3, 0));
    assert_eq!(*names.lookups.lock().unwrap(), 1, "a name that was found holds for a while");
    good.task.abort();
}

/// S-14: what has no address is tried again later.
#[tokio::test]
async fn an_unknown_name_is_a_failure() {
    let mut config = cluster(vec![Server::new("nowhere.example".parse::<Address>().unwrap())]);
    config.resolver = Arc::new(Names::default());
    config.retry_timeout = Some(Duration::from_millis(30));
    let sender = Sender::new(config).unwrap();
    send(&sender, "a").await.unwrap_err();
    let resolve = logmon_forward::sender::FailureKind::Resolve;
    assert!(sender.stats().failures_of(resolve) >= 1);
}

/// Tags that stick stay on one server.
#[tokio::test]
async fn tags_may_stick() {
    let servers = [Good::start().await, Good::start().await, Good::start().await];
    let mut config =
        cluster(servers.iter().map(|good| Server::new(good.address.clone())).collect());
    config.sticky = true;
    let sender = Sender::new(config).unwrap();
    for tag in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let before: Vec<u64> = sender.stats().nodes.iter().map(|node| node.chunks).collect();
        for _ in 0..4 {
            sender.send(tag, packed(&[entry(1, "a")]), 1).await.unwrap();
        }
        let after = sender.stats().nodes;
        let gained: Vec<u64> =
            after.iter().zip(before).map(|(node, before)| node.chunks - before).collect();
        assert_eq!(gained.iter().max(), Some(&4), "{tag}: {gained:?}");
    }
    servers.iter().for_each(|good| good.task.abort());
}
