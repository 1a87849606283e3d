//! Replies that no server should send.

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::wire::{self, BODY_START, FLAGS_START};

/// What is wrong with a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Garbage {
    /// The message ends within its document. Its length says so too, so all of it is there.
    Truncated,
    /// It answers another request.
    WrongResponseTo,
    /// Its length is 2^31 - 1, and no more bytes follow than usual.
    HugeLength,
    /// Its length is -1.
    NegativeLength,
    /// Its flags promise a checksum, and there is none.
    ChecksumFlag,
    /// Its document begins with an element of a type that does not exist.
    NotBson,
    /// It is `ok: 0` and nothing else.
    ErrorWithoutCode,
    /// It is an error with a code that no server has.
    UnknownCode,
    /// It is an empty document.
    EmptyDocument,
}

impl Garbage {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Truncated,
        Self::WrongResponseTo,
        Self::HugeLength,
        Self::NegativeLength,
        Self::ChecksumFlag,
        Self::NotBson,
        Self::ErrorWithoutCode,
        Self::UnknownCode,
        Self::EmptyDocument,
    ];

    /// The message in place of that with `body`.
    pub(super) fn message(self, request: i32, body: &RawDocument) -> Vec<u8> {
        let mut good = wire::message(request, body);
        match self {
            Self::Truncated => {
                good.truncate(good.len() - 3);
                let length = wire::length(good.len());
                with_bytes(good, 0, &length)
            }
            Self::WrongResponseTo => wire::message(request.wrapping_add(1), body),
            Self::HugeLength => with_bytes(good, 0, &i32::MAX.to_le_bytes()),
            Self::NegativeLength => with_bytes(good, 0, &(-1_i32).to_le_bytes()),
            Self::ChecksumFlag => with_bytes(good, FLAGS_START, &[1]),
            // Behind the document's length stands the type of its first element.
            Self::NotBson => with_bytes(good, BODY_START + 4, &[0x6e]),
            Self::ErrorWithoutCode => wire::message(request, &rawdoc! { "ok": 0.0 }),
            Self::UnknownCode => wire::message(
                request,
                &rawdoc! { "ok": 0.0, "errmsg": "something new", "code": 987_654 },
            ),
            Self::EmptyDocument => wire::message(request, &RawDocumentBuf::new()),
        }
    }
}

fn with_bytes(mut message: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    message[at..at + bytes.len()].copy_from_slice(bytes);
    message
}
