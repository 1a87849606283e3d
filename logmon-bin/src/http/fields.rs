//! `/api/fields`: which fields events have, and which values a field has.

use axum::extract::{Path, State};
use axum::response::Response;
use logmon_core::{FieldValue, Table, TableSpec};
use serde_json::{Map, Value, json};

use super::App;
use super::asked::{self, Asked, SCOPE};
use super::params::Params;
use super::problem::Problem;
use super::query::Query;
use super::stats::{answer, approximate, json_of, key, value_of};

/// The fields that every event can have, and the kinds of their values.
const BUILT_IN: [(&str, &str); 6] = [
    ("timestamp", "time"),
    ("received", "time"),
    ("level", "level"),
    ("source", "text"),
    ("tag", "text"),
    ("message", "text"),
];

/// `GET /api/fields`.
pub(super) async fn fields(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.allow(SCOPE)?;
    let asked = Asked::read(&params, asked::Default::Lately)?;
    let mut query = Query::new(&app, "fields");
    let catalogue = query.fields(asked.scope()).await?;
    let matched = catalogue.stats.matched;
    let built_in = BUILT_IN.iter().map(|(name, kind)| json!({"name": name, "kinds": [kind]}));
    let found = catalogue.fields.iter().map(|field| {
        let kinds: Vec<&str> = field.kinds.names().collect();
        json!({"name": field.path, "kinds": kinds, "events": field.events})
    });
    let mut out = Map::new();
    out.insert("fields".to_owned(), built_in.chain(found).collect());
    out.insert("others".to_owned(), json!(catalogue.others));
    let matched = (matched, catalogue.stats.matched_exact);
    Ok(answer(out, &query, (asked.from, asked.to), matched, None))
}

/// `GET /api/fields/{name}/values`.
pub(super) async fn values(
    State(app): State<App>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.allow(&[SCOPE, &["n", "prefix"]].concat())?;
    let asked = Asked::read(&params, asked::Default::Lately)?;
    let most = params.number("n", 20, 1..=1_000)?;
    let key = key("name", &name)?;
    let mut query = Query::new(&app, "values");
    let counted = query.aggregate(asked.count(vec![TableSpec::by([key.clone()])])).await?;
    let table = counted.tables.into_iter().next().unwrap_or_default();
    let matched = counted.stats.matched;
    let mut out = Map::new();
    out.insert("field".to_owned(), json!(key.to_string()));
    out.insert("values".to_owned(), beginning(&table, params.get("prefix"), most));
    let approximate = approximate([&table], matched);
    let matched = (matched, counted.stats.matched_exact);
    Ok(answer(out, &query, (asked.from, asked.to), matched, approximate))
}

/// The most frequent values whose text begins with `prefix`, whatever the case.
fn beginning(table: &Table, prefix: Option<&str>, most: usize) -> Value {
    let prefix = prefix.map(str::to_lowercase);
    let there = table.rows.iter().filter(|row| *value_of(row) != FieldValue::Missing);
    let values = there.map(|row| (json_of(value_of(row)), row.count));
    let wanted = values.filter(|(value, _)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        prefix.as_ref().is_none_or(|prefix| text.to_lowercase().starts_with(prefix))
    });
    wanted.take(most).map(|(value, count)| json!({"value": value, "count": count})).collect()
}
