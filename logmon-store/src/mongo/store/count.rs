//! Letting the server count, where it counts what the evaluator would.
//!
//! That is so where the query of a filter finds neither too few nor too many, and what is counted by
//! is a field of the document itself: what charts ask for, of millions of events.

use std::sync::Arc;
use std::time::Instant;

use logmon_core::{
    Aggregate, Buckets, FieldValue, Key, Measure, TableSpec, Tables, Tally, Timestamp,
};
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::{Error, ErrorKind};

use super::part::{self, Source};
use super::superset::{Approximation, Query};
use crate::mongo::document::{NANOS_PER_MILLI, level_named, split};
use crate::query::{Bounds, Look, Part, PartError, Seen};

/// A range of time is counted in so many pieces, so that an answer that is not complete has some.
const SLICES: i64 = 4;
/// Shorter ranges are counted in one piece.
const MIN_SLICE_MILLIS: i64 = 60_000;
/// Columns of a table that the server counts, at most.
const MAX_BUCKETS: usize = 2_000;
/// About what a row takes until it is added to the tables.
const ROW_BYTES: usize = 512;

/// What the server is to count.
#[derive(Clone, Debug)]
pub(super) struct Counting {
    specs: Arc<[TableSpec]>,
    /// The columns of those tables that have any.
    buckets: Option<Buckets>,
    /// What is counted, whenever it happened.
    wanted: Document,
}

impl Counting {
    /// What the server can count of a query; `None` where it cannot.
    pub(super) fn of(query: &Aggregate, found: &Approximation) -> Option<Self> {
        let wanted = match (&found.over, &found.under) {
            (Query::Everything, Query::Everything) => doc! {},
            (Query::Those(over), Query::Those(under)) if over == under => over.clone(),
            _ => return None,
        };
        let scope = &query.scope;
        let is_whole = |time: Timestamp| split(time).1 == 0;
        let are_ends_whole = (scope.from == Timestamp::MIN || is_whole(scope.from))
            && (scope.to == Timestamp::MAX || is_whole(scope.to));
        let is_counted = |spec: &TableSpec| {
            let is_of_document = |key: &Key| matches!(key, Key::Level | Key::Source | Key::Tag);
            spec.measure == Measure::Count && spec.by.iter().all(is_of_document)
        };
        if !are_ends_whole || !query.tables.iter().all(is_counted) {
            return None;
        }
        let mut all = query.tables.iter().filter_map(|spec| spec.buckets.as_ref());
        let buckets = all.next().cloned();
        let are_alike = all.all(|other| Some(other) == buckets.as_ref());
        let are_told = buckets.as_ref().is_none_or(|buckets| {
            buckets.count() <= MAX_BUCKETS && buckets.bounds().iter().all(|bound| is_whole(*bound))
        });
        if !are_alike || !are_told {
            return None;
        }
        Some(Self { specs: query.tables.clone().into(), buckets, wanted })
    }

    /// What groups documents: by the fields of the tables and by the stretch of time.
    fn key(&self) -> Document {
        let mut key = Document::new();
        for (name, field) in [("level", Key::Level), ("source", Key::Source), ("tag", Key::Tag)] {
            if self.specs.iter().any(|spec| spec.by.contains(&field)) {
                key.insert(name, format!("${name}"));
            }
        }
        if let Some(buckets) = &self.buckets {
            key.insert("at", stretch(buckets.bounds(), 0));
        }
        key
    }

    fn pipeline(&self, wanted: Document) -> [Document; 2] {
        // Documents are compared key by key.
        let time = doc! { "millis": "$timestamp", "rest": { "$ifNull": ["$timestampNs", 0] } };
        let group = doc! {
            "_id": self.key(),
            "events": { "$sum": 1_i64 },
            "first": { "$min": time.clone() },
            "last": { "$max": time },
        };
        [doc! { "$match": wanted }, doc! { "$group": group }]
    }

    /// What a group says; `None` where it is of documents that the server sees otherwise.
    fn read(&self, group: &Document) -> Option<Row> {
        let key = group.get_document("_id").ok()?;
        let value = |field: &Key| match field {
            Key::Level => Some(match key.get("level") {
                Some(Bson::String(name)) => {
                    level_named(name).map_or(FieldValue::Missing, FieldValue::Level)
                }
                _ => FieldValue::Missing,
            }),
            Key::Source => match key.get("source") {
                Some(Bson::String(source)) => Some(FieldValue::Text(source.as_str().into())),
                None | Some(Bson::Null | Bson::Undefined) => Some(FieldValue::Missing),
                Some(_) => None,
            },
            Key::Tag => Some(FieldValue::Text(match key.get("tag") {
                Some(Bson::String(tag)) => tag.as_str().into(),
                _ => "".into(),
            })),
            Key::Metadata(_) | Key::Message => None,
        };
        let keys = self.specs.iter().map(|spec| spec.by.iter().map(value).collect());
        let keys: Vec<Vec<FieldValue>> = keys.collect::<Option<_>>()?;
        let time = |name: &str| {
            let time = group.get_document(name).ok()?;
            let millis = time.get_datetime("millis").ok()?.timestamp_millis();
            let rest = time.get("rest").and_then(number)?;
            Some(Timestamp::from_nanos(millis.checked_mul(NANOS_PER_MILLI)?.checked_add(rest)?))
        };
        let times = (time("first")?, time("last")?);
        let bucket = self.buckets.as_ref().and_then(|buckets| buckets.of(times.0));
        let count = u64::try_from(group.get("events").and_then(number)?).ok()?;
        Some(Row { keys, tally: Tally { count, sum: 0.0, times, bucket } })
    }
}

/// A whole number, in whichever form the server gives it.
fn number(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int64(number) => Some(*number),
        Bson::Int32(number) => Some(i64::from(*number)),
        _ => None,
    }
}

/// An expression for the number of the bounds that are not after a timestamp, beside `before`: by
/// halves, as others have no way to tell that every server knows.
fn stretch(bounds: &[Timestamp], before: i32) -> Bson {
    let (earlier, rest) = bounds.split_at(bounds.len() / 2);
    let Some((middle, later)) = rest.split_first() else { return before.into() };
    let passed = before + i32::try_from(earlier.len()).unwrap_or(i32::MAX) + 1;
    let is_before = doc! { "$lt": ["$timestamp", date(split(*middle).0)] };
    let cases = [is_before.into(), stretch(earlier, before), stretch(later, passed)];
    doc! { "$cond": Bson::Array(cases.into()) }.into()
}

/// Events that the server has counted.
#[derive(Clone, Debug)]
struct Row {
    /// The values, for each of the tables.
    keys: Vec<Vec<FieldValue>>,
    tally: Tally,
}

/// A range of time that is to be counted.
#[derive(Debug)]
struct Slice {
    counting: Arc<Counting>,
    source: Arc<Source>,
    /// What tells documents that are found in the journal, or came after the query.
    others: Vec<Document>,
    /// What the rows may take, all slices together.
    max_bytes: usize,
    /// Milliseconds; the end is not in it.
    millis: std::ops::Range<i64>,
}

/// What the server has said of a range.
#[derive(Debug)]
struct Counted {
    specs: Arc<[TableSpec]>,
    rows: Vec<Row>,
    bounds: Bounds,
}

/// The range of time as parts that the server counts.
pub(super) fn parts_of(
    counting: Counting,
    source: Source,
    others: &[Document],
    ((from, to), max_bytes): ((Timestamp, Timestamp), usize),
) -> Vec<Arc<dyn Part>> {
    let (counting, source) = (Arc::new(counting), Arc::new(source));
    // What ends all times is no whole millisecond.
    let ends = split(from).0..split(to).0 + i64::from(split(to).1 > 0);
    let is_bounded = from > Timestamp::MIN && to < Timestamp::MAX;
    let length = ends.end - ends.start;
    let slices = if is_bounded && length >= SLICES * MIN_SLICE_MILLIS { SLICES } else { 1 };
    let bound = |at: i64| {
        if at == slices { ends.end } else { ends.start + length / slices * at }
    };
    let slice = |at| {
        let millis = bound(at)..bound(at + 1);
        let (counting, source) = (counting.clone(), source.clone());
        let max_bytes = max_bytes / usize::try_from(slices).unwrap_or(1);
        Arc::new(Slice { counting, source, others: others.to_vec(), max_bytes, millis })
            as Arc<dyn Part>
    };
    (0..slices).map(slice).collect()
}

impl Slice {
    fn times(&self) -> (Timestamp, Timestamp) {
        let nanos = |millis: i64| Timestamp::from_nanos(millis.saturating_mul(NANOS_PER_MILLI));
        (nanos(self.millis.start), nanos(self.millis.end).saturating_add_nanos(-1))
    }

    async fn ask(&self) -> Result<Option<Vec<Row>>, Error> {
        let mut wanted = doc! {
            "timestamp": { "$gte": date(self.millis.start), "$lt": date(self.millis.end) },
            "_id": { "$type": "objectId" },
            "$and": [self.counting.wanted.clone()],
        };
        if !self.others.is_empty() {
            wanted.insert("$nor", self.others.clone());
        }
        let collection = self.source.collection.clone_with_type::<Document>();
        let asked = collection.aggregate(self.counting.pipeline(wanted)).allow_disk_use(true);
        let asked = asked.selection_criteria(part::primary());
        let mut groups = match self.source.deadline {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                asked.max_time(left + part::GRACE).await?
            }
            None => asked.await?,
        };
        let mut rows = Vec::new();
        let most = self.max_bytes / ROW_BYTES;
        while groups.advance().await? {
            match self.counting.read(&groups.deserialize_current()?) {
                Some(row) if rows.len() < most => rows.push(row),
                _ => return Ok(None),
            }
        }
        Ok(Some(rows))
    }

    /// The same range, document by document.
    fn by_document(&self) -> Vec<Arc<dyn Part>> {
        let (from, last) = self.times();
        let range = doc! { "timestamp": {
            "$gte": date(self.millis.start), "$lt": date(self.millis.end),
        } };
        let filter = doc! { "$and": [range, self.source.filter.clone()] };
        vec![part::part_of(self.source.with_filter(filter), (from, last))]
    }
}

impl Part for Slice {
    fn bounds(&self) -> Bounds {
        Bounds { times: self.times(), seqs: 0..u64::MAX }
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        let answer = self.source.within(self.ask());
        let rows = match answer {
            Ok(Some(Some(rows))) => rows,
            Ok(Some(None)) => return Ok(Some(self.by_document())),
            Ok(None) => return Ok(Some(vec![part::lost(&self.source, self.times())])),
            Err(error) if matches!(&*error.kind, ErrorKind::Command(_)) => {
                tracing::debug!(%error, "MongoDB does not count this; documents are read");
                return Ok(Some(self.by_document()));
            }
            Err(error) => return Err(part::failed(&error)),
        };
        let counted = Counted { specs: self.counting.specs.clone(), rows, bounds: self.bounds() };
        Ok(Some(vec![Arc::new(counted)]))
    }
}

impl Part for Counted {
    fn bounds(&self) -> Bounds {
        self.bounds.clone()
    }

    fn split(&self) -> Result<Option<Vec<Arc<dyn Part>>>, PartError> {
        Ok(None)
    }

    fn tally(&self, _: &Look<'_>, tables: &mut Tables) -> Result<Seen, PartError> {
        let mut seen = Seen::default();
        for Row { keys, tally } in &self.rows {
            seen.events += tally.count;
            seen.matched += tally.count;
            for (at, (spec, key)) in self.specs.iter().zip(keys).enumerate() {
                let bucket = spec.buckets.as_ref().and(tally.bucket);
                tables.add(at, key, &Tally { bucket, ..*tally });
            }
        }
        Ok(seen)
    }
}

fn date(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}
