//! The header of a segment and that of a frame, byte for byte.
//!
//! `docs/journal-format.md` says the same in words.

use logmon_core::{Codec, Epoch, EventId, Fingerprint, NewBatch, Tag, Timestamp};

use super::codec::{self, MAX_RAW_BYTES, Unknown};
use crate::wire::{Fields, Put as _};

/// The version of the format that is written.
pub(super) const FORMAT_VERSION: u16 = 1;
pub(super) const SEGMENT_MAGIC: [u8; 8] = *b"\x89LOGMON\n";
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;
pub(super) const FRAME_MAGIC: [u8; 4] = *b"\xf1lmf";
/// Bytes of a frame's header before its tag.
pub(super) const FRAME_FIXED_BYTES: usize = 68;
/// A longer header is no header: room for a tag and 800,000 fingerprints.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 20;
/// No number is greater, so that adding to one never overflows.
pub(super) const MAX_SEQ: u64 = 1 << 62;
/// The shortest entry is `[0, {}]`.
const MIN_ENTRY_BYTES: u64 = 3;

const FRAME_VERSION: u8 = 1;
const FLAG_CONTROL: u8 = 1;
const FLAG_AUTO_TIMES: u8 = 2;
const FLAG_ORIGIN: u8 = 4;
/// The id of the first event, where another journal has given it.
const ORIGIN_BYTES: usize = 12;

/// The first 64 bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) epoch: Epoch,
    /// The epoch in which the journal was founded; tells journals apart.
    pub(super) journal: Epoch,
    pub(super) first_seq: u64,
    pub(super) created: Timestamp,
    /// The hash over the frames of the segment before, see [`chain`].
    pub(super) chain: u32,
}

/// Why 64 bytes are no segment header of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged,
    /// A later version, intact.
    Version(u16),
}

impl SegmentHeader {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.put(SEGMENT_MAGIC);
        out.put_u16(FORMAT_VERSION);
        out.put_u16(64);
        out.put_u32(self.chain);
        out.put_u64(self.number);
        put_epoch(&mut out, self.epoch);
        out.push(0);
        put_epoch(&mut out, self.journal);
        out.push(0);
        out.put_u64(self.first_seq);
        out.put_i64(self.created.as_nanos());
        out.put_u32(0);
        out.put_u32(crc32c::crc32c(&out));
        out
    }

    /// Reads a header. Magic, version and checksum stand in these places in every version.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let parsed = Self::fields(bytes).ok_or(HeaderFault::Damaged)?;
        let sum = bytes.get(..60).map(crc32c::crc32c);
        let stored = Fields(bytes.get(60..).unwrap_or_default()).u32();
        if sum.is_none() || sum != stored {
            return Err(HeaderFault::Damaged);
        }
        match parsed {
            (FORMAT_VERSION, header) if header.first_seq <= MAX_SEQ => Ok(header),
            (FORMAT_VERSION, _) => Err(HeaderFault::Damaged),
            (version, _) => Err(HeaderFault::Version(version)),
        }
    }

    /// What the bytes say, whatever the checksum does.
    pub(super) fn fields(bytes: &[u8]) -> Option<(u16, Self)> {
        let mut fields = Fields(bytes);
        if fields.array()? != SEGMENT_MAGIC {
            return None;
        }
        let version = fields.u16()?;
        fields.u16()?;
        let chain = fields.u32()?;
        let number = fields.u64()?;
        let epoch = epoch(&mut fields)?;
        fields.u8()?;
        let journal = self::epoch(&mut fields)?;
        fields.u8()?;
        let first_seq = fields.u64()?;
        let created = Timestamp::from_nanos(fields.i64()?);
        Some((version, Self { number, epoch, journal, first_seq, created, chain }))
    }
}

pub(super) fn put_epoch(out: &mut Vec<u8>, epoch: Epoch) {
    out.extend_from_slice(&epoch.to_bytes());
}

pub(super) fn epoch(fields: &mut Fields<'_>) -> Option<Epoch> {
    fields.array().map(Epoch::from_bytes)
}

/// The checksum that frames of an epoch begin with, so that a frame of another epoch is none.
pub(super) fn epoch_seed(epoch: Epoch) -> u32 {
    crc32c::crc32c(&epoch.to_bytes())
}

/// Adds a frame to the running hash of a segment.
pub(super) fn chain(chain: u32, header_crc: u32) -> u32 {
    crc32c::crc32c_append(chain, &header_crc.to_le_bytes())
}

/// What a frame says about its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewFrame<'a> {
    pub(super) is_control: bool,
    pub(super) are_times_auto: bool,
    pub(super) codec: Option<Codec>,
    pub(super) payload_len: u32,
    /// The length of the payload as packed entries.
    pub(super) raw_len: u32,
    pub(super) events: u32,
    pub(super) first_seq: u64,
    pub(super) received: Timestamp,
    pub(super) times: (Timestamp, Timestamp),
    pub(super) route: u16,
    pub(super) fields: u16,
    pub(super) origin: Option<EventId>,
    pub(super) tag: &'a str,
    pub(super) fingerprints: &'a [Fingerprint],
}

impl NewFrame<'_> {
    /// A frame with control records.
    pub(super) fn control(payload_len: u32, first_seq: u64, now: Timestamp) -> Self {
        Self {
            is_control: true,
            are_times_auto: false,
            codec: None,
            payload_len,
            raw_len: payload_len,
            events: 0,
            first_seq,
            received: now,
            times: (now, now),
            route: 0,
            fields: 0,
            origin: None,
            tag: "",
            fingerprints: &[],
        }
    }

    /// Appends the header; gives its checksum, which is the seed of the payload's.
    pub(super) fn write(&self, out: &mut Vec<u8>, seed: u32) -> u32 {
        let start = out.len();
        let len = header_len(self.tag.len(), self.fingerprints.len())
            + self.origin.map_or(0, |_| ORIGIN_BYTES);
        let flags = if self.is_control { FLAG_CONTROL } else { 0 }
            | if self.are_times_auto { FLAG_AUTO_TIMES } else { 0 }
            | if self.origin.is_some() { FLAG_ORIGIN } else { 0 };
        out.put(FRAME_MAGIC);
        out.put([FRAME_VERSION, flags, codec::number_of(self.codec), 0]);
        out.put_count(len);
        out.put_u32(self.payload_len);
        out.put_u32(self.raw_len);
        out.put_u32(self.events);
        out.put_u64(self.first_seq);
        out.put_i64(self.received.as_nanos());
        out.put_i64(self.times.0.as_nanos());
        out.put_i64(self.times.1.as_nanos());
        out.put_u16(self.route);
        out.put_u16(self.fields);
        out.put_count(self.tag.len());
        out.put_count(self.fingerprints.len());
        out.extend(self.origin.iter().flat_map(|origin| origin.to_bytes()));
        out.extend_from_slice(self.tag.as_bytes());
        for fingerprint in self.fingerprints {
            out.put_u32(fingerprint.first);
            out.put(fingerprint.digest);
        }
        let crc = crc32c::crc32c_append(seed, out.get(start..).unwrap_or_default());
        out.put_u32(crc);
        crc
    }
}

/// The bytes of the header of a batch with its checksum.
pub(super) fn header_len_of(batch: &NewBatch) -> usize {
    let origin = batch.origin.map_or(0, |_| ORIGIN_BYTES);
    header_len(batch.tag.len(), batch.fingerprints.len()) + origin
}

/// The bytes of a header with its checksum, of a batch that has been taken in here.
pub(super) const fn header_len(tag_bytes: usize, fingerprints: usize) -> usize {
    FRAME_FIXED_BYTES + tag_bytes + fingerprints * 20 + 4
}

/// Appends the checksum behind a payload.
pub(super) fn end_frame(out: &mut Vec<u8>, header_crc: u32, payload: &[u8]) {
    out.put_u32(crc32c::crc32c_append(header_crc, payload));
}

/// The header of a frame that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) is_control: bool,
    pub(super) are_times_auto: bool,
    pub(super) codec: Option<Codec>,
    pub(super) header_len: u32,
    pub(super) payload_len: u32,
    /// The length of the payload as packed entries.
    pub(super) raw_len: u32,
    pub(super) events: u32,
    pub(super) first_seq: u64,
    pub(super) received: Timestamp,
    pub(super) times: (Timestamp, Timestamp),
    pub(super) route: u16,
    pub(super) fields: u16,
    pub(super) origin: Option<EventId>,
    pub(super) tag_len: u32,
    pub(super) crc: u32,
}

/// Why bytes are no frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameFault {
    /// So many bytes are needed to tell.
    Short(usize),
    Invalid,
    /// Intact, and of a later version or unknown kind.
    Unsupported,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes`, of a frame that may take up to `room` bytes.
    pub(super) fn parse(bytes: &[u8], seed: u32, room: u64) -> Result<Self, FrameFault> {
        let Some(fixed) = bytes.get(..FRAME_FIXED_BYTES) else {
            return Err(FrameFault::Short(FRAME_FIXED_BYTES));
        };
        let (header, kind, [tag_len, fingerprints]) =
            Self::fields(fixed).ok_or(FrameFault::Invalid)?;
        let header_len = header.header_len as usize;
        let total = u64::from(header.header_len) + u64::from(header.payload_len) + 4;
        let is_possible = (FRAME_FIXED_BYTES + 4..=MAX_HEADER_BYTES).contains(&header_len)
            && total <= room
            && header.first_seq <= MAX_SEQ;
        if !is_possible {
            return Err(FrameFault::Invalid);
        }
        let Some(whole) = bytes.get(..header_len) else {
            return Err(FrameFault::Short(header_len));
        };
        let (summed, stored) = whole.split_at(header_len - 4);
        let crc = crc32c::crc32c_append(seed, summed);
        if Fields(stored).u32() != Some(crc) {
            return Err(FrameFault::Invalid);
        }
        let [version, flags, codec, _] = kind;
        let codec = codec::of_number(codec).map_err(|Unknown| FrameFault::Unsupported)?;
        let known = FLAG_CONTROL | FLAG_AUTO_TIMES | FLAG_ORIGIN;
        if version != FRAME_VERSION || flags & !known != 0 {
            return Err(FrameFault::Unsupported);
        }
        // Right by its checksum, so only a forged header fails here; then nothing is allocated.
        let rest = summed.get(FRAME_FIXED_BYTES..).unwrap_or_default();
        let origin = (flags & FLAG_ORIGIN != 0).then(|| rest.first_chunk::<ORIGIN_BYTES>());
        let Some(origin) = origin.map_or(Some(None), |bytes| bytes.map(Some)) else {
            return Err(FrameFault::Invalid);
        };
        let origin = origin.map(|bytes| EventId::from_bytes(*bytes));
        let expected = FRAME_FIXED_BYTES as u64
            + origin.map_or(0, |_| ORIGIN_BYTES as u64)
            + u64::from(tag_len)
            + u64::from(fingerprints) * 20;
        let raw_len = header.raw_len;
        let is_length_right = match codec {
            None => raw_len == header.payload_len,
            Some(_) => raw_len as usize <= MAX_RAW_BYTES && !header.is_control,
        };
        let is_sound = expected + 4 == u64::from(header.header_len)
            && is_length_right
            && u64::from(header.events) * MIN_ENTRY_BYTES <= u64::from(raw_len);
        if is_sound { Ok(Self { codec, origin, crc, ..header }) } else { Err(FrameFault::Invalid) }
    }

    fn fields(fixed: &[u8]) -> Option<(Self, [u8; 4], [u32; 2])> {
        let mut fields = Fields(fixed);
        if fields.array()? != FRAME_MAGIC {
            return None;
        }
        let kind: [u8; 4] = fields.array()?;
        let header_len = fields.u32()?;
        let payload_len = fields.u32()?;
        let raw_len = fields.u32()?;
        let events = fields.u32()?;
        let first_seq = fields.u64()?;
        let received = Timestamp::from_nanos(fields.i64()?);
        let times = (Timestamp::from_nanos(fields.i64()?), Timestamp::from_nanos(fields.i64()?));
        let (route, map) = (fields.u16()?, fields.u16()?);
        let (tag_len, fingerprints) = (fields.u32()?, fields.u32()?);
        let header = Self {
            is_control: kind[1] & FLAG_CONTROL != 0,
            are_times_auto: kind[1] & FLAG_AUTO_TIMES != 0,
            codec: None,
            header_len,
            payload_len,
            raw_len,
            events,
            first_seq,
            received,
            times,
            route,
            fields: map,
            origin: None,
            tag_len,
            crc: 0,
        };
        Some((header, kind, [tag_len, fingerprints]))
    }

    /// The bytes of the whole frame.
    pub(super) fn total_len(&self) -> u64 {
        u64::from(self.header_len) + u64::from(self.payload_len) + 4
    }

    /// The memory that reading its payload takes, beside the bytes of the frame.
    pub(super) fn unpacked_len(&self) -> u64 {
        if self.codec.is_some() { self.raw_len.into() } else { 0 }
    }

    pub(super) fn end_seq(&self) -> u64 {
        self.first_seq + u64::from(self.events)
    }

    /// Where the tag begins in the frame.
    const fn tag_at(&self) -> usize {
        let origin = if self.origin.is_some() { ORIGIN_BYTES } else { 0 };
        FRAME_FIXED_BYTES + origin
    }

    /// The digests of its chunks, from the bytes of the frame.
    pub(super) fn digests<'a>(&self, frame: &'a [u8]) -> impl Iterator<Item = [u8; 16]> + use<'a> {
        let range = self.tag_at() + self.tag_len as usize..self.header_len as usize - 4;
        let (fingerprints, _) = frame.get(range).unwrap_or_default().as_chunks::<20>();
        fingerprints.iter().filter_map(|fingerprint| fingerprint.last_chunk().copied())
    }

    /// The tag, from the bytes of the frame.
    pub(super) fn tag(&self, frame: &[u8]) -> Option<Tag> {
        let bytes = frame.get(self.tag_at()..self.tag_at() + self.tag_len as usize)?;
        Some(Tag::from(std::str::from_utf8(bytes).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> Epoch {
        Epoch::from_bytes([1, 2, 3, 4, 5, 6, 7])
    }

    #[test]
    fn a_segment_header_reads_back_and_any_flip_is_seen() {
        let header = SegmentHeader {
            number: 7,
            epoch: epoch(),
            journal: Epoch::from_bytes([9; 7]),
            first_seq: 42,
            created: Timestamp::from_nanos(5),
            chain: 0xdead_beef,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::parse(&bytes), Ok(header));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert_eq!(SegmentHeader::parse(&flipped), Err(HeaderFault::Damaged), "byte {at}");
            // Nor is a part of it, also one that lacks nothing but the checksum.
            assert_eq!(SegmentHeader::parse(&bytes[..at]), Err(HeaderFault::Damaged), "{at} bytes");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let header = SegmentHeader {
            number: 1,
            epoch: epoch(),
            journal: epoch(),
            first_seq: 1,
            created: Timestamp::EPOCH,
            chain: 0,
        };
        let mut bytes = header.to_bytes();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::parse(&bytes), Err(HeaderFault::Version(2)));
    }

    #[test]
    fn a_frame_header_belongs_to_its_epoch() {
        let fingerprint = Fingerprint { first: 0, digest: [3; 16] };
        let frame = NewFrame {
            events: 2,
            tag: "app.web",
            fingerprints: &[fingerprint],
            is_control: false,
            ..NewFrame::control(10, 9, Timestamp::EPOCH)
        };
        let mut bytes = Vec::new();
        let crc = frame.write(&mut bytes, epoch_seed(epoch()));
        assert_eq!(bytes.len(), header_len(7, 1));
        let header = FrameHeader::parse(&bytes, epoch_seed(epoch()), 1000).unwrap();
        assert_eq!((header.crc, header.end_seq()), (crc, 11));
        assert_eq!(header.tag(&bytes).unwrap().as_str(), "app.web");
        let other = epoch_seed(Epoch::from_bytes([9; 7]));
        assert_eq!(FrameHeader::parse(&bytes, other, 1000), Err(FrameFault::Invalid));
        assert_eq!(FrameHeader::parse(&bytes, epoch_seed(epoch()), 50), Err(FrameFault::Invalid));
        assert_eq!(
            FrameHeader::parse(&bytes[..70], epoch_seed(epoch()), 1000),
            Err(FrameFault::Short(bytes.len()))
        );
    }
}
