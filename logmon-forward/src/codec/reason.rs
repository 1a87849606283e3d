//! Why something was refused: one closed list for logs, counters and tests.

/// How far a fault reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the three reaches of a fault are closed")]
pub enum Class {
    /// One entry: the others of its message are taken.
    Entry,
    /// The connection: its bytes can no longer be told apart, or it is not worth the trouble.
    Framing,
    /// One message: the next one is read as usual.
    Message,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $class:ident $code:literal $text:literal;)*) => {
        /// Why an entry, a message or a connection was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* #[error($text)] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for counters and logs; it never changes.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// How far the fault reaches.
            pub const fn class(self) -> Class {
                match self {
                    $(Self::$name => Class::$class,)*
                }
            }
        }
    };
}

reasons! {
    /// The payload of an entry's place is not an array of a time and a record.
    EntryShape Entry "entry_shape" "an entry is not an array of time and record";
    /// The record of an entry is no map.
    EntryRecord Entry "entry_record" "the record of an entry is not a map";
    /// An entry is too long, or its record is.
    EntryRecordTooLong Entry "entry_record_too_long" "the record of an entry is too long";
    /// The time of an entry is none.
    EntryTime Entry "entry_time" "the time of an entry is not a number, an EventTime or nil";
    /// An entry nests too deep.
    EntryTooDeep Entry "entry_too_deep" "an entry nests too deep";
    /// An entry has too many items.
    EntryTooManyItems Entry "entry_too_many_items" "an entry has too many items";
    /// Bytes behind the last whole entry of a packed payload.
    TrailingGarbage Entry "trailing_garbage" "bytes behind the last entry are no entry";

    /// The compressed payload cannot be decompressed.
    CorruptCompression Message "corrupt_compression" "the compressed payload is damaged";
    /// The payload becomes too big when it is decompressed.
    DecompressedTooBig Message "decompressed_too_big" "the payload is too big when decompressed";
    /// The message is not an array of two to four elements.
    MessageShape Message "message_shape" "a message is not an array of tag, entries and option";
    /// The message is too long.
    MessageTooBig Message "message_too_big" "the message is too long";
    /// Too many batches are nested in the message.
    TooManyBatches Message "too_many_batches" "too many batches are nested in the message";
    /// The message has too many events.
    TooManyEvents Message "too_many_events" "the message has too many events";
    /// The payload becomes too big when each entry gets the metadata of the option.
    MetadataTooBig Message "metadata_too_big" "the metadata of the option is too big for so many entries";
    /// The second element is neither entries nor a time.
    PayloadType Message "payload_type" "the second element is neither entries nor a time";
    /// The message carries metrics or traces, which the settings do not take.
    SignalUnsupported Message "signal_unsupported" "the message carries metrics or traces";
    /// The message carries something other than logs, of an unknown kind.
    SignalUnknown Message "signal_unknown" "the message carries an unknown kind of signal";
    /// The tag is empty.
    TagEmpty Message "tag_empty" "the tag is empty";
    /// The tag is not UTF-8.
    TagEncoding Message "tag_encoding" "the tag is not UTF-8";
    /// The tag is too long.
    TagTooLong Message "tag_too_long" "the tag is too long";
    /// The tag is not text.
    TagType Message "tag_type" "the tag is not text";
    /// The message nests deeper than JSON is read.
    JsonTooDeep Message "json_too_deep" "the JSON message nests too deep";
    /// The compression is unknown and the payload not readable without it.
    UnsupportedCompression Message "unsupported_compression" "the compression is not supported";

    /// The text of a JSON connection cannot be read.
    JsonSyntax Framing "json_syntax" "the text is not JSON";
    /// Nesting without end.
    NestingTooDeep Framing "nesting_too_deep" "the message nests without end";
    /// The connection does not begin as the protocol does.
    NotForward Framing "not_forward" "this is not the Forward protocol";
    /// One refused message after the other.
    PersistentGarbage Framing "persistent_garbage" "too many refused messages one after the other";
    /// The byte `c1`.
    ReservedByte Framing "reserved_byte" "the bytes are not msgpack";
    /// Nothing came for too long in the middle of a message.
    Stalled Framing "stalled" "nothing came for too long in the middle of a message";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_are_unique() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        for (number, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
