//! The pairs of a msgpack map, with keys as text and the last of equal keys.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::json::{self, Lossy};
use crate::msgpack::{Cursor, Head, MsgpackError, MsgpackErrorKind};

/// A key: the bytes of a str or bin key, or the JSON text of a key of another type.
///
/// The text of a key inside a key is escaped again at each level, which doubles it. Where it has
/// grown beyond what one level of JSON takes, it is `{"$msgpack": base64}` of the key instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Key<'a>(Cow<'a, [u8]>);

/// One level of JSON takes fewer bytes than this for one of msgpack; an extension of one byte
/// comes nearest.
const MAX_GROWTH: usize = 8;

impl<'a> Key<'a> {
    /// Reads a key at the cursor.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, MsgpackError> {
        let start = *cursor;
        match cursor.head()? {
            Head::Str(len) | Head::Bin(len) => Ok(Self(Cow::Borrowed(cursor.take(len)?))),
            _ => {
                *cursor = start;
                let (value, mut text) = (cursor.value()?, Vec::new());
                json::write_value(&mut text, value, &mut Lossy::default())?;
                if text.len() > value.len() * MAX_GROWTH + 64 {
                    text = format!("{{\"$msgpack\":\"{}\"}}", json::base64(value)).into();
                }
                Ok(Self(Cow::Owned(text)))
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Cow<'a, [u8]> {
        self.0
    }

    /// The name of the `nth` value that wants the same key.
    fn nth(&self, nth: usize) -> Self {
        Self(Cow::Owned([self.as_bytes(), b"_", nth.to_string().as_bytes()].concat()))
    }

    /// The key as text; what is not UTF-8 becomes U+FFFD.
    pub(crate) fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

/// A key and the bytes of its value.
pub(crate) type Pair<'a> = (Key<'a>, &'a [u8]);

/// Keys and values (whole msgpack values) in the order of the bytes, without the earlier of equal
/// keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs<'a> {
    pairs: Vec<Pair<'a>>,
    /// The first keys of `pairs`, as many as have been hashed.
    names: HashSet<Key<'a>>,
}

/// Up to so many pairs, comparing each with each is cheaper than hashing.
const FEW: usize = 24;

impl<'a> Pairs<'a> {
    /// Reads the map at the start of `value`.
    pub(crate) fn read(value: &'a [u8]) -> Result<Self, MsgpackError> {
        let mut pairs = Vec::new();
        visit(value, |key, value, _| pairs.push((key, value)))?;
        Ok(Self::of(pairs))
    }

    /// `pairs` without the earlier of equal keys.
    pub(crate) fn of(mut pairs: Vec<Pair<'a>>) -> Self {
        drop_earlier_twins(&mut pairs);
        Self { pairs, names: HashSet::new() }
    }

    pub(crate) fn as_slice(&self) -> &[Pair<'a>] {
        &self.pairs
    }

    /// Whether there is a pair with this key.
    pub(crate) fn has(&mut self, key: &Key<'a>) -> bool {
        if self.pairs.len() <= FEW {
            return self.pairs.iter().any(|(known, _)| known == key);
        }
        let hashed = self.names.len();
        self.names.extend(self.pairs.iter().skip(hashed).map(|(known, _)| known.clone()));
        self.names.contains(key)
    }

    /// The key, or where there is one `key_2` or the next that there is not.
    pub(crate) fn free(&mut self, key: &Key<'a>) -> Key<'a> {
        let (mut free, mut nth) = (key.clone(), 1);
        while self.has(&free) {
            nth += 1;
            free = key.nth(nth);
        }
        free
    }

    /// Adds a pair at the end, under a [free](Self::free) key.
    pub(crate) fn push(&mut self, key: &Key<'a>, value: &'a [u8]) {
        let key = self.free(key);
        self.pairs.push((key, value));
    }
}

impl<'a> IntoIterator for Pairs<'a> {
    type Item = (Key<'a>, &'a [u8]);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}

/// Shows every pair of the map at the start of `value`, with the offset of its key.
pub(crate) fn visit<'a>(
    value: &'a [u8],
    each: impl FnMut(Key<'a>, &'a [u8], usize),
) -> Result<(), MsgpackError> {
    visit_with(value, Key::read, each)
}

/// The same with keys that are text or bytes; of others nothing is said.
pub(crate) fn visit_text<'a>(
    value: &'a [u8],
    each: impl FnMut(Option<&'a [u8]>, &'a [u8], usize),
) -> Result<(), MsgpackError> {
    visit_with(value, read_text, each)
}

fn visit_with<'a, K>(
    value: &'a [u8],
    read_key: impl Fn(&mut Cursor<'a>) -> Result<K, MsgpackError>,
    mut each: impl FnMut(K, &'a [u8], usize),
) -> Result<(), MsgpackError> {
    let mut cursor = Cursor::new(value);
    let Head::Map(len) = cursor.head()? else {
        return Err(MsgpackError { offset: 0, kind: MsgpackErrorKind::Type });
    };
    for _ in 0..len {
        let at = cursor.position();
        let key = read_key(&mut cursor)?;
        each(key, cursor.value()?, at);
    }
    Ok(())
}

/// Reads a key; `None` where it is neither text nor bytes.
fn read_text<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, MsgpackError> {
    let start = *cursor;
    if let Head::Str(len) | Head::Bin(len) = cursor.head()? {
        return cursor.take(len).map(Some);
    }
    *cursor = start;
    cursor.skip()?;
    Ok(None)
}

fn drop_earlier_twins(pairs: &mut Vec<Pair<'_>>) {
    if pairs.len() <= FEW {
        let mut at = 0;
        while at < pairs.len() {
            if pairs[at + 1..].iter().any(|(key, _)| *key == pairs[at].0) {
                pairs.remove(at);
            } else {
                at += 1;
            }
        }
        return;
    }
    let last: HashMap<&Key<'_>, usize> =
        pairs.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
    let keep: Vec<bool> =
        pairs.iter().enumerate().map(|(at, (key, _))| last.get(key) == Some(&at)).collect();
    let mut keep = keep.into_iter();
    pairs.retain(|_| keep.next().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map that is the key of a map that is the key of a map: each level escaped the quotes of
    /// the one inside, so that 130 bytes asked for more memory than there is.
    #[test]
    fn the_text_of_keys_inside_keys_is_bounded() {
        let depth = crate::msgpack::MAX_DEPTH - 1;
        let bytes = [vec![0x81; depth], vec![0xa1, b'k'], vec![1; depth]].concat();
        let mut out = Vec::new();
        json::write_value(&mut out, &bytes, &mut Lossy::default()).unwrap();
        assert!(out.len() < 4 * MAX_GROWTH * bytes.len(), "{}", out.len());
        let two = [0x81, 0x81, 0xa1, b'k', 1, 2];
        out.clear();
        json::write_value(&mut out, &two, &mut Lossy::default()).unwrap();
        assert_eq!(out, br#"{"{\"k\":1}":2}"#);
    }

    #[test]
    fn many_pairs_and_few_pairs_agree_on_twins() {
        for distinct in [5u32, 100] {
            let mut bytes = Vec::new();
            crate::msgpack::write_map_len(&mut bytes, distinct * 2);
            for round in 0..2 {
                for key in 0..distinct {
                    crate::msgpack::write_str(&mut bytes, &key.to_string());
                    crate::msgpack::write_uint(&mut bytes, round);
                }
            }
            let pairs: Vec<_> = Pairs::read(&bytes).unwrap().into_iter().collect();
            assert_eq!(pairs.len(), distinct as usize);
            assert!(pairs.iter().all(|(_, value)| *value == [1]));
        }
    }
}
