//! What is done to a pool beside giving chunks out: heartbeats and discovery.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::warn;

use super::super::health::Detached;
use super::super::node::Node;
use super::super::resolve::Service;
use super::super::stats::Counters;
use super::super::{Address, Server};
use super::Pool;
use super::member::Member;

impl Pool {
    /// The nodes a heartbeat is due for; detaches those that were silent for too long.
    pub(in super::super) fn due_heartbeats(&self) -> Vec<Arc<Node>> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut state = self.lock();
        for member in &mut state.members {
            let address = &member.node.address;
            match member.health.check(now) {
                Some(Detached::Phi(phi)) => {
                    warn!(node = %address, phi, "a server is detached: it is silent");
                }
                Some(Detached::Silent(silence)) => {
                    warn!(node = %address, ?silence, "a server is detached: it is silent");
                }
                None => {}
            }
            if !member.is_asked && member.weight > 0 && member.health.take_heartbeat(now) {
                member.is_asked = true;
                due.push(member.node.clone());
            }
        }
        drop(state);
        self.changed.notify_waiters();
        due
    }

    /// A heartbeat was answered, or was not.
    pub(in super::super) fn heartbeat(&self, node: u64, is_answered: bool) {
        let mut state = self.lock();
        let Some(member) = state.member(node) else { return };
        member.is_asked = false;
        if is_answered {
            Counters::add(&self.counters.heartbeats, 1);
            member.health.beat(Instant::now());
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes over the SRV records that are there now: nodes that are new come in, those that are
    /// gone finish what they have.
    pub(in super::super) fn set_services(&self, services: &[Service]) {
        let mut state = self.lock();
        let address = |service: &Service| {
            let host = service.target.trim_end_matches('.').to_owned();
            Address::Tcp { host, port: service.port }
        };
        state.members.retain(|member| {
            let of_record = |service: &Service| address(service) == member.node.address;
            !member.is_discovered || services.iter().any(of_record)
        });
        for service in services {
            let (address, weight) = (address(service), u32::from(service.weight.max(1)));
            let known =
                |member: &&mut Member| member.is_discovered && member.node.address == address;
            match state.members.iter_mut().find(known) {
                Some(member) => (member.weight, member.tier) = (weight, service.priority),
                None => {
                    let server = Server::new(address).weight(weight);
                    state.add(&server, (service.priority, true), &self.config, self.rules);
                }
            }
        }
        state.wheel.reset();
        drop(state);
        self.changed.notify_waiters();
    }
}
