//! `/api/stats/histogram`: how many events in each stretch of time.

use axum::extract::State;
use axum::response::Response;
use logmon_core::{Buckets, Key, Row, Table, TableSpec, Timestamp};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::asked::{self, Asked, SCOPE};
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::query::Query;
use super::step::{MAX_BUCKETS, Step};
use super::{answer, approximate, json_of, key, value_of};

/// The most values that have a series of their own.
const MAX_KEYS: usize = 12;

/// `GET` and `POST /api/stats/histogram`.
pub(crate) async fn histogram(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.allow(&[SCOPE, &["step", "by", "buckets"]].concat())?;
    let asked = Asked::read(&params, asked::Default::Lately)?;
    let by = params.get("by").map(|name| key("by", name)).transpose()?;
    let (step, bounds) = steps(&params, &asked)?;
    let mut query = Query::new(&app, "histogram");
    let chart = Chart::count(&mut query, &asked, by, bounds).await?;
    let mut out = Map::new();
    out.insert("step".to_owned(), json!(step.name()));
    out.insert("from".to_owned(), json!(chart.bounds.first()));
    chart.write(&mut out);
    let approximate = approximate(&chart.all, chart.matched.0);
    Ok(answer(out, &query, (asked.from, asked.to), chart.matched, approximate))
}

/// The step, and the bounds of the buckets.
fn steps(params: &Params, asked: &Asked) -> Result<(Step, Vec<Timestamp>), Problem> {
    let most = params.number("buckets", 120, 1..=MAX_BUCKETS)?;
    let (from, to) = (asked.from, asked.to);
    let Some(text) = params.get("step").filter(|text| *text != "auto") else {
        return Step::fitting(from, to, &asked.zone, most)
            .ok_or_else(|| Problem::parameter("buckets", "too few for this range"));
    };
    let step = Step::parse(text).map_err(|error| Problem::parameter("step", error))?;
    let bounds = step.bounds(from, to, &asked.zone, MAX_BUCKETS).ok_or_else(|| {
        let detail =
            format!("{} would make more than {MAX_BUCKETS} buckets of this range", step.name());
        Problem::parameter("step", detail)
    })?;
    Ok((step, bounds))
}

struct Chart {
    by: Option<Key>,
    bounds: Vec<Timestamp>,
    rows: Vec<Row>,
    rest: Option<Row>,
    matched: (u64, bool),
    /// The table of all values, where the most frequent ones had to be found first.
    all: Vec<Table>,
}

impl Chart {
    /// Counts all at once where there are few values. Otherwise looks for the most frequent ones
    /// first, so that not every value has its buckets.
    async fn count(
        query: &mut Query<'_>,
        asked: &Asked,
        by: Option<Key>,
        bounds: Vec<Timestamp>,
    ) -> Result<Self, Problem> {
        let (mut spec, mut snapshot, mut all) = (TableSpec::by(by.clone()), None, Vec::new());
        if !matches!(by, None | Some(Key::Level)) {
            let counted = query.aggregate(asked.count(vec![spec.clone()])).await?;
            snapshot = Some(counted.head.seq);
            let first = counted.tables.iter().flat_map(|table| &table.rows).take(MAX_KEYS);
            spec.only = Some(first.map(|row| row.key.clone()).collect());
            all = counted.tables;
        }
        spec.buckets = Buckets::between(bounds.clone());
        let mut in_time = asked.count(vec![spec]);
        in_time.scope.snapshot = snapshot;
        let counted = query.aggregate(in_time).await?;
        let matched = (counted.stats.matched, counted.stats.matched_exact);
        let table = counted.tables.into_iter().next().unwrap_or_default();
        let (mut rows, rest) = (table.rows, table.rest);
        if by == Some(Key::Level) {
            // The most severe first; what has no level last.
            rows.sort_by(|a, b| value_of(b).cmp(value_of(a)));
        }
        Ok(Self { by, bounds, rows, rest, matched, all })
    }

    /// Adds `keys`, `t` and `v`, and `other`.
    fn write(&self, out: &mut Map<String, Value>) {
        let count = self.bounds.len().saturating_sub(1);
        let mut keys: Vec<Value> = self.rows.iter().map(|row| json_of(value_of(row))).collect();
        let mut series: Vec<Vec<u64>> = self.rows.iter().map(|row| row.buckets.clone()).collect();
        if self.by.is_none() {
            keys = vec![json!("all")];
            series.resize(1, vec![0; count]);
        }
        let starts = self.bounds.iter().take(count);
        out.insert("keys".to_owned(), json!(keys));
        out.insert("t".to_owned(), starts.map(|start| seconds(*start)).collect());
        out.insert("v".to_owned(), json!(series));
        if let Some(rest) = &self.rest {
            out.insert("other".to_owned(), json!(rest.buckets));
        }
    }
}

/// Unix seconds, with a fraction where there is one.
fn seconds(time: Timestamp) -> Value {
    let nanos = time.as_nanos();
    if nanos % 1_000_000_000 == 0 {
        return json!(nanos / 1_000_000_000);
    }
    #[expect(clippy::cast_precision_loss, reason = "buckets begin at milliseconds")]
    let seconds = (nanos / 1_000_000) as f64 / 1_000.0;
    json!(seconds)
}
