//! Texts that repeat, by number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use logmon_core::filter::key;

use super::wire::{Fields, put_bytes, put_varint};

/// Texts and how many events have each, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    by_key: HashMap<u64, u32, BuildHasherDefault<Same>>,
    texts: Vec<Box<str>>,
    counts: Vec<u32>,
    last: u32,
}

/// The hash of a key is the key.
#[derive(Debug, Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Dictionary {
    /// The number of a text, for one more event.
    #[inline]
    pub(super) fn add(&mut self, text: &str) -> u32 {
        let number = if self.is(self.last, text) { self.last } else { self.find_or_insert(text) };
        self.last = number;
        if let Some(count) = self.counts.get_mut(number as usize) {
            *count += 1;
        }
        number
    }

    fn is(&self, number: u32, text: &str) -> bool {
        self.texts.get(number as usize).is_some_and(|known| **known == *text)
    }

    fn find_or_insert(&mut self, text: &str) -> u32 {
        let mut key = key::text(0, text);
        // Another text with the same key, should there ever be one, stands under the next.
        while let Some(number) = self.by_key.get(&key) {
            if self.is(*number, text) {
                return *number;
            }
            key = key.wrapping_add(1);
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.by_key.insert(key, number);
        self.texts.push(text.into());
        self.counts.push(0);
        number
    }

    /// Appends all, and begins anew.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        put_varint(out, self.texts.len() as u64);
        for (text, count) in self.texts.iter().zip(&self.counts) {
            put_bytes(out, text.as_bytes());
            put_varint(out, u64::from(*count));
        }
        self.by_key.clear();
        self.texts.clear();
        self.counts.clear();
        self.last = 0;
    }
}

/// The texts of a stored dictionary and how many events have each.
#[derive(Debug)]
pub(super) struct Texts {
    all: String,
    /// Where each text ends, and its count.
    ends: Vec<(u32, u32)>,
}

impl Texts {
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// The texts in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |(end, _)| {
            let range = std::mem::replace(&mut start, *end as usize)..*end as usize;
            self.all.get(range).unwrap_or_default()
        })
    }

    /// How many events have one of the texts.
    pub(super) fn events(&self) -> u64 {
        self.ends.iter().map(|(_, count)| u64::from(*count)).sum()
    }
}

/// Reads a dictionary of a block of `rows` events.
pub(super) fn read_dictionary(take: &mut Fields<'_>, rows: u32) -> Option<Texts> {
    let len = take.count()?;
    let (mut all, mut ends) = (String::new(), Vec::with_capacity(len.min(rows as usize)));
    for _ in 0..len {
        all.push_str(take.counted_text()?);
        let count = u32::try_from(take.varint()?).ok().filter(|count| *count <= rows)?;
        ends.push((u32::try_from(all.len()).ok()?, count));
    }
    Some(Texts { all, ends })
}
