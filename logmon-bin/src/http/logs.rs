//! `GET /api/logs`, `POST /api/logs/query` and `GET /api/logs/{id}`.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use logmon_core::{EventId, Hit, Order, Page, PageKey, Search, Timestamp};
use serde_json::{Map, Value, json};

use super::App;
use super::asked::{self, Asked};
use super::cursor::{self, PageCursor};
use super::params::Params;
use super::problem::{Code, Problem};
use super::query::Query;

/// A search as the request says it.
struct Wish {
    search: Search,
    /// What `now` means in this search.
    now: Timestamp,
    order: Order,
    /// All that the paging cursors are bound to.
    bound: String,
    is_backward: bool,
    shape: Shape,
}

/// The form of the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Object,
    Array,
    Lines,
}

/// `GET /api/logs` and `POST /api/logs/query`.
pub(super) async fn search(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let wish = Wish::read(&app, &params, &headers)?;
    let mut query = Query::new(&app, "logs");
    let mut page = query.search(wish.search.clone()).await?;
    if wish.is_backward {
        page.hits.reverse();
    }
    let cursors = Cursors::of(&app, &wish, &page);
    let tail = tail(&query, &wish, &page, &cursors);
    let mut out = Vec::with_capacity(256 + page.hits.len() * 512);
    match wish.shape {
        Shape::Lines => {
            write_events(&mut out, &page.hits, b"\n");
            out.extend_from_slice(if page.hits.is_empty() { b"" } else { b"\n" });
            out.extend_from_slice(json!({"_end": tail}).to_string().as_bytes());
            out.push(b'\n');
        }
        Shape::Array => {
            out.push(b'[');
            write_events(&mut out, &page.hits, b",");
            out.push(b']');
        }
        Shape::Object => write_object(&mut out, &page.hits, &tail),
    }
    Ok(answer(out, wish.shape, &cursors))
}

/// `HEAD /api/logs`: how many there are, without any.
pub(super) async fn count(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.allow(KNOWN)?;
    let asked = Asked::read(&params, asked::Default::Lately)?;
    let mut query = Query::new(&app, "logs");
    let counted = query.aggregate(asked.count(Vec::new())).await?;
    let is_complete = if query.is_partial() { "false" } else { "true" };
    let mut response = json_response(Vec::new());
    let headers = response.headers_mut();
    headers.insert("x-total-count", counted.stats.matched.into());
    headers.insert("x-complete", HeaderValue::from_static(is_complete));
    Ok(response)
}

/// `GET /api/logs/{id}`.
pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let hit = find(&mut Query::new(&app, "log"), &id).await?;
    let mut out = Vec::new();
    hit.log().write_json(&mut out);
    Ok(json_response(out))
}

/// The event with this id, which must be there.
pub(super) async fn find(query: &mut Query<'_>, id: &str) -> Result<Hit, Problem> {
    let id: EventId = id.parse().map_err(|error| Problem::parameter("id", format!("{error}")))?;
    let hit = query.get(id).await?;
    hit.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no event {id}")))
}

const KNOWN: &[&str] = &[
    "q", "level", "source", "search", "from", "to", "tz", "limit", "order", "cursor", "timeout",
    "shape",
];

impl Wish {
    fn read(app: &App, params: &Params, headers: &HeaderMap) -> Result<Self, Problem> {
        params.allow(KNOWN)?;
        let wanted = params.wanted();
        // As typed, not as resolved: `now-1h` is the same search on the next page.
        let bound = format!("{:?}", (&wanted.q, &wanted.levels, &wanted.sources, &wanted.search));
        let order = order(params)?;
        let cursor = params.get("cursor").map(|text| page_cursor(app, text, &bound, order));
        let cursor = cursor.transpose()?;
        let now = cursor.map_or_else(Timestamp::now, |cursor| cursor.now);
        let asked = Asked::at(now, params, asked::Default::Lately)?;
        let mut search = Search::within(asked.scope());
        search.limit = params.number("limit", 100, 1..=10_000)?;
        let shape = shape(params, headers)?;
        if let Some(cursor) = cursor {
            cursor.apply(&mut search);
        }
        let is_backward = cursor.is_some_and(|cursor| cursor.is_backward);
        search.order = match (order, is_backward) {
            (Order::NewestFirst, false) | (Order::OldestFirst, true) => Order::NewestFirst,
            _ => Order::OldestFirst,
        };
        Ok(Self { search, now, order, bound, is_backward, shape })
    }
}

fn shape(params: &Params, headers: &HeaderMap) -> Result<Shape, Problem> {
    let accept = headers.get(header::ACCEPT);
    let accepts_lines =
        accept.is_some_and(|accept| accept.as_bytes().starts_with(b"application/x-ndjson"));
    match params.get("shape") {
        None | Some("object") if accepts_lines => Ok(Shape::Lines),
        None | Some("object") => Ok(Shape::Object),
        Some("array") => Ok(Shape::Array),
        Some(other) => {
            let detail = format!("`{other}` is not a shape; expected object or array");
            Err(Problem::parameter("shape", detail))
        }
    }
}

fn order(params: &Params) -> Result<Order, Problem> {
    match params.get("order") {
        None | Some("desc") => Ok(Order::NewestFirst),
        Some("asc") => Ok(Order::OldestFirst),
        Some(other) => {
            let detail = format!("`{other}` is not an order; expected asc or desc");
            Err(Problem::parameter("order", detail))
        }
    }
}

/// Reads a cursor of this search.
pub(super) fn page_cursor(
    app: &App,
    text: &str,
    bound: &str,
    order: Order,
) -> Result<PageCursor, Problem> {
    app.signer().check(text, bound, order).ok_or_else(|| {
        let detail = "the cursor is damaged, or belongs to another query or order";
        Problem::new(Code::InvalidCursor, detail)
    })
}

/// The places around a page.
struct Cursors {
    next: Option<String>,
    previous: Option<String>,
    head: String,
}

impl Cursors {
    fn of(app: &App, wish: &Wish, page: &Page) -> Self {
        let signer = app.signer();
        let sign = |key: Option<PageKey>, is_backward: bool| {
            let cursor = PageCursor {
                key: key?,
                snapshot: wish.search.scope.snapshot.unwrap_or(page.head.seq),
                now: wish.now,
                from: wish.search.scope.from,
                to: wish.search.scope.to,
                is_backward,
            };
            Some(signer.sign(&cursor, &wish.bound, wish.order))
        };
        let is_first_page = wish.search.after.is_none();
        let (first, last) = (page.hits.first().map(Hit::key), page.hits.last().map(Hit::key));
        // An answer that broke off goes on where the looking ended, not where it last found.
        let (first, last) = if wish.is_backward {
            (page.scanned_to.or(first), last)
        } else {
            (first, page.scanned_to.or(last))
        };
        // Paging back, what follows is where we came from, and more may lie before.
        let (has_next, has_previous) =
            if wish.is_backward { (true, page.has_more) } else { (page.has_more, !is_first_page) };
        Self {
            next: sign(last.filter(|_| has_next), false),
            previous: sign(first.filter(|_| has_previous), true),
            head: cursor::live(page.head),
        }
    }
}

/// Everything of the answer but the events.
fn tail(query: &Query<'_>, wish: &Wish, page: &Page, cursors: &Cursors) -> Map<String, Value> {
    let mut tail = Map::new();
    tail.insert("next_cursor".to_owned(), json!(cursors.next));
    tail.insert("prev_cursor".to_owned(), json!(cursors.previous));
    tail.insert("head_cursor".to_owned(), json!(cursors.head));
    let matched = (page.stats.matched, page.stats.matched_exact);
    tail.extend(query.closing((wish.search.scope.from, wish.search.scope.to), matched));
    if page.incomplete.is_some() {
        let scanned_to = page.scanned_to.map(|key| key.timestamp);
        tail.insert("scanned_to".to_owned(), json!(scanned_to));
    }
    tail
}

/// Writes `logs` and what else there is to say.
fn write_object(out: &mut Vec<u8>, hits: &[Hit], tail: &Map<String, Value>) {
    out.extend_from_slice(b"{\"logs\":[");
    write_events(out, hits, b",");
    out.extend_from_slice(b"],");
    let tail = json!(tail).to_string();
    out.extend_from_slice(tail.as_bytes().get(1..).unwrap_or_default());
}

fn write_events(out: &mut Vec<u8>, hits: &[Hit], between: &[u8]) {
    for (at, hit) in hits.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(between);
        }
        hit.log().write_json(out);
    }
}

fn answer(body: Vec<u8>, shape: Shape, cursors: &Cursors) -> Response {
    let mut response = json_response(body);
    if shape == Shape::Lines {
        let lines = HeaderValue::from_static("application/x-ndjson");
        response.headers_mut().insert(header::CONTENT_TYPE, lines);
    }
    if shape == Shape::Array {
        let links = [(&cursors.next, "next"), (&cursors.previous, "prev")];
        let links = links.into_iter().filter_map(|(cursor, relation)| {
            cursor.as_ref().map(|cursor| format!("<?cursor={cursor}>; rel=\"{relation}\""))
        });
        let links = links.collect::<Vec<_>>().join(", ");
        if let Ok(value) = HeaderValue::from_str(&links) {
            response.headers_mut().insert(header::LINK, value);
        }
    }
    response
}

/// JSON that is not to be kept.
pub(super) fn json_response(body: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}
