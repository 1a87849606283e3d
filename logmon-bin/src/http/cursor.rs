//! The opaque texts that say where to go on.
//!
//! A live cursor is a position of the journal, bound to no query: `c1.` and the base64 of epoch
//! and number. A paging cursor is bound to its query and order and is signed: `p1.`, the base64 of
//! its content and of its mark.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use logmon_core::{Epoch, Order, PageKey, Position, Search, Timestamp};
use sha2::Sha256;

const LIVE: &str = "c1.";
const PAGE: &str = "p1.";
/// Bytes of the signature that a paging cursor carries.
const MARK_BYTES: usize = 16;

/// The text of a position.
pub(crate) fn live(position: Position) -> String {
    let mut bytes = position.epoch.to_bytes().to_vec();
    bytes.extend(position.seq.to_be_bytes());
    format!("{LIVE}{}", BASE64.encode(bytes))
}

/// Reads the text of a position.
pub(crate) fn parse_live(text: &str) -> Option<Position> {
    let bytes: [u8; 15] = BASE64.decode(text.strip_prefix(LIVE)?).ok()?.try_into().ok()?;
    let (epoch, seq) = bytes.split_first_chunk::<7>()?;
    let seq = u64::from_be_bytes(seq.try_into().ok()?);
    Some(Position { epoch: Epoch::from_bytes(*epoch), seq })
}

/// Where the pages of a search go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageCursor {
    /// The last event of the page before, or the first one when paging back.
    pub(crate) key: PageKey,
    /// Only events before this number belong to the search.
    pub(crate) snapshot: u64,
    /// What `now` meant when the search was accepted.
    pub(crate) now: Timestamp,
    /// The range of the search.
    pub(crate) from: Timestamp,
    /// Its end.
    pub(crate) to: Timestamp,
    /// Whether to page back towards the first page.
    pub(crate) is_backward: bool,
}

impl PageCursor {
    /// Lets a search go on here, in the range and among the events of the first page.
    pub(crate) const fn apply(&self, search: &mut Search) {
        search.scope.from = self.from;
        search.scope.to = self.to;
        search.scope.snapshot = Some(self.snapshot);
        search.after = Some(self.key);
    }
}

/// Bytes of a cursor's content.
const CONTENT_BYTES: usize = 1 + 7 * 8;

/// Signs and checks paging cursors.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&key).expect("invariant: every length is a key"))
    }

    /// The text of a cursor for the search `query` in `order`.
    pub(crate) fn sign(&self, cursor: &PageCursor, query: &str, order: Order) -> String {
        let mut bytes = vec![u8::from(cursor.is_backward)];
        bytes.extend(cursor.key.timestamp.as_nanos().to_be_bytes());
        bytes.extend(cursor.key.tie.to_be_bytes());
        bytes.extend(cursor.snapshot.to_be_bytes());
        for time in [cursor.now, cursor.from, cursor.to] {
            bytes.extend(time.as_nanos().to_be_bytes());
        }
        let mark = self.mark(&bytes, query, order);
        bytes.extend(&mark[..MARK_BYTES]);
        format!("{PAGE}{}", BASE64.encode(bytes))
    }

    /// Reads the text of a cursor; `None` if it is malformed, changed, or of another search.
    pub(crate) fn check(&self, text: &str, query: &str, order: Order) -> Option<PageCursor> {
        let bytes = BASE64.decode(text.strip_prefix(PAGE)?).ok()?;
        let (content, mark) = bytes.split_at_checked(CONTENT_BYTES)?;
        let mut mac = self.0.clone();
        feed(&mut mac, content, query, order);
        (mark.len() == MARK_BYTES).then(|| mac.verify_truncated_left(mark).ok()).flatten()?;
        let (head, rest) = content.split_first()?;
        let number = |at: usize| rest.get(at..at + 8)?.first_chunk::<8>();
        let time = |at: usize| Some(Timestamp::from_nanos(i64::from_be_bytes(*number(at)?)));
        Some(PageCursor {
            key: PageKey {
                timestamp: time(0)?,
                tie: u128::from_be_bytes(*rest.get(8..)?.first_chunk()?),
            },
            snapshot: u64::from_be_bytes(*number(24)?),
            now: time(32)?,
            from: time(40)?,
            to: time(48)?,
            is_backward: *head == 1,
        })
    }

    fn mark(&self, content: &[u8], query: &str, order: Order) -> [u8; 32] {
        let mut mac = self.0.clone();
        feed(&mut mac, content, query, order);
        mac.finalize().into_bytes().into()
    }
}

fn feed(mac: &mut Hmac<Sha256>, content: &[u8], query: &str, order: Order) {
    mac.update(content);
    mac.update(&[u8::from(order == Order::OldestFirst)]);
    mac.update(query.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: PageCursor = PageCursor {
        key: PageKey { timestamp: Timestamp::from_nanos(-5), tie: 7 << 100 },
        snapshot: 9,
        now: Timestamp::from_nanos(10),
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        is_backward: true,
    };

    #[test]
    fn live_cursors_come_back() {
        let position = Position { epoch: Epoch::from_bytes([1, 2, 3, 4, 5, 6, 7]), seq: u64::MAX };
        assert_eq!(parse_live(&live(position)), Some(position));
        for bad in ["", "c1.", "c1.AAAA", "c2.AQIDBAUGBwAAAAAAAAAB", "c1.!!!!!!!!!!!!!!!!!!!!"] {
            assert_eq!(parse_live(bad), None, "{bad}");
        }
    }

    /// a changed cursor, or one of another query, is refused.
    #[test]
    fn page_cursors_are_bound_to_their_search() {
        let signer = Signer::new([7; 32]);
        let text = signer.sign(&CURSOR, "level:error", Order::NewestFirst);
        let check = |text: &str| signer.check(text, "level:error", Order::NewestFirst);
        assert_eq!(check(&text), Some(CURSOR));
        assert_eq!(signer.check(&text, "level:warn", Order::NewestFirst), None);
        assert_eq!(signer.check(&text, "level:error", Order::OldestFirst), None);
        assert_eq!(Signer::new([8; 32]).check(&text, "level:error", Order::NewestFirst), None);
        for at in 3..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(check(&String::from_utf8(changed).unwrap()), None, "{at}");
        }
        assert_eq!(check(text.get(..20).unwrap()), None);
    }
}
