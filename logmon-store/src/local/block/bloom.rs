//! A filter of keys: what is in it is found, what is not is hardly ever.
//!
//! Each key sets four bits of one word of 64, so a look is one read of eight bytes.

use std::fmt;

/// The words while keys are added: one MiB of bits.
const WORDS: usize = 1 << 14;
/// Bits for each distinct key in the folded filter, about: from 0.7 to 1.4 times as many.
const BITS_PER_KEY: f64 = 12.0;

/// The most words of a stored filter.
pub(super) const MAX_WORDS: usize = WORDS;

/// The index of a key's word, in a filter of `words` words (a power of two).
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
pub(super) const fn word_of(key: u64, words: usize) -> usize {
    key as usize & (words - 1)
}

/// The bits of a key in its word.
#[inline]
pub(super) const fn mask_of(key: u64) -> u64 {
    1 << (key >> 32 & 63) | 1 << (key >> 38 & 63) | 1 << (key >> 44 & 63) | 1 << (key >> 50 & 63)
}

/// A filter to which keys are added.
pub(super) struct Bloom(Box<[u64]>);

impl Bloom {
    pub(super) fn new() -> Self {
        Self(vec![0; WORDS].into())
    }

    #[inline]
    pub(super) fn add(&mut self, key: u64) {
        if let Some(word) = self.0.get_mut(word_of(key, WORDS)) {
            *word |= mask_of(key);
        }
    }

    /// Appends the filter folded to about [`BITS_PER_KEY`], and begins anew.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let mut words = WORDS;
        let wanted = self.wanted_words();
        while words > wanted {
            words /= 2;
            let (low, high) = self.0.split_at_mut(words);
            for (word, folded) in low.iter_mut().zip(high.iter()) {
                *word |= folded;
            }
        }
        for word in self.0.iter().take(words) {
            out.extend_from_slice(&word.to_le_bytes());
        }
        self.0.fill(0);
    }

    /// By how many bits are set one knows about how many keys have set them.
    fn wanted_words(&self) -> usize {
        let set: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        #[expect(clippy::cast_precision_loss, reason = "about so many")]
        let bits = (WORDS * 64) as f64;
        let full = (f64::from(set) / bits).min(0.9999);
        let keys = -(bits / 4.0) * (1.0 - full).ln();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and far below"
        )]
        let wanted = (keys * BITS_PER_KEY / 64.0).ceil() as usize;
        // A little too few bits are better than twice as many.
        let words = wanted.next_power_of_two().clamp(1, WORDS);
        if words > 1 && wanted * 10 < words * 7 { words / 2 } else { words }
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bloom").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logmon_core::filter::key::token;

    fn has(filter: &[u64], key: u64) -> bool {
        let mask = mask_of(key);
        filter[word_of(key, filter.len())] & mask == mask
    }

    #[test]
    fn finds_every_key_and_few_others() {
        let mut bloom = Bloom::new();
        for keys in [0, 1, 100, 20_000] {
            (0..keys).for_each(|n| bloom.add(token(&format!("in{n}"))));
            let mut out = Vec::new();
            bloom.finish(&mut out);
            let (words, rest) = out.as_chunks::<8>();
            let filter: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            assert!(rest.is_empty() && filter.len().is_power_of_two());
            assert!((0..keys).all(|n| has(&filter, token(&format!("in{n}")))));
            let others = (0..10_000).filter(|n| has(&filter, token(&format!("out{n}")))).count();
            assert!(others < 500, "{others} of 10,000 with {keys} keys");
            assert!(
                filter.len() * 64 <= 27 * keys.max(3),
                "{} words for {keys} keys",
                filter.len()
            );
        }
    }
}
