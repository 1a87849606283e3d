//! What stands around the compressed bytes of a gzip member (RFC 1952).

use flate2::Crc;

const TEXT_SUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// Where in a member the bytes have come to.
#[derive(Debug)]
pub(in crate::codec) enum Part {
    /// Between two members: the first byte of another may have come.
    Between(bool),
    Header(Header),
    Body(Crc),
    Trailer(Crc, [u8; 8], usize),
    /// Behind the last member.
    Garbage,
}

/// A header on its way in.
#[derive(Debug, Default)]
pub(in crate::codec) struct Header {
    /// How many of the ten bytes that all headers have are here.
    fixed: u8,
    flags: u8,
    sum: Crc,
    /// The bytes of the length of the extra field, or of the sum, that are here.
    number: Vec<u8>,
    /// What is left of the extra field.
    extra: Option<u16>,
}

impl Default for Part {
    fn default() -> Self {
        Self::Header(Header::default())
    }
}

impl Part {
    /// Takes bytes that are not those of the body; gives how many. `None` where they are wrong.
    pub(super) fn take(&mut self, input: &[u8]) -> Option<usize> {
        let mut took = 0;
        for &byte in input {
            took += 1;
            match self {
                Self::Body(_) => return Some(took - 1),
                Self::Garbage => return Some(input.len()),
                Self::Between(false) if byte == 0x1f => *self = Self::Between(true),
                Self::Between(true) if byte == 0x8b => {
                    let mut header = Header::default();
                    header.take(0x1f)?;
                    header.take(0x8b)?;
                    *self = Self::Header(header);
                }
                Self::Between(_) => *self = Self::Garbage,
                Self::Header(header) => {
                    if header.take(byte)? {
                        *self = Self::Body(Crc::new());
                    }
                }
                Self::Trailer(sum, bytes, filled) => {
                    *bytes.get_mut(*filled)? = byte;
                    *filled += 1;
                    if *filled == bytes.len() {
                        let expected = [sum.sum().to_le_bytes(), sum.amount().to_le_bytes()];
                        (expected.as_flattened() == *bytes).then_some(())?;
                        *self = Self::Between(false);
                    }
                }
            }
        }
        Some(took)
    }

    pub(super) fn is_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }

    /// The compressed bytes have ended.
    pub(super) fn end_body(&mut self) {
        if let Self::Body(sum) = std::mem::replace(self, Self::Garbage) {
            *self = Self::Trailer(sum, [0; 8], 0);
        }
    }

    /// Whether something stands behind the last member; `None` if that is not whole.
    pub(super) fn finish(&self) -> Option<bool> {
        match self {
            Self::Between(false) => Some(false),
            Self::Between(true) | Self::Garbage => Some(true),
            _ => None,
        }
    }
}

impl Header {
    /// Takes a byte; tells whether it was the last one.
    fn take(&mut self, byte: u8) -> Option<bool> {
        if self.fixed == 10 && self.pending() == TEXT_SUM {
            self.number.push(byte);
            let Some(number) = self.whole_number() else { return Some(false) };
            (u32::from(number) == self.sum.sum() & 0xffff).then_some(())?;
            self.flags = 0;
            return Some(true);
        }
        self.sum.update(&[byte]);
        match (self.fixed, self.pending()) {
            (0, _) => (byte == 0x1f).then_some(())?,
            (1, _) => (byte == 0x8b).then_some(())?,
            (2, _) => (byte == 8).then_some(())?,
            (3, _) => {
                (byte & RESERVED == 0).then_some(())?;
                self.flags = byte & (EXTRA | NAME | COMMENT | TEXT_SUM);
            }
            (..10, _) => {}
            (_, EXTRA) => self.take_extra(byte),
            (_, field) if byte == 0 => self.flags &= !field,
            _ => {}
        }
        self.fixed = (self.fixed + 1).min(10);
        Some(self.fixed == 10 && self.flags == 0)
    }

    fn take_extra(&mut self, byte: u8) {
        let left = match self.extra {
            Some(left) => left - 1,
            None => {
                self.number.push(byte);
                let Some(length) = self.whole_number() else { return };
                length
            }
        };
        self.extra = Some(left);
        if left == 0 {
            self.flags &= !EXTRA;
        }
    }

    /// The flag of the field that comes next, in their order on the wire.
    fn pending(&self) -> u8 {
        let fields = [EXTRA, NAME, COMMENT, TEXT_SUM];
        fields.into_iter().find(|field| self.flags & field != 0).unwrap_or(0)
    }

    fn whole_number(&mut self) -> Option<u16> {
        let number = u16::from_le_bytes(self.number.as_slice().try_into().ok()?);
        self.number.clear();
        Some(number)
    }
}
