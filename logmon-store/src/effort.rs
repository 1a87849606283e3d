//! How long tests that could go on for ever do so.

/// `usual`, times `LOGMON_TEST_EFFORT` where that is set.
pub(crate) fn runs(usual: u64) -> u64 {
    usual * number("LOGMON_TEST_EFFORT").unwrap_or(1)
}

/// `usual` cases of a property.
pub(crate) fn cases(usual: u32) -> u32 {
    u32::try_from(runs(usual.into())).unwrap_or(u32::MAX)
}

/// The seed of the first run: `LOGMON_TEST_SEED`, or always the same. The runs that follow have the
/// numbers that follow.
pub(crate) fn first_seed() -> u64 {
    number("LOGMON_TEST_SEED").unwrap_or(1)
}

/// A small generator, so that a seed says all there is to say about a run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % end
    }

    pub(crate) fn size(&mut self, end: u64) -> usize {
        usize::try_from(self.below(end)).unwrap_or(usize::MAX)
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
