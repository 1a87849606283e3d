//! Filters as queries of MongoDB that find no event too few.
//!
//! What a filter says of an event, a query can mostly say of its document only about: the server folds
//! text otherwise, knows no tokens and takes an index for a key. So each filter becomes two queries,
//! one that finds everything it accepts (`over`) and one that finds nothing else (`under`). Negation
//! swaps them, and what is found is judged again by the evaluator.

use logmon_core::filter::{
    Clock, FieldTest, LevelTest, Regexp, Substring, TimeTest, Translate, Words,
};
use logmon_core::{Filter, Level, TagBound, TagPattern, Timestamp};
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::super::document::{DotsAndDollars, split};

mod field;
mod text;

/// Which documents a query finds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Query {
    Nothing,
    Everything,
    Those(Document),
}

/// What is known of a filter in the server's language.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Approximation {
    /// Every document whose event is accepted, and perhaps others.
    pub(super) over: Query,
    /// Only documents whose event is accepted.
    pub(super) under: Query,
}

/// How documents were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translator {
    pub(super) keys: DotsAndDollars,
}

impl Query {
    fn negated(self) -> Self {
        match self {
            Self::Nothing => Self::Everything,
            Self::Everything => Self::Nothing,
            Self::Those(query) => Self::Those(doc! { "$nor": [query] }),
        }
    }

    fn all(queries: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for query in queries {
            match query {
                Self::Nothing => return Self::Nothing,
                Self::Everything => {}
                Self::Those(query) => all.push(query),
            }
        }
        Self::joined(all, "$and").unwrap_or(Self::Everything)
    }

    fn any(queries: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Vec::new();
        for query in queries {
            match query {
                Self::Nothing => {}
                Self::Everything => return Self::Everything,
                Self::Those(query) => any.push(query),
            }
        }
        Self::joined(any, "$or").unwrap_or(Self::Nothing)
    }

    fn joined(mut queries: Vec<Document>, operator: &str) -> Option<Self> {
        match queries.len() {
            0 => None,
            1 => queries.pop().map(Self::Those),
            _ => Some(Self::Those(doc! { operator: queries })),
        }
    }
}

impl Approximation {
    fn exactly(query: Query) -> Self {
        Self { over: query.clone(), under: query }
    }

    /// One that says what may be, and never what is.
    fn at_most(over: Query) -> Self {
        Self { over, under: Query::Nothing }
    }

    fn negated(self) -> Self {
        Self { over: self.under.negated(), under: self.over.negated() }
    }
}

impl Translator {
    /// The queries of a filter whose relative times are resolved.
    pub(super) fn filter(self, filter: &Filter) -> Approximation {
        match filter {
            Filter::All => Approximation::exactly(Query::Everything),
            Filter::Atom(atom) => atom.translate(&self),
            Filter::Not(inner) => self.filter(inner).negated(),
            Filter::And(operands) => {
                let (overs, unders) = self.operands(operands);
                Approximation { over: Query::all(overs), under: Query::all(unders) }
            }
            Filter::Or(operands) => {
                let (overs, unders) = self.operands(operands);
                Approximation { over: Query::any(overs), under: Query::any(unders) }
            }
        }
    }

    fn operands(self, operands: &[Filter]) -> (Vec<Query>, Vec<Query>) {
        operands.iter().map(|operand| self.filter(operand)).map(|a| (a.over, a.under)).unzip()
    }
}

impl Translate for Translator {
    type Query = Approximation;

    fn level(&self, test: &LevelTest) -> Approximation {
        let names = |accepted: bool| -> Vec<String> {
            let levels = Level::ALL.into_iter();
            let levels = levels.filter(|level| test.accepts(Some(*level)) == accepted);
            levels.flat_map(names_of).collect()
        };
        // A document that names none of them has no level.
        Approximation::exactly(Query::Those(if test.accepts(None) {
            doc! { "level": { "$nin": names(false) } }
        } else {
            doc! { "level": { "$in": names(true) } }
        }))
    }

    fn time(&self, test: &TimeTest) -> Approximation {
        if test.uses_now() {
            return Approximation::exactly(Query::Nothing);
        }
        let (over, under) = (dates(test, false), dates(test, true));
        match test.clock {
            Clock::Timestamp => Approximation {
                over: Query::Those(doc! { "timestamp": over }),
                under: Query::Those(doc! { "timestamp": under }),
            },
            // A document without it counts as received when it happened.
            Clock::Received => Approximation {
                over: Query::any([
                    Query::Those(doc! { "createdAt": over }),
                    Query::Those(doc! { "createdAt": { "$not": { "$type": "date" } } }),
                ]),
                under: Query::Those(doc! { "createdAt": under }),
            },
        }
    }

    fn tag(&self, pattern: &TagPattern) -> Approximation {
        // An array of tags is none.
        let among = |tags: Vec<String>| {
            Query::Those(doc! { "tag": { "$in": tags, "$not": { "$type": "array" } } })
        };
        let exact = |tag: &str| vec![tag.to_owned(), format!("{tag}\n")];
        let under = Query::any(pattern.bounds().into_iter().flatten().map(|bound| match bound {
            TagBound::Exact(tag) => among(exact(tag)),
            TagBound::Below(tag) => among(vec![tag.to_owned()]),
            _ => Query::Nothing,
        }));
        // A document without a tag has the empty one.
        let Some(bounds) = pattern.bounds().filter(|_| !pattern.matches("")) else {
            return Approximation { over: Query::Everything, under };
        };
        let over = bounds.into_iter().map(|bound| match bound {
            TagBound::Exact(tag) => among(exact(tag)),
            TagBound::Below(tag) => text::beginning_with(tag)
                .map_or(Query::Everything, |regex| Query::Those(doc! { "tag": regex })),
            _ => Query::Everything,
        });
        Approximation { over: Query::any(over), under }
    }

    fn field(&self, test: &FieldTest) -> Approximation {
        match test.path() {
            None => field::source(test.test()),
            Some(path) => field::metadata(path, test.test(), self.keys),
        }
    }

    fn words(&self, words: &Words) -> Approximation {
        Approximation::at_most(text::of_message(words.tokens()))
    }

    fn substring(&self, substring: &Substring) -> Approximation {
        Approximation::at_most(text::of_message([substring.text()]))
    }

    fn regexp(&self, _: &Regexp) -> Approximation {
        Approximation::at_most(Query::Everything)
    }
}

/// A level as a document may name it.
fn names_of(level: Level) -> [String; 2] {
    [level.as_str().to_owned(), level.as_str().to_ascii_lowercase()]
}

/// The dates of a test: of whole milliseconds those that have an instant which passes, or those of
/// which every instant does.
fn dates(test: &TimeTest, is_under: bool) -> Document {
    use std::ops::Bound;
    let fixed = |end: logmon_core::filter::Instant| end.fixed().unwrap_or(Timestamp::MIN);
    let mut dates = Document::new();
    let lower = match test.lower {
        Bound::Unbounded => None,
        Bound::Included(end) => {
            let (millis, rest) = split(fixed(end));
            Some(millis + i64::from(is_under && rest > 0))
        }
        Bound::Excluded(end) => Some(split(fixed(end)).0 + i64::from(is_under)),
    };
    let upper = match test.upper {
        Bound::Unbounded => None,
        Bound::Included(end) | Bound::Excluded(end) => {
            Some(split(fixed(end)).0 - i64::from(is_under))
        }
    };
    for (operator, millis) in [("$gte", lower), ("$lte", upper)] {
        if let Some(millis) = millis {
            dates.insert(operator, Bson::DateTime(DateTime::from_millis(millis)));
        }
    }
    if dates.is_empty() {
        dates.insert("$type", "date");
    }
    dates
}
