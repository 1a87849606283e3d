//! `GET /api/logs/{id}/context`: what came before and after an event.

use axum::extract::{Path, State};
use axum::response::Response;
use logmon_core::filter::{Atom, FieldTest, Filter, Literal, ValueTest};
use logmon_core::{Event as _, Hit, Order, Page, PageKey, Scalar, Search, Timestamp};
use serde_json::{Map, json};

use super::App;
use super::asked::{self, Asked, SCOPE};
use super::cursor::{self, PageCursor};
use super::logs::{find, json_response, page_cursor};
use super::params::Params;
use super::problem::Problem;
use super::query::Query;

/// The most events before or after.
const MAX_EVENTS: usize = 1_000;

/// `GET /api/logs/{id}/context`.
pub(super) async fn context(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.allow(&[SCOPE, &["before", "after", "scope", "cursor"]].concat())?;
    let mut query = Query::new(&app, "context");
    let anchor = find(&mut query, &id).await?;
    let bound = format!("context {id} {:?}", params.without(&["before", "after", "cursor"]));
    let cursor = params.get("cursor").map(|text| page_cursor(&app, text, &bound, ORDER));
    let cursor = cursor.transpose()?;
    let now = cursor.map_or_else(Timestamp::now, |cursor| cursor.now);
    let asked = Asked::at(now, &params, asked::Default::Ever)?;
    let around = Around { app: &app, filter: filter(&params, &asked, &anchor)?, asked, bound };
    let before = params.number("before", 20, 0..=MAX_EVENTS)?;
    let after = params.number("after", 20, 0..=MAX_EVENTS)?;
    match cursor {
        Some(cursor) => {
            let limit = if cursor.is_backward { before } else { after };
            around.further(&mut query, &cursor, limit.max(1)).await
        }
        None => around.both(&mut query, &anchor, before, after).await,
    }
}

/// The order of the answer, and of its cursors.
const ORDER: Order = Order::OldestFirst;

/// Which of the events around are meant.
fn filter(params: &Params, asked: &Asked, anchor: &Hit) -> Result<Filter, Problem> {
    let log = anchor.log();
    let of_scope = match params.get("scope").unwrap_or("source") {
        "all" => Filter::All,
        "source" => same(None, log.source().map(|source| Literal::Text(source.as_ref().into()))),
        scope => {
            let path = scope.strip_prefix("field:").filter(|path| !path.is_empty());
            let path = path.ok_or_else(|| {
                let detail =
                    format!("`{scope}` is not a scope; expected source, all or field:path");
                Problem::parameter("scope", detail)
            })?;
            let path = path.strip_prefix("metadata.").unwrap_or(path);
            let mut value = None;
            log.visit_metadata(path, &mut |scalar| {
                value = literal(scalar);
                value.is_some()
            });
            same(Some(path), value)
        }
    };
    Ok(asked.filter().clone().and(of_scope))
}

/// Events with this value, or without any where there is none.
fn same(path: Option<&str>, value: Option<Literal>) -> Filter {
    let test = |test| match path {
        Some(path) => FieldTest::metadata(path, test),
        None => FieldTest::source(test),
    };
    match value {
        Some(value) => Atom::Field(test(ValueTest::Equals(value))).into(),
        None => Filter::from(Atom::Field(test(ValueTest::Exists))).negated(),
    }
}

/// The value as a query has it; `None` where it has none for it.
fn literal(value: Scalar<'_>) -> Option<Literal> {
    match value {
        Scalar::Bool(value) => Some(Literal::Bool(value)),
        Scalar::Int(value) => Some(Literal::bare(&value.to_string())),
        Scalar::Float(value) if value.is_finite() => Some(Literal::bare(&value.to_string())),
        Scalar::Str(text) => Some(Literal::Text(text.into())),
        Scalar::Time(time) => Some(Literal::Text(time.to_string().into())),
        _ => None,
    }
}

/// The neighbourhood of one event.
struct Around<'a> {
    app: &'a App,
    asked: Asked,
    filter: Filter,
    /// What the cursors are bound to.
    bound: String,
}

impl Around<'_> {
    /// The events before and after the anchor, with it in their middle.
    async fn both(
        &self,
        query: &mut Query<'_>,
        anchor: &Hit,
        before: usize,
        after: usize,
    ) -> Result<Response, Problem> {
        let key = anchor.key();
        let mut later = query.search(self.search(ORDER, key, after)).await?;
        let mut search = self.search(Order::NewestFirst, key, before);
        search.scope.snapshot = Some(later.head.seq);
        let mut earlier = query.search(search).await?;
        let found = Found {
            previous: end(&earlier, key),
            next: end(&later, key),
            snapshot: later.head.seq,
            head: cursor::live(later.head),
            matched: (
                earlier.stats.matched + later.stats.matched + 1,
                earlier.stats.matched_exact && later.stats.matched_exact,
            ),
            anchor: Some(earlier.hits.len()),
            hits: {
                earlier.hits.reverse();
                earlier.hits.push(anchor.clone());
                earlier.hits.append(&mut later.hits);
                earlier.hits
            },
        };
        Ok(self.answer(query, &found))
    }

    /// More events on one side.
    async fn further(
        &self,
        query: &mut Query<'_>,
        cursor: &PageCursor,
        limit: usize,
    ) -> Result<Response, Problem> {
        let order = if cursor.is_backward { Order::NewestFirst } else { ORDER };
        let mut search = self.search(order, cursor.key, limit);
        cursor.apply(&mut search);
        let mut page = query.search(search).await?;
        let end = end(&page, cursor.key);
        let (previous, next) = if cursor.is_backward { (end, None) } else { (None, end) };
        if cursor.is_backward {
            page.hits.reverse();
        }
        let found = Found {
            previous,
            next,
            snapshot: cursor.snapshot,
            head: cursor::live(page.head),
            matched: (page.stats.matched, page.stats.matched_exact),
            anchor: None,
            hits: page.hits,
        };
        Ok(self.answer(query, &found))
    }

    fn search(&self, order: Order, behind: PageKey, limit: usize) -> Search {
        let mut search = Search::within(self.asked.scope_of(&self.filter));
        (search.order, search.after, search.limit) = (order, Some(behind), limit);
        search
    }

    /// The events in order, the anchor marked.
    fn answer(&self, query: &Query<'_>, found: &Found) -> Response {
        let mut out = b"{\"logs\":[".to_vec();
        for (at, hit) in found.hits.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let begin = out.len();
            hit.log().write_json(&mut out);
            if found.anchor == Some(at) {
                out.splice(begin..=begin, *b"{\"anchor\":true,");
            }
        }
        out.extend_from_slice(b"],");
        let sign = |key, is_backward| self.sign(key, found.snapshot, is_backward);
        let mut tail = Map::new();
        tail.insert("prev_cursor".to_owned(), json!(sign(found.previous, true)));
        tail.insert("next_cursor".to_owned(), json!(sign(found.next, false)));
        tail.insert("head_cursor".to_owned(), json!(found.head));
        tail.extend(query.closing((self.asked.from, self.asked.to), found.matched));
        let tail = json!(tail).to_string();
        out.extend_from_slice(tail.as_bytes().get(1..).unwrap_or_default());
        json_response(out)
    }

    fn sign(&self, key: Option<PageKey>, snapshot: u64, is_backward: bool) -> Option<String> {
        let Asked { now, from, to, .. } = self.asked;
        let cursor = PageCursor { key: key?, snapshot, now, from, to, is_backward };
        Some(self.app.signer().sign(&cursor, &self.bound, ORDER))
    }
}

/// What is told of the neighbourhood.
struct Found {
    hits: Vec<Hit>,
    /// Where the event itself is among them.
    anchor: Option<usize>,
    /// Where to go on.
    previous: Option<PageKey>,
    next: Option<PageKey>,
    snapshot: u64,
    head: String,
    matched: (u64, bool),
}

/// Where a page that began behind `from` goes on, if it does.
fn end(page: &Page, from: PageKey) -> Option<PageKey> {
    let last = page.hits.last().map_or(from, Hit::key);
    page.has_more.then(|| page.scanned_to.unwrap_or(last))
}
