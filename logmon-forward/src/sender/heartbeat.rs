//! The task that asks idle nodes whether they live, and looks SRV records up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use super::failure::{Chain, Failure, FailureKind};
use super::node::Node;
use super::pool::Pool;
use super::resolve::Cached;
use super::{Address, HeartbeatKind};

/// How often the task looks around at least.
const TICK: Duration = Duration::from_secs(1);

/// Runs until the sender is closed.
pub(super) async fn keep(pool: Arc<Pool>) {
    let mut closing = pool.closing();
    let mut services = Cached::default();
    let period = TICK.min(pool.config.heartbeat.interval).max(Duration::from_millis(1));
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = closing.wait_for(|is_closing| *is_closing) => return,
            _ = ticks.tick() => {}
        }
        if let Some(name) = &pool.config.srv
            && services.is_stale(Instant::now(), false)
        {
            let outcome = pool.config.resolver.services(name).await;
            match services.take(Instant::now(), outcome) {
                Ok(()) => pool.set_services(&services.found),
                Err(error) => {
                    warn!(name, error = %Chain(&error), "the SRV records could not be looked up; what was found before stays in use");
                }
            }
        }
        for node in pool.due_heartbeats() {
            tokio::spawn(ask(pool.clone(), node));
        }
    }
}

/// One heartbeat.
async fn ask(pool: Arc<Pool>, node: Arc<Node>) {
    let outcome = match (pool.config.heartbeat.kind, &node.address) {
        (HeartbeatKind::Udp, Address::Tcp { .. }) => udp(&pool, &node).await,
        _ => transport(&pool, &node).await,
    };
    if let Err(failure) = &outcome {
        debug!(node = %node.address, reason = %Chain(failure), "a heartbeat failed");
    }
    pool.heartbeat(node.id, outcome.is_ok());
}

/// Everything a chunk needs but the chunk.
async fn transport(pool: &Pool, node: &Node) -> Result<(), Failure> {
    pool.connect(node, false).await?.close().await;
    Ok(())
}

/// One byte there and back. The socket takes answers only from where it has asked.
async fn udp(pool: &Pool, node: &Node) -> Result<(), Failure> {
    let addrs = node.addresses(&*pool.config.resolver, false).await?;
    let Some(addr) = addrs.first() else { return Err(Failure::new(FailureKind::Resolve)) };
    let limit = pool.config.heartbeat.interval;
    let asking = async {
        let any = if addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(addr).await?;
        socket.send(&[0]).await?;
        socket.recv(&mut [0; 128]).await
    };
    let asked: io::Result<usize> =
        timeout(limit, asking).await.map_err(|_| Failure::timeout("the heartbeat", limit))?;
    asked.map(drop).map_err(|error| Failure::with(FailureKind::Connect, error))
}
