//! The chunks of the last minutes.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use hashbrown::HashTable;
use tokio::sync::oneshot;

use super::sighting::{ContentHash, Kind, Sighting};

/// What is let go of at most for each chunk that comes, so that nobody waits long after a pause.
const EVICTED_AT_ONCE: usize = 4;

/// The chunks taken in lately, in the order they came: at most so many, and none that is too old.
///
/// A chunk has a number, which is never used again. Of several with one key only the last can be
/// found. An id takes 24 bytes, and 5 in the index; with the room that both grow by less than 40.
#[derive(Debug)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    /// The low half of numbers, by key.
    index: HashTable<u32>,
    /// Who waits for the commit of a chunk.
    waiting: HashMap<u64, Vec<oneshot::Sender<()>>>,
    max_ids: usize,
    max_age: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    content: ContentHash,
    /// Who sent it last: the number of the connection, and the peer, 0 where that is not known.
    connection: u32,
    peer: u32,
    /// When it came in seconds, above two bits for the flags.
    stamp: u32,
}

/// The journal has it.
const COMMITTED: u32 = 1;
/// Its sender knows.
const CONFIRMED: u32 = 2;

/// Of more chunks than this, the oldest are let go whose senders have their acknowledgements: they
/// have no reason to send them again.
const MAX_CONFIRMED: usize = 250_000;

/// Who a chunk comes from, and when, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) connection: u32,
    pub(super) peer: u32,
    pub(super) now: u32,
}

/// What becomes of a chunk.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is new, and has a number; `is_conflict` tells that its id has been used for other
    /// events.
    New { number: u64, is_conflict: bool },
    /// It is there already.
    Known { number: u64 },
    /// Its first copy is on its way into the journal; this tells when it is there. Dropped, it
    /// will not be.
    OnItsWay { number: u64, seen: oneshot::Receiver<()> },
    /// First it must be known whether the id is a hash.
    Unproven,
}

impl Window {
    pub(super) fn new(max_ids: usize, max_age: u32) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            index: HashTable::new(),
            waiting: HashMap::new(),
            max_ids: max_ids.min(u32::MAX as usize),
            max_age,
        }
    }

    /// Looks for a chunk, and remembers it where it is new.
    pub(super) fn decide(&mut self, seen: &Sighting, from: Arrival) -> Decision {
        let known = self.find(seen.key).or_else(|| {
            let number = self.find(seen.unproven_key?)?;
            self.entry(number).is_some_and(|entry| entry.peer == from.peer).then_some(number)
        });
        let known = known.and_then(|number| Some((number, *self.entry(number)?)));
        let known = known.filter(|(_, entry)| !entry.is_old(from.now, self.max_age));
        let Some((number, entry)) = known else { return self.insert(seen, from, false) };
        if entry.content != seen.content {
            return self.insert(seen, from, true);
        }
        match seen.kind {
            Kind::Unproven => Decision::Unproven,
            Kind::ContentHash if !entry.is_retried_by(from) => self.insert(seen, from, false),
            Kind::ContentHash | Kind::Unique => self.repeat(number, entry, from),
        }
    }

    /// Puts a chunk of an earlier process behind what is there.
    pub(super) fn restore(
        &mut self,
        (key, content): (u64, ContentHash),
        connection: u32,
        (time, is_confirmed): (u32, bool),
    ) {
        let confirmed = if is_confirmed { CONFIRMED } else { 0 };
        let stamp = time << 2 | COMMITTED | confirmed;
        self.push(Entry { key, content, connection, peer: 0, stamp });
    }

    /// The journal has these chunks.
    pub(super) fn commit(&mut self, numbers: Range<u64>) {
        for number in numbers {
            if let Some(entry) = self.entry_mut(number) {
                entry.stamp |= COMMITTED;
            }
            if !self.waiting.is_empty() {
                for waiting in self.waiting.remove(&number).into_iter().flatten() {
                    let _who_has_stopped_waiting_need_not_know = waiting.send(());
                }
            }
        }
    }

    /// The journal has not taken these chunks: they are forgotten.
    pub(super) fn forget(&mut self, numbers: Range<u64>) {
        for number in numbers {
            if let Some(entry) = self.entry_mut(number) {
                // Nothing finds it any more, and nothing need keep it.
                *entry = Entry { stamp: COMMITTED, ..*entry };
                let key = entry.key;
                self.remove_from_index(key, number);
            }
            drop(self.waiting.remove(&number));
        }
    }

    /// The sender of this chunk has its acknowledgement.
    pub(super) fn confirm(&mut self, number: u64, connection: u32) {
        // Another connection may have sent it again since.
        if let Some(entry) = self.entry_mut(number).filter(|entry| entry.connection == connection) {
            entry.stamp |= CONFIRMED;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn find(&self, key: u64) -> Option<u64> {
        let has_key = |slot: &u32| self.at(*slot).is_some_and(|entry| entry.key == key);
        self.index.find(key, has_key).map(|slot| self.first + u64::from(self.offset(*slot)))
    }

    fn insert(&mut self, seen: &Sighting, from: Arrival, is_conflict: bool) -> Decision {
        self.evict(from.now);
        let Sighting { key, content, .. } = *seen;
        let Arrival { connection, peer, now } = from;
        let number = self.push(Entry { key, content, connection, peer, stamp: now << 2 });
        Decision::New { number, is_conflict }
    }

    /// A chunk has come once more.
    fn repeat(&mut self, number: u64, entry: Entry, from: Arrival) -> Decision {
        let Arrival { connection, peer, now } = from;
        let stamp = entry.stamp & !CONFIRMED;
        if stamp & COMMITTED == 0 {
            let stamp = now << 2;
            if let Some(entry) = self.entry_mut(number) {
                *entry = Entry { connection, peer, stamp, ..*entry };
            }
            let (waiting, seen) = oneshot::channel();
            self.waiting.entry(number).or_default().push(waiting);
            return Decision::OnItsWay { number, seen };
        }
        // One that is sent again and again is remembered on, without a place for each time.
        if now.saturating_sub(entry.time()) > self.max_age / 2 {
            self.evict(now);
            let stamp = now << 2 | COMMITTED;
            let number = self.push(Entry { connection, peer, stamp, ..entry });
            return Decision::Known { number };
        }
        if let Some(entry) = self.entry_mut(number) {
            *entry = Entry { connection, peer, stamp, ..*entry };
        }
        Decision::Known { number }
    }

    fn push(&mut self, entry: Entry) -> u64 {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact((self.entries.len() / 8).max(64));
        }
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(entry);
        let slot = low(number);
        let (entries, first) = (&self.entries, low(self.first));
        let key_of =
            |slot: u32| entries.get(slot.wrapping_sub(first) as usize).map_or(0, |entry| entry.key);
        match self.index.find_mut(entry.key, |slot| key_of(*slot) == entry.key) {
            Some(known) => *known = slot,
            None => {
                self.index.insert_unique(entry.key, slot, |slot| key_of(*slot));
            }
        }
        number
    }

    /// Lets go of what is too old or too much. Whoever waits for a chunk goes on waiting.
    fn evict(&mut self, now: u32) {
        for _ in 0..EVICTED_AT_ONCE {
            let Some(oldest) = self.entries.front() else { return };
            let is_spare = oldest.is_confirmed() && self.entries.len() >= MAX_CONFIRMED;
            let is_old = oldest.is_old(now, self.max_age);
            if !is_old && !is_spare && self.entries.len() < self.max_ids {
                return;
            }
            let key = oldest.key;
            self.remove_from_index(key, self.first);
            self.entries.pop_front();
            self.first += 1;
        }
    }

    fn remove_from_index(&mut self, key: u64, number: u64) {
        if let Ok(place) = self.index.find_entry(key, |slot| *slot == low(number)) {
            place.remove();
        }
    }

    fn offset(&self, slot: u32) -> u32 {
        slot.wrapping_sub(low(self.first))
    }

    fn at(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(self.offset(slot) as usize)
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

impl Entry {
    const fn time(&self) -> u32 {
        self.stamp >> 2
    }

    const fn is_confirmed(&self) -> bool {
        self.stamp & (COMMITTED | CONFIRMED) == COMMITTED | CONFIRMED
    }

    /// Whether it is no longer of use: what is on its way always is.
    const fn is_old(&self, now: u32, max_age: u32) -> bool {
        self.stamp & COMMITTED != 0 && now.saturating_sub(self.time()) > max_age
    }

    /// Whether equal events from there are the same events again: their sender has not heard that
    /// they arrived, and has had to connect anew.
    const fn is_retried_by(&self, from: Arrival) -> bool {
        self.connection != from.connection && self.stamp & CONFIRMED == 0
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the window is far shorter than 2^32")]
const fn low(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests;
