//! Every kind of query, asked of a store and of the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use logmon_core::{
    Aggregate, Buckets, EventId, FieldValue, Filter, Hit, Key, Level, LogRef, Measure, Order, Page,
    Row, Scope, Search, Store, TableSpec, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::filters::a_filter;
use super::now;
use super::truth::{Figures, Truth, agree};

/// What is asked of a world.
#[derive(Clone, Debug)]
pub(crate) struct Questions(Vec<Question>);

#[derive(Clone, Debug)]
struct Question {
    scope: Scope,
    order: Order,
    limit: usize,
    tables: Vec<TableSpec>,
}

pub(super) fn questions() -> impl Strategy<Value = Questions> {
    prop::collection::vec(a_question(), 1..5).prop_map(Questions)
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds, 0).unwrap()
}

fn a_question() -> impl Strategy<Value = Question> {
    let range = prop_oneof![
        3 => Just((Timestamp::MIN, Timestamp::MAX)),
        2 => (0_i64..40, 0_i64..40).prop_map(|(from, to)| {
            (time(1_800_000_000 + from), time(1_800_000_000 + to))
        }),
        1 => Just((time(-10), time(2))),
    ];
    let order = select(vec![Order::NewestFirst, Order::OldestFirst]);
    let tables = prop::collection::vec(a_table(), 0..4);
    (a_filter(), range, order, 1_usize..20, tables).prop_map(
        |(filter, (from, to), order, limit, tables)| {
            let mut scope = Scope::new(filter);
            (scope.from, scope.to) = (from, to);
            // What is asked here is not how fast a loaded machine is.
            scope.budget = Duration::from_secs(3600);
            Question { scope, order, limit, tables }
        },
    )
}

fn a_table() -> impl Strategy<Value = TableSpec> {
    let keys = [
        "level",
        "message",
        "source",
        "tag",
        "user",
        "n",
        "http.status",
        "list.status",
        "tags",
        "metadata.level",
        "missing",
        "metadata.metadata",
    ];
    let keys = prop::collection::vec(select(keys.to_vec()), 0..3);
    let bounds = prop::collection::btree_set(0_i64..40, 2..6);
    let buckets = prop::option::of(bounds.prop_map(|bounds| {
        let bounds: Vec<_> = bounds.into_iter().map(|at| time(1_800_000_000 + at)).collect();
        Buckets::between(bounds).unwrap()
    }));
    (keys, buckets, any::<bool>(), any::<bool>()).prop_map(|(keys, buckets, sums, is_given)| {
        let mut spec = TableSpec::by(keys.iter().map(|key| Key::named(key)));
        spec.buckets = buckets;
        if sums {
            spec.measure = Measure::Sum("size".into());
        }
        if is_given && keys == ["level"] {
            let row = |level| Box::from([FieldValue::Level(level)]);
            spec.only = Some([row(Level::Error), row(Level::Fatal)].into());
        }
        spec
    })
}

fn json(log: &LogRef<'_>) -> String {
    let mut out = Vec::new();
    log.write_json(&mut out);
    String::from_utf8(out).unwrap()
}

impl Questions {
    pub(super) fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.0.iter().map(|question| &question.scope.filter)
    }

    /// The same with a range of time that begins somewhere, before all events.
    #[cfg(feature = "mongodb")]
    pub(crate) fn bounded(mut self) -> Self {
        for question in &mut self.0 {
            question.scope.from = question.scope.from.max(Timestamp::MIN.saturating_add_nanos(1));
        }
        self
    }

    /// The same with pages of so many events.
    pub(crate) fn with_limit(mut self, limit: usize) -> Self {
        self.0.iter_mut().for_each(|question| question.limit = limit);
        self
    }

    /// Asks everything; more events may arrive between queries.
    pub(crate) fn ask(
        &self,
        store: &dyn Store,
        truth: &mut Truth,
        meanwhile: &mut dyn FnMut(&mut Truth),
    ) {
        for question in &self.0 {
            let counted = question.count(store, truth);
            let found = question.page_through(store, truth, meanwhile);
            assert_eq!(counted, found);
            question.count(store, truth);
            question.fields(store, truth);
            question.context(store, truth);
            question.simplified(store, truth);
        }
        let unknown = EventId::new(logmon_core::Epoch::from_bytes([9; 7]), 1);
        assert!(now(store.get(unknown)).unwrap().is_none());
    }
}

impl Question {
    /// All pages, each compared with what is left; gives the number of events.
    fn page_through(
        &self,
        store: &dyn Store,
        truth: &mut Truth,
        meanwhile: &mut dyn FnMut(&mut Truth),
    ) -> u64 {
        let mut search = Search::within(self.scope.clone());
        (search.order, search.limit) = (self.order, self.limit);
        let mut found = 0;
        loop {
            let page = now(store.search(search.clone())).unwrap();
            if search.scope.snapshot.is_none() {
                assert!(page.head.seq >= truth.end_seq());
                search.scope.snapshot = Some(page.head.seq);
            }
            check(&page, truth, &search);
            for hit in page.hits.iter().step_by(1 + page.hits.len() / 20) {
                let same = now(store.get(hit.log().id())).unwrap().unwrap();
                assert_eq!(json(&same.log()), json(&hit.log()));
            }
            found += page.hits.len() as u64;
            search.after = page.hits.last().map(Hit::key);
            if !page.has_more {
                return found;
            }
            meanwhile(truth);
        }
    }

    /// Counts, histograms, tops with sums and facets; gives the number of events.
    fn count(&self, store: &dyn Store, truth: &Truth) -> u64 {
        let tables = [vec![TableSpec::default()], self.tables.clone()].concat();
        let mut query = Aggregate::new(Filter::all(), tables);
        query.scope = self.scope.clone();
        let answer = now(store.aggregate(query.clone())).unwrap();
        assert_eq!((answer.incomplete, answer.scanned_to), (None, None));
        assert!(answer.head.seq >= truth.end_seq());
        let events = truth.within(&self.scope).len() as u64;
        assert_eq!(answer.stats.matched, events);
        assert!(answer.stats.matched_exact && answer.stats.damaged == 0);
        assert_eq!(answer.tables.len(), query.tables.len());
        for (table, spec) in answer.tables.iter().zip(&query.tables) {
            let (rows, rest) = truth.table(&self.scope, spec);
            assert_eq!(table.error, None);
            let got: BTreeMap<_, _> =
                table.rows.iter().map(|row| (row.key.to_vec(), figures(row))).collect();
            assert_eq!(got, rows, "{spec:?} {}", self.scope.filter);
            assert_eq!(table.rows.len(), rows.len());
            assert_eq!(table.rest.as_ref().map(figures), rest);
            let is_sorted = |a: &Row, b: &Row| (b.count, &a.key) < (a.count, &b.key);
            assert!(table.rows.is_sorted_by(is_sorted), "{:?}", table.rows);
        }
        events
    }

    fn fields(&self, store: &dyn Store, truth: &Truth) {
        let answer = now(store.fields(self.scope.clone())).unwrap();
        let got: BTreeMap<_, _> = answer
            .fields
            .iter()
            .map(|field| (field.path.to_string(), (field.events, field.kinds.bits())))
            .collect();
        assert_eq!(got, truth.fields(&self.scope), "{}", self.scope.filter);
        assert_eq!((got.len(), answer.others), (answer.fields.len(), 0));
        assert_eq!(answer.stats.matched, truth.within(&self.scope).len() as u64);
    }

    /// The events around one in the middle.
    fn context(&self, store: &dyn Store, truth: &Truth) {
        let sorted = truth.sorted(&self.scope, self.order, None);
        let Some(anchor) = sorted.get(sorted.len() / 2) else { return };
        let key = truth.ties.key_of(anchor);
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut around = Search::within(self.scope.clone());
            (around.order, around.limit, around.after) = (order, self.limit, Some(key));
            check(&now(store.search(around.clone())).unwrap(), truth, &around);
            // With the event itself.
            around.after = Some(key.before(order));
            check(&now(store.search(around.clone())).unwrap(), truth, &around);
        }
    }

    /// A filter and what it is simplified to find the same.
    fn simplified(&self, store: &dyn Store, truth: &Truth) {
        let simplified = self.scope.filter.clone().simplify();
        assert!(agree(truth, &self.scope.filter, &simplified), "{simplified}");
        let mut search = Search::within(self.scope.clone());
        search.scope.filter = simplified;
        check(&now(store.search(search.clone())).unwrap(), truth, &search);
    }
}

pub(crate) fn figures(row: &Row) -> Figures {
    let Row { count, sum, first, last, buckets, .. } = row;
    (*count, *sum, first.as_nanos(), last.as_nanos(), buckets.clone())
}

/// Compares a page with the truth, to the last byte of each event.
fn check(page: &Page, truth: &Truth, search: &Search) {
    let expected = truth.sorted(&search.scope, search.order, search.after);
    let limit = search.limit.min(expected.len());
    let found: Vec<_> = page.hits.iter().map(|hit| json(&hit.log())).collect();
    let wanted: Vec<_> = expected[..limit].iter().map(json).collect();
    assert_eq!(found, wanted, "{}", search.scope.filter);
    assert_eq!(page.has_more, expected.len() > limit);
    assert_eq!((page.incomplete, page.scanned_to), (None, None));
    assert!(page.stats.matched <= expected.len() as u64);
    if page.stats.matched_exact {
        assert_eq!(page.stats.matched, expected.len() as u64);
    }
}
