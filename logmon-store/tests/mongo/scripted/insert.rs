//! The insert command, as its act has it.

use bson::raw::cstr;
use bson::{RawDocumentBuf, rawdoc};

use super::Act;
use super::connection::{Answer, Manner};
use super::replies::{Failure, array, code_name};
use super::state::State;
use super::wire::Request;

/// What came of the documents.
#[derive(Debug, Default)]
struct Outcome {
    stored: i32,
    write_errors: Vec<RawDocumentBuf>,
}

impl State {
    /// Does with an insert as the next act says.
    pub(super) fn insert(&mut self, request: &Request) -> Answer {
        let act = self.planned.pop_front().unwrap_or_else(|| self.otherwise.clone());
        let body = self.act(&act, request);
        let bytes = match &act {
            Act::Garbage(garbage) => garbage.message(request.id(), &body),
            _ => request.reply(&body),
        };
        let manner = match act {
            Act::ApplyThenHang | Act::HangBeforeApply => Manner::Never,
            Act::ApplyThenClose | Act::ApplyFirst { .. } => Manner::Cut(0),
            Act::ApplyThenReset { bytes } => Manner::Cut(bytes),
            Act::Drip { bytes, every } => Manner::Drip(bytes, every),
            Act::Delay(wait) => Manner::Later(wait),
            _ => Manner::Whole,
        };
        Answer { bytes, manner }
    }

    /// Stores what the act says, and gives the document to answer with.
    fn act(&mut self, act: &Act, request: &Request) -> RawDocumentBuf {
        match act {
            Act::HangBeforeApply => RawDocumentBuf::new(),
            Act::Command { code, message, labels } => {
                Failure::new(*code, *message).with_labels(labels).into_reply()
            }
            Act::ApplyFirst { documents } => self.apply(request, *documents, &[]).into_reply(),
            Act::WriteErrors(errors) => self.apply(request, usize::MAX, errors).into_reply(),
            Act::WriteConcernError { code, message } => {
                let mut reply = self.apply(request, usize::MAX, &[]).into_reply();
                let error = rawdoc! {
                    "code": *code, "codeName": code_name(*code), "errmsg": *message
                };
                reply.append(cstr!("writeConcernError"), error);
                reply
            }
            Act::Answer(document) => {
                self.apply(request, usize::MAX, &[]);
                document.clone()
            }
            _ => self.apply(request, usize::MAX, &[]).into_reply(),
        }
    }

    /// Stores the first documents but for those that are to fail.
    fn apply(&mut self, request: &Request, first: usize, fail: &[(usize, i32, String)]) -> Outcome {
        let namespace = request.namespace();
        let is_ordered = request.body.get_bool("ordered").unwrap_or(true);
        let attempt = attempt(request);
        let mut outcome = Outcome::default();
        for (index, code, text) in fail {
            outcome.write_errors.push(write_error(*index, *code, text));
        }
        let collection = self.collections.entry(namespace.clone()).or_default();
        for (index, document) in request.documents.iter().enumerate().take(first) {
            if fail.iter().any(|(failing, ..)| *failing == index) {
                continue;
            }
            if collection.insert(document, attempt.as_deref()) {
                outcome.stored += 1;
            } else {
                outcome.write_errors.push(duplicate(index, &namespace, document));
                if is_ordered {
                    break;
                }
            }
        }
        outcome
    }
}

impl Outcome {
    fn into_reply(self) -> RawDocumentBuf {
        let mut reply = rawdoc! { "n": self.stored };
        if !self.write_errors.is_empty() {
            reply.append(cstr!("writeErrors"), array(self.write_errors));
        }
        reply.append(cstr!("ok"), 1.0);
        reply
    }
}

/// What a retryable write and its retry have in common: the session and its number.
fn attempt(request: &Request) -> Option<Vec<u8>> {
    let number = request.body.get_i64("txnNumber").ok()?;
    let session = request.body.get_document("lsid").ok()?;
    Some([session.as_bytes(), &number.to_le_bytes()].concat())
}

fn write_error(index: usize, code: i32, text: &str) -> RawDocumentBuf {
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    rawdoc! { "index": index, "code": code, "errmsg": text }
}

fn duplicate(index: usize, namespace: &str, document: &RawDocumentBuf) -> RawDocumentBuf {
    let id = document.get("_id").ok().flatten().unwrap_or(bson::RawBsonRef::Null);
    let shown = bson::Bson::try_from(id).unwrap_or(bson::Bson::Null);
    let text = format!(
        "E11000 duplicate key error collection: {namespace} index: _id_ dup key: {{ _id: {shown} }}"
    );
    let mut error = write_error(index, 11000, &text);
    let mut value = RawDocumentBuf::new();
    value.append(cstr!("_id"), id);
    error.append(cstr!("keyPattern"), rawdoc! { "_id": 1 });
    error.append(cstr!("keyValue"), value);
    error
}
