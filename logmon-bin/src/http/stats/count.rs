//! `/api/stats/count`: how many events, or how many of each value.

use axum::extract::State;
use axum::response::Response;
use logmon_core::{FieldValue, Key, Row, TableSpec};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::asked::{self, Asked, SCOPE};
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::query::Query;
use super::{answer, approximate, json_of, keys};

/// The most fields to count by at once.
const MAX_FIELDS: usize = 4;

/// `GET` and `POST /api/stats/count`.
pub(crate) async fn count(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.allow(&[SCOPE, &["by", "n"]].concat())?;
    let asked = Asked::read(&params, asked::Default::Lately)?;
    let by = keys(&params, "by", MAX_FIELDS)?;
    let most = params.number("n", 1_000, 1..=10_000)?;
    let mut query = Query::new(&app, "count");
    let tables = if by.is_empty() { Vec::new() } else { vec![TableSpec::by(by.clone())] };
    let counted = query.aggregate(asked.count(tables)).await?;
    let matched = counted.stats.matched;
    let mut out = Map::new();
    out.insert("count".to_owned(), json!(matched));
    if let Some(table) = counted.tables.first() {
        let names: Vec<String> = by.iter().map(Key::to_string).collect();
        let rows = table.rows.iter().take(most).map(|row| row_of(&names, row));
        out.insert("rows".to_owned(), rows.collect());
        let left = table.rows.iter().skip(most).map(|row| row.count).sum::<u64>();
        out.insert("other".to_owned(), json!(left));
        out.insert("by".to_owned(), json!(names));
    }
    let approximate = approximate(&counted.tables, matched);
    let matched = (matched, counted.stats.matched_exact);
    Ok(answer(out, &query, (asked.from, asked.to), matched, approximate))
}

/// A field that the events do not have is not among the values.
fn row_of(names: &[String], row: &Row) -> Value {
    let values = names.iter().zip(&row.key).filter(|(_, value)| **value != FieldValue::Missing);
    let values: Map<_, _> = values.map(|(name, value)| (name.clone(), json_of(value))).collect();
    json!({"values": values, "count": row.count})
}
