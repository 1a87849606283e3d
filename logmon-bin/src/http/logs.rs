//! `GET /api/logs` and `GET /api/logs/{id}`.

use std::time::{Duration, Instant};

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use logmon_core::{EventId, Hit, Order, Page, PageKey, QueryError, Search, Timestamp};
use serde_json::json;

use super::App;
use super::cursor::{self, PageCursor};
use super::params::Params;
use super::problem::{Code, Problem};

const KNOWN: &[&str] = &[
    "q", "level", "source", "search", "from", "to", "tz", "limit", "order", "cursor", "timeout",
    "shape",
];

/// The longest time one search may take.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// A search as the request says it.
struct Asked {
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

/// `GET /api/logs`.
pub(super) async fn search(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::read(&app, &Params::parse(query.as_deref()), &headers)?;
    let (from, to) = (asked.search.from, asked.search.to);
    let began = Instant::now();
    let mut page = match &app.0.store {
        Some(store) => {
            store.search(asked.search.clone()).await.map_err(|error| query_problem(&error))?
        }
        // Nothing is kept, so nothing is found; the head is where watching live begins.
        None => Page::empty(app.0.hub.head()),
    };
    if asked.is_backward {
        page.hits.reverse();
    }
    let took = began.elapsed();
    let cursors = Cursors::of(&app, &asked, &page);
    let mut out = Vec::with_capacity(256 + page.hits.len() * 512);
    match asked.shape {
        Shape::Lines => {
            write_events(&mut out, &page.hits, b"\n");
            out.extend_from_slice(if page.hits.is_empty() { b"" } else { b"\n" });
            let end = json!({"_end": tail(&page, &cursors, (from, to), took)});
            out.extend_from_slice(end.to_string().as_bytes());
            out.push(b'\n');
        }
        Shape::Array | Shape::Object => {
            let is_object = asked.shape == Shape::Object;
            out.extend_from_slice(if is_object { b"{\"logs\":[" } else { b"[" });
            write_events(&mut out, &page.hits, b",");
            out.push(b']');
            if is_object {
                let tail = tail(&page, &cursors, (from, to), took).to_string();
                out.push(b',');
                out.extend_from_slice(tail.as_bytes().get(1..).unwrap_or_default());
            }
        }
    }
    Ok(answer(out, asked.shape, &cursors))
}

/// `GET /api/logs/{id}`.
pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: EventId = id.parse().map_err(|error| Problem::parameter("id", format!("{error}")))?;
    let hit = match &app.0.store {
        Some(store) => store.get(id).await.map_err(|error| query_problem(&error))?,
        None => None,
    };
    let hit = hit.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no event {id}")))?;
    let mut out = Vec::new();
    hit.log().write_json(&mut out);
    Ok(json_response(out))
}

impl Asked {
    fn read(app: &App, params: &Params, headers: &HeaderMap) -> Result<Self, Problem> {
        params.allow(KNOWN)?;
        let wanted = params.wanted();
        // As typed, not as resolved: `now-1h` is the same search on the next page.
        let bound = format!("{:?}", (&wanted.q, &wanted.levels, &wanted.sources, &wanted.search));
        let order = order(params)?;
        let cursor = params.get("cursor").map(|text| page_cursor(app, text, &bound, order));
        let cursor = cursor.transpose()?;
        let now = cursor.map_or_else(Timestamp::now, |cursor| cursor.now);
        let zone = zone(params)?;
        let time = |name: &str, default: &str| {
            crate::units::instant(params.get(name).unwrap_or(default), now, &zone)
                .map_err(|error| Problem::parameter(name, error))
        };
        let mut search = Search::new(wanted.resolved(now)?.simplify());
        search.from = time("from", "now-15m")?;
        search.to = time("to", "now")?;
        if search.from > search.to {
            return Err(Problem::parameter("from", "lies behind `to`"));
        }
        search.limit = params.number("limit", 100, 1..=10_000)?;
        if let Some(text) = params.get("timeout") {
            let timeout = crate::units::duration(text);
            search.budget =
                timeout.map_err(|error| Problem::parameter("timeout", error))?.min(MAX_TIMEOUT);
        }
        let accepts_lines = headers
            .get(header::ACCEPT)
            .is_some_and(|accept| accept.as_bytes().starts_with(b"application/x-ndjson"));
        let shape = match params.get("shape") {
            None | Some("object") if accepts_lines => Shape::Lines,
            None | Some("object") => Shape::Object,
            Some("array") => Shape::Array,
            Some(other) => {
                let detail = format!("`{other}` is not a shape; expected object or array");
                return Err(Problem::parameter("shape", detail));
            }
        };
        if let Some(cursor) = cursor {
            (search.from, search.to) = (cursor.from, cursor.to);
            search.after = Some(cursor.key);
            search.snapshot = Some(cursor.snapshot);
        }
        let is_backward = cursor.is_some_and(|cursor| cursor.is_backward);
        search.order = match (order, is_backward) {
            (Order::NewestFirst, false) | (Order::OldestFirst, true) => Order::NewestFirst,
            _ => Order::OldestFirst,
        };
        Ok(Self { search, now, order, bound, is_backward, shape })
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
fn page_cursor(app: &App, text: &str, bound: &str, order: Order) -> Result<PageCursor, Problem> {
    app.signer().check(text, bound, order).ok_or_else(|| {
        let detail = "the cursor is damaged, or belongs to another query or order";
        Problem::new(Code::InvalidCursor, detail)
    })
}

fn zone(params: &Params) -> Result<TimeZone, Problem> {
    let Some(name) = params.get("tz") else { return Ok(TimeZone::UTC) };
    TimeZone::get(name)
        .map_err(|_| Problem::parameter("tz", format!("`{name}` is not an IANA time zone")))
}

/// The places around a page.
struct Cursors {
    next: Option<String>,
    previous: Option<String>,
    head: String,
}

impl Cursors {
    fn of(app: &App, asked: &Asked, page: &Page) -> Self {
        let signer = app.signer();
        let sign = |key: Option<PageKey>, is_backward: bool| {
            let cursor = PageCursor {
                key: key?,
                snapshot: asked.search.snapshot.unwrap_or(page.head.seq),
                now: asked.now,
                from: asked.search.from,
                to: asked.search.to,
                is_backward,
            };
            Some(signer.sign(&cursor, &asked.bound, asked.order))
        };
        let is_first_page = asked.search.after.is_none();
        let (first, last) = (page.hits.first().map(Hit::key), page.hits.last().map(Hit::key));
        // An answer that broke off goes on where the looking ended, not where it last found.
        let (first, last) = if asked.is_backward {
            (page.scanned_to.or(first), last)
        } else {
            (first, page.scanned_to.or(last))
        };
        // Paging back, what follows is where we came from, and more may lie before.
        let (has_next, has_previous) =
            if asked.is_backward { (true, page.has_more) } else { (page.has_more, !is_first_page) };
        Self {
            next: sign(last.filter(|_| has_next), false),
            previous: sign(first.filter(|_| has_previous), true),
            head: cursor::live(page.head),
        }
    }
}

/// Everything of the answer but the events.
fn tail(
    page: &Page,
    cursors: &Cursors,
    (from, to): (Timestamp, Timestamp),
    took: Duration,
) -> serde_json::Value {
    let mut tail = json!({
        "next_cursor": cursors.next,
        "prev_cursor": cursors.previous,
        "head_cursor": cursors.head,
        "complete": page.is_complete,
        "range": {"from": from, "to": to},
        "stats": {
            "matched": page.stats.matched,
            "matched_exact": page.stats.matched_exact,
            "scanned_events": page.stats.scanned_events,
            "scanned_bytes": page.stats.scanned_bytes,
            "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        },
    });
    if !page.is_complete
        && let Some(tail) = tail.as_object_mut()
    {
        tail.insert("reason".to_owned(), json!("timeout"));
        let scanned_to = page.scanned_to.map(|key| key.timestamp);
        tail.insert("scanned_to".to_owned(), json!(scanned_to));
    }
    tail
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

fn query_problem(error: &QueryError) -> Problem {
    Problem::new(Code::Overloaded, error.to_string()).retry_after(1)
}
