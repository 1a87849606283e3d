//! What queries cost over what was sent.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use logmon_benches::corpus::{COMMON_WORD, RARE_WORD};
use serde_json::Value;

use super::load::Load;
use super::server::Server;

/// A query is repeated until it took so much CPU time in all, so that one costs what is told to
/// within some percent; and at least this often.
const ENOUGH: Duration = Duration::from_millis(400);
const LEAST: u32 = 3;
const MOST: u32 = 300;

/// One line of the table.
struct Query {
    name: &'static str,
    path: &'static str,
    pairs: Vec<(&'static str, String)>,
}

/// Measures each query and prints a table.
pub(crate) fn run(server: &Server, load: &Load) -> anyhow::Result<()> {
    println!("\n| query | CPU ms | wall ms | found |\n|---|---|---|---|");
    for mut query in queries(server, load)? {
        query.pairs.push(("timeout", "60s".to_owned()));
        measure(server, &query)?;
    }
    Ok(())
}

fn queries(server: &Server, load: &Load) -> anyhow::Result<Vec<Query>> {
    let (from, to) = (load.from.to_string(), load.to.to_string());
    let whole = || vec![("from", from.clone()), ("to", to.clone())];
    let search = |name, q: &str| {
        let mut pairs = whole();
        pairs.push(("q", q.to_owned()));
        Query { name, path: "/api/logs", pairs }
    };
    let stats = |name, path, more: &[(&'static str, &str)]| {
        let mut pairs = whole();
        pairs.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        Query { name, path, pairs }
    };
    let first = server.get("/api/logs", &pairs_of(&search("", "")))?;
    let text = |pointer: &str| first.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let source = text("/logs/0/source").context("no event was found")?;
    let request = text("/logs/0/metadata/request_id").context("no request was found")?;
    let conjunction = format!("level:error source:{source} {COMMON_WORD}");
    Ok(vec![
        search("latest 100", ""),
        search("level:error, newest 100", "level:error"),
        search("level:trace, newest 100", "level:trace"),
        search("one source, newest 100", &format!("source:{source}")),
        search("common word, newest 100", COMMON_WORD),
        search("rare word", RARE_WORD),
        search("absent word", "qqabsentqq"),
        search("phrase, newest 100", "\"health check\""),
        page_in_the_middle(server, load)?,
        search("error + source + common word", &conjunction),
        search("rare substring", "*yxquoru*"),
        search("absent regular expression", "/zz[0-9]{3}qq/"),
        search("one request id", &format!("request_id:{request}")),
        search("user_id:42, newest 100", "user_id:42"),
        stats("count of all", "/api/stats/count", &[]),
        stats("count of a common word", "/api/stats/count", &[("q", COMMON_WORD)]),
        stats(
            "histogram 60 x level",
            "/api/stats/histogram",
            &[("by", "level"), ("buckets", "60"), ("step", "1m")],
        ),
        stats("top 10 sources", "/api/stats/top", &[("field", "source"), ("n", "10")]),
    ])
}

fn page_in_the_middle(server: &Server, load: &Load) -> anyhow::Result<Query> {
    let middle = i64::midpoint(load.from.as_nanos(), load.to.as_nanos());
    let middle = logmon_core::Timestamp::from_nanos(middle).to_string();
    let from = load.from.to_string();
    let first = server.get("/api/logs", &[("from", &from), ("to", &middle)])?;
    let cursor = first.pointer("/next_cursor").and_then(Value::as_str).context("no next page")?;
    let pairs = vec![("cursor", cursor.to_owned())];
    Ok(Query { name: "next page, in the middle", path: "/api/logs", pairs })
}

fn pairs_of(query: &Query) -> Vec<(&str, &str)> {
    query.pairs.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

fn measure(server: &Server, query: &Query) -> anyhow::Result<()> {
    let pairs = pairs_of(query);
    // Once beforehand, so that what is read is in memory.
    let found = server.get(query.path, &pairs).with_context(|| query.name)?;
    let (before, began) = (server.cpu()?, Instant::now());
    let mut runs = 0;
    while runs < LEAST || (server.cpu_since(before)? < ENOUGH && runs < MOST) {
        server.get(query.path, &pairs)?;
        runs += 1;
    }
    let (cpu, wall) = (server.cpu_since(before)? / runs, began.elapsed() / runs);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("| {} | {:.2} | {:.2} | {} |", query.name, ms(cpu), ms(wall), told(&found));
    Ok(())
}

/// What the answer says of itself, short.
fn told(answer: &Value) -> String {
    let whole = if answer["complete"] == true { "" } else { ", incomplete" };
    let hits = answer["logs"].as_array().map(|logs| logs.len().to_string());
    let count = answer["count"].as_u64().map(|count| count.to_string());
    let matched = || answer.pointer("/stats/matched").map_or_else(String::new, Value::to_string);
    format!("{}{whole}", hits.or(count).unwrap_or_else(matched))
}
