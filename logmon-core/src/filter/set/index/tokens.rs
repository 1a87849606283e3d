//! Words of the message, by the hash of the token.

use std::hash::{BuildHasherDefault, Hasher};

use super::super::super::key;
use super::AtomId;

/// Tokens that atoms ask for, found by their [keys](key::token).
#[derive(Debug, Default)]
pub(super) struct Tokens {
    wanted: hashbrown::HashMap<u64, Vec<Wanted>, BuildHasherDefault<AsIs>>,
}

#[derive(Debug)]
struct Wanted {
    token: Box<str>,
    id: AtomId,
}

impl Tokens {
    pub(super) fn insert(&mut self, id: AtomId, token: &str) {
        let wanted = Wanted { token: token.into(), id };
        self.wanted.entry(key::token(token)).or_default().push(wanted);
    }

    pub(super) fn remove(&mut self, id: AtomId, token: &str) {
        let key = key::token(token);
        if let Some(wanted) = self.wanted.get_mut(&key) {
            wanted.retain(|other| other.id != id);
            if wanted.is_empty() {
                self.wanted.remove(&key);
            }
        }
    }

    pub(super) fn find(&self, message: &str, mut hit: impl FnMut(AtomId)) {
        key::each_token_text(message, |key, token| {
            for wanted in self.wanted.get(&key).into_iter().flatten() {
                // Two tokens may share a key.
                if wanted.token.eq_ignore_ascii_case(token) {
                    hit(wanted.id);
                }
            }
        });
    }
}

/// For keys that are hashes already.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
