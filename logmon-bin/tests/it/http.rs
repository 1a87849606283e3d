//! The HTTP API: taking events in, searching, live streams, and who may call.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::http::{self, EVER, Events};
use crate::support::server::{Home, Server};
use crate::support::until;

const JSON: &str = "application/json";

fn append(server: &Server, message: &str) -> Value {
    server.post("/api/logs", JSON, json!({ "message": message }).to_string()).ok()
}

#[test]
fn takes_an_object() {
    let home = Home::new();
    let server = home.start();
    let body = r#"{"timestamp": "2026-01-02T03:04:05.123456789+09:00", "level": "error", "source": "billing-api",
        "message": "charge failed 決済", "user": "u-17", "big": 18446744073709551615,
        "metadata": {"http": {"status": 502}}}"#;
    let answer = server.post("/api/logs?tag=app.billing", JSON, body).ok();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(1), &json!(0)));
    let text = server.get(&format!("/api/logs?{EVER}")).text();
    let event = &serde_json::from_str::<Value>(&text).unwrap()["logs"][0];
    assert_eq!(event["seq"], answer["last_seq"]);
    assert_eq!(event["timestamp"], "2026-01-01T18:04:05.123456789Z");
    assert_eq!(event["tag"], "app.billing");
    assert_eq!(event["level"], "ERROR");
    assert_eq!(event["source"], "billing-api");
    assert_eq!(event["message"], "charge failed 決済");
    let metadata = json!({"user": "u-17", "big": u64::MAX, "http": {"status": 502}});
    assert_eq!(event["metadata"], metadata);
    assert!(text.contains("\"big\":18446744073709551615"), "{text}");
    let id = event["id"].as_str().unwrap();
    assert_eq!(&server.get(&format!("/api/logs/{id}")).ok(), event);
}

#[test]
fn names_a_bad_element_by_its_index_and_stores_the_others() {
    let home = Home::new();
    let server = home.start();
    let body = r#"[{"message": "zero"}, {"message": tru}, 17, {"message": "three"}]"#;
    let response = server.post("/api/logs", JSON, body);
    assert_eq!(response.status, 207, "{}", response.text());
    let answer = response.json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(2)));
    let errors = answer["errors"].as_array().unwrap();
    let indices: Vec<_> = errors.iter().map(|error| error["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [1, 2]);
    let offset = errors[0]["offset"].as_u64().unwrap();
    let at = u64::try_from(body.find("tru").unwrap()).unwrap();
    assert!((at..=at + 3).contains(&offset), "{offset} is not near {at}");
    let found: HashSet<_> = server.messages("").into_iter().collect();
    assert_eq!(found, HashSet::from(["zero".to_owned(), "three".to_owned()]));
}

#[test]
fn a_body_without_any_event_is_refused() {
    let home = Home::new();
    let server = home.start();
    for body in ["{\"message\": ", "17", "[1, 2]"] {
        let response = server.post("/api/logs", JSON, body);
        assert_eq!(response.status, 400, "{body}: {}", response.text());
    }
    let abort = r#"[{"message": "good"}, 17]"#;
    assert_eq!(server.post("/api/logs?on_error=abort", JSON, abort).status, 400);
    assert_eq!(server.everything(), []);
}

#[test]
fn takes_lines() {
    let home = Home::new();
    let server = home.start();
    let body = "{\"message\": \"one\"}\n\n{\"message\": \r\n{\"message\": \"two\"}";
    let response = server.post("/api/logs", "application/x-ndjson; charset=utf-8", body);
    assert_eq!(response.status, 207, "{}", response.text());
    assert_eq!(response.json()["errors"][0]["index"], 1);
    server.post("/api/logs?level=warn&source=cron", "text/plain", "three\nfour\n").ok();
    let found: HashSet<_> = server.messages("").into_iter().collect();
    assert_eq!(found, ["one", "two", "three", "four"].map(str::to_owned).into());
    assert_eq!(server.messages("q=level:warn+source:cron").len(), 2);
    server.post("/api/logs", "image/png", "x").problem(415, "unsupported_media");
}

#[test]
fn dry_run_shows_and_stores_nothing() {
    let home = Home::new();
    let server = home.start();
    let answer = server.post("/api/logs?dry_run=true", JSON, r#"{"msg": "m", "lvl": 50}"#).ok();
    assert_eq!(answer["logs"][0]["message"], "m");
    assert_eq!(answer["logs"][0]["level"], "ERROR");
    assert_eq!(server.everything(), []);
}

#[test]
fn a_query_problem_has_its_position() {
    let home = Home::new();
    let server = home.start();
    let position = |q: &str| {
        let query: String = q.bytes().fold(String::new(), |mut out, byte| {
            write!(out, "%{byte:02X}").unwrap();
            out
        });
        let problem = server.get(&format!("/api/logs?q={query}")).problem(400, "query_syntax");
        for name in ["type", "title", "detail", "instance", "request_id", "expected"] {
            assert!(!problem[name].is_null(), "{name} is missing: {problem}");
        }
        problem["position"].clone()
    };
    let at = position("level:");
    assert_eq!((&at["offset"], &at["line"], &at["column"]), (&json!(6), &json!(1), &json!(7)));
    // Two UTF-16 units and four bytes.
    let at = position("🚀 AND\n level:");
    assert_eq!((&at["offset"], &at["offset_bytes"]), (&json!(14), &json!(16)));
    assert_eq!((&at["line"], &at["column"]), (&json!(2), &json!(8)));
}

#[test]
fn problems_speak_japanese() {
    let home = Home::new();
    let server = home.start();
    let headers = [("Accept-Language", "ja,en;q=0.5")];
    let problem = http::request(server.http, "GET", "/api/logs?q=(", &headers, b"");
    let problem = problem.problem(400, "query_syntax");
    assert!(!problem["title"].as_str().unwrap().is_ascii(), "{problem}");
}

#[test]
fn wrong_parameters_are_named() {
    let home = Home::new();
    let server = home.start();
    for (query, name) in [
        ("limt=5", "limt"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("from=then", "from"),
        ("from=5&to=4", "from"),
        ("order=up", "order"),
        ("level=loud", "level"),
        ("tz=Mars/Olympus", "tz"),
    ] {
        let problem = server.get(&format!("/api/logs?{query}")).problem(400, "invalid_parameter");
        assert_eq!(problem["errors"][0]["parameter"], name, "{problem}");
    }
    for cursor in ["p1.AAAA", "c1.AAAA", "x"] {
        let path = format!("/api/logs?{EVER}&cursor={cursor}");
        server.get(&path).problem(400, "invalid_cursor");
    }
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let home = Home::new();
    let server = home.start();
    append(&server, "x");
    let id = server.everything()[0].id.clone();
    let epoch = id.split_at(14).0;
    server.get(&format!("/api/logs/{epoch}ffffffffff")).problem(404, "not_found");
    server.get("/api/logs/nonsense").problem(400, "invalid_parameter");
    server.get("/api/no/such/thing").problem(404, "not_found");
    let put = http::request(server.http, "PUT", "/api/logs", &[], b"");
    put.problem(405, "method_not_allowed");
}

/// Pages show the set of the first one: no row twice, none missing, none that came later.
#[test]
fn paging_neither_repeats_nor_skips_while_events_arrive() {
    const EVENTS: usize = 500;
    let home = Home::new();
    let server = home.start();
    // Few different times, so that pages end amid equal ones.
    let line = |n: usize| json!({"time": 1_767_323_045 + n / 50, "message": format!("old {n}")});
    let body: Vec<_> = (0..EVENTS).map(|n| line(n).to_string()).collect();
    server.post("/api/logs", "application/x-ndjson", body.join("\n")).ok();
    for order in ["asc", "desc"] {
        let is_over = AtomicBool::new(false);
        let pages = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let body =
                        json!({"time": 1_767_323_045 + n % 10, "message": format!("old new {n}")});
                    server.post("/api/logs", JSON, body.to_string()).ok();
                    n += 1;
                }
            });
            let (mut pages, mut cursor) = (Vec::new(), String::new());
            loop {
                let query = format!("q=old&limit=37&order={order}&cursor={cursor}");
                let page = server.page(&query);
                pages.push(page.logs);
                match page.next_cursor {
                    Some(next) => cursor = next,
                    None => break,
                }
            }
            is_over.store(true, Ordering::SeqCst);
            pages
        });
        let shown: Vec<_> = pages.concat();
        let keys: Vec<_> = shown
            .iter()
            .map(|event| (event.timestamp.clone(), event.seq.parse::<u64>().unwrap()))
            .collect();
        let is_sorted = match order {
            "asc" => keys.is_sorted_by(|a, b| a < b),
            _ => keys.is_sorted_by(|a, b| a > b),
        };
        assert!(is_sorted, "by time, then number, each once");
        let old = shown.iter().filter(|event| !event.message.contains("new")).count();
        assert_eq!(old, EVENTS, "{order}");
        // What was there for the first page is what the whole search shows.
        let last = shown.iter().map(|event| event.seq.parse::<u64>().unwrap()).max().unwrap();
        let all = server.everything();
        let expected: HashSet<_> = all
            .iter()
            .filter(|event| event.seq.parse::<u64>().unwrap() <= last)
            .map(|event| event.id.clone())
            .collect();
        assert_eq!(shown.into_iter().map(|event| event.id).collect::<HashSet<_>>(), expected);
    }
}

#[test]
fn a_cursor_belongs_to_its_query_and_outlives_a_restart() {
    let home = Home::new();
    let server = home.start();
    for n in 0..5 {
        append(&server, &format!("event {n}"));
    }
    let page = server.page("q=event&limit=2");
    let cursor = page.next_cursor.unwrap();
    for changed in ["q=other&limit=2", "q=event&limit=2&order=asc"] {
        let path = format!("/api/logs?{EVER}&{changed}&cursor={cursor}");
        server.get(&path).problem(400, "invalid_cursor");
    }
    server.kill();
    let server = home.start();
    append(&server, "event after");
    let next = server.messages(&format!("q=event&limit=2&cursor={cursor}"));
    assert_eq!(next, ["event 2", "event 1"]);
}

/// What the page does: search, then follow from the head of that search.
#[test]
fn a_stream_goes_on_where_a_search_or_another_stream_ended() {
    let home = Home::new();
    let server = home.start();
    append(&server, "0");
    let head = server.page("").head_cursor;
    let mut sent = 1;
    let mut shown = Vec::new();
    let mut resume: Option<String> = None;
    for round in 0..4 {
        for _ in 0..3 {
            append(&server, &sent.to_string());
            sent += 1;
        }
        // The later place wins over the earlier one in the address.
        let path = format!("/api/logs/stream?from={head}&batch_ms=0");
        let headers: Vec<_> = resume.iter().map(|id| ("Last-Event-ID", id.as_str())).collect();
        let mut events = Events::open(server.http, &path, &headers);
        while shown.len() < sent - 1 {
            let event = events.next_event().expect("the stream goes on");
            assert_ne!(event.name, "dropped", "{event:?}");
            for log in event.data["logs"].as_array().into_iter().flatten() {
                shown.push(log["message"].as_str().unwrap().to_owned());
            }
            resume = event.id.or(resume);
        }
        assert_eq!(shown, (1..sent).map(|n| n.to_string()).collect::<Vec<_>>(), "round {round}");
    }
    append(&server, "amid the restart");
    server.end();
    let server = home.start();
    let headers = [("Last-Event-ID", resume.as_deref().unwrap())];
    let mut events = Events::open(server.http, "/api/logs/stream", &headers);
    let batch = std::iter::from_fn(|| events.next_event()).find(|event| event.name == "batch");
    assert_eq!(batch.unwrap().data["logs"][0]["message"], "amid the restart");
}

#[test]
fn a_stream_shows_what_its_filter_wants_and_ends_with_a_word() {
    let home = Home::new();
    let server = home.start();
    let path = "/api/logs/stream?q=keep&from=oldest&batch_ms=0";
    let mut events = Events::open(server.http, path, &[]);
    assert_eq!(events.next_event().unwrap().name, "open");
    for message in ["keep 1", "drop 1", "drop 2", "keep 2"] {
        append(&server, message);
    }
    let mut shown = Vec::new();
    while shown.len() < 2 {
        let event = events.next_event().unwrap();
        for log in event.data["logs"].as_array().into_iter().flatten() {
            shown.push(log["message"].clone());
        }
    }
    assert_eq!(shown, ["keep 1", "keep 2"]);
    server.terminate();
    let last = std::iter::from_fn(|| events.next_event()).last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["reason"]), ("end", &json!("shutdown")));
    assert!(server.wait().success());
}

#[test]
fn answers_to_its_own_names_only() {
    let home = Home::new();
    let server = home.start();
    let ask = |host: &str| http::request(server.http, "GET", "/health", &[("Host", host)], b"");
    for host in ["localhost:4000", "127.0.0.1", "[::1]:4000"] {
        assert_eq!(ask(host).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:4000"] {
        ask(host).problem(421, "misdirected_host");
    }
}

#[test]
fn pages_of_others_may_not_call() {
    let home = Home::new();
    let server = home.start_with(|command| {
        command.env("FRONTEND_URL", "https://logs.example.org");
    });
    let body = br#"{"message": "x"}"#;
    let post = |origin: &str| {
        let headers = [("Content-Type", JSON), ("Origin", origin)];
        http::request(server.http, "POST", "/api/logs", &headers, body)
    };
    assert_eq!(post(&server.url()).status, 200, "its own page");
    let friend = post("https://logs.example.org");
    assert_eq!(friend.status, 200);
    assert_eq!(friend.header("access-control-allow-origin"), "https://logs.example.org");
    for origin in ["https://evil.example", "null", "https://logs.example.org.evil.example"] {
        post(origin).problem(403, "forbidden");
        let headers = [("Origin", origin)];
        let stream = http::request(server.http, "GET", "/api/logs/stream", &headers, b"");
        stream.problem(403, "forbidden");
    }
    assert_eq!(server.everything().len(), 2);
}

#[test]
fn a_body_above_the_limit_is_refused() {
    let home = Home::new();
    let file = home.path().join("logmon.toml");
    fs::write(&file, "[http]\nmax_body_bytes = \"10KiB\"\n").unwrap();
    let server = home.start_with(|command| {
        command.arg("--config").arg(&file);
    });
    let body = |length| json!({"message": "x".repeat(length)}).to_string();
    server.post("/api/logs", JSON, body(9_000)).ok();
    server.post("/api/logs", JSON, body(11_000)).problem(413, "payload_too_large");
    assert_eq!(server.everything().len(), 1);
}

#[test]
fn says_how_it_is() {
    let home = Home::new();
    let server = home.start();
    append(&server, "x");
    let health = server.get("/health").ok();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["figures"]["journal"]["appended"], 1, "{health}");
    assert_eq!(server.get("/ready").ok()["ready"], true);
}

#[test]
fn serves_the_page_under_a_strict_policy() {
    let home = Home::new();
    let server = home.start();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe-inline"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let text = page.text();
    let script = text.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let script = server.get(&format!("/{}", script.trim_start_matches(['.', '/'])));
    assert_eq!(script.status, 200);
    assert!(script.header("cache-control").contains("immutable"));
}

/// `wait=accepted` promises nothing, but what arrives is stored all the same.
#[test]
fn accepted_is_not_committed_yet() {
    let home = Home::new();
    let server = home.start();
    let response = server.post("/api/logs?wait=accepted", JSON, r#"{"message": "x"}"#);
    assert_eq!(response.status, 202, "{}", response.text());
    until("the event", || (server.everything().len() == 1).then_some(()));
}
