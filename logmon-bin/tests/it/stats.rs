//! Statistics, fields and neighbourhoods over HTTP, against a plain computation over what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::{self, EVER};
use crate::support::random::Random;
use crate::support::server::{Home, Server};
use crate::support::until;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// The first of the events, in Unix seconds: 2026-01-02T03:04:05Z.
const FIRST: i64 = 1_767_323_045;
/// All of them, and an hour more.
const RANGE: &str = "from=1767323045&to=1767326645";

/// An event as it was sent.
#[derive(Clone, Debug)]
struct Sent {
    n: usize,
    time: i64,
    level: Option<&'static str>,
    source: Option<&'static str>,
    user: String,
    bytes: Option<u64>,
    tags: Vec<&'static str>,
}

/// Events with few times, some without a level, a source or bytes, more users than a chart has
/// series, and arrays.
fn events(count: usize) -> Vec<Sent> {
    let levels = [Some("INFO"), Some("ERROR"), None, Some("INFO"), Some("WARN")];
    let sources = [Some("web"), Some("billing-api"), None, Some("web")];
    let event = |n: usize| Sent {
        n,
        time: FIRST + i64::try_from(n / 7 % 60).unwrap(),
        level: levels[n % levels.len()],
        source: sources[n / 3 % sources.len()],
        user: format!("u-{}", n % 4 * (n % 9)),
        bytes: (!n.is_multiple_of(3)).then(|| u64::try_from(n).unwrap() * 10),
        tags: ["slow", "slow", "big", "new"].iter().copied().take(n % 5).collect(),
    };
    (0..count).map(event).collect()
}

fn send(server: &Server, events: &[Sent]) {
    let line = |event: &Sent| {
        let mut record = json!({
            "time": event.time, "message": format!("request {} done", event.n),
            "user": event.user, "http": {"tags": event.tags},
        });
        for (name, value) in [
            ("level", json!(event.level)),
            ("source", json!(event.source)),
            ("bytes", json!(event.bytes)),
        ] {
            if !value.is_null() {
                record[name] = value;
            }
        }
        record.to_string()
    };
    let body: Vec<String> = events.iter().map(line).collect();
    server.post("/api/logs", LINES, body.join("\n")).ok();
}

/// A server with events, and the events.
fn filled(home: &Home) -> (Server, Vec<Sent>) {
    let server = home.start();
    let events = events(600);
    send(&server, &events);
    (server, events)
}

/// Of small numbers.
fn share<N: TryInto<u32>>(part: N, whole: N) -> f64 {
    let number = |n: N| f64::from(n.try_into().ok().unwrap());
    number(part) / number(whole)
}

fn counted<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// What every complete answer says of itself.
fn whole(answer: &Value) {
    assert_eq!(answer["complete"], true, "{answer}");
    assert!(answer["range"]["from"].is_string() && answer["range"]["to"].is_string(), "{answer}");
    assert!(answer["stats"]["scanned_bytes"].is_u64(), "{answer}");
    assert_eq!((&answer["stats"]["damaged"], &answer["approximate"]), (&json!(0), &Value::Null));
}

fn ask(server: &Server, path: &str) -> Value {
    let answer = server.get(path).ok();
    whole(&answer);
    answer
}

#[test]
fn counts_are_those_of_what_was_sent() {
    let home = Home::new();
    let (server, events) = filled(&home);
    let count = |query: &str| ask(&server, &format!("/api/stats/count?{query}"))["count"].clone();
    let naive = |wanted: &dyn Fn(&Sent) -> bool| json!(events.iter().filter(|e| wanted(e)).count());
    assert_eq!(count(RANGE), json!(600));
    assert_eq!(count(""), json!(0), "nothing of the last quarter of an hour");
    assert_eq!(count(&format!("{RANGE}&level=error")), naive(&|e| e.level == Some("ERROR")));
    let of_both = format!("{RANGE}&q=-source:web&level=none");
    assert_eq!(count(&of_both), naive(&|e| e.source != Some("web") && e.level.is_none()));
    let (from, to) = (FIRST + 10, FIRST + 20);
    let in_range = |e: &Sent| (from..to).contains(&e.time);
    assert_eq!(count(&format!("from={from}&to={to}")), naive(&in_range));
    // By one field and by two; what an event does not have is not among its values.
    let answer = ask(&server, &format!("/api/stats/count?{RANGE}&by=level,source"));
    let expected = counted(events.iter().map(|e| (e.level, e.source)));
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len());
    for row in rows {
        let key = (row["values"]["level"].as_str(), row["values"]["source"].as_str());
        assert_eq!(row["count"], expected[&key], "{row}");
    }
    // An array counts once for each of its values.
    let answer = ask(&server, &format!("/api/stats/count?{RANGE}&by=http.tags&n=2"));
    let tags = events.iter().flat_map(|e| e.tags.iter().collect::<BTreeSet<_>>());
    let expected = counted(tags);
    assert_eq!(
        answer["rows"][0],
        json!({"values": {"http.tags": "slow"}, "count": expected[&"slow"]})
    );
    let none = events.iter().filter(|e| e.tags.is_empty()).count() as u64;
    let shown: u64 =
        answer["rows"].as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum();
    assert_eq!(shown + answer["other"].as_u64().unwrap(), expected.values().sum::<u64>() + none);
}

/// `HEAD` tells the number and nothing else.
#[test]
fn head_counts() {
    let home = Home::new();
    let (server, _) = filled(&home);
    let path = format!("/api/logs?{RANGE}&level=error");
    let response = http::request(server.http, "HEAD", &path, &[], b"");
    assert_eq!((response.status, response.header("x-total-count")), (200, "120"));
    assert_eq!(response.header("x-complete"), "true");
}

#[test]
fn a_histogram_has_each_event_in_its_bucket() {
    let home = Home::new();
    let (server, events) = filled(&home);
    let path = format!("/api/stats/histogram?from={FIRST}&to={}", FIRST + 120);
    let answer = ask(&server, &format!("{path}&step=10s&by=level"));
    assert_eq!(
        (&answer["step"], &answer["from"]),
        (&json!("10s"), &json!("2026-01-02T03:04:00.000000000Z"))
    );
    assert_eq!(answer["keys"], json!(["ERROR", "WARN", "INFO", null]), "the severest first");
    let starts: Vec<i64> =
        answer["t"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect();
    assert_eq!(starts, (0..13).map(|at| FIRST - 5 + at * 10).collect::<Vec<_>>());
    for (key, level) in [Some("ERROR"), Some("WARN"), Some("INFO"), None].into_iter().enumerate() {
        for (at, start) in starts.iter().enumerate() {
            let of_bucket = |e: &&Sent| e.level == level && (*start..start + 10).contains(&e.time);
            let expected = events.iter().filter(of_bucket).count();
            assert_eq!(answer["v"][key][at], expected, "{level:?} at {start}");
        }
    }
    // More values than series: the most frequent twelve, and the others together.
    let answer = ask(&server, &format!("{path}&by=user"));
    let expected = counted(events.iter().map(|e| e.user.clone()));
    assert!(expected.len() > 12, "{expected:?}");
    assert_eq!(answer["keys"].as_array().unwrap().len(), 12);
    let sum = |series: &Value| {
        series.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>()
    };
    let mut series = 0;
    for (key, counts) in
        answer["keys"].as_array().unwrap().iter().zip(answer["v"].as_array().unwrap())
    {
        assert_eq!(sum(counts), expected[key.as_str().unwrap()], "{key}");
        series += sum(counts);
    }
    assert_eq!(series + sum(&answer["other"]), 600);
    // Without a field there is one series; the step is chosen so that there are not too many.
    let answer = ask(&server, &format!("{path}&buckets=10"));
    assert_eq!((&answer["step"], &answer["keys"]), (&json!("20s"), &json!(["all"])));
    assert_eq!(sum(&answer["v"][0]), 600);
    let nothing = ask(&server, "/api/stats/histogram?from=0&to=100&step=20s");
    assert_eq!(
        (&nothing["v"], &nothing["t"]),
        (&json!([[0, 0, 0, 0, 0]]), &json!([0, 20, 40, 60, 80]))
    );
    // Days are those of the time zone.
    let days = ask(&server, &format!("{path}&step=day&tz=Asia/Tokyo"));
    assert_eq!(days["from"], "2026-01-01T15:00:00.000000000Z");
}

#[test]
fn the_top_values_are_the_most_frequent_ones() {
    let home = Home::new();
    let (server, events) = filled(&home);
    let answer = ask(&server, &format!("/api/stats/top?{RANGE}&field=source&n=1"));
    let of_web: Vec<&Sent> = events.iter().filter(|e| e.source == Some("web")).collect();
    let row = &answer["rows"][0];
    assert_eq!((&row["value"], &row["count"]), (&json!("web"), &json!(of_web.len())));
    assert_eq!(row["share"], share(of_web.len(), 600));
    assert_eq!(row["first_seen"], "2026-01-02T03:04:05.000000000Z");
    let last = of_web.iter().map(|e| e.time).max().unwrap() - FIRST;
    assert_eq!(row["last_seen"], format!("2026-01-02T03:05:{:02}.000000000Z", last + 5 - 60));
    let spark: Vec<u64> =
        row["spark"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(
        (spark.len(), spark.iter().sum::<u64>(), spark[0]),
        (24, of_web.len() as u64, of_web.len() as u64)
    );
    let billing = events.iter().filter(|e| e.source == Some("billing-api")).count();
    let missing = events.iter().filter(|e| e.source.is_none()).count();
    assert_eq!(answer["distinct"], 2);
    assert_eq!((&answer["other"], &answer["missing"]), (&json!(billing), &json!(missing)));
    // By a sum, which orders otherwise than the count.
    let answer = ask(&server, &format!("/api/stats/top?{RANGE}&field=user&by=sum:bytes&n=5"));
    let mut sums = BTreeMap::<&str, u64>::new();
    events.iter().for_each(|e| *sums.entry(&e.user).or_default() += e.bytes.unwrap_or(0));
    let mut expected: Vec<(u64, &str)> = sums.iter().map(|(user, sum)| (*sum, *user)).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let total: u64 = sums.values().sum();
    for (row, (sum, user)) in answer["rows"].as_array().unwrap().iter().zip(expected) {
        assert_eq!((row["value"].as_str(), row["sum"].as_f64()), (Some(user), Some(share(sum, 1))));
        assert_eq!(row["share"], share(sum, total));
    }
}

#[test]
fn a_facet_counts_what_its_own_selection_hides() {
    let home = Home::new();
    let (server, events) = filled(&home);
    let query =
        format!("/api/stats/facets?{RANGE}&q=source:web&level=error&fields=level,source,user");
    let answer = ask(&server, &query);
    let facets = answer["facets"].as_array().unwrap();
    let counts = |facet: &Value| -> BTreeMap<String, u64> {
        let rows = facet["rows"].as_array().unwrap().iter();
        rows.map(|row| (row["value"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap()))
            .collect()
    };
    let (of_web, is_error) =
        (|e: &&Sent| e.source == Some("web"), |e: &&Sent| e.level == Some("ERROR"));
    let owned = |text: Option<&'static str>| text.map(str::to_owned);
    let levels = counted(events.iter().filter(of_web).filter_map(|e| owned(e.level)));
    let sources = counted(events.iter().filter(is_error).filter_map(|e| owned(e.source)));
    let users = counted(events.iter().filter(of_web).filter(is_error).map(|e| e.user.clone()));
    assert_eq!((&facets[0]["field"], counts(&facets[0])), (&json!("level"), levels));
    assert_eq!((&facets[1]["field"], counts(&facets[1])), (&json!("source"), sources));
    let most = users.values().max().unwrap();
    assert_eq!(facets[2]["rows"][0]["count"], *most);
    assert_eq!(facets[2]["distinct"], users.len());
    let both = events.iter().filter(of_web).filter(is_error).count();
    assert_eq!(answer["stats"]["matched"], both);
    // Without names: what tells events apart by few values. The bytes are of too many.
    let picked = ask(&server, &format!("/api/stats/facets?{RANGE}"));
    let names: Vec<_> = picked["facets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|facet| facet["field"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["level", "source", "tag", "user", "http.tags"]);
}

#[test]
fn fields_and_their_values_are_listed() {
    let home = Home::new();
    let (server, events) = filled(&home);
    server
        .post(
            "/api/logs",
            JSON,
            json!({"time": FIRST, "metadata": {"level": 9, "x": true}}).to_string(),
        )
        .ok();
    let answer = ask(&server, &format!("/api/fields?{RANGE}"));
    let field = |name: &str| {
        let found = answer["fields"].as_array().unwrap().iter().find(|field| field["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {answer}")).clone()
    };
    assert_eq!(field("user"), json!({"name": "user", "kinds": ["text"], "events": 600}));
    let with_bytes = events.iter().filter(|e| e.bytes.is_some()).count();
    assert_eq!(field("bytes"), json!({"name": "bytes", "kinds": ["number"], "events": with_bytes}));
    assert_eq!(
        field("metadata.level"),
        json!({"name": "metadata.level", "kinds": ["number"], "events": 1})
    );
    assert_eq!(field("timestamp"), json!({"name": "timestamp", "kinds": ["time"]}));
    let values = ask(&server, &format!("/api/fields/source/values?{RANGE}"));
    let web = events.iter().filter(|e| e.source == Some("web")).count();
    assert_eq!(values["values"][0], json!({"value": "web", "count": web}));
    let values = ask(&server, &format!("/api/fields/source/values?{RANGE}&prefix=BILL"));
    assert_eq!(values["values"].as_array().unwrap().len(), 1);
    let values = ask(&server, &format!("/api/fields/metadata.level/values?{RANGE}"));
    assert_eq!(values["values"], json!([{"value": 9, "count": 1}]));
    let tags = ask(&server, &format!("/api/fields/http.tags/values?{RANGE}&n=1"));
    assert_eq!(tags["values"][0]["value"], "slow");
}

#[test]
fn a_body_asks_the_same_as_an_address() {
    let home = Home::new();
    let (server, _) = filled(&home);
    let (from, to) = (FIRST, FIRST + 3600);
    let body = json!({"from": from, "to": to, "q": "source:web", "level": ["error", "warn"]});
    let address = format!("{RANGE}&q=source:web&level=error&level=warn");
    for (path, more) in [
        ("count", json!({"by": "user"})),
        ("histogram", json!({"by": "level", "step": "1m"})),
        ("top", json!({"field": "user", "n": 3})),
        ("facets", json!({"fields": "level,source"})),
    ] {
        let mut body = body.as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        let mut query = address.clone();
        for (name, value) in more.as_object().unwrap() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            query = format!("{query}&{name}={value}");
        }
        let strip = |mut answer: Value| {
            whole(&answer);
            answer["stats"]["took_ms"] = Value::Null;
            answer
        };
        let posted = server.post(&format!("/api/stats/{path}"), JSON, json!(body).to_string()).ok();
        let got = server.get(&format!("/api/stats/{path}?{query}")).ok();
        assert_eq!(strip(posted), strip(got), "{path}");
    }
    let mut search = body.as_object().unwrap().clone();
    search.insert("limit".to_owned(), json!(7));
    let posted = server.post("/api/logs/query", JSON, json!(search).to_string()).ok();
    let got = server.get(&format!("/api/logs?{address}&limit=7")).ok();
    assert_eq!((posted["logs"].as_array().unwrap().len(), &posted["logs"]), (7, &got["logs"]));
    let long = format!("{{\"q\": \"{}\"}}", "x ".repeat(600_000));
    server.post("/api/stats/count", JSON, long).problem(413, "payload_too_large");
    server.post("/api/stats/count", JSON, "{").problem(400, "invalid_body");
    server.post("/api/stats/count", "text/plain", "q=x").problem(415, "unsupported_media");
}

/// Parameters that every question has, wrong.
const WRONG: &[(&str, &str)] = &[
    ("from=5&to=4", "from"),
    ("from=9999999-01-01T00:00:00Z", "from"),
    ("to=99999999999999999999", "to"),
    ("level=loud", "level"),
    ("tz=Mars/Olympus", "tz"),
    ("timeout=soon", "timeout"),
    ("fom=5", "fom"),
];

/// Parameters of one question, wrong.
const WRONG_OF: &[(&str, &[(&str, &str)])] = &[
    ("/api/stats/count", &[("by=timestamp", "by"), ("by=a,b,c,d,e", "by"), ("n=0", "n")]),
    (
        "/api/stats/histogram",
        &[
            ("step=fast", "step"),
            ("step=1s&from=0&to=now", "step"),
            ("buckets=0", "buckets"),
            ("buckets=1001", "buckets"),
            ("by=received", "by"),
        ],
    ),
    (
        "/api/stats/top",
        &[
            ("n=5", "field"),
            ("field=a&n=-1", "n"),
            ("field=a&n=18446744073709551616", "n"),
            ("field=a&by=mean", "by"),
            ("field=a&by=sum:", "by"),
            ("field=a&by=sum:level", "by"),
        ],
    ),
    ("/api/stats/facets", &[("fields=received", "fields"), ("n=101", "n")]),
    ("/api/fields", &[("n=5", "n")]),
    ("/api/fields/user/values", &[("n=0", "n")]),
    (
        "/api/logs/{id}/context",
        &[
            ("before=1001", "before"),
            ("after=-1", "after"),
            ("scope=x", "scope"),
            ("scope=field:", "scope"),
        ],
    ),
];

/// R-068, R-069: every wrong parameter is named, whatever is asked.
#[test]
fn wrong_parameters_of_statistics_are_named() {
    let home = Home::new();
    let (server, _) = filled(&home);
    let id = server.everything()[0].id.clone();
    let refused = |path: &str, query: &str, name: &str| {
        let problem = server.get(&format!("{path}?{query}")).problem(400, "invalid_parameter");
        assert_eq!(problem["errors"][0]["parameter"], name, "{path} {problem}");
    };
    for (path, of_path) in WRONG_OF {
        let path = path.replace("{id}", &id);
        let must = if path.ends_with("top") { "field=a&" } else { "" };
        WRONG.iter().for_each(|(query, name)| refused(&path, &format!("{must}{query}"), name));
        of_path.iter().for_each(|(query, name)| refused(&path, query, name));
        let problem = server.get(&format!("{path}?{must}q=level:")).problem(400, "query_syntax");
        assert_eq!(problem["position"]["offset"], 6);
    }
    refused(&format!("/api/fields/{}/values", "x".repeat(513)), "", "name");
    refused("/api/logs/nonsense/context", "", "id");
    let context = format!("/api/logs/{id}/context");
    server.get(&format!("{context}?cursor=p1.AAAA")).problem(400, "invalid_cursor");
    let epoch = id.split_at(14).0;
    server.get(&format!("/api/logs/{epoch}ffffffffff/context")).problem(404, "not_found");
}

/// An answer without time to look says so.
#[test]
fn what_is_not_complete_is_told() {
    let home = Home::new();
    let (server, _) = filled(&home);
    for path in [
        "stats/count?",
        "stats/histogram?",
        "stats/top?field=user&",
        "stats/facets?fields=user&",
        "fields?",
        "fields/user/values?",
        "logs?",
    ] {
        let answer = server.get(&format!("/api/{path}{RANGE}&timeout=0s")).ok();
        assert_eq!(
            (&answer["complete"], &answer["reason"]),
            (&json!(false), &json!("timeout")),
            "{path}"
        );
        assert_eq!(answer["stats"]["matched_exact"], false, "{path}");
    }
    let head =
        http::request(server.http, "HEAD", &format!("/api/logs?{RANGE}&timeout=0s"), &[], b"");
    assert_eq!(head.header("x-complete"), "false");
}

/// Where nothing is kept there is nothing to count, and that is the whole truth.
#[test]
fn without_a_store_there_is_nothing() {
    let home = Home::new();
    let server = home.start_with(|command| {
        command.args(["--store", "none"]);
    });
    send(&server, &events(10));
    assert_eq!(ask(&server, &format!("/api/stats/count?{EVER}"))["count"], 0);
    assert_eq!(ask(&server, &format!("/api/stats/top?{EVER}&field=user"))["rows"], json!([]));
    assert_eq!(ask(&server, &format!("/api/fields?{EVER}"))["others"], 0);
}

/// Enough events for some blocks, and some that are in none.
fn with_blocks(home: &Home) -> (Server, Vec<Sent>) {
    let server = home.start();
    let events = events(20_000);
    events.chunks(4_000).for_each(|events| send(&server, events));
    until("blocks", || {
        let figures = server.get("/health").json()["figures"]["store"].clone();
        (figures["events"].as_u64().unwrap() >= 16_384).then_some(())
    });
    (server, events)
}

/// What is in blocks is counted with what is not, after a restart too, and by whichever store.
#[test]
fn events_in_blocks_count_like_others() {
    let home = Home::new();
    let (mut server, events) = with_blocks(&home);
    let of_level = counted(events.iter().map(|e| e.level));
    let of_user = counted(events.iter().map(|e| e.user.as_str()));
    let most = of_user.values().max().unwrap();
    for kind in ["local", "local", "journal"] {
        let answer = ask(&server, &format!("/api/stats/count?{RANGE}&by=level"));
        assert_eq!(answer["count"], 20_000, "{kind}");
        for row in answer["rows"].as_array().unwrap() {
            assert_eq!(row["count"], of_level[&row["values"]["level"].as_str()], "{kind} {row}");
        }
        let top = ask(&server, &format!("/api/stats/top?{RANGE}&field=user"));
        assert_eq!(
            (&top["rows"][0]["count"], &top["distinct"]),
            (&json!(most), &json!(of_user.len()))
        );
        let query = format!("{RANGE}&q=http.tags:big+bytes%3E=100000");
        let wanted = |e: &&Sent| e.tags.contains(&"big") && e.bytes.is_some_and(|b| b >= 100_000);
        let expected = events.iter().filter(wanted).count();
        assert_eq!(ask(&server, &format!("/api/stats/count?{query}"))["count"], expected, "{kind}");
        let fields = ask(&server, &format!("/api/fields?{RANGE}"));
        let is_user = |field: &&Value| field["name"] == "user";
        assert_eq!(
            fields["fields"].as_array().unwrap().iter().find(is_user).unwrap()["events"],
            20_000
        );
        assert_eq!(server.page("limit=10000").logs.len(), 10_000);
        server.end();
        server = home.start_with(|command| {
            command.args(["--store", if kind == "local" { "local" } else { "journal" }]);
        });
        if kind == "journal" {
            assert_eq!(ask(&server, &format!("/api/stats/count?{RANGE}"))["count"], 20_000);
        }
    }
}

/// A damaged block costs its own events, and every answer that lacks them says so.
#[test]
fn a_damaged_block_is_told() {
    let home = Home::new();
    let (server, _) = with_blocks(&home);
    server.end();
    let folder = home.data_dir().join("store");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files.filter(|file| file.extension().is_some_and(|ending| ending == "blk")).max();
    let file = file.unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle..middle + 2_000].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&file, bytes).unwrap();
    let server = home.start();
    for path in ["stats/count?by=user&", "stats/histogram?by=user&", "logs?order=asc&limit=10000&"]
    {
        let answer = server.get(&format!("/api/{path}{RANGE}")).ok();
        assert_eq!(
            (&answer["complete"], &answer["reason"]),
            (&json!(false), &json!("damaged")),
            "{path} {answer}"
        );
        assert!(answer["stats"]["damaged"].as_u64().unwrap() > 0);
    }
    let count =
        server.get(&format!("/api/stats/count?{RANGE}&by=user")).ok()["count"].as_u64().unwrap();
    assert!((1..20_000).contains(&count), "the others are counted: {count}");
    let mut search = home.logmon();
    let search =
        search.args(["search", "--from", "0", "--limit", "30000", "--url", &server.url()]).output();
    let said = String::from_utf8(search.unwrap().stderr).unwrap();
    assert!(said.contains("cannot be read"), "{said}");
}

/// The ids of a list of events.
fn ids(answer: &Value) -> Vec<String> {
    let logs = answer["logs"].as_array().unwrap().iter();
    logs.map(|log| log["id"].as_str().unwrap().to_owned()).collect()
}

/// What is around an event, in the order of time and number, also where many have one time, and
/// also while events arrive.
#[test]
fn the_context_of_an_event_is_what_is_next_to_it() {
    let home = Home::new();
    let (server, _) = filled(&home);
    let mut all = server.everything();
    all.reverse();
    let anchor = &all[300];
    assert_eq!(all[299].timestamp, anchor.timestamp, "a tie");
    for (scope, belongs) in [
        ("all", Box::new(|_: &http::Found| true) as Box<dyn Fn(&http::Found) -> bool>),
        ("source", Box::new(|found| found.source == anchor.source)),
        ("field:user", Box::new(|found| found.metadata["user"] == anchor.metadata["user"])),
        ("field:bytes", Box::new(|found| found.metadata["bytes"] == anchor.metadata["bytes"])),
        ("field:absent", Box::new(|_| true)),
    ] {
        let near: Vec<String> =
            all.iter().filter(|found| belongs(found)).map(|found| found.id.clone()).collect();
        let at = near.iter().position(|id| *id == anchor.id).unwrap();
        let path = format!("/api/logs/{}/context?scope={scope}", anchor.id);
        let answer = ask(&server, &format!("{path}&before=5&after=3"));
        let expected = &near[at.saturating_sub(5)..near.len().min(at + 4)];
        assert_eq!(ids(&answer), expected, "{scope}");
        let marked: Vec<_> =
            answer["logs"].as_array().unwrap().iter().filter(|log| log["anchor"] == true).collect();
        assert_eq!((marked.len(), marked[0]["id"].as_str()), (1, Some(anchor.id.as_str())));
        // On to both ends, while others come.
        let (mut shown, mut before, mut after) =
            (ids(&answer), answer["prev_cursor"].clone(), answer["next_cursor"].clone());
        send(&server, &events(20));
        while let Some(cursor) = before.as_str() {
            let page = ask(&server, &format!("{path}&before=50&cursor={cursor}"));
            shown.splice(0..0, ids(&page));
            before = page["prev_cursor"].clone();
        }
        while let Some(cursor) = after.as_str() {
            let page = ask(&server, &format!("{path}&after=70&cursor={cursor}"));
            shown.extend(ids(&page));
            after = page["next_cursor"].clone();
        }
        let known: Vec<String> = shown.into_iter().filter(|id| near.contains(id)).collect();
        assert_eq!(known, near, "{scope}");
    }
    // The default is the same source, twenty on each side.
    let answer = ask(&server, &format!("/api/logs/{}/context", anchor.id));
    assert!(
        answer["logs"].as_array().unwrap().iter().all(|log| log["source"] == json!(anchor.source))
    );
    assert_eq!(answer["logs"].as_array().unwrap().len(), 41);
    let other = format!(
        "/api/logs/{}/context?scope=all&cursor={}",
        anchor.id,
        answer["next_cursor"].as_str().unwrap()
    );
    server.get(&other).problem(400, "invalid_cursor");
}

/// R-070: whoever hangs up frees the place of the query, long before the query would end.
#[test]
fn a_reader_who_hangs_up_cancels_the_query() {
    let home = Home::new();
    let server = home.start();
    // Lines on which this pattern is slow, though its time is bounded: alone it takes many seconds.
    let mut random = Random::from_seed(7);
    for _ in 0..8 {
        let mut line = || {
            let letters = (0..100).map(|_| if random.below(2) == 0 { 'a' } else { 'b' });
            json!({"time": FIRST, "message": letters.collect::<String>()}).to_string()
        };
        let lines: Vec<String> = (0..1_000).map(|_| line()).collect();
        server.post("/api/logs", LINES, lines.join("\n")).ok();
    }
    let slow = format!("/api/stats/count?{RANGE}&timeout=60s&q=%2Fa%5Bab%5D%7B50%7Dc%2F");
    let ask = || {
        let mut stream = TcpStream::connect(server.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "GET {slow} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream
    };
    let figure = |name: &str| {
        let text = server.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse::<u64>().unwrap())
    };
    let readers: Vec<TcpStream> = (0..4).map(|_| ask()).collect();
    until("four queries", || (figure("logmon_query_inflight") == 4).then_some(()));
    // All places are taken.
    server.get(&format!("/api/stats/count?{RANGE}")).problem(503, "overloaded");
    drop(readers);
    until("a place", || {
        let answer = server.get(&format!("/api/stats/count?{RANGE}"));
        (answer.status == 200).then_some(())
    });
    let cancelled = "logmon_query_requests_total{endpoint=\"count\",outcome=\"cancelled\"}";
    assert_eq!(figure(cancelled), 4);
    assert_eq!(figure("logmon_query_inflight"), 0);
}

/// R-077: figures are well formed and few, whatever comes in and however often they are asked for.
#[test]
fn metrics_are_well_formed_and_bounded() {
    let home = Home::new();
    let (server, _) = filled(&home);
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    server.get(&format!("/api/stats/count?{RANGE}"));
    let before = server.get("/metrics");
    assert!(before.header("content-type").starts_with("text/plain; version=0.0.4"));
    let odd =
        json!({"source": "a\"b\nc", "level": "\\\"\n", "message": "x", "a\"b\n": 1}).to_string();
    server.post("/api/logs", JSON, odd).ok();
    for n in 0..50 {
        server.get(&format!("/api/stats/top?field=f{n}%22%0A&from=0"));
        server.get(&format!("/no/such/{n}"));
    }
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(server.get("/metrics").status, 200)));
        }
    });
    let text = server.get("/metrics").text();
    // The new endpoint has its outcome, its buckets, sum and count.
    assert!(series(&text) <= series(&before.text()) + 20, "{text}");
    let mut kinds = BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(kinds.insert(name, kind).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = name.split('{').next().unwrap();
            let ends = ["_bucket", "_sum", "_count"];
            let of_histogram = ends.iter().find_map(|end| name.strip_suffix(end));
            let is_told = kinds.contains_key(name)
                || of_histogram.is_some_and(|name| kinds.get(name) == Some(&"histogram"));
            assert!(is_told, "{line}");
        }
    }
    for name in [
        "logmon_build_info",
        "logmon_start_time_seconds",
        "logmon_journal_bytes",
        "logmon_journal_head_seq",
        "logmon_ingest_events_total",
        "logmon_query_inflight",
        "logmon_query_scanned_bytes_total",
    ] {
        assert!(kinds.contains_key(name), "{name}");
    }
    let open = [("Accept", "application/openmetrics-text; version=1.0.0")];
    let open = http::request(server.http, "GET", "/metrics", &open, b"");
    assert!(open.header("content-type").starts_with("application/openmetrics-text"));
    assert!(open.text().ends_with("# EOF\n"));
}

/// The books balance, also over a restart, and the totals of the journal and the store outlive it.
#[test]
fn the_books_balance() {
    let home = Home::new();
    let (mut server, _) = filled(&home);
    let balanced = |server: &Server| {
        let books = until("the books to balance", || {
            let books = server.get("/api/ledger").ok();
            let parts = ["/intake/forward", "/intake/http", "/journal", "/store", "/outputs/0"];
            let is_even = |part: &&str| books.pointer(part).is_none_or(|part| part["residue"] == 0);
            parts.iter().all(is_even).then_some(books)
        });
        assert_eq!(books["outputs"][0]["cursor"], "store", "{books}");
        assert_eq!(books["journal"]["appended"], books["journal"]["kept"]);
        books
    };
    server.post("/api/logs", JSON, r#"[{"message": "good"}, 17]"#);
    server.post("/api/logs", JSON, "{");
    let books = balanced(&server);
    let http = &books["intake"]["http"];
    assert_eq!(
        (&http["received"], &http["appended"], &http["refused"]),
        (&json!(603), &json!(601), &json!(2))
    );
    assert_eq!(books["journal"]["appended"], 601);
    for is_killed in [true, false] {
        if is_killed {
            server.kill();
        } else {
            server.end();
        }
        server = home.start();
        let books = balanced(&server);
        assert_eq!(books["intake"]["http"]["received"], 0, "since the start");
        assert_eq!(books["journal"]["appended"], 601, "over all starts");
    }
    let text = server.get("/metrics").text();
    assert!(text.contains("logmon_ledger_events{state=\"kept\"} 601\n"), "{text}");
}

/// `logmon stats` asks the same over HTTP and draws the answer.
#[test]
fn the_command_line_draws_statistics() {
    let home = Home::new();
    let (server, events) = filled(&home);
    let run = |args: &[&str]| {
        let mut command = home.logmon();
        command.arg("stats").args(args).args(["--url", &server.url()]).env("COLUMNS", "80");
        command.args(["--from", "1767323045", "--to", "1767323105"]).output().unwrap()
    };
    let text = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(text(&["count", "level:error"]), "120\n");
    let of_level = |level| events.iter().filter(|e| e.level == level).count();
    let by_level = text(&["count", "--by", "level"]);
    let first = by_level.lines().next().unwrap();
    assert!(first.starts_with(&format!("INFO   {}  █", of_level(Some("INFO")))), "{by_level}");
    assert_eq!(by_level.lines().count(), 4);
    assert!(by_level.lines().all(|line| line.chars().count() <= 80), "{by_level}");
    let times = text(&["histogram", "--step", "30s", "--by", "level", "--tz", "Asia/Tokyo"]);
    assert!(times.starts_with("2026-01-02 12:04:00  "), "{times}");
    assert_eq!(times.lines().count(), 3);
    let top = text(&["top", "--field", "source", "-n", "1"]);
    assert!(top.starts_with("web  3") && top.contains("of other values"), "{top}");
    assert!(top.contains("without the field"), "{top}");
    let json: Value =
        serde_json::from_str(&text(&["top", "--field", "source", "--output", "json"])).unwrap();
    assert_eq!(json["rows"][0]["value"], "web");
    let refused = run(&["top", "--field", "received"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is a time"));
}

/// The connection may go on after a statistic.
#[test]
fn a_connection_is_kept_open() {
    let home = Home::new();
    let (server, _) = filled(&home);
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for _ in 0..2 {
        write!(stream, "HEAD /api/logs?{RANGE} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            read.push(byte[0]);
        }
        assert!(String::from_utf8_lossy(&read).contains("x-total-count: 600"));
    }
}
