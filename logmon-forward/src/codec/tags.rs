//! From the tag on the wire to the tag of the events.

use std::borrow::Cow;
use std::fmt::Write as _;

use logmon_core::Tag;

use super::limits::InvalidTag;
use super::{EmptyTag, Reason, Settings};

/// How many tags a connection remembers. Most peers send few, and a shared text costs nothing.
const KNOWN: usize = 8;

/// Applies the settings' rules to tags, remembering the last ones.
#[derive(Debug, Default)]
pub(super) struct Tags {
    known: Vec<(Box<[u8]>, Tag)>,
    next: usize,
}

impl Tags {
    /// The tag for these bytes.
    ///
    /// An empty one is [`Reason::TagEmpty`] unless the settings replace it.
    pub(super) fn resolve(&mut self, raw: &[u8], settings: &Settings) -> Result<Tag, Reason> {
        if let Some((_, tag)) = self.known.iter().find(|(known, _)| **known == *raw) {
            return Ok(tag.clone());
        }
        let tag = make(raw, settings)?;
        let entry = (Box::from(raw), tag.clone());
        match self.known.get_mut(self.next) {
            Some(slot) => *slot = entry,
            None => self.known.push(entry),
        }
        self.next = (self.next + 1) % KNOWN;
        Ok(tag)
    }
}

/// The tag for these bytes, not remembered.
pub(super) fn make(raw: &[u8], settings: &Settings) -> Result<Tag, Reason> {
    if raw.len() > settings.limits.max_tag_bytes {
        return Err(Reason::TagTooLong);
    }
    let text = match (std::str::from_utf8(raw), settings.invalid_tag) {
        (Ok(text), _) => Cow::Borrowed(text),
        (Err(_), InvalidTag::Escape) => Cow::Owned(escape(raw)),
        (Err(_), InvalidTag::Reject) => return Err(Reason::TagEncoding),
    };
    if text.len() > settings.limits.max_tag_bytes {
        return Err(Reason::TagTooLong);
    }
    let tag = match (&settings.tag, &settings.empty_tag) {
        (Some(tag), _) => tag.clone(),
        (None, EmptyTag::Replace(tag)) if text.is_empty() => tag.clone(),
        (None, EmptyTag::Reject) if text.is_empty() => return Err(Reason::TagEmpty),
        (None, _) => Tag::from(text.as_ref()),
    };
    match &settings.add_tag_prefix {
        Some(prefix) => Ok(format!("{prefix}.{tag}").into()),
        None => Ok(tag),
    }
}

/// A text for bytes that are none.
fn escape(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len() + 8);
    for chunk in raw.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _written = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(settings: &Settings, raw: &[u8]) -> Result<String, Reason> {
        Tags::default().resolve(raw, settings).map(|tag| tag.to_string())
    }

    /// F-111: `tag` replaces, the prefix comes with a dot, and both apply in this order.
    #[test]
    fn applies_tag_and_prefix() {
        let mut settings = Settings::default();
        assert_eq!(resolve(&settings, b"t"), Ok("t".into()));
        settings.add_tag_prefix = Some("p".into());
        assert_eq!(resolve(&settings, b"t"), Ok("p.t".into()));
        settings.tag = Some("tag".into());
        assert_eq!(resolve(&settings, b"t"), Ok("p.tag".into()));
        settings.add_tag_prefix = None;
        assert_eq!(resolve(&settings, b"t"), Ok("tag".into()));
    }

    /// F-122, F-123, R-028.
    #[test]
    fn refuses_tags_that_are_none() {
        let mut settings = Settings::default();
        assert_eq!(resolve(&settings, b""), Err(Reason::TagEmpty));
        assert_eq!(resolve(&settings, b"a\xff"), Err(Reason::TagEncoding));
        assert_eq!(resolve(&settings, &[b'a'; 4097]), Err(Reason::TagTooLong));
        assert_eq!(resolve(&settings, &[b'a'; 4096]).map(|tag| tag.len()), Ok(4096));
        settings.empty_tag = EmptyTag::Replace("none".into());
        assert_eq!(resolve(&settings, b""), Ok("none".into()));
    }

    /// F-123: bytes that are no text can be told from the tag they became.
    #[test]
    fn escapes_what_is_no_text() {
        let mut settings = Settings { invalid_tag: InvalidTag::Escape, ..Settings::default() };
        assert_eq!(resolve(&settings, b"a\xff.%\xc3\xa4\xc3"), Ok("a%FF.%25\u{e4}%C3".into()));
        assert_eq!(resolve(&settings, b"a%b"), Ok("a%b".into()));
        settings.limits.max_tag_bytes = 5;
        assert_eq!(resolve(&settings, b"\xff\xff"), Err(Reason::TagTooLong));
    }

    #[test]
    fn shares_the_text_of_tags_it_has_seen() {
        let (settings, mut tags) = (Settings::default(), Tags::default());
        for round in 0..3 {
            for number in 0..20 {
                let text = format!("tag.{number}");
                let tag = tags.resolve(text.as_bytes(), &settings).unwrap();
                assert_eq!(tag.as_str(), text, "round {round}");
            }
        }
        let first = tags.resolve(b"x", &settings).unwrap();
        let again = tags.resolve(b"x", &settings).unwrap();
        assert!(std::ptr::eq(first.as_str(), again.as_str()));
    }
}
