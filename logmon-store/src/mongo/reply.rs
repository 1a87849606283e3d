//! What a server answers to an `insert`.

use logmon_core::Verdict;
use mongodb::bson::{Bson, Document};

use super::fault::{Class, class_by_index, class_of_code};

/// An answer, taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    /// Documents it says it has stored.
    pub(super) stored: u64,
    /// Documents that were there already.
    pub(super) duplicates: u64,
    /// Of each document of the batch.
    pub(super) verdicts: Vec<Verdict>,
    /// Why not all are delivered, if they may be later.
    pub(super) trouble: Option<(Class, String)>,
}

/// An answer that does not fit what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer makes no sense: {0}")]
pub(super) struct Nonsense(String);

/// The code of a document whose id is there already.
const DUPLICATE: i32 = 11_000;

impl Reply {
    /// Reads the answer to an unordered insert of so many documents with ids of their own.
    ///
    /// # Errors
    /// It does not fit; what became of the documents is unknown.
    pub(super) fn read(answer: &Document, documents: usize) -> Result<Self, Nonsense> {
        let nonsense = |what: &str| Nonsense(what.to_owned());
        let stored = number(answer.get("n")).ok_or_else(|| nonsense("it has no `n`"))?;
        let stored = u64::try_from(stored).map_err(|_| nonsense("its `n` is negative"))?;
        let mut reply = Self {
            stored,
            duplicates: 0,
            verdicts: vec![Verdict::Delivered; documents],
            trouble: None,
        };
        let none = Vec::new();
        let errors = match answer.get("writeErrors") {
            Some(Bson::Array(errors)) => errors,
            None => &none,
            Some(_) => return Err(nonsense("its `writeErrors` is no array")),
        };
        let mut seen = vec![false; documents];
        for error in errors {
            let error = error.as_document().ok_or_else(|| nonsense("an error is no document"))?;
            let at = number(error.get("index")).and_then(|at| usize::try_from(at).ok());
            let at = at.filter(|at| *at < documents).ok_or_else(|| {
                Nonsense(format!("an error is of document {:?} of {documents}", error.get("index")))
            })?;
            if seen.get_mut(at).is_none_or(|seen| std::mem::replace(seen, true)) {
                return Err(Nonsense(format!("it has two errors of document {at}")));
            }
            reply.note(at, error);
        }
        if stored + errors.len() as u64 != documents as u64 {
            let count = errors.len();
            return Err(Nonsense(format!("{stored} stored and {count} errors of {documents}")));
        }
        match answer.get("writeConcernError") {
            Some(Bson::Document(concern)) => reply.doubt(concern),
            Some(_) => return Err(nonsense("its `writeConcernError` is no document")),
            None => {}
        }
        Ok(reply)
    }

    /// Takes account of the error of one document.
    fn note(&mut self, at: usize, error: &Document) {
        let code = code_of(error);
        let text = error.get_str("errmsg").unwrap_or("no reason given");
        let verdict = if code == DUPLICATE && is_of_id(error, text) {
            self.duplicates += 1;
            return;
        } else {
            match class_by_index(code) {
                _ if code == DUPLICATE => Verdict::Rejected(text.into()),
                Class::Permanent => Verdict::Rejected(format!("{text} (code {code})").into()),
                // A router tells of its own troubles in this way, for each document.
                class => {
                    let class = if class == Class::Unclear { Class::Configuration } else { class };
                    self.trouble = Some((class, format!("{text} (code {code})")));
                    Verdict::Retry
                }
            }
        };
        if let Some(place) = self.verdicts.get_mut(at) {
            *place = verdict;
        }
    }

    /// Nothing is sure to stay: it is asked for again, and found by its ids.
    fn doubt(&mut self, concern: &Document) {
        let text = concern.get_str("errmsg").unwrap_or("no reason given");
        let code = code_of(concern);
        let class = match class_of_code(code) {
            Class::Configuration => Class::Configuration,
            _ => Class::Transient,
        };
        self.trouble = Some((class, format!("the write concern is not met: {text} (code {code})")));
        let delivered = self.verdicts.iter_mut().filter(|verdict| **verdict == Verdict::Delivered);
        delivered.for_each(|verdict| *verdict = Verdict::Retry);
        (self.stored, self.duplicates) = (0, 0);
    }
}

fn code_of(error: &Document) -> i32 {
    number(error.get("code")).and_then(|code| i32::try_from(code).ok()).unwrap_or(0)
}

/// A whole number, whatever its type.
fn number(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
        Bson::Double(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            Some(*number as i64)
        }
        _ => None,
    }
}

/// Whether a duplicate is one of the id, and not of a unique index that somebody has made.
fn is_of_id(error: &Document, text: &str) -> bool {
    match error.get_document("keyPattern") {
        Ok(pattern) => pattern.keys().eq(["_id"]),
        Err(_) => text.contains("index: _id_"),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    fn duplicate(index: i32) -> Document {
        doc! { "index": index, "code": 11_000, "errmsg": "E11000 duplicate key error collection: a.b index: _id_ dup key: { _id: 1 }" }
    }

    /// S-035.
    #[test]
    fn what_is_there_already_is_delivered() {
        let answer = doc! { "n": 1, "writeErrors": [duplicate(0), duplicate(2)], "ok": 1.0 };
        let reply = Reply::read(&answer, 3).unwrap();
        assert_eq!((reply.stored, reply.duplicates), (1, 2));
        assert_eq!(reply.verdicts, vec![Verdict::Delivered; 3]);
    }

    #[test]
    fn a_duplicate_in_another_index_is_refused() {
        let error = doc! { "index": 0, "code": 11_000, "errmsg": "E11000 index: message_1", "keyPattern": {"message": 1} };
        let reply = Reply::read(&doc! { "n": 0, "writeErrors": [error] }, 1).unwrap();
        assert_eq!(reply.verdicts, [Verdict::Rejected("E11000 index: message_1".into())]);
    }

    #[test]
    fn each_document_has_its_own_verdict() {
        let error = |index: i32, code: i32| doc! { "index": index, "code": code, "errmsg": "no" };
        let answer = doc! { "n": 1_i64, "writeErrors": [error(0, 121), error(2, 189)] };
        let reply = Reply::read(&answer, 3).unwrap();
        let refused = Verdict::Rejected("no (code 121)".into());
        assert_eq!(reply.verdicts, [refused, Verdict::Delivered, Verdict::Retry]);
        assert_eq!(reply.trouble, Some((Class::Transient, "no (code 189)".to_owned())));
    }

    #[test]
    fn an_unmet_write_concern_is_asked_for_again() {
        let answer = doc! { "n": 2, "writeConcernError": {"code": 64, "errmsg": "waiting timed out"}, "ok": 1 };
        let reply = Reply::read(&answer, 2).unwrap();
        assert_eq!(reply.verdicts, vec![Verdict::Retry; 2]);
        assert_eq!(reply.trouble.unwrap().0, Class::Transient);
    }

    /// whatever does not add up is not believed.
    #[test]
    fn nonsense_is_told_from_answers() {
        let error = |index: i32| doc! { "index": index, "code": 121 };
        for answer in [
            doc! {},
            doc! { "n": "two" },
            doc! { "n": -1 },
            doc! { "n": 1 },
            doc! { "n": 3 },
            doc! { "n": 2, "writeErrors": [error(0)] },
            doc! { "n": 1, "writeErrors": [error(2)] },
            doc! { "n": 1, "writeErrors": [error(-1)] },
            doc! { "n": 0, "writeErrors": [error(0), error(0)] },
            doc! { "n": 1, "writeErrors": 7 },
            doc! { "n": 1, "writeErrors": ["x"] },
            doc! { "n": 2, "writeConcernError": 64 },
        ] {
            assert!(Reply::read(&answer, 2).is_err(), "{answer}");
        }
    }
}
