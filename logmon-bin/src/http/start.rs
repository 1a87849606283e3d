//! Where a live stream begins.

use jiff::tz::TimeZone;
use logmon_core::filter::Filter;
use logmon_core::hub::Start;
use logmon_core::{Order, Position, Search, Timestamp};

use super::problem::{Code, Problem};
use super::{App, cursor};

/// The most events that `last` can ask for.
pub(super) const MAX_LAST: usize = 10_000;

/// Reads `now`, `head`, `oldest`, a cursor, or a time.
pub(super) async fn from_text(app: &App, text: &str, filter: &Filter) -> Result<Start, Problem> {
    match text {
        "now" | "head" => return Ok(Start::Head),
        "oldest" => return Ok(Start::Oldest),
        _ => {}
    }
    if text.starts_with("p1.") {
        let detail = "this is a cursor for pages; a live stream takes `head_cursor`";
        return Err(Problem::new(Code::InvalidCursor, detail));
    }
    if text.starts_with("c1.") {
        return from_cursor(text);
    }
    let time = crate::units::instant(text, Timestamp::now(), &TimeZone::UTC)
        .map_err(|error| Problem::parameter("from", error))?;
    let mut search = Search::new(filter.clone());
    search.from = time;
    first_of(app, search, usize::MAX).await
}

/// Reads a live cursor.
pub(super) fn from_cursor(text: &str) -> Result<Start, Problem> {
    let position = cursor::parse_live(text)
        .ok_or_else(|| Problem::new(Code::InvalidCursor, "the cursor cannot be read"))?;
    Ok(Start::At(position))
}

/// Begins with the `count` newest events that match.
pub(super) async fn last(app: &App, count: usize, filter: &Filter) -> Result<Start, Problem> {
    let search = Search::new(filter.clone());
    first_of(app, search, count).await
}

/// The position of the event with the least number among those that a search finds, newest first;
/// at the head if it finds none.
async fn first_of(app: &App, mut search: Search, count: usize) -> Result<Start, Problem> {
    let store = app.0.store.as_ref().ok_or_else(|| {
        let detail = "nothing is stored here, so a stream can only begin with what comes next";
        Problem::parameter("from", detail)
    })?;
    // A time is looked for from its own end: the oldest event behind it begins the stream.
    (search.order, search.limit) = match count {
        usize::MAX => (Order::OldestFirst, 1),
        count => (Order::NewestFirst, count.min(MAX_LAST)),
    };
    let page = store
        .search(search)
        .await
        .map_err(|error| Problem::new(Code::Overloaded, error.to_string()).retry_after(1))?;
    let first = page.hits.iter().map(|hit| hit.key().seq).min();
    Ok(first.map_or(Start::Head, |seq| Start::At(Position { seq, ..page.head })))
}
