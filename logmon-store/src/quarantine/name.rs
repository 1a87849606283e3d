//! The names of items.

use std::fmt;
use std::str::FromStr;

use logmon_core::Timestamp;

/// The name of an item: when it was kept, in milliseconds since 1970, and a number that tells
/// items of one millisecond apart. Later items have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    millis: u64,
    number: u32,
}

/// A text that is no item id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an item id is 12 and 8 hexadecimal digits with a dash between")]
pub struct ParseItemIdError;

const SUFFIX: &str = ".item";
const DRAFT_SUFFIX: &str = ".item.new";
const MAX_MILLIS: u64 = (1 << 48) - 1;

impl ItemId {
    /// The first id of this instant that is greater than `last`.
    pub(super) fn after(last: Option<Self>, now: Timestamp) -> Self {
        let millis = u64::try_from(now.as_nanos() / 1_000_000).unwrap_or(0).min(MAX_MILLIS);
        match last {
            // The clock may have gone back, which must not turn the order.
            Some(last) if last.millis >= millis => match last.number.checked_add(1) {
                Some(number) => Self { number, ..last },
                None => Self { millis: last.millis + 1, number: 0 },
            },
            _ => Self { millis, number: 0 },
        }
    }

    pub(super) fn file_name(self) -> String {
        format!("{self}{SUFFIX}")
    }

    pub(super) fn draft_name(self) -> String {
        format!("{self}{DRAFT_SUFFIX}")
    }

    pub(super) fn of_file(name: &str) -> Option<Self> {
        name.strip_suffix(SUFFIX)?.parse().ok()
    }
}

pub(super) fn is_draft(name: &str) -> bool {
    name.strip_suffix(DRAFT_SUFFIX).is_some_and(|id| id.parse::<ItemId>().is_ok())
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}-{:08x}", self.millis, self.number)
    }
}

impl FromStr for ItemId {
    type Err = ParseItemIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str, len: usize| {
            let is_right = text.len() == len
                && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
            is_right.then(|| u64::from_str_radix(text, 16).ok()).flatten()
        };
        let (millis, number) = text.split_once('-').ok_or(ParseItemIdError)?;
        let millis = digits(millis, 12).ok_or(ParseItemIdError)?;
        let number = digits(number, 8).and_then(|number| u32::try_from(number).ok());
        Ok(Self { millis, number: number.ok_or(ParseItemIdError)? })
    }
}
