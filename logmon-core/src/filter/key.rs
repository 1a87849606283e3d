//! Keys of an index: 64-bit hashes of what a filter can ask of an event by equality.
//!
//! A token of the message, a metadata path, and a path with a value each have one. Equal things
//! have equal keys, by the filter language's own notion of equality (`1` and `1.0` are one number);
//! different things rarely do, so an index over keys over-approximates and its user rechecks.
//! Stored blocks hold keys: a change here is a change of their format.

use super::token::{fold, is_run_byte, tokens};
use crate::Scalar;

const TOKEN: u64 = 0x243f_6a88_85a3_08d3;
const PATH: u64 = 0x1319_8a2e_0370_7344;
const TEXT: u64 = 0xa409_3822_299f_31d0;
const INTEGER: u64 = 0x082e_fa98_ec4e_6c89;
const FLOAT: u64 = 0x4528_21e6_38d0_1377;
const TIME: u64 = 0xbe54_66cf_34e9_0c6c;
const NIL: u64 = 0xc0ac_29b7_c97c_50dd;
const BOOL: [u64; 2] = [0x3f84_d5b5_b547_0917, 0x9216_d5d9_8979_fb1b];

/// The high and the low half of a product of 128 bits, joined: every bit of the input moves half of
/// the bits of the result.
#[inline]
pub(super) const fn mix(word: u64) -> u64 {
    let product = (word ^ 0x9e37_79b9_7f4a_7c15) as u128 * 0xbf58_476d_1ce4_e5b9;
    let [low, high] = halves(product);
    (high ^ low).rotate_left(17) ^ high
}

/// The key of a folded token of the message.
pub fn token(folded: &str) -> u64 {
    let mut run = Run::new();
    folded.bytes().for_each(|byte| run.push(byte));
    run.key()
}

/// Shows the key of every token of `text`, folded; tokens that stand in it twice are shown twice.
///
/// The same as [`token`] of each of [`tokens`] of the [folded](fold) text, in one pass where the
/// text is ASCII.
#[inline]
pub fn each_token(text: &str, mut each: impl FnMut(u64)) {
    each_token_text(text, |key, _| each(key));
}

/// The same, with each token as it stands in the text; where that is not ASCII, folded.
#[inline]
pub(super) fn each_token_text(text: &str, mut each: impl FnMut(u64, &str)) {
    if text.is_ascii() {
        each_ascii_token(text, each);
    } else {
        tokens(&fold(text)).for_each(|folded| each(token(folded), folded));
    }
}

/// For each byte, what it adds to a token, or zero between tokens.
const FOLDED: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        if is_run_byte(byte) {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

#[inline]
fn each_ascii_token(text: &str, mut each: impl FnMut(u64, &str)) {
    let mut run = Run::new();
    for (at, byte) in text.bytes().enumerate() {
        match FOLDED[usize::from(byte)] {
            0 if run.len == 0 => {}
            0 => {
                each(run.key(), run.text_before(at, text));
                run = Run::new();
            }
            folded => run.push(folded),
        }
    }
    if run.len > 0 {
        each(run.key(), run.text_before(text.len(), text));
    }
}

/// A token on its way, eight bytes at a time.
struct Run {
    state: u64,
    word: u64,
    len: usize,
}

impl Run {
    #[inline]
    const fn new() -> Self {
        Self { state: TOKEN, word: 0, len: 0 }
    }

    #[inline]
    const fn push(&mut self, byte: u8) {
        self.word = self.word << 8 | byte as u64;
        self.len += 1;
        if self.len.is_multiple_of(8) {
            self.state = mix(self.state ^ self.word);
            self.word = 0;
        }
    }

    /// The run in the text it was read from, up to `end`.
    #[inline]
    fn text_before<'t>(&self, end: usize, text: &'t str) -> &'t str {
        text.get(end - self.len..end).unwrap_or_default()
    }

    #[inline]
    const fn key(&self) -> u64 {
        mix(self.state ^ self.word ^ (self.len as u64) << 56)
    }
}

/// The key of a metadata path, as a query names it: all events that have a value there share it.
pub fn path(path: &[u8]) -> u64 {
    bytes(PATH, path)
}

/// The key of a value at the path whose key is `path`; `None` for what no literal equals.
#[inline]
pub fn value(path: u64, value: Scalar<'_>) -> Option<u64> {
    Some(match value {
        Scalar::Str(text) => self::text(path, text),
        Scalar::Int(number) => integer(path, number),
        Scalar::Float(number) => float(path, number)?,
        Scalar::Bool(value) => mix(path ^ BOOL[usize::from(value)]),
        Scalar::Nil => mix(path ^ NIL),
        Scalar::Time(time) => mix(mix(path ^ TIME) ^ time.as_nanos().cast_unsigned()),
        Scalar::Bytes(_) | Scalar::Map => return None,
    })
}

/// The key of a text at a path.
#[inline]
pub fn text(path: u64, text: &str) -> u64 {
    bytes(path ^ TEXT, text.as_bytes())
}

#[inline]
fn integer(path: u64, number: i128) -> u64 {
    let [low, high] = halves(number.cast_unsigned());
    let state = mix(path ^ INTEGER ^ low);
    // The high half of nearly every number repeats its sign.
    if high == (low.cast_signed() >> 63).cast_unsigned() { state } else { mix(state ^ high) }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
const fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

/// A float that is an integer is that integer; NaN equals nothing.
#[inline]
fn float(path: u64, number: f64) -> Option<u64> {
    /// 2 to the power of 127, the first value beyond the integers.
    const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if number.is_nan() {
        return None;
    }
    if (-BEYOND..BEYOND).contains(&number) && number.fract().abs() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range, checked above")]
        return Some(integer(path, number as i128));
    }
    Some(mix(mix(path ^ FLOAT) ^ number.to_bits()))
}

/// Eight bytes at a time, the length last.
#[inline]
fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = seed;
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let mut word = (bytes.len() as u64) << 56;
    for (at, byte) in rest.iter().enumerate() {
        word ^= u64::from(*byte) << (8 * at);
    }
    mix(state ^ word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> Vec<u64> {
        let mut keys = Vec::new();
        each_token(text, |key| keys.push(key));
        keys
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_pass_over_ascii_gives_the_keys_of_the_tokenizer(text in prop_oneof![
            any::<String>(),
            "[a-cA-C_0 .ßé接ー、\u{301}😀ẞİΣς\u{212a}]{0,40}",
            "[ -~]{0,60}",
            "[\\x00-\\x7f]{0,60}",
        ]) {
            let expected: Vec<u64> = tokens(&fold(&text)).map(token).collect();
            prop_assert_eq!(keys(&text), expected);
        }

        #[test]
        fn values_have_one_key_if_and_only_if_they_are_equal(
            a in number(), b in number(), at in any::<u64>()
        ) {
            let are_equal = match (a, b) {
                (Scalar::Int(a), Scalar::Int(b)) => a == b,
                (Scalar::Float(a), Scalar::Float(b)) => a.partial_cmp(&b) == Some(std::cmp::Ordering::Equal),
                (Scalar::Int(a), Scalar::Float(b)) | (Scalar::Float(b), Scalar::Int(a)) => {
                    crate::filter::Literal::bare(&a.to_string()).equals(Scalar::Float(b))
                }
                _ => unreachable!(),
            };
            match (value(at, a), value(at, b)) {
                (Some(a), Some(b)) => prop_assert_eq!(a == b, are_equal),
                _ => prop_assert!(!are_equal),
            }
        }
    }

    fn number() -> impl Strategy<Value = Scalar<'static>> {
        prop_oneof![
            (-3_i128..3).prop_map(Scalar::Int),
            (-3_i8..3).prop_map(|number| Scalar::Float(f64::from(number))),
            any::<f64>().prop_map(Scalar::Float),
            any::<i64>().prop_map(|number| Scalar::Int(i128::from(number))),
            any::<u64>().prop_map(|number| Scalar::Int(i128::from(number))),
            proptest::sample::select(vec![
                Scalar::Float(-0.0),
                Scalar::Float(f64::NAN),
                Scalar::Float(f64::INFINITY),
                Scalar::Float(0.5),
                Scalar::Float(9_223_372_036_854_775_808.0),
                Scalar::Int(9_223_372_036_854_775_808),
                Scalar::Float(1e300),
                Scalar::Int(i128::MAX),
                Scalar::Float(170_141_183_460_469_231_731_687_303_715_884_105_728.0),
            ]),
        ]
    }

    #[test]
    fn keys_of_different_things_differ() {
        let path = path(b"a.b");
        let values = [
            Scalar::Str("1"),
            Scalar::Str(""),
            Scalar::Int(1),
            Scalar::Int(0),
            Scalar::Float(0.5),
            Scalar::Bool(false),
            Scalar::Bool(true),
            Scalar::Nil,
            Scalar::Time(crate::Timestamp::EPOCH),
        ];
        let mut keys: Vec<u64> = values.iter().filter_map(|each| value(path, *each)).collect();
        keys.extend([path, token("1"), token("a"), super::path(b"a.c")]);
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), values.len() + 4);
    }
}
