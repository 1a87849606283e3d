//! What a filter, and whatever else reads events one by one, sees of an event.

use std::borrow::Cow;

use crate::{Level, Timestamp};

/// One event, whatever holds it: [`LogRef`](crate::LogRef) over packed bytes, or the owned
/// [`Log`](crate::Log).
///
/// The fields are those of `docs/architecture.md`: a field map has already decided which key of the
/// record is the message, the level and the source; all other keys are metadata.
pub trait Event {
    /// When it happened.
    fn timestamp(&self) -> Timestamp;
    /// When logmon took it in.
    fn received(&self) -> Timestamp;
    /// The Fluentd tag it came under.
    fn tag(&self) -> &str;
    /// Its level; `None` where it names none or one that cannot be read.
    fn level(&self) -> Option<Level>;
    /// Its message as text; bytes that are not UTF-8 are shown as U+FFFD.
    fn message(&self) -> Cow<'_, str>;
    /// Where it came from, if it says so.
    fn source(&self) -> Option<Cow<'_, str>>;
    /// Shows every value found at `path` below the metadata to `visit`, until one call returns
    /// `true`; tells whether one did.
    ///
    /// `path` is the text of a query such as `http.status`. A key that contains the dots literally
    /// is found as well as nested maps; an array shows each of its elements (at any depth), and a
    /// path goes on through the elements of an array. A map is shown as [`Scalar::Map`], an empty
    /// array as nothing.
    fn visit_metadata(&self, path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool;

    /// Shows every value of the metadata with its path, if that takes less than to ask for a few
    /// paths one by one: for each path what [`visit_metadata`](Self::visit_metadata) shows. Tells
    /// whether it did; the provided method does not.
    #[expect(unused_variables, reason = "it shows nothing")]
    fn each_metadata(&self, show: &mut dyn FnMut(&[u8], Scalar<'_>)) -> bool {
        false
    }
}

impl<E: Event + ?Sized> Event for &E {
    fn timestamp(&self) -> Timestamp {
        (**self).timestamp()
    }

    fn received(&self) -> Timestamp {
        (**self).received()
    }

    fn tag(&self) -> &str {
        (**self).tag()
    }

    fn level(&self) -> Option<Level> {
        (**self).level()
    }

    fn message(&self) -> Cow<'_, str> {
        (**self).message()
    }

    fn source(&self) -> Option<Cow<'_, str>> {
        (**self).source()
    }

    fn visit_metadata(&self, path: &str, visit: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        (**self).visit_metadata(path, visit)
    }

    fn each_metadata(&self, show: &mut dyn FnMut(&[u8], Scalar<'_>)) -> bool {
        (**self).each_metadata(show)
    }
}

/// One value that is not an array, borrowed from the event.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar<'a> {
    /// No value.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer; every integer of msgpack fits.
    Int(i128),
    /// A floating number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes that are not UTF-8 text, or an extension type that is not a time.
    Bytes(&'a [u8]),
    /// A time (Fluentd's `EventTime` or the msgpack timestamp).
    Time(Timestamp),
    /// There is a map here.
    Map,
}
