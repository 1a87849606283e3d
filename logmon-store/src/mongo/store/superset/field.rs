//! Tests of the source and of metadata.

use std::ops::Bound;

use logmon_core::Scalar;
use logmon_core::filter::{Literal, Range, ValueTest, Wildcard};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};

use super::super::super::document::{DotsAndDollars, escaped, split};
use super::{Approximation, Query, text};

/// Paths of more parts are not asked about: each dot may be one of a key.
const MAX_PARTS: usize = 4;

/// Whole numbers beyond are not the same in all the ways in which a server has them.
const MAX_EXACT: i64 = 1 << 53;

/// A test of the source, which is text.
pub(super) fn source(test: &ValueTest) -> Approximation {
    let those = |query: Bson| Query::Those(doc! { "source": query });
    let is_text = || those(doc! { "$type": "string" }.into());
    match test {
        ValueTest::Equals(literal) => Approximation::exactly(those(literal.text().into())),
        ValueTest::Range(range) => Approximation::at_most(match Ends::of(range) {
            Some(Ends { text: Some(range), .. }) => those(range.into()),
            Some(_) => Query::Nothing,
            None => is_text(),
        }),
        ValueTest::Wildcard(wildcard) => {
            let regex = beginning(wildcard);
            Approximation::at_most(regex.map_or_else(is_text, |regex| those(regex.into())))
        }
        ValueTest::Exists => {
            Approximation { over: those(doc! { "$exists": true }.into()), under: is_text() }
        }
        _ => Approximation::at_most(is_text()),
    }
}

/// A test of the values at a path below the metadata.
pub(super) fn metadata(path: &str, test: &ValueTest, keys: DotsAndDollars) -> Approximation {
    let Some(paths) = paths(path, keys) else { return Approximation::at_most(Query::Everything) };
    let found = |value: &Document| {
        paths.iter().map(|path| Query::Those(doc! { path: value.clone() })).collect::<Vec<_>>()
    };
    let asked = Asked::of(test);
    let mut over: Vec<Query> = asked.over.iter().flat_map(found).collect();
    // What no query sees of metadata, and documents of others, whose every key is metadata.
    over.push(Query::Those(doc! { "opaque": true }));
    over.push(Query::Those(doc! { "seq": { "$not": { "$type": "long" } } }));
    // Somebody may have added keys to an event.
    over.extend(paths.iter().filter_map(|path| path.strip_prefix("metadata.")).flat_map(|path| {
        asked.over.iter().map(move |value| Query::Those(doc! { path: value.clone() }))
    }));
    // A number in a path may be taken for a place in an array.
    let is_plain = !path.split('.').any(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let under = asked.under.filter(|_| is_plain);
    Approximation {
        over: Query::any(over),
        under: under.map_or(Query::Nothing, |value| {
            let is_event = Query::Those(doc! { "seq": { "$type": "long" } });
            Query::all([Query::any(found(&value)), is_event])
        }),
    }
}

/// The paths in documents at which a value may be; `None` if they are too many, or cannot be named.
fn paths(path: &str, keys: DotsAndDollars) -> Option<Vec<String>> {
    let is_kept = keys == DotsAndDollars::Keep && path.contains(['.', '$']);
    let parts: Vec<&str> = path.split('.').collect();
    let (first, rest) = parts.split_first()?;
    if is_kept || parts.len() > MAX_PARTS || parts.contains(&"") {
        return None;
    }
    // Every dot is one between keys, or one in a key: what is before the last key, and that key.
    let mut paths = vec![("metadata".to_owned(), (*first).to_owned())];
    for part in rest {
        paths = paths
            .into_iter()
            .flat_map(|(before, key)| {
                let below = joined(&before, &key, keys);
                [(before, format!("{key}.{part}")), (below, (*part).to_owned())]
            })
            .collect();
    }
    Some(paths.into_iter().map(|(before, key)| joined(&before, &key, keys)).collect())
}

fn joined(before: &str, key: &str, keys: DotsAndDollars) -> String {
    format!("{before}.{}", escaped(key, keys))
}

fn beginning(wildcard: &Wildcard) -> Option<Document> {
    text::beginning_with(wildcard.pieces().next().unwrap_or_default())
}

/// What is shown as text and is none to the server.
fn others() -> Document {
    doc! { "$type": ["binData", "objectId"] }
}

/// What is asked of a value: any of several for `over`.
struct Asked {
    over: Vec<Document>,
    under: Option<Document>,
}

impl Asked {
    fn of(test: &ValueTest) -> Self {
        // Bytes that are text count as text, and ObjectIds as that which shows them.
        let over = match test {
            ValueTest::Equals(literal) => return Self::equal(literal),
            ValueTest::Range(range) => match Ends::of(range) {
                Some(Ends { number, text, may_be_time }) => {
                    let bytes = text.is_some().then(others);
                    let dates = may_be_time.then(|| doc! { "$type": "date" });
                    number.into_iter().chain(text).chain(bytes).chain(dates).collect()
                }
                None => vec![doc! { "$exists": true }],
            },
            ValueTest::Wildcard(wildcard) => {
                let regex = beginning(wildcard).unwrap_or_else(|| doc! { "$type": "string" });
                vec![regex, others()]
            }
            ValueTest::Regexp(_) => vec![doc! { "$type": "string" }, others()],
            _ => vec![doc! { "$exists": true }],
        };
        Self { over, under: None }
    }

    fn equal(literal: &Literal) -> Self {
        let text = literal.text();
        let bytes = text.as_bytes().to_vec();
        let mut sure = vec![Bson::from(text)];
        let mut perhaps = vec![Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })];
        let mut over = Vec::new();
        perhaps.extend(ObjectId::parse_str(text).ok().map(Bson::from));
        match literal.as_scalar() {
            None => {}
            Some(Scalar::Nil) => over.push(doc! { "$type": "null" }),
            Some(Scalar::Bool(value)) => sure.push(value.into()),
            Some(Scalar::Time(time)) => {
                // Finer ones no query sees.
                let (millis, rest) = split(time);
                perhaps.extend((rest == 0).then(|| DateTime::from_millis(millis).into()));
            }
            Some(other) => match number(other) {
                Some(number) => sure.push(number),
                None => return Self { over: vec![doc! { "$exists": true }], under: None },
            },
        }
        let all = [&sure[..], &perhaps].concat();
        over.push(doc! { "$in": all });
        Self { over, under: Some(doc! { "$in": sure }) }
    }
}

/// What a range asks of numbers and of text. One with an end that is a number is about numbers alone.
struct Ends {
    number: Option<Document>,
    text: Option<Document>,
    may_be_time: bool,
}

impl Ends {
    /// `None` where it is about anything, or about a number that not every server compares right.
    fn of(range: &Range) -> Option<Self> {
        let (mut numbers, mut texts) = (Document::new(), Document::new());
        let mut may_be_time = true;
        let sides = [(&range.lower, "$gte", "$gt"), (&range.upper, "$lte", "$lt")];
        for (end, included, excluded) in sides {
            let (literal, operator) = match end {
                Bound::Unbounded => continue,
                Bound::Included(literal) => (literal, included),
                Bound::Excluded(literal) => (literal, excluded),
            };
            match literal {
                Literal::Number(_) => {
                    numbers.insert(operator, number(literal.as_scalar()?)?);
                }
                Literal::Text(text) => {
                    texts.insert(operator, &**text);
                    may_be_time &= literal.as_scalar().is_some();
                }
                // Nothing is less or greater.
                _ => return Some(Self { number: None, text: None, may_be_time: false }),
            }
        }
        match (numbers.is_empty(), texts.is_empty()) {
            (true, true) => None,
            (false, true) => Some(Self { number: Some(numbers), text: None, may_be_time: false }),
            (true, false) => Some(Self { number: None, text: Some(texts), may_be_time }),
            // Nothing is both.
            (false, false) => Some(Self { number: None, text: None, may_be_time: false }),
        }
    }
}

/// A number as every server has it.
fn number(value: Scalar<'_>) -> Option<Bson> {
    match value {
        Scalar::Int(number) => {
            let number = i64::try_from(number).ok()?;
            (-MAX_EXACT..=MAX_EXACT).contains(&number).then_some(Bson::Int64(number))
        }
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        Scalar::Float(number) => (number.abs() <= MAX_EXACT as f64).then_some(Bson::Double(number)),
        _ => None,
    }
}
