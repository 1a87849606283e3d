//! Statistics: how many events, when, and by which values.

use logmon_core::filter::{Atom, Filter};
use logmon_core::{FieldValue, Key, Row, Table};
use serde_json::{Value, json};

use super::params::Params;
use super::problem::Problem;
use super::query::Query;

mod count;
mod facets;
mod histogram;
mod step;
mod top;

pub(super) use count::count;
pub(super) use facets::facets;
pub(super) use histogram::histogram;
pub(super) use top::top;

use top::tallied;

/// The longest name of a field.
const MAX_NAME_BYTES: usize = logmon_core::filter::MAX_NAME_BYTES;

/// The field a parameter names.
pub(super) fn key(parameter: &str, name: &str) -> Result<Key, Problem> {
    if matches!(name, "timestamp" | "received") {
        let detail = format!("`{name}` is a time; /api/stats/histogram counts by time");
        return Err(Problem::parameter(parameter, detail));
    }
    if name.len() > MAX_NAME_BYTES {
        let detail = format!("names of fields have at most {MAX_NAME_BYTES} bytes");
        return Err(Problem::parameter(parameter, detail));
    }
    Ok(Key::named(name))
}

/// The distinct fields that a parameter lists, up to so many.
fn keys(params: &Params, parameter: &str, most: usize) -> Result<Vec<Key>, Problem> {
    let mut keys = Vec::new();
    for name in params.names(parameter) {
        let key = key(parameter, name)?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.len() > most {
        let detail = format!("{} fields are named; at most {most} are counted at once", keys.len());
        return Err(Problem::parameter(parameter, detail));
    }
    Ok(keys)
}

/// A value as JSON has it.
pub(super) fn json_of(value: &FieldValue) -> Value {
    match value {
        FieldValue::Level(level) => json!(level.as_str()),
        FieldValue::Bool(value) => json!(value),
        FieldValue::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
            (Ok(value), _) => json!(value),
            (_, Ok(value)) => json!(value),
            #[expect(clippy::cast_precision_loss, reason = "it came from a float")]
            _ => json!(*value as f64),
        },
        FieldValue::Float(value) => json!(value.0),
        FieldValue::Text(text) => json!(text),
        FieldValue::Bytes(bytes) => {
            use base64::Engine as _;
            json!({"$bin": base64::engine::general_purpose::STANDARD.encode(bytes)})
        }
        FieldValue::Time(time) => json!(time),
        _ => Value::Null,
    }
}

/// The only value of a row.
pub(super) fn value_of(row: &Row) -> &FieldValue {
    row.key.first().unwrap_or(&FieldValue::Missing)
}

/// How far the tables are from exact; nothing where they are not.
pub(super) fn approximate<'t>(
    tables: impl IntoIterator<Item = &'t Table>,
    matched: u64,
) -> Option<Value> {
    let count = tables.into_iter().filter_map(|table| table.error).max()?;
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let error = count as f64 / matched.max(1) as f64;
    Some(json!({"error": error, "count": count}))
}

/// The filter without what it says of one field only, so that the field's other values are counted
/// too.
fn without(filter: &Filter, key: &Key) -> Filter {
    match filter {
        Filter::And(operands) => {
            let rest = operands.iter().filter(|operand| !is_about(operand, key)).cloned();
            rest.fold(Filter::All, Filter::and)
        }
        filter if is_about(filter, key) => Filter::All,
        filter => filter.clone(),
    }
}

/// Whether a filter looks at nothing but one field.
fn is_about(filter: &Filter, key: &Key) -> bool {
    match filter {
        Filter::All => false,
        Filter::Atom(atom) => match (&**atom, key) {
            (Atom::Level(_), Key::Level) | (Atom::Tag(_), Key::Tag) => true,
            (Atom::Field(test), Key::Source) => test.path().is_none(),
            (Atom::Field(test), Key::Metadata(path)) => test.path() == Some(path),
            (Atom::Words(_) | Atom::Substring(_) | Atom::Regexp(_), Key::Message) => true,
            _ => false,
        },
        Filter::Not(inner) => is_about(inner, key),
        Filter::And(operands) | Filter::Or(operands) => {
            operands.iter().all(|operand| is_about(operand, key))
        }
    }
}

/// An answer with what every answer says of itself.
pub(super) fn answer(
    mut answer: serde_json::Map<String, Value>,
    query: &Query<'_>,
    range: (logmon_core::Timestamp, logmon_core::Timestamp),
    (matched, is_exact): (u64, bool),
    approximate: Option<Value>,
) -> axum::response::Response {
    answer.extend(query.closing(range, (matched, is_exact)));
    if let Some(approximate) = approximate {
        answer.insert("approximate".to_owned(), approximate);
    }
    super::logs::json_response(Value::Object(answer).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(filter: &str, field: &str) -> String {
        without(&Filter::parse(filter).unwrap(), &Key::named(field)).to_string()
    }

    #[test]
    fn a_facet_leaves_out_its_own_selection() {
        assert_eq!(left("level:(error OR warn)", "level"), "*");
        assert_eq!(left("timeout level:error source:web", "level"), "timeout AND source:web");
        assert_eq!(left("timeout -source:web", "source"), "timeout");
        assert_eq!(left("user:1 metadata.level:2", "metadata.level"), "user:1");
        assert_eq!(left("tag:app.** x:1", "tag"), "x:1");
    }

    #[test]
    fn what_joins_fields_stays() {
        for filter in ["level:error OR source:web", "timeout", "*"] {
            assert_eq!(left(filter, "level"), Filter::parse(filter).unwrap().to_string());
        }
    }

    #[test]
    fn numbers_keep_their_value() {
        assert_eq!(
            json_of(&FieldValue::Int(i128::from(u64::MAX))).to_string(),
            "18446744073709551615"
        );
        assert_eq!(json_of(&FieldValue::Int(-5)), json!(-5));
        assert_eq!(json_of(&FieldValue::Int(1 << 100)), json!(2_f64.powi(100)));
    }
}
