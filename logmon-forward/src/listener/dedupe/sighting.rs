//! A chunk as recognition sees it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use logmon_core::Tag;
use sha2::{Digest as _, Sha512};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::PeerId;
use crate::codec::Chunk;

/// The hash over a chunk's entries: packed, decompressed, one after the other. Taken at once or
/// piece by piece it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentHash(u32);

/// What an id tells by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A chunk of its own has an id of its own.
    Unique,
    /// The id is a hash over the events, so equal events have equal ids.
    ContentHash,
    /// It could be a hash, which is looked into when it is seen again.
    Unproven,
}

/// A chunk that has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    pub(super) key: u64,
    /// The key that the same id had before it was known to be a hash.
    pub(super) unproven_key: Option<u64>,
    pub(super) content: ContentHash,
    pub(super) kind: Kind,
}

impl Sighting {
    /// The same with an id that is no hash.
    pub(crate) const fn unique(self) -> Self {
        Self { kind: Kind::Unique, ..self }
    }
}

impl ContentHash {
    /// The hash over all of it.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::finish(xxh3_64(bytes))
    }

    /// From the value of an [`xxhash_rust::xxh3::Xxh3`] that was given the entries.
    pub(crate) const fn finish(value: u64) -> Self {
        Self((value >> 32) as u32)
    }
}

/// How the ids of one sender under one tag become keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    tag: u64,
    peer: PeerId,
    is_strict: bool,
}

impl Keys {
    pub(super) fn new(tag: &Tag, peer: PeerId, is_strict: bool) -> Self {
        Self { tag: xxh3_64(tag.as_str().as_bytes()), peer, is_strict }
    }

    /// What is seen of a chunk.
    pub(crate) fn sighting(&self, chunk: Chunk<'_>, content: ContentHash) -> Sighting {
        let kind = if self.is_strict { Kind::Unique } else { kind(chunk) };
        let seed = match kind {
            Kind::ContentHash => self.of_peer(),
            Kind::Unique | Kind::Unproven => self.tag,
        };
        let key = xxh3_64_with_seed(chunk.bytes, seed);
        Sighting { key, unproven_key: None, content, kind }
    }

    /// The same when it is known whether the id is a hash.
    pub(crate) fn proven(&self, seen: Sighting, chunk: Chunk<'_>, is_hash: bool) -> Sighting {
        if is_hash {
            let key = xxh3_64_with_seed(chunk.bytes, self.of_peer());
            Sighting { key, unproven_key: Some(seen.key), kind: Kind::ContentHash, ..seen }
        } else {
            seen.unique()
        }
    }

    fn of_peer(&self) -> u64 {
        // Turned, so that tag and peer cannot stand for each other.
        self.tag ^ self.peer.salt().rotate_left(32)
    }
}

fn kind(chunk: Chunk<'_>) -> Kind {
    let is_hex = || chunk.bytes.iter().all(u8::is_ascii_hexdigit);
    match chunk.bytes.len() {
        _ if chunk.has_signal => Kind::ContentHash,
        // Versions of Fluent Bit before `fluent_signal`.
        32 | 128 if is_hex() => Kind::ContentHash,
        24 if chunk.bytes.ends_with(b"==") => Kind::Unproven,
        _ => Kind::Unique,
    }
}

/// Whether an id is the base64 of the first 16 bytes of the SHA-512 over the entries:
/// what Fluent Bit takes.
pub(crate) fn is_hash_of(id: &[u8], entries: impl IntoIterator<Item = impl AsRef<[u8]>>) -> bool {
    let mut hash = Sha512::new();
    entries.into_iter().for_each(|bytes| hash.update(bytes));
    let hash = hash.finalize();
    let mut expected = [0; 24];
    let written = STANDARD.encode_slice(hash.get(..16).unwrap_or_default(), &mut expected);
    written == Ok(24) && id == expected
}

/// What the journal keeps of a chunk: key (8 bytes), content (4) and connection (4), each with the
/// lowest byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) key: u64,
    pub(super) content: ContentHash,
    pub(super) connection: u32,
}

impl Digest {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let high = u64::from(self.content.0) | u64::from(self.connection) << 32;
        (u128::from(self.key) | u128::from(high) << 64).to_le_bytes()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of a number")]
    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        let all = u128::from_le_bytes(bytes);
        Self {
            key: all as u64,
            content: ContentHash((all >> 64) as u32),
            connection: (all >> 96) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xxhash_rust::xxh3::Xxh3;

    fn chunk(bytes: &[u8], has_signal: bool) -> Chunk<'_> {
        Chunk::of(bytes, has_signal)
    }

    fn keys(tag: &str, peer: [u8; 4]) -> Keys {
        Keys::new(&tag.into(), PeerId::of(peer.into()), false)
    }

    fn key(keys: Keys, id: &[u8], has_signal: bool) -> u64 {
        keys.sighting(chunk(id, has_signal), ContentHash::of(b"")).key
    }

    /// D-4: what tells a content hash.
    #[test]
    fn ids_tell_what_they_are() {
        let hex = b"0123456789abcdefABCDEF0123456789";
        for (id, has_signal, expected) in [
            (&b"p8n9gmxTQQu/8h3C0sKeTA=="[..], false, Kind::Unproven),
            (b"p8n9gmxTQQu/8h3C0sKeTA==", true, Kind::ContentHash),
            (b"p8n9gmxTQQu/8h3C0sKeTA==\n", false, Kind::Unique),
            (hex, false, Kind::ContentHash),
            (&hex.repeat(4), false, Kind::ContentHash),
            (&hex.repeat(2), false, Kind::Unique),
            (b"g123456789abcdefABCDEF0123456789", false, Kind::Unique),
            (b"a14492074850006", false, Kind::Unique),
        ] {
            assert_eq!(kind(chunk(id, has_signal)), expected, "{id:?}");
        }
    }

    #[test]
    fn keys_know_tag_id_and_peer() {
        let (a, b) = (keys("a", [10, 0, 0, 1]), keys("b", [10, 0, 0, 1]));
        let other = keys("a", [10, 0, 0, 2]);
        assert_eq!(key(a, b"id", false), key(other, b"id", false));
        assert_ne!(key(a, b"id", false), key(b, b"id", false));
        assert_ne!(key(a, b"id", false), key(a, b"ie", false));
        assert_ne!(key(a, b"id", true), key(other, b"id", true));
        assert_ne!(key(a, b"id", true), key(a, b"id", false));
        let strict = Keys { is_strict: true, ..a };
        assert_eq!(key(strict, b"id", true), key(a, b"id", false));
    }

    #[test]
    fn a_peer_is_an_address_and_a_name() {
        let peer = PeerId::of([10, 0, 0, 1].into());
        assert_eq!(peer, PeerId::of("::ffff:10.0.0.1".parse().unwrap()));
        assert_ne!(peer, PeerId::of([10, 0, 0, 2].into()));
        assert_ne!(peer, peer.named("web"));
        assert_eq!(peer.named("web"), PeerId::of([10, 0, 0, 1].into()).named("web"));
    }

    /// The sum is that of `printf 'hello world' | openssl dgst -sha512 -binary | head -c 16`.
    #[test]
    fn proves_hashes() {
        let id = STANDARD.encode(0x309e_cc48_9c12_d6eb_4cc4_0f50_c902_f2b4_u128.to_be_bytes());
        assert!(is_hash_of(id.as_bytes(), [b"hello world"]));
        assert!(is_hash_of(id.as_bytes(), ["hello", " world"]));
        assert!(!is_hash_of(id.as_bytes(), [b"hello World"]));
        assert!(!is_hash_of(b"p8n9gmxTQQu/8h3C0sKeTA==", [b"hello world"]));
    }

    #[test]
    fn digests_have_a_fixed_form() {
        let digest = Digest {
            key: 0x0807_0605_0403_0201,
            content: ContentHash(0x0c0b_0a09),
            connection: 0x100f_0e0d,
        };
        assert_eq!(digest.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(Digest::from_bytes(digest.to_bytes()), digest);
    }

    proptest! {
        #[test]
        fn a_hash_may_be_taken_in_pieces(
            bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
            step in 1..700_usize,
        ) {
            let mut running = Xxh3::new();
            bytes.chunks(step).for_each(|piece| running.update(piece));
            prop_assert_eq!(ContentHash::finish(running.digest()), ContentHash::of(&bytes));
        }
    }
}
