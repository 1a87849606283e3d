//! The bytes of an item's file.

use bytes::Bytes;
use logmon_core::{Quarantined, QuarantinedKind, Tag, Timestamp};

use super::{Damaged, Keep, QuarantineConfig};
use crate::vfs::VfsFile;

/// The first bytes of every file: a name, and the version of the format.
const MAGIC: &[u8; 8] = b"LMQUAR\x01\n";

/// The parts before the facts: magic, length of the facts, length of the bytes.
const HEAD_BYTES: usize = 8 + 4 + 8;

/// Facts and bytes are each followed by their CRC-32C.
const CRC_BYTES: usize = 4;

/// No facts are longer: each of the six texts has at most [`MAX_TEXT_BYTES`].
const MAX_FACTS_BYTES: usize = 64 << 10;

/// Texts are cut to this. What comes from the network is shorter: a tag has 4 KiB.
const MAX_TEXT_BYTES: usize = 8 << 10;

/// The file of an item.
pub(super) fn encode(item: &Quarantined, config: &QuarantineConfig) -> Vec<u8> {
    let bytes = match config.keep {
        Keep::Bytes => item.bytes.get(..config.max_item_bytes).unwrap_or(&item.bytes),
        Keep::Facts => &[],
    };
    let facts = encode_facts(item);
    let mut out = Vec::with_capacity(HEAD_BYTES + facts.len() + bytes.len() + 2 * CRC_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&u32::try_from(facts.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(&facts);
    // Over everything so far, so that the lengths are checked as well.
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    out
}

fn encode_facts(item: &Quarantined) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(&item.received.as_nanos().to_le_bytes());
    out.push(match item.kind {
        QuarantinedKind::Entries => 1,
        QuarantinedKind::Message => 2,
        // A kind of a later version of the traits; it is kept, and not replayed.
        _ => 0,
    });
    out.extend_from_slice(&item.count.to_le_bytes());
    out.extend_from_slice(&item.full_bytes.to_le_bytes());
    for text in [&item.origin, &item.reason, &item.detail] {
        write_text(&mut out, Some(text));
    }
    write_text(&mut out, item.peer.as_deref());
    write_text(&mut out, item.tag.as_deref());
    out
}

/// A length of 4 bytes, all ones where there is no text, and the text.
fn write_text(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else {
        out.extend_from_slice(&u32::MAX.to_le_bytes());
        return;
    };
    let text = text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or_default();
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The item without its bytes, and how many of them the file has.
pub(super) fn read_facts(file: &dyn VfsFile, len: u64) -> Result<(Quarantined, u64), Damaged> {
    let head = read_exact(file, 0, HEAD_BYTES)?;
    let mut reader = Reader(&head);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(damaged("it does not begin as items of this version do"));
    }
    let facts_len = usize::try_from(u32::from_le_bytes(reader.array()?)).unwrap_or(usize::MAX);
    let kept = u64::from_le_bytes(reader.array()?);
    let fixed = (HEAD_BYTES + 2 * CRC_BYTES) as u64;
    if facts_len > MAX_FACTS_BYTES || Some(len) != kept.checked_add(fixed + facts_len as u64) {
        return Err(damaged("its length is not what it says"));
    }
    let head = read_exact(file, 0, HEAD_BYTES + facts_len + CRC_BYTES)?;
    let (checked, crc) = head.split_at(HEAD_BYTES + facts_len);
    if crc != crc32c::crc32c(checked).to_le_bytes() {
        return Err(damaged("the checksum of its facts is wrong"));
    }
    let mut reader = Reader(checked.get(HEAD_BYTES..).unwrap_or_default());
    Ok((reader.facts()?, kept))
}

/// The item with its bytes.
pub(super) fn read(file: &dyn VfsFile, len: u64) -> Result<Quarantined, Damaged> {
    let (mut item, kept) = read_facts(file, len)?;
    // The length was compared with that of the file, so it is no more than what is there.
    let kept = usize::try_from(kept).map_err(|_| damaged("it is too long for this machine"))?;
    let start = len - (kept + CRC_BYTES) as u64;
    let mut bytes = read_exact(file, start, kept + CRC_BYTES)?;
    let crc = bytes.split_off(kept);
    if crc != crc32c::crc32c(&bytes).to_le_bytes() {
        return Err(damaged("the checksum of its bytes is wrong"));
    }
    item.bytes = Bytes::from(bytes);
    Ok(item)
}

fn read_exact(file: &dyn VfsFile, at: u64, len: usize) -> Result<Vec<u8>, Damaged> {
    let mut buf = vec![0; len];
    match file.read_at(&mut buf, at) {
        Ok(read) if read == len => Ok(buf),
        Ok(_) => Err(damaged("it ends too early")),
        Err(error) => Err(Damaged(format!("reading it failed: {error}"))),
    }
}

fn damaged(what: &str) -> Damaged {
    Damaged(what.to_owned())
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or_else(|| damaged("its facts end too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N)?.try_into().map_err(|_| damaged("its facts end too early"))
    }

    fn text(&mut self) -> Result<Option<String>, Damaged> {
        let len = u32::from_le_bytes(self.array()?);
        if len == u32::MAX {
            return Ok(None);
        }
        let bytes = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("its facts are no text"))?;
        Ok(Some(text.to_owned()))
    }

    fn facts(&mut self) -> Result<Quarantined, Damaged> {
        let received = Timestamp::from_nanos(i64::from_le_bytes(self.array()?));
        let kind = match self.take(1)? {
            [1] => QuarantinedKind::Entries,
            [2] => QuarantinedKind::Message,
            _ => return Err(damaged("it is of a kind that this version does not know")),
        };
        let count = u64::from_le_bytes(self.array()?);
        let full_bytes = u64::from_le_bytes(self.array()?);
        let mut texts = || self.text().map(Option::unwrap_or_default);
        let (origin, reason, detail) = (texts()?, texts()?, texts()?);
        let mut item = Quarantined::new(origin, reason, kind, Bytes::new());
        item.received = received;
        item.detail = detail;
        item.count = count;
        item.full_bytes = full_bytes;
        item.peer = self.text()?;
        item.tag = self.text()?.map(|tag| Tag::from(tag.as_str()));
        Ok(item)
    }
}
