//! Instants as 64-bit nanoseconds.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// Reaches from the year 1677 to 2262. Text is RFC 3339; [`fmt::Display`] always writes UTC with
/// nine fractional digits, so that equal instants have equal text and text sorts as time does
/// (for the years 1677 to 2262 the year always has four digits).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 instant, or lies outside the range of [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time with an offset between the years 1677 and 2262")]
pub struct ParseTimestampError {
    text: String,
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The earliest instant.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant.
    pub const MAX: Self = Self(i64::MAX);

    /// The present, by the system clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The instant `nanos` nanoseconds after 1970.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The instant `seconds` and `nanos` after 1970; `None` outside the range of 64 bits.
    pub const fn from_seconds(seconds: i64, nanos: u32) -> Option<Self> {
        // A whole second below zero may lie outside the range where the sum does not.
        let (seconds, nanos) = match seconds {
            ..0 => (seconds + 1, nanos as i64 - NANOS_PER_SECOND),
            _ => (seconds, nanos as i64),
        };
        match seconds.checked_mul(NANOS_PER_SECOND) {
            Some(whole) => match whole.checked_add(nanos) {
                Some(sum) => Some(Self(sum)),
                None => None,
            },
            None => None,
        }
    }

    /// The instant a floating number of seconds after 1970; `None` for NaN and outside the range.
    pub fn from_seconds_f64(seconds: f64) -> Option<Self> {
        let whole = seconds.floor();
        if !(-9.3e9..9.3e9).contains(&whole) {
            return None;
        }
        // Split first: a product in f64 would lose the nanoseconds of present-day instants.
        #[expect(clippy::cast_possible_truncation, reason = "both are in range, checked above")]
        let (seconds_i, nanos) = (whole as i64, ((seconds - whole) * 1e9).round() as i64);
        seconds_i.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos).map(Self)
    }

    /// Nanoseconds since 1970.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// This instant moved by `nanos`, held at the ends of the range.
    pub const fn saturating_add_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Appends the 30 bytes of the RFC 3339 text, as `Display` writes it, to `out`.
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        let seconds = self.0.div_euclid(NANOS_PER_SECOND);
        let nanos = self.0.rem_euclid(NANOS_PER_SECOND);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let second_of_day = seconds.rem_euclid(86_400);
        digits(out, year, 4);
        out.push(b'-');
        digits(out, month, 2);
        out.push(b'-');
        digits(out, day, 2);
        out.push(b'T');
        digits(out, second_of_day / 3600, 2);
        out.push(b':');
        digits(out, second_of_day / 60 % 60, 2);
        out.push(b':');
        digits(out, second_of_day % 60, 2);
        out.push(b'.');
        digits(out, nanos, 9);
        out.push(b'Z');
    }
}

/// Writes `value` with leading zeros to `width` digits.
fn digits(out: &mut Vec<u8>, mut value: i64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for slot in out[start..].iter_mut().rev() {
        *slot = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// The rendering of every event passes here, hence no calendar library; a property test compares
/// it with one. The year is counted from March, so that the leap day comes last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468; // days since 0000-03-01
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.write_rfc3339(&mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .and_then(|time| i64::try_from(time.as_nanosecond()).ok())
            .map(Self)
            .ok_or_else(|| ParseTimestampError { text: text.chars().take(64).collect() })
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos)
            }
        };
        Self(nanos)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_nine_fractional_digits_in_utc() {
        let time = Timestamp::from_seconds(1_441_588_984, 500_000_000).unwrap();
        assert_eq!(time.to_string(), "2015-09-07T01:23:04.500000000Z");
        assert_eq!(Timestamp::from_nanos(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(Timestamp::MAX.to_string(), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(Timestamp::MIN.to_string(), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn reads_offsets_and_refuses_local_times() {
        let time: Timestamp = "2026-11-22T23:03:05.5+09:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T14:03:05.500000000Z");
        assert!("2026-11-22T14:03:05".parse::<Timestamp>().is_err());
        assert!("9999-01-01T00:00:00Z".parse::<Timestamp>().is_err());
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn the_first_second_of_the_range_is_reached() {
        for time in [Timestamp::MIN, Timestamp::MAX, Timestamp::from_nanos(-1)] {
            let mut bytes = Vec::new();
            crate::msgpack::write_event_time(&mut bytes, time);
            assert_eq!(crate::Value::from_msgpack(&bytes).unwrap(), crate::Value::Time(time));
        }
        assert_eq!(Timestamp::from_seconds(i64::MIN, 0), None);
        assert_eq!(Timestamp::from_seconds(-9_223_372_037, 0), None);
    }

    #[test]
    fn float_seconds_keep_their_fraction() {
        let half = Timestamp::from_seconds_f64(1_441_588_984.5).unwrap();
        assert_eq!(half.as_nanos(), 1_441_588_984_500_000_000);
        assert_eq!(Timestamp::from_seconds_f64(-0.25).unwrap().as_nanos(), -250_000_000);
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308] {
            assert_eq!(Timestamp::from_seconds_f64(odd), None);
        }
    }

    proptest! {
        #[test]
        fn text_is_that_of_a_calendar_library_and_reads_back(nanos: i64) {
            let time = Timestamp::from_nanos(nanos);
            let oracle = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            prop_assert_eq!(time.to_string(), format!("{oracle:.9}"));
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }
}
