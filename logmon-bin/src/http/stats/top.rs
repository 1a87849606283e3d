//! `/api/stats/top`: the most frequent values of a field.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use logmon_core::{Buckets, FieldValue, Key, Measure, Row, Table, TableSpec, Timestamp};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::asked::{self, Asked, SCOPE};
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::query::Query;
use super::{answer, approximate, json_of, key, value_of};

/// The points of a sparkline.
const POINTS: i128 = 24;

/// `GET` and `POST /api/stats/top`.
pub(crate) async fn top(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.allow(&[SCOPE, &["field", "n", "by"]].concat())?;
    let asked = Asked::read(&params, asked::Default::Lately)?;
    let name = params.get("field").ok_or_else(|| {
        Problem::parameter("field", "names the field whose values are counted; it is missing")
    })?;
    let key = key("field", name)?;
    let most = params.number("n", 10, 1..=1_000)?;
    let measure = measure(&params)?;
    let mut query = Query::new(&app, "top");
    let top = Top::find(&mut query, &asked, &key, most, &measure).await?;
    let mut out = Map::new();
    out.insert("field".to_owned(), json!(key.to_string()));
    out.insert("by".to_owned(), json!(params.get("by").unwrap_or("count")));
    out.insert("rows".to_owned(), top.rows(measure != Measure::Count));
    out.extend(tallied(&top.all, top.chosen.iter().map(|row| row.count).sum()));
    let approximate = approximate([&top.all], top.matched.0);
    Ok(answer(out, &query, (asked.from, asked.to), top.matched, approximate))
}

/// `count`, or `sum:` and a path below the metadata.
fn measure(params: &Params) -> Result<Measure, Problem> {
    let Some(text) = params.get("by").filter(|text| *text != "count") else {
        return Ok(Measure::Count);
    };
    match text.strip_prefix("sum:").map(|name| key("by", name)).transpose()? {
        Some(Key::Metadata(path)) if !path.is_empty() => Ok(Measure::Sum(path)),
        _ => {
            let detail = format!(
                "`{text}` is not a measure; expected count, or sum: and a field with numbers"
            );
            Err(Problem::parameter("by", detail))
        }
    }
}

/// `distinct`, `other` and `missing`: the number of values, the events of those that are not among
/// the `shown` ones, and the events without any. How many values there are is not known where
/// they were too many to keep.
pub(crate) fn tallied(table: &Table, shown: u64) -> Map<String, Value> {
    let (missing, there): (Vec<&Row>, Vec<&Row>) =
        table.rows.iter().partition(|row| *value_of(row) == FieldValue::Missing);
    let events = |rows: &[&Row]| rows.iter().map(|row| row.count).sum::<u64>();
    let distinct = table.error.is_none().then_some(there.len());
    let mut out = Map::new();
    out.insert("distinct".to_owned(), json!(distinct));
    out.insert("other".to_owned(), json!(events(&there).saturating_sub(shown)));
    out.insert("missing".to_owned(), json!(events(&missing)));
    out
}

struct Top {
    /// All values.
    all: Table,
    /// The first ones, as exact as can be.
    chosen: Vec<Row>,
    /// The number of all events, and their sum.
    whole: (u64, f64),
    matched: (u64, bool),
}

impl Top {
    /// Counts all values, then looks closer at the first ones.
    async fn find(
        query: &mut Query<'_>,
        asked: &Asked,
        key: &Key,
        most: usize,
        measure: &Measure,
    ) -> Result<Self, Problem> {
        let (mut by_value, mut in_all) = (TableSpec::by([key.clone()]), TableSpec::default());
        (by_value.measure, in_all.measure) = (measure.clone(), measure.clone());
        let counted = query.aggregate(asked.count(vec![by_value.clone(), in_all])).await?;
        let mut tables = counted.tables.into_iter();
        let all = tables.next().unwrap_or_default();
        let whole = tables.next().and_then(|table| table.rows.into_iter().next());
        let mut top = Self {
            chosen: choose(&all, most, measure),
            all,
            whole: whole.map_or((0, 0.0), |row| (row.count, row.sum)),
            matched: (counted.stats.matched, counted.stats.matched_exact),
        };
        if let Some(points) = points(asked.from, asked.to).filter(|_| !top.chosen.is_empty()) {
            by_value.buckets = Some(points);
            by_value.only = Some(top.chosen.iter().map(|row| row.key.clone()).collect());
            let mut closer = asked.count(vec![by_value]);
            closer.scope.snapshot = Some(counted.head.seq);
            let closer = query.aggregate(closer).await?;
            let is_better = top.all.error.is_some() && closer.incomplete.is_none();
            for found in closer.tables.into_iter().flat_map(|table| table.rows) {
                match top.chosen.iter_mut().find(|row| row.key == found.key) {
                    Some(row) if is_better => *row = found,
                    Some(row) => row.buckets = found.buckets,
                    None => {}
                }
            }
        }
        Ok(top)
    }

    fn rows(&self, is_sum: bool) -> Value {
        self.chosen.iter().map(|row| self.row(row, is_sum)).collect()
    }

    fn row(&self, row: &Row, is_sum: bool) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let (part, whole) =
            if is_sum { (row.sum, self.whole.1) } else { (row.count as f64, self.whole.0 as f64) };
        let mut out = Map::new();
        out.insert("value".to_owned(), json_of(value_of(row)));
        out.insert("count".to_owned(), json!(row.count));
        if is_sum {
            out.insert("sum".to_owned(), json!(row.sum));
        }
        out.insert("share".to_owned(), json!(if whole == 0.0 { 0.0 } else { part / whole }));
        out.insert("first_seen".to_owned(), json!(row.first));
        out.insert("last_seen".to_owned(), json!(row.last));
        out.insert("spark".to_owned(), json!(row.buckets));
        Value::Object(out)
    }
}

/// The first values by the measure.
fn choose(table: &Table, most: usize, measure: &Measure) -> Vec<Row> {
    let there = table.rows.iter().filter(|row| *value_of(row) != FieldValue::Missing);
    let mut rows: Vec<&Row> = there.collect();
    if *measure != Measure::Count {
        rows.sort_by(|a, b| b.sum.total_cmp(&a.sum));
    }
    rows.into_iter().take(most).cloned().collect()
}

/// The range in equal parts; `None` where it is too short for that.
fn points(from: Timestamp, to: Timestamp) -> Option<Buckets> {
    let (from, to) = (i128::from(from.as_nanos()), i128::from(to.as_nanos()));
    let bound = |at: i128| i64::try_from(from + (to - from) * at / POINTS).ok();
    let bounds: Option<Arc<[Timestamp]>> =
        (0..=POINTS).map(|at| bound(at).map(Timestamp::from_nanos)).collect();
    Buckets::between(bounds?)
}
