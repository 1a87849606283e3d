//! Where a live stream begins.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use logmon_core::filter::Filter;
use logmon_core::hub::Start;
use logmon_core::{Order, Page, Position, Search, Store, Timestamp};

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
    since(app, time, filter).await
}

/// Reads a live cursor.
pub(super) fn from_cursor(text: &str) -> Result<Start, Problem> {
    let position = cursor::parse_live(text)
        .ok_or_else(|| Problem::new(Code::InvalidCursor, "the cursor cannot be read"))?;
    Ok(Start::At(position))
}

/// Begins with the `count` newest events that match, as they came in. Where nothing is stored that
/// is none.
pub(super) async fn last(app: &App, count: usize, filter: &Filter) -> Result<Start, Problem> {
    let Some(store) = &app.0.in_journal else { return Ok(Start::Head) };
    let mut search = Search::new(filter.clone());
    search.limit = count.min(MAX_LAST);
    let page = find(store.as_ref(), search).await?;
    let Some(first) = first_of(&page) else { return beginning(&page, None) };
    // These are the newest by their time. One of them may have come long ago, from a clock that is
    // ahead, and others may have come since.
    let first =
        newest(app, Position { seq: first, ..page.head }, page.head.seq, count, filter).await;
    Ok(Start::At(first))
}

/// The longest look at what came since.
const MAX_LOOK: Duration = Duration::from_secs(5);

/// Where the last `count` matching events of the journal between `from` and `end` begin; `from` if
/// the journal cannot tell in time.
async fn newest(app: &App, from: Position, end: u64, count: usize, filter: &Filter) -> Position {
    const READ_BYTES: usize = 256 << 10;
    let began = Instant::now();
    let (mut at, mut last) = (from, VecDeque::new());
    while at.seq < end && began.elapsed() < MAX_LOOK {
        let Ok(Some(group)) = app.0.journal.read(at, READ_BYTES).await else { return from };
        let logs = group.iter().filter(|log| (at.seq..end).contains(&log.seq()));
        for log in logs.filter(|log| filter.matches(log)) {
            if last.len() == count {
                last.pop_front();
            }
            last.push_back(log.seq());
        }
        at.seq = group.end_seq();
    }
    let first = last.front().filter(|_| at.seq >= end);
    Position { seq: first.copied().unwrap_or(from.seq), ..from }
}

/// Begins with the first event to come in whose timestamp is not before `time`; at the head if
/// there is none.
async fn since(app: &App, time: Timestamp, filter: &Filter) -> Result<Start, Problem> {
    let store = app.0.in_journal.as_ref().ok_or_else(|| {
        let detail = "nothing is stored here, so a stream can only begin with what comes next";
        Problem::parameter("from", detail)
    })?;
    let mut search = Search::new(filter.clone());
    (search.scope.from, search.order, search.limit) = (time, Order::OldestFirst, 1_000);
    let began = Instant::now();
    let mut found = None;
    // The oldest need not be the first to have come in: events may be late. What comes before those
    // that were found is looked at until there is nothing more.
    loop {
        let page = find(store.as_ref(), search.clone()).await?;
        let is_over = began.elapsed() >= search.scope.budget;
        match first_of(&page) {
            Some(first) if page.has_more && !is_over => {
                (found, search.scope.snapshot) = (Some(first), Some(first));
            }
            Some(first) if !page.has_more => return beginning(&page, Some(first)),
            Some(_) => return Err(too_long()),
            None => return beginning(&page, found),
        }
    }
}

async fn find(store: &dyn Store, search: Search) -> Result<Page, Problem> {
    let found = store.search(search).await;
    found.map_err(|error| Problem::new(Code::Overloaded, error.to_string()).retry_after(1))
}

/// The least number on a page.
fn first_of(page: &Page) -> Option<u64> {
    page.hits.iter().map(|hit| hit.log().seq()).min()
}

/// Begins at a number of this page, or at the head, if all was looked at.
fn beginning(page: &Page, first: Option<u64>) -> Result<Start, Problem> {
    if page.incomplete.is_some() {
        return Err(too_long());
    }
    Ok(first.map_or(Start::Head, |seq| Start::At(Position { seq, ..page.head })))
}

fn too_long() -> Problem {
    let detail = "looking for where to begin took too long; begin later, or with a cursor";
    Problem::new(Code::Overloaded, detail).retry_after(1)
}
