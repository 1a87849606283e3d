//! The fields that events are counted by.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::FieldValue;
use super::value::ValueRef;
use crate::Event;

/// Distinct values of one event at one path that are told apart.
const MAX_VALUES: usize = 1_000;

/// A field that events can be counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the fields of an event")]
pub enum Key {
    /// The level.
    Level,
    /// The message.
    Message,
    /// The values at a path below the metadata.
    Metadata(Arc<str>),
    /// The source.
    Source,
    /// The tag.
    Tag,
}

impl Key {
    /// The field with the name that a query has for it.
    pub fn named(name: &str) -> Self {
        match name {
            "level" => Self::Level,
            "message" => Self::Message,
            "source" => Self::Source,
            "tag" => Self::Tag,
            _ => Self::Metadata(name.strip_prefix("metadata.").unwrap_or(name).into()),
        }
    }

    /// The distinct values of an event, up to 1,000; [`FieldValue::Missing`] where it has none.
    pub fn values<E: Event + ?Sized>(&self, event: &E) -> Vec<FieldValue> {
        let mut values = Vec::new();
        self.visit(event, &mut |value| values.push(value.to_owned()));
        values
    }

    /// Shows the same values.
    fn visit<E: Event + ?Sized>(&self, event: &E, each: &mut dyn FnMut(ValueRef<'_>)) {
        match self {
            Self::Level => each(event.level().map_or(ValueRef::Missing, ValueRef::Level)),
            Self::Message => each(ValueRef::Text(&event.message())),
            Self::Source => match event.source() {
                Some(source) => each(ValueRef::Text(&source)),
                None => each(ValueRef::Missing),
            },
            Self::Tag => each(ValueRef::Text(event.tag())),
            Self::Metadata(path) => metadata_values(event, path, each),
        }
    }
}

fn metadata_values<E: Event + ?Sized>(event: &E, path: &str, each: &mut dyn FnMut(ValueRef<'_>)) {
    let mut values = Distinct::default();
    event.visit_metadata(path, &mut |value| {
        ValueRef::of(value).is_some_and(|value| values.is_full_with(value))
    });
    if values.list.is_empty() {
        each(ValueRef::Missing);
    }
    values.list.iter().for_each(|value| each(value.borrow()));
}

/// Values of one event at one path, in the order they stand.
#[derive(Default)]
struct Distinct {
    list: Vec<FieldValue>,
    /// The values of a long list.
    many: HashSet<FieldValue>,
}

impl Distinct {
    /// Takes a value; tells whether it is the last one there is room for.
    fn is_full_with(&mut self, value: ValueRef<'_>) -> bool {
        /// Up to so many values, comparing with each is cheaper than hashing.
        const FEW: usize = 16;
        if self.list.len() < FEW {
            if self.list.iter().all(|known| known.borrow() != value) {
                self.list.push(value.to_owned());
            }
            return false;
        }
        if self.many.is_empty() {
            self.many.extend(self.list.iter().cloned());
        }
        let value = value.to_owned();
        if self.many.insert(value.clone()) {
            self.list.push(value);
        }
        self.list.len() >= MAX_VALUES
    }
}

/// One value of each of some keys: the last, and those before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'a> {
    pub(super) value: ValueRef<'a>,
    pub(super) before: Option<&'a Self>,
}

/// Shows ways to take one value of an event for each key, up to `left` of them.
pub(super) fn each_combination<E: Event + ?Sized>(
    keys: &[Key],
    event: &E,
    (taken, left): (Option<&Taken<'_>>, &mut usize),
    each: &mut dyn FnMut(Option<&Taken<'_>>),
) {
    let Some((key, rest)) = keys.split_first() else {
        *left = left.saturating_sub(1);
        return each(taken);
    };
    key.visit(event, &mut |value| {
        if *left > 0 {
            let taken = Taken { value, before: taken };
            each_combination(rest, event, (Some(&taken), left), each);
        }
    });
}

impl fmt::Display for Key {
    /// Writes the name as a query has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level => f.write_str("level"),
            Self::Message => f.write_str("message"),
            Self::Source => f.write_str("source"),
            Self::Tag => f.write_str("tag"),
            Self::Metadata(path) if Self::named(path) == *self => f.write_str(path),
            Self::Metadata(path) => write!(f, "metadata.{path}"),
        }
    }
}
