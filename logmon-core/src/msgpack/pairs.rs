//! The pairs of a map.

use std::borrow::Cow;

use super::MsgpackError;
use crate::map::Pairs;

/// A key as the bytes of its text, and a whole msgpack value.
type Pair<'v> = (Cow<'v, [u8]>, &'v [u8]);

/// The pairs of the map at the start of `value`, in order, of equal keys the last. A key that is no
/// text stands as its JSON text.
///
/// # Errors
/// There is no map, or it is not whole.
pub fn pairs(value: &[u8]) -> Result<Vec<Pair<'_>>, MsgpackError> {
    let pairs = Pairs::read(value)?.into_iter();
    Ok(pairs.map(|(key, value)| (key.into_bytes(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_keys_the_last_counts_and_every_key_is_text() {
        // {"a": 1, 7: 2, "a": 3}
        let map = [0x83, 0xa1, b'a', 1, 7, 2, 0xa1, b'a', 3];
        let found = pairs(&map).unwrap();
        let plain: Vec<(&[u8], &[u8])> =
            found.iter().map(|(key, value)| (&**key, *value)).collect();
        assert_eq!(plain, [(&b"7"[..], &[2][..]), (b"a", &[3])]);
        assert!(pairs(&[1]).is_err());
    }
}
