//! Identity and order: epochs, positions and event ids.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// One opening of a journal: 4 bytes second of opening, 3 random bytes.
///
/// Every opening, repair or restore begins a new epoch, so that what a crash took away is never
/// mistaken for what took its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// A new epoch for an opening at `time`, with fresh randomness of the operating system.
    pub fn new(time: Timestamp) -> Self {
        let seconds = u64::from_be_bytes((time.as_nanos() / 1_000_000_000).to_be_bytes());
        let mut random = [0; 8];
        if getrandom::fill(&mut random[5..]).is_err() {
            // No entropy source: the nanoseconds of the opening still tell openings apart.
            random[4..].copy_from_slice(&Timestamp::now().as_nanos().to_be_bytes()[4..]);
            random[4] = 0;
        }
        Self((seconds & 0xffff_ffff) << 24 | u64::from_be_bytes(random))
    }

    /// The epoch with these 7 bytes.
    pub fn from_bytes(bytes: [u8; 7]) -> Self {
        let mut wide = [0; 8];
        wide[1..].copy_from_slice(&bytes);
        Self(u64::from_be_bytes(wide))
    }

    /// The 7 bytes.
    pub fn to_bytes(self) -> [u8; 7] {
        let [_, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014x}", self.0)
    }
}

/// A place between events: that before the event numbered `seq`, seen under `epoch`.
///
/// Sequence numbers grow through all epochs and may have holes. A position is only comparable
/// after the journal has said that its epoch reaches so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a pair")]
pub struct Position {
    /// The epoch it was given under.
    pub epoch: Epoch,
    /// The number of the next event.
    pub seq: u64,
}

/// The 12 bytes that name an event for ever: its epoch and the low 40 bits of its number.
///
/// The text is 24 hex digits, the form of a MongoDB `ObjectId`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId([u8; 12]);

/// A text that is no event id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id is 24 hexadecimal digits")]
pub struct ParseEventIdError;

impl EventId {
    /// The id of event `seq` written under `epoch`.
    pub fn new(epoch: Epoch, seq: u64) -> Self {
        let mut bytes = [0; 12];
        bytes[..7].copy_from_slice(&epoch.to_bytes());
        bytes[7..].copy_from_slice(&seq.to_be_bytes()[3..]);
        Self(bytes)
    }

    /// The id with these 12 bytes.
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The 12 bytes.
    pub const fn to_bytes(self) -> [u8; 12] {
        self.0
    }

    /// The epoch the event was written under.
    pub fn epoch(self) -> Epoch {
        let mut bytes = [0; 7];
        bytes.copy_from_slice(&self.0[..7]);
        Epoch::from_bytes(bytes)
    }

    /// The id of the event that was written so many after this one.
    #[must_use]
    pub fn plus(self, events: u64) -> Self {
        Self::new(self.epoch(), self.seq_low().wrapping_add(events))
    }

    /// The low 40 bits of the event's number.
    pub fn seq_low(self) -> u64 {
        let mut bytes = [0; 8];
        bytes[3..].copy_from_slice(&self.0[7..]);
        u64::from_be_bytes(bytes)
    }

    pub(crate) fn write_hex(self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.0 {
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        if digits.len() != 24 {
            return Err(ParseEventIdError);
        }
        let mut bytes = [0; 12];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit =
                |at: usize| char::from(pair[at]).to_digit(16).and_then(|d| u8::try_from(d).ok());
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err(ParseEventIdError);
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_epoch_and_five_bytes_of_the_number() {
        let epoch = Epoch::from_bytes([0x6b, 2, 0xf3, 0xc0, 0x9f, 0x3c, 0x51]);
        let id = EventId::new(epoch, 0xaa00_000f_4240);
        assert_eq!(id.to_string(), "6b02f3c09f3c5100000f4240");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!((id.epoch(), id.seq_low()), (epoch, 0x0f_4240));
        assert_eq!(id.plus(3), EventId::new(epoch, 0xaa00_000f_4243));
        for bad in
            ["", "6b02f3c09f3c5100000f424", "6b02f3c09f3c5100000f424g", "+b02f3c09f3c5100000f4240"]
        {
            assert!(bad.parse::<EventId>().is_err());
        }
    }

    #[test]
    fn epochs_carry_their_second_and_differ() {
        let time = Timestamp::from_seconds(0x6b02_f3c0, 0).unwrap();
        let (one, two) = (Epoch::new(time), Epoch::new(time));
        assert_eq!(one.to_bytes()[..4], [0x6b, 0x02, 0xf3, 0xc0]);
        assert_ne!(one, two);
    }
}
