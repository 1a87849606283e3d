//! The digests of the handshake: SHA-512 over what is known to both sides, one after the other
//! and without separators, in lower-case hexadecimal.

use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

/// How many characters a digest has.
pub(super) const LENGTH: usize = 128;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A digest in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub(super) struct HexDigest([u8; LENGTH]);

impl HexDigest {
    /// What shows that `hostname` knows the key: in a PING the client's, in a PONG the server's.
    pub(super) fn of_key(salt: &[u8], hostname: &[u8], nonce: &[u8], key: &[u8]) -> Self {
        Self::of(&[salt, hostname, nonce, key])
    }

    /// What shows that a user knows the password.
    pub(super) fn of_password(auth: &[u8], username: &[u8], password: &[u8]) -> Self {
        Self::of(&[auth, username, password])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha512::new();
        for part in parts {
            hash.update(part);
        }
        let mut digits = [0; LENGTH];
        hex(&hash.finalize(), &mut digits);
        Self(digits)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the other side sent this digest, in whichever case. The time it takes tells nothing
    /// but whether the length is right.
    pub(super) fn is(&self, sent: &[u8]) -> bool {
        let Ok(mut sent) = <[u8; LENGTH]>::try_from(sent) else { return false };
        sent.make_ascii_lowercase();
        bool::from(self.0.ct_eq(&sent))
    }
}

/// Writes as many digits as there is room for.
#[expect(clippy::indexing_slicing, reason = "four bits index sixteen digits")]
fn hex(bytes: &[u8], digits: &mut [u8]) {
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = DIGITS[usize::from(byte >> 4)];
            *low = DIGITS[usize::from(byte & 15)];
        }
    }
}

/// How many characters a nonce or a salt of ours has.
pub(super) const SALT: usize = 32;

/// Sixteen random bytes as text, which every peer reads the same way.
///
/// # Errors
/// The system has no randomness.
pub(super) fn salt() -> std::io::Result<[u8; SALT]> {
    let mut bytes = [0; SALT / 2];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let mut digits = [0; SALT];
    hex(&bytes, &mut digits);
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::super::vectors::PING_KEY;
    use super::*;

    #[test]
    fn compares_whole_digests_in_either_case() {
        let digest = HexDigest::of_key(
            b"00112233445566778899aabbccddeeff",
            b"client.example",
            b"0123456789abcdef",
            b"s3cret",
        );
        assert_eq!(digest.as_bytes(), PING_KEY.as_bytes());
        assert!(digest.is(PING_KEY.as_bytes()));
        assert!(digest.is(PING_KEY.to_uppercase().as_bytes()));
        assert!(!digest.is(&PING_KEY.as_bytes()[..127]));
        assert!(!digest.is(format!("{PING_KEY}0").as_bytes()));
        assert!(!digest.is(b""));
        let mut other = PING_KEY.as_bytes().to_vec();
        other[127] ^= 1;
        assert!(!digest.is(&other));
    }

    #[test]
    fn salts_are_fresh_text() {
        let (a, b) = (salt().unwrap(), salt().unwrap());
        assert_ne!(a, b);
        assert!(a.iter().all(u8::is_ascii_hexdigit));
    }
}
