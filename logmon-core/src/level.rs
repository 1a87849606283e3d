//! The severity of an event.

use std::fmt;
use std::str::FromStr;

/// How severe an event is, from the least to the most; the order of the variants is the order of
/// `level>=warn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Steps inside a function.
    Trace = 1,
    /// For the developer.
    Debug = 2,
    /// Normal operation.
    Info = 3,
    /// Worth a look.
    Warn = 4,
    /// Something failed.
    Error = 5,
    /// The program cannot go on.
    Fatal = 6,
}

/// A text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a level; expected trace, debug, info, warn, error or fatal")]
pub struct ParseLevelError {
    text: String,
}

/// The words of the usual loggers. Compared without regard to ASCII case, so each is lower case.
const WORDS: &[(&str, Level)] = &[
    ("trace", Level::Trace),
    ("trc", Level::Trace),
    ("finest", Level::Trace),
    ("finer", Level::Trace),
    ("silly", Level::Trace),
    ("verbose", Level::Trace),
    ("debug", Level::Debug),
    ("dbg", Level::Debug),
    ("fine", Level::Debug),
    ("config", Level::Debug),
    ("info", Level::Info),
    ("inf", Level::Info),
    ("information", Level::Info),
    ("informational", Level::Info),
    ("notice", Level::Info),
    ("http", Level::Info),
    ("log", Level::Info),
    ("success", Level::Info),
    ("warn", Level::Warn),
    ("wrn", Level::Warn),
    ("warning", Level::Warn),
    ("error", Level::Error),
    ("err", Level::Error),
    ("eror", Level::Error),
    ("severe", Level::Error),
    ("fatal", Level::Fatal),
    ("ftl", Level::Fatal),
    ("critical", Level::Fatal),
    ("crit", Level::Fatal),
    ("alert", Level::Fatal),
    ("emergency", Level::Fatal),
    ("emerg", Level::Fatal),
    ("panic", Level::Fatal),
];

impl Level {
    /// All levels, ascending.
    pub const ALL: [Self; 6] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// The name in upper case, as the API writes it: `TRACE` to `FATAL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// The level of a word in any case, surrounding blanks ignored: the six names, the words of
    /// syslog and of the usual loggers, OTLP's short names with a digit (`WARN2`), or a number in
    /// text, read as [`Level::from_number`] does. `None` for anything else.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim();
        if let Some((_, level)) = WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)) {
            return Some(*level);
        }
        if let Ok(number) = word.parse::<i64>() {
            return Self::from_number(number);
        }
        let stem = word.strip_suffix(['2', '3', '4'])?;
        Self::ALL.into_iter().find(|level| stem.eq_ignore_ascii_case(level.as_str()))
    }

    /// As [`Level::from_word`], quick for the words of nearly all events.
    pub(crate) fn from_bytes(word: &[u8]) -> Option<Self> {
        let mut lower = [0u8; 8];
        let prefix = lower.get_mut(..word.len()).unwrap_or_default();
        prefix.copy_from_slice(word.get(..prefix.len()).unwrap_or_default());
        lower.make_ascii_lowercase();
        match &lower {
            b"trace\0\0\0" => Some(Self::Trace),
            b"debug\0\0\0" => Some(Self::Debug),
            b"info\0\0\0\0" => Some(Self::Info),
            b"warn\0\0\0\0" | b"warning\0" => Some(Self::Warn),
            b"error\0\0\0" => Some(Self::Error),
            b"fatal\0\0\0" => Some(Self::Fatal),
            _ => Self::from_word(std::str::from_utf8(word).ok()?),
        }
    }

    /// The level of a bare number, whose scheme nothing names.
    ///
    /// 10, 20 ... 60 are pino's and bunyan's; 0 to 7 are syslog's severities; the rest of 8 to 24
    /// are OTLP severity numbers. `None` for any other number. Where the scheme is known, use
    /// [`Level::from_syslog`], [`Level::from_otlp`] or [`Level::from_pino`]: 1 to 7, 10 and 20
    /// mean different things in each.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            0..=7 => Self::from_syslog(number),
            10 | 20 | 30 | 40 | 50 | 60 => Self::from_pino(number),
            _ => Self::from_otlp(number),
        }
    }

    /// The level of a syslog severity (RFC 5424, table 2): 0 emergency to 7 debug.
    pub const fn from_syslog(severity: i64) -> Option<Self> {
        Some(match severity {
            0..=2 => Self::Fatal,
            3 => Self::Error,
            4 => Self::Warn,
            5 | 6 => Self::Info,
            7 => Self::Debug,
            _ => return None,
        })
    }

    /// The level of an OpenTelemetry severity number: 1 to 24 in steps of four, 0 is unspecified.
    pub const fn from_otlp(severity: i64) -> Option<Self> {
        Some(match severity {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            9..=12 => Self::Info,
            13..=16 => Self::Warn,
            17..=20 => Self::Error,
            21..=24 => Self::Fatal,
            _ => return None,
        })
    }

    /// The level of a pino or bunyan number: 10 trace to 60 fatal; numbers between two belong to
    /// the lower one, as pino's own level filter reads them.
    pub const fn from_pino(number: i64) -> Option<Self> {
        Some(match number {
            10..=19 => Self::Trace,
            20..=29 => Self::Debug,
            30..=39 => Self::Info,
            40..=49 => Self::Warn,
            50..=59 => Self::Error,
            60..=69 => Self::Fatal,
            _ => return None,
        })
    }

    /// The level with the discriminant `code` (1 to 6).
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Trace,
            2 => Self::Debug,
            3 => Self::Info,
            4 => Self::Warn,
            5 => Self::Error,
            6 => Self::Fatal,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_word(text)
            .ok_or_else(|| ParseLevelError { text: text.chars().take(64).collect() })
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Level {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Level {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How many events there are of each level, and of none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelCounts([u64; 7]);

impl LevelCounts {
    /// Adds `count` events of `level`.
    pub fn add(&mut self, level: Option<Level>, count: u64) {
        self.0[level.map_or(0, |level| level as usize)] += count;
    }

    /// The number of events of `level`; `None` stands for events without one.
    pub fn get(&self, level: Option<Level>) -> u64 {
        self.0[level.map_or(0, |level| level as usize)]
    }

    /// The number of all events.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The non-zero counts, `None` first, then ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Level>, u64)> + '_ {
        let levels = std::iter::once(None).chain(Level::ALL.into_iter().map(Some));
        levels.zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl std::ops::AddAssign for LevelCounts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

impl std::ops::Sub for LevelCounts {
    type Output = Self;

    /// The difference per level, held at zero.
    fn sub(mut self, other: Self) -> Self {
        for (count, less) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_sub(less);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_words_of_every_family() {
        for (word, level) in [
            ("ERROR", Level::Error),
            ("Warning", Level::Warn),
            (" notice ", Level::Info),
            ("crit", Level::Fatal),
            ("WARN3", Level::Warn),
            ("30", Level::Info),
            ("3", Level::Error),
        ] {
            assert_eq!(Level::from_word(word), Some(level), "{word}");
        }
        for word in ["", "loud", "warn5", "-1", "99", "情報"] {
            assert_eq!(Level::from_word(word), None, "{word}");
        }
    }

    #[test]
    fn reads_numbers_by_scheme() {
        assert_eq!(Level::from_number(20), Some(Level::Debug), "pino, not OTLP's ERROR4");
        assert_eq!(Level::from_number(4), Some(Level::Warn), "syslog, not OTLP's TRACE4");
        assert_eq!(Level::from_number(17), Some(Level::Error), "only OTLP has it");
        assert_eq!(Level::from_otlp(20), Some(Level::Error));
        assert_eq!(Level::from_pino(35), Some(Level::Info));
        assert_eq!(Level::from_number(25), None);
        assert_eq!(Level::from_otlp(0), None);
    }

    #[test]
    fn is_ordered_and_round_trips() {
        assert!(Level::Trace < Level::Debug && Level::Error < Level::Fatal);
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(Level::from_code(level as u8), Some(level));
        }
    }

    #[test]
    fn counts_add_up_and_subtract() {
        let mut counts = LevelCounts::default();
        counts.add(None, 2);
        counts.add(Some(Level::Fatal), 3);
        assert_eq!(counts.total(), 5);
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(None, 2), (Some(Level::Fatal), 3)]);
        assert_eq!((counts - counts).total(), 0);
    }
}
