//! `/api/stats/facets`: the most frequent values of several fields at once.

use axum::extract::State;
use axum::response::Response;
use logmon_core::{FieldStats, FieldValue, Key, Table, TableSpec};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::asked::{self, Asked, SCOPE};
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::query::Query;
use super::{answer, approximate, json_of, keys, tallied, value_of, without};

/// The most fields at once.
const MAX_FIELDS: usize = 32;
/// Where no fields are named, so many paths are looked at for those with few values.
const CANDIDATES: usize = 16;
/// What few values are.
const FEW: usize = 50;

/// `GET` and `POST /api/stats/facets`.
pub(crate) async fn facets(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.allow(&[SCOPE, &["fields", "n"]].concat())?;
    let asked = Asked::read(&params, asked::Default::Lately)?;
    let most = params.number("n", 10, 1..=100)?;
    let named = keys(&params, "fields", MAX_FIELDS)?;
    let is_named = !named.is_empty();
    let mut query = Query::new(&app, "facets");
    let keys = if is_named { named } else { candidates(&mut query, &asked).await? };
    let mut facets = Facets { matched: (0, true), tables: vec![None; keys.len()] };
    facets.count(&mut query, &asked, &keys).await?;
    let found = keys.iter().zip(facets.tables.iter().flatten());
    let found = found.filter(|(key, table)| is_named || is_worth_showing(key, table));
    let mut out = Map::new();
    out.insert("facets".to_owned(), found.map(|(key, table)| facet(key, table, most)).collect());
    let approximate = approximate(facets.tables.iter().flatten(), facets.matched.0);
    Ok(answer(out, &query, (asked.from, asked.to), facets.matched, approximate))
}

/// The level, the source, the tag, and the paths that most events have.
async fn candidates(query: &mut Query<'_>, asked: &Asked) -> Result<Vec<Key>, Problem> {
    let catalogue = query.fields(asked.scope()).await?;
    let is_countable = |field: &&FieldStats| {
        field.kinds.names().any(|kind| matches!(kind, "boolean" | "number" | "text"))
    };
    let paths = catalogue.fields.iter().filter(is_countable).take(CANDIDATES);
    let paths = paths.map(|field| Key::named(&field.path));
    Ok([Key::Level, Key::Source, Key::Tag].into_iter().chain(paths).collect())
}

/// The level, the source and the tag always are; others where they tell events apart by few values.
fn is_worth_showing(key: &Key, table: &Table) -> bool {
    let values = table.rows.iter().filter(|row| *value_of(row) != FieldValue::Missing).count();
    !matches!(key, Key::Metadata(_)) || (table.error.is_none() && (2..=FEW).contains(&values))
}

/// The counts of facets, each in the place of its field.
struct Facets {
    matched: (u64, bool),
    tables: Vec<Option<Table>>,
}

impl Facets {
    /// Counts those that the whole filter is for together, and each that the filter selects by
    /// without that selection.
    async fn count(
        &mut self,
        query: &mut Query<'_>,
        asked: &Asked,
        keys: &[Key],
    ) -> Result<(), Problem> {
        let spec = |key: &Key| TableSpec::by([key.clone()]);
        let (mut common, mut own) = (Vec::new(), Vec::new());
        for (at, key) in keys.iter().enumerate() {
            let filter = without(asked.filter(), key);
            if filter == *asked.filter() {
                common.push((at, spec(key)));
            } else {
                own.push((at, spec(key), filter));
            }
        }
        let (places, specs): (Vec<usize>, Vec<TableSpec>) = common.into_iter().unzip();
        let counted = query.aggregate(asked.count(specs)).await?;
        self.matched = (counted.stats.matched, counted.stats.matched_exact);
        for (at, table) in places.into_iter().zip(counted.tables) {
            self.keep(at, table);
        }
        for (at, spec, filter) in own {
            let mut alone = asked.count_of(&filter, vec![spec]);
            alone.scope.snapshot = Some(counted.head.seq);
            if let Some(table) = query.aggregate(alone).await?.tables.into_iter().next() {
                self.keep(at, table);
            }
        }
        Ok(())
    }

    fn keep(&mut self, at: usize, table: Table) {
        if let Some(place) = self.tables.get_mut(at) {
            *place = Some(table);
        }
    }
}

fn facet(key: &Key, table: &Table, most: usize) -> Value {
    let there = table.rows.iter().filter(|row| *value_of(row) != FieldValue::Missing);
    let rows: Vec<_> = there.take(most).collect();
    let shown = rows.iter().map(|row| row.count).sum();
    let rows = rows.iter().map(|row| json!({"value": json_of(value_of(row)), "count": row.count}));
    let mut out = Map::new();
    out.insert("field".to_owned(), json!(key.to_string()));
    out.insert("rows".to_owned(), rows.collect());
    out.extend(tallied(table, shown));
    Value::Object(out)
}
