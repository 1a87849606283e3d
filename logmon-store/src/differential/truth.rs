//! What is so, found out in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use logmon_core::{
    Buckets, Event as _, FieldValue, Filter, Group, GroupBuilder, Key, LogRef, Measure, NewBatch,
    Order, PageKey, Position, Scalar, Scope, TableSpec, Value, ValueKinds,
};

use crate::query::Ties;

/// All events there are.
#[derive(Default)]
pub(crate) struct Truth {
    groups: Vec<Group>,
    /// Those of other nodes, which were there before any query.
    others: Vec<Group>,
    /// What decides between events of one timestamp.
    pub(super) ties: Ties,
}

/// A row: the events, the sum, their first and last time in nanoseconds, the columns.
pub(crate) type Figures = (u64, f64, i64, i64, Vec<u64>);

impl Truth {
    /// Takes note of the events of a batch that was appended here.
    pub(crate) fn add(&mut self, first: Position, batch: &NewBatch) {
        self.groups.push(GroupBuilder::single(first.epoch, batch, first.seq));
    }

    /// Nothing yet, of events that are told apart so.
    #[cfg(feature = "mongodb")]
    pub(crate) fn told_apart_by(ties: Ties) -> Self {
        Self { ties, ..Self::default() }
    }

    /// Takes note of the events of another node.
    #[cfg(feature = "mongodb")]
    pub(crate) fn add_others(&mut self, others: Self) {
        self.others.extend(others.groups);
    }

    pub(super) fn logs(&self) -> impl Iterator<Item = LogRef<'_>> {
        self.groups.iter().chain(&self.others).flat_map(Group::iter)
    }

    /// The number behind all events.
    pub(super) fn end_seq(&self) -> u64 {
        self.groups.last().map_or(0, Group::end_seq)
    }

    /// The events of a scope.
    pub(super) fn within(&self, scope: &Scope) -> Vec<LogRef<'_>> {
        let own = self.groups.iter().flat_map(Group::iter);
        let own = own.filter(|log| scope.snapshot.is_none_or(|end| log.seq() < end));
        let is_in = |log: &LogRef<'_>| (scope.from..scope.to).contains(&log.timestamp());
        own.chain(self.others.iter().flat_map(Group::iter))
            .filter(|log| is_in(log) && scope.filter.matches(log))
            .collect()
    }

    /// The same in an order, behind a place.
    pub(super) fn sorted(
        &self,
        scope: &Scope,
        order: Order,
        after: Option<PageKey>,
    ) -> Vec<LogRef<'_>> {
        let mut logs = self.within(scope);
        let place = |log: &LogRef<'_>| self.ties.key_of(log);
        logs.sort_by_key(place);
        match order {
            Order::OldestFirst => logs.retain(|log| after.is_none_or(|after| place(log) > after)),
            Order::NewestFirst => {
                logs.reverse();
                logs.retain(|log| after.is_none_or(|after| place(log) < after));
            }
        }
        logs
    }

    /// The rows of a table, and what is in none of those asked for.
    pub(crate) fn table(
        &self,
        scope: &Scope,
        spec: &TableSpec,
    ) -> (BTreeMap<Vec<FieldValue>, Figures>, Option<Figures>) {
        let (mut rows, mut rest) = (BTreeMap::new(), None);
        for log in self.within(scope) {
            for key in combinations(&log, &spec.by) {
                let is_row =
                    spec.only.as_ref().is_none_or(|only| only.iter().any(|row| **row == key));
                let width = spec.buckets.as_ref().map_or(0, Buckets::count);
                let empty = || (0, 0.0, i64::MAX, i64::MIN, vec![0; width]);
                let row: &mut Figures = if is_row {
                    rows.entry(key).or_insert_with(empty)
                } else {
                    rest.get_or_insert_with(empty)
                };
                count(row, &log, spec);
            }
        }
        (rows, rest)
    }

    /// The paths with the events that have them and the kinds there.
    pub(super) fn fields(&self, scope: &Scope) -> BTreeMap<String, (u64, u8)> {
        let mut fields = BTreeMap::<String, (u64, u8)>::new();
        for log in self.within(scope) {
            let mut paths = BTreeMap::<String, u8>::new();
            for (key, value) in log.to_log().metadata.iter() {
                walk(key.to_owned(), value, &mut paths);
            }
            for (path, kinds) in paths {
                let field = fields.entry(name(&path)).or_default();
                *field = (field.0 + 1, field.1 | kinds);
            }
        }
        fields
    }
}

fn count(row: &mut Figures, log: &LogRef<'_>, spec: &TableSpec) {
    let time = log.timestamp();
    row.0 += 1;
    if let Measure::Sum(path) = &spec.measure {
        // The numbers at the path that is summed up are small and whole.
        for value in at_path(log, path) {
            row.1 += match value {
                FieldValue::Int(number) => f64::from(i32::try_from(number).unwrap()),
                _ => 0.0,
            };
        }
    }
    (row.2, row.3) = (row.2.min(time.as_nanos()), row.3.max(time.as_nanos()));
    let bounds = spec.buckets.as_ref().map_or(&[][..], Buckets::bounds);
    for (bucket, pair) in row.4.iter_mut().zip(bounds.windows(2)) {
        *bucket += u64::from(time >= pair[0] && time < pair[1]);
    }
}

fn at_path(log: &LogRef<'_>, path: &str) -> Vec<FieldValue> {
    let mut values = Vec::new();
    log.visit_metadata(path, &mut |value| {
        values.extend(FieldValue::of(value));
        false
    });
    values
}

fn values(log: &LogRef<'_>, key: &Key) -> Vec<FieldValue> {
    let text = |text: &str| FieldValue::Text(text.into());
    let values = match key {
        Key::Level => log.level().map(FieldValue::Level).into_iter().collect(),
        Key::Message => vec![text(&log.message())],
        Key::Source => log.source().iter().map(|source| text(source)).collect(),
        Key::Tag => vec![text(log.tag())],
        Key::Metadata(path) => at_path(log, path),
    };
    let values: BTreeSet<_> = values.into_iter().collect();
    if values.is_empty() { vec![FieldValue::Missing] } else { values.into_iter().collect() }
}

fn combinations(log: &LogRef<'_>, keys: &[Key]) -> Vec<Vec<FieldValue>> {
    keys.iter().fold(vec![Vec::new()], |rows, key| {
        let with = |row: Vec<FieldValue>| {
            values(log, key).into_iter().map(move |value| [row.clone(), vec![value]].concat())
        };
        rows.into_iter().flat_map(with).collect()
    })
}

/// The path as a query names it.
fn name(path: &str) -> String {
    let reserved = ["level", "message", "received", "source", "tag", "timestamp"];
    let is_prefixed = reserved.contains(&path) || path.starts_with("metadata.");
    if is_prefixed { format!("metadata.{path}") } else { path.to_owned() }
}

fn walk(path: String, value: &Value, paths: &mut BTreeMap<String, u8>) {
    let scalar = match value {
        Value::Array(items) => {
            return items.iter().for_each(|item| walk(path.clone(), item, paths));
        }
        Value::Map(map) => {
            for (key, value) in map.iter() {
                walk(format!("{path}.{key}"), value, paths);
            }
            Scalar::Map
        }
        Value::Nil => Scalar::Nil,
        Value::Bool(_) => Scalar::Bool(true),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => Scalar::Int(1),
        Value::Str(_) => Scalar::Str(""),
        // Bytes that are text are text to a query.
        Value::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() => Scalar::Str(""),
        Value::Time(time) => Scalar::Time(*time),
        _ => Scalar::Bytes(&[]),
    };
    *paths.entry(path).or_default() |= ValueKinds::of(scalar).bits();
}

/// Whether two filters agree on every event.
pub(super) fn agree(truth: &Truth, a: &Filter, b: &Filter) -> bool {
    truth.logs().all(|log| a.matches(&log) == b.matches(&log))
}
