//! What the output counts.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mongodb::event::cmap::CmapEvent;

use super::fault::Class;

/// Counters, readable at any time.
#[derive(Debug, Default)]
pub(super) struct MongoStats {
    inserted: AtomicU64,
    duplicates: AtomicU64,
    collisions: AtomicU64,
    commands: AtomicU64,
    bytes: AtomicU64,
    transient: AtomicU64,
    configuration: AtomicU64,
    permanent: AtomicU64,
    connections: AtomicI64,
    in_use: AtomicI64,
    waiting: AtomicI64,
    cleared: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Debug)]
struct Trouble {
    text: String,
    since: Instant,
    told: Instant,
}

/// What an output to MongoDB has counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MongoFigures {
    /// Documents that the server has stored.
    pub inserted: u64,
    /// Documents that were there already, as their attempt before had arrived after all.
    pub duplicates: u64,
    /// Of these, documents of which no attempt before is known: somebody else uses the same ids.
    pub collisions: u64,
    /// `insert` commands.
    pub commands: u64,
    /// Bytes of BSON that were sent.
    pub bytes: u64,
    /// Attempts that failed for a reason that passes.
    pub transient: u64,
    /// Attempts that failed for a reason that somebody has to do away with.
    pub configuration: u64,
    /// Attempts that failed as something in them can never be written.
    pub permanent: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Connections in use.
    pub in_use: u64,
    /// Commands that wait for a connection.
    pub waiting: u64,
    /// How often all connections were given up.
    pub cleared: u64,
    /// Why nothing is written, while that is so.
    pub trouble: Option<String>,
}

/// The same trouble is told again so much later.
const TELL_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);

impl MongoStats {
    pub(super) fn sent(&self, bytes: usize) {
        add(&self.commands, 1);
        add(&self.bytes, bytes as u64);
    }

    pub(super) fn stored(&self, inserted: u64, duplicates: u64) {
        add(&self.inserted, inserted);
        add(&self.duplicates, duplicates);
    }

    pub(super) fn collided(&self, documents: u64) {
        add(&self.collisions, documents);
    }

    /// Takes note of a failure; whether it is to be told now.
    pub(super) fn failed(&self, class: Class, text: &str) -> bool {
        add(
            match class {
                Class::Transient => &self.transient,
                Class::Configuration => &self.configuration,
                Class::Permanent | Class::Unclear => &self.permanent,
            },
            1,
        );
        let now = Instant::now();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble.as_ref().map_or(now, |trouble| trouble.since);
        let is_news = trouble.as_ref().is_none_or(|known| {
            known.text != text || now.saturating_duration_since(known.told) >= TELL_AGAIN
        });
        let told = trouble.as_ref().filter(|_| !is_news).map_or(now, |known| known.told);
        *trouble = Some(Trouble { text: text.to_owned(), since, told });
        is_news
    }

    /// Something was written: for how long nothing was, if that was so.
    pub(super) fn went_well(&self) -> Option<std::time::Duration> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(trouble.since.elapsed())
    }

    pub(super) fn note_pool(&self, event: &CmapEvent) {
        let change = |gauge: &AtomicI64, by| {
            gauge.fetch_add(by, Ordering::Relaxed);
        };
        match event {
            CmapEvent::ConnectionCreated(_) => change(&self.connections, 1),
            CmapEvent::ConnectionClosed(_) => change(&self.connections, -1),
            CmapEvent::ConnectionCheckoutStarted(_) => change(&self.waiting, 1),
            CmapEvent::ConnectionCheckoutFailed(_) => change(&self.waiting, -1),
            CmapEvent::ConnectionCheckedOut(_) => {
                change(&self.waiting, -1);
                change(&self.in_use, 1);
            }
            CmapEvent::ConnectionCheckedIn(_) => change(&self.in_use, -1),
            CmapEvent::PoolCleared(_) => add(&self.cleared, 1),
            _ => {}
        }
    }

    pub(super) fn figures(&self) -> MongoFigures {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let gauge = |gauge: &AtomicI64| u64::try_from(gauge.load(Ordering::Relaxed)).unwrap_or(0);
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        MongoFigures {
            inserted: of(&self.inserted),
            duplicates: of(&self.duplicates),
            collisions: of(&self.collisions),
            commands: of(&self.commands),
            bytes: of(&self.bytes),
            transient: of(&self.transient),
            configuration: of(&self.configuration),
            permanent: of(&self.permanent),
            connections: gauge(&self.connections),
            in_use: gauge(&self.in_use),
            waiting: gauge(&self.waiting),
            cleared: of(&self.cleared),
            trouble: trouble.as_ref().map(|trouble| trouble.text.clone()),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
