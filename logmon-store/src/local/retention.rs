//! Removing partitions.
//!
//! What is removed is first noted in the ledger, then forgotten by the catalogue, then unlinked. A
//! crash between two of these steps leaves files that a later round removes; nothing is counted
//! twice.

use std::io;
use std::sync::Arc;

use logmon_core::Timestamp;

use super::catalog::{Catalog, Partition};
use super::config::StoreRetention;
use super::ledger::Ledger;
use super::partition::{file_name, index_name};
use super::shared::Shared;

/// No more than the events of an hour go at once by age.
const STEP_NANOS: i64 = 3_600_000_000_000;

/// Why a partition is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Age,
    Size,
}

impl Shared {
    /// Removes what has expired.
    ///
    /// # Durability
    /// The note about it is durable before the first file goes. Where the disk has no room for the
    /// note, nothing is removed now.
    pub(super) fn retain(&self) {
        let catalog = self.catalog();
        let removals = expired(&catalog, &self.config.retention, self.vfs.now());
        if !removals.is_empty() {
            let ledger = self.noted(&removals);
            if let Err(error) = ledger.write(&*self.vfs) {
                tracing::warn!(%error, "no note of what retention removes could be made; it waits");
                return;
            }
            let is_kept =
                |partition: &&Arc<Partition>| !ledger.removing.contains(&partition.number());
            let closed = Arc::new(catalog.closed.iter().filter(is_kept).cloned().collect());
            *self.ledger() = ledger;
            self.publish(Catalog { closed, ..Catalog::clone(&catalog) });
        }
        self.unlink();
    }

    /// The books after these have gone.
    fn noted(&self, removals: &[(Arc<Partition>, Reason)]) -> Ledger {
        let mut ledger = self.ledger().clone();
        for (partition, reason) in removals {
            let number = partition.number();
            let events = partition.events.saturating_sub(self.reading.damaged(number));
            match reason {
                Reason::Age => ledger.expired.by_age += events,
                Reason::Size => ledger.expired.by_size += events,
            }
            ledger.removing.push(number);
            ledger.end_seq = ledger.end_seq.max(partition.end_seq());
            ledger.delivered = ledger.delivered.max(partition.events_after());
        }
        ledger
    }

    /// Unlinks the files of partitions that are forgotten already.
    fn unlink(&self) {
        let removing = self.ledger().removing.clone();
        if removing.is_empty() {
            return;
        }
        let is_gone = |number: &u64| {
            self.reading.forget(*number);
            [index_name(*number), file_name(*number)].iter().all(|name| {
                match self.vfs.remove(name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!(name, %error, "an expired file could not be removed");
                        false
                    }
                    _ => true,
                }
            })
        };
        let gone: Vec<u64> = removing.into_iter().filter(is_gone).collect();
        match self.vfs.sync_dir() {
            // The next note leaves them out; until then a removal is tried in vain.
            Ok(()) => self.ledger().removing.retain(|number| !gone.contains(number)),
            Err(error) => tracing::warn!(%error, "the removal of partitions is not durable yet"),
        }
    }
}

/// The partitions to be removed now.
fn expired(
    catalog: &Catalog,
    retention: &StoreRetention,
    now: Timestamp,
) -> Vec<(Arc<Partition>, Reason)> {
    let mut removals = too_many(catalog, retention.max_bytes);
    if let Some(max_age) = retention.max_age {
        let max_age = i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX);
        let rest = catalog.closed.get(removals.len()..).unwrap_or_default();
        removals.extend(too_old(rest, catalog, now.as_nanos().saturating_sub(max_age)));
    }
    removals
}

fn too_many(catalog: &Catalog, max_bytes: Option<u64>) -> Vec<(Arc<Partition>, Reason)> {
    let Some(max_bytes) = max_bytes else { return Vec::new() };
    let mut bytes: u64 = catalog.partitions().map(|partition| partition.bytes()).sum();
    let is_too_much = |partition: &&Arc<Partition>| {
        let is_too_much = bytes > max_bytes;
        bytes -= partition.bytes();
        is_too_much
    };
    let oldest = catalog.closed.iter().take_while(is_too_much);
    oldest.map(|partition| (partition.clone(), Reason::Size)).collect()
}

/// Partitions that were closed, and whose events were received, before `limit`: one clock that was
/// wrong for a while removes nothing.
fn too_old(
    closed: &[Arc<Partition>],
    catalog: &Catalog,
    limit: i64,
) -> Vec<(Arc<Partition>, Reason)> {
    let open = catalog
        .open
        .iter()
        .map(|open| open.received.as_nanos())
        .filter(|_| catalog.open.as_ref().is_some_and(|open| !open.blocks.is_empty()));
    // Events come in the order in which they were received: what a clock that ran ahead has said
    // of some is put right by those behind them.
    let mut earliest = open.min().unwrap_or(i64::MAX);
    let mut old: Vec<(i64, Arc<Partition>)> = Vec::new();
    for partition in closed.iter().rev() {
        earliest = earliest.min(partition.received.as_nanos());
        let was_closed = partition.closed.is_some_and(|closed| closed.as_nanos() < limit);
        if was_closed && earliest < limit {
            old.push((earliest, partition.clone()));
        }
    }
    old.reverse();
    // A clock that runs ahead now would make everything old.
    let step = old.first().map_or(i64::MIN, |(first, _)| first.saturating_add(STEP_NANOS));
    let old = old.into_iter().take_while(|(received, _)| *received <= step);
    old.map(|(_, partition)| (partition, Reason::Age)).collect()
}
