//! Atoms about time: `timestamp>=now-15m`, `received:[... TO ...]`.

use std::fmt;
use std::ops::Bound;

use super::print;
use crate::{Event, Timestamp};

/// The units of a duration, the longest first, in nanoseconds.
const UNITS: [(&str, i64); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// An instant of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instant {
    /// A fixed one.
    At(Timestamp),
    /// This many nanoseconds after the present, which [`Filter::resolve`](super::Filter::resolve)
    /// fixes.
    Now(i64),
}

impl Instant {
    /// Reads RFC 3339 with an offset, a Unix time, or `now` with an offset; `None` for other text.
    ///
    /// A Unix time is in seconds, milliseconds, microseconds or nanoseconds, whichever puts it
    /// between 1973 and 5138; only seconds may have a fraction.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(offset) = text.strip_prefix("now") {
            return parse_offset(offset).map(Self::Now);
        }
        unix(text).or_else(|| text.parse().ok()).map(Self::At)
    }

    /// The instant, if it is fixed.
    pub fn fixed(self) -> Option<Timestamp> {
        match self {
            Self::At(time) => Some(time),
            Self::Now(_) => None,
        }
    }

    fn resolve(self, now: Timestamp) -> Self {
        match self {
            Self::At(_) => self,
            Self::Now(offset) => Self::At(now.saturating_add_nanos(offset)),
        }
    }
}

/// Nanoseconds of nothing, or of a sign and a duration such as `-1h30m`.
fn parse_offset(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.split_at_checked(1) {
        None => return Some(0),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let mut sum = 0_i64;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, after) = after.split_at_checked(letters)?;
        let (_, unit) = UNITS.iter().find(|(known, _)| *known == name)?;
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(*unit)?)?;
        if after.is_empty() {
            return Some(sign * sum);
        }
        rest = after;
    }
}

fn unix(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(digits) || !fraction.is_none_or(|digits| all_digits(digits) && digits.len() <= 9)
    {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let factor = match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        _ if fraction.is_some() => return None,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let nanos = format!("{:0<9}", fraction.unwrap_or_default()).parse::<i64>().ok()?;
    let nanos = if whole.starts_with('-') { -nanos } else { nanos };
    number.checked_mul(factor)?.checked_add(nanos).map(Timestamp::from_nanos)
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => time.fmt(f),
            Self::Now(0) => f.write_str("now"),
            Self::Now(offset) => {
                let sign = if *offset < 0 { '-' } else { '+' };
                let [.., last] = UNITS;
                // Weeks are read only: `7d` says the same and more people write it.
                let fitting = UNITS.iter().skip(1).find(|(_, unit)| offset % unit == 0);
                let (name, unit) = fitting.unwrap_or(&last);
                write!(f, "now{sign}{}{name}", (offset / unit).unsigned_abs())
            }
        }
    }
}

/// Which of the two instants of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// `received`: when logmon took it in.
    Received,
    /// `timestamp`: when it happened.
    Timestamp,
}

/// A test of the time of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimeTest {
    /// Which time.
    pub clock: Clock,
    /// Where the range begins.
    pub lower: Bound<Instant>,
    /// Where the range ends.
    pub upper: Bound<Instant>,
}

impl TimeTest {
    /// Whether an end of it depends on the present.
    pub fn uses_now(&self) -> bool {
        [self.lower, self.upper].iter().any(|end| {
            matches!(end, Bound::Included(Instant::Now(_)) | Bound::Excluded(Instant::Now(_)))
        })
    }

    /// The same with the present fixed.
    /// The two ends, if `now` is in neither.
    pub(super) fn ends(&self) -> Option<(Bound<Timestamp>, Bound<Timestamp>)> {
        let fixed = |end: Bound<Instant>| {
            Some(match end {
                Bound::Included(instant) => Bound::Included(instant.fixed()?),
                Bound::Excluded(instant) => Bound::Excluded(instant.fixed()?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        Some((fixed(self.lower)?, fixed(self.upper)?))
    }

    pub(super) fn resolve(&self, now: Timestamp) -> Self {
        let resolve = |end: Bound<Instant>| end.map(|instant| instant.resolve(now));
        Self { clock: self.clock, lower: resolve(self.lower), upper: resolve(self.upper) }
    }

    pub(super) fn matches<E: Event + ?Sized>(&self, event: &E) -> bool {
        self.accepts(match self.clock {
            Clock::Received => event.received(),
            Clock::Timestamp => event.timestamp(),
        })
    }

    /// Tells whether an event with this time, by the clock of the test, passes. An end that is not
    /// fixed accepts nothing.
    pub fn accepts(&self, time: Timestamp) -> bool {
        self.is_after_lower(time) && self.is_before_upper(time)
    }

    pub(super) fn is_after_lower(&self, time: Timestamp) -> bool {
        match self.lower {
            Bound::Included(end) => end.fixed().is_some_and(|end| time >= end),
            Bound::Excluded(end) => end.fixed().is_some_and(|end| time > end),
            Bound::Unbounded => true,
        }
    }

    pub(super) fn is_before_upper(&self, time: Timestamp) -> bool {
        match self.upper {
            Bound::Included(end) => end.fixed().is_some_and(|end| time <= end),
            Bound::Excluded(end) => end.fixed().is_some_and(|end| time < end),
            Bound::Unbounded => true,
        }
    }
}

impl fmt::Display for TimeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.clock {
            Clock::Received => "received",
            Clock::Timestamp => "timestamp",
        })?;
        match (&self.lower, &self.upper) {
            (Bound::Included(low), Bound::Included(high)) if low == high => write!(f, ":{low}"),
            (lower, upper) => print::interval(lower, upper, f, fmt::Display::fmt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Option<String> {
        Instant::parse(text).map(|instant| instant.to_string())
    }

    #[test]
    fn tells_the_units_of_unix_times_apart() {
        let time = "2026-11-22T00:00:00.000000000Z";
        for text in ["1795305600", "1795305600000", "1795305600000000", "1795305600000000000"] {
            assert_eq!(printed(text).as_deref(), Some(time), "{text}");
        }
        assert_eq!(printed("1795305600.5").unwrap(), "2026-11-22T00:00:00.500000000Z");
        assert_eq!(printed("-0.25").unwrap(), "1969-12-31T23:59:59.750000000Z");
        assert_eq!(printed("1795305600000.5"), None);
        assert_eq!(printed("99999999999999999999"), None);
    }

    #[test]
    fn relative_times_print_their_longest_unit() {
        for (text, canonical) in [
            ("now", "now"),
            ("now-0s", "now"),
            ("now-90s", "now-90s"),
            ("now-120s", "now-2m"),
            ("now-1h30m", "now-90m"),
            ("now+2w", "now+14d"),
            ("now-250ms", "now-250ms"),
        ] {
            assert_eq!(printed(text).as_deref(), Some(canonical), "{text}");
        }
        for text in ["now-", "now-5", "now-m", "now/d", "now-5y", "nowhere", "now-99999999w"] {
            assert_eq!(printed(text), None, "{text}");
        }
    }
}
