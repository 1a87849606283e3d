//! What the server does with an insert.

use std::time::Duration;

use bson::RawDocumentBuf;

use super::Garbage;

/// What the server does with one insert command.
///
/// Applied means as by a real server: documents are stored, an `_id` that is there already gives a
/// write error 11000, and `ordered: true` stops at the first one. A document without `_id` is
/// stored as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Applies it and answers.
    Apply,
    /// Applies it and never answers. The connection stays open until the client closes it.
    ApplyThenHang,
    /// Never answers, and has stored nothing.
    HangBeforeApply,
    /// Applies it and closes the connection.
    ApplyThenClose,
    /// Applies it, sends this many bytes of the reply and closes the connection.
    ApplyThenReset {
        /// How much of the reply is sent.
        bytes: usize,
    },
    /// Applies the first documents alone and closes the connection.
    ApplyFirst {
        /// How many documents are applied.
        documents: usize,
    },
    /// Applies it and answers in small pieces.
    Drip {
        /// The size of a piece, at least 1.
        bytes: usize,
        /// The time between two pieces.
        every: Duration,
    },
    /// Applies it and answers so much later.
    Delay(Duration),
    /// Stores nothing and answers `ok: 0`.
    Command {
        /// The error's code.
        code: i32,
        /// The error's text.
        message: &'static str,
        /// The labels as sent; the driver adds its own.
        labels: &'static [&'static str],
    },
    /// Answers with these write errors, as (index, code, text), and applies the other documents.
    /// The indexes are sent as they are given, be they out of range or there twice.
    WriteErrors(Vec<(usize, i32, String)>),
    /// Applies it, and says that the write concern was not met.
    WriteConcernError {
        /// The error's code.
        code: i32,
        /// The error's text.
        message: &'static str,
    },
    /// Applies it and answers with this document, whatever it says.
    Answer(RawDocumentBuf),
    /// Applies it and answers with what no server should send.
    Garbage(Garbage),
}
