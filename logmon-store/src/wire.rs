//! Little-endian fields of headers, records and blocks.

/// Takes fields off the front of bytes; `None` where they end too early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// What stands between a magic and the checksum at the end, if both are right.
    pub(crate) fn checked(bytes: &'a [u8], magic: &[u8]) -> Option<Self> {
        let (summed, crc) = bytes.split_last_chunk()?;
        let rest = summed.strip_prefix(magic)?;
        (crc32c::crc32c(summed) == u32::from_le_bytes(*crc)).then_some(Self(rest))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A text with its length before it.
    pub(crate) fn text(&mut self) -> Option<String> {
        let len = self.u32()? as usize;
        String::from_utf8(self.bytes(len)?.to_vec()).ok()
    }

    /// A list with a count before it. What is reserved for it is bounded by the bytes that are
    /// there, not by the count.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }
}

/// Appends fields to bytes.
pub(crate) trait Put {
    fn put<const N: usize>(&mut self, bytes: [u8; N]);

    /// A text with its length before it.
    fn put_text(&mut self, text: &str);

    /// The CRC-32C of all that is there.
    fn put_crc(&mut self);

    fn put_u16(&mut self, value: u16) {
        self.put(value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.put(value.to_le_bytes());
    }

    /// The count before a list.
    fn put_count(&mut self, count: usize) {
        self.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

impl Put for Vec<u8> {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.extend_from_slice(&bytes);
    }

    fn put_text(&mut self, text: &str) {
        self.put_count(text.len());
        self.extend_from_slice(text.as_bytes());
    }

    fn put_crc(&mut self) {
        let crc = crc32c::crc32c(self);
        self.put_u32(crc);
    }
}
